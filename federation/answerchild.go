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

// IssuePatience is how long a request waits for its certificate before it is told to come again (1104).
const IssuePatience = 30 * time.Second

// TreeClass is the name of the resource class of what an organisation holds in the tree; what rests on a source outside it
// is a class by the source's name.
const TreeClass = "default"

// ClassName is the name of the resource class of what rests on a source.
func ClassName(source string) string {
	if source == "" {
		return TreeClass
	}
	return source
}

// AnswerUpDown answers a message of a delegated CA whose signature is good (RFC 6492, section 3). Every request gets an
// answer that says what is wrong with it, where something is.
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

// noteMessage notes a message of a child, so that none that is older is answered, nor one that acts a second time.
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

// listClasses is what an organisation is entitled to, a class for each source that its holding rests on, and what its
// delegated CA has (RFC 6492, section 3.3.2). A class without resources is left out.
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

// passOn has parents elsewhere asked anew, if that was not just done, when one asks that is certified by what they
// certify: growth above it reaches it when it asks next, and not only after we have asked by ourselves.
func (f *Federation) passOn(holder string) {
	for _, source := range f.sources(holder) {
		if p := f.Peers.ParentOf(source); p != nil && time.Since(p.Refresh) > time.Minute {
			f.AskSoon()
		}
	}
}

// class is one resource class of an organisation with all that was issued in it; nil where it has no resources, or its
// issuer no certificate yet.
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
		// what was issued lives as long as it does until it is due: a child has nothing to ask before
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

// sourceOf is the source of a class that an organisation has, or the error of a status.
func (f *Federation) sourceOf(holder, class string, status int) (string, error) {
	for _, source := range f.sources(holder) {
		if ClassName(source) == class {
			return source, nil
		}
	}
	return "", &updown.Error{Status: status, Description: "there is no class " + class}
}

// issueTo has a key of a delegated CA certified (RFC 6492, section 3.4), and waits until that is published.
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

// mayAsk counts a request to have a key certified. One whose certificate is due has a reserve, and is taken when guests may
// write nothing: what holders have authorised must not end because others ask for much.
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

// mayIssue tells why a key cannot be certified. It is used within Change.
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

// revokeOf has a key's certificate revoked (RFC 6492, section 3.5), and waits until that is published.
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

// await waits until something is so and published, and says to come again (1104) where that takes long.
func (f *Federation) await(ctx context.Context, so func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, IssuePatience)
	defer cancel()
	later := &updown.Error{Status: updown.StatusScheduled}
	if err := f.host.WaitIdle(ctx); so() {
		return nil
	} else if err != nil {
		return later
	}
	for { // it waits for something, such as a soak: the engine comes back to it by itself
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
