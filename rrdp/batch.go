package rrdp

import (
	"crypto/sha256"
	"slices"
	"strings"

	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// Change says what is to be at a URI.
type Change struct {
	URI    string // rsync URI of the object
	Object []byte // DER; nil withdraws what is there
}

// Batch is a prepared change: its fragments are on disk and its hashes are known, and nothing of it is visible. Write is called within the
// store's transaction. If that has committed, Apply is called once; if not, Abandon.
type Batch struct {
	repository *Repository
	appender   *appender
	first      uint64 // key of the first record
	records    []record
	closes     bool
	compaction *compaction // nil for all but those of Compact
}

// Prepare makes a batch of changes. With closeSerial the batch also closes the serial, if this batch or one before it has changed anything since
// the last serial. A change to the bytes that are there already is no change. An object that changes several times before the serial closes is
// in its delta once; an object that comes and goes is not in it.
//
// It fails with BadInput on a URI that is no plain rsync URI and on an object that readers would not take, with NotFound
// on the withdrawal of what is not there, and with Storage when the disk does; nothing has then changed, and Prepare may
// be called again. It fails with the cause where the repository is quarantined, and with Internal while another batch is open.
func (r *Repository) Prepare(changes []Change, closeSerial bool) (*Batch, error) {
	b, err := r.begin()
	if err != nil {
		return nil, err
	}
	if err := b.prepare(changes, closeSerial); err != nil {
		b.drop(true)
		return nil, fault.Wrap(err, "couldn't publish in %s", r.cfg.Name)
	}
	return b, nil
}

// begin opens the one batch that may be open.
func (r *Repository) begin() (*Batch, error) {
	if r.damage != nil {
		return nil, fault.Wrap(r.damage, "the repository %s is quarantined", r.cfg.Name)
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	if r.open != nil {
		return nil, fault.New(fault.Internal, "a change of the repository %s was begun before the last one had been applied or abandoned", r.cfg.Name)
	}
	r.open = &Batch{repository: r, appender: r.segments.append(), first: r.index.next}
	return r.open, nil
}

func (b *Batch) prepare(changes []Change, closeSerial bool) error {
	x := b.repository.index // changed by Apply alone, and that is this goroutine's
	changes, err := x.fold(changes)
	if err != nil {
		return err
	}
	gone := &left{}
	var fresh []*entry
	staged := x.staged
	for _, c := range changes {
		old := x.live[c.URI]
		if old != nil {
			gone.seqs = append(gone.seqs, old.seq)
			staged++
			if old.added > x.current() {
				staged -= 2 // it was counted when it came
			}
		}
		if c.Object != nil {
			fresh = append(fresh, &entry{uri: c.URI, hash: sha256.Sum256(c.Object), added: x.current() + 1, removed: never})
			staged++
		}
	}
	if len(gone.seqs) > 0 {
		slices.Sort(gone.seqs)
		b.records = append(b.records, gone)
	}
	if err := b.append(changes, fresh); err != nil {
		return err
	}
	if closeSerial && staged > 0 {
		return b.close(x, gone, fresh)
	}
	return nil
}

// fold checks changes and leaves the last of each URI, where it makes a difference.
func (x *index) fold(changes []Change) ([]Change, error) {
	last := make(map[string]int, len(changes))
	for i, c := range changes {
		j, seen := last[c.URI]
		there := seen && changes[j].Object != nil || !seen && x.live[c.URI] != nil
		switch {
		case !strings.HasPrefix(c.URI, "rsync://") || !plainURI(c.URI):
			return nil, fault.New(fault.BadInput, "%q is no rsync URI of plain characters and at most %d of them", c.URI, maxURI)
		case c.Object != nil && (len(c.Object) == 0 || len(c.Object) > maxObject):
			return nil, fault.New(fault.BadInput, "the object for %s has %d bytes, and relying parties take 1 to %d", c.URI, len(c.Object), maxObject)
		case c.Object == nil && !there:
			return nil, fault.New(fault.NotFound, "there is nothing at %s to withdraw", c.URI)
		}
		last[c.URI] = i
	}
	var out []Change
	for i, c := range changes {
		old := x.live[c.URI]
		same := old == nil && c.Object == nil || old != nil && c.Object != nil && sha256.Sum256(c.Object) == old.hash
		if last[c.URI] == i && !same {
			out = append(out, c)
		}
	}
	return out, nil
}

// append writes the fragments of the new entries and makes them durable.
func (b *Batch) append(changes []Change, fresh []*entry) error {
	g := &group{appender: b.appender}
	for _, c := range changes {
		if c.Object == nil {
			continue
		}
		e := fresh[0]
		fresh = fresh[1:]
		text, packed := len(g.text), len(g.packed)
		var crc uint32
		g.text, g.packed, crc = b.repository.press.fragment(g.text, g.packed, c.URI, c.Object)
		if err := g.add(text, packed, crc, func(to place) { e.place = to }); err != nil {
			return err
		}
		b.records = append(b.records, &entered{entry: e})
	}
	if err := g.flush(); err != nil {
		return err
	}
	return b.appender.sync()
}

// close adds the record of the serial that ends with this batch. x is the state that the batch comes on top of.
func (b *Batch) close(x *index, gone *left, fresh []*entry) error {
	c := &closed{number: x.current() + 1}
	c.at, c.tat = b.repository.index.closing()
	var err error
	if c.snapshot, err = x.snapshotWith(c.number, gone.seqs, fresh).plain().sum(); err != nil {
		return err
	}
	if c.number > 1 {
		if c.delta, err = x.deltaWith(c.number, gone.seqs, fresh).plain().sum(); err != nil {
			return err
		}
	}
	b.records = append(b.records, c)
	b.closes = true
	return nil
}

// Write puts the batch's records into the transaction of w.
func (b *Batch) Write(w store.Writer) error {
	bucket := b.repository.cfg.bucket()
	if b.compaction != nil {
		return b.compaction.write(w, bucket)
	}
	for i, rec := range b.records {
		if err := w.Put(bucket, key(b.first+uint64(i)), rec.encode()); err != nil { // an index
			return fault.Wrap(err, "couldn't record the publication in %s", b.repository.cfg.Name)
		}
	}
	return nil
}

// Closes says whether a serial is published when the batch is applied.
func (b *Batch) Closes() bool { return b.closes }

// Apply makes the batch current, after its transaction has committed; if it closed the serial, that is what clients see
// from now on.
func (b *Batch) Apply() {
	r := b.repository
	b.appender.commit()
	r.mu.Lock()
	if b.compaction != nil {
		b.compaction.apply(r.index)
		r.opened.forget() // they have the segments that it empties
	}
	for i, rec := range b.records {
		if err := rec.apply(r.index, b.first+uint64(i)); err != nil { // an index
			panic("rrdp: a batch does not fit the state that it was made from: " + err.Error())
		}
	}
	if b.closes {
		r.show()
	}
	r.mu.Unlock()
	if b.compaction != nil {
		b.compaction.clear(r.segments)
	}
	b.done()
}

// Abandon takes the batch back: its transaction did not commit.
func (b *Batch) Abandon() { b.drop(false) }

func (b *Batch) drop(failed bool) {
	b.appender.abandon(failed)
	b.done()
}

func (b *Batch) done() {
	b.repository.writing.Lock()
	defer b.repository.writing.Unlock()
	b.repository.open = nil
}
