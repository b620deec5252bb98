// Package shares limits what each of those who may send messages to the program can use up.
//
// There is one Ledger. It knows whose share is asked for (a Principal) and what of (a Resource), and has a budget for
// each. Who has used up a budget is refused, with an error of kind fault.Busy that says when to come again, and nobody
// else notices. Beside it are three smaller tools that a budget is not enough for:
//
//   - Pool: bytes in memory at one time. When it is full, whoever has the most has to give way.
//   - Crowd: the rate of those who have not proven who they are, in memory that does not grow.
//   - Disk: how much is free, and whether guests may still write.
//
// Nothing here reads messages or knows protocols, and nothing is kept over a restart: budgets are full again then.
package shares

import (
	"fmt"
	"math"
	"time"
)

// Kind says what sort of principal it is that uses something up.
type Kind int

// The kinds of principals. Operators have no budget: nobody's use delays them. Strangers have proven nothing, and so are no
// principals: they share a Crowd and a part of a Pool.
const (
	Child        Kind = iota // a delegated CA
	Publisher                // a CA that publishes here
	Installation             // an introduced installation
	Parent                   // a parent elsewhere, which we ask
	Server                   // a publication server elsewhere, which we send to
	kinds
)

var kindNames = [kinds]string{"child", "publisher", "installation", "parent", "server"}

// String is the kind's name in metrics and errors.
func (k Kind) String() string { return kindNames[k] }

// Principal is one who uses something up.
type Principal struct {
	Kind Kind
	Name string // its handle, or our name for it
}

func (p Principal) String() string { return fmt.Sprintf("%s %s", p.Kind, p.Name) }

// Resource is what can be used up.
type Resource int

// The resources. Each is counted in units of its own.
const (
	Requests  Resource = iota // authentic messages; for parents and servers, our messages to them
	Issuances                 // requests that have something certified: each costs signatures, an entry in a CRL, and a part of a serial
	Renewals                  // a child's reserve for what must not wait: a certificate that is due, and revocations
	CPU                       // seconds of processor time for reading its messages, and for acting on them where that is long
	Written                   // bytes of objects, also those that are soon replaced or withdrawn
	resources
)

var resourceNames = [resources]string{"requests", "issuances", "renewals", "cpu", "written"}

// String is the resource's name in metrics and errors.
func (r Resource) String() string { return resourceNames[r] }

// Rate is how much someone may use: PerSecond in the long run, Burst at once.
type Rate struct {
	PerSecond float64
	Burst     float64
}

// PerHour is a rate of so much an hour, all of which can be used at once.
func PerHour(n float64) Rate { return Rate{PerSecond: n / 3600, Burst: n} }

// budget is what someone has left of a Rate. It may be overdrawn where what something costs is known only afterwards.
type budget struct {
	left float64
	at   time.Time // when there was so much left; zero where it is new, and full
}

func (b *budget) fill(r Rate, now time.Time) {
	if b.at.IsZero() {
		b.left = r.Burst
	} else if passed := now.Sub(b.at); passed > 0 {
		b.left = min(r.Burst, b.left+passed.Seconds()*r.PerSecond)
	}
	b.at = now
}

// take takes n if there is so much.
func (b *budget) take(r Rate, n float64, now time.Time) bool {
	b.fill(r, now)
	if b.left < n {
		return false
	}
	b.left -= n
	return true
}

// wait is how long it takes until there is n.
func (b *budget) wait(r Rate, n float64) time.Duration {
	missing := min(n, r.Burst) - b.left
	if missing <= 0 || r.PerSecond <= 0 {
		return 0
	}
	return time.Duration(math.Ceil(missing/r.PerSecond)) * time.Second
}
