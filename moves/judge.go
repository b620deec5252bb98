package moves

import (
	"time"

	"cadastre/holdings"
)

// judgement is what an initiated transfer waits for.
type judgement struct {
	Ready bool
	Why   string
	On    string
	Until time.Time
}

func judge(_ *holdings.Ledger, t *holdings.Transfer, _ time.Time) judgement {
	switch {
	case t.To == "":
		return judgement{Why: "that " + t.ToRegistry + " accepts it", On: t.ToRegistry}
	case t.FromRegistry == t.ToRegistry, !t.When(holdings.StepApproved).IsZero():
		return judgement{Ready: true}
	}
	return judgement{Why: "that " + t.ToRegistry + " approves it", On: t.ToRegistry}
}
