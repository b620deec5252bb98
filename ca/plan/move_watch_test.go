package plan

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"cadastre/aspa"
	"cadastre/ca/issued"
	"cadastre/internal/inr"
	"cadastre/roa"
)

// shown is what a publication point shows: a folder, with what each key that has its manifest there lists. It is not changed.
type shown map[string]*listed

type listed struct {
	certificates map[signer]inr.Set // by who is certified
	roas         []roa.VRP          // sorted
	aspas        map[uint32]aspa.VAP
}

// signer is a key, and the point where its manifest is.
type signer struct{ point, key string }

func (s shown) equal(o shown) bool {
	return maps.EqualFunc(s, o, func(a, b *listed) bool {
		return slices.Equal(a.roas, b.roas) && maps.EqualFunc(a.aspas, b.aspas, func(v, w aspa.VAP) bool { return v.Compare(w) == 0 }) && maps.EqualFunc(a.certificates, b.certificates, inr.Set.Equal)
	})
}

// version is what a point showed from one moment on; nil where there was none.
type version struct {
	from time.Time
	shown
}

// watch is what all publication points of some worlds showed and when, of which a reader may hold, of each point by itself,
// any version that was current within the soak.
type watch struct {
	soak   time.Duration
	worlds []*world
	points map[string][]version
	order  []string // points, those above first
	chance *rand.Rand
	looked int // readings that were looked at
}

func newWatch(soak time.Duration, seed uint64, worlds ...*world) *watch {
	return &watch{soak: soak, worlds: worlds, points: map[string][]version{}, chance: rand.New(rand.NewPCG(seed, 1))}
}

// signer names an authority's key and folder. One that ended and came again has another key.
func (o *watch) signer(w *world, authority issued.Name) signer {
	return signer{fmt.Sprintf("%d:%s", slices.Index(o.worlds, w), authority.Holder), fmt.Sprintf("%x", w.issued[authority].KeyID[16:])}
}

// see notes what the folders of some organisations show now.
func (o *watch) see(w *world, holders ...string) {
	for _, holder := range holders {
		s := shown{}
		for _, authority := range w.have(holder) {
			l := &listed{certificates: map[signer]inr.Set{}, aspas: map[uint32]aspa.VAP{}}
			for _, p := range w.issued[authority].Products {
				switch says := p.Says.(type) {
				case issued.Name:
					l.certificates[o.signer(w, says)] = w.issued[says].Certified
				case roa.VRP:
					l.roas = append(l.roas, says)
				case aspa.VAP:
					l.aspas[says.Customer] = says
				}
			}
			l.roas = roa.Unique(l.roas)
			s[o.signer(w, authority).key] = l
		}
		o.add(fmt.Sprintf("%d:%s", slices.Index(o.worlds, w), holder), s, w.now)
	}
}

func (o *watch) add(point string, s shown, now time.Time) {
	list := o.points[point]
	if list == nil {
		list = []version{{}} // before that, nothing
		o.order = append(o.order, point)
	}
	if !list[len(list)-1].equal(s) {
		list = append(list, version{now, s})
	}
	for len(list) > 1 && !list[1].from.After(now.Add(-o.soak)) {
		list = list[1:]
	}
	o.points[point] = list
}

// forget has all readers be up to date.
func (o *watch) forget() {
	for point, list := range o.points {
		o.points[point] = list[len(list)-1:]
	}
}

// held is the versions of each point that a reader may hold at a moment: those that were replaced within the soak, and that
// which is there now.
func (o *watch) held(now time.Time) map[string][]version {
	held := map[string][]version{}
	for point, list := range o.points {
		first := 0
		for first < len(list)-1 && !list[first+1].from.After(now.Add(-o.soak)) {
			first++
		}
		held[point] = list[first:]
	}
	return held
}

// mixtures goes through what readers may hold: all combinations where these are few, else the extremes and some by chance.
func (o *watch) mixtures(now time.Time, yield func(map[string]shown) error) error {
	held := o.held(now)
	var open []string
	combinations, state := 1, map[string]shown{}
	for _, point := range o.order {
		list := held[point]
		state[point] = list[len(list)-1].shown
		if len(list) > 1 {
			open = append(open, point)
			combinations = min(combinations*len(list), 1<<20)
		}
	}
	try := func(pick func(i, n int) int) error {
		for i, point := range open {
			state[point] = held[point][pick(i, len(held[point]))].shown
		}
		o.looked++
		return yield(state)
	}
	if combinations <= 96 {
		for code := range combinations {
			if err := try(func(_, n int) int {
				k := code % n
				code /= n
				return k
			}); err != nil {
				return err
			}
		}
		return nil
	}
	for at := range open {
		for _, pick := range []func(i, n int) int{
			func(i, n int) int { return only(i == at, n) }, func(i, n int) int { return only(i != at, n) }, // one alone is new, or old
			func(i, n int) int { return only(i < at, n) }, func(i, n int) int { return only(i >= at, n) }, // what is above is
		} {
			if err := try(pick); err != nil {
				return err
			}
		}
	}
	for range 32 {
		if err := try(func(_, n int) int { return o.chance.IntN(n) }); err != nil {
			return err
		}
	}
	return nil
}

// only is the newest of n versions, or the oldest.
func only(newest bool, n int) int {
	if newest {
		return n - 1
	}
	return 0
}

// read is what a strict reader makes of a state (RFC 6487): a certificate that claims too much is not valid, nor is anything
// below it; a ROA or an ASPA that does falls alone.
func (o *watch) read(state map[string]shown) ([]roa.VRP, providers) {
	var vrps []roa.VRP
	found := providers{}
	var walk func(at signer, certified inr.Set)
	walk = func(at signer, certified inr.Set) {
		s := state[at.point][at.key]
		if s == nil {
			return
		}
		for _, v := range s.roas {
			if certified.ContainsPrefix(v.Prefix) {
				vrps = append(vrps, v)
			}
		}
		for _, v := range s.aspas {
			if certified.Contains(v.Resources()) {
				found.add(v)
			}
		}
		for child, resources := range s.certificates {
			if certified.Contains(resources) {
				walk(child, resources)
			}
		}
	}
	for _, w := range o.worlds {
		walk(o.signer(w, issued.Anchor), inr.Everything())
	}
	return roa.Unique(vrps), found
}

// announcement is a route as it is announced.
type announcement struct {
	prefix netip.Prefix
	origin uint32
}

func (a announcement) String() string { return fmt.Sprintf("%s from AS%d", a.prefix, a.origin) }

// validity is that of an announcement (RFC 6811, section 2).
type validity int

const (
	notFound validity = iota
	valid
	invalid
)

func (v validity) String() string { return []string{"not found", "valid", "invalid"}[v] }

func encloses(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

func (a announcement) under(vrps []roa.VRP) validity {
	state := notFound
	for _, v := range vrps {
		if !encloses(v.Prefix, a.prefix) {
			continue
		}
		if v.ASN == a.origin && a.origin != 0 && a.prefix.Bits() <= v.MaxLength {
			return valid
		}
		state = invalid
	}
	return state
}

// implied tells whether some VRPs authorise all that another does.
func implied(v roa.VRP, by []roa.VRP) bool {
	for _, w := range by {
		if w.ASN == v.ASN && encloses(w.Prefix, v.Prefix) && w.MaxLength >= v.MaxLength {
			return true
		}
	}
	return false
}
