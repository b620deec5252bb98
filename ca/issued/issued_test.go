package issued_test

import (
	"encoding/json"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cadastre/ca/issued"
	"cadastre/roa"
)

// TestNamesAsText: a name comes back from the text under which its records are kept, and two names never share one.
func TestNamesAsText(t *testing.T) {
	for text, name := range map[string]issued.Name{
		"isp": {Holder: "isp"}, "isp#a1": {Holder: "isp", Source: "a1"}, "isp~2": {Holder: "isp", Generation: 2},
		"isp#a1~2": {Holder: "isp", Source: "a1", Generation: 2}, "a/b#up.x~1": {Holder: "a/b", Source: "up.x", Generation: 1}, "isp!ab": {Holder: "isp", Key: "ab"}, "isp#a1!00ff": {Holder: "isp", Source: "a1", Key: "00ff"},
		"#anchor": issued.Anchor, "#outside": issued.Outside, "": {},
	} {
		if got := name.String(); got != text {
			t.Errorf("%#v is %q, want %q", name, got, text)
		}
	}
	part := rapid.StringMatching(`[a-z0-9][a-z0-9.-]{0,8}`)
	rapid.Check(t, func(t *rapid.T) {
		n := issued.Name{Holder: part.Draw(t, "holder"), Generation: rapid.IntRange(0, 12).Draw(t, "generation")}
		if rapid.Bool().Draw(t, "sourced") {
			n.Source = part.Draw(t, "source")
		}
		if rapid.Bool().Draw(t, "delegated") {
			n.Key = part.Draw(t, "key")
		}
		if got := issued.Parse(n.String()); got != n {
			t.Fatalf("%q is read as %#v", n, got)
		}
	})
}

// TestRecordsOfProducts: a product is kept as it always was, and comes back with what it says.
func TestRecordsOfProducts(t *testing.T) {
	at := time.Date(2026, 5, 5, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		says issued.Says
		want string
	}{
		{issued.Name{Holder: "isp", Generation: 1}, `{"Name":"x","Kind":"certificate","Serial":7,"Expires":"2026-05-05T12:00:00Z","Says":"isp~1"}`},
		{roa.VRP{Prefix: netip.MustParsePrefix("41.0.0.0/16"), MaxLength: 24, ASN: 37000}, `{"Name":"x","Kind":"roa","Serial":7,"Expires":"2026-05-05T12:00:00Z","Says":"41.0.0.0/16,24,AS37000"}`},
	} {
		p := issued.Product{Name: "x", Serial: big.NewInt(7), Expires: at, Says: c.says}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		delete(fields, "Hash") // 32 numbers
		want := map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			t.Fatal(err)
		}
		for name, value := range want {
			if string(fields[name]) != string(value) {
				t.Errorf("%s is kept as %s, want %s", name, fields[name], value)
			}
		}
		var back issued.Product
		if err := json.Unmarshal(text, &back); err != nil || back.Says != c.says || back.Name != "x" || len(fields) != len(want) {
			t.Errorf("%s comes back as %v (%v)", text, back, err)
		}
	}
	var p issued.Product
	if err := json.Unmarshal([]byte(`{"Name":"x","Kind":"tea","Says":"earl grey"}`), &p); err == nil {
		t.Error("an object of an unknown kind is read")
	}
}
