package api

import (
	"context"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/principal"
	"cadastre/internal/term"
	"cadastre/moves"
)

// HandoffStart asks to move a registry's holders to its successor, or for the plan of that.
type HandoffStart struct {
	Why
	Registry string          `json:"registry"`
	To       string          `json:"to"`
	Batch    int             `json:"batch,omitempty"`    // 0: moves.DefaultBatch
	Pace     string          `json:"pace,omitempty"`     // shortest time between two batches; empty: none
	Soak     string          `json:"soak,omitempty"`     // empty: as the registries' policies have it
	Snapshot *moves.Snapshot `json:"snapshot,omitempty"` // what the registry deposited, if it is not in this ledger
	Code     string          `json:"code,omitempty"`     // of the plan
}

// HandoffSteer asks for the status of a registry's handoff, or to pause or resume it. Without a registry it is the newest handoff.
type HandoffSteer struct {
	Why
	Registry string `json:"registry,omitempty"`
}

func (s server) handoffs(mux *router) {
	m := s.mover
	begin := func(q HandoffStart) (moves.HandoffRequest, error) {
		want := moves.HandoffRequest{Registry: q.Registry, To: q.To, Batch: q.Batch, Soak: -1, Snapshot: q.Snapshot, Code: q.Code}
		return want, durations([]duration{{q.Pace, "pace", &want.Pace}, {q.Soak, "soak", &want.Soak}})
	}
	handle(mux, principal.Read, "/handoffs/plan", func(_ context.Context, q HandoffStart) (*moves.HandoffPlan, error) {
		want, err := begin(q)
		if err != nil {
			return nil, err
		}
		return m.PlanHandoff(want)
	})
	handle(mux, principal.Change, "/handoffs/start", func(ctx context.Context, q HandoffStart) (*moves.HandoffStatus, error) {
		want, err := begin(q)
		if err != nil {
			return nil, err
		}
		return m.StartHandoff(q.by(ctx), want)
	})
	handle(mux, principal.Read, "/handoffs/status", func(_ context.Context, q HandoffSteer) (*moves.HandoffStatus, error) { return m.HandoffOf(q.Registry) })
	handle(mux, principal.Change, "/handoffs/pause", func(ctx context.Context, q HandoffSteer) (*moves.HandoffStatus, error) {
		return m.PauseHandoff(q.by(ctx), q.Registry, true)
	})
	handle(mux, principal.Change, "/handoffs/resume", func(ctx context.Context, q HandoffSteer) (*moves.HandoffStatus, error) {
		return m.PauseHandoff(q.by(ctx), q.Registry, false)
	})
}

// duration is a length of time in a request.
type duration struct {
	text, what string
	to         *time.Duration
}

// durations reads the lengths of time that are given.
func durations(list []duration) error {
	for _, d := range list {
		if d.text == "" {
			continue
		}
		long, err := term.Parse(d.text)
		if err != nil {
			return fault.Wrap(err, "%s", d.what)
		}
		*d.to = long.Duration()
	}
	return nil
}
