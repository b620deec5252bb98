package moves

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/envelope"
	"cadastre/internal/envelopetest"
	"cadastre/internal/fault"
	"cadastre/internal/registrytest"
	"cadastre/internal/transferwire"
)

const tree = `
[[organisation]]
handle = "iana"
kind = "root"

[[organisation]]
handle = "north"
kind = "rir"
parent = "iana"

[[organisation]]
handle = "acme"
kind = "lir"
parent = "north"

[[organisation]]
handle = "shop"
kind = "lir"
parent = "north"
`

// begun is a mover with a transfer that is initiated, with its keys open.
func begun(t *testing.T) (*Mover, uint64) {
	t.Helper()
	r := registrytest.New(t, tree, registrytest.Policy("rpki.example"))
	t.Cleanup(r.Close)
	r.Give("north", "196.10.0.0/16")
	r.Give("acme", "196.10.0.0/20")
	m := New(r.Engine(), r.Dir(), slog.New(slog.DiscardHandler))
	b, err := m.Initiate(r.By(), Request{Kind: holdings.Merger, From: "acme", To: "shop"}, ca.Consent{})
	r.OK(err)
	return m, b.Transfer.ID
}

// TestRecord: messages are kept once, in the order in which they came, and of one transfer alone.
func TestRecord(t *testing.T) {
	m, id := begun(t)
	ref := mustEvidence(t, m, id).Transfer.Ref
	for _, r := range []struct{ ref, direction, text string }{
		{ref, In, "offer"}, {ref, Out, "accept"}, {ref, In, "offer"}, {ref + "x", In, "another's"}, {ref, In, "finalised"}, {ref, Out, "offer"},
	} {
		if err := m.record(r.ref, r.direction, []byte(r.text), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, r := range mustEvidence(t, m, id).Messages {
		got = append(got, r.Direction+" "+string(r.Octets))
	}
	if want := "in offer, out accept, in finalised, out offer"; strings.Join(got, ", ") != want {
		t.Fatalf("%v, not %s", got, want)
	}
}

// TestRecordAtOnce: a message that comes both ways at once is kept as it was first, and never replaced.
func TestRecordAtOnce(t *testing.T) {
	m, id := begun(t)
	ref := mustEvidence(t, m, id).Transfer.Ref
	_, peer, sign := someone(t)
	offer, begin := sign("<offer/>"), make(chan bool)
	var seen [8]Record
	var all sync.WaitGroup
	for i := range seen {
		all.Go(func() {
			<-begin
			if err := m.record(ref, In, []byte("<offer/>"), offer, peer); err != nil {
				t.Error(err)
				return
			}
			seen[i] = mustEvidence(t, m, id).Messages[0]
		})
	}
	close(begin)
	all.Wait()
	for _, r := range seen {
		if !r.At.Equal(seen[0].At) {
			t.Fatalf("it was kept at %s and again at %s", seen[0].At, r.At)
		}
	}
}

func mustEvidence(t *testing.T, m *Mover, id uint64) *Evidence {
	t.Helper()
	ev, err := m.Evidence(id)
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

// someone is an identity, by the hash of its certificate and as that, which signs.
func someone(t *testing.T) (id string, certificate []byte, sign func(string) []byte) {
	t.Helper()
	key, certificate, err := envelopetest.NewIdentity(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	signer, err := envelope.NewSigner(key, certificate)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(certificate)
	return hex.EncodeToString(sum[:]), certificate, func(content string) []byte {
		cms, err := signer.Sign([]byte(content), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return cms
	}
}

// TestVerifyEvidence: what was changed, or was signed by another, is no evidence; and whoever signs lies by contradicting
// himself.
func TestVerifyEvidence(t *testing.T) {
	m, id := begun(t)
	ref := mustEvidence(t, m, id).Transfer.Ref
	signer, peer, sign := someone(t)
	report := func(ref, state string) string { return string((&transferwire.Recipient{Ref: ref, State: state}).XML()) }
	offer := report(ref, transferwire.Initiated)
	if err := m.record(ref, In, []byte(offer), sign(offer), peer); err != nil {
		t.Fatal(err)
	}
	if err := m.record(ref, In, []byte(report(ref, transferwire.Accepted)), sign("<other/>"), peer); err != nil { // which is not what was signed
		t.Fatal(err)
	}
	good, err := m.SignEvidence(id)
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, err := envelopetest.NewIdentity(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	resigned := func(change func(*Evidence)) *SignedEvidence {
		ev := mustEvidence(t, m, id)
		change(ev)
		text, err := json.Marshal(ev)
		if err != nil {
			t.Fatal(err)
		}
		signed := &SignedEvidence{Evidence: text, Signer: good.Signer}
		content, err := statement(text)
		if err != nil {
			t.Fatal(err)
		}
		self, err := m.engine.Federation.Signer("")
		if err != nil {
			t.Fatal(err)
		}
		if signed.Signature, err = self.Sign(content, time.Now()); err != nil {
			t.Fatal(err)
		}
		return signed
	}
	self, err := m.engine.Federation.Signer("")
	if err != nil {
		t.Fatal(err)
	}
	mine := func(ev *Evidence, r *Record) { // we signed what we say that the other said
		sum := sha256.Sum256(good.Signer)
		r.Signer = hex.EncodeToString(sum[:])
		ev.Identities[r.Signer] = good.Signer
		if r.Signed, err = self.Sign(r.Octets, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	of := func(r *Record, text string) {
		r.Octets, r.SHA256 = []byte(text), sha256Hex([]byte(text))
		r.Signed = sign(text)
	}
	changed := *good
	changed.Evidence = bytes.Replace(good.Evidence, []byte("acme"), []byte("evil"), 1)
	for name, c := range map[string]struct {
		is       *SignedEvidence
		identity []byte
		kind     fault.Kind
		says     string
	}{
		"changed":            {&changed, good.Signer, fault.Invalid, "changed"},
		"another's":          {good, stranger, fault.Secret, "not issued by"},
		"no signature":       {&SignedEvidence{Evidence: good.Evidence}, good.Signer, fault.BadInput, "CMS"},
		"another format":     {resigned(func(ev *Evidence) { ev.Format = "2" }), good.Signer, fault.BadInput, "format"},
		"a message":          {resigned(func(ev *Evidence) { ev.Messages[0].Octets = []byte("no") }), good.Signer, fault.Invalid, "message 1"},
		"another's message":  {resigned(func(ev *Evidence) { ev.Messages[0].Signed = sign("<another/>") }), good.Signer, fault.Invalid, "not what its author signed"},
		"of another":         {resigned(func(ev *Evidence) { of(&ev.Messages[0], report(strings.Repeat("x", 20), transferwire.Accepted)) }), good.Signer, fault.Invalid, "message 1 of the evidence is about another transfer, xxxxxxxxxxxxxxxxxxxx"},
		"no message":         {resigned(func(ev *Evidence) { of(&ev.Messages[0], "<offer/>") }), good.Signer, fault.Invalid, "message 1 of the evidence can't be read"},
		"no CMS":             {resigned(func(ev *Evidence) { ev.Messages[0].Signed = []byte("no") }), good.Signer, fault.Invalid, "not what its author signed"},
		"another identity":   {resigned(func(ev *Evidence) { ev.Identities[signer] = stranger }), good.Signer, fault.Invalid, "the identity of message 1"},
		"our own as theirs":  {resigned(func(ev *Evidence) { mine(ev, &ev.Messages[0]) }), good.Signer, fault.Invalid, "message 1 came from the other installation and is signed under"},
		"no identity":        {resigned(func(ev *Evidence) { ev.Identities = nil }), good.Signer, fault.Invalid, "the identity of message 1"},
		"an actor":           {resigned(func(ev *Evidence) { ev.Decisions[0].Actor = "nobody" }), good.Signer, fault.Invalid, "step 1"},
		"a missing decision": {resigned(func(ev *Evidence) { ev.Decisions = nil }), good.Signer, fault.Invalid, "step 1"},
		"a fact of no step":  {resigned(func(ev *Evidence) { ev.Facts[0].Step = "seen" }), good.Signer, fault.Invalid, "facts"},
	} {
		text, err := json.MarshalIndent(c.is, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := VerifyEvidence(text, c.identity); fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	text, err := json.MarshalIndent(good, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	v, err := VerifyEvidence(text, good.Signer)
	if err != nil || v.Evidence.Transfer.ID != id || time.Since(v.SignedAt) > time.Hour {
		t.Fatalf("%+v %v", v, err)
	}
	if v.Proven != 1 || v.Unproven != 1 || !slices.Equal(v.Peers, []Author{{signer, 1}}) {
		t.Errorf("%d messages are proven and %d are not, by %v", v.Proven, v.Unproven, v.Peers)
	}
	if _, err := VerifyEvidence(text, good.Signer, stranger); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "message 1 came from the other installation and is signed under another identity, "+signer) {
		t.Errorf("with a stranger as the peer: %v", err)
	}
	if _, err := VerifyEvidence(text, good.Signer, peer); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "message 2 came from the other installation, and what that signed was not kept") {
		t.Errorf("a message without what was signed: %v", err)
	}
	if bytes.Contains(text, []byte("passphrase")) || bytes.Contains(text, []byte("PRIVATE")) {
		t.Error("there is a secret in it")
	}
}

func FuzzVerifyEvidence(f *testing.F) {
	_, identity, err := envelopetest.NewIdentity(time.Now())
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"evidence":{"format":"cadastre-transfer-evidence-1","transfer":{"id":1,"steps":[{"what":"seen","decision":3}]},"decisions":[],"facts":[]},"signer":"AAAA","signature":"MIAG"}`))
	f.Add([]byte(`{"evidence":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := VerifyEvidence(text, identity); err == nil {
			t.Fatal("it is proven without a signature")
		}
		var ev Evidence
		if json.Unmarshal(text, &ev) == nil {
			_ = (&Verdict{Evidence: ev}).check()
		}
	})
}
