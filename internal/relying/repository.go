package relying

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/relying/rrdpxml"
)

// repository is one RRDP repository: what is cached of it, and how to bring that up to date (RFC 8182, section 3.4).
// One goroutine at a time changes it; between changes any number may Get.
type repository struct {
	dir     string
	fetcher *fetcher
	limits  Limits
	state   cached
	objects map[string][]byte // by rsync URI
}

// openRepository loads what is cached in dir of the repository. What is damaged is removed; the error, Corrupt, says
// so and does not keep the repository from being used. NotFound where nothing is cached is no error.
func openRepository(dir, notify string, f *fetcher) (*repository, error) {
	r := &repository{dir: dir, fetcher: f, limits: f.limits}
	var err error
	r.state, r.objects, err = loadState(dir, notify)
	if err == nil {
		return r, nil
	}
	r.state, r.objects = cached{Notify: notify}, nil
	if fault.KindOf(err) == fault.NotFound {
		return r, nil
	}
	if gone := os.RemoveAll(dir); gone != nil {
		return r, fault.Wrap(gone, "the damaged cache cannot be removed")
	}
	return r, err
}

// Get is the object at an rsync URI.
func (r *repository) Get(uri string) ([]byte, bool) {
	object, ok := r.objects[uri]
	return object, ok
}

// present tells whether there is any state of the repository.
func (r *repository) present() bool { return r.state.Serial > 0 }

// news is a notification and how to get to what it announces.
type news struct {
	*rrdpxml.Notification
	since  validators
	deltas []rrdpxml.Delta // to apply, oldest first; none with jump "" means that nothing is new
	jump   string          // why only the snapshot will do; "" where the deltas do
}

// poll asks for the notification. It is nil where the server says that it has not changed.
func (r *repository) poll(ctx context.Context) (*news, error) {
	var n *rrdpxml.Notification
	fresh, since, err := r.fetcher.get(ctx, r.state.Notify, r.state.Since, r.limits.Notice, func(in io.Reader) (err error) {
		n, err = rrdpxml.ReadNotification(in, rrdpxml.Limits{Object: r.limits.Object, Objects: int(r.limits.Notice) / 64})
		return err
	})
	if err != nil || !fresh {
		return nil, err
	}
	if err := r.checkOrigins(n); err != nil {
		return nil, err
	}
	found := &news{Notification: n, since: since}
	found.deltas, found.jump = r.route(n)
	return found, nil
}

// checkOrigins refuses references to another origin than the notification's (RFC 9674, section 3).
func (r *repository) checkOrigins(n *rrdpxml.Notification) error {
	refuse := func(uri string) error {
		return fault.New(fault.Invalid, "the notification of serial %d points to %s, which is not its own origin", n.Serial, uri)
	}
	if !sameOrigin(n.Snapshot.URI, r.state.Notify) {
		return refuse(n.Snapshot.URI)
	}
	for _, d := range n.Deltas {
		if !sameOrigin(d.URI, r.state.Notify) {
			return refuse(d.URI)
		}
	}
	return nil
}

// route decides between deltas and snapshot (RFC 8182, section 3.4.1; RFC 9697, section 3).
func (r *repository) route(n *rrdpxml.Notification) ([]rrdpxml.Delta, string) {
	s := r.state
	switch {
	case !r.present():
		return nil, "nothing was cached"
	case n.Session != s.Session:
		return nil, fmt.Sprintf("the session changed from %s to %s", s.Session, n.Session)
	case n.Serial < s.Serial:
		return nil, fmt.Sprintf("the serial went back from %d to %d", s.Serial, n.Serial)
	}
	for _, d := range n.Deltas {
		if before, known := s.Deltas[d.Serial]; known && before != d.Hash {
			return nil, fmt.Sprintf("the delta of serial %d is another one than before", d.Serial)
		}
	}
	chain, whole := n.Chain(s.Serial)
	switch {
	case !whole:
		return nil, fmt.Sprintf("no unbroken chain of deltas leads from serial %d to %d", s.Serial, n.Serial)
	case len(chain) > r.limits.Deltas:
		return nil, fmt.Sprintf("%d deltas are more than %d", len(chain), r.limits.Deltas)
	}
	return chain, ""
}

// fetch gets a file that the notification names, hashing it while read does its work, and checks that hash last:
// what read took from a file with another hash must be dropped.
func (r *repository) fetch(ctx context.Context, f rrdpxml.File, read func(io.Reader) error) (validators, error) {
	var sum hash.Hash
	_, since, err := r.fetcher.get(ctx, f.URI, validators{}, r.limits.File, func(in io.Reader) error {
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

// fetchDelta fetches a delta without applying it. It also gives the time when the server made the file, for Follow.
func (r *repository) fetchDelta(ctx context.Context, d rrdpxml.Delta) ([]rrdpxml.Change, time.Time, error) {
	var changes []rrdpxml.Change
	var head rrdpxml.Head
	seen := make(map[string]bool)
	since, err := r.fetch(ctx, d.File, func(in io.Reader) (err error) {
		head, err = rrdpxml.ReadDelta(in, r.xmlLimits(), func(c rrdpxml.Change) error {
			if seen[c.URI] {
				return fault.New(fault.Invalid, "it changes %s twice", c.URI)
			}
			seen[c.URI] = true
			changes = append(changes, c)
			return nil
		})
		return err
	})
	if err == nil {
		err = expect(head, r.state.Session, d.Serial, d.URI)
	}
	made, _ := time.Parse(http.TimeFormat, since.LastModified)
	return changes, made, err
}

// fits checks a change against the object that is there (RFC 8182, section 3.5.3.3).
func (r *repository) fits(c rrdpxml.Change) error {
	object, there := r.objects[c.URI]
	switch {
	case c.Replaces == nil && there:
		return fault.New(fault.Invalid, "it publishes %s as new, which is there", c.URI)
	case c.Replaces != nil && !there:
		return fault.New(fault.Invalid, "it replaces or withdraws %s, which is not there", c.URI)
	case c.Replaces != nil && sha256.Sum256(object) != *c.Replaces:
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
	for _, c := range changes {
		if err := r.fits(c); err != nil {
			return err
		}
	}
	if len(r.objects)+len(changes) > r.limits.Objects {
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
		next.Live += int64(len(c.Data)) - int64(len(r.objects[c.URI]))
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
	for _, c := range changes {
		if c.Withdraw {
			delete(r.objects, c.URI)
		} else {
			r.objects[c.URI] = c.Data
		}
	}
	return nil
}

// settle notes that all that the notification announced is here, so that the next poll can be conditional and can
// notice a delta that changed after it was announced.
func (r *repository) settle(n *news) error {
	next := r.state
	next.Since = n.since
	next.Deltas = make(map[uint64]rrdpxml.Hash, len(n.Notification.Deltas))
	for _, d := range n.Notification.Deltas {
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
	objects := make(map[string][]byte)
	var head rrdpxml.Head
	return r.replace(n.Session, n.Serial, func(w *packWriter) (map[string][]byte, error) {
		_, err := r.fetch(ctx, n.Snapshot, func(in io.Reader) (err error) {
			head, err = rrdpxml.ReadSnapshot(in, r.xmlLimits(), func(c rrdpxml.Change) error {
				if _, twice := objects[c.URI]; twice {
					return fault.New(fault.Invalid, "it publishes %s twice", c.URI)
				}
				objects[c.URI] = c.Data
				return w.add(c.URI, c.Data)
			})
			return err
		})
		if err == nil {
			err = expect(head, n.Session, n.Serial, n.Snapshot.URI)
		}
		return objects, err
	})
}

// compact rewrites a pack of which more than half is objects that are gone.
func (r *repository) compact() error {
	if r.state.Size < 1<<20 || r.state.Live > r.state.Size/2 {
		return nil
	}
	since, deltas := r.state.Since, r.state.Deltas
	err := r.replace(r.state.Session, r.state.Serial, func(w *packWriter) (map[string][]byte, error) {
		for uri, object := range r.objects {
			if err := w.add(uri, object); err != nil {
				return nil, err
			}
		}
		return r.objects, nil
	})
	if err != nil {
		return err
	}
	r.state.Since, r.state.Deltas = since, deltas
	return saveState(r.dir, r.state)
}

// replace writes a new pack beside the old, and switches to it when fill is done without an error.
func (r *repository) replace(session string, serial uint64, fill func(*packWriter) (map[string][]byte, error)) error {
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
	objects, err := fill(w)
	if closed := w.close(); err == nil {
		err = closed
	}
	next := cached{Notify: r.state.Notify, Session: session, Serial: serial, Pack: name, Size: w.size}
	for _, object := range objects {
		next.Live += int64(len(object))
	}
	if err == nil {
		err = saveState(r.dir, next)
	}
	if err != nil {
		os.Remove(path)
		return err
	}
	if old := r.state.Pack; old != "" {
		os.Remove(filepath.Join(r.dir, old))
	}
	r.state, r.objects = next, objects
	return nil
}
