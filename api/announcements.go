package api

import (
	"bytes"
	"context"
	"net/netip"
	"time"

	"cadastre/ca"
	"cadastre/internal/fault"
	"cadastre/internal/principal"
	"cadastre/roa"
	"cadastre/routes"
)

// RoutesStatus is what is known of what is announced.
type RoutesStatus struct {
	Known   int                   `json:"known"`         // announcements that are used
	Time    time.Time             `json:"time,omitzero"` // when they were announced; of several sources the oldest
	Why     string                `json:"why,omitempty"` // why none is known, where that is so
	Sources []routes.SourceStatus `json:"sources"`
}

// RoutesShow asks for the announcements that overlap a prefix.
type RoutesShow struct {
	Prefix netip.Prefix `json:"prefix"`
}

// RoutesShown is what is announced, with states.
type RoutesShown struct {
	Announcements []ca.Announced `json:"announcements"`
	Time          time.Time      `json:"time,omitzero"` // when they were announced
	Why           string         `json:"why,omitempty"` // why there are none, where that is so
}

// RoutesImport asks to take files of announcements in place of what was imported before.
type RoutesImport struct {
	Files []Upload `json:"files"`
}

// RoutesForget asks to forget what a source said.
type RoutesForget struct {
	Source string `json:"source"`
}

// RoutesIgnore asks that announcements be ignored, each as the words "prefix ASn", or, with Again, that they matter again.
type RoutesIgnore struct {
	Why
	Announcements [][]string `json:"announcements"`
	Again         bool       `json:"again,omitempty"`
}

// ROASuggest asks what a holder, or everybody, may want to authorise by what is announced.
type ROASuggest struct {
	Holder string `json:"holder,omitempty"`
}

func (s server) announcements(mux *router) {
	handle(mux, principal.Read, "/roas/suggest", func(_ context.Context, q ROASuggest) (*roa.Suggested, error) { return s.engine.Suggest(q.Holder) })
	handle(mux, principal.Read, "/routes/status", func(context.Context, Nothing) (RoutesStatus, error) { return s.routesStatus(), nil })
	handle(mux, principal.Read, "/routes/show", func(_ context.Context, q RoutesShow) (RoutesShown, error) {
		if !q.Prefix.IsValid() || q.Prefix.Addr().Is4In6() {
			return RoutesShown{}, fault.New(fault.BadInput, "name a prefix, as 196.10.0.0/24 or 2c0f:ea00::/32")
		}
		list, at, why, err := s.engine.Announced(q.Prefix.Masked())
		return RoutesShown{list, at, why}, err
	})
	handle(mux, principal.Change, "/routes/import", s.routesImport)
	handle(mux, principal.Change, "/routes/forget", func(_ context.Context, q RoutesForget) (RoutesStatus, error) {
		err := s.engine.Routes.Forget(q.Source)
		return s.routesStatus(), err
	})
	handle(mux, principal.Change, "/routes/ignore", func(ctx context.Context, q RoutesIgnore) ([]ca.Ignored, error) {
		var list []routes.Announcement
		for _, words := range q.Announcements {
			row, err := roa.ParseRow(words...)
			if err != nil {
				return nil, err
			}
			list = append(list, routes.Announcement{Prefix: row.Prefix, Origin: row.Origin})
		}
		if err := s.engine.Ignore(q.by(ctx), list, q.Again); err != nil {
			return nil, err
		}
		return s.engine.Ignored()
	})
	handle(mux, principal.Read, "/routes/ignored", func(context.Context, Nothing) ([]ca.Ignored, error) { return s.engine.Ignored() })
}

func (s server) routesStatus() RoutesStatus {
	now := time.Now()
	known, why := s.engine.Routes.Now(now)
	status := RoutesStatus{Known: known.Len(), Why: why, Sources: s.engine.Routes.Status(now)}
	if known != nil {
		status.Time = known.Time
	}
	return status
}

func (s server) routesImport(_ context.Context, q RoutesImport) (RoutesStatus, error) {
	tables, err := announced(q.Files)
	if err != nil {
		return RoutesStatus{}, err
	}
	all := routes.Merge(tables...)
	if all == nil {
		return RoutesStatus{}, fault.New(fault.BadInput, "name a file of announcements")
	}
	if err := s.engine.Routes.Import(all); err != nil {
		return RoutesStatus{}, err
	}
	return s.routesStatus(), nil
}

// announced reads announcements from files.
func announced(uploads []Upload) ([]*routes.Table, error) {
	var tables []*routes.Table
	for _, upload := range uploads {
		table, err := routes.Read(upload.Name, bytes.NewReader(upload.Data), time.Now())
		if err != nil {
			return nil, err
		}
		tables = append(tables, table)
	}
	return tables, nil
}
