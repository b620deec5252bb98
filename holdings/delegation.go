package holdings

import (
	"time"

	"cadastre/internal/inr"
	"cadastre/internal/principal"
)

// Status says whether what is delegated may be delegated on.
type Status string

// The two statuses of a delegation.
const (
	Allocated Status = "allocated" // for distribution: its recipient may delegate it on
	Assigned  Status = "assigned"  // for use by its recipient alone
)

// Delegation is resources that an organisation gave to one directly below it, or that an organisation got from a source outside the tree.
// It is never edited: a change ends it and starts another in its place.
type Delegation struct {
	ID        uint64    `json:"id"`
	From      string    `json:"from"`             // empty: from outside, as Source says
	Source    string    `json:"source,omitempty"` // a parent that is not in the tree, and its resource class
	To        string    `json:"to"`
	Resources inr.Set   `json:"resources"`
	Status    Status    `json:"status"`
	Since     time.Time `json:"since,omitzero"` // UTC; zero where a registry's file does not say
	Until     time.Time `json:"until,omitzero"` // UTC; zero: with no end
	Ground    string    `json:"ground"`         // a contract, a policy, an imported file
	Country   string    `json:"country,omitempty"`
	Decision  uint64    `json:"decision"`           // the one that started it
	Ended     uint64    `json:"ended,omitempty"`    // the decision that ended it, 0 while it is in force
	Replaces  uint64    `json:"replaces,omitempty"` // the delegation whose remainder this is, if any
	// Record names the record of the registry's file that it came from, so that a later import finds it again; empty
	// when it was made by hand.
	Record string `json:"record,omitempty"`
	// Transfer is the transfer that it came by, 0 for none. While Incoming is set, the donor's side holds the same resources.
	Transfer uint64 `json:"transfer,omitempty"`
	Incoming bool   `json:"arriving,omitempty"`
}

// foreign tells whether the delegation came from outside the tree.
func (d *Delegation) foreign() bool { return d.Source != "" }

// DelegatedExtended is the ground of delegations that came from a registry's file.
const DelegatedExtended = "delegated-extended"

// Imported tells whether the delegation came from a registry's file and so follows it.
func (d *Delegation) Imported() bool { return d.Record != "" }

// derived tells whether the delegation was made by an import to a registry, as the sum of its records.
func (d *Delegation) derived() bool { return d.Record == poolRecord }

// Decision is one accepted change of the ledger, of the intents, or of both. The log of decisions is their history.
type Decision struct {
	Previous string         `json:"previous,omitempty"` // hash of the decision before it, hex; see HeadAt
	ID       uint64         `json:"id"`                 // from 1, without a gap
	Actor    string         `json:"actor"`              // who decided, and for whom: the text of principal.Principal
	Door     principal.Door `json:"door,omitempty"`     // by which door; empty: a decision from before doors were recorded
	Reason   string         `json:"reason"`
	Time     time.Time      `json:"time"`
	Changes  []Change       `json:"changes"`

	Intents IntentSummary `json:"intents,omitzero"` // what it changed of the intents
}

// What a change did.
const (
	Enrolled = "enrolled" // an organisation was added, or its record changed
	Removed  = "removed"  // an organisation that had nothing any more was removed
	Started  = "started"  // a delegation began
	Ended    = "ended"    // a delegation ended
	Moved    = "moved"    // a transfer took a step
	Ruled    = "ruled"    // a registry's policy for transfers was set
)

// Change is one thing that a decision did. The delegation itself is kept for ever under its recipient and number.
type Change struct {
	What         string `json:"what"`
	Organisation string `json:"organisation"` // of a delegation, its recipient
	Delegation   uint64 `json:"delegation,omitempty"`
	Transfer     uint64 `json:"transfer,omitempty"`
	Step         Step   `json:"step,omitempty"` // of a transfer
}

// By says who decides, why, and when. It goes into the log.
type By struct {
	Who    principal.Principal
	Reason string
	Time   time.Time
}

// decision is the record of a decision, without what it changes.
func (by By) decision(id uint64) Decision {
	return Decision{ID: id, Actor: by.Who.String(), Door: by.Who.Door, Reason: by.Reason, Time: by.Time.UTC().Round(0)}
}
