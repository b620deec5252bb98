package ca

import (
	"time"

	"cadastre/ca/issued"
	"cadastre/ca/plan"
	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// line of authorities -> Roll
var rollBucket = store.Declare("roll", "ca", store.Withheld("how far keys are rolled that the successor doesn't have"))

// turn takes the steps of key rolls that are due, and ends the notices of delegated CAs whose time is over.
func (e *Engine) turn(now time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var ended []*federation.Notice
	for _, notice := range e.peers.Notices() {
		if !now.Before(notice.Until) {
			ended = append(ended, notice)
		}
	}
	rolled, view := map[issued.Name]*plan.Roll{}, e.snapshot(now)
	for line, roll := range e.rolls {
		if next := plan.Advanced(view, &e.policy, line, roll, now); next != nil {
			rolled[line] = next
			if next.Active != roll.Active {
				e.follow(line, roll.Active, next.Active, rolled)
			}
		}
	}
	if view.Err() != nil || len(ended)+len(rolled) == 0 {
		return view.Err()
	}
	_, err := e.store.Update(store.Any, func(w store.Writer) error {
		if err := federation.EraseNotices(w, ended); err != nil {
			return err
		}
		for line, roll := range rolled {
			if err := store.PutValue(w, rollBucket, []byte(line.String()), roll); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	e.peers.EndNotices(ended)
	for _, notice := range ended {
		for holder := notice.Holder; holder != issued.AnchorHolder; holder = e.above(holder) {
			e.touch(holder)
		}
		e.log.Info("the time to shed what was lost is over", "organisation", notice.Holder)
	}
	for line, roll := range rolled {
		e.rolls[line] = roll
		e.touchBelow(line.Holder)
		if len(e.peers.Remotes()) > 0 {
			e.Federation.SendSoon()
		}
		e.log.Info("a key roll goes on", "authority", line, "active", roll.Active, "next", roll.Next)
	}
	return nil
}

// follow begins a next generation of each authority directly below one that takes over in another place. It is needed because their objects
// name, in the AIA, the old URI of their certificate. The caller holds the engine's mu.
func (e *Engine) follow(line issued.Name, was, now int, rolled map[issued.Name]*plan.Roll) {
	old := e.issued.Authority(line.At(was))
	if active := e.issued.Authority(line.At(now)); old == nil || e.policy.Place(old) == e.policy.Place(active) {
		return
	}
	for _, child := range e.ledger.Children(line.Holder) {
		below := issued.Name{Holder: child, Source: line.Source}
		roll := e.rolls.Of(below)
		if e.issued.Authority(below.At(roll.Active)) != nil && roll.Next == 0 {
			roll.Next, roll.Soak, roll.Staged = e.nextGeneration(below), 0, time.Time{}
			rolled[below] = &roll
		}
	}
}

// rollsAt is when turn has something to do next: a step of a roll, or the end of a notice; zero where there is none. The caller holds the
// engine's mu.
func (e *Engine) rollsAt() (time.Time, error) {
	at := time.Time{}
	now := time.Now()
	view := e.snapshot(now)
	for line, roll := range e.rolls {
		at = issued.Sooner(at, plan.RollDue(view, &e.policy, line, roll, now))
	}
	for _, notice := range e.peers.Notices() {
		at = issued.Sooner(at, notice.Until)
	}
	return at, view.Err()
}

// touchBelow has the engine plan for an organisation and those directly below it. The caller holds the engine's mu.
func (e *Engine) touchBelow(holder string) {
	e.touch(holder)
	for _, child := range e.ledger.Children(holder) {
		e.touch(child)
	}
}

// RollKey begins a key roll of an organisation's authorities (RFC 6489). Each gets a next key, which is certified and published. After the
// soak the next key issues in place of the old one. The RFC asks for a soak of 24 hours.
func (e *Engine) RollKey(by holdings.By, holder string, soak time.Duration) error {
	holder = holdings.Fold(holder)
	err := e.changePeers(func(w *federation.Tx) error {
		if _, ok := e.ledger.Organisation(holder); !ok {
			return fault.New(fault.NotFound, "there is no organisation %q", holder)
		}
		return e.rollLines(w, holder, soak, false)
	})
	if err == nil {
		e.log.Info("a key roll begins", "organisation", holder, "soak", soak, "actor", by.Who, "reason", by.Reason)
		e.Federation.AskSoon()
	}
	return err
}

// rollLines begins a next generation of each authority of an organisation; with move, in the place where new authorities publish. It is
// used within changePeers.
func (e *Engine) rollLines(w *federation.Tx, holder string, soak time.Duration, move bool) error {
	n := 0
	for _, authority := range e.issued.Of(holder) {
		line := authority
		roll := e.rolls.Of(line.Line())
		if line.Key != "" || line.Generation != roll.Active {
			continue
		}
		if roll.Next != 0 {
			if !move {
				return fault.New(fault.Conflict, "a key roll of %s is under way; look with 'cadastre keys show %s', or give it up with 'cadastre keys roll %s --abandon'", holder, holder, holder)
			}
			// the next generation is given up: it would publish in a place that is not wanted any more, and may not work
		}
		n++
		roll.Next, roll.Soak, roll.Staged = e.nextGeneration(line), soak, time.Time{}
		w.OnCommit(func() {
			e.rolls[line.Line()] = &roll
			e.touchBelow(holder)
		})
		if err := store.PutValue(w, rollBucket, []byte(line.Line().String()), &roll); err != nil {
			return err
		}
	}
	if n == 0 && !move {
		return fault.New(fault.NotFound, "%s has no key here to roll", holder)
	}
	return nil
}

// AbandonRoll gives up an organisation's key rolls. The certificates of the next keys, which do not issue yet, are revoked, and the old
// keys go on. This also ends a move to another publication server; new authorities still publish there until 'repository local'.
func (e *Engine) AbandonRoll(by holdings.By, holder string) error {
	holder = holdings.Fold(holder)
	err := e.changePeers(func(w *federation.Tx) error {
		n := 0
		for line, was := range e.rolls {
			if line.Holder != holder || was.Next == 0 {
				continue
			}
			n++
			roll := *was
			roll.Last, roll.Next, roll.Staged = roll.Next, 0, time.Time{}
			w.OnCommit(func() {
				e.rolls[line] = &roll
				e.touchBelow(holder)
			})
			if err := store.PutValue(w, rollBucket, []byte(line.String()), &roll); err != nil {
				return err
			}
		}
		if n == 0 {
			return fault.New(fault.NotFound, "no key roll of %q is under way; 'cadastre keys show %s' says how its keys stand", holder, holder)
		}
		return nil
	})
	if err == nil {
		e.log.Info("a key roll is given up", "organisation", holder, "actor", by.Who, "reason", by.Reason)
		e.Federation.AskSoon()
		e.Federation.SendSoon()
	}
	return err
}

// nextGeneration is the number of a generation that no authority of a line has had.
func (e *Engine) nextGeneration(line issued.Name) int {
	roll := e.rolls.Of(line.Line())
	next := max(roll.Active, roll.Next, roll.Last) // one that was given up may be in work right now
	for _, authority := range e.issued.Of(line.Holder) {
		if n := authority; n.Key == "" && n.Source == line.Source {
			next = max(next, n.Generation)
		}
	}
	return next + 1
}

// ActivateKey ends the soak of an organisation's key rolls: the next keys issue once no validator would lose a VRP (plan.SwitchAt).
func (e *Engine) ActivateKey(by holdings.By, holder string) error {
	holder = holdings.Fold(holder)
	err := e.changePeers(func(w *federation.Tx) error {
		n := 0
		for line, was := range e.rolls {
			if line.Holder != holder || was.Next == 0 {
				continue
			}
			n++
			roll := *was
			roll.Soak = 0
			w.OnCommit(func() { e.rolls[line] = &roll })
			if err := store.PutValue(w, rollBucket, []byte(line.String()), &roll); err != nil {
				return err
			}
		}
		if n == 0 {
			return fault.New(fault.NotFound, "no key roll of %q is under way; begin one with 'cadastre keys roll'", holder)
		}
		return nil
	})
	if err == nil {
		e.log.Info("the next key is to issue", "organisation", holder, "actor", by.Who, "reason", by.Reason)
	}
	return err
}

func loadRolls(r store.Reader) (plan.Rolls, error) {
	all := plan.Rolls{}
	return all, store.EachValue(r, rollBucket, nil, func(line string, l *plan.Roll) { all[issued.Parse(line)] = l })
}
