package api

import (
	"context"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/principal"
	"cadastre/moves"
	"cadastre/roa"
)

// TransferInitiate asks to begin a transfer, or for what it would do.
type TransferInitiate struct {
	Why
	Kind      holdings.TransferKind `json:"kind"`
	From      string                `json:"from"`
	To        string                `json:"to"`
	Under     string                `json:"under,omitempty"` // if To is new: the organisation that it is to be below
	Name      string                `json:"name,omitempty"`  // if To is new: its name
	Peer      string                `json:"peer,omitempty"`  // the installation that To is at, if it is not this one
	Resources inr.Set               `json:"resources,omitzero"`
	Routes    [][]string            `json:"routes,omitempty"` // prefix, ASn and maybe maxLength of each
	Bridge    string                `json:"bridge,omitempty"`
	Soak      string                `json:"soak,omitempty"` // empty: as the registry has it
	Hold      bool                  `json:"hold,omitempty"`
	DryRun    bool                  `json:"dry_run,omitempty"`
	Code      string                `json:"code,omitempty"` // of what a dry run said, where the brake holds it
}

// TransferStep asks for a step of a transfer.
type TransferStep struct {
	Why
	ID uint64 `json:"id"`
}

// TransferApprove asks that the recipient's registry agree to a transfer, with routes of the new holder.
type TransferApprove struct {
	TransferStep
	Routes [][]string `json:"routes,omitempty"` // prefix, ASn and maybe maxLength of each
}

// TransferObject asks that the source's registry object, on a ground that its policy lists.
type TransferObject struct {
	TransferStep
	Ground string `json:"ground"`
}

// TransferForce asks that a transfer not wait for CAs elsewhere that publish nothing below the recipient's side.
type TransferForce struct {
	TransferStep
	ca.Consent
}

// TransferAbandon asks to end a transfer without the other installation, which is silent.
type TransferAbandon struct {
	TransferStep
	Keep   bool   `json:"keep,omitempty"`   // the recipient's side stays, where it is here
	Silent string `json:"silent,omitempty"` // how long the other must have been silent; empty: a week
}

// TransferShow asks for the status of a transfer.
type TransferShow struct {
	ID uint64 `json:"id"`
}

// TransferList asks for all transfers, or those that are not done.
type TransferList struct {
	Open bool `json:"open,omitempty"`
}

func (s server) transfers(mux *router) {
	m := s.mover
	handle(mux, principal.Change, "/transfers/initiate", s.transfersInitiate)
	handle(mux, principal.Change, "/transfers/approve", s.transfersApprove)
	handle(mux, principal.Change, "/transfers/object", s.transfersObject)
	handle(mux, principal.Read, "/transfers/show", func(_ context.Context, q TransferShow) (*moves.Status, error) { return m.Show(q.ID) })
	handle(mux, principal.Read, "/transfers/list", func(_ context.Context, q TransferList) ([]moves.Status, error) { return m.List(q.Open) })
	handle(mux, principal.Read, "/transfers/evidence", func(_ context.Context, q TransferShow) (*moves.SignedEvidence, error) { return m.SignEvidence(q.ID) })
	handle(mux, principal.Change, "/transfers/force", func(ctx context.Context, q TransferForce) (*moves.Forced, error) {
		return m.Force(ctx, q.by(ctx), q.ID, q.Consent)
	})
	handle(mux, principal.Change, "/transfers/abandon", func(ctx context.Context, q TransferAbandon) (*moves.Status, error) {
		silence := moves.Silence
		if err := durations([]duration{{q.Silent, "silent", &silence}}); err != nil {
			return nil, err
		}
		if err := m.Abandon(q.by(ctx), q.ID, silence, q.Keep); err != nil {
			return nil, err
		}
		return m.Show(q.ID)
	})
	step := func(path string, do func(by holdings.By, id uint64) error) {
		handle(mux, principal.Change, "/transfers/"+path, func(ctx context.Context, q TransferStep) (*moves.Status, error) {
			if err := do(q.by(ctx), q.ID); err != nil {
				return nil, err
			}
			return m.Show(q.ID)
		})
	}
	step("consent", m.Consent)
	step("cancel", m.Cancel)
	step("dispute", m.Dispute)
	step("resolve", m.Resolve)
	step("hold", func(by holdings.By, id uint64) error { return m.Hold(by, id, true) })
	step("release", func(by holdings.By, id uint64) error { return m.Hold(by, id, false) })
}

func (s server) transfersApprove(ctx context.Context, q TransferApprove) (*moves.Status, error) {
	rows, err := rowsOf(q.Routes)
	if err == nil {
		err = s.mover.Approve(q.by(ctx), q.ID, rows...)
	}
	if err != nil {
		return nil, err
	}
	return s.mover.Show(q.ID)
}

func rowsOf(routes [][]string) (rows []roa.Row, err error) {
	for _, fields := range routes {
		row, err := roa.ParseRow(fields...)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func (s server) transfersObject(ctx context.Context, q TransferObject) (*moves.Status, error) {
	if err := s.mover.Object(q.by(ctx), q.ID, q.Ground); err != nil {
		return nil, err
	}
	return s.mover.Show(q.ID)
}

func (s server) transfersInitiate(ctx context.Context, q TransferInitiate) (*moves.Begun, error) {
	want := moves.Request{
		Kind: q.Kind, From: q.From, To: q.To, Under: q.Under, Name: q.Name, Peer: q.Peer, Resources: q.Resources, Soak: -1, Hold: q.Hold,
	}
	var err error
	if want.Routes, err = rowsOf(q.Routes); err != nil {
		return nil, err
	}
	if err := durations([]duration{{q.Bridge, "bridge", &want.Bridge}, {q.Soak, "soak", &want.Soak}}); err != nil {
		return nil, err
	}
	return s.mover.Initiate(q.by(ctx), want, ca.Consent{DryRun: q.DryRun, Code: q.Code})
}
