package registrytest

import (
	"context"
	"encoding/binary"
	"strings"
	"sync/atomic"
	"time"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/envelopetest"
	"cadastre/internal/object"
	"cadastre/internal/peer"
	"cadastre/internal/principal"
	"cadastre/internal/relyingtest"
	"cadastre/internal/setup"
	"cadastre/internal/updown"
	"cadastre/roa"
)

// decided has the relying party insist, from now on, on the VRPs that were wanted before a decision and still are.
func (r *Registry) decided(_ *ca.Effect, err error) {
	r.Helper()
	r.OK(err)
	r.reader.Insist(wanted(r.Ledger()))
}

// Enrol adds an organisation.
func (r *Registry) Enrol(handle, parent string, kind holdings.Kind) {
	r.Helper()
	_, err := r.engine.Enrol(r.By(), holdings.Organisation{Handle: handle, Parent: parent, Kind: kind})
	r.OK(err)
}

// Give delegates resources to an organisation.
func (r *Registry) Give(to, what string) {
	r.Helper()
	r.decided(r.engine.Delegate(r.By(), holdings.Delegation{To: to, Resources: r.Set(what), Status: holdings.Allocated, Ground: "contract"}, ca.Consent{}))
}

// Take revokes resources of an organisation, with the brake's code where it asks for one.
func (r *Registry) Take(from, what string) {
	r.Helper()
	dry, err := r.engine.Revoke(r.By(), from, r.Set(what), ca.Consent{DryRun: true})
	r.OK(err)
	r.decided(r.engine.Revoke(r.By(), from, r.Set(what), ca.Consent{Code: dry.Code}))
}

// Intend adds intents, a line each.
func (r *Registry) Intend(csv string) {
	r.Helper()
	rows, err := roa.ParseCSV("announcements.csv", strings.NewReader(csv))
	r.OK(err)
	r.decided(r.engine.AddIntents(rows, roa.Options{File: "announcements.csv", By: holdings.By{Who: principal.Principal{Name: "tester"}, Time: time.Now()}}, ca.Consent{}))
}

// Delegate gives an organisation a delegated CA that never sends a message, and returns its identity.
func (r *Registry) Delegate(holder string) (identity []byte) {
	r.Helper()
	_, identity, err := envelopetest.NewIdentity(time.Now())
	r.OK(err)
	_, err = r.engine.Federation.AddChild(r.By(), holder, (&setup.ChildRequest{ChildHandle: holder, TrustAnchor: identity}).XML())
	r.OK(err)
	return identity
}

// stamps counts messages: no two are the same.
var stamps atomic.Uint64

// Ask has the CA elsewhere of an organisation ask for a certificate for all that it may have (RFC 6492). It publishes nothing.
func (r *Registry) Ask(holder string) {
	r.Helper()
	l, _ := r.Ledger()
	o, _ := l.Organisation(holder)
	onWire := strings.NewReplacer("/", "-")
	key, err := object.P256.Generate()
	r.OK(err)
	public, err := object.PublicKeyOf(key)
	r.OK(err)
	place := relyingtest.FarAway + holder + "/"
	request, err := (&object.CertificateRequest{Key: public, Repository: place, Manifest: place + "m.mft", Notify: "https://elsewhere.example/n.xml"}).Sign(key)
	r.OK(err)
	q := &updown.Message{Sender: onWire.Replace(holder), Recipient: onWire.Replace(o.Parent), Body: &updown.Issue{Class: "default", Request: request}}
	text, err := q.XML()
	r.OK(err)
	stamp := peer.Stamp{Signed: time.Now()}
	binary.BigEndian.PutUint64(stamp.Digest[:], stamps.Add(1))
	reply, err := r.engine.Federation.AnswerUpDown(context.Background(), q.Sender, text, stamp)
	r.OK(err)
	_, err = updown.Parse(reply)
	r.OK(err)
}
