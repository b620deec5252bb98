package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/intents"
	"cadastre/roa"
)

// deal is a transfer in the model: what its parties agreed on, and how far it has come.
type deal struct {
	kind         holdings.TransferKind
	donor, taker *village // the same, where one installation has both
	from, to     string
	resources    inr.Set
	staged       []roa.VRP     // the recipient's own set, of a new holder
	bridge       time.Duration // for how long the donor's stays beside that

	ids    map[*village]uint64
	state  holdings.TransferState
	agreed []roa.Intent // what the recipient's side is to have
	aspas  []intents.Object
	seen   time.Time // since when it is published
	parked bool      // disputed
}

// model runs transfers as the state machine does, in installations without cryptography, and has each state of each
// publication point looked at by readers of all kinds.
type model struct {
	villages  []*village
	watch     *watch
	wants     map[*village]map[string][]roa.Intent          // what holders want, as agreed
	aspas     map[*village]map[string]map[uint32]wantedASPA // likewise, the ASPAs
	promises  []promise
	announced []announcement
	deals     []*deal
	later     time.Time     // when a plan wants to be made again
	limit     int           // of keys in a batch
	nap       time.Duration // plans are made again after that at the latest
	mutation  mutation
	trace     func(string, ...any) // what is told of a run that fails
}

// mutation is what a model does wrong.
type mutation struct {
	unsoaked   bool                          // plans do not know of the soak
	together   bool                          // plans take a repository for one point, of transfers too
	hasty      bool                          // finalised as soon as the recipient's side is published
	blind      bool                          // finalised before it is
	mirrorless bool                          // nothing of what was agreed is brought
	unstaged   bool                          // next keys issue as soon as they are certified
	forget     func(*issued.Records)         // what is forgotten of an authority
	midway     func(m *model, d *deal) error // something happens while a transfer soaks
}

func newModel(soak time.Duration, seed uint64, villages ...*village) *model {
	m := &model{villages: villages, wants: map[*village]map[string][]roa.Intent{}, limit: BatchKeys, nap: 24 * time.Hour, trace: func(string, ...any) {}}
	var worlds []*world
	for _, v := range villages {
		v.policy.Soak = soak
		worlds = append(worlds, v.world)
	}
	m.watch = newWatch(soak, seed, worlds...)
	return m
}

func (m *model) now() time.Time { return m.villages[0].now }

func (m *model) wait(d time.Duration) {
	for _, v := range m.villages {
		v.now = v.now.Add(d)
	}
}

// begin takes what the books say for what was agreed so far, once all is published and every reader has it. Until then
// nobody looks.
func (m *model) begin() error {
	if err := m.rest(); err != nil {
		return err
	}
	m.wait(m.watch.soak)
	for _, v := range m.villages {
		m.wants[v] = map[string][]roa.Intent{}
		for _, handle := range v.Organisations() {
			m.wants[v][handle] = slices.Clone(v.book.Of(handle))
		}
		names := slices.SortedFunc(slices.Values(v.all()), func(a, b string) int { return v.level(a) - v.level(b) })
		m.watch.see(v.world, names...)
	}
	m.asked()
	m.watch.forget()
	m.promise(true)
	return m.look()
}

func (v *village) level(name string) int {
	if name == issued.AnchorHolder {
		return -1
	}
	return v.Ledger.Depth(name)
}

// blinkered is a world as a planner with a mutation sees it.
type blinkered struct {
	*world
	mutation
}

func (b blinkered) Moving(name issued.Name) bool { return !b.together && b.world.Moving(name) }

// work plans in all installations and carries out the plans, of each at most so many batches. It tells whether anything was
// left to do.
func (m *model) work(atMost int) (busy bool, err error) {
	m.later = time.Time{}
	for _, v := range m.villages {
		policy := v.policy
		if m.mutation.unsoaked {
			policy.Soak = 0
		}
		m.later = issued.Sooner(m.turn(v), m.later)
		waves, later := Make(blinkered{v.world, m.mutation}, &policy, v.all(), v.now)
		for _, off := range later {
			m.later = issued.Sooner(off.At, m.later)
		}
		if len(waves) > 0 {
			m.trace("%s: %s", m.now().Sub(noon), strings.Join(outline(waves), "\n\t"))
		}
		done := 0
		for _, w := range waves {
			for _, updates := range w.Chunks(m.limit) {
				busy = true
				if done++; done > atMost {
					break
				}
				v.doBatch(updates)
				if m.mutation.forget != nil {
					for _, is := range v.issued {
						m.mutation.forget(is)
					}
				}
				for _, u := range updates {
					m.watch.see(v.world, u.Name.Holder)
					for _, name := range u.Revoke {
						m.watch.see(v.world, name.Holder)
					}
				}
				if err := m.look(); err != nil {
					return false, fmt.Errorf("in wave %s %d: %w", w.Step, w.Depth, err)
				}
				m.wait(time.Second)
			}
		}
	}
	return busy, m.progress()
}

// rest works until nothing is left to do, as time goes by, but for what transfers wait for.
func (m *model) rest() error {
	for range 400 {
		busy, err := m.work(1 << 20)
		if err != nil {
			return err
		}
		if !busy && m.later.IsZero() {
			return nil
		}
		if !busy {
			m.until(issued.Earlier(m.later, m.now().Add(m.nap)))
		}
	}
	return fmt.Errorf("there is no end to the plans; they want to be made again at %s, and it is %s", m.later.Sub(noon), m.now().Sub(noon))
}

func (m *model) until(at time.Time) {
	if at.After(m.now()) {
		m.wait(at.Sub(m.now()))
	}
	m.lapse()
}

// lapse ends what was to last until now, and has key rolls go on.
func (m *model) lapse() {
	for _, v := range m.villages {
		v.must(v.want(v.book.End(v.now)))
		m.turn(v)
	}
}

// turn has key rolls go on, and says when the next may.
func (m *model) turn(v *village) time.Time {
	soak := v.policy.Soak
	if m.mutation.unstaged {
		v.policy.Soak = 0
	}
	defer func() { v.policy.Soak = soak }()
	return v.turn()
}

// progress notes what transfers wait for, where it has come.
func (m *model) progress() error {
	for _, d := range m.deals {
		switch {
		case d.state == holdings.Accepted && d.seen.IsZero() && m.stands(d):
			d.seen = m.now()
			if m.mutation.midway != nil {
				return m.mutation.midway(m, d)
			}
		case d.state.Over():
			for v, id := range d.ids {
				if t := v.Transfer(id); t.Released.IsZero() && v.clear(t) {
					v.must(v.decide(v.Release(v.by(), []uint64{id})))
				}
			}
		}
	}
	return nil
}

// stands is as Engine.Stands.
func (m *model) stands(d *deal) bool {
	v := d.taker
	for _, leg := range v.Transfer(d.ids[v]).Legs {
		for at := v.active(leg.To); at != issued.Anchor; at = v.Parent(at) {
			if is := v.issued[at]; is == nil || !is.Certified.Contains(leg.Resources) {
				return false
			}
		}
	}
	for _, in := range d.brings(v.now) {
		says, _ := roa.Authorised(in, v.Holding(in.Holder))
		for _, vrp := range says {
			is := v.issued[v.active(in.Holder)]
			said := func(name string) bool { return is.Products[name].Says == issued.Says(vrp) }
			if !m.mutation.mirrorless && !slices.ContainsFunc(is.ObjectNames(), said) {
				return false
			}
		}
	}
	return m.standASPAs(d)
}

// clear is as Engine.Clear, of the side that lost.
func (v *village) clear(t *holdings.Transfer) bool {
	giving, taking := v.Involved(t)
	if t.State == holdings.Cancelled {
		giving = taking
	}
	for _, holder := range giving {
		for _, authority := range v.have(holder) {
			if v.issued[authority].Certified.Overlaps(t.Resources.Minus(v.Holding(holder))) {
				return false
			}
		}
	}
	return true
}
