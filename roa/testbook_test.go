package roa_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/principal"
	"cadastre/internal/store"
	"cadastre/roa"
)

const tree = `
[[organisation]]
handle = "iana"
kind = "root"

[[organisation]]
handle = "afrinic"
parent = "iana"
kind = "rir"

[[organisation]]
handle = "isp"
parent = "afrinic"
kind = "lir"

[[organisation]]
handle = "shop"
parent = "isp"
kind = "enduser"

[[organisation]]
handle = "other"
parent = "afrinic"
kind = "lir"
`

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

var decided = holdings.By{Who: principal.Principal{Name: "tester"}, Reason: "a test", Time: noon}

// testBook is a ledger and a book with their store.
type testBook struct {
	testing.TB
	store  store.Store
	ledger *holdings.Ledger
	book   *roa.Book
}

func newTestBook(t testing.TB) *testBook {
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
	if _, err := s.Update(store.Any, func(w store.Writer) error { return holdings.Create(w, orgs, principal.Principal{Name: "tester"}, noon) }); err != nil {
		t.Fatal(err)
	}
	h := &testBook{TB: t, store: s}
	h.view(func(r store.Reader) (err error) {
		h.ledger, err = holdings.Load(r)
		return err
	})
	h.book = h.reload()
	return h
}

func (h *testBook) view(fn func(store.Reader) error) {
	h.Helper()
	if err := h.store.View(fn); err != nil {
		h.Fatal(err)
	}
}

func (h *testBook) reload() (b *roa.Book) {
	h.Helper()
	h.view(func(r store.Reader) (err error) {
		b, err = roa.Load(r)
		return err
	})
	return b
}

// decide makes an outcome of the ledger so.
func (h *testBook) decide(o *holdings.Outcome, err error) {
	h.Helper()
	if err == nil {
		_, err = h.store.Update(store.Any, o.Write)
	}
	if err != nil {
		h.Fatal(err)
	}
	h.ledger.Apply(o)
}

func (h *testBook) give(to, resources string) {
	h.Helper()
	h.decide(h.ledger.Delegate(decided, holdings.Delegation{To: to, Resources: set(h, resources), Status: holdings.Allocated, Ground: "contract"}))
}

// want makes an outcome of the book so.
func (h *testBook) want(o *roa.Outcome, err error) *roa.Outcome {
	h.Helper()
	if err == nil {
		_, err = h.store.Update(store.Any, o.Write)
	}
	if err != nil {
		h.Fatal(err)
	}
	h.book.Apply(o)
	return o
}

func set(t testing.TB, text string) inr.Set {
	t.Helper()
	s, err := inr.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func rows(t testing.TB, text string) []roa.Row {
	t.Helper()
	list, err := roa.ParseCSV("rows.csv", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// furnished is a testBook in which a /8 goes down to three holders.
func furnished(t testing.TB) *testBook {
	h := newTestBook(t)
	h.give("afrinic", "41.0.0.0/8, 2c00::/12")
	h.give("isp", "41.0.0.0/16, 2c00:1::/32")
	h.give("shop", "41.0.0.0/20")
	h.give("other", "41.1.0.0/17")
	return h
}

var fromFile = roa.Options{File: "rows.csv", By: holdings.By{Who: principal.Principal{Name: "tester"}, Time: noon}}

// sharedFile is one of the real inputs, or the test is skipped.
func sharedFile(t testing.TB, path ...string) *bytes.Reader {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{"..", "..", "shared", "data"}, path...)...))
	if err != nil {
		t.Skipf("the real inputs are not here: %v", err)
	}
	return bytes.NewReader(data)
}

// imports takes one of the real registries.
func (h *testBook) imports(name string) {
	h.Helper()
	f, err := holdings.ReadFile(name, sharedFile(h, "registries", name))
	if err != nil {
		h.Fatal(err)
	}
	h.decide(h.ledger.Import(decided, []*holdings.File{f}, holdings.ImportOptions{}))
}
