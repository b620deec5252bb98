package holdings_test

import (
	"strings"
	"testing"

	"cadastre/holdings"
	"cadastre/internal/fault"
)

func org(handle, parent, kind, more string) string {
	text := "[[organisation]]\nhandle = \"" + handle + "\"\nkind = \"" + kind + "\"\n" + more + "\n"
	if parent != "" {
		text += "parent = \"" + parent + "\"\n"
	}
	return text
}

func TestParseTree(t *testing.T) {
	root := org("iana", "", "root", "")
	for name, c := range map[string]struct{ text, want string }{
		"good":               {root + org("A", "IANA", "RIR", "name = \"A registry\"") + org("a.n", "a", "nir", "countries = [\"br\"]") + org("x", "a.n", "lir", "") + org("y", "x", "enduser", ""), ""},
		"order is no matter": {org("a", "iana", "rir", "") + root, ""},
		"unknown key":        {root + "colour = \"red\"\n", "colour"},
		"not toml":           {"[[", "can't be read"},
		"empty":              {"", "no root"},
		"two roots":          {root + org("b", "", "root", ""), "both the root"},
		"root with parent":   {org("iana", "iana", "root", ""), "can't have a parent"},
		"no parent":          {root + org("a", "", "rir", ""), "name its parent"},
		"unknown parent":     {root + org("a", "zzz", "rir", ""), "unknown"},
		"twice":              {root + org("a", "iana", "rir", "") + org("A", "iana", "rir", ""), "twice"},
		"kind":               {root + org("a", "iana", "king", ""), "no kind"},
		"kind below kind":    {root + org("a", "iana", "lir", ""), "can't be below"},
		"below end user":     {root + org("a", "iana", "rir", "") + org("b", "a", "enduser", "") + org("c", "b", "enduser", ""), "can't be below"},
		"itself":             {root + org("a", "iana", "rir", "") + org("b", "c", "lir", "") + org("c", "b", "lir", ""), "below itself"},
		"handle":             {root + org("a b", "iana", "rir", ""), "no handle"},
		"leaves its folder":  {root + org("a/../../../zz/esc", "iana", "rir", ""), "no handle"},
		"two folders":        {root + org("a/b", "iana", "rir", ""), "no handle of a registry"},
		"anchor's module":    {root + org("ta", "iana", "rir", ""), "no handle of a registry"},
		"bell":               {root + org("a", "iana", "rir", "name = \"A\\u0007\""), "do not print"},
		"same statistics":    {root + org("a", "iana", "rir", "") + org("b", "iana", "rir", "statistics = \"A\""), "same name in statistics"},
		"same country":       {root + org("a", "iana", "rir", "") + org("b", "a", "nir", "countries = [\"BR\"]") + org("c", "a", "nir", "countries = [\"br\"]"), "both serve BR"},
		"country":            {root + org("a", "iana", "rir", "") + org("b", "a", "nir", "countries = [\"Brazil\"]"), "no country code"},
		"country of a lir":   {root + org("a", "iana", "rir", "") + org("b", "a", "lir", "countries = [\"BR\"]"), "only an nir"},
		"statistics of nir":  {root + org("a", "iana", "rir", "") + org("b", "a", "nir", "statistics = \"b\""), "only a rir"},
	} {
		t.Run(name, func(t *testing.T) {
			orgs, err := holdings.ParseTree([]byte(c.text))
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range orgs {
					if o.Handle != strings.ToLower(o.Handle) {
						t.Errorf("the handle %s is not folded", o.Handle)
					}
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("the error is %v; want one that says %q", err, c.want)
			}
			if fault.KindOf(err) == fault.Internal {
				t.Errorf("the error has no kind: %v", err)
			}
		})
	}
}

func FuzzParseTree(f *testing.F) {
	f.Add([]byte(world))
	f.Add([]byte("[[organisation]]\nhandle = \"x\"\nkind = \"root\""))
	f.Fuzz(func(t *testing.T, text []byte) {
		orgs, err := holdings.ParseTree(text)
		if (err == nil) != (len(orgs) > 0) {
			t.Fatalf("%d organisations and error %v", len(orgs), err)
		}
		if err != nil && fault.KindOf(err) == fault.Internal {
			t.Fatalf("the error has no kind: %v", err)
		}
	})
}
