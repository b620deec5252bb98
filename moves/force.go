package moves

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/payload"
	"cadastre/roa"
)

// Forced is what is lost if a transfer does not wait for CAs elsewhere.
type Forced struct {
	Transfer     Status    `json:"transfer"`
	Without      []string  `json:"without"`           // holders on the recipient's side whose CAs are not waited for
	Certificates []string  `json:"certificates"`      // URIs, of the donor's side, that end or shrink
	Lost         []string  `json:"lost"`              // VRPs and payloads of other kinds that a relying party saw below these, and not on the recipient's side
	Unseen       []string  `json:"unseen"`            // those of the certificates below which it saw nothing: what is lost there is not known
	Until        time.Time `json:"until,omitzero"`    // the earliest time: the end of the soak and of the notice that such CAs get
	DryRun       bool      `json:"dry_run,omitempty"` // nothing was changed
	Code         string    `json:"code,omitempty"`    // has to be given where something is lost, or may be
}

// Force has an accepted transfer go on although CAs elsewhere, of its holders, have published nothing below the recipient's side. First
// the soak passes, in which the transfer can still be cancelled; then the notice that such CAs get when they lose something. If payloads
// are lost, or nobody can tell, it needs the code of a dry run.
//
// It fails with NotFound, Conflict (nothing of that kind is waited for, or the transfer is parked), Busy (nobody has looked of late at
// what is published) and Refused.
func (m *Mover) Force(ctx context.Context, by holdings.By, id uint64, consent ca.Consent) (*Forced, error) {
	var t *holdings.Transfer
	if err := m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) (err error) {
		if t, err = find(l, id); err == nil {
			err = forceable(t)
		}
		return err
	}); err != nil {
		return nil, err
	}
	f, err := m.costOfForce(ctx, t)
	if err != nil {
		return nil, err
	}
	if f.DryRun = consent.DryRun; !consent.DryRun {
		if err := f.passes(consent); err != nil {
			return f, err
		}
		text := "without " + strings.Join(f.Without, ", ")
		if by.Reason != "" {
			text += ": " + by.Reason
		}
		if err := m.decide(func(l *holdings.Ledger) (*holdings.Outcome, error) {
			now, err := find(l, id)
			if err == nil {
				err = forceable(now)
			}
			if err != nil {
				return nil, err
			}
			return l.Force(by, id, text)
		}); err != nil {
			return nil, err
		}
	}
	status, err := m.Show(id)
	if err == nil {
		f.Transfer = *status
	}
	return f, err
}

// WaitsForCA tells whether a transfer waits for a CA elsewhere that Force goes on without.
func (s *Status) WaitsForCA() bool {
	return strings.HasPrefix(s.On, onCA("").String()) && forceable(&s.Transfer) == nil
}

// forceable checks whether a transfer can be forced; the error says why not.
func forceable(t *holdings.Transfer) error {
	switch {
	case t.State != holdings.Accepted:
		return fault.New(fault.Conflict, "transfer %d is %s; only one that both sides have accepted waits for CAs elsewhere", t.ID, t.State)
	case t.Parked() != "":
		return fault.New(fault.Conflict, "transfer %d is disputed (%s); resolve that first", t.ID, t.Parked())
	case t.Forced:
		return fault.New(fault.Conflict, "transfer %d does not wait for CAs elsewhere any more", t.ID)
	case !t.Local() || t.Handoff != nil:
		return fault.New(fault.Conflict, "transfer %d does not wait for a CA below a registry here", t.ID)
	}
	return nil
}

// costOfForce finds what would be lost. It needs a look of a relying party, since only that tells what a CA elsewhere publishes.
func (m *Mover) costOfForce(ctx context.Context, t *holdings.Transfer) (*Forced, error) {
	f := &Forced{Without: []string{}, Certificates: []string{}, Lost: []string{}, Unseen: []string{}}
	var losing []holdings.Leg
	notice := false
	for _, leg := range t.Legs {
		_, to := m.engine.Delegated(leg.To)
		_, from := m.engine.Delegated(leg.From)
		if to || from && t.Kind.SameHolder() {
			f.Without = append(f.Without, leg.To)
		}
		if (to || from) && leg.From != "" { // what a donor here had authorised ends, too, if the recipient's CA does not publish it
			losing = append(losing, leg)
			notice = notice || from
		}
	}
	if len(f.Without) == 0 {
		return nil, fault.New(fault.Conflict, "no holder in transfer %d has its CA elsewhere: what it waits for is here, and 'cadastre transfer show %d' says what", t.ID, t.ID)
	}
	tal, err := m.engine.TAL()
	if err != nil {
		return nil, err
	}
	since := time.Now().Add(-reportHolds)
	if accepted := t.When(holdings.StepAccepted); since.Before(accepted) {
		since = accepted
	}
	// the look goes on when the request that began it has ended
	report, err := m.see(context.WithoutCancel(ctx), ownAnchor, tal, "", since)
	if err == nil && report == nil {
		err = fault.New(fault.Busy, "nobody has looked of late at what is published, and that has begun now; ask again in a few seconds")
	}
	if err != nil {
		return nil, err
	}
	for _, leg := range losing {
		ending := m.engine.CertificatesOf(leg.From)
		f.Certificates = append(f.Certificates, ending...)
		for _, uri := range ending {
			if a := authorityAt(report, uri); a == nil || !fetched(report, a) {
				f.Unseen = append(f.Unseen, uri)
			}
		}
		stays := seenBelow(report, m.engine.CertificatesOf(leg.To), leg.Resources)
		for _, v := range seenBelow(report, ending, leg.Resources) {
			if !slices.ContainsFunc(stays, func(p payload.Payload) bool { return payload.Same(p, v) }) {
				f.Lost = append(f.Lost, v.String())
			}
		}
	}
	slices.Sort(f.Lost)
	f.Lost = slices.Compact(f.Lost)
	if soaked := t.Soaked(); !t.Seen.IsZero() {
		f.Until = soaked
	} else {
		f.Until = time.Now().Add(t.Soak.Duration())
	}
	if notice {
		f.Until = f.Until.Add(m.engine.Policy().Notice)
	}
	if costs := slices.Concat(f.Lost, f.Unseen); len(costs) > 0 {
		f.Code = m.engine.Code(fmt.Appendf(nil, "force %d\n%s", t.ID, strings.Join(costs, "\n")))
	}
	return f, nil
}

// passes fails with Refused where something is lost, or may be, and its code was not given.
func (f *Forced) passes(consent ca.Consent) error {
	switch {
	case f.Code == "" || consent.Code == f.Code:
		return nil
	case consent.Code != "":
		return fault.New(fault.Refused, "the code %s belongs to another state of things; look again with --dry-run, then repeat with --code %s", consent.Code, f.Code)
	case len(f.Unseen) > 0:
		return fault.New(fault.Refused, "%d VRPs and other payloads would be lost with the certificates of CAs that have not come along, and what else %d of them stand for could not be seen; look with --dry-run, then repeat with --code %s", len(f.Lost), len(f.Unseen), f.Code)
	}
	return fault.New(fault.Refused, "%d VRPs and other payloads would be lost with the certificates of CAs that have not come along; look with --dry-run, then repeat with --code %s", len(f.Lost), f.Code)
}
