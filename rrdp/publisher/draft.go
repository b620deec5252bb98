package publisher

import (
	"strings"
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/store"
)

// draft is a publisher as it will be, over what is committed.
type draft struct {
	*publisher // as it is committed; not changed before show

	// as it will be
	record  record
	trust   *envelope.Trust
	state   state
	full    time.Time          // see Limits.spend
	changes map[string]*staged // by URI; nil: withdrawn
	count   map[string]int     // by how much publisher.tree.directories changes

	added      bool // it was not there before
	removed    bool // it goes, with all that it has
	registered bool // its record has changed
}

// staged is an object that comes.
type staged struct {
	entry
	der []byte
}

func newDraft(p *publisher) *draft {
	return &draft{
		publisher: p, record: p.record, trust: p.trust, state: p.state, full: p.full,
		changes: map[string]*staged{}, count: map[string]int{},
	}
}

// at is what is at a URI with what this draft changes.
func (d *draft) at(uri string) (entry, bool) {
	if next, changed := d.changes[uri]; changed {
		if next == nil {
			return entry{}, false
		}
		return next.entry, true
	}
	o, there := d.tree.objects[uri]
	return o, there
}

// set puts an object at a URI, or nothing, and returns what takes that back.
func (d *draft) set(uri string, next *staged) (undo func()) {
	before, changed := d.changes[uri]
	was, there := d.at(uri)
	if there {
		d.account(uri, was, -1)
	}
	if next != nil {
		d.account(uri, next.entry, +1)
	}
	d.changes[uri] = next
	return func() {
		if next != nil {
			d.account(uri, next.entry, -1)
		}
		if there {
			d.account(uri, was, +1)
		}
		if changed {
			d.changes[uri] = before
		} else {
			delete(d.changes, uri)
		}
	}
}

// account counts an object in or out.
func (d *draft) account(uri string, o entry, sign int) {
	d.state.Objects += sign
	d.state.Bytes += int64(sign * o.size)
	for dir := range directories(d.record.Base, uri) {
		d.count[dir] += sign
	}
}

// collides tells whether an object's URI is a directory of others, or one of its directories an object.
func (d *draft) collides(uri string) bool {
	if own := uri + "/"; d.tree.directories[own]+d.count[own] > 0 {
		return true
	}
	for dir := range directories(d.record.Base, uri) {
		if _, there := d.at(strings.TrimSuffix(dir, "/")); there {
			return true
		}
	}
	return false
}

// clear withdraws everything.
func (d *draft) clear() {
	for uri := range d.tree.objects {
		d.set(uri, nil)
	}
	for uri, next := range d.changes {
		if next != nil {
			d.set(uri, nil)
		}
	}
}

// write puts the records into a transaction.
func (d *draft) write(w store.Writer) error {
	handle := d.record.Handle
	if d.removed {
		if err := w.Delete(recordBucket, []byte(handle)); err != nil {
			return err
		}
		return w.Delete(stateBucket, []byte(handle))
	}
	if d.registered {
		if err := put(w, recordBucket, handle, d.record); err != nil {
			return err
		}
	}
	return put(w, stateBucket, handle, d.state)
}

// show makes the publisher what was committed.
func (d *draft) show() {
	p := d.publisher
	p.mu.Lock()
	defer p.mu.Unlock()
	// All else of a record never changes, and is read without the lock.
	p.TrustAnchor, p.Limits = d.record.TrustAnchor, d.record.Limits
	p.trust, p.state, p.full, p.gone = d.trust, d.state, d.full, d.removed
	if len(d.changes) > 0 {
		p.tree.merge(d)
		p.version++
	}
}

// merge takes over what a draft changes. Manifests in the directories where something has changed are suspect.
func (t *tree) merge(d *draft) {
	touched := map[string]bool{}
	for uri, next := range d.changes {
		touched[directory(uri)] = true
		isManifest := strings.HasSuffix(uri, ".mft")
		switch {
		case next == nil:
			delete(t.objects, uri)
			delete(t.manifests, uri)
			continue
		case isManifest && t.manifests[uri] == nil:
			t.manifests[uri] = &manifest{}
		}
		t.objects[uri] = next.entry
	}
	for uri, m := range t.manifests {
		m.suspect = m.suspect || touched[directory(uri)]
	}
	for dir, n := range d.count {
		if t.directories[dir] += n; t.directories[dir] == 0 {
			delete(t.directories, dir)
		}
	}
}
