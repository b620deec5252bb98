package relying

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/term"
	"cadastre/internal/validate"
)

// The rules that findings about fetching name.
const (
	ruleFetch   = "8182-3.4"     // a repository could not be brought up to date over RRDP
	ruleDesync  = "9697-3"       // its session or its serials are not what they were
	ruleGap     = "8182-3.5.1.3" // its notification lists deltas that are no chain
	ruleRsync   = "6481-3"       // a module could not be copied
	ruleStale   = "cache-used"   // an older copy was used
	ruleDamaged = "cache-damaged"
)

// Ways by which the objects of a repository came.
const (
	HowSnapshot  = "snapshot"
	HowDeltas    = "deltas"
	HowUnchanged = "unchanged" // the server said so, or announced nothing new
	HowRsync     = "rsync"
	HowCache     = "cache" // offline, or what was asked for could not be fetched
	HowNothing   = "nothing"
)

// Repository is how one repository was fetched.
type Repository struct {
	URI     string    `json:"uri"` // of the notification, or of the module that was asked for over rsync
	How     string    `json:"how"`
	Session string    `json:"session,omitempty"`
	Serial  uint64    `json:"serial,omitempty"`
	Deltas  int       `json:"deltas,omitempty"` // how many were applied
	Objects int       `json:"objects,omitempty"`
	Took    term.Term `json:"took"`
}

// source gives publication points to the validator: it fetches the repository of a point when it is first asked for,
// and once. Any number of goroutines may ask.
type source struct {
	cache    string
	fetcher  *fetcher
	rsync    *rsyncer
	kept     *kept
	options  Options
	mu       sync.Mutex
	visits   map[string]*visit // by the URI of a notification or a module
	order    []*visit          // as they were first asked for, which is top-down
	findings []validate.Finding
}

// visit is one repository or module in one run. once guards the rest.
type visit struct {
	once   sync.Once
	point  validate.Point
	rrdp   *repository // nil for a module
	report Repository
	err    error // why there is no point
}

func newSource(o Options, f *fetcher) *source {
	return &source{
		cache: o.Cache, fetcher: f, options: o, visits: make(map[string]*visit),
		rsync: &rsyncer{program: o.Rsync, dir: filepath.Join(o.Cache, "rsync"), limits: o.Limits, accounts: f.accounts},
		kept:  &kept{dir: filepath.Join(o.Cache, "kept")},
	}
}

// Point is the objects that a CA publishes: those of the RRDP repository that it names, else those of its rsync
// module, else an older copy. It fails where there is none of these, and with Invalid where a limit is reached.
func (s *source) Point(ctx context.Context, at validate.Place) (validate.Point, error) {
	notify, caRepository := at.Notify, at.Repository
	host := hostOf(notify)
	if notify == "" || s.options.RsyncOnly {
		host = hostOf(caRepository)
	}
	if err := s.fetcher.accounts.charge(account{host, at.Branch}, Share{CAs: 1}); err != nil {
		return nil, err
	}
	if notify != "" && !s.options.RsyncOnly {
		v := s.visit(notify, func(v *visit) { s.visitRRDP(ctx, v, account{host, at.Branch}, notify) })
		if v.err == nil {
			return v.point, nil
		}
		if s.options.NoRsync {
			return nil, v.err
		}
		point, err := s.module(ctx, caRepository, at.Branch)
		if err == nil || v.rrdp == nil || !v.rrdp.present() {
			return point, err
		}
		s.find(notify, validate.Warning, ruleStale, "the objects of serial %d in the cache are used: neither RRDP nor rsync works", v.rrdp.state.Serial)
		return v.rrdp, nil
	}
	if s.options.NoRsync {
		return nil, fault.New(fault.Unreachable, "%s names no RRDP repository, and rsync is switched off", caRepository)
	}
	return s.module(ctx, caRepository, at.Branch)
}

// visit runs fetch for a URI that is asked for the first time, and waits for it otherwise.
func (s *source) visit(uri string, fetch func(*visit)) *visit {
	s.mu.Lock()
	v, known := s.visits[uri]
	if !known {
		v = &visit{report: Repository{URI: uri, How: HowNothing}}
		s.visits[uri] = v
		s.order = append(s.order, v)
	}
	s.mu.Unlock()
	v.once.Do(func() {
		start := time.Now()
		fetch(v)
		v.report.Took = term.Term(time.Since(start))
		if errors.Is(v.err, errBranch) { // who asks next may have a share left
			s.mu.Lock()
			delete(s.visits, uri)
			s.order = slices.DeleteFunc(s.order, func(o *visit) bool { return o == v })
			s.mu.Unlock()
		}
	})
	return v
}

// find notes a finding about fetching, which has the URI of a repository and not of an object. The same one from
// several CAs of a repository is noted once.
func (s *source) find(uri string, severity validate.Severity, rule, format string, args ...any) {
	f := validate.Finding{URI: uri, Severity: severity, Rule: rule, Text: fmt.Sprintf(format, args...)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.findings, f) {
		s.findings = append(s.findings, f)
	}
}

// visitRRDP brings an RRDP repository up to date. Without rsync to turn to, an older copy is better than nothing.
func (s *source) visitRRDP(ctx context.Context, v *visit, who account, notify string) {
	r, err := openRepository(filepath.Join(s.cache, "rrdp", Folder(notify)), notify, s.fetcher)
	if err != nil {
		s.find(notify, validate.Warning, ruleDamaged, "%v; it is fetched again", err)
	}
	v.rrdp, v.point = r, r
	r.who = who
	switch {
	case !s.options.Offline:
		if v.err = s.fetcher.accounts.charge(who, Share{Repositories: 1}); v.err == nil {
			ctx, cancel := context.WithDeadlineCause(ctx, s.fetcher.accounts.deadline(who), errSlow)
			defer cancel()
			v.err = s.update(ctx, v)
		}
	case r.present():
		v.report.How = HowCache
	default:
		v.err = fault.New(fault.NotFound, "nothing is cached of %s", notify)
	}
	if v.err != nil && !s.options.Offline {
		s.find(notify, validate.Error, ruleFetch, "%v", v.err)
		if s.options.NoRsync && r.present() {
			s.find(notify, validate.Warning, ruleStale, "the objects of serial %d in the cache are used: RRDP does not work", r.state.Serial)
			v.report.How, v.err = HowCache, nil
		}
	}
	v.describe()
}

// describe copies the repository's state into the report.
func (v *visit) describe() {
	v.report.Session, v.report.Serial, v.report.Objects = v.rrdp.state.Session, v.rrdp.state.Serial, len(v.rrdp.objects.at)
}

// update brings the repository of v up to date, by deltas where they lead there and else by the snapshot.
func (s *source) update(ctx context.Context, v *visit) error {
	n, err := v.rrdp.poll(ctx)
	if err != nil {
		return err
	}
	v.report.How = HowUnchanged
	if n == nil {
		return nil
	}
	s.judge(v.rrdp, n)
	if n.jump == "" {
		for i, d := range n.chain {
			changes, _, err := v.rrdp.fetchDelta(ctx, d)
			if err == nil {
				err = v.rrdp.apply(changes, d.Serial)
			}
			if err != nil {
				n.jump = err.Error()
				s.find(v.report.URI, validate.Error, ruleFetch, "the delta of serial %d is not used: %v", d.Serial, err)
				break
			}
			v.report.How, v.report.Deltas = HowDeltas, i+1
		}
	}
	if n.jump != "" {
		if err := v.rrdp.loadSnapshot(ctx, n); err != nil {
			v.report.How = HowNothing
			return err
		}
		v.report.How, v.report.Deltas = HowSnapshot, 0
	}
	return v.rrdp.settle(n)
}

// judge notes what a notification tells about its server.
func (s *source) judge(r *repository, n *news) {
	if !n.Contiguous() {
		s.find(r.state.Notify, validate.Warning, ruleGap, "the deltas of the notification of serial %d do not form a chain that ends there", n.Serial)
	}
	if n.jump != "" && r.present() {
		s.find(r.state.Notify, validate.Warning, ruleDesync, "the snapshot of serial %d is used: %s", n.Serial, n.jump)
	}
}

// module is the copy of the rsync module in which a CA publishes.
func (s *source) module(ctx context.Context, caRepository, branch string) (validate.Point, error) {
	module, _, ok := splitModule(caRepository)
	if !ok {
		return nil, fault.New(fault.Invalid, "%.120q is no rsync URI with a module", caRepository)
	}
	v := s.visit(module, func(v *visit) {
		m, err := s.rsync.module(ctx, account{hostOf(module), branch}, module, s.options.Offline)
		v.point, v.report.How = m, HowRsync
		switch {
		case err == nil && s.options.Offline:
			v.report.How = HowCache
		case err != nil && !s.rsync.copied(module):
			v.err, v.report.How = err, HowNothing
		case err != nil:
			s.find(module, validate.Warning, ruleStale, "the copy in the cache is used as it is")
			v.report.How = HowCache
		}
		if err != nil {
			s.find(module, validate.Error, ruleRsync, "%v", err)
		}
	})
	return v.point, v.err
}

// repositories is how all that was asked for was fetched, parents first.
func (s *source) repositories() []Repository {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Repository, len(s.order))
	for i, v := range s.order {
		all[i] = v.report
	}
	return all
}

// close lets go of the files of the cache.
func (s *source) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.order {
		if v.rrdp != nil {
			_ = v.rrdp.objects.Close()
		}
	}
}

// finish removes from the cache what no run needs: the kept manifests that were not current for long, and, where the cache is
// for one trust anchor alone, the repositories and modules that this run did not ask for.
func (s *source) finish() {
	s.kept.forget(time.Now())
	if !s.options.Only {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	used := map[string]bool{}
	for uri := range s.visits {
		used[Folder(uri)] = true
	}
	for _, folder := range []string{"rrdp", "rsync"} {
		entries, _ := os.ReadDir(filepath.Join(s.cache, folder)) // what cannot be read is not removed
		for _, e := range entries {
			if name, _, _ := strings.Cut(e.Name(), "."); !used[name] {
				_ = os.RemoveAll(filepath.Join(s.cache, folder, e.Name()))
			}
		}
	}
}
