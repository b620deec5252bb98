package holdings

import (
	"slices"
	"time"

	"cadastre/internal/fault"
)

// TransferState is the state of a transfer. The names are those of draft-nro-sidrops-ta-constraints: between acceptance and finalisation
// both registries may certify the resources.
type TransferState string

// The states of a transfer: it is initiated, then accepted, then finalised. Before that it may be cancelled.
const (
	Initiated TransferState = "initiated"
	Accepted  TransferState = "accepted"
	Finalised TransferState = "finalised"
	Cancelled TransferState = "cancelled"
)

// Over tells whether nothing can be done about the transfer any more.
func (s TransferState) Over() bool { return s == Finalised || s == Cancelled }

// Step is what happens to a transfer.
type Step string

// The steps of a transfer. The first four lead to the states of the same names; the others do not change the state.
const (
	StepInitiated Step = "initiated"
	StepAccepted  Step = "accepted"
	StepFinalised Step = "finalised"
	StepCancelled Step = "cancelled"
	StepApproved  Step = "approved"   // the recipient's registry agrees
	StepObjected  Step = "objected"   // the source's registry objects, on a listed ground
	StepConsented Step = "consented"  // the source's registry waives its right to object
	StepSeen      Step = "seen"       // the recipient's side is seen to be published
	StepLost      Step = "lost"       // the recipient's side was seen, and is not any more
	StepDisputed  Step = "disputed"   // it is parked
	StepResolved  Step = "resolved"   // the dispute or objection is resolved, and it goes on
	StepHeld      Step = "held"       // the source holds back the finalisation
	StepLetGo     Step = "let go"     // the source releases the finalisation
	StepReleased  Step = "released"   // nothing is certified any more for the side that lost
	StepAnnounced Step = "announced"  // the other installation knows of the end
	StepWishedOff Step = "wished off" // the recipient's side wants it cancelled
	StepRoutes    Step = "routes"     // the routes that go along changed at the source
	StepForced    Step = "forced"     // it does not wait for CAs elsewhere any more
	StepDisowned  Step = "disowned"   // the installation that it came from is distrusted, and what it brought is taken away
)

// Direction is where the two sides of a transfer are.
type Direction string

// The directions. The recipient of a local transfer is here. The donor is here, too, or its holding is known from its registry's deposit.
const (
	Local    Direction = "local"
	Outgoing Direction = "outgoing" // to another installation
	Incoming Direction = "incoming" // from another installation
)

// Direction is where the two sides are.
func (t *Transfer) Direction() Direction {
	switch {
	case t.Peer == "":
		return Local
	case t.To == "":
		return Outgoing
	}
	return Incoming
}

// Local tells whether both sides are in this ledger, or the donor is in no ledger any more.
func (t *Transfer) Local() bool { return t.Direction() == Local }

// Outgoing tells whether a transfer goes to another installation.
func (t *Transfer) Outgoing() bool { return t.Direction() == Outgoing }

// Incoming tells whether a transfer comes from another installation.
func (t *Transfer) Incoming() bool { return t.Direction() == Incoming }

// DonorHere tells whether the donor is an organisation of this ledger. It is not if the transfer is incoming, or if the donor is known only
// from the deposit of a registry that failed.
func (t *Transfer) DonorHere() bool { return t.From != "" }

// RecipientHere tells whether the recipient is an organisation of this ledger, or will be one.
func (t *Transfer) RecipientHere() bool { return t.To != "" }

// transition says in which states and on which sides a step may be taken, and to which state it leads.
type transition struct {
	from []TransferState // "" before it has begun
	to   TransferState   // "": the state does not change
	on   []Direction     // nil: all
}

var (
	open       = []TransferState{Initiated, Accepted}
	over       = []TransferState{Finalised, Cancelled}
	deciding   = []Direction{Local, Outgoing} // the source's side is here, and decides when it is over
	fromThere  = []Direction{Incoming}
	toThere    = []Direction{Outgoing}
	insideHere = []Direction{Local}
)

// transitions is the state machine of transfers. docs/architecture.md has the same table for people.
var transitions = map[Step]transition{
	StepInitiated: {from: []TransferState{""}, to: Initiated},
	StepAccepted:  {from: []TransferState{Initiated}, to: Accepted},
	StepFinalised: {from: []TransferState{Accepted}, to: Finalised},
	StepCancelled: {from: open, to: Cancelled},
	StepApproved:  {from: []TransferState{Initiated}},
	StepObjected:  {from: []TransferState{Initiated}},
	StepConsented: {from: []TransferState{Initiated}},
	StepDisputed:  {from: open},
	StepResolved:  {from: open},
	StepHeld:      {from: open},
	StepLetGo:     {from: open},
	StepRoutes:    {from: open, on: fromThere},
	StepWishedOff: {from: []TransferState{Accepted}, on: fromThere},
	StepSeen:      {from: []TransferState{Accepted}, on: deciding},
	StepLost:      {from: []TransferState{Accepted}, on: deciding},
	StepForced:    {from: []TransferState{Accepted}, on: insideHere},
	StepAnnounced: {from: over, on: toThere},
	StepReleased:  {from: over},
	StepDisowned:  {from: []TransferState{Initiated, Accepted, Finalised}},
}

// may checks whether a transfer may take a step; the error names its state or the side that this is.
func (t *Transfer) may(step Step) error {
	tr, known := transitions[step]
	switch {
	case !known:
		return fault.New(fault.Internal, "%q is no step of a transfer", step)
	case !slices.Contains(tr.from, t.State):
		return fault.New(fault.Conflict, "transfer %d is %s", t.ID, t.State)
	case tr.on != nil && !slices.Contains(tr.on, t.Direction()):
		return fault.New(fault.Conflict, "transfer %d is %s, and %q is no step of this side", t.ID, t.Direction(), step)
	}
	return nil
}

// advance takes a step by a decision: it changes the state, and adds the step to the history. If the step may not be taken it changes
// nothing, and fails as may does.
func (t *Transfer) advance(step Step, by By, decision uint64, text string) error {
	if err := t.may(step); err != nil {
		return err
	}
	if to := transitions[step].to; to != "" {
		t.State = to
	}
	t.Steps = append(t.Steps, TransferStep{At: second(by.Time), What: step, Text: text, Actor: by.Who.String(), Decision: decision})
	return nil
}

// second is a time in whole seconds, UTC, as records have it.
func second(at time.Time) time.Time { return at.UTC().Truncate(time.Second) }

// When is the time at which a step was last taken; zero where it was not.
func (t *Transfer) When(step Step) time.Time {
	for _, s := range slices.Backward(t.Steps) {
		if s.What == step {
			return s.At
		}
	}
	return time.Time{}
}

// Text is the text of the last step of a kind; empty where there was none.
func (t *Transfer) Text(step Step) string {
	for _, s := range slices.Backward(t.Steps) {
		if s.What == step {
			return s.Text
		}
	}
	return ""
}

// last is the one of some steps that was taken last; empty where none was.
func (t *Transfer) last(steps ...Step) Step {
	for _, s := range slices.Backward(t.Steps) {
		if slices.Contains(steps, s.What) {
			return s.What
		}
	}
	return ""
}

// Objection is the ground of the last objection; empty where there was none.
func (t *Transfer) Objection() string { return t.Text(StepObjected) }
