package ca

import (
	"time"

	"cadastre/internal/store"
)

// turn ends by itself what was to last for a time: the notices of delegated CAs, and the staging of next generations.
func (e *Engine) turn(now time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var ended []*Notice
	for _, notice := range e.peers.notices {
		if !now.Before(notice.Until) {
			ended = append(ended, notice)
		}
	}
	rolled := map[string]*Roll{}
	for line, roll := range e.peers.rolls {
		if next := e.advanced(line, roll, now); next != nil {
			rolled[line] = next
		}
	}
	if len(ended)+len(rolled) == 0 {
		return nil
	}
	_, err := e.store.Update(store.Any, func(w store.Writer) error {
		for _, notice := range ended {
			if err := w.Delete(noticeBucket, []byte(notice.Holder)); err != nil {
				return err
			}
		}
		for line, roll := range rolled {
			if err := put(w, rollBucket, []byte(line), roll); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, notice := range ended {
		delete(e.peers.notices, notice.Holder)
		for holder := notice.Holder; holder != AnchorName; holder = e.above(holder) {
			e.touch(holder)
		}
		e.log.Info("the time to shed what was lost is over", "organisation", notice.Holder)
	}
	for line, roll := range rolled {
		e.peers.rolls[line] = roll
		e.touchBelow(parseName(line).holder)
		e.log.Info("a key roll goes on", "authority", line, "active", roll.Active, "next", roll.Next)
	}
	return nil
}

// advanced is how a roll goes on at a time; nil where it does not. A next generation that is published is staged, and
// after its soak it issues (RFC 6489, section 2). The engine's mu is held.
func (e *Engine) advanced(line string, roll *Roll, now time.Time) *Roll {
	if roll.Next == 0 {
		return nil
	}
	n := parseName(line)
	n.generation = roll.Next
	is := e.clockOf(n.String())
	if is == nil || is.awaits() || is.Number == 0 || e.mirrors.unsent(is.Repository) {
		return nil
	}
	next := *roll
	switch {
	case roll.Staged.IsZero():
		next.Staged = now
	case now.Before(roll.Staged.Add(roll.Soak)):
		return nil
	default:
		next.Active, next.Next, next.Switched = roll.Next, 0, now
	}
	return &next
}

// rollsAt is when the next roll goes on by itself, or the next notice ends; zero where none does. The engine's mu is held.
func (e *Engine) rollsAt() time.Time {
	at := time.Time{}
	for _, roll := range e.peers.rolls {
		switch {
		case roll.Next == 0:
		case !roll.Staged.IsZero():
			at = sooner(at, roll.Staged.Add(roll.Soak))
		default:
			at = sooner(at, time.Now().Add(time.Second)) // until it is published
		}
	}
	for _, notice := range e.peers.notices {
		at = sooner(at, notice.Until)
	}
	return at
}

// clockOf is an authority's record, nil where there is none.
func (e *Engine) clockOf(authority string) *Authority {
	e.knownMu.Lock()
	defer e.knownMu.Unlock()
	if c, exists := e.clocks[authority]; exists {
		return &c.Authority
	}
	return nil
}

// touchBelow has the engine plan for an organisation and those directly below it. The engine's mu is held.
func (e *Engine) touchBelow(holder string) {
	e.touch(holder)
	for _, child := range e.ledger.Children(holder) {
		e.touch(child)
	}
}
