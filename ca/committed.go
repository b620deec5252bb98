package ca

import (
	"cadastre/ca/issued"
	"cadastre/ca/repositories"
)

// committed is what is committed, as the gate reads it: it implements issue.Committed.
type committed struct {
	*repositories.Set
	*issued.Index
	engine *Engine
}

func (c committed) Taken(a *issued.Authority) ([]byte, bool) { return c.engine.taken(a) }

// Get is the newest committed object at a URI.
func (e *Engine) Get(uri string) ([]byte, bool) { return e.repositories.Get(uri) }

// taken is the certificate from a parent elsewhere that an authority goes by.
func (e *Engine) taken(a *issued.Authority) ([]byte, bool) {
	got := e.receivedFor(a.Name)
	switch {
	case got == nil:
		return nil, false
	case got.Serial.Cmp(a.CertSerial) == 0:
		return got.Certificate, true
	}
	return got.Taken, got.Taken != nil
}
