package federation

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"

	"cadastre/internal/store"
	"cadastre/rrdp"
)

// mirrors has a repository for each remote repository (RFC 8181), with the objects as they are to be there. No reader fetches from
// it. What is committed to it stays staged until the server has it; then its serial is closed.
type mirrors struct {
	mu     sync.RWMutex
	byName map[string]*rrdp.Repository
	byBase map[string]string // names by the folder that is ours
}

// mirrorName is the name of the mirror for a remote repository. No registry has such a name.
func mirrorName(base string) string {
	h := sha256.Sum256([]byte(base))
	return "@" + hex.EncodeToString(h[:8])
}

func mirrorConfig(dir, name string) rrdp.Config {
	return rrdp.Config{Name: name, Dir: filepath.Join(dir, "mirror", name[1:]), BaseURI: "https://mirror.invalid/" + name[1:] + "/"}
}

// openMirrors opens the mirrors of all remote repositories.
func openMirrors(f *Federation) (*mirrors, error) {
	m := &mirrors{byName: map[string]*rrdp.Repository{}, byBase: map[string]string{}}
	for _, o := range f.Peers.Remotes() {
		if err := m.open(f.store, f.dir, o, f.log); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *mirrors) open(st store.Store, dir string, o *Remote, log *slog.Logger) error {
	repository, err := rrdp.OpenMended(st, mirrorConfig(dir, o.Name), log)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.byName[o.Name], m.byBase[o.Base] = repository, o.Name
	return nil
}

// of is the name of the mirror in which a URI lies; empty where there is none.
func (m *mirrors) of(uri string) string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for at := strings.LastIndexByte(uri, '/'); at > len("rsync://"); at = strings.LastIndexByte(uri[:at], '/') {
		if name, ok := m.byBase[uri[:at+1]]; ok {
			return name
		}
	}
	return ""
}

// repository is a mirror; nil where there is none of this name.
func (m *mirrors) repository(name string) *rrdp.Repository {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.byName[name]
}

// unsent tells whether something of a mirror has not reached its server.
func (m *mirrors) unsent(name string) bool {
	found := m.repository(name)
	return found != nil && found.Staged()
}
