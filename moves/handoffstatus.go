package moves

import (
	"cmp"
	"time"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/roa"
)

// HandoffStatus is the status of a handoff.
type HandoffStatus struct {
	Transfer Status `json:"transfer"` // the registry's own
	Holders  int    `json:"holders"`  // in all
	Done     int    `json:"done"`     // moved: nothing of them is left below the registry
	UnderWay int    `json:"under_way"`
	Left     int    `json:"left"` // have not begun
	Paused   bool   `json:"paused,omitempty"`
	// Waits is what each holder on its way waits for; the first 200 holders where there are more.
	Waits   []HandoffWait     `json:"waits"`
	Refused map[string]string `json:"refused,omitempty"` // holders that could not begin, and why
	Ends    time.Time         `json:"ends,omitzero"`     // estimate from the speed so far; zero: not known yet
}

// HandoffWait is a holder on its way.
type HandoffWait struct {
	Transfer uint64 `json:"transfer"`
	Holder   string `json:"holder"`
	To       string `json:"to"`
	Waits    string `json:"waits"`
	On       string `json:"on"`
	Force    bool   `json:"force,omitempty"` // it has waited for a CA elsewhere for a day or more: Force goes on without that CA
}

// forceAfter is how long a transfer waits for a CA elsewhere before a status offers to go on without that CA.
const forceAfter = 24 * time.Hour

// mostWaits is how many holders on their way a status names.
const mostWaits = 200

// Handoff is the status of the handoff with a number. It fails with NotFound, and with BadInput where the transfer is no handoff.
func (m *Mover) Handoff(id uint64) (*HandoffStatus, error) {
	refused := m.refusedOf(id)
	var s *HandoffStatus
	err := m.engine.Read(func(l *holdings.Ledger, b *roa.Book) error {
		t, err := find(l, id)
		if err != nil {
			return err
		}
		if t.Handoff == nil {
			return fault.New(fault.BadInput, "transfer %d is no registry's handoff", id)
		}
		status, err := m.status(l, b, t)
		if err != nil {
			return err
		}
		s = &HandoffStatus{Transfer: *status, Paused: t.Held && !t.State.Over(), Waits: []HandoffWait{}, Refused: refused}
		s.stands(m, l, t)
		return nil
	})
	return s, err
}

// Handoffs is the status of all handoffs, the newest last.
func (m *Mover) Handoffs() ([]*HandoffStatus, error) {
	var ids []uint64
	if err := m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		for _, t := range l.Handoffs() {
			ids = append(ids, t.ID)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	list := []*HandoffStatus{}
	for _, id := range ids {
		s, err := m.Handoff(id)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// HandoffOf is the status of a registry's newest handoff; without a registry, of the newest of all. It fails with NotFound.
func (m *Mover) HandoffOf(registry string) (*HandoffStatus, error) {
	var id uint64
	if err := m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) (err error) {
		id, err = newestHandoff(l, registry)
		return err
	}); err != nil {
		return nil, err
	}
	return m.Handoff(id)
}

// newestHandoff is the number of a registry's newest handoff; without a registry, of the newest of all.
func newestHandoff(l *holdings.Ledger, registry string) (id uint64, err error) {
	for _, t := range l.Handoffs() {
		if registry == "" || t.FromRegistry == holdings.Fold(registry) {
			id = t.ID
		}
	}
	if id == 0 {
		return 0, fault.New(fault.NotFound, "there is no handoff of %q; begin one with 'cadastre handoff plan'", registry)
	}
	return id, nil
}

// stands counts the holders, and estimates when the handoff ends.
func (s *HandoffStatus) stands(m *Mover, l *holdings.Ledger, t *holdings.Transfer) {
	seen, begun := 0, 0
	var first, last time.Time
	for _, w := range l.Within(t.ID) {
		accepted := w.When(holdings.StepAccepted)
		switch {
		case w.State == holdings.Cancelled:
			continue
		case w.Done():
			s.Done++
		case w.State == holdings.Initiated:
			continue // among those that are left
		default:
			s.UnderWay++
			s.wait(m, l, w)
		}
		begun++
		if first.IsZero() || accepted.Before(first) {
			first = accepted
		}
		if at := w.When(holdings.StepSeen); !at.IsZero() {
			if seen++; at.After(last) {
				last = at
			}
		}
	}
	s.Holders = t.Handoff.Holders
	s.Left = max(s.Holders-begun, 0)
	if !t.Handoff.Escrow && t.State == holdings.Accepted {
		s.Left = len(m.unmoved(l, t, nil))
		s.Holders = begun + s.Left
	}
	if seen == 0 || t.Done() {
		return
	}
	per := max(last.Sub(first)/time.Duration(seen), t.Handoff.Pace.Duration()/time.Duration(t.Handoff.Batch))
	s.Ends = issued.Later(time.Now(), last).Add(time.Duration(s.Left)*per + t.Soak.Duration())
}

func (s *HandoffStatus) wait(m *Mover, l *holdings.Ledger, t *holdings.Transfer) {
	if len(s.Waits) < mostWaits {
		now := time.Now()
		what, on, _ := put(m.awaits(l, t, now))
		st := Status{Transfer: *t, On: on}
		long := st.WaitsForCA() && now.Sub(t.When(holdings.StepAccepted)) >= forceAfter
		s.Waits = append(s.Waits, HandoffWait{Transfer: t.ID, Holder: cmp.Or(t.From, t.Elsewhere), To: t.To, Waits: what, On: on, Force: long})
	}
}
