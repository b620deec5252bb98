package relying

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cadastre/internal/inr"
	"cadastre/internal/object"
)

// enemy is a CA below the trust anchor of a world that publishes at a server of its own, which does what it likes.
type enemy struct {
	server   *httptest.Server
	snapshot []byte // as it is sent, packed
	asked    atomic.Int64
	do       func(rw http.ResponseWriter, r *http.Request) bool
}

// enemy adds one to what the trust anchor certifies; publish it with roas and publish.
func (w *world) enemy(name string) *enemy {
	e := &enemy{}
	e.server = httptest.NewTLSServer(http.HandlerFunc(e.serve))
	w.t.Cleanup(e.server.Close)
	if w.more == nil {
		w.more = map[string][]byte{}
	}
	w.more[name+".cer"] = w.certifyAt(name, e.server.URL+"/n.xml")
	return e
}

// certifyAt certifies a new CA that says it publishes at a notification.
func (w *world) certifyAt(name, notify string) []byte {
	set, err := inr.Parse("10.200.0.0/16")
	must(w.t, err)
	key := w.signer(name)
	folder := "rsync://" + name + ".example/repo/"
	c := object.Certificate{
		Serial: object.NewSerial(), Issuer: w.ta.ID, Key: key.PublicKey, Resources: set, CRL: w.base + "ta/ta.crl", Issued: w.anchor(),
		NotBefore: time.Now().Add(-time.Hour).Truncate(time.Second), NotAfter: time.Now().Add(20 * time.Hour).Truncate(time.Second),
		Repository: folder, Manifest: folder + "x.mft", Notify: notify,
	}
	der, err := c.Sign(w.ta)
	must(w.t, err)
	return der
}

func (e *enemy) serve(rw http.ResponseWriter, r *http.Request) {
	e.asked.Add(1)
	switch {
	case e.do != nil && e.do(rw, r):
	case strings.HasSuffix(r.URL.Path, "/snapshot.xml"):
		rw.Header().Set("Content-Encoding", "gzip")
		_, _ = rw.Write(e.snapshot)
	default:
		_, _ = io.WriteString(rw, rrdpFile("notification", fmt.Sprintf("<snapshot uri=%q hash=\"%064x\"/>", e.server.URL+"/snapshot.xml", 1)))
	}
}

func rrdpFile(kind, children string) string {
	return fmt.Sprintf("<%s xmlns=\"http://www.ripe.net/rpki/rrdp\" version=\"1\" session_id=%q serial=\"1\">%s</%s>", kind, session1, children, kind)
}

// bomb is a packed snapshot of so many objects of so many octets each.
func bomb(t testing.TB, objects, octets int) []byte {
	return bombOf(t, rrdpFile("snapshot", ""), objects, octets)
}

// bombOf is the same in an empty file.
func bombOf(t testing.TB, file string, objects, octets int) []byte {
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	text := strings.Repeat("A", octets/3*4)
	end := strings.LastIndex(file, "</")
	_, err := io.WriteString(zw, file[:end])
	must(t, err)
	for i := range objects {
		fmt.Fprintf(zw, "<publish uri=\"rsync://x.example/repo/%d.roa\">%s</publish>", i, text)
	}
	_, _ = io.WriteString(zw, file[end:])
	must(t, zw.Close())
	return out.Bytes()
}

// onDisk is how many octets the cache has.
func (w *world) onDisk() int64 {
	size := int64(0)
	must(w.t, filepath.WalkDir(filepath.Join(w.cache, "cache"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, gone := d.Info(); gone == nil {
				size += info.Size()
			}
		}
		return err
	}))
	return size
}

// TestBombs: whatever the repository of one CA sends, it gets no more than its share, and nobody else goes without.
func TestBombs(t *testing.T) {
	small := Share{Fetched: mebi, Unpacked: 4 * mebi, Objects: 1000, Repositories: 10, CAs: 10, Time: time.Minute}
	for name, c := range map[string]struct {
		arm  func(w *world, e *enemy)
		says string
	}{
		"gzip": {func(_ *world, e *enemy) { e.snapshot = bomb(t, 400, 300_000) }, "octets unpacked, which is the limit for one branch"},
		"objects": {func(_ *world, e *enemy) {
			e.snapshot = bomb(t, 5000, 3)
		}, "more than 1000 objects, which is the limit for one branch"},
		"octets": {func(_ *world, e *enemy) {
			e.do = func(rw http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/snapshot.xml") {
					return false
				}
				_, _ = io.WriteString(rw, strings.TrimSuffix(rrdpFile("snapshot", ""), "</snapshot>"))
				for {
					if _, err := rw.Write(bytes.Repeat([]byte("<!-- x -->"), 10_000)); err != nil {
						return true
					}
				}
			}
		}, "octets fetched, which is the limit for one branch"},
		"one element": {func(_ *world, e *enemy) {
			e.do = func(rw http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/n.xml") {
					return false
				}
				zipped(rw, func(out io.Writer) error {
					_, err := out.Write(bytes.Repeat([]byte("a"), 1<<16))
					return err
				})
				return true
			}
		}, "cannot be fetched"},
		"gzip in gzip's header": {func(_ *world, e *enemy) {
			e.do = func(rw http.ResponseWriter, _ *http.Request) bool {
				rw.Header().Set("Content-Encoding", "gzip")
				_, _ = rw.Write([]byte{0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 0}) // a name follows, without an end
				for {
					if _, err := rw.Write(bytes.Repeat([]byte("a"), 1<<16)); err != nil {
						return true
					}
				}
			}
		}, "cannot be fetched"},
		"another packing": {func(_ *world, e *enemy) {
			e.do = func(rw http.ResponseWriter, _ *http.Request) bool {
				rw.Header().Set("Content-Encoding", "br")
				return true
			}
		}, "gzip was asked for"},
		"many repositories": {func(w *world, e *enemy) {
			for i := range 15 { // of one host, so that its limit is met, not the branches'
				w.more[fmt.Sprintf("m%d.cer", i)] = w.certifyAt(fmt.Sprintf("m%d", i), fmt.Sprintf("%s/%d/n.xml", e.server.URL, i))
			}
			e.snapshot = bomb(w.t, 1, 3)
		}, "which is the limit for one host"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			e := w.enemy("enemy")
			c.arm(w, e)
			w.roas("10.0.0.0/16")
			w.publish()
			o := w.options()
			o.Limits.Host, o.Limits.Branch = small, small
			o.Limits.Host.Fetched, o.Limits.Host.Unpacked, o.Limits.Host.Objects = 64*mebi, 64*mebi, 100_000
			r := w.verify(o, "10.0.0.0/16")
			finds(t, r, c.says)
			if size := w.onDisk(); size > small.Unpacked+mebi {
				t.Errorf("%d octets are in the cache", size)
			}
			if r.Cut != "" {
				t.Errorf("the run was cut short: %s", r.Cut)
			}
		})
	}
}

func zipped(rw http.ResponseWriter, more func(io.Writer) error) {
	rw.Header().Set("Content-Encoding", "gzip")
	zw := gzip.NewWriter(rw)
	for more(zw) == nil {
	}
}

// TestManyBombs: branches together get no more than the run's share, and each at most half of what the others leave; then it is
// said that not all was read.
func TestManyBombs(t *testing.T) {
	w := newWorld(t)
	for i := range 4 {
		w.enemy(fmt.Sprintf("enemy%d", i)).snapshot = bomb(t, 100, 300_000)
	}
	w.roas("10.0.0.0/16")
	w.publish()
	o := w.options()
	o.Limits.Run.Unpacked = 8 * mebi
	r := w.verify(o, "10.0.0.0/16")
	finds(t, r, "which is half of what others leave")
	if size := w.onDisk(); r.Cut == "" || size > 8*mebi {
		t.Errorf("cut %q, and %d octets in the cache", r.Cut, size)
	}
}

// TestTooManyCAs: below one branch only so many CAs are read.
func TestTooManyCAs(t *testing.T) {
	a := newAccounts(Limits{Branch: Share{CAs: 3}}.withDefaults())
	who := account{"h.example", "rsync://h.example/m/x.cer"}
	for i := range 5 {
		if err := a.charge(who, Share{CAs: 1}); (err != nil) != (i >= 3) {
			t.Errorf("the CA %d: %v", i, err)
		}
	}
	if err := a.charge(account{host: "h.example"}, Share{CAs: 1}); err != nil {
		t.Errorf("the host's own: %v", err)
	}
}

// TestSlow: a server that is slow without end has its time and no more, though it never stalls.
func TestSlow(t *testing.T) {
	w := newWorld(t)
	e := w.enemy("enemy")
	e.do = func(rw http.ResponseWriter, r *http.Request) bool {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_, _ = io.WriteString(rw, " ")
				rw.(http.Flusher).Flush()
			case <-r.Context().Done():
				return true
			}
		}
	}
	w.roas("10.0.0.0/16")
	w.publish()
	o := w.options()
	o.Limits.Repository = 700 * time.Millisecond
	finds(t, w.verify(o, "10.0.0.0/16"), "longer than the limit")
}

// TestBranchSpoilsNothing: a branch that has had its share keeps nobody else from a repository that it asked for first.
func TestBranchSpoilsNothing(t *testing.T) {
	w := newWorld(t)
	s := newSource(w.options(), bare(Limits{Branch: Share{Repositories: 1}}))
	asked := 0
	fetch := func(v *visit) {
		asked++
		v.err = s.fetcher.accounts.charge(account{"h.example", fmt.Sprint("branch", asked)}, Share{Repositories: 3 - asked})
	}
	if v := s.visit("https://h.example/2", fetch); v.err == nil {
		t.Error("the first has no share for two repositories")
	}
	if v := s.visit("https://h.example/2", fetch); v.err != nil || asked != 2 {
		t.Errorf("the second has: %v", v.err)
	}
}

// TestFullCache: a cache that is larger than what may be kept is begun anew.
func TestFullCache(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	w.verify(o, "10.0.0.0/16")
	left := filepath.Join(w.cache, "cache", "rrdp", "left")
	must(t, os.WriteFile(left, make([]byte, mebi), 0o644))
	o.Only = true
	w.verify(o, "10.0.0.0/16")
	if _, err := os.Stat(left); err == nil {
		t.Error("what no run asked for is still in a cache that is for one trust anchor alone")
	}
	must(t, os.WriteFile(left, make([]byte, mebi), 0o644))
	o.Only, o.Limits.Disk = false, mebi
	w.verify(o, "10.0.0.0/16")
	if size := w.onDisk(); size >= mebi {
		t.Errorf("%d octets are in the cache", size)
	}
}

// TestRsyncBomb: an rsync that announces more than the share of its account is ended. It has nothing in its environment.
func TestRsyncBomb(t *testing.T) {
	w := newWorld(t)
	t.Setenv("CADASTRE_PASSPHRASE", "a secret")
	program := filepath.Join(w.cache, "rsync")
	must(t, os.WriteFile(program, []byte("#!/bin/sh\n/usr/bin/env > "+w.cache+"/environment\nwhile :; do echo 5000000; done\n"), 0o755)) //nolint:gosec // a program
	l := Limits{Host: Share{Unpacked: 20 * mebi}}.withDefaults()
	r := &rsyncer{program: program, dir: t.TempDir(), limits: l, accounts: newAccounts(l)}
	if _, err := r.module(t.Context(), account{host: "h.example"}, "rsync://h.example/m/", false); err == nil || !strings.Contains(err.Error(), "octets unpacked") {
		t.Errorf("%v", err)
	}
	text, err := os.ReadFile(w.cache + "/environment")
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if name, _, _ := strings.Cut(line, "="); name != "PWD" && name != "SHLVL" && name != "_" { // the shell's own
			t.Errorf("rsync has %s in its environment", name)
		}
	}
}

// TestMemoryOfManifests: served an older state, or one that lacks a file, or nothing, what was valid last stays valid for as long
// as its manifest is (RFC 9286, sections 4.2.1 and 6.6). Who asks what is served now is not told what was.
func TestMemoryOfManifests(t *testing.T) {
	back := func(w *world) { w.session, w.serial, w.deltas = session2, 0, nil }
	for name, c := range map[string]struct {
		serve func(w *world, old map[string][]byte)
		says  string
		fresh []string // what is valid of what is served
	}{
		"older": {func(w *world, old map[string][]byte) {
			back(w)
			w.objects = old
			w.publish()
		}, "is not more than", []string{"10.0.0.0/16"}},
		"a file less": {func(w *world, _ map[string][]byte) {
			back(w)
			delete(w.objects, w.base+"ca/10-2-0-0-16.roa")
			w.publish()
		}, "which is missing", nil},
		"no manifest": {func(w *world, _ map[string][]byte) {
			back(w)
			delete(w.objects, w.base+"ca/ca.mft")
			w.publish()
		}, "the manifest is missing", nil},
		"nothing": {func(w *world, _ map[string][]byte) {
			w.change(func() {
				w.override = func(rw http.ResponseWriter, r *http.Request) bool {
					if r.URL.Path == "/ta.cer" {
						return false
					}
					http.Error(rw, "no", http.StatusBadGateway)
					return true
				}
			})
			must(w.t, os.RemoveAll(filepath.Join(w.cache, "cache", "rrdp")))
		}, "cannot be fetched", nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			o := w.options()
			w.verify(o, "10.0.0.0/16")
			old := w.objects
			w.roas("10.1.0.0/16", "10.2.0.0/16")
			w.publish()
			w.verify(o, "10.1.0.0/16", "10.2.0.0/16")
			c.serve(w, old)
			r := w.verify(o, "10.1.0.0/16", "10.2.0.0/16")
			finds(t, r, c.says)
			finds(t, r, "the last that was good")
			o.Fresh, o.Cache = true, t.TempDir()
			w.verify(o, c.fresh...)
		})
	}
}

// TestMemoryEnds: what is remembered is valid no longer than its manifest.
func TestMemoryEnds(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	w.verify(o, "10.0.0.0/16")
	w.session, w.serial, w.deltas = session2, 0, nil
	delete(w.objects, w.base+"ca/ca.mft")
	w.publish()
	o.Now = time.Now().Add(13 * time.Hour)
	w.verify(o)
}

// FuzzKept: whatever is in the file of a kept manifest, looking for an object in it does not panic.
func FuzzKept(f *testing.F) {
	k := kept{f.TempDir()}
	points := moduleOf{"rsync://h/m/x.mft": []byte("manifest"), "rsync://h/m/a.roa": []byte("ROA")}
	k.keep("rsync://h/m/x.mft", []string{"rsync://h/m/x.mft", "rsync://h/m/a.roa"}, points)
	data, err := os.ReadFile(k.path("rsync://h/m/x.mft"))
	must(f, err)
	f.Add(data)
	f.Add(data[:len(data)-2])
	f.Fuzz(func(t *testing.T, data []byte) {
		k := kept{t.TempDir()}
		must(t, os.WriteFile(k.path("rsync://h/m/x.mft"), data, 0o644))
		object, ok := k.previous("rsync://h/m/x.mft").Get("rsync://h/m/a.roa")
		if sum := sha256.Sum256(object); ok && len(object) == 0 && sum != sha256.Sum256(nil) {
			t.Error("an object that is none")
		}
	})
}

type moduleOf map[string][]byte

func (m moduleOf) Get(uri string) ([]byte, bool) {
	object, ok := m[uri]
	return object, ok
}

// TestDeviations: a CA whose certificate has a caRepository without a slash at its end, below a trust anchor that those below name
// by the second rsync URI of its TAL, is read, with a warning for the missing slash.
func TestDeviations(t *testing.T) {
	w := newWorld(t)
	w.slashless = true
	w.roas("10.0.0.0/16")
	w.publish()
	tal := object.TAL{URIs: []string{w.url("/ta.cer"), "rsync://mirror.example/repo/ta.cer", w.anchor()}, Key: w.ta.PublicKey}
	must(t, os.WriteFile(w.cache+"/ta.tal", []byte(tal.Text()), 0o644))
	r := w.verify(w.options(), "10.0.0.0/16")
	finds(t, r, "does not end in a slash")
	if r.Errors() > 0 {
		t.Errorf("%v", r.Findings)
	}
}
