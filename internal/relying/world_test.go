package relying

import (
	"compress/gzip"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cadastre/internal/inr"
	"cadastre/internal/object"
)

const (
	session1 = "a2d845c4-5b91-4015-a2b7-988c03ce232a"
	session2 = "b2d845c4-5b91-4015-a2b7-988c03ce232b"
)

// world is a small RPKI, a trust anchor with one CA below it, and an RRDP server that publishes it. P-256 keys make it
// fast; what is tested here does not depend on the algorithm.
type world struct {
	t      testing.TB
	server *httptest.Server
	cache  string
	base   string // rsync URI of the module

	algorithm object.Algorithm

	ta, ca signer
	number uint64
	more   map[string][]byte // certificates that the trust anchor's CA publishes besides
	// slashless says that certificates have a caRepository without a slash at its end.
	slashless bool

	mu       sync.Mutex // guards what the server reads
	files    map[string][]byte
	asked    []string // paths of requests, with the status when it was not 200
	override func(w http.ResponseWriter, r *http.Request) bool

	objects   map[string][]byte // by rsync URI, as they would be published next
	published map[string][]byte
	session   string
	serial    uint64
	deltas    []string // elements of the notification, newest first
}

type signer struct {
	crypto.Signer
	object.PublicKey
	name string
}

func (w *world) signer(name string) signer {
	key, err := w.algorithm.Generate()
	must(w.t, err)
	public, err := object.PublicKeyOf(key)
	must(w.t, err)
	return signer{key, public, name}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t testing.TB) *world {
	return newWorldAt(t, "rsync://localhost/repo/", object.P256)
}

func newWorldAt(t testing.TB, base string, algorithm object.Algorithm) *world {
	w := &world{t: t, base: base, algorithm: algorithm, files: map[string][]byte{}, objects: map[string][]byte{},
		session: session1, cache: t.TempDir()}
	w.ta, w.ca = w.signer("ta"), w.signer("ca")
	w.server = httptest.NewUnstartedServer(http.HandlerFunc(w.serve))
	w.server.EnableHTTP2 = true
	w.server.StartTLS()
	t.Cleanup(w.server.Close)
	w.files["/ta.cer"] = w.certify(w.ta, w.ta, "10.0.0.0/8, AS64500")
	w.roas("10.0.0.0/16")
	w.publish()
	tal := object.TAL{URIs: []string{w.url("/ta.cer"), w.anchor()}, Key: w.ta.PublicKey}
	must(t, os.WriteFile(w.cache+"/ta.tal", []byte(tal.Text()), 0o644))
	roots := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.server.Certificate().Raw})
	must(t, os.WriteFile(w.cache+"/roots.pem", roots, 0o644))
	return w
}

func (w *world) url(path string) string { return w.server.URL + path }
func (w *world) notify() string         { return w.url("/notification.xml") }
func (w *world) anchor() string         { return w.base + "ta.cer" }

func (w *world) options() Options {
	return Options{TAL: w.cache + "/ta.tal", Cache: w.cache + "/cache", TLSRoots: w.cache + "/roots.pem", P256: true, NoRsync: true,
		Limits: Limits{Connect: 20 * time.Second, Stall: 20 * time.Second}}
}

// certify makes the certificate of a CA.
func (w *world) certify(issuer, subject signer, resources string) []byte {
	set, err := inr.Parse(resources)
	must(w.t, err)
	folder := w.base + subject.name + "/"
	c := object.Certificate{
		Serial: object.NewSerial(), Issuer: issuer.ID, Key: subject.PublicKey, Resources: set,
		NotBefore: time.Now().Add(-time.Hour).Truncate(time.Second), NotAfter: time.Now().Add(24 * time.Hour).Truncate(time.Second),
		Repository: folder, Manifest: folder + subject.name + ".mft", Notify: w.notify(),
	}
	if issuer.ID != subject.ID {
		c.CRL, c.Issued = w.base+issuer.name+"/"+issuer.name+".crl", w.anchor()
	}
	if w.slashless {
		c.Repository = strings.TrimSuffix(c.Repository, "/")
	}
	der, err := c.Sign(issuer)
	must(w.t, err)
	return der
}

// roas makes the objects of both CAs anew, with one ROA for each prefix.
func (w *world) roas(prefixes ...string) {
	w.objects = map[string][]byte{}
	w.number++
	files := map[string][]byte{}
	for _, text := range prefixes {
		prefix := netip.MustParsePrefix(text)
		name := strings.NewReplacer(".", "-", "/", "-", ":", "-").Replace(text) + ".roa"
		roa := object.ROA{Place: w.place(w.ca, name), ASN: 64500, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(20 * time.Hour),
			Prefixes: []object.ROAPrefix{{Prefix: prefix, MaxLength: prefix.Bits()}}}
		der, _, err := roa.Sign(w.ca, w.signer("").Signer, time.Now())
		must(w.t, err)
		files[name] = der
	}
	w.point(w.ca, files)
	below := map[string][]byte{"ca.cer": w.certify(w.ta, w.ca, "10.0.0.0/8")}
	maps.Copy(below, w.more)
	w.point(w.ta, below)
}

func (w *world) place(issuer signer, name string) object.Place {
	folder := w.base + issuer.name + "/"
	issued := w.anchor()
	if issuer.name == "ca" {
		issued = w.base + "ta/ca.cer"
	}
	return object.Place{Issuer: issuer.ID, CRL: folder + issuer.name + ".crl", Issued: issued, Object: folder + name}
}

// point signs the CRL and manifest of a CA over its files.
func (w *world) point(issuer signer, files map[string][]byte) {
	now := time.Now().Add(-time.Minute).Truncate(time.Second)
	crl := object.CRL{Issuer: issuer.ID, Number: w.number, ThisUpdate: now, NextUpdate: now.Add(12 * time.Hour)}
	der, err := crl.Sign(issuer)
	must(w.t, err)
	files[issuer.name+".crl"] = der
	m := object.Manifest{Place: w.place(issuer, issuer.name+".mft"), Number: w.number, ThisUpdate: now, NextUpdate: now.Add(12 * time.Hour)}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		m.Files = append(m.Files, object.File{Name: name, Hash: sha256.Sum256(files[name])})
		w.objects[w.base+issuer.name+"/"+name] = files[name]
	}
	der, _, err = m.Sign(issuer, w.signer("").Signer, now)
	must(w.t, err)
	w.objects[w.base+issuer.name+"/"+issuer.name+".mft"] = der
}

// publish makes the objects the next serial, with a delta from the last.
func (w *world) publish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serial++
	var delta, snapshot strings.Builder
	for uri, object := range w.objects {
		text := base64.StdEncoding.EncodeToString(object)
		fmt.Fprintf(&snapshot, "<publish uri=%q>%s</publish>\n", uri, text)
		if old, there := w.published[uri]; !there {
			fmt.Fprintf(&delta, "<publish uri=%q>%s</publish>\n", uri, text)
		} else if string(old) != string(object) {
			fmt.Fprintf(&delta, "<publish uri=%q hash=\"%x\">%s</publish>\n", uri, sha256.Sum256(old), text)
		}
	}
	for uri, object := range w.published {
		if _, there := w.objects[uri]; !there {
			fmt.Fprintf(&delta, "<withdraw uri=%q hash=\"%x\"/>\n", uri, sha256.Sum256(object))
		}
	}
	if w.serial > 1 {
		w.deltas = slices.Insert(w.deltas, 0, fmt.Sprintf("<delta serial=\"%d\" %s/>", w.serial, w.file("delta", delta.String())))
	}
	w.published = maps.Clone(w.objects)
	w.announce(w.file("snapshot", snapshot.String()), w.deltas...)
}

// file puts an RRDP file of the present serial on the server, and gives the attributes that refer to it.
func (w *world) file(kind, children string) string {
	xml := w.root(kind, children)
	path := fmt.Sprintf("/%s/%d/%s.xml", w.session, w.serial, kind)
	w.files[path] = []byte(xml)
	return fmt.Sprintf("uri=%q hash=\"%x\"", w.url(path), sha256.Sum256([]byte(xml)))
}

func (w *world) root(kind, children string) string {
	return fmt.Sprintf("<%s xmlns=\"http://www.ripe.net/rpki/rrdp\" version=\"1\" session_id=%q serial=\"%d\">\n%s</%s>\n", kind, w.session, w.serial, children, kind)
}

func (w *world) announce(snapshot string, deltas ...string) {
	w.files["/notification.xml"] = []byte(w.root("notification", "<snapshot "+snapshot+"/>\n"+strings.Join(deltas, "\n")))
}

// change changes the files of the server while nobody reads them.
func (w *world) change(do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do()
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.override != nil && w.override(rw, r) {
		w.asked = append(w.asked, r.URL.Path+" override")
		return
	}
	data, ok := w.files[r.URL.Path]
	etag := fmt.Sprintf("%q", fmt.Sprintf("%x", sha256.Sum256(data)))
	switch {
	case !ok:
		w.asked = append(w.asked, r.URL.Path+" 404")
		http.NotFound(rw, r)
		return
	case r.Header.Get("If-None-Match") == etag:
		w.asked = append(w.asked, r.URL.Path+" 304")
		rw.WriteHeader(http.StatusNotModified)
		return
	}
	w.asked = append(w.asked, r.URL.Path)
	rw.Header().Set("ETag", etag)
	rw.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		rw.Header().Set("Content-Encoding", "gzip")
		zw := gzip.NewWriter(rw)
		_, _ = zw.Write(data)
		_ = zw.Close()
		return
	}
	_, _ = rw.Write(data)
}

// requests is what was asked for since the last call, without the trust anchor, session names cut out.
func (w *world) requests() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked := strings.Join(slices.DeleteFunc(w.asked, func(s string) bool { return s == "/ta.cer" }), " ")
	w.asked = nil
	return strings.NewReplacer("/"+session1, "", "/"+session2, "", "/notification.xml", "N", ".xml", "").Replace(asked)
}

// verify runs once and checks the VRPs.
func (w *world) verify(o Options, prefixes ...string) *Report {
	w.t.Helper()
	report, err := Verify(w.t.Context(), o)
	must(w.t, err)
	var got []string
	for _, v := range report.VRPs {
		got = append(got, v.Prefix.String())
	}
	if !slices.Equal(got, prefixes) {
		w.t.Fatalf("VRPs are for %v instead of %v; findings: %v", got, prefixes, report.Findings)
	}
	return report
}

// cached is the folder in the cache of the world's repository.
func (w *world) cached() string {
	return filepath.Join(w.cache, "cache", "rrdp", Folder(w.notify()))
}
