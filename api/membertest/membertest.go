// Package membertest has a registry in memory behind member.Service, for tests of dialects.
package membertest

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cadastre/api/member"
	"cadastre/aspa"
	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/principal"
	"cadastre/roa"
	"cadastre/routes"
)

// Registry has organisations, each with a key that is "key of " and its handle.
type Registry struct {
	Known []routes.Announcement // what is announced
	// Before, which may be nil, is called when a change begins, before it looks at the intents.
	Before func()

	mu   sync.Mutex
	orgs map[string]*organisation
}

type organisation struct {
	holding inr.Set
	roas    []roa.VRP
	aspas   []aspa.VAP
	serial  int
	ignored map[routes.Announcement]bool
	told    []holdings.Told
	said    map[roa.VRP]string // comments
}

var _ member.Service = (*Registry)(nil)

// New makes a registry of organisations and what they hold.
func New(holds map[string]string) *Registry {
	r := &Registry{orgs: map[string]*organisation{}}
	for handle, text := range holds {
		holding, err := inr.Parse(text)
		if err != nil {
			panic(err)
		}
		r.orgs[handle] = &organisation{holding: holding, ignored: map[routes.Announcement]bool{}, said: map[roa.VRP]string{}}
	}
	return r
}

// Keys knows the keys of the organisations.
func (r *Registry) Keys(q *http.Request) (principal.Principal, string, error) {
	handle, ok := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer key of ")
	if !ok || r.orgs[handle] == nil {
		return principal.Principal{}, "", fault.New(fault.Secret, "the token is not known")
	}
	return principal.Principal{Name: handle}, handle, nil
}

// Serial is how often the intents of an organisation have changed.
func (r *Registry) Serial(handle string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.orgs[handle].serial
}

// of is an organisation, which only its own key may see; unlock when done.
func (r *Registry) of(ctx context.Context, handle string) (_ *organisation, unlock func(), err error) {
	if principal.Of(ctx).Name != handle || r.orgs[handle] == nil {
		return nil, nil, fault.New(fault.NotFound, "there is no organisation %q", handle)
	}
	r.mu.Lock()
	return r.orgs[handle], r.mu.Unlock, nil
}

// Holding is what member.Service says.
func (r *Registry) Holding(ctx context.Context, handle string) (inr.Set, error) {
	o, unlock, err := r.of(ctx, handle)
	if err != nil {
		return inr.Set{}, err
	}
	defer unlock()
	return o.holding, nil
}

func table(list []roa.VRP) *roa.Table {
	t := &roa.Table{}
	for _, v := range list {
		t.Add(v)
	}
	return t
}

// Intents is what member.Service says.
func (r *Registry) Intents(ctx context.Context, handle string) (*member.Intents, error) {
	o, unlock, err := r.of(ctx, handle)
	if err != nil {
		return nil, err
	}
	defer unlock()
	out := &member.Intents{Tag: strconv.Itoa(o.serial), ASPAs: slices.Clone(o.aspas)}
	t := table(o.roas)
	for _, v := range o.roas {
		bgp, alone := &roa.InBGP{}, table([]roa.VRP{v})
		for _, a := range r.Known {
			if alone.Validity(a) == roa.Valid {
				bgp.Authorises++
			} else if alone.Validity(a).Invalid() && t.Validity(a).Invalid() {
				bgp.Disallows++
			}
		}
		in := roa.Intent{Holder: handle, Prefix: v.Prefix, MaxLength: v.MaxLength, Origin: v.ASN, Comment: o.said[v]}
		out.ROAs = append(out.ROAs, member.ROA{Intent: in, Status: roa.Status{State: roa.Live, BGP: bgp}})
	}
	return out, nil
}

// Change is what member.Service says. Its brake holds nothing.
func (r *Registry) Change(ctx context.Context, handle string, c *member.Change) (*ca.Effect, error) {
	if r.Before != nil {
		r.Before()
	}
	o, unlock, err := r.of(ctx, handle)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if c.IfMatch != "" && c.IfMatch != strconv.Itoa(o.serial) {
		return nil, member.Stale
	}
	roas := slices.DeleteFunc(slices.Clone(o.roas), func(v roa.VRP) bool { return slices.Contains(c.Remove, v) })
	for _, row := range c.Add {
		if !o.holding.ContainsPrefix(row.Prefix) {
			return nil, fault.New(fault.NotHeld, "%s does not hold %s", handle, row.Prefix)
		}
		roas = append(roas, row.VRP())
	}
	roas = roa.Unique(roas)
	aspas := slices.DeleteFunc(slices.Clone(o.aspas), func(v aspa.VAP) bool {
		return slices.Contains(c.RemoveASPAsOf, v.Customer) || slices.ContainsFunc(c.SetASPAs, func(w aspa.VAP) bool { return w.Customer == v.Customer })
	})
	for _, v := range c.SetASPAs {
		if !o.holding.Contains(inr.OfAS(v.Customer, v.Customer)) {
			return nil, fault.New(fault.NotHeld, "%s does not hold AS%d", handle, v.Customer)
		}
		aspas = append(aspas, v)
	}
	slices.SortFunc(aspas, aspa.VAP.Compare)
	effect := &ca.Effect{DryRun: c.Consent.DryRun, Announcements: &ca.Announcements{}}
	was, now := table(o.roas), table(roas)
	for _, a := range r.Known {
		if was.Validity(a) != now.Validity(a) {
			effect.Announcements.List = append(effect.Announcements.List, roa.Impact{Announcement: a, Was: was.Validity(a), Now: now.Validity(a)})
		}
	}
	if c.Consent.DryRun {
		return effect, nil
	}
	o.roas, o.aspas = roas, aspas
	for _, row := range c.Add {
		o.said[row.VRP()] = row.Comment
	}
	o.serial++
	o.told = append([]holdings.Told{{Decision: holdings.Decision{ID: uint64(o.serial), Actor: principal.Of(ctx).String(), Reason: c.Reason, Time: time.Unix(int64(o.serial), 0)}}}, o.told...)
	return effect, nil
}

// Announced is what member.Service says.
func (r *Registry) Announced(ctx context.Context, handle string) (*member.Announced, error) {
	o, unlock, err := r.of(ctx, handle)
	if err != nil {
		return nil, err
	}
	defer unlock()
	out := &member.Announced{}
	if len(r.Known) > 0 {
		out.Time = time.Unix(1, 0)
	}
	for _, a := range r.Known {
		if o.holding.Overlaps(inr.OfPrefix(a.Prefix)) {
			out.List = append(out.List, ca.Announced{Announcement: a, State: table(o.roas).Validity(a), Ignored: o.ignored[a.Key()]})
		}
	}
	return out, nil
}

// Ignore is what member.Service says.
func (r *Registry) Ignore(ctx context.Context, handle string, list []routes.Announcement, again bool) error {
	o, unlock, err := r.of(ctx, handle)
	if err != nil {
		return err
	}
	defer unlock()
	for _, a := range list {
		o.ignored[a.Key()] = !again
	}
	return nil
}

// History is what member.Service says.
func (r *Registry) History(ctx context.Context, handle string) ([]holdings.Told, error) {
	o, unlock, err := r.of(ctx, handle)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return slices.Clone(o.told), nil
}

// Route is an announcement that 100 peers see.
func Route(prefix string, origin uint32) routes.Announcement {
	return routes.Announcement{Prefix: netip.MustParsePrefix(prefix), Origin: origin, Peers: 100}
}
