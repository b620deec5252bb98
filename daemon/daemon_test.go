package daemon

import (
	"log/slog"
	"path/filepath"
	"testing"

	"cadastre/holdings"
	"cadastre/internal/principal"
	"cadastre/keys"
)

const testPassphrase = "of the tests"

func TestMain(m *testing.M) {
	keys.NewCost = keys.Cost{Time: 1, MemoryKiB: 1 << 10, Threads: 1} // cheap to stretch
	m.Run()
}

// openTest makes a data directory with a root and two registries, and opens it in this process.
func openTest(t *testing.T) *Directory {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	tree, err := holdings.ParseTree([]byte("[[organisation]]\nhandle = \"iana\"\nkind = \"root\"\n[[organisation]]\nhandle = \"north\"\nkind = \"rir\"\nparent = \"iana\"\n" +
		"[[organisation]]\nhandle = \"south\"\nkind = \"rir\"\nparent = \"iana\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := NewConfig("localhost", 8443, 8873)
	c.Policy.Algorithm = "p-256"
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	secrets := func() (keys, anchor []byte, own bool, err error) {
		return []byte(testPassphrase), []byte(testPassphrase), false, nil
	}
	if err := Found(t.Context(), dir, c, tree, principal.Operator("tester", principal.Command), secrets); err != nil {
		t.Fatal(err)
	}
	d, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}
