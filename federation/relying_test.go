package federation

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestFoldersOfParents: no path is made of the name that a parent was given.
func TestFoldersOfParents(t *testing.T) {
	f := &Federation{dir: t.TempDir()}
	seen := map[string]bool{}
	for _, called := range []string{"apnic", "Apnic", "../../zz", "a/b", ""} {
		dir := f.lookDir(called)
		if folder := filepath.Base(dir); filepath.Dir(dir) != filepath.Join(f.dir, "watch") || len(folder) != 32 || strings.Trim(folder, "0123456789abcdef") != "" || seen[folder] {
			t.Errorf("what the parent %q publishes is kept in %s", called, dir)
		} else {
			seen[folder] = true
		}
	}
}
