package cadastre_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// private are the functions that make a private key, or turn one into bytes or back, by the path of their package.
var private = map[string][]string{
	"crypto/rsa":       {"GenerateKey", "GenerateMultiPrimeKey"},
	"crypto/ecdsa":     {"GenerateKey", "ParseRawPrivateKey"},
	"crypto/ed25519":   {"GenerateKey", "NewKeyFromSeed"},
	"crypto/ecdh":      {"X25519", "P256", "P384", "P521"},
	"crypto/x509":      {"MarshalPKCS8PrivateKey", "MarshalPKCS1PrivateKey", "MarshalECPrivateKey", "ParsePKCS8PrivateKey", "ParsePKCS1PrivateKey", "ParseECPrivateKey"},
	"filippo.io/age":   {"GenerateX25519Identity"},
	"object.Algorithm": {"Generate"}, // a method: every call of something without arguments by this name
}

// allowed is where they may be called outside of package keys, with the reason. None of these makes a long-lived key of the RPKI or of
// an identity.
var allowed = map[string]string{
	"internal/object/algorithm.go GenerateKey":  "what object.Algorithm is",
	"internal/envelope/sign.go GenerateKey":     "signs the messages of one day, and stays in memory",
	"daemon/tls.go GenerateKey":                 "TLS of a trial, which an operator's own file replaces",
	"daemon/tls.go MarshalPKCS8PrivateKey":      "TLS of a trial, which an operator's own file replaces",
	"escrow/identity.go GenerateX25519Identity": "what a successor reads deposits with, a file of its own that is kept elsewhere",
}

// TestKeysAreMadeInOnePlace: no room but keys makes private keys, or has their bytes. So whatever can be said of a keeper holds for every
// long-lived key.
func TestKeysAreMadeInOnePlace(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}|{{.Dir}}|{{join .GoFiles " "}} {{join .IgnoredGoFiles " "}}`, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	looked, inKeys, used := 0, 0, map[string]bool{}
	for line := range strings.Lines(string(out)) {
		parts := strings.Split(strings.TrimSpace(line), "|")
		below, _ := strings.CutPrefix(parts[0], "cadastre/")
		if _, forTests := harnesses[parts[0]]; forTests || below == "test" || strings.HasPrefix(below, "test/") {
			continue
		}
		for name := range strings.FieldsSeq(parts[2]) {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(parts[1], name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			looked++
			for _, call := range privateCalls(file) {
				where := path.Join(below, name) + " " + call
				switch {
				case below == "keys":
					inKeys++
				case allowed[where] != "":
					used[where] = true
				default:
					t.Errorf("%s is called in %s: a keeper of package keys makes and holds keys", call, path.Join(below, name))
				}
			}
		}
	}
	if looked < 300 || inKeys < 4 || len(used) != len(allowed) {
		t.Errorf("%d files were looked at, with %d calls in keys and %d of %d that are allowed: the test no longer knows where they are", looked, inKeys, len(used), len(allowed))
	}
}

// privateCalls lists the functions of private that a file names.
func privateCalls(file *ast.File) (calls []string) {
	names := map[string]string{} // how the file calls a package -> its path
	for _, i := range file.Imports {
		from, _ := strconv.Unquote(i.Path.Value)
		name := path.Base(from)
		if i.Name != nil {
			name = i.Name.Name
		}
		names[name] = from
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if of, is := n.X.(*ast.Ident); is && slices.Contains(private[names[of.Name]], n.Sel.Name) {
				calls = append(calls, n.Sel.Name)
			}
		case *ast.CallExpr:
			if method, is := n.Fun.(*ast.SelectorExpr); is && len(n.Args) == 0 && slices.Contains(private["object.Algorithm"], method.Sel.Name) {
				calls = append(calls, method.Sel.Name)
			}
		}
		return true
	})
	return calls
}
