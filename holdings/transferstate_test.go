package holdings

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/principal"
)

// TestTransitions walks all states, steps and directions. The table is written again here, from docs/architecture.md: which steps may
// be taken in a state by the side that is here, and where they lead.
func TestTransitions(t *testing.T) {
	lead := map[Step]TransferState{StepInitiated: Initiated, StepAccepted: Accepted, StepFinalised: Finalised, StepCancelled: Cancelled}
	const (
		both = "disputed resolved held let go cancelled"
		end  = "released"
	)
	may := map[Direction]map[TransferState]string{
		Local: {
			"":        "initiated",
			Initiated: both + " accepted approved objected consented disowned",
			Accepted:  both + " finalised seen lost forced disowned",
			Finalised: end + " disowned", Cancelled: end,
		},
		Outgoing: {
			"":        "initiated",
			Initiated: both + " accepted approved objected consented disowned",
			Accepted:  both + " finalised seen lost disowned",
			Finalised: end + " announced disowned", Cancelled: end + " announced",
		},
		Incoming: {
			"":        "initiated",
			Initiated: both + " accepted approved objected consented routes disowned",
			Accepted:  both + " finalised routes wished off disowned",
			Finalised: end + " disowned", Cancelled: end,
		},
	}
	sides := map[Direction]Transfer{
		Local: {From: "a", To: "b"}, Outgoing: {From: "a", Peer: "south", Elsewhere: "b"}, Incoming: {To: "b", Peer: "north", Elsewhere: "a"},
	}
	by := By{Who: principal.Principal{Name: "tester"}, Time: time.Date(2026, 6, 1, 12, 0, 0, 5, time.UTC)}
	for direction, states := range may {
		for _, state := range []TransferState{"", Initiated, Accepted, Finalised, Cancelled} {
			for _, step := range append(slices.Collect(maps.Keys(transitions)), "no such step") {
				x := sides[direction]
				x.ID, x.State = 7, state
				before := *x.clone()
				if x.Direction() != direction {
					t.Fatalf("%+v is %s", x, x.Direction())
				}
				name := fmt.Sprintf("a transfer that is %s and %q is %s", direction, state, step)
				err := x.advance(step, by, 9, "why")
				if allowed := strings.Contains(" "+states[state]+" ", " "+string(step)+" "); !allowed {
					if err == nil || step != "no such step" && fault.KindOf(err) != fault.Conflict || !reflect.DeepEqual(x, before) {
						t.Errorf("%s: %v, %+v", name, err, x)
					}
					continue
				}
				want := before
				want.Steps = []TransferStep{{At: by.Time.Truncate(time.Second), What: step, Text: "why", Actor: "tester", Decision: 9}}
				if to := lead[step]; to != "" {
					want.State = to
				}
				if err != nil || !reflect.DeepEqual(x, want) {
					t.Errorf("%s: %v, %+v", name, err, x)
				}
			}
		}
	}
}
