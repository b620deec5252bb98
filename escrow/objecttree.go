package escrow

import (
	"os"
	"path/filepath"
	"strings"

	"cadastre/internal/fault"
)

// ObjectTree is a folder that published objects are written into as rsync serves them: the host and its port, then the path.
type ObjectTree struct{ root *os.Root }

// NewObjectTree makes the folder. It fails with Conflict if it is there already.
func NewObjectTree(path string) (*ObjectTree, error) {
	if err := os.Mkdir(path, 0o755); err != nil {
		return nil, fault.New(fault.Conflict, "couldn't make the folder for objects, which has to be a new one: %w", err)
	}
	root, err := os.OpenRoot(path)
	return &ObjectTree{root}, err
}

// Close ends the writing.
func (t *ObjectTree) Close() { _ = t.root.Close() }

// Write writes one object; it cannot leave the folder, whatever the URI says.
func (t *ObjectTree) Write(uri string, object []byte) error {
	rest, ok := strings.CutPrefix(uri, "rsync://")
	if !ok {
		return fault.New(fault.Corrupt, "an object that was deposited is at %.200q, which is no rsync URI", uri)
	}
	path := filepath.FromSlash(rest)
	err := t.root.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = t.root.WriteFile(path, object, 0o644)
	}
	return fault.Wrap(err, "couldn't write %s", uri)
}
