package main

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"cadastre/test/internal/delegated"
)

// vrp is what a validator prints: a prefix, the longest length of its parts, and the AS that may announce them.
type vrp struct {
	prefix    netip.Prefix
	maxLength int
	asn       uint64
}

func (v vrp) String() string { return fmt.Sprintf("%s,%d,AS%d", v.prefix, v.maxLength, v.asn) }

// covers tells whether all that another authorises is authorised by this one.
func (v vrp) covers(w vrp) bool {
	return v.asn == w.asn && v.maxLength >= w.maxLength && contains(v.prefix, w.prefix)
}

func contains(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// vrpOf is an announcement as its holder authorises it: for itself.
func vrpOf(a delegated.Announcement) vrp { return vrp{a.Prefix, a.Prefix.Bits(), a.Origin} }

// readVRP reads a line of a validator.
func readVRP(line string) (vrp, error) {
	fields := strings.Split(line, ",")
	if len(fields) != 3 {
		return vrp{}, fmt.Errorf("%q is no VRP", line)
	}
	prefix, err := netip.ParsePrefix(fields[0])
	if err != nil {
		return vrp{}, err
	}
	length, err := strconv.Atoi(fields[1])
	if err != nil {
		return vrp{}, err
	}
	asn, err := strconv.ParseUint(strings.TrimPrefix(fields[2], "AS"), 10, 32)
	return vrp{prefix, length, asn}, err
}

// vrps is a set of them.
type vrps map[vrp]bool

// differs names some of what is too much and what is missing.
func (s vrps) differs(want vrps) error {
	var extra, missing []string
	for v := range s {
		if !want[v] {
			extra = append(extra, v.String())
		}
	}
	for v := range want {
		if !s[v] {
			missing = append(missing, v.String())
		}
	}
	if len(extra)+len(missing) == 0 {
		return nil
	}
	slices.Sort(extra)
	slices.Sort(missing)
	return fmt.Errorf("%d VRPs too many %v, %d missing %v", len(extra), extra[:min(3, len(extra))], len(missing), missing[:min(3, len(missing))])
}

// holder is one of a registry's, with what it holds and authorises.
type holder struct {
	handle, registry string
	spans            []delegated.Span
	asns             []uint64
	vrps             []vrp
	routes           []delegated.Announcement // all that are announced within what it holds, also those that cannot be authorised
}

// blocks is what it holds in prefixes.
func (h *holder) blocks() []netip.Prefix {
	var list []netip.Prefix
	for _, s := range h.spans {
		list = append(list, delegated.Prefixes(s.First, s.Last)...)
	}
	return list
}

// cutAt is a VRP as it stands when areas of its prefix have other holders than the rest: its parts in the areas, and what
// remains.
func cutAt(v vrp, areas []netip.Prefix) (in, out []vrp) {
	var parts []netip.Prefix
	for _, a := range areas {
		switch {
		case contains(a, v.prefix):
			return []vrp{v}, nil
		case contains(v.prefix, a):
			parts = append(parts, a)
		}
	}
	if len(parts) == 0 {
		return nil, []vrp{v}
	}
	slices.SortFunc(parts, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	part := func(p netip.Prefix) vrp { return vrp{p, max(v.maxLength, p.Bits()), v.asn} }
	from := v.prefix.Addr()
	for _, p := range parts {
		in = append(in, part(p))
		if from.Less(p.Addr()) {
			for _, rest := range delegated.Prefixes(from, p.Addr().Prev()) {
				out = append(out, part(rest))
			}
		}
		from = delegated.LastOf(p).Next()
	}
	if last := delegated.LastOf(v.prefix); from.IsValid() && from.Compare(last) <= 0 && v.prefix.Contains(from) {
		for _, rest := range delegated.Prefixes(from, last) {
			out = append(out, part(rest))
		}
	}
	return in, out
}

// need is a VRP that must never be missing: as such, or as part of the whole that it is cut from.
type need struct {
	vrp
	whole *vrp
	after *move // it comes with this one's finalisation; nil: it is there all the time
}

// world is what there is, what moves of it, and what therefore has to be seen.
type world struct {
	holders []*holder // by handle
	// what the program is given: the registries' files, and a CSV of what holders want authorised
	statistics []string
	intents    string

	// aspas is the ASPAs of all holders that have an AS and their CA here: "AS1=>AS2,AS3". They go along with what moves, and are there all the time.
	aspas []string

	moves  []*move
	before vrps // before anything moves
	others vrps // those of all of these that CAs elsewhere make
	needs  []need
	final  vrps // when all has come to rest
	routes []delegated.Announcement
}

// foresee computes what has to be seen.
func (w *world) foresee() {
	w.before, w.others, w.final, w.needs, w.routes = vrps{}, vrps{}, vrps{}, nil, nil
	moving := map[*holder]*move{}
	for _, m := range w.moves {
		if m.donor != nil {
			moving[m.donor] = m
		}
	}
	for _, h := range w.holders {
		m := moving[h]
		w.routes = append(w.routes, h.routes...)
		for _, v := range h.vrps {
			w.before[v] = true
			if m != nil && m.krill {
				w.others[v] = true
			}
			if m == nil || m.cancel {
				w.stays(v, nil)
				continue
			}
			in, out := cutAt(v, m.area)
			for _, part := range slices.Concat(in, out) {
				w.stays(part, &v)
			}
			if m.dispute && len(in)*len(out) > 0 {
				w.final[v] = true
			}
		}
	}
	for _, m := range w.moves {
		for _, v := range m.staged {
			if !m.cancel {
				w.final[v] = true
				w.needs = append(w.needs, need{vrp: v, after: m})
			}
		}
	}
}

func (w *world) stays(v vrp, whole *vrp) {
	w.final[v] = true
	w.needs = append(w.needs, need{vrp: v, whole: whole})
}

// missing is which of the needs a set does not meet, of a reader that began to fetch at some time; one that is kept on aged data
// need not have what has come since.
func (w *world) missing(seen vrps, began moment, aged bool) []need {
	var list []need
	for _, n := range w.needs {
		if seen[n.vrp] || n.whole != nil && seen[*n.whole] || n.after != nil && (aged || !n.after.over(began)) {
			continue
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(seen)), func(v vrp) bool { return v.covers(n.vrp) }) {
			list = append(list, n)
		}
	}
	return list
}

// name gives each holder whose CA is here an ASPA for the first of its AS numbers.
func (w *world) name() {
	elsewhere := map[*holder]bool{}
	for _, m := range w.moves {
		elsewhere[m.donor] = elsewhere[m.donor] || m.krill
	}
	for _, h := range w.holders {
		if line := h.aspa(); line != "" && !elsewhere[h] {
			w.aspas = append(w.aspas, line)
		}
	}
}

// aspa is the ASPA that a holder asks for; empty where it has no AS.
func (h *holder) aspa() string {
	if len(h.asns) == 0 || delegated.IsSpecial(h.asns[0]) {
		return ""
	}
	return fmt.Sprintf("AS%d=>AS3356,AS6453", h.asns[0])
}
