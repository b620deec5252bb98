package main

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cadastre/test/internal/delegated"
)

// file is a registry's own file, and what is announced within what it gave.
type file struct {
	registry, statistics, announcements string
	text                                []byte
	announced                           []delegated.Announcement
}

var files = []file{
	{registry: "afrinic", statistics: "delegated-afrinic-extended-20260505.gz", announcements: "afrinic-202606.csv.gz"},
	{registry: "lacnic", statistics: "delegated-lacnic-extended-20240106.gz", announcements: "lacnic-202606.csv.gz"},
}

// nir is the NIR below the second registry, and the country whose records are its.
const (
	nir        = "nic.br"
	nirCountry = "BR"
)

const bothTree = `[[organisation]]
handle = "iana"
kind = "root"

[[organisation]]
handle = "afrinic"
kind = "rir"
parent = "iana"

[[organisation]]
handle = "lacnic"
kind = "rir"
parent = "iana"

[[organisation]]
handle = "nic.br"
kind = "nir"
parent = "lacnic"
countries = ["BR"]
`

// mostRoutes is how many a holder of the share may have: one with thousands would be the whole of it.
const mostRoutes = 12

func readFiles(shared string) ([]file, error) {
	list := slices.Clone(files)
	for i := range list {
		f := &list[i]
		var err error
		if f.text, err = delegated.Unpack(filepath.Join(shared, "data", "registries", f.statistics)); err != nil {
			return nil, err
		}
		text, err := delegated.Unpack(filepath.Join(shared, "data", "announcements", f.announcements))
		if err != nil {
			return nil, err
		}
		if f.announced, err = delegated.ReadAnnouncements(text); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// registryOf is whose holder a record is of.
func (f *file) registryOf(fields []string) string {
	if f.registry == "lacnic" && fields[1] == nirCountry {
		return nir
	}
	return f.registry
}

func (f *file) handleOf(fields []string) string {
	return f.registryOf(fields) + "/" + strings.ToLower(fields[7])
}

// holders is all of a file by handle, with what they announce.
func (f *file) holders() (map[string]*holder, error) {
	all := map[string]*holder{}
	of := func(handle string) *holder {
		if all[handle] == nil {
			registry, _, _ := strings.Cut(handle, "/")
			all[handle] = &holder{handle: handle, registry: registry}
		}
		return all[handle]
	}
	addresses, err := delegated.ReadRegistry(f.text, f.handleOf)
	if err != nil {
		return nil, err
	}
	for _, s := range addresses {
		h := of(s.Holder)
		h.spans = append(h.spans, s)
	}
	for line := range strings.Lines(string(f.text)) {
		fields := strings.Split(strings.TrimSpace(line), "|")
		if !delegated.InUse(fields) || fields[2] != "asn" {
			continue
		}
		first, err1 := strconv.ParseUint(fields[3], 10, 32)
		count, err2 := strconv.ParseUint(fields[4], 10, 32)
		if err := cmp.Or(err1, err2); err != nil {
			return nil, err
		}
		h := of(f.handleOf(fields))
		for n := range count {
			h.asns = append(h.asns, first+n)
		}
	}
	for _, a := range f.announced {
		handle := addresses.HolderOf(a.Prefix)
		if handle == "" {
			continue
		}
		h := of(handle)
		h.routes = append(h.routes, a)
		if v := vrpOf(a); !delegated.IsSpecial(a.Origin) && !slices.Contains(h.vrps, v) {
			h.vrps = append(h.vrps, v)
		}
	}
	return all, nil
}

// share chooses so many holders of each file: half of them such that a part of what they have can move without harm to what
// is announced. It leaves the files with these alone.
func (r *run) share(list []file, n int) ([]*holder, error) {
	var chosen []*holder
	for i := range list {
		f := &list[i]
		all, err := f.holders()
		if err != nil {
			return nil, err
		}
		var divisible, others []*holder
		for _, h := range sorted(all) {
			if len(h.vrps) == 0 || len(h.routes) > mostRoutes || len(h.spans) == 0 || len(h.asns) > 20 || h.overlaps(chosen) {
				continue
			}
			if _, ok := h.part(); ok {
				divisible = append(divisible, h)
			} else {
				others = append(others, h)
			}
		}
		r.chance.Shuffle(len(divisible), func(i, j int) { divisible[i], divisible[j] = divisible[j], divisible[i] })
		r.chance.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		keep := map[string]bool{}
		for _, h := range slices.Concat(divisible[:min(n/2, len(divisible))], others[:min(n-n/2, len(others))]) {
			_, id, _ := strings.Cut(h.handle, "/")
			keep[id] = true
		}
		f.text = delegated.Cut(f.text, keep)
		if all, err = f.holders(); err != nil {
			return nil, err
		}
		chosen = append(chosen, sorted(all)...)
	}
	return chosen, nil
}

// cut leaves so many holders in a file, those first that announce something that they may.
func (r *run) cut(f *file, n int) error {
	all, err := f.holders()
	if err != nil {
		return err
	}
	var first, others []string
	for _, h := range sorted(all) {
		_, id, _ := strings.Cut(h.handle, "/")
		switch {
		case h.registry != f.registry || len(h.spans) == 0 || len(h.asns) > 20 || all[nir+"/"+id] != nil:
		case len(h.vrps) > 0:
			first = append(first, id)
		default:
			others = append(others, id)
		}
	}
	r.chance.Shuffle(len(first), func(i, j int) { first[i], first[j] = first[j], first[i] })
	keep := map[string]bool{}
	for _, id := range slices.Concat(first, others) {
		if len(keep) < n {
			keep[id] = true
		}
	}
	f.text = delegated.Cut(f.text, keep)
	return nil
}

// sorted is holders by handle.
func sorted(all map[string]*holder) []*holder {
	return slices.SortedFunc(maps.Values(all), func(a, b *holder) int { return cmp.Compare(a.handle, b.handle) })
}

// overlaps tells whether something of a holder is another's: two registries' files are of different days.
func (h *holder) overlaps(others []*holder) bool {
	for _, o := range others {
		for _, a := range h.spans {
			for _, b := range o.spans {
				if a.First.BitLen() == b.First.BitLen() && !a.Last.Less(b.First) && !b.Last.Less(a.First) {
					return true
				}
			}
		}
		if slices.ContainsFunc(h.asns, func(asn uint64) bool { return slices.Contains(o.asns, asn) }) {
			return true
		}
	}
	return false
}

// division is a part of a block that can move, and a VRP over more than the part, by which the part's announcements are valid.
type division struct {
	part     netip.Prefix
	straddle vrp
}

// part finds one: the largest part of a block with an announcement in it, such that none is announced with more than it.
func (h *holder) part() (division, bool) {
	best := division{}
	for _, block := range h.blocks() {
		for _, v := range h.vrps {
			if !contains(block, v.prefix) || block == v.prefix {
				continue
			}
			for bits := block.Bits() + 1; bits <= v.prefix.Bits(); bits++ {
				p := netip.PrefixFrom(v.prefix.Addr(), bits).Masked()
				if slices.ContainsFunc(h.routes, func(a delegated.Announcement) bool { return a.Prefix != p && contains(a.Prefix, p) }) {
					continue
				}
				if !best.part.IsValid() || best.part.Addr().Is6() && p.Addr().Is4() || p.Bits() < best.part.Bits() && p.Addr().Is4() == best.part.Addr().Is4() {
					longest := v.prefix.Bits()
					for _, w := range h.vrps {
						if w.asn == v.asn && contains(p, w.prefix) {
							longest = max(longest, w.prefix.Bits())
						}
					}
					best = division{p, vrp{netip.PrefixFrom(p.Addr(), bits-1).Masked(), longest, v.asn}}
				}
				break
			}
		}
	}
	return best, best.part.IsValid()
}

// write puts the files of the share, and the VRPs that CAs here make as intents, where the program can read them.
func (r *run) write(list []file, w *world) (statistics []string, intents string, err error) {
	for _, f := range list {
		path := r.path("delegated-" + f.registry)
		if err := os.WriteFile(path, f.text, 0o600); err != nil {
			return nil, "", err
		}
		statistics = append(statistics, path)
	}
	var rows strings.Builder
	for _, h := range w.holders {
		for _, v := range h.vrps {
			if w.others[v] {
				continue
			}
			fmt.Fprintf(&rows, "%s,AS%d,%d\n", v.prefix, v.asn, v.maxLength)
		}
	}
	intents = r.path("intents.csv")
	return statistics, intents, os.WriteFile(intents, []byte(rows.String()), 0o600)
}
