package relying

import (
	"bytes"
	"os"
	"path/filepath"
	"time"

	"cadastre/internal/validate"
)

// kept is the objects of each CA's last good manifest (RFC 9286, section 6.6), a pack for each. What is served may be older,
// or lack a file, or not be served at all: then these are what is valid, for as long as their manifest is.
type kept struct{ dir string }

// keptFor is after how long a pack that no run has found to be current is removed. Few manifests are good for as long.
const keptFor = 60 * 24 * time.Hour

func (k *kept) path(manifest string) string { return filepath.Join(k.dir, Folder(manifest)) }

// previous is the objects of a CA's last good manifest, or nil. Its file is read when it is needed, and not kept open.
func (k *kept) previous(manifest string) validate.Point {
	path := k.path(manifest)
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	return keptPoint{path}
}

// keep makes objects the last good ones of a manifest, in one step. Where they cannot be kept, the ones before stay.
func (k *kept) keep(manifest string, uris []string, objects validate.Point) {
	path := k.path(manifest)
	der, ok := objects.Get(manifest)
	if !ok {
		return
	}
	if before, ok := (keptPoint{path}).Get(manifest); ok && bytes.Equal(before, der) {
		now := time.Now()
		_ = os.Chtimes(path, now, now) // it is current
		return
	}
	temporary := path + ".new"
	w, err := createPack(temporary)
	if err != nil {
		return
	}
	for _, uri := range uris {
		object, ok := objects.Get(uri)
		if !ok || w.add(uri, object) != nil {
			_ = w.close()
			_ = os.Remove(temporary)
			return
		}
	}
	if w.close() != nil || os.Rename(temporary, path) != nil {
		_ = os.Remove(temporary)
	}
}

// forget removes the packs that no run has found to be current for keptFor.
func (k *kept) forget(now time.Time) {
	entries, _ := os.ReadDir(k.dir) // what cannot be read is not removed
	for _, e := range entries {
		if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > keptFor {
			_ = os.Remove(filepath.Join(k.dir, e.Name()))
		}
	}
}

// keptPoint is a pack that is opened for each object: of most only the manifest is asked for, which is the first in it.
type keptPoint struct{ path string }

// Get is the object at a URI. A damaged file has none.
func (p keptPoint) Get(uri string) ([]byte, bool) {
	file, err := os.Open(p.path)
	if err != nil {
		return nil, false
	}
	defer func() { _ = file.Close() }()
	return findRecord(file, uri)
}
