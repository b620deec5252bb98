package ca

import (
	"slices"
	"strings"
	"time"

	"cadastre/ca/kinds"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/validate"
)

// Overclaim is what a delegated CA has to withdraw because of a decision, before its certificate shrinks: what it published that rests on
// resources that it loses. Relying parties refuse each of these objects from then on, and all that is below a certificate among them.
type Overclaim struct {
	Holder     string    `json:"holder"`
	Resources  inr.Set   `json:"resources"`           // what it loses
	Until      time.Time `json:"until"`               // when its certificate shrinks at the latest
	Objects    int       `json:"objects"`             // how many of the objects that it publishes here will over-claim
	Elsewhere  string    `json:"elsewhere,omitempty"` // where it publishes, if that is elsewhere and we do not see it
	Repository string    `json:"repository,omitempty"`
}

// overclaims lists what an outcome does to the delegated CAs that lose something. The caller holds the engine's mu.
func (e *Engine) overclaims(o *holdings.Outcome) []Overclaim {
	var list []Overclaim
	for holder, now := range o.After {
		lost := o.Before[holder].Minus(now)
		if lost.Empty() {
			continue
		}
		for _, key := range e.peers.Keys(holder) {
			authority := key.Authority
			a := e.issued.Authority(authority)
			if a == nil || !a.Certified.Overlaps(lost) {
				continue
			}
			over := Overclaim{Holder: holder, Resources: lost.Intersect(a.Certified), Until: o.Decision.Time.Add(e.policy.Notice)}
			if strings.HasPrefix(a.Delegated.Repository, e.policy.RsyncBase) {
				over.Repository = a.Delegated.Repository
				over.Objects = e.restingOn(a.Delegated.Repository, lost)
			} else {
				over.Elsewhere = a.Delegated.Repository
			}
			list = append(list, over)
		}
	}
	slices.SortFunc(list, func(a, b Overclaim) int {
		return strings.Compare(a.Holder+a.Repository+a.Elsewhere, b.Holder+b.Repository+b.Elsewhere)
	})
	return list
}

// restingOn counts the certificates and signed objects in a folder that name any of some resources.
func (e *Engine) restingOn(folder string, resources inr.Set) int {
	repository := e.repositories.At(folder)
	if repository == nil {
		return 0
	}
	var uris []string
	for o := range repository.Live() {
		if strings.HasPrefix(o.URI, folder) {
			uris = append(uris, o.URI)
		}
	}
	n := 0
	for _, uri := range uris {
		if der, ok := repository.Get(uri); ok && e.names(uri, der, resources) {
			n++
		}
	}
	return n
}

// names tells whether a certificate or a signed object names any of some resources.
func (e *Engine) names(uri string, der []byte, resources inr.Set) bool {
	switch {
	case strings.HasSuffix(uri, ".cer"):
		cert, _ := validate.ParseCertificate(der, e.reading()...)
		return cert != nil && cert.Resources.Set.Overlaps(resources)
	default:
		kind := kinds.ByExtension(uri)
		return kind != nil && kind.Rests(der, e.reading()...).Overlaps(resources)
	}
}
