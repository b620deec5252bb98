package publisher

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cadastre/internal/validate"
)

// every is how often at most what has changed is looked at: a publisher that changes something ten times a second is
// looked at once a second.
const every = time.Second

// Run looks at the manifests of publishers whenever something of theirs has changed or a manifest begins or ends, and
// logs what it finds when that is other than before. It returns when ctx ends.
func (s *Server) Run(ctx context.Context) {
	for {
		s.Inspect()
		if !sleep(ctx, every, nil) {
			return
		}
		wait := 24 * time.Hour
		if next := s.inspections.next(); !next.IsZero() {
			wait = time.Until(next)
		}
		if !sleep(ctx, wait, s.inspections.wake) {
			return
		}
	}
}

// sleep is false when ctx has ended.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// Inspect looks once at the manifests beside which something has changed since they were looked at last, all of them at
// first, and at those that have begun or ended meanwhile. Run does so by itself.
func (s *Server) Inspect() {
	now := time.Now()
	for _, p := range s.inspections.take(now) {
		for _, uri := range p.suspects() {
			s.inspect(p, uri)
		}
		if next, any := s.tell(p, now); any {
			s.inspections.schedule(p, next)
		}
	}
}

// suspects is the manifests of a publisher that have to be looked at.
func (p *publisher) suspects() []string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var uris []string
	for uri, m := range p.tree.manifests {
		if m.suspect {
			uris = append(uris, uri)
		}
	}
	return uris
}

// inspect looks at one manifest. If it changes meanwhile it stays suspect.
func (s *Server) inspect(p *publisher, uri string) {
	der, ok := s.repositories[p.Registry].Get(uri)
	if !ok {
		return // withdrawn
	}
	hash := sha256.Sum256(der)
	parsed, findings := validate.ParseManifest(der, validate.For(validate.RelyingParty, s.Suites...)...)
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.tree.manifests[uri]
	if m == nil || p.tree.objects[uri].hash != hash {
		return
	}
	*m = manifest{}
	if parsed == nil {
		m.problems.add("%s cannot be read: %s", uri, firstError(findings))
		return
	}
	m.thisUpdate, m.nextUpdate = parsed.ThisUpdate, parsed.NextUpdate
	m.problems = p.tree.compare(directory(uri), parsed.Files)
}

func firstError(findings []validate.Finding) string {
	for _, f := range findings {
		if f.Severity == validate.Error {
			return f.Text
		}
	}
	return "it is no manifest"
}

// compare holds what a manifest lists against what is there (RFC 9286, sections 6.4 and 6.5): every file is to be there, in the
// manifest's directory, with the hash that it says.
func (t *tree) compare(dir string, files []validate.File) (p problems) {
	for _, f := range files {
		switch o, there := t.objects[dir+f.Name]; {
		case !there:
			p.add("%s is on the manifest beside it and is not there", dir+f.Name)
		case o.hash != f.Hash:
			p.add("%s is not the one that is on the manifest beside it", dir+f.Name)
		}
	}
	return p
}

// problems are sentences, the first few of them; the others are counted.
type problems struct {
	shown []string
	more  int
}

const shownProblems = 5

func (p *problems) add(format string, args ...any) {
	if len(p.shown) == shownProblems {
		p.more++
		return
	}
	p.shown = append(p.shown, fmt.Sprintf(format, args...))
}

// problems is what is wrong with a publisher's manifests now. The caller holds p.mu.
func (p *publisher) problems(now time.Time) []string {
	var all problems
	for _, uri := range slices.Sorted(maps.Keys(p.tree.manifests)) {
		m := p.tree.manifests[uri]
		for _, text := range m.problems.shown {
			all.add("%s", text)
		}
		all.more += m.problems.more
		switch {
		case m.nextUpdate.IsZero():
		case now.Before(m.thisUpdate):
			all.add("%s begins at %s", uri, m.thisUpdate.UTC().Format(time.RFC3339))
		case !now.Before(m.nextUpdate):
			all.add("%s ended at %s", uri, m.nextUpdate.UTC().Format(time.RFC3339))
		}
	}
	if all.more > 0 {
		return append(all.shown, fmt.Sprintf("and %d more", all.more))
	}
	return all.shown
}

// tell logs a publisher's problems if they are other than the last time, and returns when they can change by themselves.
func (s *Server) tell(p *publisher, now time.Time) (next time.Time, any bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return time.Time{}, false
	}
	problems := p.problems(now)
	if !slices.Equal(problems, p.told) {
		if len(problems) > 0 {
			s.Log.Warn("what a publisher publishes does not fit together", "publisher", p.Handle, "problems", strings.Join(problems, "; "))
		} else {
			s.Log.Info("what a publisher publishes fits together again", "publisher", p.Handle)
		}
		p.told = problems
	}
	for _, m := range p.tree.manifests {
		for _, at := range []time.Time{m.thisUpdate, m.nextUpdate} {
			if at.After(now) && (!any || at.Before(next)) {
				next, any = at, true
			}
		}
	}
	return next, any
}
