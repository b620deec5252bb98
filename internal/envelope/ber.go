package envelope

import "math/bits"

// Limits of what is rewritten. No message in use is deeper than 16 or has more than a few thousand elements.
const (
	maxDepth    = 32
	maxElements = 1 << 16
)

// Tags that matter here (X.690, section 8.1.2).
const (
	tagOctets      = 0x04
	constructed    = 0x20
	manyOctetsMark = 0x1f // of a tag number above 30
)

// toDER gives a message in definite, minimal lengths and with octet strings in one piece.
//
// Tolerated: BER. RFC 6492, section 3.1.2 wants DER, but BouncyCastle, with which several registries sign, writes
// indefinite lengths and cuts the content in pieces (X.690, sections 8.1.3.6 and 8.7), and rpki-rs reads it. Whatever
// is signed inside, the certificate, the CRL and the signed attributes, is DER or its signature will not fit.
//
// It takes two passes, each linear in the message: the first finds out how long each element will be, the second writes.
// What is DER already is returned as it is, not copied.
func toDER(ber []byte) ([]byte, error) {
	r := rewriter{in: ber}
	size, ok := r.measure(len(ber), 0, false)
	if !ok || r.at != len(ber) {
		return nil, malformed("its lengths do not add up")
	}
	if !r.differs {
		return ber, nil
	}
	lengths := r.lengths
	r = rewriter{in: ber, lengths: lengths}
	return r.write(make([]byte, 0, size), len(ber), false), nil
}

type rewriter struct {
	in      []byte
	at      int   // where it is in the input
	lengths []int // of what each element will contain, in the order in which they begin
	next    int   // of lengths, in the second pass
	differs bool  // something is not DER
}

// header reads a tag and a length, which is negative where it is indefinite.
func (r *rewriter) header(end int) (tag byte, length int, ok bool) {
	if end-r.at < 2 {
		return 0, 0, false
	}
	tag, first := r.in[r.at], r.in[r.at+1]
	r.at += 2
	if tag&manyOctetsMark == manyOctetsMark || tag == 0 {
		return 0, 0, false
	}
	switch {
	case first < 0x80:
		return tag, int(first), int(first) <= end-r.at
	case first == 0x80:
		r.differs = true
		return tag, -1, tag&constructed != 0
	}
	n := int(first & 0x7f)
	if n > 4 || end-r.at < n {
		return 0, 0, false
	}
	for _, b := range r.in[r.at : r.at+n] {
		length = length<<8 | int(b)
	}
	r.at += n
	if 1+n != lengthOctets(length) {
		r.differs = true
	}
	return tag, length, length <= end-r.at
}

// ended tells whether the contents of an element are over: at their end, or at two zero octets where that is indefinite.
func (r *rewriter) ended(end int, indefinite bool) bool {
	if !indefinite {
		return r.at == end
	}
	if end-r.at >= 2 && r.in[r.at] == 0 && r.in[r.at+1] == 0 {
		r.at += 2
		return true
	}
	return false
}

// measure gives the octets that the next element will take; of a piece of an octet string only its contents count.
func (r *rewriter) measure(end, depth int, piece bool) (int, bool) {
	if depth > maxDepth || len(r.lengths) == maxElements {
		return 0, false
	}
	tag, length, ok := r.header(end)
	if !ok || piece && tag&^constructed != tagOctets {
		return 0, false
	}
	mine := len(r.lengths)
	r.lengths = append(r.lengths, length)
	if tag&constructed == 0 {
		r.at += length
	} else {
		inner, indefinite := end, length < 0
		if !indefinite {
			inner = r.at + length
		}
		pieces := tag == tagOctets|constructed
		r.differs = r.differs || pieces
		length = 0
		for !r.ended(inner, indefinite) {
			n, ok := r.measure(inner, depth+1, pieces)
			if !ok {
				return 0, false
			}
			length += n
		}
		r.lengths[mine] = length
	}
	if piece {
		return length, true
	}
	return 1 + lengthOctets(length) + length, true
}

// write appends the next element to out. What it reads was measured, and so is well formed.
func (r *rewriter) write(out []byte, end int, piece bool) []byte {
	tag, length, _ := r.header(end)
	size := r.lengths[r.next]
	r.next++
	pieces := tag == tagOctets|constructed
	if !piece {
		if pieces {
			tag = tagOctets
		}
		out = appendLength(append(out, tag), size)
	}
	if tag&constructed == 0 && !pieces {
		out = append(out, r.in[r.at:r.at+length]...)
		r.at += length
		return out
	}
	inner, indefinite := end, length < 0
	if !indefinite {
		inner = r.at + length
	}
	for !r.ended(inner, indefinite) {
		out = r.write(out, inner, pieces)
	}
	return out
}

// lengthOctets is how many octets DER takes to say a length.
func lengthOctets(length int) int {
	if length < 0x80 {
		return 1
	}
	return 1 + (bits.Len(uint(length))+7)/8
}

func appendLength(out []byte, length int) []byte {
	n := lengthOctets(length) - 1
	if n == 0 {
		return append(out, byte(length))
	}
	out = append(out, 0x80|byte(n))
	for i := n - 1; i >= 0; i-- {
		out = append(out, byte(length>>(8*i)))
	}
	return out
}
