package relying

import (
	"bytes"
	"context"
	"slices"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/relying/rrdpxml"
	"cadastre/internal/term"
	"cadastre/internal/validate"
)

// Step is one state that a relying party can have seen: what was valid at one serial of one repository, with all
// others where they were.
type Step struct {
	At         time.Time          `json:"at"`
	Repository string             `json:"repository,omitempty"` // URI of its notification; "" where no repository moved
	Session    string             `json:"session,omitempty"`
	Serial     uint64             `json:"serial,omitempty"`
	Jump       string             `json:"jump,omitempty"` // why this is not one delta after the step before; "" where it is
	VRPs       int                `json:"vrps"`           // how many are valid now
	Gained     []validate.VRP     `json:"gained,omitempty"`
	Lost       []validate.VRP     `json:"lost,omitempty"`
	Findings   []validate.Finding `json:"findings,omitempty"` // those of validation now, and those of fetching since the step before
	Walk       term.Term          `json:"walk"`               // what validating took
	Report     *Report            `json:"-"`                  // nil where nothing was validated because nothing moved
}

// Follow validates, and then asks every repository for news at the given interval until ctx ends. When a repository has
// several new serials, it applies them one at a time and validates after each, so that each is called for every serial
// that was published between two looks. News of several repositories is replayed in the order in which their servers made
// the deltas (Last-Modified). Where deltas do not lead to what is announced, the snapshot is used, and the step says why
// in Jump. The first step has all VRPs as gained.
//
// It reads over RRDP alone. A repository that cannot be fetched is a finding. If there is a copy of it in the cache, it is
// asked again after the interval; if there is none, when the next step validates. The error is nil when ctx ended,
// BadInput where the options rule RRDP out, and else what Verify would fail with.
func Follow(ctx context.Context, o Options, every time.Duration, each func(Step)) error {
	if o.RsyncOnly || o.Offline {
		return fault.New(fault.BadInput, "serials can be followed over RRDP alone: leave out rsync alone and offline")
	}
	o.NoRsync, o.Fresh = true, true
	r, err := newRun(o)
	if err != nil {
		return err
	}
	defer r.close()
	f := &follower{run: r, source: newSource(r.options, r.fetcher), each: each}
	if err := f.begin(ctx); err != nil {
		return ended(ctx, err)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := f.cycle(ctx); err != nil {
				return ended(ctx, err)
			}
		}
	}
}

// ended is nil where err came about because the caller wanted an end.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it is the caller's own doing
	}
	return err
}

// follower is what Follow remembers between steps. One goroutine owns it.
type follower struct {
	*run
	source   *source
	each     func(Step)
	anchor   []byte // the trust anchor's certificate
	uri      string // where it came from
	vrps     []validate.VRP
	earliest time.Time // until when the last walk holds
}

func (f *follower) begin(ctx context.Context) error {
	var err error
	if f.anchor, f.uri, err = f.source.trustAnchor(ctx, f.tal); err != nil {
		return err
	}
	return f.step(ctx, Step{Jump: "this is the first step"})
}

// step validates what the source has now and reports it as the given step.
func (f *follower) step(ctx context.Context, s Step) error {
	report, err := f.walk(ctx, f.anchor, f.source)
	if err != nil {
		return err
	}
	report.TrustAnchor, report.Took = f.uri, report.Walk
	report.Repositories = f.source.repositories()
	report.Findings = append(f.takeFindings(), report.Findings...)
	s.Gained, s.Lost = difference(f.vrps, report.VRPs)
	f.vrps, f.earliest = report.VRPs, report.Earliest
	s.At, s.VRPs, s.Findings, s.Walk, s.Report = report.At, len(report.VRPs), report.Findings, report.Walk, report
	f.each(s)
	return nil
}

// takeFindings is what fetching has found since it was asked last.
func (f *follower) takeFindings() []validate.Finding {
	f.source.mu.Lock()
	defer f.source.mu.Unlock()
	found := f.source.findings
	f.source.findings = nil
	return found
}

// move is one serial of one repository that waits to be applied.
type move struct {
	visit   *visit
	news    *news
	delta   rrdpxml.Delta
	changes []rrdpxml.Change
	made    time.Time
	last    bool // it is the last delta that the notification announced
}

// cycle asks all repositories for news and replays what there is.
func (f *follower) cycle(ctx context.Context) error {
	f.source.forgetFailures()
	f.fetcher.accounts = newAccounts(f.options.Limits) // each look has accounts of its own
	f.source.rsync.accounts = f.fetcher.accounts
	if der, uri, err := f.source.trustAnchor(ctx, f.tal); err == nil && !bytes.Equal(der, f.anchor) {
		f.anchor, f.uri = der, uri
		if err := f.step(ctx, Step{Jump: "the trust anchor has a new certificate"}); err != nil {
			return err
		}
	}
	var moves []move
	for _, v := range f.source.known() {
		moves = append(moves, f.ask(ctx, v)...)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	slices.SortStableFunc(moves, func(a, b move) int { return a.made.Compare(b.made) })
	broken := make(map[*visit]bool)
	for _, m := range moves {
		if broken[m.visit] {
			continue
		}
		jump := f.apply(ctx, m)
		broken[m.visit] = jump != ""
		r := m.visit.rrdp
		m.visit.describe()
		err := f.step(ctx, Step{Repository: r.state.Notify, Session: r.state.Session, Serial: r.state.Serial, Jump: jump})
		if err != nil {
			return err
		}
	}
	if len(moves) == 0 && time.Now().After(f.earliest) && f.options.Now.IsZero() && len(f.vrps) > 0 {
		return f.step(ctx, Step{Jump: "something came to its end"})
	}
	if found := f.takeFindings(); len(found) > 0 {
		f.each(Step{At: time.Now().UTC(), VRPs: len(f.vrps), Findings: found, Jump: "fetching met with problems"})
	}
	return ctx.Err()
}

// ask polls one repository and fetches the deltas of its news, without applying any.
func (f *follower) ask(ctx context.Context, v *visit) []move {
	ctx, cancel := context.WithDeadlineCause(ctx, f.fetcher.accounts.deadline(v.rrdp.who), errSlow)
	defer cancel()
	n, err := v.rrdp.poll(ctx)
	if err != nil {
		f.source.find(v.report.URI, validate.Error, ruleFetch, "%v", err)
		return nil
	}
	if n == nil {
		return nil
	}
	f.source.judge(v.rrdp, n)
	var moves []move
	for i, d := range n.chain {
		m := move{visit: v, news: n, delta: d, last: i == len(n.chain)-1}
		if m.changes, m.made, err = v.rrdp.fetchDelta(ctx, d); err != nil {
			n.jump = err.Error()
			f.source.find(v.report.URI, validate.Error, ruleFetch, "the delta of serial %d is not used: %v", d.Serial, err)
			break
		}
		moves = append(moves, m)
	}
	switch {
	case n.jump != "":
		moves = append(moves, move{visit: v, news: n, made: time.Now()})
	case len(moves) == 0:
		f.noteSettled(v, n)
	}
	return moves
}

// apply makes one move. It returns why that was not a delta, "" where it was one.
func (f *follower) apply(ctx context.Context, m move) string {
	r := m.visit.rrdp
	if m.changes != nil {
		err := r.apply(m.changes, m.delta.Serial)
		if err == nil {
			if m.last {
				f.noteSettled(m.visit, m.news)
			}
			return ""
		}
		f.source.find(r.state.Notify, validate.Error, ruleFetch, "the delta of serial %d is not used: %v", m.delta.Serial, err)
		m.news.jump = err.Error()
	}
	if err := r.loadSnapshot(ctx, m.news); err != nil {
		f.source.find(r.state.Notify, validate.Error, ruleFetch, "%v", err)
		return "its snapshot could not be used: " + m.news.jump
	}
	f.noteSettled(m.visit, m.news)
	return m.news.jump
}

func (f *follower) noteSettled(v *visit, n *news) {
	if err := v.rrdp.settle(n); err != nil {
		f.source.find(v.report.URI, validate.Warning, ruleDamaged, "%v", err)
	}
}

// forgetFailures makes the next walk ask again for what could not be had.
func (s *source) forgetFailures() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order = slices.DeleteFunc(s.order, func(v *visit) bool {
		if v.err != nil {
			delete(s.visits, v.report.URI)
		}
		return v.err != nil
	})
}

// known is the RRDP repositories that were asked for so far, parents first.
func (s *source) known() []*visit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.order), func(v *visit) bool { return v.rrdp == nil })
}

// difference is what is only in the newer and only in the older of two sorted lists of VRPs.
func difference(older, newer []validate.VRP) (gained, lost []validate.VRP) {
	for len(older) > 0 || len(newer) > 0 {
		switch {
		case len(newer) == 0 || len(older) > 0 && older[0].Compare(newer[0]) < 0:
			lost, older = append(lost, older[0]), older[1:]
		case len(older) == 0 || newer[0].Compare(older[0]) < 0:
			gained, newer = append(gained, newer[0]), newer[1:]
		default:
			older, newer = older[1:], newer[1:]
		}
	}
	return gained, lost
}
