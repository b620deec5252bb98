// Package agenda keeps for which organisations there is something left to do: those that a decision or a deadline touched, those of a plan
// that was interrupted, those that a plan put off, and those that are quarantined because their work failed.
//
// It knows no engine, no store and no clock. What it has to know of the ledger and of deadlines it asks through View.
package agenda

import (
	"maps"
	"slices"
	"sync"
	"time"

	"cadastre/ca/issued"
	"cadastre/ca/plan"
)

// Agenda is safe for concurrent use. Its lock may be taken while the engine's mu is held, and it is held while a View is asked.
type Agenda struct {
	mu      sync.Mutex            // guards all of the following
	touched map[string]bool       // a decision or a deadline touched them since the last plan
	backlog map[string]bool       // of a longer plan that was interrupted for those touched, or still to be planned for after a start
	later   map[string]plan.Delay // a plan put something of them off
	refused map[string]*Refused   // quarantined
	left    map[string]int        // of the present plan: updates that change something of them and are not committed
	done    map[string]bool       // finished before the plan was interrupted
}

// View is what an agenda asks about organisations. It does not change while it is used.
type View interface {
	Above(holder string) string      // the organisation directly above, or issued.AnchorHolder
	Children(holder string) []string // those directly below
	Shrinks(holder string) bool      // a certificate of it names more than it holds
	// Due lists those of which something is due, and when something may be due next. Waits returns true for those that are not due before
	// what they wait for.
	Due(now time.Time, waits func(holder string) bool) (holders []string, next time.Time)
	Manifests(holder string) []time.Time // when its manifests have to be made anew
}

// New makes an agenda with a backlog.
func New(backlog []string) *Agenda {
	a := &Agenda{touched: map[string]bool{}, backlog: map[string]bool{}, later: map[string]plan.Delay{}, refused: map[string]*Refused{}}
	for _, holder := range backlog {
		a.backlog[holder] = true
	}
	return a
}

// Touch notes that an organisation has to be planned for.
func (a *Agenda) Touch(holder string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.touched[holder] = true
}

// Take takes the organisations to plan for next: those that a decision or a deadline touched; if there are none, the backlog.
func (a *Agenda) Take(now time.Time, v View) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	holders, _ := a.due(now, v)
	for _, holder := range holders {
		a.touched[holder] = true
		delete(a.later, holder)
	}
	from := a.touched
	if len(from) == 0 {
		from = a.backlog
	}
	for holder := range a.touched {
		a.close(holder, v)
	}
	set := slices.Sorted(maps.Keys(from))
	clear(from)
	a.left = make(map[string]int, len(set))
	for _, holder := range set {
		if !a.done[holder] {
			a.left[holder] = 1
		}
	}
	a.done = nil
	return set
}

// close moves the ancestors and, if the organisation's certificate has to shrink, the descendants of an organisation from the backlog to
// those touched: they have to be planned for together.
func (a *Agenda) close(holder string, v View) {
	if len(a.backlog) == 0 || holder == issued.AnchorHolder {
		return
	}
	delete(a.backlog, holder)
	for up := v.Above(holder); up != issued.AnchorHolder; up = v.Above(up) {
		if a.backlog[up] {
			delete(a.backlog, up)
			a.touched[up] = true
		}
	}
	if !v.Shrinks(holder) {
		return // what is below can wait
	}
	for _, child := range v.Children(holder) {
		if a.backlog[child] {
			a.touched[child] = true
			a.close(child, v)
		}
	}
}

// Begin replaces the set of Take by the organisations for which the plan has something to do.
func (a *Agenda) Begin(waves []plan.Wave) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left, a.done = map[string]int{}, nil
	for _, w := range waves {
		for _, updates := range w.Chunks(plan.BatchKeys) {
			for _, u := range updates {
				for _, holder := range u.Concerns() {
					a.left[holder]++
				}
			}
		}
	}
}

// Committed notes that a batch is committed.
func (a *Agenda) Committed(updates []plan.Update) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, u := range updates {
		for _, holder := range u.Concerns() {
			if a.left[holder]--; a.left[holder] > 0 {
				continue
			}
			delete(a.left, holder)
			if a.done == nil {
				a.done = map[string]bool{}
			}
			a.done[holder] = true
		}
	}
}

// Finish ends the plan for a set of organisations. If it was interrupted, the set goes to the backlog and is planned for again; the agenda
// remembers which organisations of it are done.
func (a *Agenda) Finish(set []string, finished bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.left = nil; finished {
		a.done = nil
		return
	}
	for _, holder := range set {
		a.backlog[holder] = true
	}
}

// PutOff notes for which organisations of a set the plan put something off, and when to plan for them again.
func (a *Agenda) PutOff(set []string, until map[string]plan.Delay) {
	a.mu.Lock()
	defer a.mu.Unlock()
	until = maps.Clone(until)
	for holder, off := range until {
		if was := a.later[holder]; !off.Soaks.IsZero() && !was.Soaks.IsZero() {
			off.Since = was.Since
			until[holder] = off
		}
	}
	for _, holder := range set {
		delete(a.later, holder)
	}
	maps.Copy(a.later, until)
}

// Soaking has the organisations of which something is put off until no reader holds an older state.
func (a *Agenda) Soaking(now time.Time) map[string]plan.Delay {
	a.mu.Lock()
	defer a.mu.Unlock()
	soaking := maps.Clone(a.later)
	maps.DeleteFunc(soaking, func(_ string, off plan.Delay) bool { return !now.Before(off.Soaks) })
	return soaking
}

// Touched tells whether an organisation was touched since the present plan began.
func (a *Agenda) Touched(holder string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.touched[holder]
}

// Interrupted tells whether any organisation was touched since the present plan began.
func (a *Agenda) Interrupted() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.touched) > 0
}

// Idle tells whether nobody has to be planned for now, and no plan is under way.
func (a *Agenda) Idle() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.touched)+len(a.backlog)+len(a.left) == 0
}

// Count is how many organisations are left: those that have to be planned for, and those of the present plan.
func (a *Agenda) Count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := len(a.touched)
	for holder := range a.backlog {
		if !a.done[holder] && !a.touched[holder] {
			n++
		}
	}
	for holder := range a.left {
		if !a.touched[holder] && !a.backlog[holder] {
			n++
		}
	}
	return n
}

// Next is when there is something to plan for: no later than now where there is already, and zero where that is not known.
func (a *Agenda) Next(now time.Time, v View) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.touched)+len(a.backlog) > 0 {
		return now
	}
	holders, next := a.due(now, v)
	if len(holders) > 0 {
		return now
	}
	return next
}

// due lists the organisations for which something is due now. Next is when something will be due, zero where that is not known.
func (a *Agenda) due(now time.Time, v View) (holders []string, next time.Time) {
	holders, next = v.Due(now, func(holder string) bool { return a.refused[holder] != nil }) // what these wait for is below
	note := func(holder string, at time.Time) {
		if !now.Before(at) {
			holders = append(holders, holder)
		} else {
			next = issued.Sooner(next, at)
		}
	}
	for holder, r := range a.refused {
		note(holder, r.Until)
		for _, manifest := range v.Manifests(holder) {
			note(holder, r.next(manifest))
		}
	}
	for holder, off := range a.later {
		if !a.quarantined(holder, off.At) {
			note(holder, off.At)
		}
	}
	return holders, next
}
