package escrow

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/envelope"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/principal"
	"cadastre/internal/store"
	"cadastre/roa"
)

var secret = []byte("a passphrase that nobody may read")

const tree = `
[[organisation]]
handle = "iana"
kind = "root"

[[organisation]]
handle = "north"
kind = "rir"
parent = "iana"
`

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// testInstallation is an installation whose identity is open, and a successor.
type testInstallation struct {
	testing.TB
	data, folder string
	store        store.Store
	engine       *ca.Engine
	identity     *Identity
	recipient    string
	signer       *envelope.Trust
}

func testPolicy() ca.Policy {
	p := ca.DefaultPolicy()
	p.Algorithm, p.Soak = object.P256, 0
	p.RsyncBase, p.RRDPBase, p.AnchorURL, p.ServiceBase = "rsync://rpki.example/", "https://rpki.example/rrdp/", "https://rpki.example/ta/ta.cer", "https://rpki.example/"
	return p
}

func newTestInstallation(t testing.TB) *testInstallation {
	t.Helper()
	at := t.TempDir()
	h := &testInstallation{TB: t, data: filepath.Join(at, "data"), folder: filepath.Join(at, "escrow")}
	must(t, os.Mkdir(h.data, 0o700))
	st, err := store.Open(filepath.Join(h.data, "store"), store.Options{Create: true, NoSync: true})
	must(t, err)
	orgs, err := holdings.ParseTree([]byte(tree))
	must(t, err)
	must(t, ca.Init(st, h.data, testPolicy(), orgs, secret, secret, principal.Principal{Name: "tester"}))
	h.store = st
	h.open(secret)
	must(t, h.engine.CheckHighWater(false))
	t.Cleanup(func() { _ = h.store.Close() })
	path := filepath.Join(at, "successor.age")
	h.recipient, err = NewIdentity(path, time.Now())
	must(t, err)
	h.identity, err = ReadIdentity(path)
	must(t, err)
	return h
}

// open opens the installation, as at a start; without a passphrase nothing can be signed.
func (h *testInstallation) open(passphrase []byte) {
	h.Helper()
	e, err := ca.Open(h.store, h.data, testPolicy(), slog.New(slog.DiscardHandler))
	must(h, err)
	if passphrase != nil {
		must(h, e.OpenIdentity(passphrase))
	}
	certificate, err := e.Federation.Identity()
	must(h, err)
	h.signer, err = envelope.ParseTrust(certificate)
	must(h, err)
	h.engine = e
}

// settle has everything issued and published.
func (h *testInstallation) settle() {
	h.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	must(h, h.engine.Unseal(ctx, secret, secret, 1))
	must(h, h.engine.Settle(ctx))
}

func (h *testInstallation) by() holdings.By {
	return holdings.By{Who: principal.Principal{Name: "tester"}, Reason: "a test", Time: time.Now()}
}

// endow gives the registry something to delegate.
func (h *testInstallation) endow() {
	h.Helper()
	set, err := inr.Parse("102.16.0.0/12, AS37100")
	must(h, err)
	_, err = h.engine.Delegate(h.by(), holdings.Delegation{From: "iana", To: "north", Resources: set, Status: holdings.Allocated, Ground: "a test"}, ca.Consent{})
	must(h, err)
}

// delegate gives a /24 to a new holder, who authorises it.
func (h *testInstallation) delegate(handle string, third int) {
	h.Helper()
	prefix := fmt.Sprintf("102.16.%d.0/24", third)
	set, err := inr.Parse(prefix)
	must(h, err)
	_, err = h.engine.DelegateNew(h.by(), holdings.Organisation{Handle: handle, Parent: "north", Kind: holdings.LIR},
		holdings.Delegation{From: "north", To: handle, Resources: set, Status: holdings.Allocated, Ground: "a test"}, ca.Consent{Unbraked: true})
	must(h, err)
	row, err := roa.ParseRow(prefix, "AS37100")
	must(h, err)
	_, err = h.engine.AddIntents([]roa.Row{row}, roa.Options{By: holdings.By{Who: principal.Principal{Name: "tester"}, Time: time.Now()}}, ca.Consent{Unbraked: true})
	must(h, err)
}

// deposit makes one, and checks the chain.
func (h *testInstallation) deposit(full bool) *Deposited {
	h.Helper()
	d, err := Deposit(context.Background(), h.engine, Options{Folder: h.folder, Recipient: h.recipient, Full: full})
	must(h, err)
	return d
}
