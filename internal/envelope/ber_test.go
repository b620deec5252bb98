package envelope

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// node is a value of ASN.1 that can be written in DER, or in BER in many ways.
type node struct {
	tag      byte
	contents []byte // of a primitive
	children []node
}

func (n node) der() []byte {
	if n.tag&constructed == 0 {
		return tlv(n.tag, n.contents)
	}
	var in [][]byte
	for _, child := range n.children {
		in = append(in, child.der())
	}
	return tlv(n.tag, in...)
}

// ber writes the value as BER may: with lengths in more octets than needed, with indefinite lengths, and with octet strings in pieces.
func (n node) ber(t *rapid.T) []byte {
	if n.tag == tagOctets && rapid.Bool().Draw(t, "in pieces") {
		pieces := node{tag: tagOctets | constructed}
		for rest := n.contents; len(rest) > 0; {
			size := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			pieces.children = append(pieces.children, node{tag: tagOctets, contents: rest[:size]})
			rest = rest[size:]
		}
		return pieces.ber(t)
	}
	if n.tag&constructed == 0 {
		return lengthy(t, n.tag, n.contents)
	}
	var in []byte
	for _, child := range n.children {
		in = append(in, child.ber(t)...)
	}
	if rapid.Bool().Draw(t, "indefinite") {
		return append(append([]byte{n.tag, 0x80}, in...), 0, 0)
	}
	return lengthy(t, n.tag, in)
}

func lengthy(t *rapid.T, tag byte, in []byte) []byte {
	if rapid.Bool().Draw(t, "minimal") {
		return tlv(tag, in)
	}
	return append(binary.BigEndian.AppendUint32([]byte{tag, 0x84}, uint32(len(in))), in...)
}

func genNode(depth int) *rapid.Generator[node] {
	return rapid.Custom(func(t *rapid.T) node {
		if depth > 0 && rapid.Bool().Draw(t, "constructed") {
			return node{
				tag:      rapid.SampledFrom([]byte{0x30, 0x31, 0xa0, 0xa1}).Draw(t, "tag"),
				children: rapid.SliceOfN(genNode(depth-1), 0, 4).Draw(t, "children"),
			}
		}
		return node{
			tag:      rapid.SampledFrom([]byte{1, 2, 3, 4, 4, 4, 5, 6, 0x13, 0x17, 0x80}).Draw(t, "tag"),
			contents: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "contents"),
		}
	})
}

// TestToDER: however BER writes a value, the same DER comes out, and DER comes out as it is.
func TestToDER(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := genNode(5).Draw(t, "value")
		want := n.der()
		got, err := toDER(n.ber(t))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%x (%v), not %x", got, err, want)
		}
		same, err := toDER(want)
		if err != nil || &same[0] != &want[0] {
			t.Fatalf("DER was copied or refused: %v", err)
		}
	})
}

func TestToDERRefuses(t *testing.T) {
	deep := bytes.Repeat([]byte{0x30, 0x80}, 100)
	for name, ber := range map[string][]byte{
		"nothing":                         nil,
		"half a header":                   {0x30},
		"a length that is missing":        {0x30, 0x82, 0x01},
		"contents that are missing":       {0x04, 0x05, 1, 2},
		"a child longer than its parent":  {0x30, 0x03, 0x04, 0x05, 1, 2, 3, 4, 5},
		"a list longer than its parent":   {0x30, 0x03, 0x30, 0x05, 1, 1, 1, 1, 1},
		"a page of the web":               []byte("<html>hello</html>"),
		"an end that is missing":          {0x30, 0x80, 0x05, 0x00},
		"half an end":                     {0x30, 0x80, 0x05, 0x00, 0x00},
		"an end beyond the parent":        {0x30, 0x04, 0x30, 0x80, 0x05, 0x00, 0x00, 0x00},
		"an end where none is due":        {0x30, 0x02, 0x00, 0x00},
		"a primitive without length":      {0x04, 0x80, 0x00, 0x00},
		"a piece that is no octet string": {0x24, 0x02, 0x05, 0x00},
		"a tag of many octets":            {0x1f, 0x81, 0x01, 0x00},
		"a length of eight octets":        {0x04, 0x88, 0, 0, 0, 0, 0, 0, 0, 1, 1},
		"a length beyond everything":      {0x30, 0x84, 0xff, 0xff, 0xff, 0xff},
		"bytes after it":                  {0x05, 0x00, 0x05, 0x00},
		"depth":                           append(deep, make([]byte, 200)...),
		"elements":                        tlv(0x30, bytes.Repeat([]byte{0x05, 0x00}, maxElements)),
	} {
		if der, err := toDER(ber); err == nil {
			t.Errorf("%s: %x came out as %x", name, ber[:min(len(ber), 20)], der[:min(len(der), 20)])
		}
	}
}

// TestOpenBER: a message in the BER that BouncyCastle writes is opened.
func TestOpenBER(t *testing.T) {
	d := newDraft()
	d.content = bytes.Repeat([]byte("<message/>"), 200)
	d.attrContent = d.content
	opens(t, d, asBouncyCastle(d.write()))
}

// asBouncyCastle writes the outer layers of a message with indefinite lengths, and its content in pieces of 1000 octets.
func asBouncyCastle(der []byte) []byte {
	outer, _ := only(der, 0x30)
	kind, _ := element(&outer)
	explicit, _ := only(outer, tag0Around)
	in, _ := only(explicit, 0x30)
	version, _ := element(&in)
	digests, _ := element(&in)
	encapsulated, _ := element(&in)
	rest := in

	inside, _ := only(encapsulated, 0x30)
	contentType, _ := element(&inside)
	around, _ := only(inside, tag0Around)
	content, _ := only(around, tagOctets)
	pieces := []byte{tagOctets | constructed, 0x80}
	for len(content) > 0 {
		n := min(len(content), 1000)
		pieces = append(pieces, tlv(tagOctets, content[:n])...)
		content = content[n:]
	}
	pieces = append(pieces, 0, 0)
	open := func(tag byte, parts ...[]byte) []byte {
		return append(append([]byte{tag, 0x80}, bytes.Join(parts, nil)...), 0, 0)
	}
	return open(0x30, kind, open(0xa0, open(0x30, version, digests, open(0x30, contentType, open(0xa0, pieces)), rest)))
}
