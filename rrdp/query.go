package rrdp

import (
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"time"

	"cadastre/internal/fault"
)

func hexHash(hash [32]byte) string { return hex.EncodeToString(hash[:]) }

// Published is the current serial and when it was closed; 0 and the zero time before the first.
func (r *Repository) Published() (session string, number uint64, at time.Time) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if last := r.index.newest(); last != nil {
		return r.index.session, last.number, last.at
	}
	return r.index.session, 0, time.Time{}
}

// Staged tells whether anything was committed since the current serial was closed.
func (r *Repository) Staged() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.index.staged > 0
}

// Objects is how many objects the current serial has.
func (r *Repository) Objects() int {
	if f := r.front.Load(); f != nil {
		return f.objects
	}
	return 0
}

// Bytes is the size of the current snapshot, uncompressed, and what the segments take on the disk.
func (r *Repository) Bytes() (snapshot, disk int64) {
	if f := r.front.Load(); f != nil {
		snapshot = f.snapshot.sum.size
	}
	return snapshot, r.segments.bytes()
}

// Get is the newest committed object at a URI, published or not. It is false if there is none, or the disk does not have any more what was
// written.
func (r *Repository) Get(uri string) ([]byte, bool) {
	r.mu.RLock()
	e := r.index.live[uri]
	r.mu.RUnlock()
	if e == nil {
		return nil, false
	}
	object, err := r.read(e)
	return object, err == nil
}

// Hash is the SHA-256 of the newest object at a URI, without reading it.
func (r *Repository) Hash(uri string) ([sha256.Size]byte, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if e := r.index.live[uri]; e != nil {
		return e.hash, true
	}
	return [sha256.Size]byte{}, false
}

// read brings an object back from its fragment.
func (r *Repository) read(e *entry) ([]byte, error) {
	r.mu.RLock()
	p := e.place
	r.mu.RUnlock()
	text := make([]byte, p.textLen)
	err := readFull(p.segment.file, text, int64(p.text))
	if err != nil {
		return nil, fault.Wrap(err, "couldn't read %s", e.uri)
	}
	object, err := unwrap(text, e.uri)
	if err != nil || sha256.Sum256(object) != e.hash {
		return nil, fault.New(fault.Corrupt, "%s has changed on the disk: restore %s and the store from one backup", e.uri, r.cfg.Dir)
	}
	return object, nil
}

// All goes through the URIs of the current serial and the SHA-256 of the object at each.
func (r *Repository) All() iter.Seq2[string, [32]byte] {
	return func(yield func(string, [32]byte) bool) {
		v, _ := r.View()
		for o := range v.All() {
			if !yield(o.URI, o.Hash) {
				return
			}
		}
	}
}

// Object is one object of a serial.
type Object struct {
	URI   string
	Hash  [32]byte // SHA-256
	entry *entry
}

// View is one published serial, as it was when View was called; its objects can be read for six hours.
type View struct {
	Session string
	Serial  uint64
	At      time.Time

	repository *Repository
	entries    []*entry
}

// View is the current serial; false before the first.
func (r *Repository) View() (View, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	last := r.index.newest()
	if last == nil {
		return View{}, false
	}
	v := View{Session: r.index.session, Serial: last.number, At: last.at, repository: r}
	for _, e := range r.index.entries {
		if e.at(last.number) {
			v.entries = append(v.entries, e)
		}
	}
	return v, true
}

// All goes through the objects in the order of the snapshot.
func (v View) All() iter.Seq[Object] {
	return func(yield func(Object) bool) {
		for _, e := range v.entries {
			if !yield(Object{URI: e.uri, Hash: e.hash, entry: e}) {
				return
			}
		}
	}
}

// Read brings an object of the view. It fails with Corrupt when the disk no longer has what was written.
func (v View) Read(o Object) ([]byte, error) { return v.repository.read(o.entry) }

// Since is how the view differs from an older serial of its session: the objects that are new or other, and the URIs at
// which there is nothing any more. It is false if that serial is not known, or no longer.
func (v View) Since(old uint64) (changed []Object, withdrawn []string, ok bool) {
	r := v.repository
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.index.session != v.Session || old > v.Serial || r.index.serial(old) == nil {
		return nil, nil, false
	}
	there := map[string]bool{}
	for _, e := range r.index.since(old + 1) {
		if e.added > v.Serial {
			break
		}
		if e.at(v.Serial) {
			changed = append(changed, Object{URI: e.uri, Hash: e.hash, entry: e})
			there[e.uri] = true
		}
	}
	for n := old + 1; n <= v.Serial; n++ {
		for _, e := range r.index.serial(n).gone {
			if e.at(old) && !there[e.uri] {
				withdrawn = append(withdrawn, e.uri)
			}
		}
	}
	return changed, withdrawn, true
}
