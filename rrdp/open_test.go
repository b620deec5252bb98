package rrdp

import (
	"io"
	"net/http/httptest"
	"runtime"
	"testing"
)

// allocated is the bytes that a function allocates.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestReaders: who asks for a snapshot's header, or has it already, costs no document, and all who read it at one time share one.
func TestReaders(t *testing.T) {
	r, st, _ := newRepository(t)
	const objects = 4000
	fill(t, r, st, objects, 100)
	// every other one is replaced, so that the snapshot is many pieces
	var changes []Change
	for i := range objects / 2 {
		changes = append(changes, Change{URI: r.index.entries[2*i].uri, Object: made(100)})
	}
	publish(t, r, st, true, changes...)
	f := r.front.Load()
	url := "https://rpki.example.net/rrdp/test/" + f.snapshot.name
	for _, packed := range []string{"identity", "gzip"} {
		read := func(method string, headers ...string) {
			req := httptest.NewRequest(method, url, nil)
			req.Header.Set("Accept-Encoding", packed)
			for i := 0; i < len(headers); i += 2 {
				req.Header.Set(headers[i], headers[i+1])
			}
			r.ServeHTTP(httptest.NewRecorder(), req)
		}
		one := allocated(func() { read("GET", "Range", "bytes=0-9") })
		if one < 10*objects {
			t.Fatalf("a document takes %d bytes: this test looks at nothing", one)
		}
		const times = 20
		if heads := allocated(func() {
			for range times {
				read("HEAD")
				read("GET", "If-None-Match", "*")
			}
		}); heads > one {
			t.Errorf("%s: %d requests without a body allocate %d bytes, a document is %d", packed, 2*times, heads, one)
		}
		d, err := r.document(f, f.snapshot, packed == "gzip")
		if err != nil {
			t.Fatal(err)
		}
		slow := d.open()
		if readers := allocated(func() {
			for range times {
				read("GET", "Range", "bytes=0-9")
			}
		}); readers > one {
			t.Errorf("%s: %d readers beside another allocate %d bytes, a document is %d", packed, times, readers, one)
		}
		// one that has begun reads on when the repository is compacted
		r.opened.forget()
		if n, err := io.Copy(io.Discard, slow); err != nil || n != d.size() {
			t.Errorf("%s: it reads %d bytes of %d (%v)", packed, n, d.size(), err)
		}
	}
}
