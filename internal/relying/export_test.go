package relying

import (
	"net/http"
	"strings"
	"testing"
)

// World is a world for the tests of the package sandbox, which this package cannot import.
type World = world

// NewWorld is a world whose server answers as asked.
func NewWorld(t testing.TB) *World { return newWorld(t) }

// Options are those that read the world.
func (w *World) Options() Options { return w.options() }

// Override has the server do something else.
func (w *World) Override(do func(rw http.ResponseWriter, r *http.Request) bool) { w.override = do }

// DeltaBomb publishes a delta that is packed small and unpacked large, for who has the serial before.
func (w *World) DeltaBomb(objects, octets int) {
	w.roas("10.1.0.0/16")
	w.publish()
	packed := bombOf(w.t, w.root("delta", ""), objects, octets)
	w.override = func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/delta.xml") {
			return false
		}
		rw.Header().Set("Content-Encoding", "gzip")
		_, _ = rw.Write(packed)
		return true
	}
}
