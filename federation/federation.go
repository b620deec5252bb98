package federation

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/due"
	"cadastre/internal/envelope"
	"cadastre/internal/inr"
	"cadastre/internal/object"
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

// Config is what is the same for as long as the program runs.
type Config struct {
	Store        store.Store
	Single       store.Bucket // of the installation's single values, where its identity is kept
	Dir          string       // the data directory
	Repositories map[string]*rrdp.Repository
	Log          *slog.Logger

	ServiceBase string // where peers send their messages, "https://host/"
	RsyncBase   string // below which this installation publishes
	// PublisherBase is where a publisher in a registry's repository publishes, rsync, and the notification file of that.
	PublisherBase func(registry, handle string) (siaBase, notify string)

	Suites        []validate.Suite // what keys are taken besides RSA
	P256          bool             // so a relying party of ours takes such keys, too
	Soak          time.Duration    // what one repository says is taken back in another this much later
	Silence       time.Duration    // a delegated CA with no valid manifest for so long has its certificates revoked
	ParentClasses int              // resource classes that are taken from one parent; 0: no limit
}

// Host is what the federation needs of the installation that it speaks for. Within Change only Authority, KeyUsed, PublishesAt and
// Roll may be called.
type Host interface {
	// Change makes a change of what is kept of peers in one transaction, while the ledger stays as it is. Then the organisations that
	// it touches are planned for.
	Change(change func(*Tx) error) error
	// Read shows the ledger of this moment.
	Read(look func(*holdings.Ledger, *roa.Book) error) error
	// Receive makes the ledger say what an organisation holds from a source.
	Receive(by holdings.By, holder, source string, held inr.Set) error

	Frozen() error                      // why nothing is signed for now; nil where it is
	WaitIdle(ctx context.Context) error // returns when all that can be done now is published
	NextRound() <-chan struct{}         // is closed after the next round of the engine
	Get(uri string) ([]byte, bool)      // the newest committed object
	TAL() (string, error)

	Authority(name issued.Name) *issued.Authority           // nil where there is none
	Place(authority issued.Name) issued.Place               // where it publishes
	Issued(holder string) []issued.Name                     // the names of an organisation's authorities that there are
	Offer(holder, source string) (*Offer, error)            // what a key can be certified for; nil where for nothing
	IsDue(authority issued.Name) bool                       // the certificate of a delegated CA's key is to be made anew
	KeyUsed(key object.KeyIdentifier, but issued.Name) bool // an authority has this key, other than one
	PublishesAt(mirror string) bool                         // any authority does

	// Wanted is the authorities of an organisation that a parent is to certify by way of a source: the one that issues first, then
	// the next in a key roll.
	Wanted(holder, source string) []issued.Name
	// Begin makes a key and an authority that a parent is to certify, in one transaction with what also changes.
	Begin(authority issued.Name, also func(tx *Tx, keyID []byte) error) error
	Request(authority issued.Name) ([]byte, error) // its certificate request (RFC 6487, section 6)
	// HasShed tells whether an authority can do with a certificate that names no more than some resources.
	HasShed(ctx context.Context, authority issued.Name, enough inr.Set) bool
	IsDone(authority issued.Name) bool // it is of no more use, so that a parent may revoke its certificate

	// Roll begins a next generation of each authority of an organisation, which publishes where new ones do.
	Roll(tx *Tx, holder string) error
	// CloseMirror closes the serial of a mirror, if so. Nothing is committed meanwhile.
	CloseMirror(mirror *rrdp.Repository, so func() bool) (closed bool, err error)
	// CommitObjects makes changes of registries' repositories durable, and has them published with the next serial.
	CommitObjects(changes map[string][]rrdp.Change, extra func(store.Writer) error) error
}

// Offer is what an organisation's key can be certified for in one resource class.
type Offer struct {
	Resources   inr.Set
	NotAfter    time.Time // of a certificate that is made now
	IssuerURI   string
	Certificate []byte // the issuer's
}

// Federation speaks for one installation with CAs and servers elsewhere. It is safe for concurrent use.
type Federation struct {
	Peers *Peers

	config     Config
	host       Host
	store      store.Store
	dir        string
	log        *slog.Logger
	publishers *publisher.Server
	mirrors    *mirrors
	failures   failures
	appetite   appetite
	askers     askers
	ask        due.Signal // parents are to be asked
	send       due.Signal // something is staged for a remote repository
	sending    due.Pulse  // beats after each call on a remote repository

	// Set before the keys are opened, or never.
	Trace      *peer.Tracer    // of messages; nil for none
	Network    *http.Client    // to peers; nil for one that fits them
	Shares     shares.All      // what peers may use up
	Reading    relying.Limits  // bounds each look at repositories of others; zero for relying.ForDaemon
	Registries func() []string // names the other installations that a room above corresponds with; nil for none
	// LookAt is what the CA of a certificate publishes, as a relying party sees it.
	LookAt func(ctx context.Context, called string, issuer []byte) (*validate.Published, error)

	mu         sync.RWMutex // guards the rest
	vault      *keys.Vault  // nil until the keys are open
	signer     *envelope.Signer
	nextSigner *envelope.Signer // of the identity that is to replace the one in use; nil where none is
}

// Open opens what is kept of peers. Until OpenIdentity it answers questions, and sends nothing.
func Open(peers *Peers, config Config, host Host) (*Federation, error) {
	f := &Federation{
		Peers: peers, config: config, host: host, store: config.Store, dir: config.Dir, log: config.Log,
		ask: due.NewSignal(), send: due.NewSignal(),
	}
	f.LookAt = f.lookAtParent
	var err error
	if f.mirrors, err = openMirrors(f); err != nil {
		return nil, err
	}
	f.publishers, err = publisher.Open(f.store, config.Repositories, config.PublisherBase, host, publisher.Limits{})
	if err != nil {
		return nil, err
	}
	f.publishers.Log, f.publishers.Suites = f.log, config.Suites
	return f, nil
}

// Run talks to peers whenever that is due, until ctx ends.
func (f *Federation) Run(ctx context.Context) {
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { f.publishers.Run(ctx) })
	beside.Go(func() { f.FollowParents(ctx) })
	beside.Go(func() { f.FollowRemotes(ctx) })
	beside.Go(func() { f.watchChildren(ctx) })
}

// reading is how what others made is read: as every validator in use does.
func (f *Federation) reading() []validate.Option {
	return validate.For(validate.RelyingParty, f.config.Suites...)
}

// organisation is one of the ledger of this moment.
func (f *Federation) organisation(holder string) (o holdings.Organisation, ok bool) {
	_ = f.host.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		o, ok = l.Organisation(holder)
		return nil
	})
	return o, ok
}

// above is the handle of the organisation above another, as messages have it (RFC 8183, section 5.1).
func (f *Federation) above(holder string) string {
	o, _ := f.organisation(holder)
	return WireHandle(o.Parent)
}

func (f *Federation) sources(holder string) (sources []string) {
	_ = f.host.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		sources = l.Sources(holder)
		return nil
	})
	return sources
}
