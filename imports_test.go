package cadastre_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rooms are in the order of the flow: a package imports those before its own room, and none after. What is in internal
// is plumbing, and knows no room.
var rooms = []string{"internal", "holdings", "aspa", "routes", "roa", "keys", "rrdp", "rsync", "ca/kinds", "ca/issued", "ca/plan", "ca/agenda", "ca/repositories", "ca/issue", "ca/loop", "federation", "ca", "escrow", "moves", "api", "api/arin", "api/krill", "api/ripe", "daemon", "cmd"}

// harnesses are packages that are there for tests alone, each with the last room that it may import. Tests of that room and of those
// after it may import it.
var harnesses = map[string]string{
	"cadastre/internal/envelopetest": "internal",
	"cadastre/internal/storetest":    "internal",
	"cadastre/internal/treetest":     "internal",
	"cadastre/internal/keystest":     "keys",
	"cadastre/internal/pairedkeys":   "internal",
	"cadastre/internal/slowtest":     "internal",
	"cadastre/internal/relyingtest":  "rrdp",
	"cadastre/internal/registrytest": "ca",
	"cadastre/api/membertest":        "api",
}

// TestImports keeps the direction of imports that docs/architecture.md draws, of tests too.
func TestImports(t *testing.T) {
	const format = `{{.ImportPath}}|{{join .Deps " "}}|{{join .TestImports " "}} {{join .XTestImports " "}}`
	out, err := exec.Command("go", "list", "-f", format, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages, tests, harness := 0, 0, 0
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		parts := strings.Split(lines.Text(), "|")
		room, ours := roomOf(parts[0])
		if !ours {
			continue
		}
		packages++
		for dependency := range strings.FieldsSeq(parts[1]) {
			if below, ours := roomOf(dependency); ours && below > room {
				t.Errorf("%s imports %s, which comes after it", parts[0], dependency)
			}
			if _, is := harnesses[dependency]; is && harnesses[parts[0]] == "" {
				t.Errorf("%s imports %s, which is for tests", parts[0], dependency)
			}
		}
		for dependency := range strings.FieldsSeq(parts[2]) {
			below, ours := roomOf(dependency)
			if ours && below > room {
				t.Errorf("the tests of %s import %s, which comes after it", parts[0], dependency)
			}
			if ours {
				tests++
			}
			if _, is := harnesses[dependency]; is {
				harness++
			}
		}
	}
	if packages < len(rooms) || tests < 100 || harness < len(harnesses) {
		t.Errorf("only %d packages, %d imports of tests and %d of harnesses were looked at", packages, tests, harness)
	}
}

func roomOf(pkg string) (room int, ours bool) {
	if last, is := harnesses[pkg]; is {
		return slices.Index(rooms, last), true
	}
	rest, ours := strings.CutPrefix(pkg, "cadastre/")
	if !ours {
		return 0, false
	}
	for within := rest; within != "."; within = path.Dir(within) { // the smallest room that it is in
		if room = slices.Index(rooms, within); room >= 0 {
			return room, true
		}
	}
	return 0, false
}

// TestPlanIsPure keeps the wall around the planner: it sees the ledger, what is issued, and values that it is handed, and the time is
// one of these.
func TestPlanIsPure(t *testing.T) {
	may := []string{
		"cmp", "maps", "math/big", "slices", "time",
		"cadastre/ca/issued", "cadastre/holdings", "cadastre/internal/inr", "cadastre/internal/payload",
	}
	out, err := exec.Command("go", "list", "-f", `{{join .Imports " "}}|{{.Dir}}|{{join .GoFiles " "}}`, "./ca/plan").Output()
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(strings.TrimSpace(string(out)), "|")
	for imported := range strings.FieldsSeq(parts[0]) {
		if !slices.Contains(may, imported) {
			t.Errorf("ca/plan imports %s", imported)
		}
	}
	clocks := regexp.MustCompile(`time\.(Now|Since|Until|Sleep|After|Tick|NewTimer|NewTicker)\(`)
	for file := range strings.FieldsSeq(parts[2]) {
		text, err := os.ReadFile(filepath.Join(parts[1], file))
		if err != nil {
			t.Fatal(err)
		}
		if found := clocks.Find(text); found != nil {
			t.Errorf("ca/plan has a clock of its own: %s) in %s", found, file)
		}
	}
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
