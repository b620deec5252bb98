package ripe

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"cadastre/api/member"
	"cadastre/aspa"
	"cadastre/internal/fault"
	"cadastre/roa"
	"cadastre/routes"
)

func (d dialect) roas(c *call) error {
	has, err := d.service.Intents(c.Context(), c.org)
	if err != nil {
		return err
	}
	type shown struct {
		wireROA
		Valids   int        `json:"_numberOfValidsCaused"`
		Invalids int        `json:"_numberOfInvalidsCaused"`
		Updated  *time.Time `json:"_updatedAt,omitempty"`
	}
	list := []shown{}
	for _, in := range has.ROAs {
		s := shown{wireROA: wireOf(in.VRP())}
		if bgp := in.Status.BGP; bgp != nil {
			s.Valids, s.Invalids = bgp.Authorises, bgp.Disallows
		}
		if !in.Added.IsZero() {
			at := in.Added.UTC()
			s.Updated = &at
		}
		list = append(list, s)
	}
	c.w.Header().Set("ETag", fmt.Sprintf("%q", has.Tag))
	return c.ok(list)
}

func (d dialect) affecting(c *call) error {
	var a struct {
		ASN    asn          `json:"asn"`
		Prefix netip.Prefix `json:"prefix"`
	}
	if err := c.read(&a); err != nil {
		return err
	}
	if !a.Prefix.IsValid() {
		return bad("the announcement has no prefix")
	}
	has, err := d.service.Intents(c.Context(), c.org)
	if err != nil {
		return err
	}
	type shown struct {
		ROA      wireROA `json:"roa"`
		Validity string  `json:"validity"`
	}
	list := []shown{}
	for _, in := range has.ROAs {
		var alone roa.Table
		alone.Add(in.VRP())
		if state := alone.Validity(routes.Announcement{Prefix: a.Prefix.Masked(), Origin: uint32(a.ASN)}); state != roa.NotFound {
			list = append(list, shown{wireOf(in.VRP()), states[state]})
		}
	}
	return c.ok(list)
}

// changing is the change from what an organisation has to what it is to have. It fails where that can't be.
func changing(has *member.Intents, now []roa.VRP) (*member.Change, error) {
	lengths := map[roa.VRP][]int{}
	for _, v := range now {
		pair := roa.VRP{Prefix: v.Prefix, ASN: v.ASN}
		if lengths[pair] = append(lengths[pair], v.MaxLength); len(lengths[pair]) > 1 {
			return nil, bad("there would be more than one maximalLength for AS%d and %s: %d and %d", v.ASN, v.Prefix, lengths[pair][0], lengths[pair][1])
		}
	}
	change := &member.Change{IfMatch: has.Tag, Reason: "by RIPE NCC's API"}
	stays, there := setOf(now), map[roa.VRP]bool{}
	for _, in := range has.ROAs {
		there[in.VRP()] = true
	}
	for _, v := range now {
		if there[v] {
			continue
		}
		row := roa.Row{Prefix: v.Prefix, MaxLength: v.MaxLength, Origin: v.ASN}
		if err := roa.CheckOrigin(row, true); err != nil {
			return nil, err
		}
		change.Add = append(change.Add, row)
	}
	for _, in := range has.ROAs {
		if !stays[in.VRP()] {
			change.Remove = append(change.Remove, in.VRP())
		}
	}
	return change, nil
}

func setOf(list []roa.VRP) map[roa.VRP]bool {
	set := make(map[roa.VRP]bool, len(list))
	for _, v := range list {
		set[v] = true
	}
	return set
}

// held fails where one of the ROAs to be added is for a prefix that the organisation does not hold.
func (d dialect) held(c *call, change *member.Change) error {
	holding, err := d.service.Holding(c.Context(), c.org)
	if err != nil {
		return err
	}
	for _, row := range change.Add {
		if !holding.ContainsPrefix(row.Prefix) {
			return &problem{http.StatusForbidden, fmt.Sprintf("You are not a holder of the prefix %s", row.Prefix)}
		}
	}
	return nil
}

func (d dialect) stage(c *call) error {
	var body []wireROA
	if err := c.read(&body); err != nil {
		return err
	}
	now, err := vrps(body)
	if err != nil {
		return err
	}
	has, err := d.service.Intents(c.Context(), c.org)
	if err != nil {
		return err
	}
	change, err := changing(has, now)
	if err != nil {
		return err
	}
	if err := d.held(c, change); err != nil {
		return err
	}
	all, _, err := d.announced(c)
	if err != nil {
		return err
	}
	becomes := map[routes.Announcement]roa.Validity{}
	if len(change.Add)+len(change.Remove) > 0 {
		change.Consent.DryRun = true
		effect, err := d.service.Change(c.Context(), c.org, change)
		if err != nil && (effect == nil || fault.KindOf(err) != fault.Refused) {
			return err
		}
		if effect.Announcements != nil {
			for _, impact := range effect.Announcements.List {
				becomes[impact.Key()] = impact.Now
			}
		}
	}
	type shown struct {
		announcement
		Future   string `json:"futureState"`
		Affected bool   `json:"affectedByChange"`
	}
	list := []shown{}
	for _, a := range all {
		s := shown{a, a.State, false}
		if now, changes := becomes[routes.Announcement{Prefix: a.Prefix, Origin: uint32(a.ASN)}]; changes {
			s.Future, s.Affected = states[now], true
		}
		list = append(list, s)
	}
	c.w.Header().Set("ETag", fmt.Sprintf("%q", has.Tag))
	return c.ok(list)
}

// tries is how often a change without a tag is made anew because of another at the same time.
const tries = 5

func (d dialect) publish(c *call) error {
	var body struct {
		Added   []wireROA `json:"added"`
		Deleted []wireROA `json:"deleted"`
		IfMatch string    `json:"ifMatch"`
	}
	if err := c.read(&body); err != nil {
		return err
	}
	tag, err := c.tag(body.IfMatch)
	if err != nil {
		return err
	}
	added, err := vrps(body.Added)
	if err != nil {
		return err
	}
	deleted, err := vrps(body.Deleted)
	if err != nil {
		return err
	}
	for try := range tries {
		err = d.publishOnce(c, tag, added, deleted)
		if !errors.Is(err, member.Stale) || tag != "" && try == 0 {
			break
		}
	}
	if errors.Is(err, member.Stale) {
		return bad("%v", err)
	}
	if err == nil {
		c.w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// publishOnce makes a change of ROAs. What is both added and deleted stays as it is.
func (d dialect) publishOnce(c *call, tag string, added, deleted []roa.VRP) error {
	has, err := d.service.Intents(c.Context(), c.org)
	if err != nil {
		return err
	}
	if tag != "" && tag != has.Tag {
		return member.Stale
	}
	var now []roa.VRP
	comes, goes := setOf(added), setOf(deleted)
	for _, in := range has.ROAs {
		if v := in.VRP(); comes[v] || !goes[v] {
			now = append(now, v)
		}
	}
	for _, v := range added {
		if !goes[v] {
			now = append(now, v)
		}
	}
	change, err := changing(has, roa.Unique(now))
	if err != nil {
		return err
	}
	if err := d.held(c, change); err != nil {
		return err
	}
	if len(change.Add)+len(change.Remove) == 0 {
		return nil
	}
	change.Consent = c.consent()
	_, err = d.service.Change(c.Context(), c.org, change)
	return err
}

// wireASPA is an ASPA on the wire.
type wireASPA struct {
	Customer  asn   `json:"customerAsn"`
	Providers []asn `json:"providers"`
}

type aspaBody struct {
	Tag     string     `json:"entityTag,omitempty"`
	IfMatch string     `json:"ifMatch,omitempty"`
	List    []wireASPA `json:"aspaConfigurations"`
}

func (d dialect) aspas(c *call) error {
	has, err := d.service.Intents(c.Context(), c.org)
	if err != nil {
		return err
	}
	body := aspaBody{Tag: has.Tag, List: []wireASPA{}}
	for _, v := range has.ASPAs {
		shown := wireASPA{asn(v.Customer), []asn{}}
		for _, p := range v.Providers {
			shown.Providers = append(shown.Providers, asn(p))
		}
		body.List = append(body.List, shown)
	}
	c.w.Header().Set("ETag", fmt.Sprintf("%q", has.Tag))
	return c.ok(body)
}

func (d dialect) setASPAs(c *call) error {
	var body aspaBody
	if err := c.read(&body); err != nil {
		return err
	}
	tag, err := c.tag(body.IfMatch)
	if err != nil {
		return err
	}
	if tag == "" {
		return &problem{http.StatusPreconditionRequired, "send the entity tag of the configuration that this one replaces: in the header If-Match, or in the field ifMatch"}
	}
	has, err := d.service.Intents(c.Context(), c.org)
	switch {
	case err != nil:
		return err
	case tag != has.Tag:
		return member.Stale
	}
	change := &member.Change{IfMatch: tag, Reason: "by RIPE NCC's API", Consent: c.consent()}
	wanted := map[uint32]bool{}
	for _, w := range body.List {
		row := aspa.Row{VAP: aspa.VAP{Customer: uint32(w.Customer)}}
		for _, p := range w.Providers {
			row.Providers = append(row.Providers, uint32(p))
		}
		if err := row.Check(); err != nil {
			return err
		}
		if wanted[row.Customer] {
			return bad("AS%d is there twice", row.Customer)
		}
		wanted[row.Customer] = true
		if !slices.ContainsFunc(has.ASPAs, func(v aspa.VAP) bool { return v.Compare(row.VAP) == 0 }) {
			change.SetASPAs = append(change.SetASPAs, row.VAP)
		}
	}
	for _, v := range has.ASPAs {
		if !wanted[v.Customer] {
			change.RemoveASPAsOf = append(change.RemoveASPAsOf, v.Customer)
		}
	}
	if len(change.SetASPAs)+len(change.RemoveASPAsOf) > 0 {
		if _, err := d.service.Change(c.Context(), c.org, change); err != nil {
			return err
		}
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}
