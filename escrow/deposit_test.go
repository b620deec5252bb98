package escrow

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"
	"pgregory.net/rapid"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// inStore is what the store has in the buckets that are deposited.
func (h *testInstallation) inStore() *contents {
	h.Helper()
	c := newContents()
	must(h, h.store.View(func(r store.Reader) error {
		for _, bucket := range deposited() {
			for record, err := range r.Scan(bucket, nil) {
				if err != nil {
					return err
				}
				c.put(bucket.String(), string(record.Key), bytes.Clone(record.Value))
			}
		}
		return nil
	}))
	return c
}

// read decrypts a chain from the newest full deposit on, without loading what it leads to.
func (h *testInstallation) read(folder string) *contents {
	h.Helper()
	r, err := Verify(folder, h.signer)
	must(h, err)
	c := newContents()
	first := len(r.chain) - 1
	for r.chain[first].Kind != Full {
		first--
	}
	for _, o := range r.chain[first:] {
		_, err := o.decrypt(c, h.identity.secret, nil)
		must(h, err)
	}
	return c
}

func same(t rapid.TB, got, want *contents) {
	t.Helper()
	for _, bucket := range names(deposited()) {
		if len(got.buckets[bucket]) != len(want.buckets[bucket]) {
			t.Errorf("%s has %d records, and not %d", bucket, len(got.buckets[bucket]), len(want.buckets[bucket]))
		}
		for key, value := range want.buckets[bucket] {
			if !bytes.Equal(got.buckets[bucket][key], value) {
				t.Errorf("%s %q is %q, and not %q", bucket, key, got.buckets[bucket][key], value)
			}
		}
	}
}

// TestFullAndIncrementals checks that a full deposit with what follows it is what a full one would be, whatever changes in
// between: keys and values of any bytes, as other rooms may have them.
func TestFullAndIncrementals(t *testing.T) {
	h := newTestInstallation(t)
	key := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 'a', 'b', '<', 0xc8, 0xff}), 1, 4)
	value := rapid.OneOf(rapid.SliceOfN(rapid.Byte(), 0, 40), rapid.Map(rapid.String(), func(s string) []byte { return []byte(`{"a":"` + s + `"}`) }),
		rapid.SampledFrom([][]byte{[]byte("null"), []byte("{}"), []byte(`{"a": 1}`), []byte(`"<"`), []byte("\"\u2028\""), []byte("1\n")}))
	rapid.Check(t, func(t *rapid.T) {
		folder, err := os.MkdirTemp("", "escrow-")
		must(t, err)
		defer os.RemoveAll(folder)
		o := Options{Folder: folder, Recipient: h.recipient}
		for range rapid.IntRange(1, 5).Draw(t, "deposits") {
			_, err := h.store.Update(store.Any, func(w store.Writer) error {
				for range rapid.IntRange(0, 10).Draw(t, "changes") {
					bucket, k := rapid.SampledFrom([]store.Bucket{named("notice"), named("outlet"), named("intent"), named("import")}).Draw(t, "bucket"), key.Draw(t, "key")
					if rapid.IntRange(0, 2).Draw(t, "remove") == 0 {
						must(t, w.Delete(bucket, k))
						continue
					}
					must(t, w.Put(bucket, k, value.Draw(t, "value")))
				}
				return nil
			})
			must(t, err)
			o.Full = rapid.IntRange(0, 3).Draw(t, "full") == 0
			_, err = Deposit(context.Background(), h.engine, o)
			must(t, err)
			same(t, h.read(folder), h.inStore())
		}
	})
}

// TestLogInManifest: the manifest of each deposit, which is signed, has the hash of the newest decision, so that a ledger that
// was changed since does not fit the deposits before.
func TestLogInManifest(t *testing.T) {
	h := newTestInstallation(t)
	h.endow()
	h.delegate("acacia", 1)
	full := h.deposit(true)
	h.delegate("baobab", 2)
	incremental := h.deposit(false)
	chain, err := Verify(h.folder, h.signer)
	must(t, err)
	for i, d := range []*Deposited{full, incremental} {
		must(t, h.store.View(func(r store.Reader) error {
			head, err := holdings.HeadAt(r, uint64(d.State.Decisions))
			if read := chain.chain[i].State; err == nil && (read.Log.String() != head.SHA256 || read.Decisions != d.State.Decisions || d.State.Log != read.Log) {
				t.Errorf("the %s deposit has %s in its manifest, and decision %d is %s", d.Kind, read.Log, head.Decision, head.SHA256)
			}
			return err
		}))
	}
	if full.State.Log == incremental.State.Log || full.State.Decisions >= incremental.State.Decisions {
		t.Errorf("after decisions %d and %d the manifests have %s and %s", full.State.Decisions, incremental.State.Decisions, full.State.Log, incremental.State.Log)
	}
}

// TestState checks what a successor's programs get of it.
func TestState(t *testing.T) {
	h := newTestInstallation(t)
	h.endow()
	h.delegate("acacia", 1)
	first := h.deposit(false)
	h.delegate("baobab", 2)
	second := h.deposit(false)
	if first.Kind != Full || second.Kind != Incremental || second.Previous != first.Hash {
		t.Errorf("a %s deposit is followed by a %s one", first.Kind, second.Kind)
	}
	s, err := Open(h.folder, h.identity, h.signer)
	must(t, err)
	if s.Number != 2 || !s.Time.Equal(second.Time) || s.Installation != h.engine.Installation() || s.RsyncBase != "rsync://rpki.example/" {
		t.Errorf("it is of deposit %d, %s, %s, %s", s.Number, s.Time, s.Installation, s.RsyncBase)
	}
	if got := s.Ledger.Holding("baobab").String(); got != "102.16.2.0/24" || s.Book.Len() != 2 || s.Ledger.LastDecision() != 6 {
		t.Errorf("baobab holds %s; %d intents, %d decisions", got, s.Book.Len(), s.Ledger.LastDecision())
	}
	must(t, s.View(func(r store.Reader) error {
		d, err := holdings.ReadDecision(r, 6)
		if err == nil && (d.Actor != "tester" || d.Intents.Added != 1) {
			t.Errorf("decision 6 is %+v", d)
		}
		for c, err := range holdings.IntentChanges(r, 6) {
			if err != nil || c.String() != "ROA 102.16.2.0/24,24,AS37100 of baobab added" {
				t.Errorf("it says %s (%v)", c, err)
			}
		}
		return err
	}))
}

// TestRules checks that a ledger that breaks its rules is not restored, though its registry signed it.
func TestRules(t *testing.T) {
	for _, c := range [][3]string{
		{"102.16.1.0/24", "102.16.1.128/25", "acacia and baobab, below north, hold the same resources: 102.16.1.128/25"},
		{"102.16.1.0/24", "102.99.0.0/16", "102.99.0.0/16 is delegated by north, which was not allocated it"},
	} {
		h := newTestInstallation(t)
		h.endow()
		h.delegate("acacia", 1)
		h.delegate("baobab", 2)
		_, err := h.store.Update(store.Any, func(w store.Writer) error {
			for record, err := range w.Scan(named("delegation"), nil) {
				if err != nil {
					return err
				}
				if changed := bytes.ReplaceAll(record.Value, []byte("102.16.2.0/24"), []byte(c[1])); !bytes.Equal(changed, record.Value) {
					return w.Put(named("delegation"), bytes.Clone(record.Key), changed)
				}
			}
			return errors.New("there is nothing to break")
		})
		must(t, err)
		h.deposit(true)
		_, err = Open(h.folder, h.identity, h.signer)
		if fault.KindOf(err) != fault.Corrupt || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("what breaks the rules is refused as (%s) %v", fault.KindOf(err), err)
		}
	}
}

// TestNoKeys looks for every secret of the store in what is decrypted.
func TestNoKeys(t *testing.T) {
	h := newTestInstallation(t)
	h.endow()
	h.delegate("acacia", 1)
	h.settle()
	h.deposit(false)
	h.delegate("baobab", 2)
	h.settle()
	h.deposit(false)

	r, err := Verify(h.folder, h.signer)
	must(t, err)
	if r.Deposits[0].Objects < 10 {
		t.Fatalf("only %d objects are deposited", r.Deposits[0].Objects)
	}
	var all []byte
	for _, o := range r.chain {
		file, err := os.Open(o.path)
		must(t, err)
		plain, err := age.Decrypt(io.NewSectionReader(file, int64(len(magic)), o.Size), h.identity.secret)
		must(t, err)
		unpacked, err := gzip.NewReader(plain)
		must(t, err)
		text, err := io.ReadAll(unpacked)
		must(t, err)
		raw, err := os.ReadFile(o.path)
		must(t, err)
		all = append(append(all, text...), raw...)
		must(t, file.Close())
	}
	looked := 0
	absent := func(what string, secret []byte) {
		looked++
		for _, form := range [][]byte{secret, []byte(hex.EncodeToString(secret)), []byte(base64.StdEncoding.EncodeToString(secret)), []byte(base64.StdEncoding.EncodeToString(secret[1 : len(secret)-2]))} {
			if bytes.Contains(all, form) {
				t.Errorf("%s is in a deposit", what)
			}
		}
	}
	must(t, h.store.View(func(r store.Reader) error {
		for record, err := range r.Scan(named("key"), nil) {
			if err != nil {
				return err
			}
			absent("the key "+string(record.Key), record.Value)
		}
		for _, name := range []string{"vault", "identity"} {
			secret, err := r.Get(named("engine"), []byte(name))
			if err != nil {
				return err
			}
			absent("the "+name, secret)
		}
		return nil
	}))
	if looked < 5 {
		t.Errorf("only %d secrets were looked for", looked)
	}
	if !bytes.Contains(all, []byte("acacia")) {
		t.Error("what is looked into has nothing in it")
	}
}

// TestCrashes leaves what crashes at each step leave. What follows is always one whole chain.
func TestCrashes(t *testing.T) {
	h := newTestInstallation(t)
	h.deposit(false)
	index := indexPath(h.data, h.folder)
	before, err := os.ReadFile(index)
	must(t, err)

	// while the deposit is written, and its index beside it
	must(t, os.WriteFile(filepath.Join(h.folder, partial), []byte(magic+"half"), 0o600))
	must(t, os.WriteFile(index+".entries", []byte("half"), 0o600))
	must(t, os.WriteFile(index+".new", []byte("half"), 0o600))
	if d := h.deposit(false); d.Kind != Incremental || d.Number != 2 {
		t.Errorf("a crash while it was written is followed by deposit %d, %s", d.Number, d.Kind)
	}
	// between the deposit and its index
	must(t, os.WriteFile(index, before, 0o600))
	if d := h.deposit(false); d.Kind != Full || d.Number != 3 {
		t.Errorf("a deposit without its index is followed by deposit %d, %s", d.Number, d.Kind)
	}
	// the data directory lost its index, or the disk damaged it
	must(t, os.Remove(index))
	if d := h.deposit(false); d.Kind != Full || d.Number != 4 {
		t.Errorf("a lost index is followed by deposit %d, %s", d.Number, d.Kind)
	}
	text, err := os.ReadFile(index)
	must(t, err)
	for _, at := range []int{0, len(text) / 2, len(text) - 1} {
		bad := bytes.Clone(text)
		bad[at] ^= 1
		must(t, os.WriteFile(index, bad, 0o600))
		if d := h.deposit(false); d.Kind != Full {
			t.Errorf("an index that is damaged at %d is followed by an %s deposit", at, d.Kind)
		}
		text, err = os.ReadFile(index)
		must(t, err)
	}
	if d := h.deposit(false); d.Kind != Incremental {
		t.Errorf("a good index is followed by a %s deposit", d.Kind)
	}
	same(t, h.read(h.folder), h.inStore())

	// another successor can't use the difference to what it cannot read
	other, err := age.GenerateX25519Identity()
	must(t, err)
	d, err := Deposit(t.Context(), h.engine, Options{Folder: h.folder, Recipient: other.Recipient().String()})
	must(t, err)
	if d.Kind != Full {
		t.Errorf("another successor gets an %s deposit first", d.Kind)
	}
	h.deposit(false)
	d = h.deposit(false)
	if d.Kind != Incremental {
		t.Errorf("after it comes a %s deposit", d.Kind)
	}
	// what was taken away is missed, and the chain goes on where it was
	must(t, os.Remove(d.File))
	d = h.deposit(false)
	if d.Kind != Full {
		t.Errorf("what was taken away is followed by an %s deposit", d.Kind)
	}
	if _, err := Verify(h.folder, h.signer); fault.KindOf(err) != fault.Corrupt || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("a deposit that was taken away: %v", err)
	}
}

// TestRefusals checks when no deposit is made, and that nothing is left behind then.
func TestRefusals(t *testing.T) {
	h := newTestInstallation(t)
	h.deposit(false)
	refused := func(kind fault.Kind, o Options) {
		t.Helper()
		if _, err := Deposit(t.Context(), h.engine, o); fault.KindOf(err) != kind {
			t.Errorf("it is refused as (%s) %v, and not as %s", fault.KindOf(err), err, kind)
		}
	}
	refused(fault.BadInput, Options{Folder: "relative", Recipient: h.recipient})
	refused(fault.BadInput, Options{Folder: h.folder, Recipient: "age1"})
	unlock, err := lock(h.folder)
	must(t, err)
	refused(fault.Busy, Options{Folder: h.folder, Recipient: h.recipient})
	unlock()
	other := newTestInstallation(t)
	refused(fault.Conflict, Options{Folder: deposited1(t, other), Recipient: h.recipient})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Deposit(ctx, h.engine, Options{Folder: h.folder, Recipient: h.recipient}); !errors.Is(err, context.Canceled) {
		t.Errorf("one that is interrupted: %v", err)
	}
	files, err := os.ReadDir(h.folder)
	must(t, err)
	if len(files) != 1 {
		t.Errorf("%d files are there after refusals", len(files))
	}
	e := h.engine
	h.open(nil)
	if _, err := Deposit(t.Context(), h.engine, Options{Folder: h.folder, Recipient: h.recipient}); fault.KindOf(err) != fault.Secret {
		t.Errorf("without the keys: %v", err)
	}
	h.engine = e
	// a disk that is full
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	_, err = h.store.Update(store.Any, func(w store.Writer) error {
		noise := make([]byte, 1<<23) // more than the limit, which leaves room for what the test's own program writes
		_, _ = rand.Read(noise)
		return w.Put(named("notice"), []byte("noise"), noise)
	})
	must(t, err)
	must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 22, Max: limit.Max}))
	_, err = Deposit(t.Context(), h.engine, Options{Folder: h.folder, Recipient: h.recipient})
	must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
	if fault.KindOf(err) != fault.Storage {
		t.Errorf("a disk that is full: (%s) %v", fault.KindOf(err), err)
	}
	if d := h.deposit(false); d.Number != 2 || d.Kind != Incremental {
		t.Errorf("after it deposit %d, %s, is made", d.Number, d.Kind)
	}
}

// deposited1 is the folder of an installation after one deposit.
func deposited1(t *testing.T, h *testInstallation) string {
	t.Helper()
	h.deposit(false)
	return h.folder
}
