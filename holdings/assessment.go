package holdings

import (
	"fmt"
	"time"
)

// Side is one of the two sides of a transfer.
type Side string

// The sides.
const (
	SourceSide    Side = "source"
	RecipientSide Side = "recipient"
)

// What an initiated transfer waits for.
const (
	ForApproval   = "approval"   // of the recipient's registry, here (StepApproved)
	ForAcceptance = "acceptance" // of the installation that the recipient is at
	ForObjection  = "objection"  // of the source's registry, or its consent (StepConsented)
	ForResolution = "resolution" // of an objection (StepResolved)
)

// Silence is what follows if a party says nothing until a time.
type Silence string

// What silence means. If it is neither of these, the transfer waits without a limit.
const (
	Consents Silence = "consent"
	Cancels  Silence = "cancellation"
)

// Wait is something that an initiated transfer waits for.
type Wait struct {
	Side     Side      `json:"side"`
	Registry string    `json:"registry"`
	For      string    `json:"for"`
	Until    time.Time `json:"until,omitzero"`
	Silence  Silence   `json:"silence,omitempty"`
}

// Assessment is what the policies say of an initiated transfer.
type Assessment struct {
	Waits  []Wait `json:"waits,omitempty"`
	Lapsed string `json:"lapsed,omitempty"` // why it is to be cancelled now; empty where it is not
}

// Ready tells whether the transfer waits for nothing and can be accepted.
func (j Assessment) Ready() bool { return len(j.Waits) == 0 && j.Lapsed == "" }

// Next is when the assessment will change if no party says anything; zero where it will not.
func (j Assessment) Next() (at time.Time) {
	for _, w := range j.Waits {
		if !w.Until.IsZero() && (at.IsZero() || w.Until.Before(at)) {
			at = w.Until
		}
	}
	return at
}

// Assess tells what an initiated transfer waits for, on whom and until when, by the policies as they are now. A transfer in another state
// waits for nothing here.
func (l *Ledger) Assess(t *Transfer, now time.Time) Assessment {
	var j Assessment
	p := l.parties(t)
	switch {
	case t.State != Initiated:
		return j
	case t.Parked() != "" || t.last(StepObjected, StepResolved) == StepObjected:
		return Assessment{Waits: []Wait{{Side: SourceSide, Registry: t.FromRegistry, For: ForResolution}}}
	}
	if now.Before(t.Waits) && t.When(StepConsented).IsZero() {
		j.Waits = append(j.Waits, Wait{SourceSide, t.FromRegistry, ForObjection, t.Waits, Consents})
	}
	if answer := p.answer(t); answer != nil {
		if !now.Before(answer.Until) {
			return Assessment{Lapsed: fmt.Sprintf("%s gave no %s until %s", answer.Registry, answer.For, answer.Until.Format(time.RFC3339))}
		}
		j.Waits = append(j.Waits, *answer)
	}
	return j
}

// answer is what the transfer waits for of the recipient's side; nil where that is nothing.
func (p parties) answer(t *Transfer) *Wait {
	began := t.When(StepInitiated)
	switch {
	case p.recipient == nil && p.source != nil:
		return &Wait{RecipientSide, t.ToRegistry, ForAcceptance, began.Add(time.Duration(p.source.Answer)), Cancels}
	case p.recipient == nil || t.exempt() || !t.When(StepApproved).IsZero():
		return nil
	case p.recipient.Approval == ApproveAll, p.recipient.Approval == ApproveBetween && p.between():
		return &Wait{RecipientSide, p.recipient.Registry, ForApproval, began.Add(time.Duration(p.recipient.Answer)), Cancels}
	}
	return nil
}
