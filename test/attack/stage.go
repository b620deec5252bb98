package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"cadastre/test/internal/process"
)

// stage is the installation that most attacks are played against, and the honest clients beside them.
type stage struct {
	*installation
	r         *run
	reader    *reader
	authority *authority
	validator *validator
	noLooks   string // why rpki-client does not look
	base      []string

	quiet  calm
	cancel context.CancelFunc
	ended  sync.WaitGroup

	mu      sync.Mutex
	samples map[string][]sample // by what an honest client did
	wrong   []wrong
	roas    []addedROA
	memory  []uint64 // looks at the daemon's, since clear
	worst   calm     // of any attack so far
	looks   int
	held    bool // the operator adds nothing for now
}

// sample is one call of an honest client.
type sample struct {
	at   time.Time
	took time.Duration
}

// wrong is what an honest client met that it should not have.
type wrong struct {
	at   time.Time
	what string
}

// addedROA is a ROA that the operator asked for.
type addedROA struct {
	vrp          string
	asked        time.Time
	acknowledged time.Time // zero: not yet, or it failed
}

// What honest clients do.
const (
	reads     = "reader"    // of RRDP
	adds      = "operator"  // of ROAs, over the socket
	lists     = "child"     // RFC 6492
	queries   = "publisher" // RFC 8181
	publishes = "published" // from when the operator was told that a ROA is added to when the reader has it
)

// calm is how it was when nobody attacked.
type calm struct {
	slowest map[string]time.Duration
	memory  uint64
}

func (c calm) String() string {
	var words []string
	for _, what := range []string{reads, adds, lists, queries, publishes} {
		words = append(words, fmt.Sprintf("%s %d ms", what, c.slowest[what].Milliseconds()))
	}
	return fmt.Sprintf("p99 of %s; %d MB of memory", strings.Join(words, ", "), c.memory>>20)
}

// How much worse it may become. Wanted is twice as slow at the most, and 100 MB of memory. Calls take some 50 ms when it is quiet,
// which is less than a call waits for its turn where more programs than cores want to run: the attackers, rpki-client and this one
// are on the machine too, and an attack has but ten to a hundred calls to look at. So it may also be slower by a floor, below
// which a busy machine says nothing of the daemon. What it was at the worst is printed at the end, to be read beside the quiet.
//
// Memory is what the process has, with garbage that is not collected yet. Each attack may add so much to what was there before
// it; in the end, when garbage is gone, all of them together may have left no more than that above what it was before the first.
const (
	quietFor     = 15 * time.Second
	floor        = 250 * time.Millisecond // for each program that wants a core
	publishFloor = 5 * time.Second        // a serial is closed once a second at the most
	memoryFloor  = 100 << 20
	collected    = 3 * time.Minute // within which garbage is gone: Go collects every two minutes at the least, and returns the rest after
)

// crowding is how many programs want each core of the machine, two at the least: whoever attacks is on it as well.
func crowding() float64 {
	var load float64
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		if _, err := fmt.Sscan(string(text), &load); err != nil {
			load = 0
		}
	}
	return max(2, load/float64(runtime.NumCPU()))
}

// raise makes the installation, has honest clients work, and looks how it is when it is quiet.
func (r *run) raise(ctx context.Context) (*stage, error) {
	h, err := r.foundAndServe(ctx, filepath.Join(r.dir, "stage"), rsa2048)
	if err != nil {
		return nil, err
	}
	s := &stage{installation: h, r: r, samples: map[string][]sample{}}
	if s.authority, err = newAuthority(ctx, h, "kamba", 3); err != nil {
		return nil, err
	}
	if s.base, err = h.vrps(ctx); err != nil {
		return nil, err
	}
	if !slices.Contains(s.base, s.authority.vrp) {
		s.base = append(s.base, s.authority.vrp)
	}
	s.reader = newReader(h, func(took time.Duration, err error) { s.note(reads, took, err) })
	if s.validator, s.noLooks, err = r.newValidator(h, filepath.Join(r.dir, "stage", "validator")); err != nil {
		return nil, err
	}
	err = process.Until(ctx, 20*time.Second, func() error {
		err := s.reader.look(ctx)
		if err == nil && s.reader.saw(s.authority.vrp).IsZero() {
			err = errors.New("the honest publisher's ROA is not published")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	working, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.work(working)
	began := time.Now()
	if err := pause(ctx, quietFor); err != nil {
		return nil, err
	}
	s.quiet, s.worst = calm{slowest: map[string]time.Duration{}}, calm{slowest: map[string]time.Duration{}}
	s.mu.Lock()
	s.quiet.memory = slices.Max(s.memory)
	for _, what := range []string{reads, adds, lists, queries} {
		s.quiet.slowest[what] = p99(s.samples[what], began)
	}
	s.quiet.slowest[publishes] = s.slowestPublished(began, time.Now())
	wrong := slices.Clone(s.wrong)
	s.mu.Unlock()
	if s.quiet.memory == 0 {
		r.unlooked = append(r.unlooked, "the daemon's memory cannot be read here: there is no /proc/PID/status")
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("with nobody attacking, an honest client finds: %s", wrong[0].what)
	}
	return s, nil
}

// end ends the honest clients and the daemon.
func (s *stage) end() {
	s.cancel()
	s.ended.Wait()
	s.installation.end()
}

// work starts the honest clients.
func (s *stage) work(ctx context.Context) {
	every := func(pace time.Duration, do func()) {
		s.ended.Go(func() {
			runtime.LockOSThread() // see init
			for ticker := time.NewTicker(pace); ; {
				do()
				select {
				case <-ticker.C:
				case <-ctx.Done():
					ticker.Stop()
					return
				}
			}
		})
	}
	timed := func(what string, do func() error) func() {
		return func() {
			began := time.Now()
			err := do()
			if ctx.Err() == nil {
				s.note(what, time.Since(began), err)
			}
		}
	}
	every(50*time.Millisecond, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.memory = append(s.memory, s.daemon.Memory())
	})
	every(200*time.Millisecond, func() {
		if err := s.reader.look(ctx); err != nil && ctx.Err() == nil {
			s.finds("the reader: %v", err)
		}
	})
	n := 0
	every(6*time.Second, func() {
		s.mu.Lock()
		held := s.held
		s.mu.Unlock()
		if !held {
			n++
			s.add(ctx, n)
		}
	})
	every(1100*time.Millisecond, timed(lists, func() error { return s.authority.hasKey(ctx) }))
	turn := 0
	query := timed(queries, func() error {
		if turn%8 == 0 {
			return s.authority.publishes(ctx)
		}
		return s.authority.hasLost(ctx)
	})
	every(1100*time.Millisecond, func() {
		turn++
		if err := s.authority.prepares(); err != nil {
			s.finds("the publisher: %v", err)
		}
		query()
	})
	if s.validator != nil {
		every(10*time.Second, func() {
			if err := s.glance(ctx); err != nil && ctx.Err() == nil {
				s.finds("%v", err)
			}
		})
	}
}

// add adds the operator's next ROA.
func (s *stage) add(ctx context.Context, n int) {
	prefix := fmt.Sprintf("102.16.%d.0/24", n%256)
	origin := 37100 + n/256
	vrp := fmt.Sprintf("%s,24,AS%d", prefix, origin)
	began := time.Now()
	s.mu.Lock()
	s.roas = append(s.roas, addedROA{vrp: vrp, asked: began})
	at := len(s.roas) - 1
	s.mu.Unlock()
	err := s.tell(ctx, "roa", "add", prefix, fmt.Sprintf("AS%d", origin), "24")
	if ctx.Err() != nil {
		return
	}
	s.note(adds, time.Since(began), err)
	if err == nil {
		s.mu.Lock()
		s.roas[at].acknowledged = time.Now()
		s.mu.Unlock()
	}
}

// note keeps how long an honest call took, or what was wrong with it.
func (s *stage) note(what string, took time.Duration, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		s.finds("%s: %v", what, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.samples[what] = append(s.samples[what], sample{time.Now(), took})
}

func (s *stage) finds(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, wrong{time.Now(), fmt.Sprintf(format, args...)})
}

// settledAfter is how long after its acknowledgement a ROA has to be seen by a validator that begins to look.
const settledAfter = 15 * time.Second

// glance has rpki-client look once while all goes on: what was there long enough has to be there, and nothing that was not asked
// for.
func (s *stage) glance(ctx context.Context) error {
	began := time.Now()
	seen, err := s.validator.look(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	needed, allowed := slices.Clone(s.base), slices.Clone(s.base)
	for _, r := range s.roas {
		allowed = append(allowed, r.vrp)
		if !r.acknowledged.IsZero() && began.Sub(r.acknowledged) > settledAfter {
			needed = append(needed, r.vrp)
		}
	}
	return between(seen, needed, allowed)
}

// between is an error where lines have something that is not allowed, or lack something that is needed.
func between(seen, needed, allowed []string) error {
	for _, line := range seen {
		if !slices.Contains(allowed, line) {
			return fmt.Errorf("%s sees %s, which nobody asked for", newest, line)
		}
	}
	for _, line := range needed {
		if !slices.Contains(seen, line) {
			return fmt.Errorf("%s does not see %s, which was acknowledged", newest, line)
		}
	}
	return nil
}

// p99 is what 99 of 100 calls since a moment did not take longer than.
func p99(samples []sample, since time.Time) time.Duration {
	var took []time.Duration
	for _, one := range samples {
		if one.at.After(since) {
			took = append(took, one.took)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	at := len(took) * 99 / 100
	if len(took) >= 10 {
		at = min(at, len(took)-2) // one of few may be slow for reasons of the machine
	}
	return took[at]
}

// slowestPublished is the longest that a ROA took from its acknowledgement until the reader had it, of those that were
// acknowledged in a span. One that the reader does not have yet counts until now. The stage's mu is held.
func (s *stage) slowestPublished(from, until time.Time) (longest time.Duration) {
	for _, r := range s.roas {
		if r.acknowledged.Before(from) || r.acknowledged.After(until) {
			continue
		}
		saw := s.reader.saw(r.vrp)
		if saw.IsZero() {
			saw = time.Now()
		}
		longest = max(longest, saw.Sub(r.acknowledged))
	}
	return longest
}

// attacked plays an attack, and judges it by itself and by what honest clients noticed.
func (s *stage) attacked(ctx context.Context, a attack) (string, error) {
	began := time.Now()
	s.mu.Lock()
	before := max(s.quiet.memory, slices.Max(append(s.memory[max(0, len(s.memory)-10):], 0))) // what an attack before took comes back late
	s.memory = nil
	s.mu.Unlock()
	figures, err := a.beside(ctx, s)
	ended := time.Now()
	if errors.Is(err, errSkipped) {
		return "", err
	}
	// what is under way now began while it was attacked
	return figures, errors.Join(err, pause(ctx, 2*time.Second), s.noticed(began, ended, before))
}

// noticed is what honest clients noticed of an attack, before which the daemon had so much memory.
func (s *stage) noticed(began, ended time.Time, before uint64) error {
	if err := s.daemon.Ended(); err != nil {
		return fmt.Errorf("the daemon: %w; it says: %s", err, s.lastWords())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	busy := crowding()
	for _, w := range s.wrong {
		if w.at.After(began) {
			errs = append(errs, errors.New(w.what))
		}
	}
	if len(errs) > 3 {
		errs = append(errs[:3], fmt.Errorf("and %d more", len(errs)-3))
	}
	for _, what := range []string{reads, adds, lists, queries} {
		quiet, got := s.quiet.slowest[what], p99(s.samples[what], began)
		s.worst.slowest[what] = max(s.worst.slowest[what], got)
		if got > max(2*quiet, quiet+time.Duration(busy*float64(floor))) {
			errs = append(errs, fmt.Errorf("the %s's calls took %d ms, and %d ms when it was quiet", what, got.Milliseconds(), quiet.Milliseconds()))
		}
	}
	quiet, got := s.quiet.slowest[publishes], s.slowestPublished(began, ended)
	s.worst.slowest[publishes] = max(s.worst.slowest[publishes], got)
	if got > max(2*quiet, quiet+time.Duration(busy/2*float64(publishFloor))) {
		errs = append(errs, fmt.Errorf("a ROA was published %.1f s after it was acknowledged, and after %.1f s when it was quiet", got.Seconds(), quiet.Seconds()))
	}
	most := slices.Max(append(s.memory, 0))
	s.worst.memory = max(s.worst.memory, most)
	if most > before+memoryFloor {
		errs = append(errs, fmt.Errorf("the daemon took %d MB, and %d MB before", most>>20, before>>20))
	}
	return errors.Join(errs...)
}

// account is the last check of a run: all that was acknowledged is there, and nothing else.
func (s *stage) account(ctx context.Context) (string, error) {
	s.mu.Lock()
	s.held = true
	s.mu.Unlock()
	if err := pause(ctx, time.Second); err != nil {
		return "", err
	}
	if err := s.settle(ctx); err != nil {
		return "", err
	}
	ours, err := s.vrps(ctx)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	var acknowledged int
	needed, allowed := slices.Clone(s.base), slices.Clone(s.base)
	for _, r := range s.roas {
		allowed = append(allowed, r.vrp)
		if !r.acknowledged.IsZero() {
			needed = append(needed, r.vrp)
			acknowledged++
		}
	}
	looks, worst := s.looks, s.worst.String()
	s.mu.Unlock()
	if !slices.Contains(ours, s.authority.vrp) { // what a delegated CA says is not the daemon's to say
		ours = append(ours, s.authority.vrp)
	}
	slices.Sort(ours)
	if err := between(ours, needed, allowed); err != nil {
		return "", fmt.Errorf("'cadastre vrps': %w", err)
	}
	if err := errors.Join(s.authority.hasLost(ctx), s.authority.hasKey(ctx)); err != nil {
		return "", err
	}
	err = process.Until(ctx, collected, func() error {
		if has := s.daemon.Memory(); has > s.quiet.memory+memoryFloor {
			return fmt.Errorf("after all attacks the daemon has %d MB, and had %d MB before the first", has>>20, s.quiet.memory>>20)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	figures := fmt.Sprintf("at the worst %s; %d ROAs of the operator's, %d manifests of the child's", worst, acknowledged, s.authority.number)
	if s.validator == nil {
		s.r.unlooked = append(s.r.unlooked, "rpki-client did not look, for "+s.noLooks)
		return figures + "; rpki-client did not look, for " + s.noLooks, nil
	}
	err = process.Until(ctx, 30*time.Second, func() error {
		seen, err := s.validator.look(ctx)
		if err == nil && !slices.Equal(seen, ours) {
			err = errors.Join(between(seen, ours, ours), fmt.Errorf("%s sees %d VRPs, and there are %d", newest, len(seen), len(ours)))
		}
		return err
	})
	return fmt.Sprintf("%s, %d VRPs, %d looks of %s before", figures, len(ours), looks, newest), err
}
