package ca

import (
	"crypto"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"cadastre/ca/issued"
	"cadastre/ca/kinds"
	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/payload"
)

// Standing tells how much of what follows from a holding is published: all is when Missing and Pending are empty.
type Standing struct {
	Missing   string // in words: what is not issued yet; empty where all is committed
	Pending   string // in words: what is committed and readers cannot see yet; empty where they can see all
	Delegated bool   // the holder's CA is elsewhere: only a relying party can tell what it publishes
	// Repository, Manifest and Notify are where its CA publishes, if that is elsewhere.
	Repository, Manifest, Notify string
}

// Stands tells whether what an organisation gets by a transfer is published. Its certificate and those above it have to name the
// resources, and its signed objects have to have all of these payloads. Nothing of that may be committed and not published yet.
func (e *Engine) Stands(holder string, resources inr.Set, says []payload.Payload) (Standing, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	s := Standing{Delegated: e.peers.Child(holder) != nil}
	authority := e.active(issued.Name{Holder: holder})
	if s.Delegated {
		key := e.certifiedKey(holder, resources)
		if key.IsZero() {
			s.Missing = fmt.Sprintf("the CA of %s elsewhere has not had %s certified", holder, resources)
			return s, nil
		}
		a := e.issued.Authority(key)
		if a == nil { // a batch that was committed meanwhile has ended it
			s.Missing = fmt.Sprintf("the CA of %s elsewhere has not had %s certified", holder, resources)
			return s, nil
		}
		s.Repository, s.Manifest, s.Notify = a.Delegated.Repository, a.Delegated.Manifest, a.Delegated.Notify
		authority = e.parentOf(key)
	}
	for at := authority; at != issued.Anchor; at = e.parentOf(at) {
		if at == issued.Outside {
			break
		}
		is := e.issued.Authority(at)
		switch {
		case is == nil || is.Awaits() || !is.Certified.Contains(resources):
			s.Missing = fmt.Sprintf("%s has no certificate for %s yet", at, resources)
		case s.Pending == "" && e.pending(is):
			s.Pending = fmt.Sprintf("what %s signed is not published yet", at)
		}
		if s.Missing != "" {
			return s, nil
		}
	}
	if s.Delegated {
		return s, nil
	}
	is, err := e.issued.Read(authority)
	if err != nil {
		return s, err
	}
	said := map[payload.Key]bool{}
	for _, p := range is.Payloads() {
		said[payload.ID(p)] = true
	}
	for _, p := range says {
		if said[payload.ID(p)] {
			continue
		}
		k, err := kinds.Of(p.Kind())
		if err != nil {
			return s, err
		}
		s.Missing = fmt.Sprintf("%s has no %s for %s yet", holder, k.Title, p)
		return s, nil
	}
	return s, nil
}

// pending tells whether the repository that an authority publishes in has something that readers cannot see yet.
func (e *Engine) pending(a *issued.Authority) bool {
	if a.Base != "" {
		return e.unsent(a)
	}
	r := e.repositories.Own()[a.Repository]
	return r != nil && r.Staged()
}

// unsent tells whether an authority publishes at a server elsewhere that does not have all of it yet.
func (e *Engine) unsent(a *issued.Authority) bool {
	return a.Base != "" && e.Federation.Unsent(a.Repository)
}

// certifiedKey is the authority of a delegated CA's key that is certified for some resources; the zero name where none is. The caller
// holds the engine's mu.
func (e *Engine) certifiedKey(holder string, resources inr.Set) issued.Name {
	var names []issued.Name
	for _, key := range e.peers.Keys(holder) {
		authority := key.Authority
		if a := e.issued.Authority(authority); a != nil && a.Certified.Contains(resources) {
			names = append(names, authority)
		}
	}
	if len(names) == 0 {
		return issued.Name{}
	}
	return slices.MinFunc(names, issued.Name.Compare)
}

// Rest is what is still certified of resources that were lost: nothing if Missing is empty.
type Rest struct {
	Missing   string // in words
	Holder    string // whose it is
	Delegated bool   // its CA is elsewhere, and has time until Notice
	Notice    time.Time
}

// Clear looks for certificates of some organisations that name resources which these do not hold any more, and for such changes that are
// not published yet. The result is empty where there are none.
func (e *Engine) Clear(holders []string, resources inr.Set) (Rest, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, holder := range holders {
		rest := Rest{Holder: holder, Delegated: e.peers.Child(holder) != nil} // returned only with what is missing
		if notice := e.peers.Notice(holder); notice != nil {
			rest.Notice = notice.Until
		}
		for _, authority := range e.issued.Of(holder) {
			a := e.issued.Authority(authority)
			if a == nil || a.Awaits() || a.Issuer == issued.Outside {
				continue
			}
			over := a.Certified.Intersect(resources.Minus(e.ledger.Via(holder, authority.Source)))
			switch {
			case !over.Empty():
				rest.Missing = fmt.Sprintf("the certificate of %s names %s still", authority, over)
			case e.pending(a):
				rest.Missing = fmt.Sprintf("what %s signed is not published yet", authority)
			default:
				continue
			}
			return rest, nil
		}
	}
	return Rest{}, nil
}

// Delegated is the delegated CA of an organisation, if it has one.
func (e *Engine) Delegated(holder string) (federation.Child, bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if c := e.peers.Child(holdings.Fold(holder)); c != nil {
		return *c, true
	}
	return federation.Child{}, false
}

// DelegatedIdentities has the identities of all delegated CAs (RFC 8183), DER, by organisation.
func (e *Engine) DelegatedIdentities() map[string][]byte {
	e.mu.RLock()
	defer e.mu.RUnlock()
	identities := make(map[string][]byte, len(e.peers.Children()))
	for _, c := range e.peers.Children() {
		identities[c.Holder] = c.TrustAnchor
	}
	return identities
}

// CertificatesOf lists the URIs of the certificates of an organisation's authorities, those of its delegated CA included.
func (e *Engine) CertificatesOf(holder string) []string {
	var uris []string
	for _, authority := range e.issued.Of(holder) {
		if a := e.issued.Authority(authority); a != nil && !a.Awaits() {
			uris = append(uris, a.CertificateURI)
		}
	}
	return uris
}

// Signed is a signature by the key of a certificate.
type Signed struct {
	URI       string // where the certificate is published
	Key       []byte // SubjectPublicKeyInfo, in DER
	Signature []byte
}

// SignAs signs a statement with the key of each certified authority of an organisation, as far as we have the keys. The statement must
// not be DER, so that it cannot be taken for an object of the RPKI. The same statement gives the same signature. The keys have to be open.
func (e *Engine) SignAs(holder string, statement []byte) ([]Signed, error) {
	var list []Signed
	hash := sha256.Sum256(statement)
	for _, authority := range e.issued.Of(holder) {
		a := e.issued.Authority(authority)
		if a == nil || a.Awaits() || a.Delegated != nil {
			continue
		}
		key, err := e.key(a)
		if err != nil {
			return nil, err
		}
		public, err := object.PublicKeyOf(key)
		if err != nil {
			return nil, err
		}
		signature, err := key.Sign(nil, hash[:], crypto.SHA256)
		if err != nil {
			return nil, fault.Wrap(err, "couldn't sign as %s", authority)
		}
		list = append(list, Signed{a.CertificateURI, public.Info, signature})
	}
	return list, nil
}
