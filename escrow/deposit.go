package escrow

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"filippo.io/age"

	"cadastre/ca"
	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// Options say where a deposit goes.
type Options struct {
	Folder    string // absolute path; made if it isn't there
	Recipient string // of the successor, age1…
	Full      bool   // a full one, even where an incremental one would do
}

// Deposited is a deposit that was made.
type Deposited struct {
	Manifest
	File string `json:"file"`
	Hash Hash   `json:"sha256"`
}

// partial is the name of what is being written. It is no deposit's, so that nobody takes it for one.
const partial = "deposit.partial"

// Deposit makes the next deposit of the chain in a folder. It is incremental if the deposit before it is there as it was written, for the
// same successor; else it is full. The engine's identity has to be open. A crash at any moment leaves the chain as it was, or one deposit
// longer. It fails with Busy while another deposit is being made, Conflict where the folder has deposits of another installation, Clock
// where the clock is before the last deposit, Secret and Storage.
func Deposit(ctx context.Context, e *ca.Engine, o Options) (*Deposited, error) {
	to, err := parseRecipient(o.Recipient)
	if err != nil {
		return nil, err
	}
	if !filepath.IsAbs(o.Folder) {
		return nil, fault.New(fault.BadInput, "%q is no absolute path; name the folder that deposits go to by one", o.Folder)
	}
	if err := e.Frozen(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Folder, 0o755); err != nil {
		return nil, fault.Wrap(err, "couldn't make the folder of deposits")
	}
	unlock, err := lock(o.Folder)
	if err != nil {
		return nil, err
	}
	defer unlock()
	b, err := before(e, &o)
	if err != nil {
		return nil, err
	}
	d, err := b.make(ctx, e, to)
	if errors.Is(err, errIndex) {
		b.full = true
		d, err = b.make(ctx, e, to)
	}
	return d, err
}

// lock locks the folder until unlock is called or the process ends.
func lock(folder string) (unlock func(), err error) {
	file, err := os.Open(folder)
	if err != nil {
		return nil, fault.Wrap(err, "couldn't open the folder of deposits")
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fault.New(fault.Busy, "a deposit is being made in %s already; wait until it is there", folder)
		}
		return nil, fault.Wrap(err, "couldn't lock %s", folder)
	}
	return func() { _ = file.Close() }, nil
}

// base is what the next deposit follows.
type base struct {
	options  Options
	index    string // its path
	number   uint64 // of the deposit before; 0 for none
	previous Hash
	time     time.Time
	lastFull time.Time
	full     bool // the next one has to be a full one
}

// before finds the deposit that the next one follows, from the folder and from the index. Usually the two agree. After a crash between
// writing them the folder has one more; if somebody removed deposits the index knows newer ones. Then the chain goes on after the newer of
// the two, with a full deposit.
func before(e *ca.Engine, o *Options) (*base, error) {
	b := &base{options: *o, index: indexPath(e.Dir(), o.Folder), full: true}
	mark, err := ReadMark(e.Dir(), o.Folder)
	if fault.KindOf(err) == fault.Corrupt && err != nil {
		mark, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	there, err := newest(e, o.Folder)
	if err != nil {
		return nil, err
	}
	switch {
	case there != nil && (mark == nil || there.Number > mark.Number):
		b.number, b.previous, b.time = there.Number, there.hash, there.Time
	case mark != nil:
		b.number, b.previous, b.time, b.lastFull = mark.Number, mark.Hash, mark.Time, mark.Full
		whole := there != nil && there.Number == mark.Number && there.hash == mark.Hash
		b.full = o.Full || !whole || mark.Recipient != o.Recipient || !slices.Equal(mark.Buckets, names(deposited()))
	}
	return b, nil
}

// newest is the newest deposit in the folder, nil where there is none.
func newest(e *ca.Engine, folder string) (*opened, error) {
	files, err := list(folder)
	if err != nil || len(files) == 0 {
		return nil, err
	}
	certificate, err := e.Federation.Identity()
	if err != nil {
		return nil, err
	}
	trust, err := envelope.ParseTrust(certificate)
	if err != nil {
		return nil, err
	}
	o, err := open(filepath.Join(folder, files[len(files)-1].name()), trust)
	switch kind := fault.KindOf(err); {
	case err != nil && kind == fault.Secret:
		return nil, fault.New(fault.Conflict, "%s has deposits of another installation; choose another folder", folder)
	case err != nil:
		return nil, fault.Wrap(err, "nothing can follow the newest deposit, so move it away")
	}
	return o, nil
}

// list is the deposits in a folder by their names, in the order of their numbers. What has another name is none.
func list(folder string) ([]label, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "there is no folder %s", folder)
	}
	if err != nil {
		return nil, fault.Wrap(err, "couldn't read %s", folder)
	}
	var found []label
	for _, entry := range entries {
		if l, ok := parseName(entry.Name()); ok {
			found = append(found, l)
		}
	}
	slices.SortStableFunc(found, func(a, b label) int {
		switch {
		case a.number < b.number:
			return -1
		case a.number > b.number:
			return 1
		}
		return 0
	})
	return found, nil
}

// make writes the deposit, then the index, each whole or not at all.
func (b *base) make(ctx context.Context, e *ca.Engine, to age.Recipient) (*Deposited, error) {
	m := Manifest{Number: b.number + 1, Kind: Incremental, Time: time.Now().UTC().Truncate(time.Second), Installation: e.Installation(), Previous: b.previous}
	if b.full {
		m.Kind = Full
	}
	if m.Time.Before(b.time) {
		return nil, fault.New(fault.Clock, "the clock says %s, but deposit %d is of %s: set the clock", stamp(m.Time), b.number, stamp(b.time))
	}
	path := filepath.Join(b.options.Folder, partial)
	// it is encrypted, and there to be taken away: all may read it
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, fault.Wrap(err, "couldn't write the deposit")
	}
	index, err := createIndex(b.index)
	if err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(path))
	}
	buffered := bufio.NewWriterSize(file, 1<<18)
	sum, err := b.write(ctx, e, to, buffered, index, &m)
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		index.abandon()
		_ = os.Remove(path)
		return nil, fault.Wrap(err, "couldn't make the deposit")
	}
	d := &Deposited{Manifest: m, Hash: sum, File: filepath.Join(b.options.Folder, label{m.Number, m.Kind, m.Time}.name())}
	if err := os.Rename(path, d.File); err != nil {
		index.abandon()
		return nil, fault.Wrap(err, "couldn't make the deposit")
	}
	if err := syncFolder(b.options.Folder); err != nil {
		index.abandon()
		return nil, fault.Wrap(err, "couldn't make the deposit")
	}
	mark := Mark{Folder: b.options.Folder, Recipient: b.options.Recipient, Number: m.Number, Hash: sum, Time: m.Time, Full: b.lastFull, Buckets: names(deposited())}
	if m.Kind == Full {
		mark.Full = m.Time
	}
	return d, index.complete(&mark)
}

// write writes the whole deposit to a file, and the entries of the index beside it.
func (b *base) write(ctx context.Context, e *ca.Engine, to age.Recipient, file *bufio.Writer, index *indexWriter, m *Manifest) (Hash, error) {
	settings, err := settingsOf(e)
	if err != nil {
		return Hash{}, err
	}
	sealed, err := seal(file, to)
	if err != nil {
		return Hash{}, err
	}
	w, err := newWriter(sealed, settings)
	if err != nil {
		return Hash{}, err
	}
	err = e.View(func(r store.Reader) error { return b.writeState(ctx, r, w, index, &m.State) })
	if err == nil && b.full {
		err = writeObjects(ctx, e, w)
	}
	if err != nil {
		return Hash{}, err
	}
	m.Puts, m.Deletes, m.Objects = w.puts, w.deletes, w.objects
	return sealed.finish(m, e.Federation.Sign)
}

// writeState goes through the store and, for an incremental deposit, through the index of the one before in step with it.
func (b *base) writeState(ctx context.Context, r store.Reader, w *writer, index *indexWriter, sum *Sum) error {
	var was *indexReader
	if !b.full {
		var err error
		if was, err = openIndex(b.index); err != nil || was == nil {
			return errIndex
		}
		defer was.close()
	}
	for _, bucket := range deposited() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := writeBucket(r, bucket, w, was, index, sum); err != nil {
			return err
		}
		index.endBucket()
	}
	sum.Log = logOf(r, uint64(sum.Decisions)) // #nosec G115 -- a count
	if was != nil {
		return was.end()
	}
	return nil
}

func writeBucket(r store.Reader, bucket store.Bucket, w *writer, was *indexReader, index *indexWriter, sum *Sum) error {
	if was != nil {
		if err := was.next(); err != nil {
			return err
		}
	}
	// gone is for those that were there and are before a key; all of them where it is nil
	gone := func(before []byte) error {
		for was != nil && was.key != nil && (before == nil || string(was.key) < string(before)) {
			if err := w.remove(bucket.String(), was.key); err != nil {
				return err
			}
			if err := was.next(); err != nil {
				return err
			}
		}
		return nil
	}
	for record, err := range r.Scan(bucket, nil) {
		if err != nil {
			return err
		}
		key, value := record.Key, record.Value
		if err := gone(key); err != nil {
			return err
		}
		if n := sum.count(bucket.String()); n != nil {
			*n++
		}
		short := shortHashOf(value)
		index.add(key, short)
		if was != nil && was.key != nil && string(was.key) == string(key) {
			same := was.short == short
			if err := was.next(); err != nil {
				return err
			}
			if same {
				continue
			}
		}
		if err := w.put(bucket.String(), key, value); err != nil {
			return err
		}
	}
	return gone(nil)
}

func shortHashOf(value []byte) (short [shortHash]byte) {
	sum := sha256.Sum256(value)
	copy(short[:], sum[:])
	return short
}

// writeObjects deposits what is published now, repository after repository.
func writeObjects(ctx context.Context, e *ca.Engine, w *writer) error {
	repositories := e.Repositories()
	for _, name := range sortedKeys(repositories) {
		view, _ := repositories[name].View()
		for o := range view.All() {
			if err := ctx.Err(); err != nil {
				return err
			}
			object, err := view.Read(o)
			if err != nil {
				return err
			}
			if err := w.object(o.URI, o.Hash, object); err != nil {
				return err
			}
		}
	}
	return nil
}
