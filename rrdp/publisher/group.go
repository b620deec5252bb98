package publisher

import (
	"errors"
	"maps"
	"slices"

	"cadastre/internal/fault"
	"cadastre/internal/store"
	"cadastre/rrdp"
)

// group is what is committed at once: a draft for each publisher that something in it concerns. Only the goroutine that
// commits has one; nothing of it is seen before the commit.
type group struct {
	server *Server
	drafts map[string]*draft
	order  []*draft // in the order of their first message
}

// errCommit is in the error of a commit where CommitObjects has failed.
var errCommit = errors.New("nothing was changed")

// commit brings a group through: everything is staged in the order in which it came, what remains is committed, shown, and
// everyone told.
func (s *Server) commit(all []*waiting) {
	g := &group{server: s, drafts: map[string]*draft{}}
	for _, w := range all {
		w.err = w.stage(g)
	}
	err := g.commit()
	for _, w := range all {
		if w.err == nil {
			w.err = err
		}
		w.done <- w.err
	}
}

func (g *group) commit() error {
	if len(g.order) == 0 {
		return nil
	}
	s := g.server
	if err := s.committer.CommitObjects(g.changes(), g.write); err != nil {
		s.Log.Error("couldn't commit what publishers sent; nothing of it was changed", "publishers", len(g.order), "error", err)
		return fault.New(fault.KindOf(err), "couldn't commit, and %w (%v)", errCommit, err)
	}
	for _, d := range g.order {
		d.show()
		if len(d.changes) > 0 {
			s.lists.forget(d.publisher)
			s.inspections.ask(d.publisher)
		}
		if d.added || d.removed {
			s.enrol(d)
		}
	}
	return nil
}

// enrol makes a publisher found, or not any more.
func (s *Server) enrol(d *draft) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.removed {
		delete(s.publishers, d.record.Handle)
		s.inspections.drop(d.publisher)
	} else {
		s.publishers[d.record.Handle] = d.publisher
	}
}

// draft is what becomes of a publisher in this group. It fails with NotFound when it is not registered.
func (g *group) draft(handle string) (*draft, error) {
	d := g.drafts[handle]
	if d == nil {
		p := g.server.find(handle)
		if p == nil {
			return nil, unknown(handle)
		}
		d = newDraft(p)
		g.enter(d)
	}
	if d.removed {
		return nil, unknown(handle)
	}
	return d, nil
}

func (g *group) enter(d *draft) {
	g.drafts[d.record.Handle] = d
	g.order = append(g.order, d)
}

// changes is what the repositories have to change, by registry.
func (g *group) changes() map[string][]rrdp.Change {
	changes := map[string][]rrdp.Change{}
	for _, d := range g.order {
		registry := d.record.Registry
		for _, uri := range slices.Sorted(maps.Keys(d.changes)) {
			next := d.changes[uri]
			if next != nil {
				changes[registry] = append(changes[registry], rrdp.Change{URI: uri, Object: next.der})
			} else if _, there := d.tree.objects[uri]; there {
				changes[registry] = append(changes[registry], rrdp.Change{URI: uri})
			}
		}
	}
	return changes
}

// write puts into the transaction what is to be known of the publishers after it.
func (g *group) write(w store.Writer) error {
	for _, d := range g.order {
		if err := d.write(w); err != nil {
			return fault.Wrap(err, "couldn't record the publisher %s", d.record.Handle)
		}
	}
	return nil
}
