package api

import (
	"context"

	"cadastre/ca"
	"cadastre/internal/principal"
)

// ParentsAdd asks to add a parent elsewhere for an organisation, by its parent_response (RFC 8183, section 5.2.2); or to replace the
// response of a parent that is known.
type ParentsAdd struct {
	Why
	Holder   string `json:"holder"`
	Name     string `json:"name"`
	Response string `json:"response" printable:"text"`
}

// ParentsRemove asks to remove a parent elsewhere.
type ParentsRemove struct {
	Why
	Holder string `json:"holder"`
	Name   string `json:"name"`
}

// ParentsRefresh asks to ask parents now what they certify: one parent, those of an organisation, or all.
type ParentsRefresh struct {
	Holder string `json:"holder,omitempty"`
	Name   string `json:"name,omitempty"`
}

// ParentsList asks for the parents of an organisation, or for all.
type ParentsList struct {
	Holder string `json:"holder,omitempty"`
}

func (s server) parents(mux *router) {
	e := s.engine
	handle(mux, principal.Read, "/parents/request", func(_ context.Context, q Holder) (XML, error) { return xmlOf(e.Federation.ParentRequest(q.Holder)) })
	handle(mux, principal.Change, "/parents/add", func(ctx context.Context, q ParentsAdd) (Nothing, error) {
		return Nothing{}, e.Federation.AddParent(q.by(ctx), q.Holder, q.Name, []byte(q.Response))
	})
	handle(mux, principal.Change, "/parents/update", func(ctx context.Context, q ParentsAdd) (Nothing, error) {
		return Nothing{}, e.Federation.UpdateParent(q.by(ctx), q.Holder, q.Name, []byte(q.Response))
	})
	handle(mux, principal.Change, "/parents/remove", func(ctx context.Context, q ParentsRemove) (Nothing, error) {
		return Nothing{}, e.Federation.RemoveParent(q.by(ctx), q.Holder, q.Name)
	})
	handle(mux, principal.Change, "/parents/refresh", func(ctx context.Context, q ParentsRefresh) (Nothing, error) {
		return Nothing{}, e.Federation.RefreshParents(ctx, q.Holder, q.Name)
	})
	handle(mux, principal.Read, "/parents/list", func(_ context.Context, q ParentsList) ([]ca.ParentStatus, error) {
		if err := s.known(q.Holder); err != nil {
			return nil, err
		}
		return e.Parents(q.Holder)
	})
}
