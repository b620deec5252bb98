package moves

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/roa"
)

// StartHandoff begins a handoff. It needs the code of its plan. It fails as PlanHandoff does, and with Refused where the code is missing
// or belongs to another plan.
func (m *Mover) StartHandoff(by holdings.By, q HandoffRequest) (*HandoffStatus, error) {
	identities := m.engine.DelegatedIdentities()
	var id uint64
	_, err := m.engine.Decide(ca.Consent{Unbraked: true}, func(l *holdings.Ledger, b *roa.Book) (*holdings.Outcome, *roa.Outcome, error) {
		p, err := planHandoff(l, b, identities, q, m.engine.Code)
		switch {
		case err != nil:
			return nil, nil, err
		case q.Code == "":
			return nil, nil, fault.New(fault.Refused, "look at the plan with 'cadastre handoff plan', then start it with --code %s", p.Code)
		case q.Code != p.Code:
			return nil, nil, fault.New(fault.Refused, "the code %s belongs to another plan; look at it again, then start it with --code %s", q.Code, p.Code)
		}
		o, err := l.InitiateAll(by, p.beginnings(l), by.Reason)
		if err == nil {
			id = o.Transfers[0].ID
		}
		return o, &roa.Outcome{}, err
	})
	if err != nil {
		return nil, err
	}
	m.poke()
	return m.Handoff(id)
}

// beginnings lists the registry's own transfer and, for a handoff from a deposit, the transfers of its holders. Otherwise the holders
// are found in the ledger, batch after batch.
func (p *HandoffPlan) beginnings(l *holdings.Ledger) []holdings.Beginning {
	own := p.beginning(l)
	own.Transfer.Ref = newRef()
	list := []holdings.Beginning{own}
	if !own.Transfer.Handoff.Escrow {
		return list
	}
	for i, r := range p.snapshot.Holders {
		legs := renamed(r.Legs, p.Holders[i].To, p.To)
		list = append(list, holdings.Beginning{
			Transfer: holdings.Transfer{
				Ref: newRef(), Kind: holdings.Handoff, To: legs[0].To, Elsewhere: r.Holder, FromRegistry: p.Registry, ToRegistry: p.To,
				Resources: legs[0].Resources, Legs: legs, Carried: r.Routes, CarriedObjects: r.Objects, Soak: p.Soak, Within: l.NextTransfer(),
			},
			Recipient: legs[0].New,
		})
	}
	return list
}

func newRef() string { return strings.ToLower(rand.Text()) }

// renamed makes legs for organisations that are not in this ledger yet. The first gets the handle to, below the registry. The others
// get handles below it, in the same tree as before.
func renamed(legs []holdings.Leg, to, registry string) []holdings.Leg {
	names, taken := map[string]string{legs[0].From: to}, map[string]bool{to: true}
	out := make([]holdings.Leg, len(legs))
	for i, leg := range legs {
		if leg.To = to; i == 0 {
			leg.New.Parent = registry
		} else {
			leg.New.Parent = names[leg.New.Parent]
			leg.To = free(leg.New.Parent+"/"+lastPart(leg.From), taken)
			names[leg.From] = leg.To
		}
		leg.From, leg.New.Handle = "", leg.To
		out[i] = leg
	}
	return out
}

func lastPart(handle string) string { return handle[strings.LastIndexByte(handle, '/')+1:] }

// free is a name that is not taken: base, with a number if that is needed.
func free(base string, taken map[string]bool) string {
	name := base
	for i := 2; taken[name]; i++ {
		name = fmt.Sprintf("%s-%d", base, i)
	}
	taken[name] = true
	return name
}

// crew is the state of the holders' transfers of a handoff.
type crew struct {
	waiting  []uint64             // initiated: it is not their turn yet
	starting []*holdings.Transfer // accepted, and the recipient's side is not seen yet
	open     int                  // begun and not done
	last     time.Time            // when the newest batch began
	leftOut  map[string]bool      // holders whose transfer was cancelled since the handoff was last resumed
	left     []string             // holders that have no transfer yet
}

// crewOf reads the transfers within a handoff.
func crewOf(l *holdings.Ledger, t *holdings.Transfer) crew {
	c := crew{leftOut: map[string]bool{}}
	again := t.When(holdings.StepLetGo)
	for _, w := range l.Within(t.ID) {
		switch {
		case w.State == holdings.Initiated:
			if c.open++; w.Disputed == "" {
				c.waiting = append(c.waiting, w.ID)
			}
			continue
		case w.State == holdings.Accepted && w.Seen.IsZero():
			c.starting = append(c.starting, w)
		case w.State == holdings.Cancelled && w.DonorHere() && w.When(holdings.StepCancelled).After(again):
			c.leftOut[w.From] = true
		}
		if !w.Done() {
			c.open++
		}
		if at := w.When(holdings.StepAccepted); at.After(c.last) {
			c.last = at
		}
	}
	return c
}

// lookAtHandoff finds what is next in a handoff whose successor is seen to hold all that the registry holds: the next batch of holders,
// and, when all of them have moved, the finalisation of the registry's own transfer.
func (m *Mover) lookAtHandoff(t *holdings.Transfer, now time.Time, ready *dueSteps) (time.Time, error) {
	var c crew
	refused := m.refusedOf(t.ID)
	if err := m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		c = crewOf(l, t)
		if !t.Handoff.Escrow {
			c.left = m.unmoved(l, t, c.leftOut)
		}
		return nil
	}); err != nil {
		return time.Time{}, err
	}
	left := slices.DeleteFunc(slices.Clone(c.left), func(h string) bool { return refused[h] != "" })
	starting := len(slices.DeleteFunc(c.starting, m.elsewhere))
	next := c.last.Add(t.Handoff.Pace.Duration())
	switch {
	case len(c.waiting)+len(left) == 0:
	case starting > t.Handoff.Batch/2:
		m.noteWaiting(t, holdings.Waiting{For: needBatch, Number: starting})
		return now.Add(lookEvery), nil
	case now.Before(next):
		m.noteWaiting(t, holdings.Waiting{For: needPace})
		return next, nil
	case len(c.waiting) > 0:
		ready.accept = append(ready.accept, c.waiting[:min(len(c.waiting), t.Handoff.Batch)]...)
		return time.Time{}, nil
	default:
		return now, m.beginBatch(t, left[:min(len(left), t.Handoff.Batch)])
	}
	switch {
	case c.open > 0:
		m.noteWaiting(t, holdings.Waiting{For: needOnTheirWay, Number: c.open})
	case len(c.left)+len(c.leftOut) > 0:
		m.noteWaiting(t, holdings.Waiting{For: needLeftOut, Number: max(len(c.left), len(c.leftOut))})
	case now.Before(t.Soaked()):
		return t.Soaked(), nil
	default:
		ready.finalise = append(ready.finalise, t.ID)
	}
	return time.Time{}, nil
}

// unmoved lists the holders of a registry that have no transfer under way, without those in leftOut.
func (m *Mover) unmoved(l *holdings.Ledger, t *holdings.Transfer, leftOut map[string]bool) []string {
	busy := map[string]bool{}
	for _, w := range l.Within(t.ID) {
		if !w.State.Over() {
			busy[w.From] = true
		}
	}
	return slices.DeleteFunc(l.HoldersOf(t.From), func(h string) bool { return busy[h] || leftOut[h] })
}

// elsewhere tells whether some holder of a transfer has its CA elsewhere.
func (m *Mover) elsewhere(t *holdings.Transfer) bool {
	return slices.ContainsFunc(t.Legs, func(leg holdings.Leg) bool {
		_, yes := m.engine.Delegated(leg.To)
		return yes || leg.CA != nil
	})
}

// beginBatch begins the transfers of some holders in one decision. If that is refused, it begins them one by one; a holder that is
// refused is left out until the handoff is resumed.
func (m *Mover) beginBatch(t *holdings.Transfer, holders []string) error {
	by := holdings.By{Who: Self, Reason: fmt.Sprintf("handoff %d of %s to %s", t.ID, t.FromRegistry, t.ToRegistry), Time: time.Now()}
	begin := func(holders []string) error {
		_, err := m.engine.Decide(ca.Consent{Unbraked: true}, ca.OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) {
			names := naming{ledger: l, under: t.ToRegistry, taken: map[string]bool{}}
			var list []holdings.Beginning
			for _, h := range holders {
				list = append(list, holdings.Beginning{
					Transfer: holdings.Transfer{
						Ref: newRef(), Kind: holdings.Handoff, From: h, To: names.of(h), FromRegistry: l.Registry(h), ToRegistry: t.ToRegistry,
						Resources: l.InTree(h), Soak: t.Soak, Within: t.ID,
					},
					Recipient: holdings.Organisation{Parent: t.ToRegistry},
				})
			}
			return l.InitiateAll(by, list, "")
		}))
		return err
	}
	err := begin(holders)
	if err == nil || !own(err) {
		return err
	}
	for _, h := range holders {
		if err := begin([]string{h}); err != nil {
			if !own(err) {
				return err
			}
			m.refuse(t.ID, h, err)
		}
	}
	return nil
}

// own tells whether an error is about the one transfer, so that other transfers may go on.
func own(err error) bool {
	switch fault.KindOf(err) {
	case fault.BadInput, fault.NotFound, fault.NotHeld, fault.Conflict:
		return true
	default:
		return false
	}
}

func (m *Mover) refuse(handoff uint64, holder string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refused[handoff] == nil {
		m.refused[handoff] = map[string]string{}
	}
	m.refused[handoff][holder] = err.Error()
	m.log.Error("a holder's transfer can't begin and is left out until the handoff is resumed", "handoff", handoff, "holder", holder, "error", err)
}

// refusedOf lists the holders of a handoff whose transfers could not begin, and why.
func (m *Mover) refusedOf(handoff uint64) map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.refused[handoff])
}

// PauseHandoff pauses a registry's newest handoff, or with pause false resumes it; without a registry, the newest handoff of all. While
// it is paused no further batch begins; holders that are on their way go on. To resume also tries again the holders that were left out.
// It fails with NotFound where there is no handoff, and with Conflict where it is over.
func (m *Mover) PauseHandoff(by holdings.By, registry string, pause bool) (*HandoffStatus, error) {
	var id uint64
	// a handoff that was not paused can be resumed, too: it then tries again those that were left out
	if err := m.decide(func(l *holdings.Ledger) (_ *holdings.Outcome, err error) {
		if id, err = newestHandoff(l, registry); err != nil {
			return nil, err
		}
		return l.Hold(by, id, pause, by.Reason)
	}); err != nil {
		return nil, err
	}
	if !pause {
		m.mu.Lock()
		delete(m.refused, id)
		m.mu.Unlock()
		m.poke()
	}
	return m.Handoff(id)
}
