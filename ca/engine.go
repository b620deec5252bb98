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
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"cadastre/ca/issued"
	"cadastre/ca/plan"
	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/due"
	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/payload"
	"cadastre/internal/peer"
	"cadastre/internal/relying"
	"cadastre/internal/shares"
	"cadastre/internal/store"
	"cadastre/internal/validate"
	"cadastre/keys"
	"cadastre/roa"
	"cadastre/rrdp"
	"cadastre/rrdp/publisher"
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
	gate   *validate.Gate   // used by the one that runs the engine
	signer *envelope.Signer // of messages to peers; see nextSigner

	mu     sync.RWMutex // guards what decisions change: ledger, book, dirty and backlog; and what waits: aside
	ledger *holdings.Ledger
	book   *roa.Book
	// dirty is the organisations that a decision or a clock touched since the last plan; backlog is those of a longer
	// plan that was set aside for them.
	dirty, backlog map[string]bool
	agenda         plan.Agenda // how far the plan that is carried out has come
	aside          map[string]*waiting
	later          map[string]plan.Delay // organisations that a plan put off
	peers          *federation.Peers
	rolls          plan.Rolls
	brake          *brake
	nextSigner     *envelope.Signer // of the identity that is to replace the one in use; nil where none is

	knownMu   sync.Mutex // guards what follows; may be taken while mu is held, not the other way
	known     map[issued.Name]*issued.Records
	clocks    clocks
	deadlines due.Queue[issued.Name]   // a time before which nothing of an authority falls due
	issuedAt  map[string][]issued.Name // by organisation: its authorities, sorted
	borders   map[string]issued.Name   // by the URI of its certificate: an authority that is another's, or has its certificate from another

	mirrors    *mirrors // what is published at servers that are not ours
	publishers *publisher.Server
	Trace      *peer.Tracer // of messages to peers elsewhere; set before Run, nil for none
	// Registries names the other installations that a room above corresponds with; set before Run, nil for none.
	Registries func() []string
	Shares     shares.All // what peers may use up; set before Doors
	// Reading bounds each look at repositories of others; set before the first, zero for relying.ForDaemon.
	Reading relying.Limits
	Network *http.Client // to peers elsewhere; set before Run, nil for one that fits them
	lookAt  func(ctx context.Context, called string, issuer []byte) (*validate.Published, error)
	ask     due.Signal // parents outside the tree are to be asked
	askers  askers
	sending pulse      // beats after each call on a server elsewhere
	stepped pulse      // beats after each round
	send    due.Signal // something is staged for a server elsewhere
	said    said       // what peers and servers elsewhere said that went wrong last

	writing sync.Mutex // held while a repository's batch is prepared, written and applied

	wake       chan struct{}
	watchers   watchers
	acquainted bool      // the gate has read what was published before; of the one that runs the engine
	step       plan.Step // of the wave that was worked on last; likewise
	unfinished bool      // what is staged may be half of a plan, whose repositories come out in an order; likewise
	lastClose  time.Time // when a serial was last closed; likewise
	ends       ends
	frozen     frozen
	believes   func(now time.Time) error // whether the clock can be believed; of the one that runs the engine
	appetite   appetite                  // of delegated CAs
	failing    failing
	Observer   Observer // set before Run
	Beyond     Beyond   // set before Run
}

// Observer is told what an operator wants to watch. Its functions must not block.
type Observer interface {
	Signed(objects int, took time.Duration)
	Published(registry string, serial uint64, took time.Duration)
	Refused(kind fault.Kind)
	Findings(n int)
	Remaining(organisations int) // when a plan begins, after each batch and at the end: how many organisations are to be done
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
		repositories: map[string]*rrdp.Repository{},
		dirty:        map[string]bool{}, backlog: map[string]bool{}, aside: map[string]*waiting{}, unfinished: true,
		known: map[issued.Name]*issued.Records{}, clocks: clocks{}, issuedAt: map[string][]issued.Name{}, borders: map[string]issued.Name{},
		later: map[string]plan.Delay{}, wake: make(chan struct{}, 1),
		ask: due.NewSignal(), send: due.NewSignal(),
	}
	e.lookAt = e.lookAtParent
	verified := make(chan error, 1) // beside the loading, which takes as long
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
		if step, err := store.Value[plan.Step](r, engineBucket, stepKey); err != nil {
			return err
		} else if step != nil {
			e.step = *step
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
	for _, holder := range e.ledger.Organisations() {
		e.backlog[holder] = true
		if !e.ledgerKind(holder).IsRegistry() {
			continue
		}
		if e.repositories[holder], err = openRepository(st, e.repositoryConfig(holder), log); err != nil {
			return nil, err
		}
	}
	e.backlog[issued.AnchorHolder] = true
	if e.mirrors, err = openMirrors(e); err != nil {
		return nil, err
	}
	if err := e.openPublishers(); err != nil {
		return nil, err
	}
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
		return store.EachValue(r, issued.Authorities, nil, func(_ string, a *issued.Authority) { e.setClock(a) })
	})
}

// setClock notes an authority's record where plans and clocks look for it. The engine's mu and knownMu are held, or nobody
// else has the engine yet.
func (e *Engine) setClock(a *issued.Authority) {
	if was, exists := e.clocks[a.Name]; exists {
		delete(e.borders, was.CertificateURI)
	} else {
		names := e.issuedAt[a.Holder]
		at, _ := slices.BinarySearchFunc(names, a.Name, issued.Name.Compare)
		e.issuedAt[a.Holder] = slices.Insert(slices.Clone(names), at, a.Name)
	}
	if (a.Delegated != nil || a.Issuer == issued.Outside) && !a.Awaits() {
		e.borders[a.CertificateURI] = a.Name
	}
	own := clock{*a, e.ledgerKind(a.Holder)}
	e.clocks[a.Name] = own
	e.deadlines.Set(a.Name, own.notBefore(&e.policy))
}

func (e *Engine) dropClock(name issued.Name) {
	a, exists := e.clocks[name]
	if !exists {
		return
	}
	names := slices.DeleteFunc(slices.Clone(e.issuedAt[a.Holder]), func(n issued.Name) bool { return n == name })
	if e.issuedAt[a.Holder] = names; len(names) == 0 {
		delete(e.issuedAt, a.Holder)
	}
	delete(e.borders, a.CertificateURI)
	delete(e.clocks, name)
	e.deadlines.Set(name, time.Time{})
}

// issuedOf is the names of an organisation's authorities that there are.
func (e *Engine) issuedOf(holder string) []issued.Name {
	e.knownMu.Lock()
	defer e.knownMu.Unlock()
	return e.issuedAt[holder]
}

// Unseal opens the keys, so that the engine can sign. An empty anchor passphrase leaves the trust anchor offline. The
// pool of one-time keys, of the given size, fills until ctx ends.
func (e *Engine) Unseal(ctx context.Context, passphrase, anchorPassphrase []byte, poolSize int) error {
	vault, err := e.openVault(passphrase)
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

func (e *Engine) openVault(passphrase []byte) (*keys.Vault, error) {
	header, err := e.read(engineBucket, vaultKey)
	if err != nil {
		return nil, err
	}
	return keys.OpenVault(header, passphrase)
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
	locator, findings := validate.ParseTAL([]byte(tal), e.reading()...)
	if locator == nil {
		return fault.New(fault.Internal, "our own trust anchor locator doesn't read back: %v", findings)
	}
	e.vault, e.anchor = vault, anchor
	e.believes = e.believer()
	e.gate = validate.NewGate(locator, certificate, e.validation())
	e.pool = keys.NewPool(ctx, e.policy.Algorithm, poolSize)
	return e.openIdentity()
}

// sealKey and openKey keep the keys of authorities. The trust anchor's is not among them.
func (e *Engine) sealKey(a *issued.Authority, key crypto.Signer) ([]byte, error) {
	return e.vault.Seal(a.KeyID.String(), key)
}

func (e *Engine) openKey(a *issued.Authority) (crypto.Signer, error) {
	if a.Holder == issued.AnchorHolder {
		if e.anchor == nil {
			return nil, fault.New(fault.Secret, "the trust anchor has work to do and is offline: start with --anchor-passphrase-file")
		}
		return e.anchor, nil
	}
	sealed, err := e.read(issued.Keys, []byte(a.KeyID.String()))
	if err != nil {
		return nil, err
	}
	return e.vault.Open(a.KeyID.String(), sealed)
}

// issuedTo is all that is kept of an authority, nil where there is none.
func (e *Engine) issuedTo(authority issued.Name) (*issued.Records, error) {
	e.knownMu.Lock()
	defer e.knownMu.Unlock()
	if is := e.known[authority]; is != nil {
		return is, nil
	}
	if _, exists := e.clocks[authority]; !exists {
		return nil, nil
	}
	var is *issued.Records
	err := e.store.View(func(r store.Reader) (err error) {
		is, err = issued.Read(r, authority)
		return err
	})
	if is != nil {
		e.makeRoom()
		e.known[authority] = is
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

// kindOf is the kind of an organisation. It takes the engine's mu.
func (e *Engine) kindOf(holder string) holdings.Kind {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.ledgerKind(holder)
}

// newAuthority is the record of an authority that is to be: where it stands and publishes, and the key of one whose key is
// elsewhere. It takes the engine's mu.
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

// pathFor is the folder of a new authority: that of the generation before it (RFC 6489), unless its issuer publishes in
// another place than theirs, for two issuers may not lead to one folder. The engine's mu is held.
func (e *Engine) pathFor(n, issuer issued.Name) string {
	was, above := e.clockOf(n.At(e.rolls.Of(n.Line()).Active)), e.clockOf(issuer)
	switch {
	case was == nil:
		return issued.PathOf(e.installation, n.Line().String())
	case was.Issuer == issuer || above == nil:
		return was.Path
	}
	if old := e.clockOf(was.Issuer); old != nil && e.policy.Place(old) != e.policy.Place(above) {
		return issued.PathOf(e.installation, n.String())
	}
	return was.Path
}

// placeAsked is where a delegated CA wants to publish, by its last request; nil where the key is ours. It takes the
// engine's mu.
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

// receivedFor is what a parent outside the tree certified for an authority. It takes the engine's mu.
func (e *Engine) receivedFor(authority issued.Name) *federation.Received {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.peers.Received(authority)
}

// VRPs is what ROAs that are committed say, published or not: "prefix,maxlength,ASn", in the order of LC_ALL=C sort.
func (e *Engine) VRPs() ([]string, error) { return e.committedSays(roa.Kind) }

// committedSays is what the objects of a kind say that are committed, published or not.
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

// repository is that of a registry, or the mirror of another's; nil where there is none.
func (e *Engine) repository(name string) *rrdp.Repository {
	if own := e.repositories[name]; own != nil {
		return own
	}
	return e.mirrors.repository(name)
}

// Installation is the name that the installation drew when it was made.
func (e *Engine) Installation() string { return e.installation }

// Dir is the data directory.
func (e *Engine) Dir() string { return e.dir }

// Policy is what the operator decided.
func (e *Engine) Policy() Policy { return e.policy }

// View shows the newest committed state of the store, for those who carry it elsewhere as it is.
func (e *Engine) View(fn func(store.Reader) error) error { return e.store.View(fn) }

// read is one value of the store as it is; nil where there is none.
func (e *Engine) read(bucket store.Bucket, key []byte) (value []byte, err error) {
	err = e.store.View(func(r store.Reader) error {
		in, err := r.Get(bucket, key)
		value = slices.Clone(in)
		return err
	})
	return value, err
}

// Repositories lists the registries that have one.
func (e *Engine) Repositories() map[string]*rrdp.Repository { return maps.Clone(e.repositories) }

// newInstallation draws the name of an installation.
func newInstallation() string { return rand.Text() }
