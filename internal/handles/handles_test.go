package handles

import (
	"path"
	"strings"
	"testing"
)

func TestGrammars(t *testing.T) {
	long := strings.Repeat("a", Longest)
	for _, c := range []struct {
		text                               string
		organisation, registry, wire, part bool
	}{
		{"iana", true, true, true, true},
		{"nic.br", true, true, false, false},
		{"afrinic/f36ab-c_d.e", true, false, false, false},
		{"Acme-1_x", false, false, true, true},
		{"a/b", true, false, true, false},
		{"9", true, true, true, true},
		{"ta", true, false, true, true},
		{long, true, true, true, true},
		{long + "a", false, false, true, true},
		{strings.Repeat("a", LongestWire+1), false, false, false, false},
		{"", false, false, false, false},
		{"a/../../../zz/esc", false, false, false, false},
		{"a/.b", false, false, false, false},
		{"..", false, false, false, false},
		{".a", false, false, false, false},
		{"a//b", false, false, true, false},
		{"/a", false, false, true, false},
		{"a/", false, false, true, false},
		{"-a", false, false, true, true},
		{"a b", false, false, false, false},
		{"a\nb", false, false, false, false},
		{"a\x00", false, false, false, false},
		{"é", false, false, false, false},
		{"#anchor", false, false, false, false},
		{"a~2", false, false, false, false},
	} {
		for name, got := range map[string][2]bool{
			"organisation": {IsOrganisation(c.text), c.organisation}, "registry": {IsRegistry(c.text), c.registry},
			"wire": {IsWire(c.text), c.wire}, "wire part": {IsWirePart(c.text), c.part},
		} {
			if got[0] != got[1] {
				t.Errorf("%q as %s: %v", c.text, name, got[0])
			}
		}
	}
}

// FuzzPaths: what is a handle stays below the folder that it is joined to.
func FuzzPaths(f *testing.F) {
	for _, seed := range []string{"a/../b", "../a", "a/./b", "a", "nic.br", "a/b.c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if IsOrganisation(text) && path.Join("x", text) != "x/"+text || IsRegistry(text) && path.Base(text) != text || IsWirePart(text) && path.Base(text) != text {
			t.Errorf("%q leaves its folder", text)
		}
	})
}
