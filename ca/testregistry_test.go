package ca

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/principal"
	"cadastre/internal/relying/sandbox"
	"cadastre/internal/relyingtest"
	"cadastre/internal/store"
	"cadastre/internal/treetest"
	"cadastre/keys"
	"cadastre/roa"
)

var secret, anchorSecret = []byte("a passphrase"), []byte("another one")

// testPolicy is the default with keys that cost nothing.
func testPolicy() Policy {
	p := DefaultPolicy()
	p.Algorithm, p.Soak = object.P256, 0
	p.RsyncBase, p.RRDPBase, p.AnchorURL = "rsync://rpki.example/", "https://rpki.example/rrdp/", "https://rpki.example/ta/ta.cer"
	return p
}

// testRegistry is the test registry of tests that need the inside of this package; all others have internal/registrytest. It is an installation with an engine, and a relying party that reads each serial as it comes out. It lives in a
// bubble of testing/synctest, so that serials and manifests take no real time.
type testRegistry struct {
	rapid.TB
	dir    string
	policy Policy
	store  store.Store
	engine *Engine
	reader *relyingtest.Reader
	log    *bytes.Buffer
	seal   func() // ends the engine's pool

	unmount  func() // takes back what was mounted in the test registry, if set
	restored bool   // the next start is told that it is a restored backup
}

// seeds are data directories as a first start leaves them, by their host and tree: to make an identity's keys takes longer than most tests.
var seeds = struct {
	sync.Mutex
	of map[string]string
}{of: map[string]string{}}

// memoryDisk is where Linux has a file system in memory. These tests write and sync tens of thousands of small files; that
// they reach a disk is not what is tested.
const memoryDisk = "/dev/shm"

func TestMain(m *testing.M) {
	sandbox.Main()
	keys.NewCost = keys.Cost{Time: 1, MemoryKiB: 8, Threads: 1}
	if at, err := os.MkdirTemp(memoryDisk, "cadastre-"); err == nil {
		defer func() { _ = os.RemoveAll(at) }()
		_ = os.Setenv("TMPDIR", at)
	}
	defer func() {
		for _, dir := range seeds.of {
			_ = os.RemoveAll(dir)
		}
	}()
	m.Run()
}

// sown is the data directory of a new installation of a tree.
func sown(t rapid.TB, tree string, policy Policy) (dir string) {
	t.Helper()
	seeds.Lock()
	defer seeds.Unlock()
	if dir := seeds.of[policy.RsyncBase+tree]; dir != "" {
		return dir
	}
	dir, err := os.MkdirTemp("", "cadastre-seed-")
	must(t, err)
	st, err := store.Open(filepath.Join(dir, "store"), store.Options{Create: true, NoSync: true})
	must(t, err)
	defer func() { _ = st.Close() }()
	orgs, err := holdings.ParseTree([]byte(tree))
	must(t, err)
	must(t, Init(st, dir, policy, orgs, secret, anchorSecret, principal.Principal{Name: "tester"}))
	e, err := Open(st, dir, policy, slog.New(slog.DiscardHandler))
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	must(t, e.CheckHighWater(false))
	must(t, e.Unseal(ctx, secret, anchorSecret, 1))
	cancel()
	e.pool.Wait()
	seeds.of[policy.RsyncBase+tree] = dir
	return dir
}

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newTestRegistry is a new installation of a tree. Nothing is issued yet.
func newTestRegistry(t rapid.TB, dir, tree string) *testRegistry {
	t.Helper()
	return newTestRegistryWith(t, dir, tree, testPolicy())
}

func newTestRegistryWith(t rapid.TB, dir, tree string, policy Policy) *testRegistry {
	t.Helper()
	h := &testRegistry{TB: t, dir: filepath.Join(dir, "data"), policy: policy, log: &bytes.Buffer{}}
	from := sown(t, tree, policy)
	must(t, os.CopyFS(h.dir, os.DirFS(from)))
	mark, err := os.ReadFile(HighWaterPath(from))
	must(t, err)
	must(t, os.WriteFile(HighWaterPath(h.dir), mark, 0o600))
	h.openStore()
	h.open(anchorSecret)
	return h
}

func (h *testRegistry) openStore() {
	h.Helper()
	st, err := store.Open(filepath.Join(h.dir, "store"), store.Options{NoSync: true})
	must(h, err)
	h.store = st
}

// open makes an engine of what is on disk, as at a start, with its keys open. Without its passphrase the trust anchor is offline.
func (h *testRegistry) open(anchor []byte) {
	h.Helper()
	e, err := Open(h.store, h.dir, h.policy, slog.New(slog.NewTextHandler(h.log, nil)))
	must(h, err)
	must(h, e.CheckHighWater(h.restored))
	e.CheckClock(time.Now())
	ctx, cancel := context.WithCancel(context.Background())
	must(h, e.Unseal(ctx, secret, anchor, 1))
	h.engine = e
	h.seal = func() {
		cancel()
		e.pool.Wait()
	}
	if h.reader == nil {
		h.reader = relyingtest.New(h, e.ledger.Root())
	}
	e.Observer = h.reader
	h.reader.Follow(e, h.restored)
}

// reopen abandons the engine as a crash does, and starts another on the same store and directory.
func (h *testRegistry) reopen() {
	h.Helper()
	h.seal()
	h.open(anchorSecret)
}

// close ends everything that the test registry has running.
func (h *testRegistry) close() {
	h.seal()
	_ = h.store.Close()
	if h.unmount != nil {
		h.unmount()
	}
}

// runAlone runs the engine without what runs beside it, with another check of the clock.
func (h *testRegistry) runAlone(ctx context.Context, believes func(time.Time) error) error {
	h.engine.loop.Believes = believes
	h.engine.loop.Run(ctx)
	return nil
}

func (h *testRegistry) by() holdings.By {
	return holdings.By{Who: principal.Principal{Name: "tester"}, Reason: "a test", Time: time.Now()}
}

// waitsOn checks the list of waits that end through somebody: kind, whose, and resources where a wait has them, as in
// "child isp 41.0.0.0/16".
func (h *testRegistry) waitsOn(who Party, want ...string) {
	h.Helper()
	var got []string
	for _, w := range h.engine.Waits() {
		if w.On == who {
			got = append(got, strings.TrimSpace(strings.TrimSuffix(fmt.Sprintf("%s %s %s", w.Kind, w.Of, w.Resources), " none")))
		}
	}
	if !slices.Equal(got, want) {
		h.Errorf("on %s it waits for %q, not %q", who, got, want)
	}
}

// settle has the engine do all that is due, and checks that what is published is what is wanted.
func (h *testRegistry) settle() {
	h.Helper()
	must(h, h.engine.Settle(context.Background()))
	h.complete()
}

// complete checks that the relying party reads exactly what ledger and book ask for, and what the engine says it issued.
func (h *testRegistry) complete() {
	h.Helper()
	if h.reader.Failed() {
		h.FailNow()
	}
	h.reader.Orphans()
	h.recounted()
	got, want := h.reader.VRPs(), slices.Sorted(maps.Keys(h.wanted()))
	if !slices.Equal(got, want) {
		h.Fatalf("a validator finds the VRPs\n\t%s\nand should find\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
	said, err := h.engine.VRPs()
	must(h, err)
	if !slices.Equal(said, got) {
		h.Fatalf("the engine says that it issued\n\t%s\nand a validator finds\n\t%s", strings.Join(said, "\n\t"), strings.Join(got, "\n\t"))
	}
	must(h, h.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		for _, holder := range l.Organisations() {
			is, err := h.engine.issued.Read(h.engine.active(issued.Name{Holder: holder}))
			switch holding := l.Holding(holder); {
			case err != nil:
				return err
			case is == nil && !holding.Empty() && h.engine.snapshot(time.Now()).CertifiesItself(holder):
				return fmt.Errorf("%s holds %s and has no certificate", holder, holding)
			case is != nil && !is.Certified.Equal(holding):
				return fmt.Errorf("%s holds %s and its certificate names %s", holder, holding, is.Certified)
			}
		}
		return nil
	}))
}

// wanted is the VRPs that ledger and book ask for.
func (h *testRegistry) wanted() map[string]bool {
	h.Helper()
	want := map[string]bool{}
	must(h, h.engine.Read(func(l *holdings.Ledger, b *roa.Book) error {
		for _, holder := range l.Organisations() {
			for _, v := range append(b.VRPs(holder, l.Holding(holder)), b.Ahead(holder, l.Holding(holder), l.Leaving(holder))...) {
				want[v.String()] = true
			}
		}
		return nil
	}))
	return want
}

// decided has the relying party insist, from now on, on the VRPs that were wanted before a decision and still are.
func (h *testRegistry) decided(effect *Effect, err error) *Effect {
	h.Helper()
	must(h, err)
	h.reader.Insist(h.wanted())
	return effect
}

func (h *testRegistry) give(to, what string) *Effect {
	h.Helper()
	return h.decided(h.engine.Delegate(h.by(), holdings.Delegation{To: to, Resources: resources(h, what), Status: holdings.Allocated, Ground: "contract"}, Consent{}))
}

// take revokes, past the brake if need be.
func (h *testRegistry) take(from, what string) *Effect {
	h.Helper()
	dry, err := h.engine.Revoke(h.by(), from, resources(h, what), Consent{DryRun: true})
	must(h, err)
	return h.decided(h.engine.Revoke(h.by(), from, resources(h, what), Consent{Code: dry.Code}))
}

// intend adds intents, a line each.
func (h *testRegistry) intend(csv string) *Effect {
	h.Helper()
	rows, err := roa.ParseCSV("announcements.csv", strings.NewReader(csv))
	must(h, err)
	return h.decided(h.engine.AddIntents(rows, roa.Options{File: "announcements.csv", By: holdings.By{Who: principal.Principal{Name: "tester"}, Time: time.Now()}}, Consent{}))
}

// extended writes a registry's file of a day of June 2026: a record a line, without the registry.
func extended(t rapid.TB, registry string, day int, records string) *holdings.File {
	t.Helper()
	var body strings.Builder
	counts, n := map[string]int{}, 0
	for line := range strings.Lines(records) {
		if line = strings.TrimSpace(line); line != "" {
			counts[strings.Split(line, "|")[1]]++
			n++
			fmt.Fprintf(&body, "%s|%s\n", registry, line)
		}
	}
	text := fmt.Sprintf("2.3|%s|%d|%d|19930101|202606%02d|+0000\n", registry, day, n, day)
	for _, kind := range []string{"asn", "ipv4", "ipv6"} {
		text += fmt.Sprintf("%s|*|%s|*|%d|summary\n", registry, kind, counts[kind])
	}
	f, err := holdings.ReadFile(registry+".txt", strings.NewReader(text+body.String()))
	must(t, err)
	return f
}

// imports takes files, past the brake if need be.
func (h *testRegistry) imports(files ...*holdings.File) *Effect {
	h.Helper()
	dry, err := h.engine.Import(h.by(), files, holdings.ImportOptions{}, Consent{DryRun: true})
	must(h, err)
	return h.decided(h.engine.Import(h.by(), files, holdings.ImportOptions{}, Consent{Code: dry.Code}))
}

// lease is a delegation to an organisation.
func lease(t rapid.TB, to, what string) holdings.Delegation {
	t.Helper()
	return holdings.Delegation{To: to, Resources: resources(t, what), Status: holdings.Allocated, Ground: "contract"}
}

const year = 365 * day

const forest = treetest.Forest

func resources(t rapid.TB, text string) inr.Set {
	t.Helper()
	s, err := inr.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
