package plan

import (
	"fmt"
	"slices"
	"time"

	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/roa"
)

// promise is what ledger and agreements let readers count on from one moment on. It is computed beside the book, so that what
// the book forgets is missed.
type promise struct {
	from    time.Time
	vrps    []roa.VRP // of those who hold for good: of these
	lasting []roa.VRP // what somebody asked for
	ending  []roa.VRP // what somebody asked for until a time
	parts   []roa.VRP // what nobody asked for: parts of what is authorised as a whole, because others hold the rest
	coming  []roa.VRP // besides, of those to whom something is on its way
	aspas   providers
}

// add has an intent say something.
func (p *promise) add(in roa.Intent, says []roa.VRP) {
	p.vrps = append(p.vrps, says...)
	for _, s := range says {
		switch {
		case s.MaxLength > in.MaxLength:
			p.parts = append(p.parts, s)
		case in.Until.IsZero():
			p.lasting = append(p.lasting, s)
		default:
			p.ending = append(p.ending, s)
		}
	}
}

func (p *promise) sort() {
	for _, list := range []*[]roa.VRP{&p.vrps, &p.lasting, &p.ending, &p.parts, &p.coming} {
		*list = roa.Unique(*list)
	}
}

// decided is how long what was decided may take to be published, besides soaks.
const decided = 5 * time.Minute

// settled is what an organisation holds for good.
func settled(l *holdings.Ledger, handle string) inr.Set {
	if handle == l.Root() {
		return l.Holding(handle)
	}
	var held []inr.Set
	for _, d := range l.Delegations(handle) {
		if !d.Incoming {
			held = append(held, d.Resources)
		}
	}
	return inr.Sum(held...)
}

// certain is what of an intent can be counted on. While a part of its prefix is on its way, what stands is so only as far as
// the whole will be: an announcement of a part by itself, that its holder did not ask for, is its holder's to stop.
func (v *village) certain(in roa.Intent) []roa.VRP {
	has := settled(v.Ledger, in.Holder)
	says, _ := roa.Authorised(in, has)
	if v.Holding(in.Holder).Minus(has).Overlaps(inr.OfPrefix(in.Prefix)) {
		says = slices.DeleteFunc(says, func(s roa.VRP) bool { return s.MaxLength > in.MaxLength })
	}
	return says
}

// promised is what can be counted on from now on.
func (m *model) promised() promise {
	p := promise{from: m.now(), aspas: m.promisedASPAs()}
	for _, v := range m.villages {
		for _, handle := range v.Organisations() {
			for _, in := range m.wants[v][handle] {
				if hasEnded(in, v.now) {
					continue
				}
				p.add(in, v.certain(in))
				says, _ := roa.Authorised(in, v.Holding(handle))
				p.coming = append(p.coming, says...)
			}
		}
	}
	for _, d := range m.deals {
		if d.state != holdings.Accepted {
			continue
		}
		for _, in := range d.brings(m.now()) {
			says, _ := roa.Authorised(in, d.taker.Holding(in.Holder))
			p.coming = append(p.coming, says...)
		}
	}
	p.sort()
	return p
}

// promise notes what can be counted on now. With fresh, nobody counts on anything from before.
func (m *model) promise(fresh bool) {
	p := m.promised()
	if fresh {
		m.promises = []promise{p}
		return
	}
	if last := m.promises[len(m.promises)-1]; !slices.Equal(last.vrps, p.vrps) || !slices.Equal(last.coming, p.coming) || !last.aspas.equal(p.aspas) {
		m.promises = append(m.promises, p)
	}
	for len(m.promises) > 1 && !m.promises[1].from.After(m.now().Add(-m.watch.soak-decided)) {
		m.promises = m.promises[1:]
	}
}

// demand is what a reader must find whatever versions it holds.
type demand struct {
	vrps       []roa.VRP      // these, or what authorises all that they do
	valid      []announcement // these are valid
	notInvalid []announcement
}

// demanded is what was promised all along since before the oldest version that a reader holds was replaced.
func (m *model) demanded() demand {
	var d demand
	latest := m.promises[len(m.promises)-1]
	always := func(hold func(promise) bool) bool {
		return !slices.ContainsFunc(m.promises, func(p promise) bool { return !hold(p) })
	}
	// counted tells whether something that promises hold is counted on. That one intent says what another said until then is chance
	// where that was to end, and where nobody asked for it.
	counted := func(hold func([]roa.VRP) bool) bool {
		return always(func(p promise) bool {
			switch {
			case !hold(p.vrps):
				return false
			case hold(latest.ending):
				return true
			case hold(latest.lasting):
				return hold(p.lasting) || hold(p.parts)
			default:
				return hold(p.parts)
			}
		})
	}
	for _, v := range latest.vrps {
		if counted(func(list []roa.VRP) bool { return implied(v, list) }) {
			d.vrps = append(d.vrps, v)
		}
	}
	for _, a := range m.announced {
		switch {
		case counted(func(list []roa.VRP) bool { return a.under(list) == valid }):
			d.valid = append(d.valid, a)
		case always(func(p promise) bool { return a.under(p.vrps) == notFound && a.under(p.coming) == notFound }):
			d.notInvalid = append(d.notInvalid, a)
		}
	}
	return d
}

// look checks all that readers may hold now against what they must find.
func (m *model) look() error {
	if m.promises == nil {
		return nil
	}
	m.promise(false)
	d, aspas := m.demanded(), m.demandedASPAs()
	return m.watch.mixtures(m.now(), func(state map[string]shown) error {
		vrps, found := m.watch.read(state)
		if missing := aspas.misses(found); missing != "" {
			return fmt.Errorf("a reader misses %s (%s); it has %v", missing, m.describe(state), found)
		}
		for _, v := range d.vrps {
			if _, there := slices.BinarySearchFunc(vrps, v, roa.VRP.Compare); !there && !implied(v, vrps) {
				return fmt.Errorf("a reader misses %s (%s); it has %v", v, m.describe(state), roa.Lines(vrps))
			}
		}
		for _, a := range d.valid {
			if got := a.under(vrps); got != valid {
				return fmt.Errorf("for a reader %s is %s, and was valid (%s)", a, got, m.describe(state))
			}
		}
		for _, a := range d.notInvalid {
			if a.under(vrps) == invalid {
				return fmt.Errorf("for a reader %s is invalid, and was not found (%s); it has %v", a, m.describe(state), roa.Lines(vrps))
			}
		}
		return nil
	})
}

// describe says which points a reader holds an old version of.
func (m *model) describe(state map[string]shown) string {
	var old []string
	for _, point := range m.watch.order {
		if list := m.watch.points[point]; !list[len(list)-1].equal(state[point]) {
			old = append(old, point)
		}
	}
	return fmt.Sprintf("at %s, with %v as before", m.now().Sub(noon), old)
}

// agreedKeeps says what the finalisation of a transfer costs that the parties did not agree to: of what was promised before,
// announcements in what moves of one holder's business, and all announcements outside it. What a recipient's own intents say
// when they are whole again is its own wish.
func (m *model) agreedKeeps(d *deal, before, after promise) error {
	for _, a := range m.announced {
		of := inr.OfPrefix(a.prefix)
		inside, apart := d.resources.Contains(of), !d.resources.Overlaps(of)
		if !apart && !(inside && d.kind.SameHolder()) || a.under(before.vrps) != valid {
			continue
		}
		if got := a.under(after.vrps); got != valid {
			return fmt.Errorf("transfer of %s by %s to %s: %s would be %s, and was valid", d.resources, d.from, d.to, a, got)
		}
	}
	return nil
}
