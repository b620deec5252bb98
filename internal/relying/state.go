package relying

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"

	"cadastre/internal/fault"
	"cadastre/internal/relying/rrdpxml"
)

// stateFile says what the objects beside it are. It is replaced by a rename, so that it and the pack that it names
// always fit together.
const stateFile = "state.json"

// cached is the state of one RRDP repository as the cache keeps it.
type cached struct {
	Notify  string                  `json:"notify"`
	Session string                  `json:"session"`
	Serial  uint64                  `json:"serial"`
	Since   validators              `json:"since"`  // of the notification, once all that it announced is here
	Deltas  map[uint64]rrdpxml.Hash `json:"deltas"` // as last announced: RFC 9697 compares them
	Pack    string                  `json:"pack"`   // file name
	Size    int64                   `json:"size"`   // how much of the pack counts
	Live    int64                   `json:"live"`   // bytes of the objects that are not replaced or withdrawn
}

// Folder is the name of the folder for what a URI, or a name that somebody chose, stands for: its hash, 32 hexadecimal digits. No path is
// made of what is from outside.
func Folder(uri string) string {
	sum := sha256.Sum256([]byte(uri))
	return hex.EncodeToString(sum[:16])
}

// loadState reads the state and the objects in dir. It fails with NotFound where there are none and with Corrupt where
// they do not fit together.
func loadState(dir, notify string) (cached, pack, error) {
	var s cached
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if os.IsNotExist(err) {
		return s, pack{}, fault.New(fault.NotFound, "nothing is cached of %s", notify)
	}
	if err != nil {
		return s, pack{}, fault.New(fault.Corrupt, "the cached state cannot be read: %w", err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, pack{}, fault.New(fault.Corrupt, "the cached state in %s is damaged: %w", dir, err)
	}
	if s.Notify != notify || s.Session == "" || s.Serial == 0 || s.Pack != filepath.Base(s.Pack) {
		return s, pack{}, fault.New(fault.Corrupt, "the cached state in %s is not that of %s", dir, notify)
	}
	objects, err := openPack(filepath.Join(dir, s.Pack), s.Size)
	return s, objects, err
}

// saveState replaces the state in dir.
func saveState(dir string, s cached) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fault.New(fault.Internal, "the cached state cannot be written: %w", err)
	}
	return writeFile(filepath.Join(dir, stateFile), data)
}

// writeFile replaces a file of the cache in one step.
func writeFile(path string, data []byte) error {
	temporary := path + ".new"
	err := os.WriteFile(temporary, data, 0o644)
	if err == nil {
		err = os.Rename(temporary, path)
	}
	return fault.Wrap(err, "the cache cannot be written")
}
