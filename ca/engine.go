// Package ca is the engine that makes the RPKI follow from the ledger.
//
// A change enters as a decision about holdings or intents, and is durable at once. A plan (package plan) then orders what has to be
// issued and revoked. Each batch of the plan is signed (package issue), checked by the gate, committed in one transaction, and published.
// There is one engine in a process, and nothing else writes what is issued.
//
// The engine is trusted: it can use the key of every authority. It does not check the ledger again.
package ca

import (
	"context"
	"crypto"
	"crypto/rand"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"cadastre/ca/agenda"
	"cadastre/ca/issue"
	"cadastre/ca/issued"
	"cadastre/ca/loop"
	"cadastre/ca/plan"
	"cadastre/ca/repositories"
	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/payload"
	"cadastre/internal/store"
	"cadastre/internal/validate"
	"cadastre/keys"
	"cadastre/roa"
	"cadastre/routes"
	"cadastre/rrdp"
)

var (
	installationKey = []byte("installation")
	anchorKey       = []byte("anchor certificate")
	clockKey        = []byte("clock")
	stepKey         = []byte("step")
)

// Engine is the authorities of one installation. It is safe for concurrent use once it is unsealed, but for Run, Settle and Step, which are
// for one goroutine at a time.
type Engine struct {
	store        store.Store // the store, and what follows to log: set by Open, not changed after
	dir          string
	policy       Policy
	installation string
	log          *slog.Logger
	Observer     Observer // set before Run, not changed after; so is Beyond
	Beyond       Beyond

	decided  // what decisions made, under mu
	unsealed // what Unseal opened

	// Each of the following has a lock of its own. Those marked with * may be used while mu is held.
	repositories *repositories.Set      // what is committed goes through it
	issued       *issued.Index          // * in step with the store
	agenda       *agenda.Agenda         // * who has to be planned for
	brake        *brake                 // * what decisions took away of late; it reads decided, so mu has to be held
	ends         ends                   // * ends by date that wait
	frozen       frozen                 // * why nothing is signed
	progress     *loop.Progress         // * what others see of the loop, and how they wake it
	Federation   *federation.Federation // * exchanges messages with CAs and servers elsewhere
	Routes       *routes.Keeper         // * what is announced; nil where nothing is known; set before anything is decided, not changed after
}

// decided is what decisions made: who holds what, what they want, who their peers are, and which keys are rolled.
type decided struct {
	mu     sync.RWMutex // guards the following, and is taken before all other locks of an engine
	ledger *holdings.Ledger
	book   *roa.Book
	rolls  plan.Rolls
	peers  *federation.Peers // has a lock of its own for readers, and is changed only while mu is held
}

// unsealed is what signing needs. It is set by Unseal, before anything is signed, and not changed after.
type unsealed struct {
	keeper keys.Keeper   // of all long-lived keys but the trust anchor's
	anchor crypto.Signer // nil while the trust anchor is offline
	pool   *keys.Pool
	loop   *loop.Loop // what only the goroutine that runs the engine may use
}

type silent struct{}

func (silent) Signed(int, time.Duration)               {}
func (silent) Published(string, uint64, time.Duration) {}
func (silent) Refused(fault.Kind)                      {}
func (silent) Findings(int)                            {}
func (silent) Remaining(int)                           {}

// Open opens the authorities in a store and a data directory. Until Unseal the engine takes decisions and answers
// questions, and signs nothing.
func Open(st store.Store, dir string, policy Policy, log *slog.Logger) (*Engine, error) {
	e := &Engine{
		store: st, dir: dir, policy: policy, log: log, Observer: silent{}, Beyond: nothingBeyond{},
		progress: loop.NewProgress(),
	}
	verified := make(chan error, 1) // at the same time as the loading, which takes as long
	go func() {
		verified <- st.View(func(r store.Reader) error { _, err := holdings.Verify(r); return err })
	}()
	err := st.View(func(r store.Reader) error {
		installation, err := r.Get(engineBucket, installationKey)
		if err != nil {
			return err
		}
		if e.installation = string(installation); e.installation == "" {
			return fault.New(fault.Corrupt, "the store in %s was never initialised; run 'cadastre init' on a new directory", dir)
		}
		if err := checkAddresses(r, &policy); err != nil {
			return err
		}
		if e.ledger, err = holdings.Load(r); err != nil {
			return err
		}
		if e.book, err = roa.Load(r); err != nil {
			return err
		}
		if e.rolls, err = loadRolls(r); err != nil {
			return err
		}
		e.peers, err = federation.Load(r)
		return err
	})
	if tampered := <-verified; tampered != nil {
		err = tampered // it names what was changed
	}
	if err != nil {
		return nil, err
	}
	if e.brake, err = loadBrake(st); err != nil {
		return nil, err
	}
	e.agenda = agenda.New(append(e.ledger.Organisations(), issued.AnchorHolder))
	registries := slices.DeleteFunc(e.ledger.Organisations(), func(holder string) bool { return !e.ledgerKind(holder).IsRegistry() })
	if e.repositories, err = repositories.Open(st, dir, &e.policy, registries, log); err != nil {
		return nil, err
	}
	if err := e.openFederation(); err != nil {
		return nil, err
	}
	e.repositories.Mirror(e.Federation)
	e.issued = issued.NewIndex(st, &e.policy, e.ledgerKind)
	return e, e.issued.Load()
}

// Unseal opens the keys, so that the engine can sign. An empty anchor passphrase leaves the trust anchor offline. The
// pool of one-time keys, of the given size, fills until ctx ends.
func (e *Engine) Unseal(ctx context.Context, passphrase, anchorPassphrase []byte, poolSize int) (err error) {
	filling, stop := context.WithCancel(ctx)
	pool := keys.NewPool(filling, e.policy.Algorithm, poolSize)
	defer func() {
		if err != nil {
			stop()
		}
	}()
	keeper, err := e.openKeeper(passphrase, pool)
	if err != nil {
		return err
	}
	var anchor crypto.Signer
	if len(anchorPassphrase) > 0 {
		if anchor, err = openAnchor(e.dir, &e.policy, anchorPassphrase); err != nil {
			return err
		}
	}
	gate, err := e.newGate()
	if err != nil {
		return err
	}
	e.keeper, e.anchor, e.pool = keeper, anchor, pool
	if e.loop, err = e.newLoop(gate); err != nil {
		return err
	}
	return e.Federation.OpenIdentity(keeper)
}

// newGate makes the gate, below our own trust anchor.
func (e *Engine) newGate() (*issue.Gate, error) {
	certificate, err := e.Anchor()
	if err != nil {
		return nil, err
	}
	tal, err := e.TAL()
	if err != nil {
		return nil, err
	}
	locator, findings := validate.ParseTAL([]byte(tal), e.reading()...)
	if locator == nil {
		return nil, fault.New(fault.Internal, "our own trust anchor locator doesn't read back: %v", findings)
	}
	return issue.NewGate(locator, certificate, e.validation(), committed{e.repositories, e.issued, e}), nil
}

// OpenIdentity opens the key of the installation's identity, and no others. It is for a command that signs a message and issues nothing.
// It fails with Secret where the passphrase is wrong.
func (e *Engine) OpenIdentity(passphrase []byte) error {
	keeper, err := e.openKeeper(passphrase, nil)
	if err != nil {
		return err
	}
	e.keeper = keeper
	return e.Federation.OpenIdentity(keeper)
}

// kindOf is the kind of an organisation. It takes the engine's mu.
func (e *Engine) kindOf(holder string) holdings.Kind {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.ledgerKind(holder)
}

// newAuthority makes the record of a new authority: its issuer, where it publishes, and its key if that is a delegated CA's. It takes the
// engine's mu.
func (e *Engine) newAuthority(n issued.Name) issued.Authority {
	e.mu.RLock()
	defer e.mu.RUnlock()
	a := issued.Authority{Name: n, Holder: n.Holder, Issuer: e.parentOf(n), Repository: e.registryOf(n.Holder)}
	if key := e.peers.Key(n); key != nil {
		place := key.Place
		a.Delegated, a.KeyID, a.KeyInfo = &place, key.KeyID, key.KeyInfo
		return a
	}
	a.Path = e.pathFor(n, a.Issuer)
	if o := e.peers.RemoteOf(n.Holder); o != nil {
		a.Repository, a.Base, a.Notify = o.Name, o.Base, o.Notify
	}
	return a
}

// pathFor is the folder of a new authority. It is that of the generation before it (RFC 6489), unless the issuer has changed and the new
// one publishes in another place: two issuers may not have certificates for one folder. The caller holds the engine's mu.
func (e *Engine) pathFor(n, issuer issued.Name) string {
	was, above := e.issued.Authority(n.At(e.rolls.Of(n.Line()).Active)), e.issued.Authority(issuer)
	switch {
	case was == nil:
		return issued.PathOf(e.installation, n.Line().String())
	case was.Issuer == issuer || above == nil:
		return was.Path
	}
	if old := e.issued.Authority(was.Issuer); old != nil && e.policy.Place(old) != e.policy.Place(above) {
		return issued.PathOf(e.installation, n.String())
	}
	return was.Path
}

// placeAsked is where a delegated CA publishes, by its last request; nil where the key is ours. It takes the engine's mu.
func (e *Engine) placeAsked(authority issued.Name) *issued.Place {
	e.mu.RLock()
	defer e.mu.RUnlock()
	key := e.peers.Key(authority)
	if key == nil {
		return nil
	}
	place := key.Place
	return &place
}

// receivedFor is the certificate that a parent elsewhere issued to an authority. It takes the engine's mu.
func (e *Engine) receivedFor(authority issued.Name) *federation.Received {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.peers.Received(authority)
}

// VRPs lists the VRPs of all committed ROAs, published or not, as "prefix,maxlength,ASn", in the order of LC_ALL=C sort.
func (e *Engine) VRPs() ([]string, error) { return e.committedSays(roa.Kind) }

// committedSays lists the payloads of all committed objects of a kind, published or not, as text, sorted.
func (e *Engine) committedSays(kind payload.Kind) ([]string, error) {
	var says []string
	err := e.store.View(func(r store.Reader) error {
		return store.EachValue(r, issued.Products, nil, func(_ string, p *issued.Product) {
			if said, is := p.Payload(); is && said.Kind() == kind {
				says = append(says, said.String())
			}
		})
	})
	slices.Sort(says)
	return slices.Compact(says), err
}

// Installation is the name that the installation drew when it was made.
func (e *Engine) Installation() string { return e.installation }

// Dir is the data directory.
func (e *Engine) Dir() string { return e.dir }

// Policy is the operator's policy, as it was at Open.
func (e *Engine) Policy() Policy { return e.policy }

// View shows the newest committed state of the store. It is for a room that copies records as they are, such as escrow.
func (e *Engine) View(fn func(store.Reader) error) error { return e.store.View(fn) }

// read reads one value of the store; nil where there is none.
func (e *Engine) read(bucket store.Bucket, key []byte) (value []byte, err error) {
	err = e.store.View(func(r store.Reader) error {
		in, err := r.Get(bucket, key)
		value = slices.Clone(in)
		return err
	})
	return value, err
}

// Repositories has the repository of each registry.
func (e *Engine) Repositories() map[string]*rrdp.Repository { return maps.Clone(e.repositories.Own()) }

// newInstallation draws the name of an installation.
func newInstallation() string { return rand.Text() }

// issuing is the engine as package issue sees it: it implements issue.Host.
type issuing struct{ engine *Engine }

func (h issuing) New(authority issued.Name) issued.Authority { return h.engine.newAuthority(authority) }
func (h issuing) Kind(holder string) holdings.Kind           { return h.engine.kindOf(holder) }
func (h issuing) Place(authority issued.Name) *issued.Place  { return h.engine.placeAsked(authority) }
func (h issuing) Unsent(authority *issued.Authority) bool    { return h.engine.unsent(authority) }

func (h issuing) Read(authority issued.Name) (*issued.Records, error) {
	return h.engine.issued.Read(authority)
}

func (h issuing) Received(authority issued.Name) *issue.Received {
	got := h.engine.receivedFor(authority)
	if got == nil {
		return nil
	}
	return &issue.Received{URI: got.URI, Resources: got.Resources, Subject: got.Subject, Serial: got.Serial, Expires: got.Expires}
}

func (h issuing) Key(authority *issued.Authority) (crypto.Signer, error) {
	return h.engine.key(authority)
}

func (h issuing) OneTimeKeys(ctx context.Context, n int) ([]crypto.Signer, error) {
	return h.engine.pool.Take(ctx, n)
}

func (h issuing) MakeKeys(ctx context.Context, n int) ([]keys.Key, error) {
	return h.engine.keeper.Make(ctx, h.engine.policy.Algorithm, n)
}

func (h issuing) DestroyKeys(refs []keys.Ref) { h.engine.discardKeys(refs) }
