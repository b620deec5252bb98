package rrdp

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"

	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// disk counts the operations that change something, and lets those fail whose time has come.
type disk struct {
	count atomic.Int64
	fails func(n int64) bool
}

// faultyFile does nothing well any more once a Sync or Truncate has failed: what the system still has of it is unknown.
type faultyFile struct {
	*os.File
	disk   *disk
	broken bool
}

func (d *disk) open(path string, flag int) (file, error) {
	if flag&os.O_CREATE != 0 && d.fail() {
		return nil, syscall.ENOSPC
	}
	f, err := os.OpenFile(path, flag, 0o600)
	return &faultyFile{File: f, disk: d}, err
}

func (d *disk) fail() bool { return d.fails != nil && d.fails(d.count.Add(1)) }

// WriteAt leaves half of what it should write, as a disk does that fills up.
func (f *faultyFile) WriteAt(data []byte, at int64) (int, error) {
	if f.broken {
		return 0, syscall.EIO
	}
	if f.disk.fail() {
		n, _ := f.File.WriteAt(data[:len(data)/2], at)
		return n, syscall.ENOSPC
	}
	return f.File.WriteAt(data, at)
}

func (f *faultyFile) Sync() error {
	if f.broken || f.disk.fail() {
		f.broken = true
		return syscall.EIO
	}
	return f.File.Sync()
}

func (f *faultyFile) Truncate(n int64) error {
	if f.broken || f.disk.fail() {
		f.broken = true
		return syscall.EIO
	}
	return f.File.Truncate(n)
}

// TestFullDisk lets the disk fail at the n-th operation, or from then on, for every n that a history has: what was
// published stays, what failed can be repeated once the disk is well, and a restart finds it all.
func TestFullDisk(t *testing.T) {
	for _, lasting := range []bool{false, true} {
		for n := int64(1); ; n++ {
			if !fullDisk(t, n, lasting) {
				break
			}
		}
	}
}

func fullDisk(t *testing.T, n int64, lasting bool) (happened bool) {
	d := &disk{}
	st := newStore(t, t.TempDir(), true)
	cfg := Config{Name: "test", Dir: t.TempDir(), BaseURI: "https://rrdp.example.net/", segmentSize: 12_000, openFile: d.open}
	if _, err := st.Update(store.Any, func(w store.Writer) error { return Create(w, cfg) }); err != nil {
		t.Fatal(err)
	}
	r := reopen(t, st, cfg)
	want := map[string]string{}
	d.fails = func(i int64) bool {
		happened = happened || i >= n
		return i == n || lasting && i >= n
	}
	for i := range 8 {
		object := fmt.Sprintf("%01500d", i)
		changes := []Change{{URI: uri("a.mft"), Object: []byte(object)}, {URI: uri(fmt.Sprintf("%d.roa", i)), Object: []byte(object)}}
		b, err := r.Prepare(changes, true)
		if err != nil {
			if fault.KindOf(err) != fault.Storage {
				t.Fatalf("operation %d: %v is of kind %v", n, err, fault.KindOf(err))
			}
			serves(t, r, cfg, want)
			d.fails = nil
			if b, err = r.Prepare(changes, true); err != nil {
				t.Fatalf("operation %d, repeated: %v", n, err)
			}
		}
		commit(t, st, b)
		for _, c := range changes {
			want[c.URI] = object
		}
		serves(t, r, cfg, want)
	}
	d.fails = nil
	left, _ := filepath.Glob(cfg.Dir + "/*")
	serves(t, reopen(t, st, cfg), cfg, want)
	if found, _ := filepath.Glob(cfg.Dir + "/*"); !slices.Equal(found, left) {
		t.Fatalf("operation %d: of the files %v a start has left %v", n, left, found)
	}
	return happened
}

// serves checks that the notification and the snapshot of it give these objects.
func serves(t *testing.T, r *Repository, cfg Config, want map[string]string) {
	t.Helper()
	if len(want) == 0 {
		return
	}
	copied := map[string]string{}
	hashed(t, r, parse(t, get(t, r, cfg.BaseURI+notificationName)).Snapshot).apply(t, copied)
	if !maps.Equal(copied, want) {
		t.Fatalf("%d objects are served, wanted %d", len(copied), len(want))
	}
}

// TestLostTransaction: a store that does not commit leaves everything as it was.
func TestLostTransaction(t *testing.T) {
	r, st, cfg := newRepository(t)
	publish(t, r, st, true, Change{URI: uri("a.roa"), Object: []byte("one")})
	before := get(t, r, cfg.BaseURI+notificationName)
	b, err := r.Prepare([]Change{{URI: uri("a.roa"), Object: []byte("two")}}, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Prepare(nil, true); err == nil {
		t.Error("two batches at once")
	}
	refused := errors.New("no")
	if _, err := st.Update(store.Any, func(w store.Writer) error { return errors.Join(b.Write(w), refused) }); !errors.Is(err, refused) {
		t.Fatal(err)
	}
	b.Abandon()
	if !slices.Equal(get(t, r, cfg.BaseURI+notificationName), before) {
		t.Error("the notification has changed")
	}
	publish(t, r, st, true, Change{URI: uri("a.roa"), Object: []byte("three")})
	serves(t, reopen(t, st, cfg), cfg, map[string]string{uri("a.roa"): "three"})
}

// TestDamagedSegment: a segment that is missing, short or other is a refusal to start, in words that say so.
func TestDamagedSegment(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"missing": os.Remove,
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"short": func(path string) error {
			info, err := os.Stat(path)
			return errors.Join(err, os.Truncate(path, info.Size()-1))
		},
		"other text":    func(path string) error { return flip(path, 100) },
		"other deflate": func(path string) error { return flip(path, -1) },
	} {
		r, st, cfg := newRepository(t)
		publish(t, r, st, true, Change{URI: uri("a.roa"), Object: made(3000)})
		if err := damage(filepath.Join(cfg.Dir, "segment-000000")); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(st, cfg); fault.KindOf(err) != fault.Corrupt {
			t.Errorf("%s: %v", name, err)
		} else {
			t.Log(err)
		}
	}
}

// flip changes one byte; a negative offset counts from the end.
func flip(path string, at int) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if at < 0 {
		at += len(data)
	}
	data[at] ^= 1
	return os.WriteFile(path, data, 0o600)
}

// TestTail: what was appended and not committed is cut off, and a segment that no record names is removed.
func TestTail(t *testing.T) {
	r, st, cfg := newRepository(t)
	publish(t, r, st, true, Change{URI: uri("a.roa"), Object: made(3000)})
	used := filepath.Join(cfg.Dir, "segment-000000")
	before, _ := os.Stat(used)
	f, err := os.OpenFile(used, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString("half a fragm")
	if err := errors.Join(err, f.Close(), os.WriteFile(filepath.Join(cfg.Dir, "segment-000007"), []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	r = reopen(t, st, cfg)
	if after, _ := os.Stat(used); after.Size() != before.Size() {
		t.Errorf("the segment has %d bytes, committed are %d", after.Size(), before.Size())
	}
	if found, _ := filepath.Glob(cfg.Dir + "/*"); len(found) != 1 {
		t.Errorf("the files are %v", found)
	}
	publish(t, r, st, true, Change{URI: uri("b.roa"), Object: made(3000)})
}

// TestComesAndGoes: what comes and goes between two serials leaves nothing to publish, and no empty delta.
func TestComesAndGoes(t *testing.T) {
	r, st, _ := newRepository(t)
	publish(t, r, st, true, Change{URI: uri("a.roa"), Object: []byte("one")})
	publish(t, r, st, false, Change{URI: uri("b.roa"), Object: []byte("two")})
	if !r.Staged() {
		t.Error("nothing is staged")
	}
	publish(t, r, st, false, Change{URI: uri("b.roa"), Object: []byte("three")})
	publish(t, r, st, false, Change{URI: uri("b.roa")})
	if r.Staged() {
		t.Error("something is staged")
	}
	publish(t, r, st, true)
	if _, serial, _ := r.Published(); serial != 1 {
		t.Errorf("serial %d is published", serial)
	}
}

func TestRefusedChanges(t *testing.T) {
	r, st, _ := newRepository(t)
	publish(t, r, st, true, Change{URI: uri("a.roa"), Object: []byte("one")})
	for name, c := range map[string]struct {
		changes []Change
		want    fault.Kind
	}{
		"withdrawal of nothing": {[]Change{{URI: uri("b.roa")}}, fault.NotFound},
		"withdrawal twice":      {[]Change{{URI: uri("a.roa")}, {URI: uri("a.roa")}}, fault.NotFound},
		"no URI":                {[]Change{{Object: []byte("x")}}, fault.BadInput},
		"no rsync URI":          {[]Change{{URI: "https://rpki.example.net/a", Object: []byte("x")}}, fault.BadInput},
		"markup":                {[]Change{{URI: uri(`a"/>`), Object: []byte("x")}}, fault.BadInput},
		"not ASCII":             {[]Change{{URI: uri("ä"), Object: []byte("x")}}, fault.BadInput},
		"empty object":          {[]Change{{URI: uri("c.roa"), Object: []byte{}}}, fault.BadInput},
		"huge object":           {[]Change{{URI: uri("c.roa"), Object: make([]byte, maxObject+1)}}, fault.BadInput},
	} {
		if _, err := r.Prepare(c.changes, true); fault.KindOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	b, err := r.Prepare([]Change{{URI: uri("a.roa"), Object: []byte("one")}}, true)
	if err != nil || b.Closes() {
		t.Errorf("the same bytes once more close a serial (%v)", err)
	}
	b.Abandon()
}

func TestOpenRefused(t *testing.T) {
	_, st, cfg := newRepository(t)
	other := cfg
	other.Name = "other"
	if _, err := Open(st, other); fault.KindOf(err) != fault.NotFound {
		t.Errorf("an unknown repository: %v", err)
	}
	if _, err := st.Update(store.Any, func(w store.Writer) error { return Create(w, cfg) }); fault.KindOf(err) != fault.Conflict {
		t.Errorf("made twice: %v", err)
	}
	for _, base := range []string{"", "http://x/", "https://x/y", "https:///y/", "https://x/?y/", "https://x/\"/", "rsync://x/"} {
		other.BaseURI = base
		if _, err := Open(st, other); fault.KindOf(err) != fault.BadInput {
			t.Errorf("base %q: %v", base, err)
		}
	}
	if _, err := st.Update(store.Any, func(w store.Writer) error { return w.Put(cfg.bucket(), key(9), []byte("?")) }); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(st, cfg); fault.KindOf(err) != fault.Corrupt {
		t.Errorf("a damaged record: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	e := &entry{uri: uri("a.roa"), added: 3, place: place{segment: &segment{id: 2}, text: 1, textLen: 5000, flate: 5001, flateLen: 4000, crc: 7}}
	for _, rec := range []record{newSession(), &entered{entry: e}, &left{seqs: []uint64{1, 2, 70000}}, &closed{number: 4, snapshot: sum{size: 9, crc: 1}}} {
		f.Add(rec.encode())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		segments := newSegments(Config{})
		rec, err := decode(data, segments)
		if err != nil {
			return
		}
		again, err := decode(rec.encode(), segments)
		if err != nil || !slices.Equal(again.encode(), rec.encode()) {
			t.Errorf("%x does not survive being written again (%v)", data, err)
		}
	})
}
