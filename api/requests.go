package api

import (
	"context"
	"time"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/principal"
	"cadastre/roa"
)

// Why says why something is asked for, for the log of decisions. Who asks is no part of a request: the door that it comes by knows.
type Why struct {
	Reason string `json:"reason"`
}

// by is who decides, why and when.
func (w Why) by(ctx context.Context) holdings.By {
	return holdings.By{Who: principal.Of(ctx), Reason: w.Reason, Time: time.Now().UTC()}
}

// Upload is a file that a command read on its own side.
type Upload struct {
	Name string `json:"name"`
	Data []byte `json:"data"`
}

// HoldingsImport asks to take registries' files.
type HoldingsImport struct {
	Why
	ca.Consent
	Files       []Upload `json:"files"`
	Force       bool     `json:"force,omitempty"`
	ExceptWrong bool     `json:"except_wrong,omitempty"` // leave out lines that are wrong
}

// HoldingsTake asks to return or revoke resources.
type HoldingsTake struct {
	Why
	ca.Consent
	Holder    string  `json:"holder"`
	Resources inr.Set `json:"resources"`
}

// HoldingsDelegate asks to give resources to an organisation. If it is new it is added below From.
type HoldingsDelegate struct {
	Why
	ca.Consent
	From      string          `json:"from"`
	To        string          `json:"to"`
	Name      string          `json:"name,omitempty"`
	Resources inr.Set         `json:"resources"`
	Status    holdings.Status `json:"status"`
	Since     time.Time       `json:"since,omitzero"`
	Until     time.Time       `json:"until,omitzero"`
	Ground    string          `json:"ground"`
}

// HoldingsExchange asks that an organisation get resources in place of others, which end at a deadline.
type HoldingsExchange struct {
	Why
	ca.Consent
	Holder   string    `json:"holder"`
	Give     inr.Set   `json:"give"`
	Get      inr.Set   `json:"get"`
	Deadline time.Time `json:"deadline"`
	Ground   string    `json:"ground,omitempty"`
}

// HoldingsExpire asks to end delegations that have come to their date now: of one holder, or of all.
type HoldingsExpire struct {
	Why
	ca.Consent
	Holder string `json:"holder,omitempty"`
}

// HoldingsList asks who holds what: of one holder, of those that hold some resources, or of all.
type HoldingsList struct {
	Holder    string  `json:"holder,omitempty"`
	Resources inr.Set `json:"resources,omitzero"`
}

// Holding is what one organisation holds.
type Holding struct {
	Organisation holdings.Organisation `json:"organisation"`
	Resources    inr.Set               `json:"resources"`
	Delegations  []holdings.Delegation `json:"delegations,omitempty"` // where one holder was asked for
}

// Enrol asks to add an organisation.
type Enrol struct {
	Why
	Organisation holdings.Organisation `json:"organisation"`
}

// ROAImport asks to take files of intents.
type ROAImport struct {
	Why
	ca.Consent
	Files     []Upload `json:"files"`
	Announced []Upload `json:"announced,omitempty"` // what is announced in BGP: the brake holds a change that makes some of it invalid
	Replace   bool     `json:"replace,omitempty"`
	Holder    string   `json:"holder,omitempty"`
	OnlyHeld  bool     `json:"only_held,omitempty"`
	AllowAS0  bool     `json:"allow_as0,omitempty"`
}

// ROAChange asks to add or remove intents, each as the words "prefix ASn [maxlength]".
type ROAChange struct {
	Why
	ca.Consent
	Intents   [][]string `json:"intents"`
	Files     []Upload   `json:"files,omitempty"` // of more intents
	Announced []Upload   `json:"announced,omitempty"`
	Holder    string     `json:"holder,omitempty"`
	Comment   string     `json:"comment,omitempty"`
	Until     time.Time  `json:"until,omitzero"`
	Replace   bool       `json:"replace,omitempty"`
	AllowAS0  bool       `json:"allow_as0,omitempty"`
}

// ROAList asks for the intents of a holder, or of all.
type ROAList struct {
	Holder string `json:"holder,omitempty"`
	Parked bool   `json:"parked,omitempty"` // only those that are parked, in part or as a whole
}

// ROAIntent is a ROA intent and its status.
type ROAIntent struct {
	roa.Intent
	Status roa.Status `json:"status"`
	Wait   *ca.Wait   `json:"wait,omitempty"` // what it waits for, where it is pending
}

// VRPsList asks for what is published or, with Committed, for what is committed.
type VRPsList struct {
	Committed bool `json:"committed,omitempty"`
}

// VRPs is what a validator must print.
type VRPs struct {
	Lines []string `json:"lines"` // "prefix,maxlength,ASn", sorted
}

// DecisionsList asks for the decisions from a number on.
type DecisionsList struct {
	From uint64 `json:"from"`
}

// Nothing is an empty request or answer.
type Nothing struct{}

// Text is an answer that is text.
type Text struct {
	Text string `json:"text" printable:"text"`
}

// OrganisationsList asks for the organisations of the tree, or those at and below one.
type OrganisationsList struct {
	Below string `json:"below,omitempty"`
}

// OrganisationsRemove asks to remove an organisation that has nothing any more.
type OrganisationsRemove struct {
	Why
	Handle string `json:"handle"`
}
