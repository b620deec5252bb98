package api

import (
	"context"

	"cadastre/internal/fault"
	"cadastre/internal/principal"
	"cadastre/rrdp/publisher"
)

// PublishersAdd asks to let the sender of a publisher_request (RFC 8183, section 5.2.3) publish here.
type PublishersAdd struct {
	Handle     string `json:"handle"`
	Repository string `json:"repository,omitempty"` // the registry in whose repository it publishes
	Request    string `json:"request" printable:"text"`
}

// PublishersUpdate asks to replace the identity of a publisher, or to forget when it signed its last message.
type PublishersUpdate struct {
	Update
	Handle string `json:"handle"`
}

// Publisher names a publisher.
type Publisher struct {
	Handle string `json:"handle"`
}

func (s server) publishers(mux *router) {
	e := s.engine
	handle(mux, principal.Change, "/publishers/add", func(ctx context.Context, q PublishersAdd) (XML, error) {
		return xmlOf(e.Federation.AddPublisher(ctx, q.Handle, q.Repository, []byte(q.Request)))
	})
	handle(mux, principal.Read, "/publishers/response", func(_ context.Context, q Publisher) (XML, error) {
		return xmlOf(e.Federation.PublisherResponse(q.Handle))
	})
	handle(mux, principal.Read, "/publishers/list", func(context.Context, Nothing) ([]publisher.Info, error) { return e.Federation.Publishers(), nil })
	handle(mux, principal.Read, "/publishers/show", s.publishersShow)
	handle(mux, principal.Change, "/publishers/update", func(ctx context.Context, q PublishersUpdate) (XML, error) {
		if err := q.check(); err != nil {
			return XML{}, err
		}
		if q.ResetReplay {
			return XML{}, e.Federation.ResetPublisher(ctx, q.Handle)
		}
		return xmlOf(e.Federation.UpdatePublisher(ctx, q.Handle, []byte(q.Request)))
	})
	handle(mux, principal.Change, "/publishers/remove", func(ctx context.Context, q Publisher) (Nothing, error) {
		return Nothing{}, e.Federation.RemovePublisher(ctx, q.Handle)
	})
}

func (s server) publishersShow(_ context.Context, q Publisher) (*publisher.Info, error) {
	for _, p := range s.engine.Federation.Publishers() {
		if p.Handle == q.Handle {
			return &p, nil
		}
	}
	return nil, fault.New(fault.NotFound, "there is no publisher %q; 'cadastre publishers list' shows those that there are", q.Handle)
}
