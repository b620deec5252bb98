package shares

import (
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"cadastre/internal/fault"
)

// Budgets are the rates of each kind of principal. A Rate that is zero is no limit.
type Budgets map[Kind]map[Resource]Rate

// DefaultBudgets are those of an installation whose configuration says nothing else; docs/limits.md has them.
func DefaultBudgets() Budgets {
	return Budgets{
		Child:        {Requests: {PerSecond: 1, Burst: 120}, Issuances: PerHour(120), Renewals: PerHour(120), CPU: {PerSecond: 0.05, Burst: 10}},
		Publisher:    {Requests: {PerSecond: 5, Burst: 600}, CPU: {PerSecond: 0.1, Burst: 20}, Written: PerHour(1 << 30)},
		Installation: {Requests: {PerSecond: 20, Burst: 2400}, CPU: {PerSecond: 0.25, Burst: 50}},
		Parent:       {Requests: {PerSecond: 1, Burst: 120}, CPU: {PerSecond: 0.05, Burst: 10}},
		Server:       {Requests: {PerSecond: 5, Burst: 600}, CPU: {PerSecond: 0.1, Burst: 20}},
	}
}

// Ledger keeps what principals have used of their budgets. A nil Ledger has no limits. It is safe for concurrent use.
type Ledger struct {
	budgets Budgets

	mu      sync.Mutex
	used    map[Principal]*[resources]budget
	refused [kinds][resources]int64
	spent   [kinds][resources]float64
	sweepAt int
}

// NewLedger makes a ledger in which all budgets are full.
func NewLedger(budgets Budgets) *Ledger {
	return &Ledger{budgets: budgets, used: map[Principal]*[resources]budget{}, sweepAt: fewestSwept}
}

const fewestSwept = 1024

// Spend uses up n of a principal's budget, or none of it where less is left. The error is of kind fault.Busy.
func (l *Ledger) Spend(p Principal, r Resource, n float64) error {
	rate, limited := l.rate(p.Kind, r)
	if !limited {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b, now := l.of(p, r), time.Now()
	if b.take(rate, n, now) {
		l.spent[p.Kind][r] += n
		return nil
	}
	l.refused[p.Kind][r]++
	return fault.New(fault.Busy, "the %s has used up its share of %s; come again in %s", p, r, b.wait(rate, n))
}

// Charge uses up n, even if less is left: what something costs may be known only afterwards. Owing tells whether too much was used.
func (l *Ledger) Charge(p Principal, r Resource, n float64) {
	rate, limited := l.rate(p.Kind, r)
	if !limited {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.of(p, r)
	b.fill(rate, time.Now())
	b.left -= n
	l.spent[p.Kind][r] += n
}

// Owing is an error of kind fault.Busy where a principal has been charged more than its budget, until that has filled again.
func (l *Ledger) Owing(p Principal, r Resource) error { return l.Spend(p, r, 0) }

// Measure tells how much processor time work takes. Work must not wait for anything.
func Measure(work func()) time.Duration {
	runtime.LockOSThread() // the time of a thread is that of this work alone
	defer runtime.UnlockOSThread()
	before := threadTime()
	work()
	return threadTime() - before
}

// threadTime is by the clock of the thread: getrusage(2) moves on with the kernel's ticks alone, between which most messages
// would cost nothing.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

func (l *Ledger) rate(k Kind, r Resource) (Rate, bool) {
	if l == nil {
		return Rate{}, false
	}
	rate, limited := l.budgets[k][r]
	return rate, limited && rate != Rate{}
}

// of is a principal's budget of a resource. The caller holds mu.
func (l *Ledger) of(p Principal, r Resource) *budget {
	all := l.used[p]
	if all == nil {
		l.sweep()
		all = new([resources]budget)
		l.used[p] = all
	}
	return &all[r]
}

// sweep forgets principals whose budgets are full, when there are twice as many as were left the last time. mu is held.
func (l *Ledger) sweep() {
	if len(l.used) < l.sweepAt {
		return
	}
	now := time.Now()
	for p, all := range l.used {
		full := true
		for r := range all {
			if rate := l.budgets[p.Kind][Resource(r)]; !all[r].at.IsZero() {
				all[r].fill(rate, now)
				full = full && all[r].left >= rate.Burst
			}
		}
		if full {
			delete(l.used, p)
		}
	}
	l.sweepAt = max(fewestSwept, 2*len(l.used))
}

// Use is what principals of a kind have used of a resource since the start.
type Use struct {
	Kind     Kind
	Resource Resource
	Used     float64
	Refused  int64
	Highest  float64 // of any one principal: how much of its budget is used up now; 1 is all
}

// Uses lists what was used of the resources that have budgets.
func (l *Ledger) Uses() []Use {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var highest [kinds][resources]float64
	now := time.Now()
	for p, all := range l.used {
		for r := range all {
			if rate := l.budgets[p.Kind][Resource(r)]; !all[r].at.IsZero() {
				all[r].fill(rate, now)
				highest[p.Kind][r] = max(highest[p.Kind][r], 1-all[r].left/rate.Burst)
			}
		}
	}
	var uses []Use
	for k := range kinds {
		for r := range resources {
			if _, limited := l.rate(k, r); limited {
				uses = append(uses, Use{k, r, l.spent[k][r], l.refused[k][r], highest[k][r]})
			}
		}
	}
	return uses
}
