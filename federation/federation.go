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

// Config is what stays the same as long as the program runs.
type Config struct {
	Store        store.Store
	Single       store.Bucket // the bucket of the installation's single values, such as its identity
	Dir          string       // the data directory
	Repositories map[string]*rrdp.Repository
	Log          *slog.Logger

	ServiceBase string // where peers send their messages, "https://host/"
	RsyncBase   string // below which this installation publishes
	// PublisherBase is the rsync URI below which a publisher in a registry's repository publishes, and the URI of the notification file.
	PublisherBase func(registry, handle string) (siaBase, notify string)

	Suites        []validate.Suite // kinds of keys that are accepted besides RSA
	P256          bool             // our relying party accepts P-256 keys, too
	Soak          time.Duration    // the time in which relying parties are expected to fetch what was published
	Silence       time.Duration    // a delegated CA without a valid manifest for so long has its certificates revoked
	ParentClasses int              // resource classes that are taken from one parent; 0: no limit
}

// Host is what the federation needs of the installation that it speaks for. Within Change only Authority, KeyUsed, PublishesAt and
// Roll may be called.
type Host interface {
	// Change changes the records of peers in one transaction. The ledger does not change meanwhile. Then the engine plans for the
	// organisations that the transaction touched.
	Change(change func(*Tx) error) error
	// Read shows the ledger of this moment.
	Read(look func(*holdings.Ledger, *roa.Book) error) error
	// Receive takes the decision that an organisation holds these resources from a source, and no others.
	Receive(by holdings.By, holder, source string, held inr.Set) error

	Frozen() error                      // why nothing is signed at present; nil where it is
	WaitIdle(ctx context.Context) error // returns when all that can be done now is published
	NextRound() <-chan struct{}         // closed when the engine has planned and executed once more
	Get(uri string) ([]byte, bool)      // the newest committed object
	TAL() (string, error)

	Authority(name issued.Name) *issued.Authority           // nil where there is none
	Place(authority issued.Name) issued.Place               // where it publishes
	Issued(holder string) []issued.Name                     // the names of an organisation's authorities
	Offer(holder, source string) (*Offer, error)            // what a key can be certified for; nil where for nothing
	IsDue(authority issued.Name) bool                       // the certificate of a delegated CA's key is to be made anew
	KeyUsed(key object.KeyIdentifier, but issued.Name) bool // an authority other than this one has the key
	PublishesAt(mirror string) bool                         // some authority publishes there

	// Wanted lists the authorities of an organisation that a parent is to certify in the class of a source: the one that issues comes
	// first, then the next of a key roll.
	Wanted(holder, source string) []issued.Name
	// Begin makes a key and an authority that a parent is to certify, in one transaction with what also writes.
	Begin(authority issued.Name, also func(tx *Tx, keyID []byte) error) error
	Request(authority issued.Name) ([]byte, error) // its certificate request (RFC 6487, section 6)
	// HasShed tells whether an authority needs no more than these resources: nothing published rests on others any more.
	HasShed(ctx context.Context, authority issued.Name, enough inr.Set) bool
	IsDone(authority issued.Name) bool // the authority is not needed any more: a parent may revoke its certificate

	// Roll begins a next generation of each authority of an organisation. It publishes where new authorities do.
	Roll(tx *Tx, holder string) error
	// CloseMirror closes the serial of a mirror if so returns true. Nothing is committed meanwhile.
	CloseMirror(mirror *rrdp.Repository, so func() bool) (closed bool, err error)
	// CommitObjects makes changes of registries' repositories durable, and has them published with the next serial.
	CommitObjects(changes map[string][]rrdp.Change, extra func(store.Writer) error) error
}

// Offer is what an organisation's key can be certified for in one resource class.
type Offer struct {
	Resources   inr.Set
	NotAfter    time.Time // the end of a certificate that is made now
	IssuerURI   string
	Certificate []byte // the issuer's
}

// Federation speaks for one installation with CAs and servers elsewhere. It is safe for concurrent use. It has many fields: seven are set from
// outside before it starts, and the others are one for each protocol and direction.
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
	childTrust sync.Map   // handle of a delegated CA -> *envelope.Trust, its identity as it was last read
	ask        due.Signal // parents are to be asked
	send       due.Signal // something is staged for a remote repository
	sending    due.Pulse  // beats after each call on a remote repository

	// Set before the keys are opened, or never.
	Trace      *peer.Tracer    // of messages; nil for none
	Network    *http.Client    // to peers; nil for one that fits them
	Shares     shares.All      // what peers may use up
	Reading    relying.Limits  // bounds each look at repositories of others; zero for relying.ForDaemon
	Registries func() []string // names of the other installations that package moves corresponds with; nil for none
	// LookAt is what the CA of a certificate publishes, as a relying party sees it.
	LookAt func(ctx context.Context, called string, issuer []byte) (*validate.Published, error)

	mu         sync.RWMutex // guards the rest
	keeper     keys.Keeper  // of the key of identities; nil until the keys are open
	signer     *envelope.Signer
	nextSigner *envelope.Signer // of the identity that is to replace the one in use; nil where none is
}

// Open opens what is kept for peers. Until OpenIdentity it can be read, and sends nothing.
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

// Run asks parents, sends to publication servers, and looks at delegated CAs whenever that is due, until ctx ends.
func (f *Federation) Run(ctx context.Context) {
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { f.publishers.Run(ctx) })
	beside.Go(func() { f.FollowParents(ctx) })
	beside.Go(func() { f.FollowRemotes(ctx) })
	beside.Go(func() { f.watchChildren(ctx) })
}

// reading is how objects of others are read: as strictly as a relying party does, not as our own gate.
func (f *Federation) reading() []validate.Option {
	return validate.For(validate.RelyingParty, f.config.Suites...)
}

// organisation reads an organisation from the ledger as it is now.
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
