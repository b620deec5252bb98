package validate

import (
	"bytes"
	"encoding/asn1"
	"encoding/binary"
	"math/big"
	"math/bits"
	"net/netip"
	"slices"
	"time"

	"cadastre/internal/inr"
)

func tlv(tag byte, parts ...[]byte) []byte {
	in := bytes.Join(parts, nil)
	out := []byte{tag}
	switch n := len(in); {
	case n < 0x80:
		out = append(out, byte(n))
	default:
		length := binary.BigEndian.AppendUint32(nil, uint32(n))[bits.LeadingZeros32(uint32(n))/8:]
		out = append(append(out, 0x80|byte(len(length))), length...)
	}
	return append(out, in...)
}

func seq(parts ...[]byte) []byte { return tlv(0x30, parts...) }
func set(parts ...[]byte) []byte { return tlv(0x31, parts...) }
func oidTLV(id string) []byte    { return tlv(6, []byte(id)) }
func octetTLV(b []byte) []byte   { return tlv(4, b) }
func bitTLV(b []byte) []byte     { return tlv(3, []byte{0}, b) }
func uriTLV(s string) []byte     { return tlv(0x86, []byte(s)) }

func intTLV(n int64) []byte {
	out, err := asn1.Marshal(n)
	if err != nil {
		panic(err)
	}
	return out
}

func bigTLV(n *big.Int) []byte {
	out, err := asn1.Marshal(n)
	if err != nil {
		panic(err)
	}
	return out
}

func utcTLV(t time.Time) []byte { return tlv(0x17, []byte(t.UTC().Format("060102150405Z"))) }
func genTLV(t time.Time) []byte { return tlv(0x18, []byte(t.UTC().Format("20060102150405Z"))) }

func name(cn string) []byte {
	return seq(set(seq(oidTLV(oidCommonName), tlv(0x13, []byte(cn)))))
}

// addrBits writes an address as the bit string of its first n bits.
func addrBits(addr netip.Addr, n int) []byte {
	b := addr.AsSlice()[:(n+7)/8]
	b = slices.Clone(b)
	unused := byte(8*len(b) - n)
	if unused > 0 {
		b[len(b)-1] &= 0xFF << unused
	}
	return tlv(3, []byte{unused}, b)
}

func rangeTLV(r inr.IPRange) []byte {
	if p := r.Prefixes(); len(p) == 1 {
		return addrBits(p[0].Addr(), p[0].Bits())
	}
	first, last := r.First.AsSlice(), r.Last.AsSlice()
	n, m := len(first)*8, len(last)*8
	for n > 0 && first[(n-1)/8]>>(7-(n-1)%8)&1 == 0 {
		n--
	}
	for m > 0 && last[(m-1)/8]>>(7-(m-1)%8)&1 == 1 {
		m--
	}
	return seq(addrBits(r.First, n), addrBits(r.Last, m))
}

func ipFamily(afi byte, blocks []inr.IPRange) []byte {
	var each [][]byte
	for _, r := range blocks {
		each = append(each, rangeTLV(r))
	}
	return seq(octetTLV([]byte{0, afi}), seq(each...))
}

func ipExt(s inr.Set) []byte {
	var each [][]byte
	if len(s.V4) > 0 {
		each = append(each, ipFamily(1, s.V4))
	}
	if len(s.V6) > 0 {
		each = append(each, ipFamily(2, s.V6))
	}
	return seq(each...)
}

func asExt(s inr.Set) []byte {
	var each [][]byte
	for _, r := range s.AS {
		if r.First == r.Last {
			each = append(each, intTLV(int64(r.First)))
		} else {
			each = append(each, seq(intTLV(int64(r.First)), intTLV(int64(r.Last))))
		}
	}
	return seq(tlv(0xA0, seq(each...)))
}

var (
	null      = []byte{5, 0}
	ipInherit = seq(seq(octetTLV([]byte{0, 1}), null), seq(octetTLV([]byte{0, 2}), null))
	asInherit = seq(tlv(0xA0, null))
)

func access(pairs ...string) []byte {
	var each [][]byte
	for i := 0; i < len(pairs); i += 2 {
		each = append(each, seq(oidTLV(pairs[i]), uriTLV(pairs[i+1])))
	}
	return seq(each...)
}
