package main

import (
	"fmt"
	"sync"
	"time"
)

type moment = time.Time

// observations is what one reader has seen, held against what had to be seen.
type observations struct {
	mu     sync.Mutex
	world  *world
	routes []validity // of each announcement before anything moved

	runs      int
	failed    int
	slowest   time.Duration // from the beginning of one run to that of the next
	last      vrps
	lastBegan moment
	lastEnded moment
	absent    int // needs that the last output did not meet
	lost      time.Duration
	unnamed   int // ASPAs that were missing in it
	lostASPAs time.Duration
	aspas     bool // the reader knows ASPAs
	resting   bool
	aged      bool
	harmed    int // announcements that some output made worse
	faults    []string
}

func newObservations(w *world) *observations {
	s := &observations{world: w}
	before := tableOf(w.before)
	for _, a := range w.routes {
		s.routes = append(s.routes, before.judge(a))
	}
	return s
}

func (s *observations) fault(at moment, format string, args ...any) {
	s.faults = append(s.faults, at.Format("15:04:05 ")+fmt.Sprintf(format, args...))
}

// take is an output of the reader: its VRPs and, if it knows these, its ASPAs. It tells whether there was anything wrong with it.
func (s *observations) take(began, ended moment, seen vrps, aspas map[string]bool) (wrong bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pass(began, ended)
	s.runs++
	s.last = seen
	if s.resting {
		return false
	}
	known := len(s.faults)
	missing := s.world.missing(seen, began, s.aged)
	s.absent = len(missing)
	for _, n := range missing[:min(3, len(missing))] {
		s.fault(ended, "%s is missing, and %d more", n.vrp, len(missing)-1)
	}
	var unnamed []string
	for _, line := range s.world.aspas {
		if aspas != nil && !aspas[line] {
			unnamed = append(unnamed, line)
		}
	}
	s.unnamed, s.aspas = len(unnamed), aspas != nil
	for _, line := range unnamed[:min(3, len(unnamed))] {
		s.fault(ended, "the ASPA %s is missing, and %d more", line, len(unnamed)-1)
	}
	now := tableOf(seen)
	for i, a := range s.world.routes {
		if is := now.judge(a); worse(s.routes[i], is) {
			s.harmed++
			s.fault(ended, "the announcement of %s by AS%d was %s and is %s", a.Prefix, a.Origin, s.routes[i], is)
		}
	}
	return len(s.faults) > known
}

// pass lets the time since the last output go by, in which routers had that.
func (s *observations) pass(began, ended moment) {
	if !s.lastBegan.IsZero() {
		s.slowest = max(s.slowest, began.Sub(s.lastBegan), ended.Sub(began))
		s.lost += time.Duration(s.absent) * ended.Sub(s.lastEnded)
		s.lostASPAs += time.Duration(s.unnamed) * ended.Sub(s.lastEnded)
	} else {
		s.slowest = ended.Sub(began)
	}
	s.lastBegan, s.lastEnded = began, ended
}

// fails is a run of the reader that gave nothing: routers keep what they had.
func (s *observations) fails(began, ended moment, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pass(began, ended)
	s.failed++
	s.fault(ended, "%v", err)
}

// pace forgets how long runs took so far, and tells it.
func (s *observations) pace() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.slowest
	s.slowest = 0
	return was
}

func (s *observations) seenLast() vrps {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *observations) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runs + s.failed
}

// begin begins the judgement: what was seen so far does not count.
func (s *observations) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.absent, s.lost, s.unnamed, s.lostASPAs, s.harmed, s.failed, s.faults = 0, 0, 0, 0, 0, 0, nil
}

// rest ends the judgement: what is seen from here on may be anything.
func (s *observations) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resting = true
}

// holds is nil where the last output of a run that began after a time is a set.
func (s *observations) holds(after moment, want vrps) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || s.lastBegan.Before(after) {
		return fmt.Errorf("it has not looked since %s", after.Format("15:04:05"))
	}
	return s.last.differs(want)
}

// verdict is the figures of the reader, and an error where something was missing or worse.
func (s *observations) verdict() (figures string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.absent > 0 {
		s.lost += time.Duration(s.absent) * time.Since(s.lastEnded)
	}
	if s.unnamed > 0 {
		s.lostASPAs += time.Duration(s.unnamed) * time.Since(s.lastEnded)
	}
	figures = fmt.Sprintf("%d runs, the slowest took %.1f s with its pause; VRP-seconds lost: %.0f; announcements harmed: %d", s.runs, s.slowest.Seconds(), s.lost.Seconds(), s.harmed)
	if s.aspas && len(s.world.aspas) > 0 {
		figures += fmt.Sprintf("; ASPA-seconds lost: %.0f", s.lostASPAs.Seconds())
	}
	if len(s.faults) > 0 {
		return figures, fmt.Errorf("%s; %d runs failed; %d faults, the first: %v", figures, s.failed, len(s.faults), s.faults[:min(4, len(s.faults))])
	}
	return figures, nil
}
