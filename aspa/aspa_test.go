package aspa_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cadastre/aspa"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/intents"
	"cadastre/internal/object"
	"cadastre/internal/principal"
	"cadastre/internal/store"
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
`

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// registry is a ledger and a book with their store: afrinic has AS36864-AS37887, isp AS37000-AS37009 of that, and shop AS37005.
type registry struct {
	testing.TB
	store  store.Store
	ledger *holdings.Ledger
	book   intents.Objects
}

func newRegistry(t testing.TB) *registry {
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
	r := &registry{TB: t, store: s}
	r.update(func(w store.Writer) error { return holdings.Create(w, orgs, principal.Principal{Name: "tester"}, noon) })
	r.view(func(v store.Reader) (err error) {
		r.ledger, err = holdings.Load(v)
		return err
	})
	for _, d := range []struct{ to, has string }{{"afrinic", "AS36864-AS37887"}, {"isp", "AS37000-AS37009"}, {"shop", "AS37005"}} {
		resources, err := inr.Parse(d.has)
		if err != nil {
			t.Fatal(err)
		}
		o, err := r.ledger.Delegate(holdings.By{Who: principal.Principal{Name: "tester"}, Reason: "a test", Time: noon}, holdings.Delegation{To: d.to, Resources: resources, Status: holdings.Allocated, Ground: "contract"})
		if err != nil {
			t.Fatal(err)
		}
		r.update(o.Write)
		r.ledger.Apply(o)
	}
	r.book = r.reload()
	return r
}

func (r *registry) update(fn func(store.Writer) error) {
	r.Helper()
	if _, err := r.store.Update(store.Any, fn); err != nil {
		r.Fatal(err)
	}
}

func (r *registry) view(fn func(store.Reader) error) {
	r.Helper()
	if err := r.store.View(fn); err != nil {
		r.Fatal(err)
	}
}

func (r *registry) reload() (b intents.Objects) {
	r.view(func(v store.Reader) (err error) {
		b, err = intents.LoadObjects(v)
		return err
	})
	return b
}

// change reads what is to be added and removed as a file, and makes it so.
func (r *registry) change(add, remove string, opt aspa.Options) (*intents.Resolved, error) {
	f, err := aspa.ReadFile("rows", strings.NewReader(add))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(remove) {
		customer, providers, _ := strings.Cut(strings.TrimSpace(line), " ")
		row, err := aspa.ParseRow(customer, providers)
		if err != nil {
			return nil, err
		}
		f.Remove = append(f.Remove, row)
	}
	opt.File, opt.By = "rows", holdings.By{Who: principal.Principal{Name: "tester"}, Time: noon}
	out, err := aspa.Resolve(r.book, r.ledger, f, opt)
	if err == nil {
		r.update(func(w store.Writer) error { return intents.WriteObjects(w, &out.ObjectChange) })
		r.book.Apply(&out.ObjectChange)
	}
	return out, err
}

// all is what all holders want, as text.
func (r *registry) all() string {
	var list []string
	for in := range r.book.All() {
		list = append(list, in.Holder+" "+in.Says.String())
	}
	slices.Sort(list)
	return strings.Join(list, "; ")
}

func TestChanges(t *testing.T) {
	r := newRegistry(t)
	for _, step := range []struct {
		add, remove string
		opt         aspa.Options
		want        string // what there is then, or what the error says
		kind        fault.Kind
	}{
		{add: "AS37000 => AS174, AS3356\nAS37005,3356", want: "isp AS37000 => AS174, AS3356; shop AS37005 => AS3356"},
		{add: "AS37000 => AS1299", want: "isp AS37000 => AS174, AS1299, AS3356; shop AS37005 => AS3356"},
		{add: "AS37000 => AS0", want: "rows:1: isp has AS37000 => AS174, AS1299, AS3356: AS0 says that AS37000 has no provider, and can't stand beside AS174; --replace puts AS37000 => AS0 in its place", kind: fault.Conflict},
		{remove: "AS37000 AS174", want: "isp AS37000 => AS1299, AS3356; shop AS37005 => AS3356"},
		{remove: "AS37000 AS174", want: "AS174 is no provider in AS37000 => AS1299, AS3356 of isp", kind: fault.NotFound},
		{add: "AS37000 => AS0", opt: aspa.Options{Replace: true}, want: "isp AS37000 => AS0; shop AS37005 => AS3356"},
		{add: "AS37000 => AS6453", want: "beside AS6453", kind: fault.Conflict},
		{remove: "AS37000", want: "shop AS37005 => AS3356"},
		{remove: "AS37000", want: "there is no ASPA of AS37000", kind: fault.NotFound},
		{remove: "AS37005 AS3356", want: ""},
		{add: "AS37005 => AS3356", opt: aspa.Options{Holder: "isp"}, want: "an ASPA of AS37005 is for its holder to ask for, not for isp; it is held by shop", kind: fault.NotHeld},
		{add: "AS36900 => AS3356", want: "AS36900 is held by no one; it is in the pool of afrinic", kind: fault.NotHeld},
		{add: "AS3356 => AS174", want: "AS3356 is held by no one", kind: fault.NotHeld},
		{add: "AS3356 => AS174\nAS37001 => AS174", opt: aspa.Options{OnlyHeld: true}, want: "isp AS37001 => AS174"},
		{add: "AS37000 => AS174", opt: aspa.Options{Holder: "nobody"}, want: "no organisation nobody", kind: fault.NotFound},
	} {
		_, err := r.change(step.add, step.remove, step.opt)
		got := r.all()
		if err != nil {
			got = err.Error()
		}
		if step.kind == 0 && got != step.want || step.kind != 0 && (!strings.Contains(got, step.want) || fault.KindOf(err) != step.kind) {
			t.Errorf("%q, without %q: %s; want %s", step.add, step.remove, got, step.want)
		}
		if again := r.reload(); again.Len() != r.book.Len() {
			t.Errorf("%d intents are in the store, and %d in memory", again.Len(), r.book.Len())
		}
	}
}

func TestFiles(t *testing.T) {
	want := "AS37000 => AS174, AS3356; AS37001 => AS0"
	for name, text := range map[string]string{
		"Krill":       "# ours\nAS37000 => AS3356, AS174 # transit\nAS37001 => AS0\n",
		"bare":        "AS37000,AS3356,AS174\n37001,0\n",
		"header":      "providers;comment\n",
		"columns":     "Comment,Customer ASN,Providers\r\ntransit,AS37000,\"AS3356, AS174\"\r\n,37001,AS0\r\n",
		"pairs":       "customer,provider\n37000,3356\n37001,0\n37000,174\n",
		"rpki-client": `{"metadata":{},"roas":[],"aspas":[{"customer_asid":37000,"expires":1,"providers":[174,3356]},{"customer_asid":37001,"providers":[0]}]}`,
		"Routinator":  `{"aspas":[{"customer":"AS37000","providers":["AS174","AS3356"],"ta":"x"},{"customer":"AS37001","providers":["AS0"],"ta":"x"}]}`,
		"RIPE NCC":    `{"entityTag":"x","aspaConfigurations":[{"customerAsn":"AS37000","providers":["AS174","AS3356"]},{"customerAsn":"AS37001","providers":["AS0"]}]}`,
		"a list":      `[{"customer":"AS37000","providers":["AS174","AS3356"]},{"customer":"AS37001","providers":["AS0"]}]`,
	} {
		r := newRegistry(t)
		_, err := r.change(text, "", aspa.Options{})
		if name == "header" {
			if fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), "rows:1: the column") {
				t.Errorf("a header of another file: %v", err)
			}
			continue
		}
		if got := strings.ReplaceAll(r.all(), "isp ", ""); err != nil || got != want {
			t.Errorf("%s: it says %s (%v)", name, got, err)
		}
	}
	many := make([]string, object.MaxProviders+1)
	for i := range many {
		many[i] = fmt.Sprintf("AS%d", 200_000+i)
	}
	for text, why := range map[string]string{
		"AS37000 => AS37000":                         "can't be a provider of itself",
		"AS37000 => AS0, AS174":                      "can't stand beside AS174",
		"AS37000 =>":                                 "write AS0 if it has none",
		"AS0 => AS174":                               "nobody holds it",
		"AS37000 => AS64512":                         "RFC 6996",
		"AS37000 => AS23456":                         "RFC 6793",
		"AS37000 => ASx":                             `"ASx" is no AS number`,
		"37000":                                      "write AS0 if it has none",
		"customer,comment\n37000,x":                  "no column for the providers",
		`[{"customer":1,"providers":2}]`:             "no list",
		`{"rows":[]}`:                                "use aspas",
		"AS37000 => " + strings.Join(many, ", "):     "4000 are the most",
		"AS37000,AS174\nAS37000,\"AS3356\nAS37000,1": "rows:2: a quote is not closed",
	} {
		r := newRegistry(t)
		if _, err := r.change(text, "", aspa.Options{}); fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), why) || r.book.Len() != 0 {
			t.Errorf("%s: %v; want BadInput that says %q", text[:min(len(text), 40)], err, why)
		}
	}
}

// TestReadsWhatItPrints: what is printed is read again, and says the same.
func TestReadsWhatItPrints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := aspa.Row{VAP: aspa.VAP{Customer: rapid.Uint32Range(1, 60_000).Draw(t, "customer")}}
		row.Providers = rapid.SliceOfN(rapid.Uint32Range(131_072, 200_000), 1, 30).Draw(t, "providers")
		if rapid.Bool().Draw(t, "none") {
			row.Providers = []uint32{0}
		}
		if err := row.Check(); err != nil {
			t.Fatal(err)
		}
		again, err := aspa.ParseVAP(row.VAP.String())
		if err != nil || again.Compare(row.VAP) != 0 {
			t.Fatalf("%s is read as %s (%v)", row.VAP, again, err)
		}
		f, err := aspa.ReadFile("printed", strings.NewReader(row.VAP.String()))
		if err != nil || len(f.Add) != 1 || f.Add[0].Compare(row.VAP) != 0 {
			t.Fatalf("%s is read from a file as %+v (%v)", row.VAP, f, err)
		}
	})
}

func TestAuthorised(t *testing.T) {
	holding, err := inr.Parse("AS37000-AS37009")
	if err != nil {
		t.Fatal(err)
	}
	all := []intents.Object{{Says: aspa.VAP{Customer: 36999, Providers: []uint32{1}}}, {Says: aspa.VAP{Customer: 37000, Providers: []uint32{2}}}}
	if got := fmt.Sprint(intents.AllAuthorised(all, holding)); got != "[AS37000 => AS2]" {
		t.Errorf("%s stand", got)
	}
}

func FuzzReadFile(f *testing.F) {
	for _, seed := range []string{"AS1 => AS2, AS3 # x\n", "customer,providers\n1,2 3\n", `{"aspas":[{"customer_asid":1,"providers":[2]}]}`, "\xff\"", "\x1f\x8b"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := aspa.ReadFile("fuzz", bytes.NewReader(data))
		if err != nil && fault.KindOf(err) != fault.BadInput {
			t.Fatalf("the error is %v of kind %v", err, fault.KindOf(err))
		}
		if err != nil {
			return
		}
		for _, row := range file.Add {
			if row.Customer == 0 || len(row.Providers) == 0 || !slices.IsSorted(row.Providers) || slices.Contains(row.Providers, row.Customer) {
				t.Fatalf("it takes %+v", row)
			}
		}
	})
}
