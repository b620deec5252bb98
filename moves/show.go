package moves

import (
	"slices"
	"strconv"
	"time"

	"cadastre/holdings"
	"cadastre/internal/payload"
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
	// AgreedObjects is what else it is to sign, as "ASPA AS64496 => AS64500", sorted.
	AgreedObjects []string `json:"agreed_objects,omitempty"`
}

// Show is the status of a transfer. It fails with NotFound.
func (m *Mover) Show(id uint64) (*Status, error) {
	var s *Status
	err := m.engine.Read(func(l *holdings.Ledger, b *roa.Book) error {
		t, err := find(l, id)
		if err == nil {
			s, err = m.status(l, b, t)
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
			s, err := m.status(l, b, t)
			if err != nil {
				return err
			}
			list = append(list, *s)
		}
		return nil
	})
	return list, err
}

// status is the status of a transfer. It fails with Corrupt.
func (m *Mover) status(l *holdings.Ledger, b *roa.Book, t *holdings.Transfer) (*Status, error) {
	s := &Status{Transfer: *t}
	s.Waits, s.On, s.Until = put(m.awaits(l, t, time.Now()))
	s.Odds = m.odds(t)
	if t.State != holdings.Accepted {
		return s, nil
	}
	add := func(p payload.Payload) {
		if vrp, is := p.(roa.VRP); is {
			s.Agreed = append(s.Agreed, vrp)
		} else {
			s.AgreedObjects = append(s.AgreedObjects, titled(p))
		}
	}
	if t.Outgoing() {
		for _, r := range append(routesIn(l, t, b), t.Routes...) {
			add(roa.OfRoute(r))
		}
		objects, err := objectsAlong(t, b)
		if err != nil {
			return nil, err
		}
		for _, x := range objects {
			add(x.in.Says)
		}
	} else {
		all, err := agreed(l, t, b)
		if err != nil {
			return nil, err
		}
		for _, list := range all {
			for _, p := range list {
				add(p)
			}
		}
	}
	s.Agreed = roa.Unique(s.Agreed)
	slices.Sort(s.AgreedObjects)
	s.AgreedObjects = slices.Compact(s.AgreedObjects)
	return s, nil
}
