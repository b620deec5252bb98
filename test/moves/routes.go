package main

import (
	"net/netip"

	"cadastre/test/internal/delegated"
)

// validity is what a router makes of an announcement (RFC 6811, section 2).
type validity byte

const (
	notFound validity = iota
	valid
	invalid
)

func (v validity) String() string { return [...]string{"notfound", "valid", "invalid"}[v] }

// table finds VRPs by their prefixes.
type table map[netip.Prefix][]vrp

func tableOf(seen vrps) table {
	t := table{}
	for v := range seen {
		t[v.prefix] = append(t[v.prefix], v)
	}
	return t
}

// judge tells what an announcement is.
func (t table) judge(a delegated.Announcement) validity {
	state := notFound
	for bits := a.Prefix.Bits(); bits >= 0; bits-- {
		for _, v := range t[netip.PrefixFrom(a.Prefix.Addr(), bits).Masked()] {
			if v.asn == a.Origin && v.asn != 0 && a.Prefix.Bits() <= v.maxLength {
				return valid
			}
			state = invalid
		}
	}
	return state
}

// worse tells whether an announcement that was one thing may not become the other.
func worse(before, now validity) bool {
	return before == valid && now != valid || before == notFound && now == invalid
}
