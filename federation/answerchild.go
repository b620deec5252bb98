package federation

import (
	"context"
	"errors"
	"slices"
	"time"

	"cadastre/ca/issued"
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

// IssuePatience is how long the daemon lets a request wait for its certificate. Then it answers error 1104: the child asks again
// later (RFC 6492, section 3.6).
const IssuePatience = 30 * time.Second

// TreeClass is the name of the resource class for what an organisation holds in the tree. What it holds from a parent elsewhere is
// in a class with the name of that source.
const TreeClass = "default"

// ClassName is the name of the resource class of a source; "" is the tree.
func ClassName(source string) string {
	if source == "" {
		return TreeClass
	}
	return source
}

// AnswerUpDown answers a message of a delegated CA (RFC 6492, section 3). The signature has been checked before. A request that is
// wrong gets an error_response.
func (f *Federation) AnswerUpDown(ctx context.Context, handle string, content []byte, stamp peer.Stamp) ([]byte, error) {
	c := f.Peers.ChildByHandle(handle)
	if c == nil {
		return nil, fault.New(fault.NotFound, "there is no child %q", handle)
	}
	q, err := updown.Parse(content)
	var wrong *updown.Error
	if err != nil && !errors.As(err, &wrong) {
		return nil, err
	}
	reply := &updown.Message{Sender: f.above(c.Holder), Recipient: c.Handle}
	_, asks := q.Body.(*updown.List) // wrong ones have none
	if err := f.noteMessage(c.Holder, stamp, !asks && wrong == nil); err != nil {
		return nil, err
	}
	switch {
	case wrong != nil:
		reply.Body = wrong
	case q.Sender != c.Handle || q.Recipient != reply.Sender:
		return nil, fault.New(fault.BadInput, "the message is from %q to %q; here is %q for %q", q.Sender, q.Recipient, reply.Sender, c.Handle)
	default:
		reply.Body = f.answerUpDown(ctx, c.Holder, q.Body)
	}
	return reply.XML()
}

// noteMessage notes a message of a child. Older messages are not answered after it, and a message that changes something is not
// carried out twice.
func (f *Federation) noteMessage(holder string, stamp peer.Stamp, acts bool) error {
	return f.host.Change(func(tx *Tx) error {
		was, err := f.child(holder)
		if err != nil {
			return err
		}
		if acts && was.Again(stamp) {
			return peer.ErrAgain
		}
		c := *was
		c.Heard, c.Contact = was.With(stamp), time.Now().UTC()
		return tx.NoteChild(&c)
	})
}

func (f *Federation) answerUpDown(ctx context.Context, holder string, body updown.Body) updown.Body {
	var answer updown.Body
	var err error
	switch q := body.(type) {
	case *updown.List:
		answer, err = f.listClasses(holder)
	case *updown.Issue:
		answer, err = f.issueTo(ctx, holder, q)
	case *updown.Revoke:
		answer, err = f.revokeOf(ctx, holder, q)
	default:
		err = &updown.Error{Status: updown.StatusUnrecognizedType}
	}
	if err == nil {
		return answer
	}
	wrong := &updown.Error{}
	if !errors.As(err, &wrong) {
		f.log.Error("a delegated CA's request failed", "organisation", holder, "error", err)
		wrong = &updown.Error{Status: fault.KindOf(err).UpDown(), Description: "it failed here; try again later"}
	}
	return wrong
}

// listClasses makes the answer to a list query (RFC 6492, section 3.3.2): one class for each source of the organisation's holding,
// with its resources and the certificates that the delegated CA has. Classes without resources are left out.
func (f *Federation) listClasses(holder string) (*updown.ListResponse, error) {
	f.passOn(holder)
	list := &updown.ListResponse{}
	for _, source := range f.sources(holder) {
		class, err := f.class(holder, source)
		if err != nil {
			return nil, err
		}
		if class != nil {
			list.Classes = append(list.Classes, *class)
		}
	}
	return list, nil
}

// passOn asks the parents elsewhere of an organisation again, unless they answered within the last minute. It is called when the
// organisation's delegated CA asks us: what a parent elsewhere added since then reaches that CA with its next query.
func (f *Federation) passOn(holder string) {
	for _, source := range f.sources(holder) {
		if p := f.Peers.ParentOf(source); p != nil && time.Since(p.Refresh) > time.Minute {
			f.AskSoon()
		}
	}
}

// class is one resource class of an organisation with all certificates that were issued in it. It is nil if the class has no
// resources, or its issuer has no certificate yet.
func (f *Federation) class(holder, source string) (*updown.Class, error) {
	offer, err := f.host.Offer(holder, source)
	if offer == nil || err != nil {
		return nil, err
	}
	class := &updown.Class{
		Name: ClassName(source), CertURLs: []string{offer.IssuerURI}, Resources: offer.Resources, Issuer: offer.Certificate, NotAfter: offer.NotAfter,
	}
	for _, key := range f.Peers.Keys(holder) {
		is := f.host.Authority(key.Authority)
		if is == nil || key.Authority.Source != source {
			continue
		}
		// the child need not ask for a new certificate before the one that it has is due
		if !f.host.IsDue(key.Authority) {
			class.NotAfter = is.CertExpires.UTC()
		}
		der, ok := f.host.Get(is.CertificateURI)
		if !ok {
			return nil, fault.New(fault.Corrupt, "the certificate at %s is not there", is.CertificateURI)
		}
		class.Certificates = append(class.Certificates, updown.Issued{URLs: []string{is.CertificateURI}, Limit: key.Limit, Certificate: der})
	}
	return class, nil
}

// sourceOf is the source of an organisation's class. If there is no such class the error has the status.
func (f *Federation) sourceOf(holder, class string, status int) (string, error) {
	for _, source := range f.sources(holder) {
		if ClassName(source) == class {
			return source, nil
		}
	}
	return "", &updown.Error{Status: status, Description: "there is no class " + class}
}

// issueTo has a key of a delegated CA certified (RFC 6492, section 3.4), and waits until the certificate is published.
func (f *Federation) issueTo(ctx context.Context, holder string, q *updown.Issue) (*updown.IssueResponse, error) {
	source, err := f.sourceOf(holder, q.Class, updown.StatusIssueNoClass)
	if err != nil {
		return nil, err
	}
	request, findings := validate.ParseRequest(q.Request, f.reading()...)
	if request == nil {
		return nil, &updown.Error{Status: updown.StatusIssueBadRequest, Description: validate.First(findings)}
	}
	id := object.KeyIdentifier(request.Key.ID())
	authority := issued.Name{Holder: holder, Source: source, Key: id.String()}
	place := issued.Place{Repository: request.Repository, Manifest: request.Manifest, Notify: request.Notify}
	if err := f.checkPlace(place); err != nil {
		return nil, err
	}
	if err := f.awaitNextSecond(ctx, authority); err != nil {
		return nil, err
	}
	asked := time.Now().UTC().Truncate(time.Second)
	if err := f.mayAsk(authority); err != nil {
		return nil, err
	}
	due := f.host.IsDue(authority)
	err = f.host.Change(func(tx *Tx) error {
		key := &ChildKey{Authority: authority, KeyID: id, KeyInfo: request.KeyInfo, Limit: q.Limit, Asked: asked, Place: place}
		key.Granted = limited(tx.Ledger.Via(holder, source), q.Limit)
		if err := f.mayIssue(tx, holder, key); err != nil {
			return err
		}
		if due {
			return tx.PutKey(key)
		}
		if err := f.afford(tx, holder, key); err != nil {
			return err
		}
		return tx.PutKey(key)
	})
	if err != nil {
		return nil, err
	}
	done := func() bool {
		is := f.host.Authority(authority)
		return is != nil && !asked.After(is.Certificated)
	}
	if err := f.await(ctx, done); err != nil {
		return nil, err
	}
	class, err := f.class(holder, source)
	is := f.host.Authority(authority)
	if err != nil || class == nil || is == nil { // what it was certified for may be gone again
		return nil, errors.Join(err, &updown.Error{Status: updown.StatusIssueNoResources})
	}
	uri := is.CertificateURI
	class.Certificates = slices.DeleteFunc(class.Certificates, func(c updown.Issued) bool { return c.URLs[0] != uri })
	return &updown.IssueResponse{Class: *class}, nil
}

// mayAsk counts a request for a certificate against the delegated CA's share. If its certificate is due, the request is counted
// against a reserve, and is taken even when the disk is too full for guests: holders must not lose ROAs because others ask for much.
func (f *Federation) mayAsk(authority issued.Name) error {
	if f.host.IsDue(authority) {
		return f.spendOf(authority.Holder, shares.Renewals)
	}
	if err := f.Shares.Disk.Guests(); err != nil {
		f.log.Warn("a delegated CA's request was refused", "organisation", authority.Holder, "error", err)
		return &updown.Error{Status: fault.KindOf(err).UpDown(), Description: "there is little room on the disk here; try again later"}
	}
	return f.spendOf(authority.Holder, shares.Issuances)
}

// spendOf uses up one of a delegated CA's share.
func (f *Federation) spendOf(holder string, what shares.Resource) error {
	who := shares.Principal{Kind: shares.Child, Name: holder}
	if c := f.Peers.Child(holder); c != nil {
		who.Name = c.Handle
	}
	if err := f.Shares.Ledger.Spend(who, what, 1); err != nil {
		return &updown.Error{Status: updown.StatusInternal, Description: err.Error()}
	}
	return nil
}

// limited is the part of some resources that a request asks for (RFC 6492, section 3.4.1).
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

// mayIssue checks whether a key can be certified; the error says why not. It is used within Change.
func (f *Federation) mayIssue(tx *Tx, holder string, key *ChildKey) error {
	if key.Granted.Empty() {
		return &updown.Error{Status: updown.StatusIssueNoResources}
	}
	if owner := f.Peers.KeyOwner(key.KeyID); !owner.IsZero() && owner != key.Authority {
		return &updown.Error{Status: updown.StatusIssueKeyUsed}
	}
	if f.host.KeyUsed(key.KeyID, key.Authority) {
		return &updown.Error{Status: updown.StatusIssueKeyUsed}
	}
	if f.Peers.Key(key.Authority) == nil && len(f.Peers.Keys(holder)) >= maxChildKeys*len(tx.Ledger.Sources(holder)) {
		return &updown.Error{Status: updown.StatusIssueBadRequest, Description: "too many keys are certified; have one revoked first"}
	}
	return nil
}

// revokeOf has a key's certificate revoked (RFC 6492, section 3.5), and waits until the revocation is published.
func (f *Federation) revokeOf(ctx context.Context, holder string, q *updown.Revoke) (*updown.RevokeResponse, error) {
	source, err := f.sourceOf(holder, q.Class, updown.StatusRevokeNoClass)
	if err != nil {
		return nil, err
	}
	authority := issued.Name{Holder: holder, Source: source, Key: object.KeyIdentifier(q.SKI).String()}
	if err := f.spendOf(holder, shares.Renewals); err != nil {
		return nil, err
	}
	err = f.host.Change(func(tx *Tx) error {
		key := f.Peers.Key(authority)
		if key == nil {
			return &updown.Error{Status: updown.StatusRevokeNoKey}
		}
		return tx.DeleteKey(key)
	})
	if err != nil {
		return nil, err
	}
	if err := f.await(ctx, func() bool { return f.host.Authority(authority) == nil }); err != nil {
		return nil, err
	}
	return &updown.RevokeResponse{Class: q.Class, SKI: q.SKI}, nil
}

// await waits until so is true and the change is published. After IssuePatience it fails with 1104: the child asks again later.
func (f *Federation) await(ctx context.Context, so func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, IssuePatience)
	defer cancel()
	later := &updown.Error{Status: updown.StatusScheduled}
	if err := f.host.WaitIdle(ctx); so() {
		return nil
	} else if err != nil {
		return later
	}
	for { // it waits for something, such as a soak: the engine plans it again by itself
		beat := f.host.NextRound()
		if so() {
			break
		}
		select {
		case <-beat:
		case <-ctx.Done():
			return later
		}
	}
	if _ = f.host.WaitIdle(ctx); ctx.Err() != nil {
		return later
	}
	return nil
}
