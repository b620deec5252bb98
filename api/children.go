package api

import (
	"context"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
)

// ChildrenAdd asks that the sender of a child_request (RFC 8183, section 5.2.1) become the delegated CA of an organisation.
type ChildrenAdd struct {
	By
	Holder  string `json:"holder"`
	Request string `json:"request" printable:"text"`
}

// ChildrenUpdate asks to replace the identity of a delegated CA, or to forget when it signed its last message.
type ChildrenUpdate struct {
	By
	Update
	Holder string `json:"holder"`
}

// ChildrenRemove asks to remove an organisation's delegated CA, and to revoke its certificates.
type ChildrenRemove struct {
	By
	Holder string `json:"holder"`
}

func (s server) children(mux *router) {
	e := s.engine
	handle(mux, "/children/add", func(_ context.Context, q ChildrenAdd) (XML, error) {
		return xmlOf(e.Federation.AddChild(q.holdings(), q.Holder, []byte(q.Request)))
	})
	handle(mux, "/children/response", func(_ context.Context, q Holder) (XML, error) { return xmlOf(e.Federation.ChildResponse(q.Holder)) })
	handle(mux, "/children/list", func(context.Context, Nothing) ([]ca.ChildStatus, error) { return e.Children() })
	handle(mux, "/children/show", s.childrenShow)
	handle(mux, "/children/update", func(_ context.Context, q ChildrenUpdate) (XML, error) {
		if err := q.check(); err != nil {
			return XML{}, err
		}
		if q.ResetReplay {
			return XML{}, e.Federation.ResetChild(q.holdings(), q.Holder)
		}
		return xmlOf(e.Federation.UpdateChild(q.holdings(), q.Holder, []byte(q.Request)))
	})
	handle(mux, "/children/remove", func(_ context.Context, q ChildrenRemove) (Nothing, error) {
		return Nothing{}, e.Federation.RemoveChild(q.holdings(), q.Holder)
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
