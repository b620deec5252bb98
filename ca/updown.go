package ca

import (
	"context"
	"errors"
	"slices"
	"time"

	"cadastre/ca/issued"
	"cadastre/federation"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/peer"
	"cadastre/internal/shares"
	"cadastre/internal/updown"
	"cadastre/internal/validate"
)

// maxChildKeys is how many keys a delegated CA may have certified in one class: two in a key roll, and as many again for
// one that went wrong.
const maxChildKeys = 4

// issuePatience is how long a request waits for its certificate before it is told to come again (1104).
const issuePatience = 30 * time.Second

// treeClass is the name of the resource class of what an organisation holds in the tree; what rests on a source outside it
// is a class by the source's name.
const treeClass = "default"

func className(source string) string {
	if source == "" {
		return treeClass
	}
	return source
}

// AnswerUpDown answers a message of a delegated CA whose signature is good (RFC 6492, section 3). Every request gets an
// answer that says what is wrong with it, where something is.
func (e *Engine) AnswerUpDown(ctx context.Context, handle string, content []byte, stamp peer.Stamp) ([]byte, error) {
	e.mu.RLock()
	c := e.peers.ChildByHandle(handle)
	e.mu.RUnlock()
	if c == nil {
		return nil, fault.New(fault.NotFound, "there is no child %q", handle)
	}
	q, err := updown.Parse(content)
	var wrong *updown.Error
	if err != nil && !errors.As(err, &wrong) {
		return nil, err
	}
	reply := &updown.Message{Sender: wireHandle(e.aboveOf(c.Holder)), Recipient: c.Handle}
	_, asks := q.Body.(*updown.List) // wrong ones have none
	if err := e.heard(c.Holder, stamp, !asks && wrong == nil); err != nil {
		return nil, err
	}
	switch {
	case wrong != nil:
		reply.Body = wrong
	case q.Sender != c.Handle || q.Recipient != reply.Sender:
		return nil, fault.New(fault.BadInput, "the message is from %q to %q; here is %q for %q", q.Sender, q.Recipient, reply.Sender, c.Handle)
	default:
		reply.Body = e.answerUpDown(ctx, c.Holder, q.Body)
	}
	return reply.XML()
}

// heard notes a message of a child, so that none that is older is answered, nor one that acts a second time.
func (e *Engine) heard(holder string, stamp peer.Stamp, acts bool) error {
	return e.changePeers(func(w *federation.Tx) error {
		was, err := e.child(holder)
		if err != nil {
			return err
		}
		if acts && was.Again(stamp) {
			return peer.ErrAgain
		}
		c := *was
		c.Heard, c.Contact = was.With(stamp), time.Now().UTC()
		return w.NoteChild(&c)
	})
}

func (e *Engine) aboveOf(holder string) string {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.above(holder)
}

func (e *Engine) answerUpDown(ctx context.Context, holder string, body updown.Body) updown.Body {
	var answer updown.Body
	var err error
	switch q := body.(type) {
	case *updown.List:
		answer, err = e.listClasses(holder)
	case *updown.Issue:
		answer, err = e.issueTo(ctx, holder, q)
	case *updown.Revoke:
		answer, err = e.revokeOf(ctx, holder, q)
	default:
		err = &updown.Error{Status: updown.StatusUnrecognizedType}
	}
	if err == nil {
		return answer
	}
	wrong := &updown.Error{}
	if !errors.As(err, &wrong) {
		e.log.Error("a delegated CA's request failed", "organisation", holder, "error", err)
		wrong = &updown.Error{Status: fault.KindOf(err).UpDown(), Description: "it failed here; try again later"}
	}
	return wrong
}

// listClasses is what an organisation is entitled to, a class for each source that its holding rests on, and what its
// delegated CA has (RFC 6492, section 3.3.2). A class without resources is left out.
func (e *Engine) listClasses(holder string) (*updown.ListResponse, error) {
	e.passOn(holder)
	list := &updown.ListResponse{}
	for _, source := range e.sources(holder) {
		class, err := e.class(holder, source)
		if err != nil {
			return nil, err
		}
		if class != nil {
			list.Classes = append(list.Classes, *class)
		}
	}
	return list, nil
}

// passOn has parents outside the tree asked anew, if that was not just done, when one asks that is certified by what they
// certify: growth above it reaches it when it asks next, and not only after we have asked by ourselves.
func (e *Engine) passOn(holder string) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, source := range e.ledger.Sources(holder) {
		if p := e.peers.ParentOf(source); p != nil && time.Since(p.Refresh) > time.Minute {
			e.askSoon()
		}
	}
}

func (e *Engine) sources(holder string) []string {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.ledger.Sources(holder)
}

// class is one resource class of an organisation with all that was issued in it; nil where it has no resources, or its
// issuer no certificate yet.
func (e *Engine) class(holder, source string) (*updown.Class, error) {
	e.mu.RLock()
	resources := e.ledger.Via(holder, source)
	line := issued.Name{Holder: holder, Source: source}
	issuer := e.issued.Authority(e.parentOf(line))
	lifetime := e.policy.LifetimeOf(e.ledgerKind(holder))
	keys := e.peers.Keys(holder)
	e.mu.RUnlock()
	if resources.Empty() || issuer == nil || issuer.Awaits() {
		return nil, nil
	}
	certificate, ok := e.certificateOf(issuer)
	if !ok {
		return nil, fault.New(fault.Corrupt, "the certificate at %s is not there", issuer.CertificateURI)
	}
	class := &updown.Class{
		Name: className(source), CertURLs: []string{issuer.CertificateURI}, Resources: resources, Issuer: certificate,
		NotAfter: issued.Earlier(time.Now().Add(lifetime.Life), issuer.CertExpires).UTC().Truncate(time.Second),
	}
	for _, key := range keys {
		is := e.issued.Authority(key.Authority)
		if is == nil || key.Authority.Source != source {
			continue
		}
		// what was issued lives as long as it does until it is due: a child has nothing to ask before
		if due := lifetime.DueAt(is.CertExpires, issuer.CertExpires); due.IsZero() || time.Now().Before(due) {
			class.NotAfter = is.CertExpires.UTC()
		}
		der, ok := e.Get(is.CertificateURI)
		if !ok {
			return nil, fault.New(fault.Corrupt, "the certificate at %s is not there", is.CertificateURI)
		}
		class.Certificates = append(class.Certificates, updown.Issued{URLs: []string{is.CertificateURI}, Limit: key.Limit, Certificate: der})
	}
	return class, nil
}

// certificateOf is an authority's own certificate.
func (e *Engine) certificateOf(a *issued.Authority) ([]byte, bool) {
	if a.Issuer == issued.Outside {
		return e.taken(a)
	}
	return e.Get(a.CertificateURI)
}

// sourceOf is the source of a class that an organisation has, or the error of a status.
func (e *Engine) sourceOf(holder, class string, status int) (string, error) {
	for _, source := range e.sources(holder) {
		if className(source) == class {
			return source, nil
		}
	}
	return "", &updown.Error{Status: status, Description: "there is no class " + class}
}

// issueTo has a key of a delegated CA certified (RFC 6492, section 3.4), and waits until that is published.
func (e *Engine) issueTo(ctx context.Context, holder string, q *updown.Issue) (*updown.IssueResponse, error) {
	source, err := e.sourceOf(holder, q.Class, updown.StatusIssueNoClass)
	if err != nil {
		return nil, err
	}
	request, findings := validate.ParseRequest(q.Request, e.reading()...)
	if request == nil {
		return nil, &updown.Error{Status: updown.StatusIssueBadRequest, Description: firstFindings(findings)}
	}
	id := object.KeyIdentifier(request.Key.ID())
	authority := issued.Name{Holder: holder, Source: source, Key: id.String()}
	place := issued.Place{Repository: request.Repository, Manifest: request.Manifest, Notify: request.Notify}
	if err := e.checkPlace(place); err != nil {
		return nil, err
	}
	if err := e.awaitNextSecond(ctx, authority); err != nil {
		return nil, err
	}
	asked := time.Now().UTC().Truncate(time.Second)
	if err := e.mayAsk(authority); err != nil {
		return nil, err
	}
	due := e.isDue(authority)
	err = e.changePeers(func(w *federation.Tx) error {
		key := &federation.ChildKey{Authority: authority, KeyID: id, KeyInfo: request.KeyInfo, Limit: q.Limit, Asked: asked, Place: place}
		key.Granted = limited(e.ledger.Via(holder, source), q.Limit)
		if err := e.mayIssue(holder, key); err != nil {
			return err
		}
		if due {
			return w.PutKey(key)
		}
		if err := e.afford(holder, key); err != nil {
			return err
		}
		return w.PutKey(key)
	})
	if err != nil {
		return nil, err
	}
	done := func() bool {
		is := e.issued.Authority(authority)
		return is != nil && !asked.After(is.Certificated)
	}
	if err := e.await(ctx, done); err != nil {
		return nil, err
	}
	class, err := e.class(holder, source)
	is := e.issued.Authority(authority)
	if err != nil || class == nil || is == nil { // what it was certified for may be gone again
		return nil, errors.Join(err, &updown.Error{Status: updown.StatusIssueNoResources})
	}
	uri := is.CertificateURI
	class.Certificates = slices.DeleteFunc(class.Certificates, func(c updown.Issued) bool { return c.URLs[0] != uri })
	return &updown.IssueResponse{Class: *class}, nil
}

// mayAsk counts a request to have a key certified. One whose certificate is due has a reserve, and is taken when guests may
// write nothing: what holders have authorised must not end because others ask for much.
func (e *Engine) mayAsk(authority issued.Name) error {
	if e.isDue(authority) {
		return e.spendOf(authority.Holder, shares.Renewals)
	}
	if err := e.Shares.Disk.Guests(); err != nil {
		e.log.Warn("a delegated CA's request was refused", "organisation", authority.Holder, "error", err)
		return &updown.Error{Status: fault.KindOf(err).UpDown(), Description: "there is little room on the disk here; try again later"}
	}
	return e.spendOf(authority.Holder, shares.Issuances)
}

// isDue tells whether a key's certificate is to be made anew, as it is for authorities of ours.
func (e *Engine) isDue(authority issued.Name) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	is, issuer := e.issued.Authority(authority), e.issued.Authority(e.parentOf(authority.Line()))
	if is == nil || issuer == nil || is.Awaits() || issuer.Awaits() {
		return false
	}
	due := e.policy.LifetimeOf(e.ledgerKind(authority.Holder)).DueAt(is.CertExpires, issuer.CertExpires)
	return !due.IsZero() && !time.Now().Before(due)
}

// spendOf uses up one of a delegated CA's share.
func (e *Engine) spendOf(holder string, what shares.Resource) error {
	e.mu.RLock()
	who := shares.Principal{Kind: shares.Child, Name: holder}
	if c := e.peers.Child(holder); c != nil {
		who.Name = c.Handle
	}
	e.mu.RUnlock()
	if err := e.Shares.Ledger.Spend(who, what, 1); err != nil {
		return &updown.Error{Status: updown.StatusInternal, Description: err.Error()}
	}
	return nil
}

// limited is what of some resources a request asks for.
func limited(all inr.Set, limit updown.Limit) inr.Set {
	if limit.AS != nil {
		all.AS = all.Intersect(*limit.AS).AS
	}
	if limit.IPv4 != nil {
		all.V4 = all.Intersect(*limit.IPv4).V4
	}
	if limit.IPv6 != nil {
		all.V6 = all.Intersect(*limit.IPv6).V6
	}
	return all
}

// mayIssue tells why a key cannot be certified. The engine's mu is held.
func (e *Engine) mayIssue(holder string, key *federation.ChildKey) error {
	if key.Granted.Empty() {
		return &updown.Error{Status: updown.StatusIssueNoResources}
	}
	if owner := e.peers.KeyOwner(key.KeyID); !owner.IsZero() && owner != key.Authority {
		return &updown.Error{Status: updown.StatusIssueKeyUsed}
	}
	if e.issued.Any(func(own *issued.Authority) bool { return own.KeyID == key.KeyID && own.Name != key.Authority }) {
		return &updown.Error{Status: updown.StatusIssueKeyUsed}
	}
	if e.peers.Key(key.Authority) == nil && len(e.peers.Keys(holder)) >= maxChildKeys*len(e.ledger.Sources(holder)) {
		return &updown.Error{Status: updown.StatusIssueBadRequest, Description: "too many keys are certified; have one revoked first"}
	}
	return nil
}

// revokeOf has a key's certificate revoked (RFC 6492, section 3.5), and waits until that is published.
func (e *Engine) revokeOf(ctx context.Context, holder string, q *updown.Revoke) (*updown.RevokeResponse, error) {
	source, err := e.sourceOf(holder, q.Class, updown.StatusRevokeNoClass)
	if err != nil {
		return nil, err
	}
	authority := issued.Name{Holder: holder, Source: source, Key: object.KeyIdentifier(q.SKI).String()}
	if err := e.spendOf(holder, shares.Renewals); err != nil {
		return nil, err
	}
	err = e.changePeers(func(w *federation.Tx) error {
		key := e.peers.Key(authority)
		if key == nil {
			return &updown.Error{Status: updown.StatusRevokeNoKey}
		}
		return w.DeleteKey(key)
	})
	if err != nil {
		return nil, err
	}
	if err := e.await(ctx, func() bool { return e.issued.Authority(authority) == nil }); err != nil {
		return nil, err
	}
	return &updown.RevokeResponse{Class: q.Class, SKI: q.SKI}, nil
}

// await waits until something is so and published, and says to come again (1104) where that takes long.
func (e *Engine) await(ctx context.Context, so func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, issuePatience)
	defer cancel()
	later := &updown.Error{Status: updown.StatusScheduled}
	if err := e.WaitIdle(ctx); so() {
		return nil
	} else if err != nil {
		return later
	}
	for { // it waits for something, such as a soak: the engine comes back to it by itself
		beat := e.stepped.next()
		if so() {
			break
		}
		select {
		case <-beat:
		case <-ctx.Done():
			return later
		}
	}
	if _ = e.WaitIdle(ctx); ctx.Err() != nil {
		return later
	}
	return nil
}
