package relying

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/relying/rrdpxml"
)

// fetch gets a file that the notification names, hashing it while read does its work, and checks that hash last:
// what read took from a file with another hash must be dropped.
func (r *repository) fetch(ctx context.Context, f rrdpxml.File, read func(io.Reader) error) (validators, error) {
	var sum hash.Hash
	_, since, err := r.fetcher.get(ctx, r.who, f.URI, validators{}, r.limits.File, func(in io.Reader) error {
		sum = sha256.New()
		in = io.TeeReader(in, sum)
		if err := read(in); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, in)
		return err
	})
	if err != nil {
		return since, fault.Wrap(err, "%s", f.URI)
	}
	if got := rrdpxml.Hash(sum.Sum(nil)); got != f.Hash {
		return since, fault.New(fault.Invalid, "%s has the hash %s, not %s as announced", f.URI, got, f.Hash)
	}
	return since, nil
}

// expect checks that a file is about the state that the notification announced it for.
func expect(head rrdpxml.Head, session string, serial uint64, uri string) error {
	if head.Session != session || head.Serial != serial {
		return fault.New(fault.Invalid, "%s is of session %s and serial %d, not of %s and %d as announced",
			uri, head.Session, head.Serial, session, serial)
	}
	return nil
}

// fetchDelta fetches a delta without applying it; apply gives back the memory that it holds. It also gives the time when the
// server made the file, for Follow.
func (r *repository) fetchDelta(ctx context.Context, d rrdpxml.Delta) ([]rrdpxml.Change, time.Time, error) {
	var changes []rrdpxml.Change
	var head rrdpxml.Head
	seen := make(map[string]bool)
	var held int64
	since, err := r.fetch(ctx, d.File, func(in io.Reader) (err error) {
		head, err = rrdpxml.ReadDelta(in, r.xmlLimits(), func(c rrdpxml.Change) error {
			if seen[c.URI] {
				return fault.New(fault.Invalid, "it changes %s twice", c.URI)
			}
			seen[c.URI] = true
			changes = append(changes, c)
			if !r.fetcher.accounts.hold(int64(len(c.Data))) {
				return fault.New(fault.Invalid, "the deltas come to more than %d octets in memory", r.limits.Held)
			}
			held += int64(len(c.Data))
			return r.fetcher.accounts.charge(r.who, Share{Objects: 1})
		})
		return err
	})
	if err == nil {
		err = expect(head, r.state.Session, d.Serial, d.URI)
	}
	made, _ := time.Parse(http.TimeFormat, since.LastModified)
	if err != nil {
		r.fetcher.accounts.release(held)
		return nil, made, err
	}
	return changes, made, nil
}

// fits checks a change against the object that is there (RFC 8182, section 3.5.3.3).
func (r *repository) fits(c rrdpxml.Change) error {
	_, there := r.objects.at[c.URI]
	switch {
	case c.Replaces == nil && there:
		return fault.New(fault.Invalid, "it publishes %s as new, which is there", c.URI)
	case c.Replaces != nil && !there:
		return fault.New(fault.Invalid, "it replaces or withdraws %s, which is not there", c.URI)
	case c.Replaces == nil:
		return nil
	}
	object, ok := r.objects.Get(c.URI)
	if !ok {
		return fault.New(fault.Corrupt, "%s cannot be read from the cache", c.URI)
	}
	if sha256.Sum256(object) != *c.Replaces {
		return fault.New(fault.Invalid, "it replaces or withdraws another %s than is there", c.URI)
	}
	return nil
}

func (r *repository) xmlLimits() rrdpxml.Limits {
	return rrdpxml.Limits{Object: r.limits.Object, Objects: r.limits.Objects}
}

// apply checks the changes of a delta against the objects as they are and makes them, in the cache first and then in
// memory: all of them, or on an error none.
func (r *repository) apply(changes []rrdpxml.Change, serial uint64) error {
	defer func() {
		for _, c := range changes {
			r.fetcher.accounts.release(int64(len(c.Data)))
		}
	}()
	for _, c := range changes {
		if err := r.fits(c); err != nil {
			return err
		}
	}
	if len(r.objects.at)+len(changes) > r.limits.Objects {
		return fault.New(fault.Invalid, "it makes the repository larger than %d objects", r.limits.Objects)
	}
	next := r.state
	next.Serial, next.Since = serial, validators{}
	w, err := appendPack(filepath.Join(r.dir, r.state.Pack), r.state.Size)
	if err != nil {
		return err
	}
	for _, c := range changes {
		if err = w.add(c.URI, c.Data); err != nil {
			break
		}
		next.Live += int64(len(c.Data)) - int64(r.objects.at[c.URI].length)
	}
	next.Size = w.size
	if closed := w.close(); err == nil {
		err = closed
	}
	if err == nil {
		err = saveState(r.dir, next)
	}
	if err != nil {
		return err
	}
	r.state = next
	r.objects.note(w.at)
	return nil
}

// settle notes that all that the notification announced is here, so that the next poll can be conditional and can
// notice a delta that changed after it was announced.
func (r *repository) settle(n *news) error {
	next := r.state
	next.Since = n.since
	next.Deltas = make(map[uint64]rrdpxml.Hash, len(n.Deltas))
	for _, d := range n.Deltas {
		next.Deltas[d.Serial] = d.Hash
	}
	if err := saveState(r.dir, next); err != nil {
		return err
	}
	r.state = next
	return r.compact()
}

// loadSnapshot fetches the snapshot and puts it in the place of all that was there. Until it is complete and its hash
// is checked, the old objects stay.
func (r *repository) loadSnapshot(ctx context.Context, n *news) error {
	var head rrdpxml.Head
	return r.replace(n.Session, n.Serial, func(w *packWriter) error {
		_, err := r.fetch(ctx, n.Snapshot, func(in io.Reader) (err error) {
			head, err = rrdpxml.ReadSnapshot(in, r.xmlLimits(), func(c rrdpxml.Change) error {
				if _, twice := w.at[c.URI]; twice {
					return fault.New(fault.Invalid, "it publishes %s twice", c.URI)
				}
				if err := r.fetcher.accounts.charge(r.who, Share{Objects: 1}); err != nil {
					return err
				}
				return w.add(c.URI, c.Data)
			})
			return err
		})
		if err == nil {
			err = expect(head, n.Session, n.Serial, n.Snapshot.URI)
		}
		return err
	})
}

// smallPack is the size in bytes from which on a pack is worth compacting.
const smallPack = 64 << 10

// compact rewrites a pack when the objects that are still there are half of it or less.
func (r *repository) compact() error {
	if r.state.Size < smallPack || r.state.Live > r.state.Size/2 {
		return nil
	}
	since, deltas := r.state.Since, r.state.Deltas
	err := r.replace(r.state.Session, r.state.Serial, func(w *packWriter) error {
		for uri := range r.objects.at {
			object, ok := r.objects.Get(uri)
			if !ok {
				return fault.New(fault.Corrupt, "%s cannot be read from the cache", uri)
			}
			if err := w.add(uri, object); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.state.Since, r.state.Deltas = since, deltas
	return saveState(r.dir, r.state)
}

// replace writes a new pack beside the old, and switches to it when fill is done without an error.
func (r *repository) replace(session string, serial uint64, fill func(*packWriter) error) error {
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return fault.Wrap(err, "the cache cannot be written")
	}
	name := "objects-a"
	if r.state.Pack == name {
		name = "objects-b"
	}
	path := filepath.Join(r.dir, name)
	w, err := createPack(path)
	if err != nil {
		return err
	}
	err = fill(w)
	if closed := w.close(); err == nil {
		err = closed
	}
	next := cached{Notify: r.state.Notify, Session: session, Serial: serial, Pack: name, Size: w.size}
	for _, at := range w.at {
		next.Live += int64(at.length)
	}
	var file *os.File
	if err == nil {
		file, err = os.Open(path)
		err = fault.Wrap(err, "the cache cannot be read")
	}
	if err == nil {
		err = saveState(r.dir, next)
	}
	if err != nil {
		_ = os.Remove(path)
		return err
	}
	if old := r.state.Pack; old != "" {
		_ = os.Remove(filepath.Join(r.dir, old))
	}
	_ = r.objects.Close()
	r.state, r.objects = next, pack{file, w.at}
	return nil
}
