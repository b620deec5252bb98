package publisher

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/handles"
	"cadastre/internal/peer"
)

// publisher is one that is registered. Only the goroutine that commits changes it, with mu held, but for what Inspect
// finds.
type publisher struct {
	mu sync.RWMutex
	record
	state state
	trust *envelope.Trust
	full  time.Time // see Limits.spend; a restart gives the whole allowance
	tree  tree
	told  []string // the problems that were logged last
	gone  bool     // it was removed: nothing is to be said of it any more

	version uint64 // of the tree: rises whenever it changes
}

func newPublisher() *publisher { return &publisher{tree: newTree(), version: 1} }

// Registration is what an operator says of a new publisher.
type Registration struct {
	Handle      string // of RFC 8183
	Registry    string // in whose repository it publishes
	TrustAnchor []byte // its identity: publisher_bpki_ta of RFC 8183, DER
	Limits      Limits // zeros for the usual ones
}

// checkHandle holds a handle against RFC 8183, section 5: [-_A-Za-z0-9/]*. Here it is also part of a path of the service and
// the name of a directory, and so has no slash.
func checkHandle(handle string) error {
	if !handles.IsWirePart(handle) {
		return fault.New(fault.BadInput, "%.300q is no handle for a publisher: choose one of up to %d letters, digits, '-' and '_'", handle, handles.LongestWire)
	}
	return nil
}

// Add registers a publisher, who may publish when Add returns. It fails with BadInput when the handle, the certificate or
// the limits are none, NotFound when the registry has no repository here, and Conflict when the handle is taken, when there is
// something below the base URI that it would have, or when that is below another publisher's or above it.
func (s *Server) Add(ctx context.Context, r Registration) (Info, error) {
	p := newPublisher()
	p.record = record{Handle: r.Handle, Registry: r.Registry, TrustAnchor: slices.Clone(r.TrustAnchor), Added: time.Now().Truncate(time.Second), Limits: r.Limits}
	if err := checkHandle(r.Handle); err != nil {
		return Info{}, err
	}
	if err := r.Limits.check(); err != nil {
		return Info{}, err
	}
	var err error
	if p.trust, err = envelope.ParseTrust(p.TrustAnchor); err != nil {
		return Info{}, fault.Wrap(err, "the identity of the publisher %s", r.Handle)
	}
	if s.repositories[r.Registry] == nil {
		return Info{}, fault.New(fault.NotFound, "there is no repository of %q", r.Registry)
	}
	p.Base, _ = s.base(r.Registry, r.Handle)
	if err := checkBase(p.Base); err != nil {
		return Info{}, err
	}
	err = s.queue.submit(ctx, func(g *group) error { return g.add(p) }, 0)
	if err != nil {
		return Info{}, fault.Wrap(err, "couldn't add the publisher %s", r.Handle)
	}
	return s.info(p, time.Now()), nil
}

// checkBase wants a base in normal form, so that below can compare strings.
func checkBase(base string) error {
	host, path, ok := strings.Cut(strings.TrimPrefix(base, "rsync://"), "/")
	if !ok || !strings.HasPrefix(base, "rsync://") || !strings.HasSuffix(base, "/") || !below("rsync://"+host+"/", "rsync://"+host+"/"+strings.TrimSuffix(path, "/")) {
		return fault.New(fault.BadInput, "%q is no base for a publisher: it must look like rsync://host/module/name/, of letters, digits, '-', '_' and '.'", base)
	}
	return nil
}

// add stages a new publisher.
func (g *group) add(p *publisher) error {
	s := g.server
	if s.find(p.Handle) != nil || g.drafts[p.Handle] != nil {
		return fault.New(fault.Conflict, "it is registered already; 'cadastre publishers update' gives it another identity")
	}
	overlap := func(other *record) error {
		if strings.HasPrefix(other.Base, p.Base) || strings.HasPrefix(p.Base, other.Base) {
			return fault.New(fault.Conflict, "%s and %s of the publisher %s would be one below the other: choose another handle", p.Base, other.Base, other.Handle)
		}
		return nil
	}
	for _, d := range g.order {
		if err := overlap(&d.record); err != nil {
			return err
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, other := range s.publishers {
		if err := overlap(&other.record); err != nil {
			return err
		}
	}
	for o := range s.repositories[p.Registry].Live() {
		if strings.HasPrefix(o.URI, p.Base) {
			return fault.New(fault.Conflict, "%s is there already, published by someone else: withdraw it or choose another handle", o.URI)
		}
	}
	d := newDraft(p)
	d.added, d.registered = true, true
	g.enter(d)
	return nil
}

// Remove withdraws everything that a publisher has published, and forgets it. It fails with NotFound when it is not
// registered.
func (s *Server) Remove(ctx context.Context, handle string) error {
	return s.change(ctx, handle, func(d *draft) {
		d.clear()
		d.removed = true
	})
}

// Update gives a publisher another identity: what the old one signs is taken no more. The newest signing time stays, so
// that nothing can be replayed if both have one key; see ResetReplay. It fails with NotFound when it is not registered and
// BadInput when the certificate is none.
func (s *Server) Update(ctx context.Context, handle string, trustAnchor []byte) error {
	trustAnchor = slices.Clone(trustAnchor)
	trust, err := envelope.ParseTrust(trustAnchor)
	if err != nil {
		return fault.Wrap(err, "the identity of the publisher %s", handle)
	}
	return s.change(ctx, handle, func(d *draft) {
		d.record.TrustAnchor, d.trust, d.registered = trustAnchor, trust, true
	})
}

// SetLimits gives a publisher limits of its own, zeros for the usual ones. What it has beyond them stays; it can add no
// more. It fails with NotFound when it is not registered and BadInput when the limits are none.
func (s *Server) SetLimits(ctx context.Context, handle string, limits Limits) error {
	if err := limits.check(); err != nil {
		return err
	}
	return s.change(ctx, handle, func(d *draft) { d.record.Limits, d.registered = limits, true })
}

// ResetReplay forgets the newest signing time of a publisher. It is for a publisher whose clock was ahead and is right now. Until its next
// message comes, an old message could be replayed. It fails with NotFound where there is no such publisher.
func (s *Server) ResetReplay(ctx context.Context, handle string) error {
	return s.change(ctx, handle, func(d *draft) { d.state.Heard = peer.Heard{} })
}

func (s *Server) change(ctx context.Context, handle string, what func(*draft)) error {
	return s.queue.submit(ctx, func(g *group) error {
		d, err := g.draft(handle)
		if err == nil {
			what(d)
		}
		return err
	}, 0)
}

// assign finds the publisher of each object that the repositories have. No base is below another, so that the last base
// in order that is not after a URI is the only one that it can be below.
func (s *Server) assign() {
	all := make([]*publisher, 0, len(s.publishers))
	for _, p := range s.publishers {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *publisher) int { return strings.Compare(a.Base, b.Base) })
	for registry, repository := range s.repositories {
		for o := range repository.Live() {
			i, _ := slices.BinarySearchFunc(all, o.URI, func(p *publisher, uri string) int { return strings.Compare(p.Base, uri) })
			if i--; i >= 0 && all[i].Registry == registry && strings.HasPrefix(o.URI, all[i].Base) {
				all[i].tree.add(all[i].Base, o.URI, entry{o.Hash, o.Size})
			}
		}
	}
	for _, p := range all {
		p.state.Objects, p.state.Bytes = len(p.tree.objects), p.tree.bytes()
		s.inspections.ask(p)
	}
}
