// Package registrytest is a test registry: an installation with an engine, and a relying party that reads each serial as it comes
// out. All rooms above ca test on it, by the doors that ca has for everybody. It is for tests alone.
//
// A registry lives in a bubble of testing/synctest, so that serials, manifests and soaks take no real time.
package registrytest

import (
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
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"cadastre/aspa"
	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/intents"
	"cadastre/internal/object"
	"cadastre/internal/principal"
	"cadastre/internal/relying"
	"cadastre/internal/relying/sandbox"
	"cadastre/internal/relyingtest"
	"cadastre/internal/store"
	"cadastre/internal/storetest"
	"cadastre/internal/treetest"
	"cadastre/keys"
	"cadastre/roa"
)

// Registries is a tree with two registries, one with an NIR.
const Registries = treetest.Registries

var passphrase, anchorPassphrase = []byte("a passphrase"), []byte("another one")

// Registry is an installation with its keys open, and the relying party that follows it.
type Registry struct {
	rapid.TB
	dir    string
	policy ca.Policy
	store  store.Store
	engine *ca.Engine
	reader *relyingtest.Reader
	end    func() // ends what the engine has running
}

// memoryDisk is where Linux has a file system in memory. Tests write and sync tens of thousands of small files; that they
// reach a disk is not what is tested.
const memoryDisk = "/dev/shm"

// Main is the TestMain of a package that tests on registries: m.Run in a memory disk, with passphrases that cost nothing to check.
func Main(m *testing.M) {
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

// Policy is the default of a host, with keys that cost nothing to make.
func Policy(host string) ca.Policy {
	p := ca.DefaultPolicy()
	p.Algorithm, p.Soak = object.P256, 0
	p.RsyncBase, p.RRDPBase, p.AnchorURL = "rsync://"+host+"/", "https://"+host+"/rrdp/", "https://"+host+"/ta/ta.cer"
	return p
}

// Run runs a test in a bubble, on a new registry of a tree with a soak between repositories.
func Run(t *testing.T, tree string, soak time.Duration, test func(*Registry)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		policy := Policy("rpki.example")
		policy.Soak = soak
		r := New(t, tree, policy)
		defer r.Close()
		test(r)
	})
}

// RunSeveral runs a test in a bubble, on new registries, each of a tree and with hosts of its own: 0.example, 1.example.
func RunSeveral(t *testing.T, soak time.Duration, test func([]*Registry), trees ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var all []*Registry
		for i, tree := range trees {
			host := fmt.Sprintf("%d.example", i)
			policy := Policy(host)
			policy.Soak, policy.ServiceBase = soak, "https://"+host+"/"
			r := New(t, tree, policy)
			defer r.Close()
			all = append(all, r)
		}
		test(all)
	})
}

// seeds are data directories as a first start leaves them, by their host and tree: to make an identity's keys takes longer than most tests.
var seeds = struct {
	sync.Mutex
	of map[string]string
}{of: map[string]string{}}

func seed(t testing.TB, tree string, policy ca.Policy) (dir string) {
	t.Helper()
	seeds.Lock()
	defer seeds.Unlock()
	if dir := seeds.of[policy.RsyncBase+tree]; dir != "" {
		return dir
	}
	at, err := os.MkdirTemp("", "cadastre-seed-")
	ok(t, err)
	dir = filepath.Join(at, "data")
	ok(t, os.Mkdir(dir, 0o700))
	st, err := store.Open(filepath.Join(dir, "store"), store.Options{Create: true, NoSync: true})
	ok(t, err)
	defer func() { _ = st.Close() }()
	orgs, err := holdings.ParseTree([]byte(tree))
	ok(t, err)
	ok(t, ca.Init(st, dir, policy, orgs, passphrase, anchorPassphrase, principal.Principal{Name: "tester"}))
	e, err := ca.Open(st, dir, policy, slog.New(slog.DiscardHandler))
	ok(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ok(t, e.CheckHighWater(false))
	ok(t, e.Unseal(ctx, passphrase, anchorPassphrase, 1))
	seeds.of[policy.RsyncBase+tree] = dir
	return dir
}

// New is a new registry of a tree. Nothing is issued yet. The caller closes it.
func New(t testing.TB, tree string, policy ca.Policy) *Registry {
	t.Helper()
	r := &Registry{TB: t, dir: filepath.Join(t.TempDir(), "data"), policy: policy}
	from := seed(t, tree, policy)
	ok(t, os.CopyFS(r.dir, os.DirFS(from)))
	mark, err := os.ReadFile(ca.HighWaterPath(from))
	ok(t, err)
	ok(t, os.WriteFile(ca.HighWaterPath(r.dir), mark, 0o600))
	r.store, err = store.Open(filepath.Join(r.dir, "store"), store.Options{NoSync: true})
	ok(t, err)
	r.open()
	return r
}

// open makes an engine of what is on disk, as at a start, with its keys open.
func (r *Registry) open() {
	r.Helper()
	e, err := ca.Open(r.store, r.dir, r.policy, slog.New(slog.DiscardHandler))
	r.OK(err)
	r.OK(e.CheckHighWater(false))
	e.CheckClock(time.Now())
	ctx, cancel := context.WithCancel(context.Background())
	r.OK(e.Unseal(ctx, passphrase, anchorPassphrase, 1))
	r.engine, r.end = e, cancel
	if r.reader == nil {
		l, _ := r.Ledger()
		r.reader = relyingtest.New(r, l.Root())
	}
	e.Observer = r.reader
	r.reader.Follow(e, false)
}

// Reopen abandons the engine as a crash does, and starts another on the same store and directory.
func (r *Registry) Reopen() {
	r.Helper()
	r.end()
	r.open()
}

// Close ends everything that the registry has running.
func (r *Registry) Close() {
	r.end()
	_ = r.store.Close()
}

// Fragile has the store fail when a test says so, as soon as the registry is reopened.
func (r *Registry) Fragile() *storetest.Fragile {
	f := &storetest.Fragile{Store: r.store}
	r.store = f
	return f
}

// Engine is the one that is open now.
func (r *Registry) Engine() *ca.Engine { return r.engine }

// Dir is the data directory.
func (r *Registry) Dir() string { return r.dir }

// By is the actor of decisions in tests.
func (r *Registry) By() holdings.By {
	return holdings.By{Who: principal.Principal{Name: "tester"}, Reason: "a test", Time: time.Now()}
}

// Set reads resources.
func (r *Registry) Set(text string) inr.Set {
	r.Helper()
	s, err := inr.Parse(text)
	r.OK(err)
	return s
}

// Ledger is the ledger and the book of intents, as they are now.
func (r *Registry) Ledger() (l *holdings.Ledger, b *roa.Book) {
	r.Helper()
	r.OK(r.engine.Read(func(ledger *holdings.Ledger, book *roa.Book) error {
		l, b = ledger, book
		return nil
	}))
	return l, b
}

// Records is how many records the store has in a bucket.
func (r *Registry) Records(bucket string) (n int) {
	r.Helper()
	in, known := store.Named(bucket)
	if !known {
		r.Fatalf("no bucket %q is declared", bucket)
	}
	r.OK(r.engine.Kept(func(kept store.Reader) error {
		for _, err := range kept.Scan(in, nil) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	}))
	return n
}

// Settle has the engine do all that can be done now.
func (r *Registry) Settle() {
	r.Helper()
	r.OK(r.engine.Settle(context.Background()))
}

// Complete checks that the relying party reads exactly what ledger and book ask for, and what the engine says it issued.
func (r *Registry) Complete() {
	r.Helper()
	if r.reader.Failed() {
		r.FailNow()
	}
	r.reader.Orphans()
	l, b := r.Ledger()
	got, want := r.reader.VRPs(), slices.Sorted(maps.Keys(wanted(l, b)))
	if !slices.Equal(got, want) {
		r.Fatalf("a validator finds\n\t%s\nand should find\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
	said, err := r.engine.VRPs()
	r.OK(err)
	aspas, err := r.engine.Lines(aspa.Kind, true)
	r.OK(err)
	said = append(said, aspas...)
	slices.Sort(said)
	if !slices.Equal(said, got) {
		r.Fatalf("the engine says that it issued\n\t%s\nand a validator finds\n\t%s", strings.Join(said, "\n\t"), strings.Join(got, "\n\t"))
	}
	for _, holder := range l.Organisations() {
		_, delegated := r.engine.Delegated(holder)
		here := !delegated || b.Wants(holder) > 0 || len(l.Children(holder)) > 0
		switch certified, holding := r.Certified(holder), l.Holding(holder).String(); {
		case certified == "" && holding != "" && here:
			r.Fatalf("%s holds %s and has no certificate", holder, holding)
		case certified != "" && certified != holding:
			r.Fatalf("%s holds %s and its certificate names %s", holder, holding, certified)
		}
	}
}

// wanted is the VRPs and ASPAs that ledger and book ask for.
func wanted(l *holdings.Ledger, b *roa.Book) map[string]bool {
	want := map[string]bool{}
	for _, holder := range l.Organisations() {
		for _, v := range append(b.VRPs(holder, l.Holding(holder)), b.Ahead(holder, l.Holding(holder), l.Leaving(holder))...) {
			want[v.String()] = true
		}
		for _, v := range intents.AllAuthorised(b.Objects.Of(holder), l.Holding(holder)) {
			want[v.String()] = true
		}
	}
	return want
}

// Certified is what the certificate of an organisation's authority here names; "" where it has none.
func (r *Registry) Certified(holder string) string {
	r.Helper()
	l, _ := r.Ledger()
	if _, there := l.Organisation(holder); !there {
		return ""
	}
	list, err := r.engine.Keys(holder)
	r.OK(err)
	for _, key := range list {
		if key.State == "active" {
			return key.Resources.String()
		}
	}
	return ""
}

// VRPs is what the relying party found last, ASPAs too, as 'cadastre vrps' and 'cadastre aspas' print it, sorted.
func (r *Registry) VRPs() []string { return r.reader.VRPs() }

// Failed tells whether the relying party found anything wrong so far.
func (r *Registry) Failed() bool { return r.reader.Failed() }

// Insist has the relying party miss nothing from now on that was wanted and is, but for what ends by itself.
func (r *Registry) Insist() {
	r.Helper()
	l, b := r.Ledger()
	want := wanted(l, b)
	for _, holder := range b.Holders() {
		for _, in := range b.Of(holder) {
			if vrps, _ := roa.Authorised(in, l.Holding(holder)); !in.Until.IsZero() {
				for _, v := range vrps {
					delete(want, v.String())
				}
			}
		}
	}
	for in := range b.Objects.All() {
		if !in.Until.IsZero() {
			delete(want, in.Says.String())
		}
	}
	r.reader.Insist(want)
}

// Seen is what a relying party finds that has just fetched everything below our trust anchor.
func (r *Registry) Seen() *relying.Report {
	r.reader.Read("a look")
	last := r.reader.Last()
	report := &relying.Report{At: time.Now().UTC(), Authorities: last.Authorities, VRPs: last.VRPs}
	for registry := range r.engine.Repositories() {
		report.Repositories = append(report.Repositories, relying.Repository{URI: r.policy.RRDPBase + registry + "/notification.xml", How: relying.HowDeltas})
	}
	return report
}

// OK ends the test where something went wrong.
func (r *Registry) OK(err error) {
	r.Helper()
	ok(r, err)
}

func ok(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
