package api

import (
	"context"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/principal"
)

// ChildrenAdd asks that the sender of a child_request (RFC 8183, section 5.2.1) become the delegated CA of an organisation.
type ChildrenAdd struct {
	Why
	Holder  string `json:"holder"`
	Request string `json:"request" printable:"text"`
}

// ChildrenUpdate asks to replace the identity of a delegated CA, or to forget when it signed its last message.
type ChildrenUpdate struct {
	Why
	Update
	Holder string `json:"holder"`
}

// ChildrenRemove asks to remove an organisation's delegated CA, and to revoke its certificates.
type ChildrenRemove struct {
	Why
	Holder string `json:"holder"`
}

func (s server) children(mux *router) {
	e := s.engine
	handle(mux, principal.Change, "/children/add", func(ctx context.Context, q ChildrenAdd) (XML, error) {
		return xmlOf(e.Federation.AddChild(q.by(ctx), q.Holder, []byte(q.Request)))
	})
	handle(mux, principal.Read, "/children/response", func(_ context.Context, q Holder) (XML, error) { return xmlOf(e.Federation.ChildResponse(q.Holder)) })
	handle(mux, principal.Read, "/children/list", func(context.Context, Nothing) ([]ca.ChildStatus, error) { return e.Children() })
	handle(mux, principal.Read, "/children/show", s.childrenShow)
	handle(mux, principal.Change, "/children/update", func(ctx context.Context, q ChildrenUpdate) (XML, error) {
		if err := q.check(); err != nil {
			return XML{}, err
		}
		if q.ResetReplay {
			return XML{}, e.Federation.ResetChild(q.by(ctx), q.Holder)
		}
		return xmlOf(e.Federation.UpdateChild(q.by(ctx), q.Holder, []byte(q.Request)))
	})
	handle(mux, principal.Change, "/children/remove", func(ctx context.Context, q ChildrenRemove) (Nothing, error) {
		return Nothing{}, e.Federation.RemoveChild(q.by(ctx), q.Holder)
	})
}

func (s server) childrenShow(_ context.Context, q Holder) (*ca.ChildStatus, error) {
	all, err := s.engine.Children()
	if err != nil {
		return nil, err
	}
	for _, child := range all {
		if child.Holder == holdings.Fold(q.Holder) {
			return &child, nil
		}
	}
	return nil, fault.New(fault.NotFound, "%q has no delegated CA; 'cadastre children list' shows those that there are", q.Holder)
}
