package holdings

import (
	"fmt"
	"slices"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

// Receive resolves that an organisation holds exactly these resources from a source outside the tree; with an empty set, none. A source is
// a resource class of a parent elsewhere (RFC 6492, section 1.1). Only one organisation can have a source. What comes from it counts as
// allocated, and no organisation of the tree answers for it. It fails with NotFound, and with Conflict where another organisation has the
// source.
func (l *Ledger) Receive(by By, handle, source string, resources inr.Set) (*Outcome, error) {
	n := l.orgs[Fold(handle)]
	if n == nil {
		return nil, unknown(handle)
	}
	switch top := l.SourcedAt(source); {
	case n.Kind == Root || source == "":
		return nil, fault.New(fault.BadInput, "%s can't hold anything from %q, outside the tree", n.Handle, source)
	case top != "" && top != n.Handle:
		return nil, fault.New(fault.Conflict, "what comes from %s is held by %s", source, top)
	}
	d := l.draft(by)
	for _, x := range n.received {
		if x.Source != source {
			continue
		}
		if x.Resources.Equal(resources) {
			return d.outcome()
		}
		d.end(x)
	}
	if !resources.Empty() {
		at := by.Time.UTC().Truncate(1e9)
		d.start(&Delegation{To: n.Handle, Source: source, Resources: resources, Status: Allocated, Since: at, Ground: fmt.Sprintf("certified by %s", source)})
	}
	return d.outcome()
}

// SourcedAt is the organisation that holds something from a source outside the tree; empty where none does.
func (l *Ledger) SourcedAt(source string) string {
	for _, d := range l.foreign {
		if d.Source == source {
			return d.To
		}
	}
	return ""
}

// Sources lists what an organisation's holding may rest on: "", which is the tree, and then, sorted, the sources outside the tree from
// which the organisation or one above it holds something.
func (l *Ledger) Sources(handle string) []string {
	sources := []string{""}
	if len(l.foreign) == 0 {
		return sources
	}
	for n := l.orgs[Fold(handle)]; n != nil; n = l.orgs[n.Parent] {
		for _, d := range n.received {
			if d.foreign() {
				sources = append(sources, d.Source)
			}
		}
	}
	slices.Sort(sources)
	return slices.Compact(sources)
}

// Via is the part of an organisation's holding that rests on one source: all of it rests on the tree as long as nothing comes from outside.
// The same resources may rest on several sources.
func (l *Ledger) Via(handle, source string) inr.Set {
	n := l.orgs[Fold(handle)]
	switch {
	case n == nil:
		return inr.Set{}
	case len(l.foreign) == 0 && source == "":
		return n.holding
	case n.Kind == Root:
		if source == "" {
			return n.holding
		}
		return inr.Set{}
	}
	var own, given []inr.Set
	for _, d := range n.received {
		switch d.Source {
		case source:
			own = append(own, d.Resources)
		case "":
			given = append(given, d.Resources)
		}
	}
	if source == "" {
		given, own = own, nil
	}
	above := l.Via(n.Parent, source)
	return inr.Sum(own...).Union(inr.Sum(given...).Intersect(above))
}
