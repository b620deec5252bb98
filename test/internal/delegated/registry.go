// Package delegated reads the registries and announcements of ../shared for the proofs, and computes on them, with none of
// Cadastre's own code: what is proven and what it is held against cannot be wrong together.
package delegated

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Span is addresses that one holder has, without a gap, from the first to the last.
type Span struct {
	First, Last netip.Addr
	Holder      string
}

// Registry is who has which addresses by a delegated-extended file: spans in order, as long as they can be.
type Registry []Span

// ReadRegistry takes the addresses in use from a delegated-extended file, each of the holder that name makes of its record:
//
//	registry|cc|type|start|value|date|status|opaque-id
func ReadRegistry(text []byte, name func(fields []string) string) (Registry, error) {
	var r Registry
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSpace(line), "|")
		if !InUse(fields) || fields[2] == "asn" {
			continue
		}
		first, err := netip.ParseAddr(fields[3])
		if err != nil {
			return nil, err
		}
		value, err := strconv.ParseUint(fields[4], 10, 32)
		if err != nil {
			return nil, err
		}
		s := Span{First: first, Holder: name(fields)}
		if fields[2] == "ipv4" {
			s.Last = after(first, value-1)
		} else {
			s.Last = LastOf(netip.PrefixFrom(first, int(value)))
		}
		r = append(r, s)
	}
	slices.SortFunc(r, func(a, b Span) int { return a.First.Compare(b.First) })
	return r.joined(), nil
}

// InUse tells whether the fields are a record with a holder, rather than a header, a sum, or part of the pool.
func InUse(fields []string) bool {
	return len(fields) >= 8 && (fields[6] == "allocated" || fields[6] == "assigned")
}

// joined makes one of spans that touch and have one holder.
func (r Registry) joined() Registry {
	var out Registry
	for _, s := range r {
		if n := len(out) - 1; n >= 0 && out[n].Holder == s.Holder && out[n].Last.Next() == s.First {
			out[n].Last = s.Last
			continue
		}
		out = append(out, s)
	}
	return out
}

// HolderOf is who has the whole of a prefix, "" where that is no one.
func (r Registry) HolderOf(p netip.Prefix) string {
	at, found := slices.BinarySearchFunc(r, p.Addr(), func(s Span, a netip.Addr) int { return s.First.Compare(a) })
	if !found {
		at--
	}
	if at < 0 || r[at].First.BitLen() != p.Addr().BitLen() || r[at].Last.Less(LastOf(p)) {
		return ""
	}
	return r[at].Holder
}

// Left is what a holder has of a prefix, in as few Prefixes as can be.
func (r Registry) Left(p netip.Prefix, holder string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range r {
		first, last := p.Addr(), LastOf(p)
		if s.Holder != holder || s.Last.Less(first) || last.Less(s.First) || s.First.BitLen() != first.BitLen() {
			continue
		}
		if first.Less(s.First) {
			first = s.First
		}
		if s.Last.Less(last) {
			last = s.Last
		}
		out = append(out, Prefixes(first, last)...)
	}
	return out
}

// Prefixes cuts a range into prefixes: at each address the largest that begins there and does not go too far.
func Prefixes(first, last netip.Addr) []netip.Prefix {
	var out []netip.Prefix
	for {
		bits := first.BitLen()
		for bits > 0 {
			wider := netip.PrefixFrom(first, bits-1)
			if wider.Masked().Addr() != first || last.Less(LastOf(wider)) {
				break
			}
			bits--
		}
		p := netip.PrefixFrom(first, bits)
		out = append(out, p)
		if LastOf(p) == last {
			return out
		}
		first = LastOf(p).Next()
	}
}

// LastOf is the last address of a prefix.
func LastOf(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}

// after is the address n further on from an IPv4 address.
func after(a netip.Addr, n uint64) netip.Addr {
	b := a.As4()
	binary.BigEndian.PutUint32(b[:], uint32(uint64(binary.BigEndian.Uint32(b[:]))+n))
	return netip.AddrFrom4(b)
}

// Unpack reads a gzip file.
func Unpack(path string) ([]byte, error) {
	packed, err := os.ReadFile(path) // it is one of the inputs
	if err != nil {
		return nil, err
	}
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return io.ReadAll(reader)
}
