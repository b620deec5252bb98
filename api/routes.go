package api

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"time"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/principal"
	"cadastre/moves"
	"cadastre/roa"
)

// New makes the handler for an engine and the mover of its transfers. Dir is the data directory, which errors name. Large requests wait for
// memory in room.
func New(e *ca.Engine, m *moves.Mover, dir string, room *Room) http.Handler {
	return server{e, m, dir}.routes(room)
}

type server struct {
	engine *ca.Engine
	mover  *moves.Mover
	dir    string
}

func (s server) routes(room *Room) *router {
	e := s.engine
	mux := &router{http.NewServeMux(), room, map[string]principal.Rights{}}
	handle(mux, principal.Change, "/holdings/import", s.holdingsImport)
	handle(mux, principal.Change, "/holdings/delegate", s.holdingsDelegate)
	handle(mux, principal.Change, "/holdings/return", func(ctx context.Context, q HoldingsTake) (*ca.Effect, error) {
		return e.Return(q.by(ctx), q.Holder, q.Resources, q.Consent)
	})
	handle(mux, principal.Change, "/holdings/revoke", func(ctx context.Context, q HoldingsTake) (*ca.Effect, error) {
		return e.Revoke(q.by(ctx), q.Holder, q.Resources, q.Consent)
	})
	handle(mux, principal.Change, "/holdings/exchange", func(ctx context.Context, q HoldingsExchange) (*ca.Effect, error) {
		return e.Exchange(q.by(ctx), q.Give, holdings.Delegation{To: q.Holder, Resources: q.Get, Ground: q.Ground}, q.Deadline, q.Consent)
	})
	handle(mux, principal.Change, "/holdings/expire", func(ctx context.Context, q HoldingsExpire) (*ca.Effect, error) {
		if q.Holder != "" {
			return e.Expire(q.by(ctx), q.Consent, q.Holder)
		}
		return e.Expire(q.by(ctx), q.Consent)
	})
	handle(mux, principal.Read, "/holdings/list", s.holdingsList)
	handle(mux, principal.Read, "/holdings/history", func(_ context.Context, q holdings.HistoryQuery) ([]holdings.Tenure, error) { return e.History(q) })
	handle(mux, principal.Read, "/organisations/list", func(_ context.Context, q OrganisationsList) ([]ca.OrganisationStatus, error) {
		return e.Organisations(q.Below)
	})
	handle(mux, principal.Change, "/organisations/remove", func(ctx context.Context, q OrganisationsRemove) (*ca.Effect, error) {
		return e.RemoveOrganisation(q.by(ctx), q.Handle)
	})
	handle(mux, principal.Change, "/organisations/enrol", func(ctx context.Context, q Enrol) (*ca.Effect, error) {
		return e.Enrol(q.by(ctx), q.Organisation)
	})
	handle(mux, principal.Change, "/roas/import", s.roasImport)
	handle(mux, principal.Change, "/roas/add", s.roasAdd)
	handle(mux, principal.Change, "/roas/remove", s.roasRemove)
	handle(mux, principal.Read, "/roas/list", s.roasList)
	handle(mux, principal.Read, "/vrps", func(_ context.Context, q VRPsList) (VRPs, error) {
		list := e.PublishedVRPs
		if q.Committed {
			list = e.VRPs
		}
		lines, err := list()
		return VRPs{lines}, err
	})
	handle(mux, principal.Read, "/status", func(context.Context, Nothing) (*ca.Status, error) { return e.Status() })
	handle(mux, principal.Read, "/wait", s.wait)
	handle(mux, principal.Read, "/decisions", func(_ context.Context, q DecisionsList) ([]holdings.Told, error) { return e.Decisions(q.From) })
	handle(mux, principal.Read, "/tal", func(context.Context, Nothing) (Text, error) {
		text, err := e.TAL()
		return Text{text}, err
	})
	s.announcements(mux)
	s.aspas(mux)
	s.children(mux)
	s.parents(mux)
	s.publishers(mux)
	s.repository(mux)
	s.keys(mux)
	s.transfers(mux)
	s.registries(mux)
	s.escrow(mux)
	s.policy(mux)
	s.identity(mux)
	s.passphrase(mux)
	s.handoffs(mux)
	s.transferLog(mux)
	return mux
}

// wait waits as Engine.WaitOut does. It fails if no daemon runs: nobody would do the work.
func (s server) wait(ctx context.Context, _ Nothing) (*ca.Status, error) {
	status, err := s.engine.Status()
	if err != nil {
		return nil, err
	}
	if !status.Running {
		return nil, fault.New(fault.Unreachable, "no daemon runs on %s; start it with 'cadastre serve'", s.dir)
	}
	if err := s.engine.WaitOut(ctx); err != nil {
		return nil, err
	}
	return s.engine.Status()
}

func (s server) holdingsImport(ctx context.Context, q HoldingsImport) (*ca.Effect, error) {
	var files []*holdings.File
	for _, upload := range q.Files {
		read := holdings.ReadFile
		if q.ExceptWrong {
			read = holdings.ReadFileExceptWrong
		}
		f, err := read(upload.Name, bytes.NewReader(upload.Data))
		if err == nil {
			err = f.CheckDate(time.Now())
		}
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	if q.Reason == "" && len(files) > 0 {
		q.Reason = "import of " + files[0].Name
	}
	return s.engine.Import(q.by(ctx), files, holdings.ImportOptions{Force: q.Force, ExceptWrong: q.ExceptWrong}, q.Consent)
}

func (s server) holdingsDelegate(ctx context.Context, q HoldingsDelegate) (*ca.Effect, error) {
	wanted := holdings.Delegation{To: q.To, Resources: q.Resources, Status: q.Status, Since: q.Since, Until: q.Until, Ground: q.Ground}
	return s.engine.DelegateBelow(q.by(ctx), q.From, q.Name, wanted, q.Consent)
}

func (s server) holdingsList(_ context.Context, q HoldingsList) ([]Holding, error) {
	var out []Holding
	err := s.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		handles := l.Organisations()
		if q.Holder != "" {
			if _, ok := l.Organisation(q.Holder); !ok {
				return fault.New(fault.NotFound, "there is no organisation %q", q.Holder)
			}
			handles = []string{holdings.Fold(q.Holder)}
		}
		for _, handle := range handles {
			h := Holding{Resources: l.Holding(handle)}
			if !q.Resources.Empty() && !h.Resources.Overlaps(q.Resources) {
				continue
			}
			h.Organisation, _ = l.Organisation(handle)
			if q.Holder != "" {
				h.Delegations = l.Delegations(handle)
			}
			out = append(out, h)
		}
		return nil
	})
	return out, err
}

func (s server) roasImport(ctx context.Context, q ROAImport) (*ca.Effect, error) {
	if q.Reason == "" && len(q.Files) > 0 {
		q.Reason = "import of " + q.Files[0].Name
	}
	opt := roa.Options{By: q.by(ctx), Holder: q.Holder, OnlyHeld: q.OnlyHeld, AllowAS0: q.AllowAS0, Replace: q.Replace}
	var err error
	if opt.Announced, err = announced(q.Announced); err != nil {
		return nil, err
	}
	if len(q.Files) == 1 {
		opt.File = q.Files[0].Name
	}
	f, err := intentFiles(q.Files)
	if err != nil {
		return nil, err
	}
	return s.engine.ChangeIntents(f, opt, q.Consent)
}

// intentFiles reads several files as one.
func intentFiles(uploads []Upload) (*roa.File, error) {
	all := &roa.File{}
	for _, upload := range uploads {
		f, err := roa.ReadFile(upload.Name, bytes.NewReader(upload.Data))
		if err != nil {
			return nil, err
		}
		all.Add, all.Remove = append(all.Add, f.Add...), append(all.Remove, f.Remove...)
	}
	return all, nil
}

// rows reads the rows of a request: those of its words, and those of its files.
func (q *ROAChange) rows() ([]roa.Row, error) {
	var rows []roa.Row
	for _, fields := range q.Intents {
		row, err := roa.ParseRow(fields...)
		if err != nil {
			return nil, err
		}
		if q.Comment != "" {
			row.Comment = q.Comment
		}
		row.Until = q.Until
		rows = append(rows, row)
	}
	f, err := intentFiles(q.Files)
	if err != nil {
		return nil, err
	}
	return slices.Concat(rows, f.Add, f.Remove), nil
}

func (s server) roasAdd(ctx context.Context, q ROAChange) (*ca.Effect, error) {
	if now := q.by(ctx).Time; !q.Until.IsZero() && !q.Until.After(now) {
		return nil, fault.New(fault.BadInput, "it would end at %s, which is past", q.Until.Format(time.RFC3339))
	}
	return s.roasChange(ctx, q, func(rows []roa.Row) *roa.File { return &roa.File{Add: rows} })
}

// roasRemove removes the intents that words and files name: those of the named holder, or of any holder that has them.
func (s server) roasRemove(ctx context.Context, q ROAChange) (*ca.Effect, error) {
	return s.roasChange(ctx, q, func(rows []roa.Row) *roa.File { return &roa.File{Remove: rows} })
}

func (s server) roasChange(ctx context.Context, q ROAChange, file func([]roa.Row) *roa.File) (*ca.Effect, error) {
	rows, err := q.rows()
	if err != nil {
		return nil, err
	}
	opt := roa.Options{By: q.by(ctx), Holder: q.Holder, AllowAS0: q.AllowAS0, Replace: q.Replace}
	if len(q.Files) == 1 {
		opt.File = q.Files[0].Name
	}
	if opt.Announced, err = announced(q.Announced); err != nil {
		return nil, err
	}
	return s.engine.ChangeIntents(file(rows), opt, q.Consent)
}

func (s server) roasList(_ context.Context, q ROAList) ([]ROAIntent, error) {
	out := []ROAIntent{}
	err := s.engine.Intents(q.Holder, func(in roa.Intent, status roa.Status) {
		if !q.Parked || status.State == roa.Part || status.State == roa.Parked {
			out = append(out, ROAIntent{Intent: in, Status: status})
		}
	})
	waitOf := s.engine.WaitsOf()
	for i := range out {
		if out[i].Status.State == roa.Pending {
			out[i].Wait = waitOf(out[i].Holder)
		}
	}
	return out, err
}
