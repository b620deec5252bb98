package ca

import (
	"context"
	"crypto"
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"cadastre/ca/issued"
	"cadastre/federation"
	"cadastre/internal/envelopetest"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/peer"
	"cadastre/internal/relyingtest"
	"cadastre/internal/setup"
	"cadastre/internal/store"
	"cadastre/internal/updown"
	"cadastre/internal/validate"
	"cadastre/rrdp"
)

// tenants is registries with members that may have their CAs elsewhere.
const tenants = registries + `
[[organisation]]
handle = "isp"
parent = "afrinic"
kind = "lir"
[[organisation]]
handle = "other"
parent = "afrinic"
kind = "lir"
`

// delegated is a CA elsewhere as its parent meets it: by messages whose signatures are good. It publishes nothing.
type delegated struct {
	*testRegistry
	holder string
	key    crypto.Signer
}

// newDelegated has an organisation's CA be elsewhere, and the test registry at work.
func newDelegated(h *testRegistry, holder string) *delegated {
	h.Helper()
	_, identity, err := envelopetest.NewIdentity(time.Now())
	must(h, err)
	_, err = h.engine.Federation.AddChild(h.by(), holder, (&setup.ChildRequest{ChildHandle: holder, TrustAnchor: identity}).XML())
	must(h, err)
	return newDelegatedKey(h, holder)
}

// newDelegatedKey is a CA elsewhere that is known already.
func newDelegatedKey(h *testRegistry, holder string) *delegated {
	h.Helper()
	key, err := object.P256.Generate()
	must(h, err)
	return &delegated{h, holder, key}
}

// ask sends a message and reads the answer.
func (d *delegated) ask(body updown.Body) updown.Body {
	d.Helper()
	text, err := (&updown.Message{Sender: d.holder, Recipient: "afrinic", Body: body}).XML()
	must(d, err)
	reply, err := d.engine.Federation.AnswerUpDown(context.Background(), d.holder, text, newStamp())
	must(d, err)
	m, err := updown.Parse(reply)
	must(d, err)
	if m.Sender != "afrinic" || m.Recipient != d.holder {
		d.Fatalf("the answer is from %s to %s", m.Sender, m.Recipient)
	}
	return m.Body
}

// stamps counts messages: no two are the same.
var stamps atomic.Uint64

func newStamp() peer.Stamp {
	s := peer.Stamp{Signed: time.Now()}
	binary.BigEndian.PutUint64(s.Digest[:], stamps.Add(1))
	return s
}

// list is the one class that there is; nil where there is none.
func (d *delegated) list() *updown.Class {
	d.Helper()
	list, ok := d.ask(&updown.List{}).(*updown.ListResponse)
	switch {
	case !ok:
		d.Fatal("a list was not answered with a list")
	case len(list.Classes) == 1:
		return &list.Classes[0]
	case len(list.Classes) > 1:
		d.Fatalf("there are %d classes", len(list.Classes))
	}
	return nil
}

func (d *delegated) request(place string) []byte {
	d.Helper()
	public, err := object.PublicKeyOf(d.key)
	must(d, err)
	der, err := (&object.CertificateRequest{Key: public, Repository: place, Manifest: place + "m.mft", Notify: "https://elsewhere.example/n.xml"}).Sign(d.key)
	must(d, err)
	return der
}

// certified is what a certificate names that an issue_response or a list has; nothing where it has none.
func (d *delegated) certified(c *updown.Class) string {
	d.Helper()
	if c == nil || len(c.Certificates) == 0 {
		return ""
	}
	cert, findings := validate.ParseCertificate(c.Certificates[0].Certificate, validate.P256)
	if cert == nil {
		d.Fatalf("the certificate does not parse: %v", findings)
	}
	return cert.Resources.Set.String()
}

// refused is the status of an error_response.
func (d *delegated) refused(body updown.Body, status int) {
	d.Helper()
	answer := d.ask(body)
	if wrong, ok := answer.(*updown.Error); !ok || wrong.Status != status {
		d.Errorf("%T is answered with %+v, not with %d", body, answer, status)
	}
}

// atWork runs the engine while a test goes on.
func atWork(h *testRegistry, test func()) {
	ctx, end := context.WithCancel(context.Background())
	done := make(chan error)
	h.reader.Pause(true) // what a delegated CA publishes is not there
	go func() { done <- h.runAlone(ctx, func(time.Time) error { return nil }) }()
	test()
	end()
	must(h, <-done)
}

const place = relyingtest.FarAway + "isp/"

// TestDelegated: a delegated CA is certified for what its organisation holds, learns of all changes by its list, and has the
// time of its notice to shed what is lost.
func TestDelegated(t *testing.T) {
	inTestRegistry(t, tenants, func(h *testRegistry) {
		h.give("afrinic", "41.0.0.0/8 AS37000-AS37099")
		h.give("isp", "41.0.0.0/16 AS37000")
		h.settle()
		d := newDelegated(h, "isp")
		atWork(h, func() {
			must(t, h.engine.WaitIdle(context.Background()))
			if is, _ := h.engine.issued.Read(issued.Parse("isp")); is != nil {
				t.Error("the organisation still has an authority here, with nothing that needs one")
			}
			h.waitsOn(Elsewhere, "child isp 41.0.0.0/16, AS37000")
			class := d.list()
			if class == nil || class.Name != federation.TreeClass || class.Resources.String() != "41.0.0.0/16, AS37000" || len(class.Certificates) > 0 {
				t.Fatalf("the list says %+v", class)
			}
			issued, ok := d.ask(&updown.Issue{Class: federation.TreeClass, Request: d.request(place)}).(*updown.IssueResponse)
			if !ok || d.certified(&issued.Class) != "41.0.0.0/16, AS37000" {
				t.Fatalf("it was issued %+v", issued)
			}

			h.waitsOn(Elsewhere)

			h.give("isp", "41.1.0.0/16")
			h.waitsOn(Elsewhere, "child isp 41.1.0.0/16")
			if got := d.list(); got.Resources.String() != "41.0.0.0/15, AS37000" || d.certified(got) != "41.0.0.0/16, AS37000" {
				t.Errorf("after growth the list says %s and %s", got.Resources, d.certified(got))
			}
			d.ask(&updown.Issue{Class: federation.TreeClass, Request: d.request(place)})
			if got := d.certified(d.list()); got != "41.0.0.0/15, AS37000" {
				t.Errorf("after asking for growth it has %s", got)
			}

			if f := h.take("isp", "41.1.0.0/16"); len(f.Overclaims) != 1 || f.Overclaims[0].Elsewhere != place || !f.Overclaims[0].Until.After(time.Now()) {
				t.Errorf("the decision says of the delegated CA: %+v", f.Overclaims)
			}
			must(t, h.engine.WaitIdle(context.Background()))
			if got := d.list(); got.Resources.String() != "41.0.0.0/16, AS37000" || d.certified(got) != "41.0.0.0/15, AS37000" {
				t.Errorf("within its notice the list says %s and %s", got.Resources, d.certified(got))
			}
			h.waitsOn(Elsewhere, "notice isp 41.1.0.0/16")
			time.Sleep(h.policy.Notice + time.Minute)
			h.waitsOn(Elsewhere)
			if got := d.certified(d.list()); got != "41.0.0.0/16, AS37000" {
				t.Errorf("after its notice it has %s", got)
			}

			v4 := resources(t, "41.0.1.0/24")
			limited := updown.Limit{IPv4: &v4, AS: &inr.Set{}}
			d.ask(&updown.Issue{Class: federation.TreeClass, Limit: limited, Request: d.request(place)})
			if got := d.certified(d.list()); got != "41.0.1.0/24" {
				t.Errorf("it asked for 41.0.1.0/24 alone and has %s", got)
			}

			public, err := object.PublicKeyOf(d.key)
			must(t, err)
			if _, ok := d.ask(&updown.Revoke{Class: federation.TreeClass, SKI: public.ID[:]}).(*updown.RevokeResponse); !ok {
				t.Error("it could not have its key revoked")
			}
			if got := d.list(); len(got.Certificates) > 0 {
				t.Error("it has a certificate after its key was revoked")
			}
		})
	})
}

// TestDelegatedKeepsItsNoticeThroughARoll: while a delegated CA has time to shed what its parent has lost as well, the parent's next
// key is certified for that too, and takes over with nothing below it too large.
func TestDelegatedKeepsItsNoticeThroughARoll(t *testing.T) {
	inTestRegistry(t, tenants, func(h *testRegistry) {
		h.give("afrinic", "41.0.0.0/8")
		h.give("isp", "41.0.0.0/15")
		h.settle()
		d := newDelegated(h, "isp")
		atWork(h, func() {
			d.ask(&updown.Issue{Class: federation.TreeClass, Request: d.request(place)})
			h.take("isp", "41.1.0.0/16")
			h.take("afrinic", "41.1.0.0/16")
			must(t, h.engine.WaitIdle(context.Background()))
			must(t, h.engine.RollKey(h.by(), "afrinic", time.Minute))
			time.Sleep(h.policy.Notice / 2)
			below, above := h.engine.issued.Authority(h.engine.issued.Of("isp")[0]), h.engine.issued.Authority(issued.Parse("afrinic~1"))
			if below.Issuer != issued.Parse("afrinic~1") || below.Certified.String() != "41.0.0.0/15" || !above.Certified.Contains(below.Certified) {
				t.Errorf("%s certifies it for %s, and names %s itself", below.Issuer, below.Certified, above.Certified)
			}
			time.Sleep(h.policy.Notice)
			if above := h.engine.issued.Authority(issued.Parse("afrinic~1")); above.Certified.Overlaps(resources(t, "41.1.0.0/16")) || h.engine.issued.Authority(issued.Parse("afrinic")) != nil {
				t.Errorf("after the notice it names %s, and of the old key there is %v", above.Certified, h.engine.issued.Authority(issued.Parse("afrinic")))
			}
		})
	})
}

// TestDelegatedRefusals: every code of RFC 6492, section 3.6, where it belongs.
func TestDelegatedRefusals(t *testing.T) {
	inTestRegistry(t, tenants, func(h *testRegistry) {
		h.give("afrinic", "41.0.0.0/8")
		h.give("isp", "41.0.0.0/16")
		h.give("other", "41.1.0.0/16")
		h.settle()
		d, e := newDelegated(h, "isp"), newDelegated(h, "other")
		e.key = d.key
		atWork(h, func() {
			d.refused(&updown.Issue{Class: "nothing", Request: d.request(place)}, updown.StatusIssueNoClass)
			d.refused(&updown.Issue{Class: federation.TreeClass, Request: []byte("no request")}, updown.StatusIssueBadRequest)
			d.refused(&updown.Issue{Class: federation.TreeClass, Request: d.request("https://elsewhere.example/")}, updown.StatusIssueBadRequest)
			d.refused(&updown.Issue{Class: federation.TreeClass, Limit: updown.Limit{IPv4: &inr.Set{}, IPv6: &inr.Set{}, AS: &inr.Set{}}, Request: d.request(place)}, updown.StatusIssueNoResources)
			d.refused(&updown.Revoke{Class: "nothing", SKI: make([]byte, 20)}, updown.StatusRevokeNoClass)
			d.refused(&updown.Revoke{Class: federation.TreeClass, SKI: make([]byte, 20)}, updown.StatusRevokeNoKey)
			d.ask(&updown.Issue{Class: federation.TreeClass, Request: d.request(place)})
			e.refused(&updown.Issue{Class: federation.TreeClass, Request: e.request("rsync://elsewhere.example/other/")}, updown.StatusIssueKeyUsed)
			d.refused(&updown.ListResponse{}, updown.StatusUnrecognizedType)
		})
		text := `<message xmlns="http://www.apnic.net/specs/rescerts/up-down/" version="1" sender="someone" recipient="afrinic" type="list"/>`
		if _, err := h.engine.Federation.AnswerUpDown(context.Background(), "isp", []byte(text), peer.Stamp{Signed: time.Now()}); err == nil {
			t.Error("a message in another's name was answered")
		}
	})
}

// TestOverclaimsAreCounted: of a delegated CA that publishes here, the objects that rest on what it would lose are counted.
func TestOverclaimsAreCounted(t *testing.T) {
	inTestRegistry(t, tenants, func(h *testRegistry) {
		h.give("afrinic", "41.0.0.0/8")
		h.give("isp", "41.0.0.0/16")
		h.settle()
		d := newDelegated(h, "isp")
		atWork(h, func() {
			here := d.publishesHere("afrinic")
			d.ask(&updown.Issue{Class: federation.TreeClass, Request: d.request(here)})
			var changes []rrdp.Change
			for name, prefix := range map[string]string{"a.roa": "41.0.1.0/24", "b.roa": "41.0.2.0/24"} {
				changes = append(changes, rrdp.Change{URI: here + name, Object: d.roa(here, name, prefix)})
			}
			must(t, host{h.engine}.CommitObjects(map[string][]rrdp.Change{"afrinic": changes}, func(store.Writer) error { return nil }))
			f, err := h.engine.Return(h.by(), "isp", resources(t, "41.0.2.0/23"), Consent{DryRun: true})
			must(t, err)
			if len(f.Overclaims) != 1 || f.Overclaims[0].Objects != 1 || f.Overclaims[0].Repository != here {
				t.Errorf("it would over-claim: %+v", f.Overclaims)
			}
		})
	})
}

// publishesHere has the delegated CA be a publisher in a registry's repository, and gives its place.
func (d *delegated) publishesHere(registry string) string {
	d.Helper()
	_, identity, err := envelopetest.NewIdentity(time.Now())
	must(d, err)
	_, err = d.engine.Federation.AddPublisher(context.Background(), d.holder, registry, (&setup.PublisherRequest{PublisherHandle: d.holder, TrustAnchor: identity}).XML())
	must(d, err)
	for _, info := range d.engine.Federation.Publishers() {
		if info.Handle == d.holder {
			return info.Base
		}
	}
	d.Fatal("it is no publisher")
	return ""
}

// roa is a ROA as the delegated CA would publish it.
func (d *delegated) roa(folder, name, prefix string) []byte {
	d.Helper()
	public, err := object.PublicKeyOf(d.key)
	must(d, err)
	oneTime, err := object.P256.Generate()
	must(d, err)
	now := time.Now().Truncate(time.Second)
	roa := object.ROA{
		Place: object.Place{Issuer: public.ID, CRL: folder + "c.crl", Issued: folder + "c.cer", Object: folder + name},
		ASN:   37000, Prefixes: []object.ROAPrefix{{Prefix: netip.MustParsePrefix(prefix), MaxLength: 24}},
		NotBefore: now, NotAfter: now.Add(day),
	}
	der, _, err := roa.Sign(d.key, oneTime, now)
	must(d, err)
	return der
}
