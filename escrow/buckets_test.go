package escrow

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

var bucketConstant = regexp.MustCompile(`^[A-Za-z]\w*Bucket$`)

// TestBucketsAreClassified finds every bucket that the program's text names: each is deposited, or withheld for a reason.
// Buckets are constants whose names end with Bucket, so that they can be found.
func TestBucketsAreClassified(t *testing.T) {
	var found []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "testdata" || d.Name() == "test") {
			if d != nil && d.IsDir() {
				return filepath.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "../internal/store/bolttx") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if bucketConstant.MatchString(name.Name) && i < len(n.Values) {
						text, err := strconv.Unquote(n.Values[i].(*ast.BasicLit).Value)
						if err != nil {
							t.Errorf("%s: %s is no string", path, name.Name)
						}
						found = append(found, text)
					}
				}
			case *ast.CallExpr:
				// a bucket that is named where it is used would be missed
				call, ok := n.Fun.(*ast.SelectorExpr)
				if !ok || len(n.Args) < 2 || !slices.Contains([]string{"Put", "Get", "Scan", "Delete"}, call.Sel.Name) {
					return true
				}
				if literal, ok := n.Args[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
					t.Errorf("%s: %s(%s, …) names a bucket in place; make a constant of it", path, call.Sel.Name, literal.Value)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range found {
		if !classified(name) {
			t.Errorf("the bucket %q is neither deposited nor withheld; name it in buckets.go", name)
		}
	}
	for _, name := range deposited {
		if !slices.Contains(found, name) {
			t.Errorf("the bucket %q is deposited, and there is none", name)
		}
	}
	if len(found) < 20 {
		t.Errorf("only %d buckets were found", len(found))
	}
	if classified("secret") || classified("rrdq/north") || !classified("rrdp/north") {
		t.Error("what is classified is not told")
	}
}

// TestBucketsOfStore looks at a store that was used.
func TestBucketsOfStore(t *testing.T) {
	h := newHouse(t)
	h.endow()
	h.delegate("acacia", 1)
	h.settle()
	must(t, h.store.Close())
	db, err := bbolt.Open(filepath.Join(h.data, "store"), 0o600, &bbolt.Options{ReadOnly: true})
	must(t, err)
	seen := 0
	must(t, db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
			seen++
			if !classified(string(name)) {
				t.Errorf("the bucket %q is neither deposited nor withheld; name it in buckets.go", name)
			}
			return nil
		})
	}))
	must(t, db.Close())
	if seen < 10 {
		t.Errorf("only %d buckets are there", seen)
	}
}
