package holdings

import (
	"slices"
	"time"

	"cadastre/internal/fault"
)

// TransferState is how far a transfer has come. Names are those of draft-nro-sidrops-ta-constraints: between acceptance and
// finalisation both registries may speak for the resources.
type TransferState string

// The states of a transfer. One that is initiated becomes accepted and then finalised; until then it may be cancelled.
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

// The steps of a transfer. The first four are named as the states that they lead to; after the others its state is what it was.
const (
	StepInitiated Step = "initiated"
	StepAccepted  Step = "accepted"
	StepFinalised Step = "finalised"
	StepCancelled Step = "cancelled"
	StepApproved  Step = "approved"   // the recipient's registry agrees
	StepObjected  Step = "objected"   // the source does not, on a listed ground
	StepConsented Step = "consented"  // the source waives its right to object
	StepSeen      Step = "seen"       // the recipient's side is published
	StepLost      Step = "lost"       // it was seen, and is not any more
	StepDisputed  Step = "disputed"   // parked
	StepResolved  Step = "resolved"   // goes on
	StepHeld      Step = "held"       // the source delays it
	StepLetGo     Step = "let go"     // and does so no more
	StepReleased  Step = "released"   // what the side that lost had is not certified any more
	StepAnnounced Step = "announced"  // the installation elsewhere knows
	StepWishedOff Step = "wished off" // the recipient's side wants it cancelled
	StepRoutes    Step = "routes"     // what goes along changed at the source
	StepForced    Step = "forced"     // it goes on without CAs elsewhere that have not come along
	StepDisowned  Step = "disowned"   // the installation that it came from is distrusted, and what came is taken from who had it
)

// Direction is where the two sides of a transfer are.
type Direction string

// The directions. Of a local transfer the recipient is here, and the donor too, unless what it had is known by its registry's deposit
// alone.
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

// Local tells whether both sides are in this ledger, or one of them is in no ledger any more.
func (t *Transfer) Local() bool { return t.Direction() == Local }

// Outgoing tells whether a transfer goes to another installation.
func (t *Transfer) Outgoing() bool { return t.Direction() == Outgoing }

// Incoming tells whether a transfer comes from another installation.
func (t *Transfer) Incoming() bool { return t.Direction() == Incoming }

// DonorHere tells whether the donor is an organisation of this ledger. It is not where a transfer is incoming, nor where the donor was
// a holder of a registry that failed and is known by what that deposited.
func (t *Transfer) DonorHere() bool { return t.From != "" }

// RecipientHere tells whether the recipient is an organisation of this ledger, or will be one.
func (t *Transfer) RecipientHere() bool { return t.To != "" }

// transition is in which states, and on which sides, a step may be taken, and to which state it leads.
type transition struct {
	from []TransferState // "" before it has begun
	to   TransferState   // "" the one it was in
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

// may tells what keeps a transfer from taking a step: the state that it is in, or the side that this is.
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

// advance takes a step by a decision: it brings the transfer to the state that the step leads to, and adds the step to its history. It
// changes nothing where the step may not be taken.
func (t *Transfer) advance(step Step, by By, decision uint64, text string) error {
	if err := t.may(step); err != nil {
		return err
	}
	if to := transitions[step].to; to != "" {
		t.State = to
	}
	t.Steps = append(t.Steps, TransferStep{At: second(by.Time), What: step, Text: text, Actor: by.Actor, Decision: decision})
	return nil
}

// second is a time as records have it.
func second(at time.Time) time.Time { return at.UTC().Truncate(time.Second) }

// When is when a step was last taken, zero where it was not.
func (t *Transfer) When(step Step) time.Time {
	for _, s := range slices.Backward(t.Steps) {
		if s.What == step {
			return s.At
		}
	}
	return time.Time{}
}

// Text is what was said with the last step of a kind, empty where there was none.
func (t *Transfer) Text(step Step) string {
	for _, s := range slices.Backward(t.Steps) {
		if s.What == step {
			return s.Text
		}
	}
	return ""
}

// last is which of some steps was taken last; empty where none was.
func (t *Transfer) last(steps ...Step) Step {
	for _, s := range slices.Backward(t.Steps) {
		if slices.Contains(steps, s.What) {
			return s.What
		}
	}
	return ""
}

// Objection is the ground of the last objection, empty where there was none.
func (t *Transfer) Objection() string { return t.Text(StepObjected) }
