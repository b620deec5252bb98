package federation

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"regexp"
	"slices"
	"sync"
	"time"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/due"
	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/peer"
	"cadastre/internal/principal"
	"cadastre/internal/shares"
	"cadastre/internal/updown"
	"cadastre/internal/validate"
)

// When parents elsewhere are asked, and when a class that they do not list any more is given up.
const (
	AskEvery    = 10 * time.Minute   // each parent elsewhere is asked so often
	askAgain    = 20 * time.Second   // after a failure; the delay doubles with each further one
	askLatest   = time.Hour          // the longest of these delays
	maxRounds   = 6                  // the most list queries of one call: ask, act on the answer, ask again
	LostForGood = 7 * 24 * time.Hour // a class that the parent has not listed for so long is given up
)

var classPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// SourceName is the source, in the ledger, of a parent's resource class.
func SourceName(parent, class string) string {
	if !classPattern.MatchString(class) {
		class = issued.PathOf(parent, class)
	}
	return parent + "." + class
}

// askers lets one call at a time go to each parent.
type askers struct {
	mu sync.Mutex
	of map[string]*sync.Mutex
}

func (a *askers) lock(parent string) *sync.Mutex {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of == nil {
		a.of = map[string]*sync.Mutex{}
	}
	if a.of[parent] == nil {
		a.of[parent] = &sync.Mutex{}
	}
	return a.of[parent]
}

// AskSoon has all parents asked now.
func (f *Federation) AskSoon() { f.ask.Send() }

// FollowParents asks the parents elsewhere what they certify, again and again, until ctx ends.
func (f *Federation) FollowParents(ctx context.Context) {
	(&due.Poller{
		Names: f.parentNames, Call: f.refresh, Backoff: due.Backoff{First: askAgain, Most: askLatest}, News: f.ask,
		Due: func(_ string, begun time.Time, news bool) time.Time {
			if news {
				return time.Time{}
			}
			return begun.Add(AskEvery)
		},
	}).Run(ctx)
}

func (f *Federation) parentNames() []string {
	var names []string
	for _, p := range f.Peers.Parents() {
		names = append(names, p.Name)
	}
	return names
}

// RefreshParents asks parents what they certify now, and acts on the answers: the parents of an organisation, one of them by its name,
// or all where neither is given.
func (f *Federation) RefreshParents(ctx context.Context, holder, called string) error {
	if f.opened() == nil {
		return fault.New(fault.Unreachable, "no daemon runs; start it with 'cadastre serve'")
	}
	var asked []string
	for _, one := range f.parentNames() {
		p := f.Peers.Parent(one)
		if p == nil || holder != "" && p.Holder != holdings.Fold(holder) || called != "" && one != called {
			continue
		}
		asked = append(asked, one)
	}
	if len(asked) == 0 && holder != "" {
		return fault.New(fault.NotFound, "%s has no such parent; 'cadastre parents list' shows those that there are", holder)
	}
	errs := make([]error, len(asked))
	var calls sync.WaitGroup
	for i, one := range asked {
		calls.Go(func() { errs[i] = f.refresh(ctx, one) })
	}
	calls.Wait()
	return errors.Join(errs...)
}

// refresh asks a parent what it certifies and acts on the answer, until there is nothing more to do (RFC 6492, section 3.2).
func (f *Federation) refresh(ctx context.Context, called string) error {
	one := f.askers.lock(called)
	one.Lock()
	defer one.Unlock()
	err := f.refreshOnce(ctx, called)
	if !slices.Contains(f.parentNames(), called) {
		return nil // it was removed meanwhile
	}
	if f.failures.note("parent "+called, err) && err != nil {
		f.log.Warn("a parent outside the tree did not answer well; what it certified stays", "parent", called, "error", err)
	}
	return err
}

// refreshOnce asks a parent as talk does, and then gives up what it does not certify any more.
func (f *Federation) refreshOnce(ctx context.Context, called string) error {
	err := f.talk(ctx, called)
	if given := f.giveUp(ctx, called, err != nil); err == nil {
		err = given
	}
	return err
}

// talk asks a parent, acts on the answer, and asks again until there is nothing to act on.
func (f *Federation) talk(ctx context.Context, called string) error {
	for range maxRounds {
		body, err := f.askParent(ctx, called, &updown.List{})
		if err != nil {
			return err
		}
		list, ok := body.(*updown.ListResponse)
		if !ok {
			return fault.New(fault.BadInput, "the parent %s answered a list with something else", called)
		}
		if err := f.TakeList(called, list); err != nil {
			return err
		}
		acted, err := f.actOn(ctx, called, list)
		if err != nil || !acted {
			return err
		}
	}
	return nil
}

// askParent sends a message to a parent and reads its answer. An error_response becomes an error.
func (f *Federation) askParent(ctx context.Context, called string, body updown.Body) (updown.Body, error) {
	p := f.Peers.Parent(called)
	if p == nil {
		return nil, fault.New(fault.NotFound, "there is no parent %q any more", called)
	}
	trust, err := envelope.ParseTrust(p.TrustAnchor)
	if err != nil {
		return nil, err
	}
	text, err := (&updown.Message{Sender: p.ChildHandle, Recipient: p.ParentHandle, Body: body}).XML()
	if err != nil {
		return nil, err
	}
	client := peer.Client{URL: p.ServiceURI, ContentType: updown.ContentType, Peer: trust, Heard: p.Heard, Trace: f.Trace, Name: called, MaxReply: maxUpDown, HTTP: f.Network}
	client.Who = shares.Principal{Kind: shares.Parent, Name: called}
	reply, err := f.callPeer(ctx, PeerName("parent", called), &client, text)
	if err != nil {
		return nil, err
	}
	var m *updown.Message
	took := shares.Measure(func() { m, err = updown.Parse(reply) })
	f.Shares.Ledger.Charge(client.Who, shares.CPU, took.Seconds())
	if err != nil {
		return nil, err
	}
	if m.Sender != p.ParentHandle || m.Recipient != p.ChildHandle {
		return nil, fault.New(fault.BadInput, "the parent %s answered as %q to %q, and is %q to %q", called, m.Sender, m.Recipient, p.ParentHandle, p.ChildHandle)
	}
	err = f.noteParent("", called, func(p *Parent) bool {
		p.Heard, p.Refresh = client.Heard, time.Now().UTC()
		return false
	})
	if wrong, ok := m.Body.(*updown.Error); ok && err == nil {
		err = fault.New(refusal(wrong.Status), "the parent %s refused: %w", called, wrong)
	}
	return m.Body, err
}

// refusal is the kind of error for the status of a parent's error_response (RFC 6492, section 3.6).
func refusal(status int) fault.Kind {
	switch status {
	case updown.StatusAlreadyProcessing, updown.StatusScheduled:
		return fault.Busy
	case updown.StatusIssueNoClass, updown.StatusRevokeNoClass, updown.StatusRevokeNoKey:
		return fault.NotFound
	case updown.StatusIssueNoResources:
		return fault.NotHeld
	case updown.StatusIssueBadRequest:
		return fault.BadInput
	case updown.StatusIssueKeyUsed:
		return fault.Conflict
	}
	return fault.Unreachable
}

// TakeList notes what a parent says that it certifies. Resources that it does not list any more are taken from the ledger at once.
// Resources that it adds enter the ledger when the parent has certified them. If it does not list a class any more, the products of
// that class stay until giveUp: our certificate may still be valid.
func (f *Federation) TakeList(called string, list *updown.ListResponse) error {
	var sources []string
	var holder string
	left := 0 // classes above the limit
	err := f.noteParent("", called, func(p *Parent) (news bool) {
		holder = p.Holder
		listed := map[string]bool{}
		for _, c := range list.Classes {
			source := SourceName(called, c.Name)
			listed[source] = true
			class := p.Classes[source]
			if class == nil {
				if most := f.config.ParentClasses; most > 0 && len(p.Classes) >= most {
					left++
					continue
				}
				class = &Class{Name: c.Name, Keys: map[issued.Name]*Received{}, Created: map[issued.Name][]byte{}}
				p.Classes[source] = class
			}
			class.Missing, class.Issuer = time.Time{}, c.Issuer
			if class.Entitled = c.Resources; p.Removed {
				class.Entitled = inr.Set{}
			}
			for _, issued := range c.Certificates {
				news = f.reissued(class, issued) || news
			}
			sources = append(sources, source)
		}
		for source, class := range p.Classes {
			switch {
			case listed[source]:
			case class.Missing.IsZero():
				class.Missing = time.Now().UTC()
				f.log.Warn("a parent outside the tree does not name a resource class any more; what rests on it stays as long as its certificate can be good", "parent", called, "class", class.Name)
			}
		}
		return news
	})
	var over error
	if left > 0 {
		over = fault.New(fault.Refused, "the parent names %d resource classes more than the %d that are taken from one parent (limits.parent_classes in config.toml)", left, f.config.ParentClasses)
	}
	if f.failures.note("classes of "+called, over) && over != nil {
		f.log.Warn("a parent outside the tree names too many resource classes; those that are new are left out", "parent", called, "error", over)
	}
	for _, source := range sources {
		if err == nil {
			err = f.receive(byParent(called), holder, source)
		}
	}
	return err
}

func byParent(called string) holdings.By {
	return holdings.By{Who: principal.OfPeer("parent " + called), Reason: "its list of what it certifies", Time: time.Now().UTC()}
}

// reissued takes a certificate from a list if the parent made it anew without being asked, as in its own key roll.
func (f *Federation) reissued(class *Class, issued updown.Issued) (news bool) {
	cert, _ := validate.ParseCertificate(issued.Certificate, f.reading()...)
	if cert == nil || len(issued.URLs) == 0 {
		return false
	}
	for authority, got := range class.Keys {
		if ski := class.Created[authority]; bytes.Equal(ski, cert.SKI[:]) && !bytes.Equal(got.Certificate, issued.Certificate) {
			class.Keys[authority] = f.successor(authority, got, newReceived(issued, cert))
			news = true
		}
	}
	return news
}

func newReceived(issued updown.Issued, cert *validate.Certificate) *Received {
	return &Received{
		URI: issued.URLs[0], Certificate: issued.Certificate, Resources: cert.Resources.Set, Subject: cert.Subject,
		Serial: cert.Serial.Int(), Expires: cert.NotAfter,
	}
}

// successor replaces a received certificate by a newer one. The old one stays in Taken until the authority goes by the new one.
func (f *Federation) successor(authority issued.Name, was, now *Received) *Received {
	if was == nil {
		return now
	}
	now.Taken = was.Taken
	if a := f.host.Authority(authority); a != nil && !a.Awaits() && a.CertSerial.Cmp(was.Serial) == 0 {
		now.Taken = was.Certificate
	}
	return now
}

// actOn sends the requests that a list makes necessary, and tells whether it sent any.
func (f *Federation) actOn(ctx context.Context, called string, list *updown.ListResponse) (acted bool, err error) {
	for _, c := range list.Classes {
		source := SourceName(called, c.Name)
		for _, authority := range f.wantedOf(called, source) {
			did, err := f.requestCertificate(ctx, called, source, authority, &c)
			if acted = acted || did; err != nil {
				return acted, err
			}
		}
	}
	for _, gone := range f.goneOf(called) {
		if err := f.revokeAt(ctx, called, gone); err != nil {
			return acted, err
		}
		acted = true
	}
	return acted, nil
}

// wantedOf lists the authorities that are to be certified in a class: the generation that issues, and the next.
func (f *Federation) wantedOf(called, source string) []issued.Name {
	p := f.Peers.Parent(called)
	if p == nil || p.Removed || p.Classes[source] == nil || p.Classes[source].Entitled.Empty() {
		return nil
	}
	return f.host.Wanted(p.Holder, source)
}

// requestCertificate asks a parent for a certificate where the authority has none, or the parent would now issue another one.
func (f *Federation) requestCertificate(ctx context.Context, called, source string, authority issued.Name, c *updown.Class) (did bool, err error) {
	a := f.host.Authority(authority)
	if a == nil {
		if a, err = f.begin(called, source, authority); err != nil {
			return false, err
		}
	}
	got := f.Peers.Received(authority)
	switch {
	case got == nil, got.Gone, !got.Resources.Contains(c.Resources), !lists(c, a):
	case !c.Resources.Contains(got.Resources):
		if !f.host.HasShed(ctx, authority, c.Resources) {
			return false, nil
		}
	case longer(c.NotAfter, got.Expires):
	default:
		return false, nil
	}
	request, err := f.host.Request(authority)
	if err != nil {
		return false, err
	}
	body, err := f.askParent(ctx, called, &updown.Issue{Class: c.Name, Request: request})
	if err != nil {
		return false, err
	}
	answer, ok := body.(*updown.IssueResponse)
	if !ok || len(answer.Class.Certificates) != 1 || len(answer.Class.Certificates[0].URLs) == 0 {
		return false, fault.New(fault.BadInput, "the parent %s answered a request for a certificate with something else", called)
	}
	issued := answer.Class.Certificates[0]
	cert, err := f.checkIssued(a, issued.Certificate, answer.Class.Issuer)
	if err != nil {
		return false, fault.Wrap(err, "the certificate that the parent %s issued cannot be used", called)
	}
	err = f.changeParent("", called, func(p *Parent) {
		if class := p.Classes[source]; class != nil {
			class.Keys[authority] = f.successor(authority, class.Keys[authority], newReceived(issued, cert))
		}
	})
	if err == nil {
		err = f.receive(byParent(called), a.Holder, source)
	}
	return err == nil, err
}

// lists tells whether a parent lists a certificate for an authority's key.
func lists(c *updown.Class, a *issued.Authority) bool {
	return slices.ContainsFunc(c.Certificates, func(issued updown.Issued) bool { return bytes.Contains(issued.Certificate, a.KeyInfo) })
}

// longer tells whether a new certificate would last noticeably longer than one that ends at a time.
func longer(offered, ends time.Time) bool {
	left := time.Until(ends)
	return offered.Sub(ends) > max(left/10, time.Hour)
}

// begin makes the key and the record of an authority that a parent is to certify.
func (f *Federation) begin(called, source string, authority issued.Name) (*issued.Authority, error) {
	err := f.host.Begin(authority, func(tx *Tx, keyID []byte) error {
		p := f.Peers.Parent(called)
		if p == nil || p.Classes[source] == nil {
			return fault.New(fault.NotFound, "there is no class %s any more", source)
		}
		p = p.Clone()
		p.Classes[source].Created[authority] = keyID
		return tx.PutParent(p)
	})
	return f.host.Authority(authority), err
}

// checkIssued checks that a certificate is what was asked for: it has our key and publication point, and is signed by the issuer whose
// certificate came with it.
func (f *Federation) checkIssued(a *issued.Authority, der, issuer []byte) (*validate.Certificate, error) {
	cert, findings := validate.ParseCertificate(der, f.reading()...)
	if cert == nil {
		return nil, fault.New(fault.Invalid, "it is no resource certificate: %s", validate.First(findings))
	}
	place := f.host.Place(a.Name)
	switch {
	case cert.Kind != validate.CA || !bytes.Equal(cert.Key.SPKI, a.KeyInfo):
		return nil, fault.New(fault.Invalid, "it is not for the key that was to be certified")
	case cert.Repository != place.Repository || cert.Manifest != place.Manifest:
		return nil, fault.New(fault.Invalid, "it says that the CA publishes at %s, and it publishes at %s", cert.Repository, place.Repository)
	case cert.Resources.Inherits():
		return nil, fault.New(fault.Invalid, "it inherits resources, so nobody can tell from it what is held")
	case !time.Now().Before(cert.NotAfter):
		return nil, fault.New(fault.Invalid, "it has ended already, at %s", cert.NotAfter.Format(time.RFC3339))
	}
	above, err := x509.ParseCertificate(issuer)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the issuer's certificate beside it cannot be read: %w", err)
	}
	own, err := x509.ParseCertificate(der)
	if err == nil {
		err = above.CheckSignature(own.SignatureAlgorithm, own.RawTBSCertificate, own.Signature)
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "it is not signed by the issuer beside it: %w", err)
	}
	return cert, nil
}
