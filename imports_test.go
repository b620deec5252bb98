package cadastre_test

import (
	"bufio"
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// rooms are in the order of the flow: a package imports those before its own room, and none after. What is in internal
// is plumbing, and knows no room.
var rooms = []string{"internal", "holdings", "roa", "keys", "rrdp", "rsync", "ca", "escrow", "moves", "api", "cmd"}

// TestImports keeps the direction of imports that docs/architecture.md draws.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Deps \" \"}}", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := 0
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		words := strings.Fields(lines.Text())
		room, ours := roomOf(words[0])
		if !ours {
			continue
		}
		packages++
		for _, dependency := range words[1:] {
			if below, ours := roomOf(dependency); ours && below > room {
				t.Errorf("%s imports %s, which comes after it", words[0], dependency)
			}
		}
	}
	if packages < len(rooms) {
		t.Errorf("only %d packages were looked at", packages)
	}
}

func roomOf(path string) (room int, ours bool) {
	rest, ours := strings.CutPrefix(path, "cadastre/")
	if !ours {
		return 0, false
	}
	first, _, _ := strings.Cut(rest, "/")
	room = slices.Index(rooms, first)
	return room, room >= 0
}

// TestCheckerSharesNothing keeps the strict validator other code than the issuer: neither may know the other.
func TestCheckerSharesNothing(t *testing.T) {
	for _, c := range [][2]string{
		{"./internal/validate", "cadastre/internal/object"},
		{"./internal/object", "cadastre/internal/validate"},
		{"./internal/secondopinion", "cadastre/internal/object"},
		{"./internal/secondopinion", "cadastre/internal/validate"},
		{"./internal/relying", "cadastre/internal/object"},
	} {
		out, err := exec.Command("go", "list", "-deps", c[0]).Output()
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(strings.Fields(string(out)), c[1]) {
			t.Errorf("%s imports %s", c[0], c[1])
		}
	}
}

// TestAttackLooksFromOutside keeps test/attack from asking the code that it attacks what should come of an attack: it forges
// with what is in internal, and imports no room.
func TestAttackLooksFromOutside(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{join .Imports \" \"}}", "./test/attack").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dependency := range strings.FieldsSeq(string(out)) {
		if room, ours := roomOf(dependency); ours && rooms[room] != "internal" {
			t.Errorf("test/attack imports %s", dependency)
		}
	}
}
