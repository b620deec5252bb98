package holdings_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/principal"
	"cadastre/internal/store"
	"cadastre/internal/treetest"
)

const world = treetest.Registries + `
[[organisation]]
handle = "nic.mx"
parent = "lacnic"
kind = "nir"
countries = ["MX"]
`

const (
	afrinic2023 = "delegated-afrinic-extended-20230324.gz"
	afrinic2026 = "delegated-afrinic-extended-20260505.gz"
	lacnic2024  = "delegated-lacnic-extended-20240106.gz"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func by(reason string) holdings.By {
	return holdings.By{Who: principal.Principal{Name: "tester"}, Reason: reason, Time: noon}
}

// registryFile is one of the real files, or the test is skipped.
func registryFile(t testing.TB, name string) *holdings.File {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "shared", "data", "registries", name))
	if err != nil {
		t.Skipf("the real registries are not here: %v", err)
	}
	f, err := holdings.ReadFile(name, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// testLedger is a ledger with its store, which must agree.
type testLedger struct {
	testing.TB
	store  store.Store
	ledger *holdings.Ledger
}

func newTestLedger(t testing.TB, tree string) *testLedger {
	t.Helper()
	orgs, err := holdings.ParseTree([]byte(tree))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(filepath.Join(t.TempDir(), "store"), store.Options{Create: true, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	h := &testLedger{TB: t, store: s}
	if _, err := s.Update(store.Any, func(w store.Writer) error { return holdings.Create(w, orgs, principal.Principal{Name: "tester"}, noon) }); err != nil {
		t.Fatal(err)
	}
	h.ledger = h.reload()
	return h
}

func (h *testLedger) reload() *holdings.Ledger {
	h.Helper()
	var l *holdings.Ledger
	err := h.store.View(func(r store.Reader) (err error) {
		l, err = holdings.Load(r)
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
	return l
}

// commit writes and applies what was resolved.
func (h *testLedger) commit(o *holdings.Outcome, err error) *holdings.Outcome {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
	if _, err := h.store.Update(store.Any, o.Write); err != nil {
		h.Fatal(err)
	}
	h.ledger.Apply(o)
	return o
}

func (h *testLedger) imports(names ...string) *holdings.Outcome {
	h.Helper()
	var files []*holdings.File
	for _, name := range names {
		files = append(files, registryFile(h, name))
	}
	return h.commit(h.ledger.Import(by("import"), files, holdings.ImportOptions{}))
}

func (h *testLedger) sameAs(other *holdings.Ledger) {
	h.Helper()
	same(h, h.ledger, other)
}

// same checks that two ledgers say the same of every organisation.
func same(t rapid.TB, one, other *holdings.Ledger) {
	t.Helper()
	handles := one.Organisations()
	if !slices.Equal(handles, other.Organisations()) {
		t.Fatal("the ledgers have different organisations")
	}
	for _, handle := range handles {
		if a, b := one.Holding(handle), other.Holding(handle); !a.Equal(b) {
			t.Fatalf("%s holds %s in one ledger and %s in the other", handle, a, b)
		}
		if a, b := text(t, one.Delegations(handle)), text(t, other.Delegations(handle)); a != b {
			t.Fatalf("%s has %s in one ledger and %s in the other", handle, a, b)
		}
		if one.Moving(handle) != other.Moving(handle) || !one.Leaving(handle).Equal(other.Leaving(handle)) {
			t.Fatalf("%s moves in one ledger and not in the other", handle)
		}
	}
	if one.NextExpiry() != other.NextExpiry() || one.LastDecision() != other.LastDecision() {
		t.Fatal("the ledgers have different clocks")
	}
	if text(t, one.Transfers()) != text(t, other.Transfers()) || text(t, one.Unrest()) != text(t, other.Unrest()) {
		t.Fatal("the ledgers have different transfers")
	}
	if text(t, one.Policies()) != text(t, other.Policies()) {
		t.Fatal("the ledgers have different policies")
	}
}

// text is something as JSON, to be compared.
func text(t rapid.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// sound checks the rules on every organisation, with sums of its own.
func sound(t rapid.TB, l *holdings.Ledger) {
	t.Helper()
	for _, handle := range l.Organisations() {
		org, _ := l.Organisation(handle)
		var allocated []inr.Set
		for _, d := range l.Delegations(handle) {
			if d.Status == holdings.Allocated {
				allocated = append(allocated, d.Resources)
			}
			if d.From != org.Parent || d.To != handle || d.Ended != 0 || d.Resources.Empty() {
				t.Fatalf("delegation %d does not fit %s", d.ID, handle)
			}
		}
		may := inr.Sum(allocated...)
		if org.Kind == holdings.Root {
			may = inr.Everything()
		} else if found := holdings.Specials(l.Holding(handle)); len(found) > 0 {
			t.Fatalf("%s holds special-purpose space: %s", handle, found[0].Name)
		}
		var given, arriving []inr.Set
		for _, child := range l.Children(handle) {
			for _, d := range l.Delegations(child) {
				if !d.Incoming {
					given = append(given, d.Resources)
					continue
				}
				arriving = append(arriving, d.Resources)
				if moves := l.Transfer(d.Transfer); moves == nil || moves.State != holdings.Accepted || !moves.Resources.Contains(d.Resources) {
					t.Fatalf("%s gets %s by transfer %d, which is %+v", child, d.Resources, d.Transfer, moves)
				}
			}
		}
		all, coming := inr.Sum(given...), inr.Sum(arriving...)
		if !may.Contains(all.Union(coming)) {
			t.Fatalf("%s gave %s beyond what it was allocated", handle, all.Union(coming).Minus(may))
		}
		if size(given...) != size(all) || size(arriving...) != size(coming) {
			t.Fatalf("children of %s overlap", handle)
		}
		if both := all.Intersect(coming); !both.Empty() {
			overlapByTransfer(t, l, handle, both)
		}
	}
	for _, moves := range l.Transfers() {
		for _, other := range l.Transfers() {
			alone := moves.Asserted() || other.Asserted() // what one asserts alone holds up nobody
			if moves.ID < other.ID && !alone && !moves.State.Over() && !other.State.Over() && moves.Resources.Overlaps(other.Resources) {
				t.Fatalf("transfers %d and %d are both of %s", moves.ID, other.ID, moves.Resources.Intersect(other.Resources))
			}
		}
	}
}

// overlapByTransfer checks that what two children of an organisation hold is in transfers between the two.
func overlapByTransfer(t rapid.TB, l *holdings.Ledger, above string, both inr.Set) {
	t.Helper()
	for _, moves := range l.Unrest() {
		if giving, taking := l.Involved(moves); moves.State == holdings.Accepted && len(giving) > 0 && len(taking) > 0 {
			from, _ := l.Organisation(giving[0])
			if to, _ := l.Organisation(taking[0]); from.Parent == above && to.Parent == above {
				both = both.Minus(moves.Resources)
			}
		}
	}
	if !both.Empty() {
		t.Fatalf("children of %s both hold %s, which is in no transfer between them", above, both)
	}
}

// size counts numbers, which tells disjoint sets from overlapping ones.
func size(sets ...inr.Set) (n [3]uint64) {
	for _, s := range sets {
		v4, v6, as := s.Addresses()
		n[0], n[1], n[2] = n[0]+v4, n[1]+v6, n[2]+as
	}
	return n
}

func TestImportRealRegistries(t *testing.T) {
	h := newTestLedger(t, world)
	first := h.imports(afrinic2023)
	t.Logf("%+v, %d touched", first.Counts, len(first.After))
	if want := (holdings.Counts{Organisations: 2481, New: 8161}); first.Counts != want {
		t.Errorf("AFRINIC of 2023 gives %+v, want %+v", first.Counts, want)
	}
	again, err := h.ledger.Import(by("again"), []*holdings.File{registryFile(t, afrinic2023)}, holdings.ImportOptions{})
	if err != nil || !again.Empty() {
		t.Fatalf("the same file again is %v, %+v", err, again.Counts)
	}
	next := h.imports(afrinic2026)
	t.Logf("%+v, %d touched, %d losers", next.Counts, len(next.After), len(next.Losers()))
	lacnic := h.imports(lacnic2024)
	t.Logf("%+v, %d touched", lacnic.Counts, len(lacnic.After))
	h.sameAs(h.reload())
	sound(t, h.ledger)
	v4, v6, as := h.ledger.Holding("nic.br").Addresses()
	t.Log(v4, v6, as, h.ledger.Holding("afrinic"))
	if _, err := h.ledger.Import(by("old"), []*holdings.File{registryFile(t, afrinic2023)}, holdings.ImportOptions{}); err == nil {
		t.Error("an older file was taken")
	} else {
		t.Log(err)
	}
}

func BenchmarkImport(b *testing.B) {
	h := newTestLedger(b, world)
	for _, name := range []string{afrinic2023, lacnic2024} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f := registryFile(b, name)
				if _, err := h.ledger.Import(by("bench"), []*holdings.File{f}, holdings.ImportOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	h.imports(afrinic2023, lacnic2024)
	b.Run("load", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.reload()
		}
	})
}
