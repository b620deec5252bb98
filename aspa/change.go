package aspa

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/intents"
	"cadastre/internal/object"
)

// Options for Resolve.
type Options struct {
	holdings.By        // who decides, why and when
	File        string // where the rows are from, for errors; empty: typed
	Holder      string // whose intents they become; empty: for each row, the lowest organisation that holds the customer AS
	OnlyHeld    bool   // leave out what is not held, rather than refuse everything
	Replace     bool   // the rows are all the providers of their customers, in place of those that they have
}

// Resolve resolves what a file wants added and removed, all of it or nothing. A row to add gives its customer AS more providers. A row to
// remove takes away the providers that it names; if it names none, all of them. It fails with NotFound (no such holder, ASPA or provider),
// NotHeld (nobody holds the customer AS, or the named holder does not; the error says who does), Conflict (AS 0 beside other providers
// without Replace) or BadInput, with the wrong lines.
func Resolve(b intents.Objects, l *holdings.Ledger, f *File, opt Options) (*intents.Resolved, error) {
	if opt.Holder != "" {
		org, ok := l.Organisation(opt.Holder)
		if !ok {
			return nil, fault.New(fault.NotFound, "there is no organisation %s", opt.Holder)
		}
		opt.Holder = org.Handle
	}
	out := &intents.Resolved{}
	c := changing{book: b, ledger: l, opt: opt, wanted: map[string]*wanted{}}
	lines := fault.NewLines(opt.File)
	var typed error // the first error of a row without a line
	note := func(row Row, err error) {
		switch {
		case err != nil && opt.OnlyHeld && fault.KindOf(err) == fault.NotHeld:
			out.Left = append(out.Left, intents.Left{Line: row.Line, Reason: err.Error()})
		case err != nil && row.Line == 0 && typed == nil:
			typed = err
		case err != nil:
			lines.Add(row.Line, err)
		}
	}
	for _, row := range f.Add {
		note(row, c.add(row, out))
	}
	for _, row := range f.Remove {
		note(row, c.remove(row))
	}
	if typed != nil {
		return nil, typed
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	c.settle(out)
	return out, nil
}

// Changing is Resolve with what it needs but the ledger and the book.
func Changing(f *File, opt Options) func(*holdings.Ledger, intents.Objects) (*intents.Resolved, error) {
	return func(l *holdings.Ledger, b intents.Objects) (*intents.Resolved, error) { return Resolve(b, l, f, opt) }
}

// changing is the state of Resolve.
type changing struct {
	book   intents.Objects
	ledger *holdings.Ledger
	opt    Options
	wanted map[string]*wanted // by the keys of intents
	order  []string
}

// wanted is an intent as it was and as it will be.
type wanted struct {
	was   Intent
	there bool
	now   Intent
}

// of is the intent, as it was and will be, of a holder for a customer AS.
func (c *changing) of(holder string, customer uint32) *wanted {
	in := Intent{intents.Terms{Holder: holder}, VAP{Customer: customer}}
	key := string(in.Object().Key())
	if c.wanted[key] == nil {
		w := &wanted{now: in}
		if w.was, w.there = find(c.book, holder, customer); w.there && !c.opt.Replace {
			w.now = w.was
			w.now.Providers = slices.Clone(w.was.Providers)
		}
		c.wanted[key], c.order = w, append(c.order, key)
	}
	return c.wanted[key]
}

func (c *changing) add(row Row, out *intents.Resolved) error {
	if err := row.Check(); err != nil {
		return err
	}
	holder, err := c.place(row.Customer)
	if err != nil {
		return err
	}
	w := c.of(holder, row.Customer)
	before := len(w.now.Providers)
	together := Row{VAP: VAP{row.Customer, slices.Concat(w.now.Providers, row.Providers)}}
	if err := together.Check(); err != nil {
		return fault.New(fault.Conflict, "%s has %s: %w; --replace puts %s in its place", holder, w.now.VAP, err, row.VAP)
	}
	if len(together.Providers) == before {
		out.Duplicates++
	}
	if n := len(together.Providers); n > object.MaxProviders {
		return fault.New(fault.BadInput, "AS%d would have %d providers; %d are the most that every validator takes", row.Customer, n, object.MaxProviders)
	}
	w.now.Providers = together.Providers
	if row.Comment != "" {
		w.now.Comment = row.Comment
	} else if c.opt.Replace && w.now.Comment == "" {
		w.now.Comment = w.was.Comment
	}
	switch {
	case !row.Until.IsZero():
		w.now.Until = row.Until.UTC()
	case row.Line == 0 || w.was.Transfer != 0:
		w.now.Until = time.Time{} // a typed row removes the end
	default:
		w.now.Until = w.was.Until // files have no ends, so it keeps its own
	}
	w.now.Transfer, w.now.Displaced = 0, nil // it is the holder's own from now on
	return nil
}

func (c *changing) remove(row Row) error {
	holders := []string{holdings.Fold(c.opt.Holder)}
	if c.opt.Holder == "" {
		holders = nil
		for in := range c.book.All() {
			if v, is := in.Says.(VAP); is && v.Customer == row.Customer {
				holders = append(holders, in.Holder)
			}
		}
		slices.Sort(holders)
	}
	found := false
	for _, holder := range holders {
		if _, there := find(c.book, holder, row.Customer); !there {
			continue
		}
		found = true
		w := c.of(holder, row.Customer)
		if len(row.Providers) == 0 {
			w.now.Providers = nil
			continue
		}
		for _, p := range row.Providers {
			if !slices.Contains(w.was.Providers, p) {
				return fault.New(fault.NotFound, "AS%d is no provider in %s of %s", p, w.was.VAP, holder)
			}
		}
		w.now.Providers = slices.DeleteFunc(w.now.Providers, func(p uint32) bool { return slices.Contains(row.Providers, p) })
		w.now.Transfer, w.now.Displaced = 0, nil
	}
	if !found {
		return fault.New(fault.NotFound, "there is no ASPA of AS%d; 'cadastre aspa list' shows those that there are", row.Customer)
	}
	return nil
}

// settle puts the intents that are added and removed in the end into out.
func (c *changing) settle(out *intents.Resolved) {
	for _, key := range c.order {
		w := c.wanted[key]
		w.now.Actor, w.now.Added = c.opt.Who.String(), c.opt.Time.UTC()
		same := w.there && w.now.VAP.Compare(w.was.VAP) == 0 && w.now.Terms.Same(w.was.Terms)
		if same || !w.there && len(w.now.Providers) == 0 {
			continue
		}
		if w.there {
			out.Removed = append(out.Removed, w.was.Object())
		}
		if len(w.now.Providers) == 0 {
			continue
		}
		out.Added = append(out.Added, w.now.Object())
		if w.now.Providers[0] == 0 {
			out.Warnings = append(out.Warnings, fmt.Sprintf("AS0 says that AS%d has no provider: what comes from it by way of another AS is a route leak to those who verify", w.now.Customer))
		}
	}
}

// place finds the holder of the intent for a customer AS.
func (c *changing) place(customer uint32) (string, error) {
	as := inr.OfAS(customer, customer)
	var holders, pools []string
	for _, handle := range c.ledger.PartHolders(as) {
		if org, _ := c.ledger.Organisation(handle); org.Kind.IsRegistry() {
			pools = append(pools, handle)
		} else {
			holders = append(holders, handle)
		}
	}
	switch {
	case c.opt.Holder != "" && slices.Contains(holders, c.opt.Holder):
		return c.opt.Holder, nil
	case c.opt.Holder != "" && len(holders) > 0:
		return "", fault.New(fault.NotHeld, "an ASPA of AS%d is for its holder to ask for, not for %s; it is held by %s", customer, c.opt.Holder, strings.Join(holders, ", "))
	case len(holders) > 0:
		return holders[0], nil
	case len(pools) > 0:
		return "", fault.New(fault.NotHeld, "AS%d is held by no one; it is in the pool of %s", customer, strings.Join(pools, ", "))
	}
	return "", fault.New(fault.NotHeld, "AS%d is held by no one", customer)
}
