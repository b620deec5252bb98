// Package member is what the dialects of other registries' APIs ask of the engine, for one organisation at a time.
package member

import (
	"context"
	"net/http"
	"time"

	"cadastre/aspa"
	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/principal"
	"cadastre/roa"
	"cadastre/routes"
)

// Keys says who asks by the token in a request's header Authorization: Bearer, and which organisation the token is for. It fails with Secret where
// there is no good token.
type Keys func(*http.Request) (who principal.Principal, organisation string, err error)

// Ask is a request in the name of whoever has a key, and the organisation that the key is for. A dialect takes the key from where its clients put it.
func (k Keys) Ask(r *http.Request, key string) (_ *http.Request, organisation string, err error) {
	if key == "" {
		return nil, "", fault.New(fault.Secret, "the request has no key")
	}
	bearing := r.Clone(r.Context())
	bearing.Header.Set("Authorization", "Bearer "+key)
	who, organisation, err := k(bearing)
	if err != nil {
		return nil, "", err
	}
	return bearing.WithContext(principal.In(r.Context(), who)), organisation, nil
}

// Service is what a member may ask for. Each call checks the rights of who asks in its context. An organisation that he may not see is NotFound, as
// one that there is none of is.
type Service interface {
	// Holding is what an organisation holds.
	Holding(ctx context.Context, organisation string) (inr.Set, error)
	// Intents is what it authorises, at one moment.
	Intents(ctx context.Context, organisation string) (*Intents, error)
	// Change changes its intents, all at one moment or none. It fails with Stale where Change.IfMatch is not the tag of the moment before, and
	// with Refused where the brake holds it; then the effect has the code.
	Change(ctx context.Context, organisation string, c *Change) (*ca.Effect, error)
	// Announced is the known announcements that have an address in common with what it holds.
	Announced(ctx context.Context, organisation string) (*Announced, error)
	// Ignore notes that announcements do not matter, or with again that they do. One that matters already stays so.
	Ignore(ctx context.Context, organisation string, list []routes.Announcement, again bool) error
	// History is the decisions that changed its intents, the newest first.
	History(ctx context.Context, organisation string) ([]holdings.Told, error)
}

// Stale is the error of a change that was made for intents as they were before: read them again.
var Stale = fault.New(fault.Conflict, "what is authorised has changed since the entity tag was read; read it again")

// Intents is what an organisation authorises.
type Intents struct {
	Tag   string // changes with each change of it; letters and digits
	ROAs  []ROA  // sorted
	ASPAs []aspa.VAP
}

// ROA is an intent with its status.
type ROA struct {
	roa.Intent
	Status roa.Status
}

// Change is a change of intents. ROAs to be added that are there, and those to be removed that are not, are no errors.
type Change struct {
	IfMatch       string // the tag of the intents that it is for; empty: whatever they are
	Add           []roa.Row
	Remove        []roa.VRP
	SetASPAs      []aspa.VAP // each in place of what its customer AS has
	RemoveASPAsOf []uint32   // customer ASes
	Consent       ca.Consent
	Reason        string
}

// Announced is announcements with their states.
type Announced struct {
	List []ca.Announced
	Time time.Time // when they were announced
	Why  string    // why there are none, where that is so
}

// Unavailable is what a dialect says of an error that is not the caller's: what went wrong is nobody's business outside.
const Unavailable = "the registry can't answer now; try again later"

// CodeHeader is the header of a request that has the code which lets a change pass that the brake holds.
const CodeHeader = "Cadastre-Code"
