package moves

import (
	"strconv"
	"time"

	"cadastre/holdings"
	"cadastre/roa"
)

func asText(asn uint32) string { return strconv.FormatUint(uint64(asn), 10) }

// Status is the status of a transfer.
type Status struct {
	holdings.Transfer
	Waits  string    `json:"waits,omitempty"`  // what it waits for
	On     string    `json:"on,omitempty"`     // who has to do that
	Until  time.Time `json:"until,omitzero"`   // when the wait ends by itself; zero if it does not
	Odds   string    `json:"odds,omitempty"`   // how it ended differently at the other installation, and what follows
	Agreed []roa.VRP `json:"agreed,omitempty"` // what the recipient's side is to authorise
}

// Show is the status of a transfer. It fails with NotFound.
func (m *Mover) Show(id uint64) (*Status, error) {
	var s *Status
	err := m.engine.Read(func(l *holdings.Ledger, b *roa.Book) error {
		t, err := find(l, id)
		if err == nil {
			s = m.status(l, b, t)
		}
		return err
	})
	return s, err
}

// List is the status of all transfers, or with open of those that are not done, the newest last.
func (m *Mover) List(open bool) ([]Status, error) {
	list := []Status{}
	err := m.engine.Read(func(l *holdings.Ledger, b *roa.Book) error {
		all := l.Transfers()
		if open {
			all = l.Unrest()
		}
		for _, t := range all {
			list = append(list, *m.status(l, b, t))
		}
		return nil
	})
	return list, err
}

func (m *Mover) status(l *holdings.Ledger, b *roa.Book, t *holdings.Transfer) *Status {
	s := &Status{Transfer: *t}
	s.Waits, s.On, s.Until = put(m.awaits(l, t, time.Now()))
	s.Odds = m.odds(t)
	if t.State == holdings.Accepted {
		for _, vrps := range agreed(l, t, b) {
			s.Agreed = append(s.Agreed, vrps...)
		}
		if t.Outgoing() {
			s.Agreed = nil
			for _, r := range append(routesIn(l, t, b), t.Routes...) {
				s.Agreed = append(s.Agreed, roa.OfRoute(r))
			}
		}
		s.Agreed = roa.Unique(s.Agreed)
	}
	return s
}
