package ca

import (
	"context"
	"maps"
	"strings"
	"time"

	"cadastre/ca/issued"
	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/store"
	"cadastre/internal/validate"
	"cadastre/keys"
	"cadastre/roa"
	"cadastre/rrdp"
)

// host is the engine as the federation sees it: it implements federation.Host.
type host struct{ e *Engine }

// openFederation opens the federation of this installation.
func (e *Engine) openFederation() (err error) {
	e.Federation, err = federation.Open(e.peers, federation.Config{
		Store: e.store, Single: engineBucket, Dir: e.dir, Repositories: e.repositories.Own(), Log: e.log,
		ServiceBase: e.policy.ServiceBase, RsyncBase: e.policy.RsyncBase, PublisherBase: e.publisherBase,
		Suites: e.suites(), P256: e.policy.Algorithm == object.P256,
		Soak: e.policy.Soak, Silence: e.policy.Silence, ParentClasses: e.policy.ParentClasses,
	}, host{e})
	return err
}

// publisherBase is where a publisher publishes: a folder with an opaque name below its registry's module.
func (e *Engine) publisherBase(registry, handle string) (siaBase, notify string) {
	return e.policy.RsyncBase + registry + "/" + issued.PathOf(e.installation, "publisher "+handle) + "/", e.policy.Notify(registry)
}

// changePeers changes records of peers in one transaction, and wakes the engine.
func (e *Engine) changePeers(change func(w *federation.Tx) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	touched, err := e.peers.Change(e.store, e.ledger, change)
	if err != nil {
		return err
	}
	for _, holder := range touched {
		e.touch(holder)
	}
	e.progress.Wake()
	return nil
}

func (h host) Change(change func(*federation.Tx) error) error { return h.e.changePeers(change) }

func (h host) Read(look func(*holdings.Ledger, *roa.Book) error) error { return h.e.Read(look) }

// Receive takes the decision that an organisation holds these resources from a source. The brake does not hold it: the parent has decided
// already, and the resources are lost whatever we do.
func (h host) Receive(by holdings.By, holder, source string, held inr.Set) error {
	effect, err := h.e.Decide(Consent{Unbraked: true}, OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) {
		return l.Receive(by, holder, source, held)
	}))
	if err == nil && len(effect.Lost) > 0 {
		h.e.log.Warn("a parent outside the tree took resources away", "organisation", holder, "source", source, "vrps_lost", len(effect.Lost))
	}
	return err
}

func (h host) Frozen() error                      { return h.e.frozen.err() }
func (h host) WaitIdle(ctx context.Context) error { return h.e.WaitIdle(ctx) }
func (h host) NextRound() <-chan struct{}         { return h.e.progress.NextStep() }
func (h host) Get(uri string) ([]byte, bool)      { return h.e.Get(uri) }
func (h host) TAL() (string, error)               { return h.e.TAL() }
func (h host) Issued(holder string) []issued.Name { return h.e.issued.Of(holder) }

func (h host) Authority(name issued.Name) *issued.Authority { return h.e.issued.Authority(name) }

func (h host) Place(authority issued.Name) issued.Place {
	a := h.e.issued.Authority(authority)
	if a == nil {
		return issued.Place{}
	}
	return issued.Place{Repository: h.e.policy.Place(a), Manifest: h.e.policy.ManifestURI(a), Notify: h.e.policy.NotifyOf(a)}
}

// Offer is what an organisation's key can be certified for in the class of a source. It is nil if the organisation has no resources from
// there, or its issuer has no certificate yet.
func (h host) Offer(holder, source string) (*federation.Offer, error) {
	e := h.e
	e.mu.RLock()
	resources := e.ledger.Via(holder, source)
	issuer := e.issued.Authority(e.parentOf(issued.Name{Holder: holder, Source: source}))
	life := e.policy.LifetimeOf(e.ledgerKind(holder)).Life
	e.mu.RUnlock()
	if resources.Empty() || issuer == nil || issuer.Awaits() {
		return nil, nil
	}
	certificate, ok := e.certificateOf(issuer)
	if !ok {
		return nil, fault.New(fault.Corrupt, "the certificate at %s is not there", issuer.CertificateURI)
	}
	return &federation.Offer{
		Resources: resources, IssuerURI: issuer.CertificateURI, Certificate: certificate,
		NotAfter: issued.Earlier(time.Now().Add(life), issuer.CertExpires).UTC().Truncate(time.Second),
	}, nil
}

// certificateOf is an authority's own certificate.
func (e *Engine) certificateOf(a *issued.Authority) ([]byte, bool) {
	if a.Issuer == issued.Outside {
		return e.taken(a)
	}
	return e.Get(a.CertificateURI)
}

// IsDue tells whether the certificate of a delegated CA's key is to be made anew, as it is for authorities of ours.
func (h host) IsDue(authority issued.Name) bool {
	e := h.e
	e.mu.RLock()
	defer e.mu.RUnlock()
	is, issuer := e.issued.Authority(authority), e.issued.Authority(e.parentOf(authority.Line()))
	if is == nil || issuer == nil || is.Awaits() || issuer.Awaits() {
		return false
	}
	due := e.policy.LifetimeOf(e.ledgerKind(authority.Holder)).DueAt(is.CertExpires, issuer.CertExpires)
	return !due.IsZero() && !time.Now().Before(due)
}

func (h host) KeyUsed(key object.KeyIdentifier, but issued.Name) bool {
	return h.e.issued.Any(func(own *issued.Authority) bool { return own.KeyID == key && own.Name != but })
}

func (h host) PublishesAt(mirror string) bool {
	return h.e.issued.Any(func(a *issued.Authority) bool { return a.Repository == mirror })
}

func (h host) Wanted(holder, source string) []issued.Name {
	h.e.mu.RLock()
	defer h.e.mu.RUnlock()
	line := issued.Name{Holder: holder, Source: source}
	roll := h.e.rolls.Of(line)
	wanted := []issued.Name{line.At(roll.Active)}
	if roll.Next != 0 {
		wanted = append(wanted, line.At(roll.Next))
	}
	return wanted
}

// Begin makes the key and the record of an authority that a parent elsewhere is to certify.
func (h host) Begin(authority issued.Name, also func(tx *federation.Tx, keyID []byte) error) error {
	e := h.e
	key, err := keys.One(e.keeper, e.policy.Algorithm)
	if err != nil {
		return err
	}
	a := e.newAuthority(authority)
	a.KeyID, a.KeyInfo, a.Issuer = key.Public.ID, key.Public.Info, issued.Outside
	written := false // once it is, a record may name the key, whatever comes after
	err = e.changePeers(func(w *federation.Tx) error {
		w.OnCommit(func() { e.issued.Note(&a) })
		if err := store.PutValue(w, issued.Authorities, []byte(authority.String()), &a); err != nil {
			return err
		}
		if err := keys.Put(w, key.Ref); err != nil {
			return err
		}
		err := also(w, key.Public.ID[:])
		written = err == nil
		return err
	})
	if !written {
		e.discardKeys([]keys.Ref{key.Ref})
	}
	return err
}

func (h host) Request(authority issued.Name) ([]byte, error) {
	a := h.e.issued.Authority(authority)
	if a == nil {
		return nil, fault.New(fault.NotFound, "there is no authority %s any more", authority)
	}
	key, err := h.e.key(a)
	if err != nil {
		return nil, err
	}
	place := h.e.policy.Place(a)
	return (&object.CertificateRequest{Key: a.PublicKey(), Repository: place, Manifest: place + a.ManifestName(), Notify: h.e.policy.NotifyOf(a)}).Sign(key)
}

// HasShed tells whether an authority needs no more than some resources: nothing that is published rests on others, and no reader holds
// anything older that did.
func (h host) HasShed(ctx context.Context, authority issued.Name, enough inr.Set) bool {
	e := h.e
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	a := e.issued.Authority(authority)
	if e.WaitIdle(ctx) != nil || a == nil || e.Federation.Unsent(a.Repository) {
		return false
	}
	is, err := e.issued.Read(authority)
	if err != nil || is == nil || time.Now().Before(is.Shed.Add(e.policy.Soak)) {
		return false
	}
	for _, p := range is.Products {
		certified, is := p.Certifies()
		if !is {
			continue
		}
		if child := e.issued.Authority(certified); child != nil && !enough.Contains(child.Certified) {
			return false // its certificate shrinks after a soak of its own
		}
	}
	return true
}

// IsDone tells whether an authority with a parent elsewhere is not needed any more.
func (h host) IsDone(n issued.Name) bool {
	e := h.e
	is, err := e.issued.Read(n)
	switch {
	case err != nil:
		return false
	case is == nil:
		return true
	}
	if len(is.Products) > 0 || e.Federation.Unsent(is.Repository) {
		return false
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	if roll := e.rolls.Of(n.Line()); roll.Retired(n.Generation) { // it is done when readers with an older copy do not need it any more
		return !time.Now().Before(is.Shed.Add(max(roll.Soak, e.policy.Soak)))
	}
	p := e.peers.ParentOf(n.Source)
	return e.ledger.Via(n.Holder, n.Source).Empty() && (p == nil || p.Classes[n.Source] == nil || p.Classes[n.Source].Entitled.Empty())
}

func (h host) Roll(tx *federation.Tx, holder string) error { return h.e.rollLines(tx, holder, 0, true) }

func (h host) CloseMirror(mirror *rrdp.Repository, so func() bool) (closed bool, err error) {
	return h.e.repositories.CloseMirror(mirror, so)
}

// CommitObjects commits changes of registries' repositories in one transaction with what extra writes. They are published with the next
// serial. It is for publishers (RFC 8181); for our own authorities package loop does the same.
func (h host) CommitObjects(changes map[string][]rrdp.Change, extra func(store.Writer) error) error {
	changes = maps.Clone(changes)
	maps.DeleteFunc(changes, func(_ string, of []rrdp.Change) bool { return len(of) == 0 })
	if err := h.e.repositories.Commit(changes, false, extra); err != nil {
		return err
	}
	if len(changes) > 0 {
		h.e.progress.Wake()
	}
	return nil
}

// The following is for package moves, which exchanges messages with other installations.

// Kept shows the store as of the last commit.
func (e *Engine) Kept(look func(store.Reader) error) error { return e.store.View(look) }

// Keep changes records that another room keeps, in one transaction. It must not change the ledger or what is issued.
func (e *Engine) Keep(change func(store.Writer) error) error {
	_, err := e.store.Update(store.Any, change)
	return err
}

// CheckTAL checks a trust anchor locator (RFC 8630). It fails with BadInput, and says what is wrong.
func (e *Engine) CheckTAL(text string) error {
	if locator, findings := validate.ParseTAL([]byte(text), e.reading()...); locator == nil {
		return fault.New(fault.BadInput, "the trust anchor locator cannot be used: %s", validate.First(findings))
	}
	return nil
}

// Owns tells whether the certificate at a URI was issued here, or to an authority of ours. Another installation cannot prove with it what
// it holds.
func (e *Engine) Owns(uri string) bool {
	if strings.HasPrefix(uri, e.policy.RsyncBase) {
		return true
	}
	return e.issued.Border(uri) != nil
}
