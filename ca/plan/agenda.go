package plan

import "sync"

// Agenda tells how far a plan has come: for which organisations there is something left to do. It is safe for concurrent use.
type Agenda struct {
	mu   sync.Mutex
	left map[string]int  // by organisation: updates that change something of it and are not committed
	done map[string]bool // those that were finished before the plan was interrupted
}

// Take begins the agenda of a plan with the organisations that are about to be planned for.
func (a *Agenda) Take(set []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left = make(map[string]int, len(set))
	for _, holder := range set {
		if !a.done[holder] {
			a.left[holder] = 1
		}
	}
	a.done = nil
}

// Begin replaces the set of Take by the organisations for which the plan has something to do.
func (a *Agenda) Begin(waves []Wave) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left, a.done = map[string]int{}, nil
	for _, w := range waves {
		for _, updates := range w.Chunks(BatchKeys) {
			for _, u := range updates {
				for _, holder := range u.Concerns() {
					a.left[holder]++
				}
			}
		}
	}
}

// Committed notes that a batch is committed.
func (a *Agenda) Committed(updates []Update) {
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

// End ends the agenda of a plan. If the plan was interrupted, its set goes to the backlog; the agenda remembers which organisations of it
// are done.
func (a *Agenda) End(finished bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.left = nil; finished {
		a.done = nil
	}
}

// Count is how many organisations are left: those that wait to be planned for, and those of the present plan.
func (a *Agenda) Count(dirty, backlog map[string]bool) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := len(dirty)
	for holder := range backlog {
		if !a.done[holder] && !dirty[holder] {
			n++
		}
	}
	for holder := range a.left {
		if !dirty[holder] && !backlog[holder] {
			n++
		}
	}
	return n
}

// Concerns lists the organisations for which an update does something. That is its own, unless it only certifies or revokes others.
func (u *Update) Concerns() []string {
	var holders []string
	if u.Create || u.Adopt || u.End || len(u.Authorise)+len(u.Withdraw)+len(u.Release) > 0 || len(u.Certify)+len(u.Revoke) == 0 {
		holders = append(holders, u.Name.Holder)
	}
	for _, c := range u.Certify {
		holders = append(holders, c.Name.Holder)
	}
	for _, name := range u.Revoke {
		holders = append(holders, name.Holder)
	}
	return holders
}
