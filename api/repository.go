package api

import (
	"context"

	"cadastre/ca"
	"cadastre/internal/principal"
)

// RepositoryConfigure asks that an organisation's CA publish at the server elsewhere that sent a repository_response (RFC 8183, section
// 5.2.4).
type RepositoryConfigure struct {
	Why
	Holder   string `json:"holder"`
	Response string `json:"response" printable:"text"`
}

// RepositoryLocal asks that an organisation's CA publish in its registry's repository here.
type RepositoryLocal struct {
	Why
	Holder string `json:"holder"`
}

// RepositoryShow asks for the remote repositories of an organisation, or of all.
type RepositoryShow struct {
	Holder string `json:"holder,omitempty"`
}

func (s server) repository(mux *router) {
	e := s.engine
	handle(mux, principal.Read, "/repository/request", func(_ context.Context, q Holder) (XML, error) { return xmlOf(e.Federation.RemoteRequest(q.Holder)) })
	handle(mux, principal.Change, "/repository/configure", func(ctx context.Context, q RepositoryConfigure) (Nothing, error) {
		return Nothing{}, e.Federation.ConfigureRemote(q.by(ctx), q.Holder, []byte(q.Response))
	})
	handle(mux, principal.Change, "/repository/local", func(ctx context.Context, q RepositoryLocal) (Nothing, error) {
		return Nothing{}, e.Federation.LeaveRemote(q.by(ctx), q.Holder)
	})
	handle(mux, principal.Read, "/repository/show", func(_ context.Context, q RepositoryShow) ([]ca.RemoteStatus, error) {
		if err := s.known(q.Holder); err != nil {
			return nil, err
		}
		return e.Remotes(q.Holder)
	})
}
