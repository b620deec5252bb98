// Package ca is the authorities: it makes the RPKI follow from the ledger.
//
// A change enters as a decision about holdings or an intent, and is durable at once. A pure plan then orders what has
// to be issued and revoked; each batch of it is signed, checked by the gate, committed in one transaction, and
// published. One engine owns all of that and is the only writer of what is issued.
//
// It is trusted: it holds every authority's key open. What it reads from the ledger it believes.
package ca

import (
	"context"
	"crypto"
	"crypto/rand"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/store"
	"cadastre/internal/validate"
	"cadastre/keys"
	"cadastre/roa"
	"cadastre/rrdp"
)

var (
	installationKey = []byte("installation")
	vaultKey        = []byte("vault")
	anchorKey       = []byte("anchor certificate")
	clockKey        = []byte("clock")
	stepKey         = []byte("step")
)

// Engine is the authorities of one installation.
type Engine struct {
	store        store.Store
	dir          string
	policy       Policy
	installation string
	log          *slog.Logger
	repositories map[string]*rrdp.Repository // by registry; not changed after Open

	// set by Unseal, not changed after
	vault  *keys.Vault
	anchor crypto.Signer // nil while the trust anchor is offline
	pool   *keys.Pool
	gate   *validate.Gate // used by the one that runs the engine

	mu     sync.RWMutex // guards what decisions change: ledger, book, dirty and backlog; and what waits: aside
	ledger *holdings.Ledger
	book   *roa.Book
	// dirty is the organisations that a decision or a clock touched since the last plan; backlog is those of a longer
	// plan that was set aside for them.
	dirty, backlog map[string]bool
	working        bool // a plan is being carried out
	aside          map[string]*waiting

	knownMu sync.Mutex // guards known and clocks; may be taken while mu is held, not the other way
	known   map[string]*issued
	clocks  clocks

	writing sync.Mutex // held while a repository's batch is prepared, written and applied

	wake       chan struct{}
	watchers   watchers
	acquainted bool      // the gate has read what was published before; of the one that runs the engine
	step       Step      // of the wave that was worked on last; likewise
	unfinished bool      // what is staged may be half of a plan, whose repositories come out in an order; likewise
	lastClose  time.Time // when a serial was last closed; likewise
	expiryHeld time.Time // until when an expiry that the brake holds is not tried again; likewise
	frozen     frozen
	Observer   Observer // set before Run
}

// Observer is told what an operator wants to watch. Its functions must not block.
type Observer interface {
	Signed(objects int, took time.Duration)
	Published(registry string, serial uint64, took time.Duration)
	Refused(kind fault.Kind)
	Findings(n int)
	Remaining(organisations int) // after each batch: how many organisations still wait
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
		store: st, dir: dir, policy: policy, log: log, Observer: silent{},
		repositories: map[string]*rrdp.Repository{},
		dirty:        map[string]bool{}, backlog: map[string]bool{}, aside: map[string]*waiting{}, unfinished: true,
		known: map[string]*issued{}, clocks: clocks{}, wake: make(chan struct{}, 1),
	}
	err := st.View(func(r store.Reader) error {
		e.installation = string(r.Get(engineBucket, installationKey))
		if e.installation == "" {
			return fault.New(fault.Corrupt, "the store in %s was never initialised; run 'cadastre init' on a new directory", dir)
		}
		var err error
		if e.ledger, err = holdings.Load(r); err != nil {
			return err
		}
		if step, err := get[Step](r, engineBucket, stepKey); err != nil {
			return err
		} else if step != nil {
			e.step = *step
		}
		e.book, err = roa.Load(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, holder := range e.ledger.Organisations() {
		e.backlog[holder] = true
		if !e.ledgerKind(holder).IsRegistry() {
			continue
		}
		if e.repositories[holder], err = rrdp.Open(st, e.repositoryConfig(holder)); err != nil {
			return nil, err
		}
	}
	e.backlog[AnchorName] = true
	return e, e.loadClocks()
}

func (e *Engine) repositoryConfig(registry string) rrdp.Config {
	return repositoryConfig(e.dir, &e.policy, registry)
}

func repositoryConfig(dir string, policy *Policy, registry string) rrdp.Config {
	return rrdp.Config{Name: registry, Dir: filepath.Join(dir, "rrdp", registry), BaseURI: policy.RRDPBase + registry + "/"}
}

// loadClocks reads every authority's record, without its products.
func (e *Engine) loadClocks() error {
	return e.store.View(func(r store.Reader) error {
		for key, text := range r.Scan(authorityBucket, nil) {
			a, err := decoded[Authority](text, authorityBucket, key)
			if err != nil {
				return err
			}
			e.clocks[a.Holder] = clock{*a, e.ledgerKind(a.Holder)}
		}
		return nil
	})
}

// Unseal opens the keys, so that the engine can sign. An empty anchor passphrase leaves the trust anchor offline. The
// pool of one-time keys, of the given size, fills until ctx ends.
func (e *Engine) Unseal(ctx context.Context, passphrase, anchorPassphrase []byte, poolSize int) error {
	var header []byte
	err := e.store.View(func(r store.Reader) error {
		header = slices.Clone(r.Get(engineBucket, vaultKey))
		return nil
	})
	if err != nil {
		return err
	}
	vault, err := keys.OpenVault(header, passphrase)
	if err != nil {
		return err
	}
	var anchor crypto.Signer
	if len(anchorPassphrase) > 0 {
		if anchor, err = openAnchor(e.dir, anchorPassphrase); err != nil {
			return err
		}
	}
	return e.unsealed(ctx, vault, anchor, poolSize)
}

// unsealed makes ready what needs open keys.
func (e *Engine) unsealed(ctx context.Context, vault *keys.Vault, anchor crypto.Signer, poolSize int) error {
	certificate, err := e.Anchor()
	if err != nil {
		return err
	}
	tal, err := e.TAL()
	if err != nil {
		return err
	}
	locator, findings := validate.ParseTAL([]byte(tal), e.suites()...)
	if locator == nil {
		return fault.New(fault.Internal, "our own trust anchor locator doesn't read back: %v", findings)
	}
	e.vault, e.anchor = vault, anchor
	e.gate = validate.NewGate(locator, certificate, e.validation())
	e.pool = keys.NewPool(ctx, e.policy.Algorithm, poolSize)
	return nil
}

// sealKey and openKey keep the keys of authorities. The trust anchor's is not among them.
func (e *Engine) sealKey(a *Authority, key crypto.Signer) ([]byte, error) {
	return e.vault.Seal(a.KeyID.String(), key)
}

func (e *Engine) openKey(a *Authority) (crypto.Signer, error) {
	if a.Holder == AnchorName {
		if e.anchor == nil {
			return nil, fault.New(fault.Secret, "the trust anchor has work to do and is offline: start with --anchor-passphrase-file")
		}
		return e.anchor, nil
	}
	var sealed []byte
	err := e.store.View(func(r store.Reader) error {
		sealed = slices.Clone(r.Get(keyBucket, []byte(a.KeyID.String())))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return e.vault.Open(a.KeyID.String(), sealed)
}

// issuedTo is all that is kept of an authority, nil where there is none.
func (e *Engine) issuedTo(holder string) (*issued, error) {
	e.knownMu.Lock()
	defer e.knownMu.Unlock()
	if is := e.known[holder]; is != nil {
		return is, nil
	}
	if _, exists := e.clocks[holder]; !exists {
		return nil, nil
	}
	var is *issued
	err := e.store.View(func(r store.Reader) (err error) {
		is, err = readIssued(r, holder)
		return err
	})
	if is != nil {
		e.makeRoom()
		e.known[holder] = is
	}
	return is, err
}

// keptKnown is how many authorities are kept in memory with their products.
const keptKnown = 20_000

func (e *Engine) makeRoom() {
	if len(e.known) >= keptKnown {
		clear(e.known)
	}
}

// ledgerView is the engine as a plan sees it. The engine's mu is held while it is used.
type ledgerView struct {
	*Engine
	now     time.Time
	failure error
}

func (v *ledgerView) Parent(holder string) string     { return v.parentOf(holder) }
func (v *ledgerView) Children(holder string) []string { return v.ledger.Children(holder) }
func (v *ledgerView) Depth(holder string) int         { return v.ledger.Depth(holder) }
func (v *ledgerView) Kind(holder string) holdings.Kind {
	return v.ledgerKind(holder)
}
func (v *ledgerView) Registry(holder string) string  { return v.registryOf(holder) }
func (v *ledgerView) Entitled(holder string) inr.Set { return v.ledger.Holding(holder) }
func (v *ledgerView) Authorised(holder string) []roa.VRP {
	return v.book.VRPs(holder, v.ledger.Holding(holder))
}

func (v *ledgerView) Offline(holder string) bool { return v.offline(holder) }
func (v *ledgerView) Aside(holder string) bool   { return v.isAside(holder, v.now) }

func (v *ledgerView) Issued(holder string) *issued {
	is, err := v.issuedTo(holder)
	if err != nil {
		v.failure = err
	}
	return is
}

// The following need the engine's mu held.

func (e *Engine) parentOf(holder string) string {
	if o, ok := e.ledger.Organisation(holder); ok && o.Parent != "" {
		return o.Parent
	}
	return AnchorName
}

func (e *Engine) registryOf(holder string) string { return e.ledger.Registry(holder) }

func (e *Engine) ledgerKind(holder string) holdings.Kind {
	o, _ := e.ledger.Organisation(holder)
	return o.Kind
}

// place is where an organisation stands in the tree, which never changes once it is there. It takes the engine's mu.
func (e *Engine) place(holder string) (parent, registry string, kind holdings.Kind) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if holder == AnchorName {
		return AnchorName, e.ledger.Root(), ""
	}
	return e.parentOf(holder), e.registryOf(holder), e.ledgerKind(holder)
}

// VRPs is what a validator prints of what is issued: "prefix,maxlength,ASn", in the order of LC_ALL=C sort.
func (e *Engine) VRPs() ([]string, error) {
	var says []string
	err := e.store.View(func(r store.Reader) error {
		for key, text := range r.Scan(productBucket, nil) {
			p, err := decoded[Product](text, productBucket, key)
			if err != nil {
				return err
			}
			if p.Kind == ROAProduct {
				says = append(says, p.Says)
			}
		}
		return nil
	})
	slices.Sort(says)
	return slices.Compact(says), err
}

// Repositories lists the registries that have one.
func (e *Engine) Repositories() map[string]*rrdp.Repository { return maps.Clone(e.repositories) }

// newInstallation draws the name of an installation.
func newInstallation() string { return rand.Text() }
