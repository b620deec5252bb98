package ccr

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cadastre/internal/fault"
)

var produced = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// sample is a cache with something of each kind, in canonical order.
func sample() *Cache {
	return &Cache{
		ProducedAt: produced,
		Manifests: []Manifest{
			{Hash: Digest{1}, Size: 2000, AKI: KeyID{1}, Number: big.NewInt(300), ThisUpdate: produced.Add(-time.Hour),
				Location: "rsync://h/m/a/a.mft", Subordinates: []KeyID{{2}, {3}}},
			{Hash: Digest{2}, Size: 2100, AKI: KeyID{2}, Number: new(big.Int), ThisUpdate: produced.Add(-time.Minute),
				Location: "rsync://h/m/b/b.mft"},
		},
		ROAs: []VRP{
			{0, netip.MustParsePrefix("192.0.2.0/24"), 24},
			{64500, netip.MustParsePrefix("0.0.0.0/0"), 0},
			{64500, netip.MustParsePrefix("10.0.0.0/8"), 8},
			{64500, netip.MustParsePrefix("10.0.0.0/8"), 24},
			{64500, netip.MustParsePrefix("10.0.0.0/9"), 9},
			{64500, netip.MustParsePrefix("2001:db8::/33"), 48},
			{4294967295, netip.MustParsePrefix("2001:db8::/32"), 32},
		},
		ASPAs:        []ASPA{{64500, []uint32{0}}, {64501, []uint32{1, 64500, 4294967295}}},
		TrustAnchors: []KeyID{{9}},
	}
}

func encode(t interface{ Fatal(...any) }, c *Cache) []byte {
	der, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestDraftValues checks against what the draft says: the hash of an empty sequence, and the epoch where no manifest is.
func TestDraftValues(t *testing.T) {
	empty := &Cache{ProducedAt: produced, Manifests: []Manifest{}, ROAs: []VRP{}, ASPAs: []ASPA{}}
	for name, hash := range map[string]Digest{"manifests": empty.ManifestHash(), "ROAs": empty.ROAHash(), "ASPAs": empty.ASPAHash()} {
		if got := base64.StdEncoding.EncodeToString(hash[:]); got != "5PYNCqbX89O2pklLHIYbmfZJxvnsUauvIBsg8pcyfJU=" {
			t.Errorf("the hash of no %s is %s", name, got)
		}
	}
	der := encode(t, empty)
	if !bytes.Contains(der, []byte("19700101000000Z")) {
		t.Error("mostRecentUpdate of no manifests is not the epoch")
	}
	if c, err := Decode(der); err != nil || c.Manifests == nil || c.ROAs == nil || c.ASPAs == nil || c.TrustAnchors != nil {
		t.Errorf("an empty cache comes back as %+v: %v", c, err)
	}
}

// TestExampleOfTheDraft encodes the trust anchors that the example in the draft's appendix has, of which it says the
// hash too.
func TestExampleOfTheDraft(t *testing.T) {
	var c Cache
	for _, text := range []string{
		"FC8A9CB3ED184E17D30EEA1E0FA7615CE4B1AF47", "0B9CCA90DD0D7A8A37666B19217FE0D84037B7A2", "E8552B1FD6D1A4F7E404C6D8E5680D1EBC163FC3",
		"13D4F24F9A9FCD98DB36F930631808C88F3974BC", "EB680F38F5D6C71BB4B106B8BD06585012DA31B6",
	} {
		var key KeyID
		n, _ := new(big.Int).SetString(text, 16)
		n.FillBytes(key[:])
		c.TrustAnchors = append(c.TrustAnchors, key)
	}
	// the decoded form prints the first characters of the hexadecimal hash in base64
	hash := strings.ToUpper(fmt.Sprintf("%x", c.TrustAnchorHash()))
	if said, _ := base64.StdEncoding.DecodeString("QjlCQTY2QjJCQ0Q1NEU0ODEyMjQ5RjYwRUQyREU5MzU="); !strings.HasPrefix(hash, string(said)) {
		t.Errorf("hash %s does not begin with %s", hash, said)
	}
}

func TestComesBack(t *testing.T) {
	c := sample()
	der := encode(t, c)
	got, err := Decode(der)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(c) {
		t.Fatalf("%+v comes back as %+v: %v", c, got, err)
	}
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	if _, err := zw.Write(der); err != nil || zw.Close() != nil {
		t.Fatal(err)
	}
	if got, err := Decode(zipped.Bytes()); err != nil || fmt.Sprint(got) != fmt.Sprint(c) {
		t.Fatalf("with gzip it comes back as %+v: %v", got, err)
	}
}

// TestOrderDoesNotMatter: what encodes to the same states is the same, however it was listed.
func TestOrderDoesNotMatter(t *testing.T) {
	want := encode(t, sample())
	for seed := range uint64(20) {
		c := sample()
		r := rand.New(rand.NewPCG(seed, 1))
		c.ROAs = append(c.ROAs, c.ROAs[2:4]...)
		c.Manifests = append(c.Manifests, c.Manifests[0])
		r.Shuffle(len(c.ROAs), reflect.Swapper(c.ROAs))
		r.Shuffle(len(c.ASPAs), reflect.Swapper(c.ASPAs))
		r.Shuffle(len(c.Manifests), reflect.Swapper(c.Manifests))
		c.Manifests[0].Subordinates = append([]KeyID(nil), c.Manifests[0].Subordinates...)
		r.Shuffle(len(c.Manifests[0].Subordinates), reflect.Swapper(c.Manifests[0].Subordinates))
		if !bytes.Equal(encode(t, c), want) {
			t.Fatalf("seed %d: another order gives other bytes", seed)
		}
		if differences := Compare(c, sample()); len(differences) > 0 {
			t.Fatalf("seed %d: %v", seed, differences)
		}
	}
}

func TestCompare(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Cache)
		want   string
	}{
		"nothing":      {func(*Cache) {}, "[]"},
		"not said":     {func(c *Cache) { c.ROAs, c.ASPAs, c.Manifests, c.TrustAnchors = nil, nil, nil, nil }, "[]"},
		"time":         {func(c *Cache) { c.ProducedAt = produced.Add(time.Hour) }, "[]"},
		"number":       {func(c *Cache) { c.Manifests[0].Number = big.NewInt(301) }, "[manifest rsync://h/m/a/a.mft: ours is number 300, theirs 301]"},
		"thisUpdate":   {func(c *Cache) { c.Manifests[0].ThisUpdate = produced }, "[manifest rsync://h/m/a/a.mft: our thisUpdate is 2026-11-23T11:00:00Z, theirs 2026-11-23T12:00:00Z]"},
		"subordinate":  {func(c *Cache) { c.Manifests[0].Subordinates = []KeyID{{2}} }, "[manifest rsync://h/m/a/a.mft: 1 subordinate keys differ, the first is 0300000000000000000000000000000000000000: only we have it]"},
		"manifest":     {func(c *Cache) { c.Manifests = c.Manifests[1:] }, "[manifest rsync://h/m/a/a.mft: only we have it]"},
		"location":     {func(c *Cache) { c.Manifests[1].Location = "rsync://h/m/c.mft" }, "[manifest rsync://h/m/b/b.mft: only we have it manifest rsync://h/m/c.mft: only they have it]"},
		"VRP":          {func(c *Cache) { c.ROAs[0].ASN = 1 }, "[roa 192.0.2.0/24,24,AS0: only we have it roa 192.0.2.0/24,24,AS1: only they have it]"},
		"ASPA":         {func(c *Cache) { c.ASPAs[1].Providers = c.ASPAs[1].Providers[:2] }, "[aspa AS64501 => [1 64500]: only they have it aspa AS64501 => [1 64500 4294967295]: only we have it]"},
		"trust anchor": {func(c *Cache) { c.TrustAnchors[0][0]++ }, "[trust anchor 0900000000000000000000000000000000000000: only we have it trust anchor 0a00000000000000000000000000000000000000: only they have it]"},
	} {
		theirs := sample()
		c.change(theirs)
		if got := fmt.Sprint(Compare(sample(), theirs)); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestRefused: bytes with one fault are refused.
func TestRefused(t *testing.T) {
	der := encode(t, sample())
	for name, bad := range map[string][]byte{
		"nothing":  nil,
		"cut":      der[:len(der)-1],
		"trailing": append(bytes.Clone(der), 0),
		"gzip":     {0x1f, 0x8b, 8},
		"old OID": func() []byte {
			b := bytes.Clone(der)
			b[bytes.Index(b, []byte{0x10, 0x01, 0x36})+2] = 0x35
			return b
		}(),
		"AS 0 and others": encode(t, &Cache{ProducedAt: produced, ASPAs: []ASPA{{1, []uint32{0, 2}}}}),
		"providers twice": encode(t, &Cache{ProducedAt: produced, ASPAs: []ASPA{{1, []uint32{2, 2}}}}),
		"no provider":     encode(t, &Cache{ProducedAt: produced, ASPAs: []ASPA{{1, nil}}}),
		"customer twice":  encode(t, &Cache{ProducedAt: produced, ASPAs: []ASPA{{1, []uint32{2}}, {1, []uint32{3}}}}),
		"hash":            flip(der, -1),
		"content":         flip(der, bytes.Index(der, []byte("a.mft"))),
	} {
		c, err := Decode(bad)
		if c != nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
}

func flip(der []byte, at int) []byte {
	b := bytes.Clone(der)
	b[(at+len(b))%len(b)] ^= 1
	return b
}

func TestAnyCacheComesBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		keys := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) KeyID {
			return KeyID(rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(rt, "key"))
		}), 0, 4)
		c := &Cache{ProducedAt: produced, TrustAnchors: append(keys.Draw(rt, "anchors"), KeyID{7})}
		c.Manifests = rapid.SliceOfNDistinct(rapid.Custom(func(rt *rapid.T) Manifest {
			return Manifest{
				Hash: Digest{rapid.Byte().Draw(rt, "hash")}, Size: rapid.IntRange(1000, 1<<30).Draw(rt, "size"),
				Number:     new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 19).Draw(rt, "number")),
				ThisUpdate: produced.Add(-time.Duration(rapid.IntRange(0, 1e6).Draw(rt, "age")) * time.Second),
				Location:   rapid.StringMatching(`rsync://[a-z]{1,9}/m/[a-z]{1,200}\.mft`).Draw(rt, "uri"), Subordinates: keys.Draw(rt, "subordinates"),
			}
		}), 0, 5, func(m Manifest) Digest { return m.Hash }).Draw(rt, "manifests")
		c.ROAs = rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) VRP {
			addr := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(rt, "v4")))
			if rapid.Bool().Draw(rt, "is6") {
				addr = netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(rt, "v6")))
			}
			p := netip.PrefixFrom(addr, rapid.IntRange(0, addr.BitLen()).Draw(rt, "bits")).Masked()
			return VRP{rapid.Uint32Range(0, 5).Draw(rt, "as"), p, rapid.IntRange(p.Bits(), addr.BitLen()).Draw(rt, "max")}
		}), 0, 20).Draw(rt, "roas")
		der := encode(rt, c)
		got, err := Decode(der)
		if err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(encode(rt, got), der) || got.ROAHash() != c.ROAHash() || got.ManifestHash() != c.ManifestHash() {
			rt.Fatalf("%+v came back as %+v", c, got)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(f, sample()))
	f.Add(encode(f, &Cache{ProducedAt: produced, ROAs: []VRP{}, ASPAs: []ASPA{}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Decode(data)
		if (c == nil) != (err != nil) {
			t.Fatalf("%v with error %v", c, err)
		}
		if c == nil || c.RouterKeys != nil || bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
			return
		}
		// what is taken has one encoding alone, but for states that are not known yet
		if der := encode(t, c); !bytes.Equal(der, data) && len(data) <= len(der) {
			t.Fatalf("%x was taken and encodes to %x", data, der)
		}
	})
}
