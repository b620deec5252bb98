// Package rrdp is the publication store of one registry and the service that hands it to relying parties by the RPKI
// Repository Delta Protocol (RFC 8182, with RFC 9674 and RFC 9697).
//
// Objects lie as ready <publish> fragments in append-only segment files, once as XML text and once as deflate blocks.
// What is in them, and since which serial until which, is a log of small records in the program's store. Snapshots and
// deltas are never written: each is a list of ranges of the segments between two literal tags, the same bytes whenever
// it is asked for, in this process or the next. So what a change writes is its own fragments and records, however
// large the repository is.
//
// A change is part of the engine's transaction, so it is made in steps: Prepare writes the fragments to disk and computes the hashes, the Batch
// is written within the store's transaction, and Apply makes it visible once that is committed.
//
// The store is trusted, and the segment files are checked against it: a hash that was announced is never announced again for other bytes.
// Nothing that a client sends is trusted. Objects are taken as they are given: whether they are valid is not checked here.
package rrdp

import (
	"encoding/binary"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// Config says where one repository lives and how it is called from outside.
type Config struct {
	Name    string // handle of the registry; names the bucket of its records in the store
	Dir     string // directory of the segment files, of this repository alone
	BaseURI string // what every URI of the service begins with: "https://host[:port]/rrdp/NAME/"

	segmentSize int64                                     // a segment that has grown so large takes no more; 64 MiB
	openFile    func(path string, flag int) (file, error) // tests put failing disks here
}

// Repository is one RRDP session with its objects. One goroutine at a time may change it, any number may read.
type Repository struct {
	cfg      Config
	path     string // path of BaseURI
	segments *segments
	press    *press
	opened   opened
	damage   error // why it is quarantined, nil when all is well; not changed after it was opened

	writing sync.Mutex // guards open
	open    *Batch     // the batch that is neither applied nor abandoned

	mu    sync.RWMutex // guards index
	index *index

	front atomic.Pointer[front] // what is published; nil before the first serial
}

// retention of what is published.
const (
	listed    = 4 * time.Hour // how long a delta is listed at least, if the deltas' size allows it
	unlisted  = 2 * time.Hour // how long a file that is no longer listed is served
	maxDeltas = 300           // what readers take: rpki-client reads no longer list
	memory    = listed + unlisted
)

// Retention is how long at least the fragments of an object stay on the disk after it has been replaced or withdrawn: readers
// of older serials still need them.
const Retention = memory

const defaultSegmentSize = 64 << 20

// recordsOf is the bucket of a repository's records, by its name: number of the record, big-endian -> record.
var recordsOf = store.DeclareFamily("rrdp/", "rrdp", store.Withheld("sessions and their secrets, a bucket for each repository: the successor begins its own"))

// bucket is where a repository's records are in the store.
func (c Config) bucket() store.Bucket { return recordsOf(c.Name) }

// check completes a configuration.
func (c Config) check() (Config, string, error) {
	u, err := url.Parse(c.BaseURI)
	if err != nil || u.Scheme != "https" || u.Host == "" || !strings.HasSuffix(u.Path, "/") || u.RawQuery != "" || !plainURI(c.BaseURI) {
		return c, "", fault.New(fault.BadInput, "the RRDP address %q must look like https://host/path/ with a slash at its end", c.BaseURI)
	}
	if c.Name == "" || c.Dir == "" {
		return c, "", fault.New(fault.BadInput, "a repository needs a name and a directory, and %q has %q", c.Name, c.Dir)
	}
	if c.segmentSize == 0 {
		c.segmentSize = defaultSegmentSize
	}
	if c.openFile == nil {
		c.openFile = func(path string, flag int) (file, error) { return os.OpenFile(filepath.Clean(path), flag, 0o600) }
	}
	return c, u.Path, nil
}

// Create begins the first session of a new repository: a random session_id and serial 0, which is not served; the first
// serial that is closed is 1. It writes to w alone and fails with Conflict where the repository is there already.
func Create(w store.Writer, cfg Config) error {
	cfg, _, err := cfg.check()
	if err != nil {
		return err
	}
	for _, err := range w.Scan(cfg.bucket(), nil) {
		if err != nil {
			return err
		}
		return fault.New(fault.Conflict, "the repository %s is there already", cfg.Name)
	}
	return fault.Wrap(w.Put(cfg.bucket(), key(0), newSession().encode()), "couldn't create the repository %s", cfg.Name)
}

// Open reads the index of a repository that Create made, cuts off what was appended to its segments and never committed,
// and checks that the current snapshot and the deltas that are listed are what was announced. It fails with NotFound when the
// store does not know the repository, and with Corrupt when a segment is missing, short, or has other bytes.
func Open(st store.Store, cfg Config) (*Repository, error) {
	r, err := load(st, cfg)
	if err != nil {
		return nil, err
	}
	if err := r.verify(); err != nil {
		return nil, err
	}
	return r, nil
}

// load is Open without a look at the bytes of objects.
func load(st store.Store, cfg Config) (*Repository, error) {
	cfg, path, err := cfg.check()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fault.Wrap(err, "couldn't open the repository %s", cfg.Name)
	}
	r := &Repository{cfg: cfg, path: path, press: newPress(), segments: newSegments(cfg), index: newIndex()}
	if err := st.View(r.replay); err != nil {
		return nil, err
	}
	if err := r.segments.open(); err != nil {
		return nil, err
	}
	r.show()
	return r, nil
}

// replay makes the index of the records of the store.
func (r *Repository) replay(from store.Reader) error {
	for record, err := range from.Scan(r.cfg.bucket(), nil) {
		if err != nil {
			return err
		}
		k := record.Key
		if len(k) != 8 {
			return fault.New(fault.Corrupt, "the repository %s has a record with the key %x: restore the store from a backup", r.cfg.Name, k)
		}
		seq := binary.BigEndian.Uint64(k)
		rec, err := decode(record.Value, r.segments)
		if err == nil {
			err = rec.apply(r.index, seq)
		}
		if err != nil {
			return fault.New(fault.Corrupt, "record %d of the repository %s is damaged (%w): restore the store from a backup", seq, r.cfg.Name, err)
		}
		r.index.next = seq + 1
	}
	if r.index.session == "" {
		return fault.New(fault.NotFound, "there is no repository %s in the store; 'cadastre init' makes it", r.cfg.Name)
	}
	return nil
}

func key(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }
