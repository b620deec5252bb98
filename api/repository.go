package api

import (
	"context"

	"cadastre/ca"
)

// RepositoryConfigure asks that an organisation's CA publish at the server elsewhere that sent a repository_response (RFC 8183, section
// 5.2.4).
type RepositoryConfigure struct {
	By
	Holder   string `json:"holder"`
	Response string `json:"response" printable:"text"`
}

// RepositoryLocal asks that an organisation's CA publish in its registry's repository here.
type RepositoryLocal struct {
	By
	Holder string `json:"holder"`
}

// RepositoryShow asks for the remote repositories of an organisation, or of all.
type RepositoryShow struct {
	Holder string `json:"holder,omitempty"`
}

func (s server) repository(mux *router) {
	e := s.engine
	handle(mux, "/repository/request", func(_ context.Context, q Holder) (XML, error) { return xmlOf(e.Federation.RemoteRequest(q.Holder)) })
	handle(mux, "/repository/configure", func(_ context.Context, q RepositoryConfigure) (Nothing, error) {
		return Nothing{}, e.Federation.ConfigureRemote(q.holdings(), q.Holder, []byte(q.Response))
	})
	handle(mux, "/repository/local", func(_ context.Context, q RepositoryLocal) (Nothing, error) {
		return Nothing{}, e.Federation.LeaveRemote(q.holdings(), q.Holder)
	})
	handle(mux, "/repository/show", func(_ context.Context, q RepositoryShow) ([]ca.RemoteStatus, error) {
		if err := s.known(q.Holder); err != nil {
			return nil, err
		}
		return e.Remotes(q.Holder)
	})
}
