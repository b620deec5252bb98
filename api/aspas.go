package api

import (
	"bytes"
	"context"
	"time"

	"cadastre/aspa"
	"cadastre/ca"
	"cadastre/internal/fault"
	"cadastre/internal/intents"
	"cadastre/internal/principal"
	"cadastre/roa"
)

// ASPAImport asks to take files of ASPAs.
type ASPAImport struct {
	Why
	ca.Consent
	Files    []Upload `json:"files"`
	Replace  bool     `json:"replace,omitempty"`
	Holder   string   `json:"holder,omitempty"`
	OnlyHeld bool     `json:"only_held,omitempty"`
}

// ASPAChange asks to add or remove providers, of each customer as the words "customer provider...".
type ASPAChange struct {
	Why
	ca.Consent
	ASPAs   [][]string `json:"aspas"`
	Files   []Upload   `json:"files,omitempty"` // of more
	Holder  string     `json:"holder,omitempty"`
	Comment string     `json:"comment,omitempty"`
	Until   time.Time  `json:"until,omitzero"`
	Replace bool       `json:"replace,omitempty"`
}

// ASPAList asks for the intents of ASPAs of a holder, or of all.
type ASPAList struct {
	Holder string `json:"holder,omitempty"`
	Parked bool   `json:"parked,omitempty"` // only those that are parked
}

// ASPAIntent is an ASPA intent and its status.
type ASPAIntent struct {
	aspa.Intent
	Status roa.Status `json:"status"`
	Wait   *ca.Wait   `json:"wait,omitempty"` // what it waits for, where it is pending
}

// ASPAsList asks for what is published or, with Committed, for what is committed.
type ASPAsList struct {
	Committed bool `json:"committed,omitempty"`
}

// ASPAs is what a validator must print.
type ASPAs struct {
	Lines []string `json:"lines"` // "ASn => ASn, ASn", by customer
}

func (s server) aspas(mux *router) {
	handle(mux, principal.Change, "/aspas/import", s.aspasImport)
	handle(mux, principal.Change, "/aspas/add", func(ctx context.Context, q ASPAChange) (*ca.Effect, error) {
		if now := q.by(ctx).Time; !q.Until.IsZero() && !q.Until.After(now) {
			return nil, fault.New(fault.BadInput, "it would end at %s, which is past", q.Until.Format(time.RFC3339))
		}
		return s.aspasChange(ctx, q, func(rows []aspa.Row) *aspa.File { return &aspa.File{Add: rows} })
	})
	handle(mux, principal.Change, "/aspas/remove", func(ctx context.Context, q ASPAChange) (*ca.Effect, error) {
		return s.aspasChange(ctx, q, func(rows []aspa.Row) *aspa.File { return &aspa.File{Remove: rows} })
	})
	handle(mux, principal.Read, "/aspas/list", s.aspasList)
	handle(mux, principal.Read, "/aspas", func(_ context.Context, q ASPAsList) (ASPAs, error) {
		lines, err := s.engine.Lines(aspa.Kind, q.Committed)
		return ASPAs{lines}, err
	})
}

func (s server) aspasImport(ctx context.Context, q ASPAImport) (*ca.Effect, error) {
	if q.Reason == "" && len(q.Files) > 0 {
		q.Reason = "import of " + q.Files[0].Name
	}
	opt := aspa.Options{By: q.by(ctx), Holder: q.Holder, OnlyHeld: q.OnlyHeld, Replace: q.Replace}
	if len(q.Files) == 1 {
		opt.File = q.Files[0].Name
	}
	f, err := aspaFiles(q.Files)
	if err != nil {
		return nil, err
	}
	return s.aspasDecide(f, opt, q.Consent)
}

// aspaFiles reads several files as one.
func aspaFiles(uploads []Upload) (*aspa.File, error) {
	all := &aspa.File{}
	for _, upload := range uploads {
		f, err := aspa.ReadFile(upload.Name, bytes.NewReader(upload.Data))
		if err != nil {
			return nil, err
		}
		all.Add, all.Remove = append(all.Add, f.Add...), append(all.Remove, f.Remove...)
	}
	return all, nil
}

func (s server) aspasChange(ctx context.Context, q ASPAChange, file func([]aspa.Row) *aspa.File) (*ca.Effect, error) {
	f, err := aspaFiles(q.Files)
	if err != nil {
		return nil, err
	}
	var rows []aspa.Row
	for _, words := range q.ASPAs {
		if len(words) == 0 {
			return nil, fault.New(fault.BadInput, "an ASPA is named by no word; write the customer AS and its providers")
		}
		row, err := aspa.ParseRow(words[0], words[1:]...)
		if err != nil {
			return nil, err
		}
		row.Comment, row.Until = q.Comment, q.Until
		rows = append(rows, row)
	}
	opt := aspa.Options{By: q.by(ctx), Holder: q.Holder, Replace: q.Replace}
	if len(q.Files) == 1 {
		opt.File = q.Files[0].Name
	}
	rows = append(append(rows, f.Add...), f.Remove...)
	return s.aspasDecide(file(rows), opt, q.Consent)
}

func (s server) aspasDecide(f *aspa.File, opt aspa.Options, consent ca.Consent) (*ca.Effect, error) {
	return s.engine.ChangeObjects(opt.By, consent, aspa.Changing(f, opt))
}

func (s server) aspasList(_ context.Context, q ASPAList) ([]ASPAIntent, error) {
	out := []ASPAIntent{}
	err := s.engine.Objects(aspa.Kind, q.Holder, func(in intents.Object, status roa.Status) {
		if of, is := aspa.IntentOf(in); is && (!q.Parked || status.State == roa.Parked) {
			out = append(out, ASPAIntent{Intent: of, Status: status})
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
