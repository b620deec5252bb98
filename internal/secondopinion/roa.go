package secondopinion

import (
	"net/netip"
	"slices"

	librpki "github.com/cloudflare/cfrpki/validator/lib"
)

// ROA is what a route origin authorisation was meant to say (RFC 9582).
type ROA struct {
	ASN      uint32
	Prefixes []Prefix // in any order
}

// Prefix is one address block of a ROA. MaxLength is the prefix's own length where the ROA gives none.
type Prefix struct {
	Prefix    netip.Prefix
	MaxLength int
}

func (p Prefix) compare(q Prefix) int {
	if c := p.Prefix.Compare(q.Prefix); c != 0 {
		return c
	}
	return p.MaxLength - q.MaxLength
}

func (want ROA) differs(der []byte) error {
	if err := signedObject(der, librpki.RoaOID); err != nil {
		return err
	}
	got, err := decoder.DecodeROA(der)
	if err != nil {
		return differ("it is no ROA: %w", err)
	}
	if err := inner(got.InnerValid, got.InnerValidityError, got.Certificate); err != nil {
		return err
	}
	if int64(got.ASN) != int64(want.ASN) {
		return differ("it is for AS%d instead of AS%d", got.ASN, want.ASN)
	}
	if len(got.Valids) != len(got.Entries) {
		return differ("%d of its %d prefixes are outside its EE certificate", len(got.Entries)-len(got.Valids), len(got.Entries))
	}
	entries := make([]Prefix, len(got.Entries))
	for i, e := range got.Entries {
		addr, ok := netip.AddrFromSlice(e.IPNet.IP)
		if !ok {
			return differ("it has a prefix that is none")
		}
		bits, _ := e.IPNet.Mask.Size()
		entries[i] = Prefix{netip.PrefixFrom(addr, bits), e.MaxLength}
	}
	meant := slices.SortedFunc(slices.Values(want.Prefixes), Prefix.compare)
	slices.SortFunc(entries, Prefix.compare)
	if !slices.Equal(entries, meant) {
		return differ("it authorises %v instead of %v", entries, meant)
	}
	return nil
}
