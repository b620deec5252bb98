package main

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

// span is addresses that one holder has, without a gap, from the first to the last.
type span struct {
	first, last netip.Addr
	holder      string
}

// registry is who has which addresses by a delegated-extended file: spans in order, as long as they can be.
type registry []span

// readRegistry takes the addresses in use from a delegated-extended file:
//
//	registry|cc|type|start|value|date|status|opaque-id
func readRegistry(text []byte) (registry, error) {
	var r registry
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSpace(line), "|")
		if !inUse(fields) || fields[2] == "asn" {
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
		s := span{first: first, holder: strings.ToLower(fields[7])}
		if fields[2] == "ipv4" {
			s.last = after(first, value-1)
		} else {
			s.last = lastOf(netip.PrefixFrom(first, int(value)))
		}
		r = append(r, s)
	}
	slices.SortFunc(r, func(a, b span) int { return a.first.Compare(b.first) })
	return r.joined(), nil
}

// inUse tells whether the fields are a record with a holder, rather than a header, a sum, or part of the pool.
func inUse(fields []string) bool {
	return len(fields) >= 8 && (fields[6] == "allocated" || fields[6] == "assigned")
}

// joined makes one of spans that touch and have one holder.
func (r registry) joined() registry {
	var out registry
	for _, s := range r {
		if n := len(out) - 1; n >= 0 && out[n].holder == s.holder && out[n].last.Next() == s.first {
			out[n].last = s.last
			continue
		}
		out = append(out, s)
	}
	return out
}

// holder is who has the whole of a prefix, "" where that is no one.
func (r registry) holder(p netip.Prefix) string {
	at, found := slices.BinarySearchFunc(r, p.Addr(), func(s span, a netip.Addr) int { return s.first.Compare(a) })
	if !found {
		at--
	}
	if at < 0 || r[at].first.BitLen() != p.Addr().BitLen() || r[at].last.Less(lastOf(p)) {
		return ""
	}
	return r[at].holder
}

// left is what a holder has of a prefix, in as few prefixes as can be.
func (r registry) left(p netip.Prefix, holder string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range r {
		first, last := p.Addr(), lastOf(p)
		if s.holder != holder || s.last.Less(first) || last.Less(s.first) || s.first.BitLen() != first.BitLen() {
			continue
		}
		if first.Less(s.first) {
			first = s.first
		}
		if s.last.Less(last) {
			last = s.last
		}
		out = append(out, prefixes(first, last)...)
	}
	return out
}

// prefixes cuts a range into prefixes: at each address the largest that begins there and does not go too far.
func prefixes(first, last netip.Addr) []netip.Prefix {
	var out []netip.Prefix
	for {
		bits := first.BitLen()
		for bits > 0 {
			wider := netip.PrefixFrom(first, bits-1)
			if wider.Masked().Addr() != first || last.Less(lastOf(wider)) {
				break
			}
			bits--
		}
		p := netip.PrefixFrom(first, bits)
		out = append(out, p)
		if lastOf(p) == last {
			return out
		}
		first = lastOf(p).Next()
	}
}

// lastOf is the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
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

// unpack reads a gzip file.
func unpack(path string) ([]byte, error) {
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
