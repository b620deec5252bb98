package rrdp

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cadastre/internal/store"
)

// xmlFile is any of the three files of RFC 8182, as a reader parses them.
type xmlFile struct {
	XMLName   xml.Name
	Version   string        `xml:"version,attr"`
	Session   string        `xml:"session_id,attr"`
	Serial    uint64        `xml:"serial,attr"`
	Snapshot  xmlReference  `xml:"snapshot"`
	Deltas    []xmlDelta    `xml:"delta"`
	Publishes []xmlPublish  `xml:"publish"`
	Withdraws []xmlWithdraw `xml:"withdraw"`
}

type xmlReference struct {
	URI  string `xml:"uri,attr"`
	Hash string `xml:"hash,attr"`
}

type xmlDelta struct {
	xmlReference
	Serial uint64 `xml:"serial,attr"`
}

type xmlPublish struct {
	URI  string  `xml:"uri,attr"`
	Hash *string `xml:"hash,attr"`
	Body string  `xml:",chardata"`
}

type xmlWithdraw struct {
	URI  string `xml:"uri,attr"`
	Hash string `xml:"hash,attr"`
}

func parse(t require, body []byte) xmlFile {
	var f xmlFile
	d := xml.NewDecoder(bytes.NewReader(body))
	d.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		if charset != "US-ASCII" {
			return nil, fmt.Errorf("the encoding is %q", charset)
		}
		return in, nil
	}
	if err := d.Decode(&f); err != nil {
		t.Fatalf("the XML cannot be read: %v", err)
	}
	if f.XMLName.Space != "http://www.ripe.net/rpki/rrdp" || f.Version != "1" {
		t.Fatalf("namespace %q, version %q", f.XMLName.Space, f.Version)
	}
	return f
}

// require is the part of testing.T that rapid.T has too.
type require interface {
	Fatalf(format string, args ...any)
}

// get asks a repository for one of its URIs, both forms, and checks that they are the same.
func get(t require, r *Repository, address string) []byte {
	ask := func(encoding string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(http.MethodGet, address, nil)
		req.Header.Set("Accept-Encoding", encoding)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: status %d", address, w.Code)
		}
		if got := w.Header().Get("Content-Length"); got != fmt.Sprint(w.Body.Len()) {
			t.Fatalf("%s: Content-Length %s of %d bytes", address, got, w.Body.Len())
		}
		return w
	}
	plain, packed := ask("identity").Body.Bytes(), ask("gzip").Body
	z, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatalf("%s: %v", address, err)
	}
	z.Multistream(false) // as rpki-client: one member
	unpacked, err := io.ReadAll(z)
	if err != nil || !bytes.Equal(unpacked, plain) {
		t.Fatalf("%s: the gzip form gives %d bytes (%v), the plain one %d", address, len(unpacked), err, len(plain))
	}
	if packed.Len() > 0 {
		t.Fatalf("%s: %d bytes behind the gzip member", address, packed.Len())
	}
	return plain
}

func hashed(t require, r *Repository, ref xmlReference) xmlFile {
	body := get(t, r, ref.URI)
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != ref.Hash {
		t.Fatalf("%s: SHA-256 %x, announced %s", ref.URI, sum, ref.Hash)
	}
	return parse(t, body)
}

// apply plays a snapshot or a delta into a reader's copy, as strictly as RFC 8182, section 3.4, says.
func (f xmlFile) apply(t require, copied map[string]string) {
	seen := map[string]bool{}
	check := func(uri string, hash *string) {
		old, there := copied[uri]
		sum := fmt.Sprintf("%x", sha256.Sum256([]byte(old)))
		switch {
		case seen[uri]:
			t.Fatalf("%s twice in %s %d", uri, f.XMLName.Local, f.Serial)
		case there != (hash != nil):
			t.Fatalf("%s in %s %d: there is %v, hash given %v", uri, f.XMLName.Local, f.Serial, there, hash != nil)
		case there && *hash != sum:
			t.Fatalf("%s in %s %d: hash %s, the object there has %s", uri, f.XMLName.Local, f.Serial, *hash, sum)
		}
		seen[uri] = true
	}
	for _, p := range f.Publishes {
		check(p.URI, p.Hash)
		object, err := base64.StdEncoding.DecodeString(p.Body)
		if err != nil {
			t.Fatalf("%s: %v", p.URI, err)
		}
		copied[p.URI] = string(object)
	}
	for _, w := range f.Withdraws {
		check(w.URI, &w.Hash)
		delete(copied, w.URI)
	}
}

// TestHistory plays random histories, with restarts, batches that are abandoned, compactions and new sessions, against a
// map; after each serial readers of every older serial that is still reachable by deltas have what the snapshot has.
func TestHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { history(t) })
}

type world struct {
	st     store.Store
	cfg    Config
	r      *Repository
	now    map[string]string            // newest committed
	at     map[uint64]map[string]string // what was published
	hashes map[string]string            // URI of a file to its hash, for ever
	oldest map[string]uint64            // session to the oldest delta that was listed last
}

func newWorld(t *rapid.T) *world {
	dir, st := scratch(t)
	w := &world{st: st, now: map[string]string{}, at: map[uint64]map[string]string{}, hashes: map[string]string{}, oldest: map[string]uint64{}}
	w.cfg = Config{Name: "test", Dir: dir, BaseURI: "https://rrdp.example.net/rrdp/test/", segmentSize: 1500}
	if _, err := st.Update(store.Any, func(x store.Writer) error { return Create(x, w.cfg) }); err != nil {
		t.Fatal(err)
	}
	w.restart(t)
	return w
}

func (w *world) restart(t *rapid.T) {
	r, err := Open(w.st, w.cfg)
	if err != nil {
		t.Fatalf("restart: %v", err)
	}
	w.r = r
}

func (w *world) changes(t *rapid.T) []Change {
	next := maps.Clone(w.now)
	var out []Change
	for range rapid.IntRange(0, 6).Draw(t, "changes") {
		u := uri(rapid.SampledFrom(strings.Split("abcdefg", "")).Draw(t, "name") + ".roa")
		if _, there := next[u]; there && rapid.Bool().Draw(t, "withdraw") {
			delete(next, u)
			out = append(out, Change{URI: u})
			continue
		}
		object := rapid.StringN(1, 40, 200).Draw(t, "object")
		next[u] = object
		out = append(out, Change{URI: u, Object: []byte(object)})
	}
	return out
}

func history(t *rapid.T) {
	w := newWorld(t)
	t.Repeat(map[string]func(*rapid.T){
		"publish": func(t *rapid.T) {
			changes, closing := w.changes(t), rapid.Bool().Draw(t, "close")
			b, err := w.r.Prepare(changes, closing)
			if err != nil {
				t.Fatalf("prepare: %v", err)
			}
			w.finish(t, b, func() {
				for _, c := range changes {
					if c.Object == nil {
						delete(w.now, c.URI)
					} else {
						w.now[c.URI] = string(c.Object)
					}
				}
			})
		},
		"restart": func(t *rapid.T) { w.restart(t) },
		"session": func(t *rapid.T) {
			if rapid.IntRange(0, 9).Draw(t, "rarely") > 0 {
				t.Skip("not now")
			}
			b, err := w.r.NewSession()
			if err != nil {
				t.Fatalf("new session: %v", err)
			}
			w.finish(t, b, func() { w.at = map[uint64]map[string]string{} })
		},
		"compact": func(t *rapid.T) {
			b, err := w.r.Compact()
			if err != nil {
				t.Fatalf("compact: %v", err)
			}
			if b != nil {
				w.finish(t, b, func() {})
			}
		},
		"": w.check,
	})
}

// finish commits, or loses, a batch, and says so to the model.
func (w *world) finish(t *rapid.T, b *Batch, committed func()) {
	switch rapid.SampledFrom([]string{"commit", "commit", "abandon", "crash before", "crash after"}).Draw(t, "end") {
	case "abandon":
		b.Abandon()
		return
	case "crash before":
		w.restart(t)
		return
	case "crash after":
		if _, err := w.st.Update(store.Any, b.Write); err != nil {
			t.Fatal(err)
		}
		committed()
		w.restart(t)
	default:
		if _, err := w.st.Update(store.Any, b.Write); err != nil {
			t.Fatal(err)
		}
		committed()
		b.Apply()
	}
	if _, serial, _ := w.r.Published(); b.Closes() {
		w.at[serial] = maps.Clone(w.now)
	}
}

func (w *world) check(t *rapid.T) {
	for u, object := range w.now {
		if got, ok := w.r.Get(u); !ok || string(got) != object {
			t.Fatalf("Get %s: %q, %v, want %q", u, got, ok, object)
		}
	}
	session, serial, _ := w.r.Published()
	if serial == 0 {
		return
	}
	n := parse(t, get(t, w.r, w.cfg.BaseURI+notificationName))
	if n.Session != session || n.Serial != serial {
		t.Fatalf("the notification is of %s %d, published is %s %d", n.Session, n.Serial, session, serial)
	}
	for _, ref := range append([]xmlReference{n.Snapshot}, references(n.Deltas)...) {
		if old, seen := w.hashes[ref.URI]; seen && old != ref.Hash {
			t.Fatalf("%s had the hash %s and now has %s", ref.URI, old, ref.Hash)
		}
		w.hashes[ref.URI] = ref.Hash
	}
	copied := map[string]string{}
	hashed(t, w.r, n.Snapshot).apply(t, copied)
	if !maps.Equal(copied, w.at[serial]) {
		t.Fatalf("the snapshot of %d has %d objects, the model %d", serial, len(copied), len(w.at[serial]))
	}
	w.checkDeltas(t, n)
	w.checkView(t, serial)
}

func references(deltas []xmlDelta) (out []xmlReference) {
	for _, d := range deltas {
		out = append(out, d.xmlReference)
	}
	return out
}

// checkDeltas reads the deltas, newest first, and plays them from each serial on.
func (w *world) checkDeltas(t *rapid.T, n xmlFile) {
	var files []xmlFile
	var size int
	for i, d := range n.Deltas {
		if d.Serial != n.Serial-uint64(i) {
			t.Fatalf("delta %d of the list has the serial %d, the notification %d", i, d.Serial, n.Serial)
		}
		f := hashed(t, w.r, d.xmlReference)
		if len(f.Publishes)+len(f.Withdraws) == 0 || f.Serial != d.Serial {
			t.Fatalf("delta %d is empty or of another serial", d.Serial)
		}
		size += len(get(t, w.r, d.URI))
		files = append([]xmlFile{f}, files...)
		from := w.at[d.Serial-1]
		copied := maps.Clone(from)
		for _, f := range files {
			f.apply(t, copied)
		}
		if !maps.Equal(copied, w.at[n.Serial]) {
			t.Fatalf("the deltas from %d do not lead to %d", d.Serial-1, n.Serial)
		}
	}
	oldest := n.Serial - uint64(len(n.Deltas)) + 1
	if before := w.oldest[n.Session]; oldest < before {
		t.Fatalf("serial %d lists the delta %d, which was not listed any more", n.Serial, oldest)
	}
	w.oldest[n.Session] = oldest
	if snapshot, _ := w.r.Bytes(); int64(size) > snapshot {
		t.Fatalf("the deltas have %d bytes, the snapshot %d", size, snapshot)
	}
}

// checkView holds View and Since against the model.
func (w *world) checkView(t *rapid.T, serial uint64) {
	v, _ := w.r.View()
	whole := map[string]string{}
	for o := range v.All() {
		object, err := v.Read(o)
		if err != nil {
			t.Fatalf("%v", err)
		}
		whole[o.URI] = string(object)
	}
	if !maps.Equal(whole, w.at[serial]) || w.r.Objects() != len(whole) {
		t.Fatalf("the view of %d has %d objects, the model %d", serial, len(whole), len(w.at[serial]))
	}
	for old, objects := range w.at {
		changed, withdrawn, ok := v.Since(old)
		if !ok {
			continue
		}
		copied := maps.Clone(objects)
		for _, o := range changed {
			object, _ := v.Read(o)
			copied[o.URI] = string(object)
		}
		for _, u := range withdrawn {
			delete(copied, u)
		}
		if !maps.Equal(copied, whole) {
			t.Fatalf("Since(%d) does not lead to %d", old, serial)
		}
	}
}
