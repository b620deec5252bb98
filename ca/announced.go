package ca

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/store"
	"cadastre/roa"
	"cadastre/routes"
)

// Announcements is what becomes of announcements (RFC 6811) by a change of VRPs.
type Announcements struct {
	Known   int          `json:"known"`         // how many announcements are known, of whomever
	Time    time.Time    `json:"time,omitzero"` // when they were announced
	Why     string       `json:"why,omitempty"` // why the list is empty, where it is
	Changes []Change     `json:"changes"`       // how many change their state, from which to which
	List    []roa.Impact `json:"list"`          // those that change it, those that turn invalid first; at most mostImpacts

	breaks []roa.Impact // all that turn invalid and are not ignored
}

// Change is how many announcements go from one state to another.
type Change struct {
	Was   roa.Validity `json:"was"`
	Now   roa.Validity `json:"now"`
	Count int          `json:"count"`
}

// mostImpacts is how many announcements are listed one by one.
const mostImpacts = 1000

// announcements is what becomes of announcements when VRPs take the place of others: of those that are known, and those that came with the
// change. Before and after are as roa.Book.Impacts wants them. It is nil where no VRP changes. The caller holds the engine's mu.
func (e *Engine) announcements(before, after []roa.VRP, given []*routes.Table) (*Announcements, error) {
	if len(before)+len(after) == 0 {
		return nil, nil
	}
	known, why := e.Routes.Now(time.Now())
	a := &Announcements{Known: known.Len(), Changes: []Change{}, List: []roa.Impact{}}
	if known != nil {
		a.Time = known.Time
	}
	for _, table := range given {
		a.Known += table.Len()
	}
	if a.Known == 0 {
		a.Why = why
		return a, nil
	}
	list := e.book.Impacts(e.ledger, before, after, append(slices.Clone(given), known)...)
	if len(list) == 0 {
		a.Why = "none that is known changes its state"
		return a, nil
	}
	ignored, err := e.ignored()
	if err != nil {
		return nil, err
	}
	counts := map[Change]int{}
	for i := range list {
		list[i].Ignored = ignored[list[i].Key()]
		counts[Change{Was: list[i].Was, Now: list[i].Now}]++
		if list[i].Breaks() && !list[i].Ignored {
			a.breaks = append(a.breaks, list[i])
		}
	}
	for c, n := range counts {
		c.Count = n
		a.Changes = append(a.Changes, c)
	}
	slices.SortFunc(a.Changes, func(x, y Change) int {
		return cmp.Or(cmp.Compare(y.Count, x.Count), cmp.Compare(x.Was, y.Was), cmp.Compare(x.Now, y.Now))
	})
	a.List = list[:min(mostImpacts, len(list))]
	return a, nil
}

// held says why the brake holds what turns announcements invalid; empty where nothing does.
func (a *Announcements) held() string {
	if a == nil || len(a.breaks) == 0 {
		return ""
	}
	return fmt.Sprintf("it would turn %d known announcements invalid", len(a.breaks))
}

// Foresee is what becomes of announcements when VRPs take the place of others later, as when a transfer is finalised. Only a Resolve may call
// it: the engine's mu is held then.
func (e *Engine) Foresee(before, after []roa.VRP) (*Announcements, error) {
	return e.announcements(before, after, nil)
}

// Held adds to why the brake holds something, and its code, both perhaps empty, that announcements turn invalid.
func (a *Announcements) Held(e *Engine, why, code string) (bothWhy, bothCode string) {
	broken := a.held()
	if broken == "" {
		return why, code
	}
	plan := []byte(code)
	for _, b := range a.breaks {
		plan = fmt.Appendf(plan, "\n%s", b)
	}
	if why != "" {
		why += "; "
	}
	return why + broken, e.Code(plan)
}

// ignoredBucket keeps announcements that do not matter, by prefix and AS.
var ignoredBucket = store.Declare("ignored-announcement", "ca", store.Deposited)

// Ignored is an announcement that an operator said does not matter: that it turns invalid holds nothing, and it is not suggested.
type Ignored struct {
	Prefix netip.Prefix `json:"prefix"`
	Origin uint32       `json:"asn"`
	Who    string       `json:"who"`
	Reason string       `json:"reason,omitempty"`
	Time   time.Time    `json:"time"`
}

func (i Ignored) announcement() routes.Announcement {
	return routes.Announcement{Prefix: i.Prefix, Origin: i.Origin}
}

func (i Ignored) key() []byte { return fmt.Appendf(nil, "%s AS%d", i.Prefix, i.Origin) }

// Ignore notes that announcements do not matter, or, with again, that they matter again. It fails with NotFound where one is to matter again that
// was not ignored, and changes nothing then.
func (e *Engine) Ignore(by holdings.By, list []routes.Announcement, again bool) error {
	_, err := e.store.Update(store.Any, func(w store.Writer) error {
		for _, a := range list {
			i := Ignored{a.Prefix.Masked(), a.Origin, by.Who.String(), by.Reason, by.Time}
			if !again {
				if err := store.PutValue(w, ignoredBucket, i.key(), i); err != nil {
					return err
				}
				continue
			}
			switch has, err := store.Value[Ignored](w, ignoredBucket, i.key()); {
			case err != nil:
				return err
			case has == nil:
				return fault.New(fault.NotFound, "the announcement of %s by AS%d is not ignored; 'cadastre routes ignored' shows those that are", i.Prefix, i.Origin)
			}
			if err := w.Delete(ignoredBucket, i.key()); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// Ignored lists the announcements that do not matter, in order.
func (e *Engine) Ignored() ([]Ignored, error) {
	list := []Ignored{}
	err := e.store.View(func(r store.Reader) error {
		return store.EachValue(r, ignoredBucket, nil, func(_ string, i *Ignored) { list = append(list, *i) })
	})
	slices.SortFunc(list, func(x, y Ignored) int { return x.announcement().Compare(y.announcement()) })
	return list, err
}

func (e *Engine) ignored() (map[routes.Announcement]bool, error) {
	list, err := e.Ignored()
	of := make(map[routes.Announcement]bool, len(list))
	for _, i := range list {
		of[i.announcement()] = true
	}
	return of, err
}

// Announced is an announcement with its state.
type Announced struct {
	routes.Announcement
	State   roa.Validity `json:"state"`
	By      []string     `json:"by"`                // the VRPs that cover it
	Ignored bool         `json:"ignored,omitempty"` // an operator said that it does not matter
}

// Announced lists the known announcements that have an address in common with a prefix, and when they were announced. Why says why there are
// none, where that is so.
func (e *Engine) Announced(p netip.Prefix) (list []Announced, at time.Time, why string, err error) {
	ignored, err := e.ignored()
	if err != nil {
		return nil, at, "", err
	}
	known, why := e.Routes.Now(time.Now())
	if list = []Announced{}; known == nil {
		return list, at, why, nil
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	for a := range known.Overlapping(p) {
		state, by := e.book.ValidityOf(e.ledger, a)
		list = append(list, Announced{a, state, roa.Lines(by), ignored[a.Key()]})
	}
	if len(list) == 0 {
		why = fmt.Sprintf("none of the %d announcements that are known overlaps %s", known.Len(), p)
	}
	return list, known.Time, why, nil
}

// Suggest is what a holder, or with an empty one everybody, may want to authorise, or authorise more narrowly, by what is announced. It fails
// with NotFound.
func (e *Engine) Suggest(holder string) (*roa.Suggested, error) {
	ignored, err := e.ignored()
	if err != nil {
		return nil, err
	}
	known, why := e.Routes.Now(time.Now())
	e.mu.RLock()
	defer e.mu.RUnlock()
	holders := e.book.Holders()
	if holder != "" {
		org, ok := e.ledger.Organisation(holder)
		if !ok {
			return nil, fault.New(fault.NotFound, "there is no organisation %q", holder)
		}
		holder, holders = org.Handle, []string{org.Handle}
	}
	s := &roa.Suggested{Announcements: e.book.Suggest(e.ledger, holder, known, ignored), TooPermissive: []roa.Narrower{}, Why: why}
	if known == nil {
		return s, nil
	}
	s.Time = known.Time
	for _, name := range holders {
		for _, in := range e.book.Of(name) {
			if bgp := e.book.InBGP(e.ledger, in, known); bgp.State == roa.TooPermissive {
				s.TooPermissive = append(s.TooPermissive, roa.Narrower{Intent: in, Instead: bgp.Instead})
			}
		}
	}
	if len(s.Announcements)+len(s.TooPermissive) == 0 {
		s.Why = fmt.Sprintf("of the %d announcements that are known, all within it are valid, or are ignored", known.Len())
	}
	return s, nil
}
