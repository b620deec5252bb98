package rrdp

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ask sends one request with these headers (name, value, name, value …).
func ask(r *Repository, method, target string, headers ...string) *http.Response {
	req := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w.Result()
}

func TestHTTP(t *testing.T) {
	r, st, cfg := newRepository(t)
	publish(t, r, st, true, Change{URI: uri("a.roa"), Object: made(3000)}, Change{URI: uri("b.roa"), Object: made(3000)})
	publish(t, r, st, true, Change{URI: uri("a.roa"), Object: made(1000)})
	notification := cfg.BaseURI + notificationName
	n := parse(t, get(t, r, notification))
	snapshot, delta := n.Snapshot.URI, n.Deltas[0].URI
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	r.front.Load().shown = at // it has been served for an hour
	modified, before := at.UTC().Format(http.TimeFormat), at.Add(-time.Second).UTC().Format(http.TimeFormat)
	tag := ask(r, "GET", notification).Header.Get("ETag")
	packedTag := ask(r, "GET", notification, "Accept-Encoding", "gzip").Header.Get("ETag")
	if tag == packedTag || !strings.HasPrefix(tag, `"`) || !strings.HasPrefix(packedTag, `"`) {
		t.Errorf("the ETags are %s and %s: they must be strong and differ", tag, packedTag)
	}

	for _, c := range []struct {
		name, method, target string
		headers              []string
		status               int
		want                 map[string]string // "" for none
	}{
		{"notification", "GET", notification, nil, 200, map[string]string{"Cache-Control": "max-age=60", "Last-Modified": modified, "Content-Type": "application/xml", "Vary": "Accept-Encoding", "Content-Encoding": ""}},
		{"gzip", "GET", notification, []string{"Accept-Encoding", "gzip, deflate"}, 200, map[string]string{"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}},
		{"head", "HEAD", notification, nil, 200, map[string]string{"ETag": tag, "Last-Modified": modified}},
		{"same tag", "GET", notification, []string{"If-None-Match", tag}, 304, map[string]string{"ETag": tag, "Content-Encoding": "", "Cache-Control": "max-age=60", "Vary": "Accept-Encoding"}},
		{"weak comparison", "GET", notification, []string{"If-None-Match", `"x", W/` + tag}, 304, nil},
		{"same tag packed", "GET", notification, []string{"If-None-Match", packedTag, "Accept-Encoding", "gzip"}, 304, map[string]string{"ETag": packedTag}},
		{"tag of the other form", "GET", notification, []string{"If-None-Match", packedTag}, 200, nil},
		{"any tag", "GET", notification, []string{"If-None-Match", "*"}, 304, nil},
		{"not modified", "GET", notification, []string{"If-Modified-Since", modified}, 304, nil},
		{"modified", "GET", notification, []string{"If-Modified-Since", before}, 200, nil},
		{"the tag counts more", "GET", notification, []string{"If-None-Match", `"x"`, "If-Modified-Since", modified}, 200, nil},
		{"no date", "GET", notification, []string{"If-Modified-Since", "yesterday"}, 200, nil},
		{"snapshot", "GET", snapshot, nil, 200, map[string]string{"Cache-Control": "public, max-age=31536000, immutable", "ETag": `"` + n.Snapshot.Hash + `"`}},
		{"snapshot not modified", "GET", snapshot, []string{"If-None-Match", `"` + n.Snapshot.Hash + `"`}, 304, nil},
		{"delta", "GET", delta, []string{"Accept-Encoding", "gzip"}, 200, map[string]string{"ETag": `"` + n.Deltas[0].Hash + `-gzip"`}},
		{"range", "GET", snapshot, []string{"Range", "bytes=5-9"}, 206, map[string]string{"Content-Length": "5"}},
		{"range of another", "GET", snapshot, []string{"Range", "bytes=5-9", "If-Range", `"x"`}, 200, nil},
		{"range behind the end", "GET", snapshot, []string{"Range", "bytes=99999999-"}, 416, nil},
		{"query", "GET", notification + "?x", nil, 400, map[string]string{"Cache-Control": "no-store"}},
		{"empty query", "GET", notification + "?", nil, 400, nil},
		{"post", "POST", notification, nil, 405, map[string]string{"Allow": "GET, HEAD"}},
		{"base", "GET", cfg.BaseURI, nil, 404, map[string]string{"Cache-Control": "no-store"}},
		{"elsewhere", "GET", "https://rrdp.example.net/", nil, 404, nil},
		{"a name that was guessed", "GET", cfg.BaseURI + "snapshot-2-00000000000000000000000000000000.xml", nil, 404, nil},
		{"a segment", "GET", cfg.BaseURI + "segment-000000", nil, 404, nil},
		{"upwards", "GET", cfg.BaseURI + "../test/notification.xml", nil, 404, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ask(r, c.method, c.target, c.headers...)
			body, _ := io.ReadAll(got.Body)
			if got.StatusCode != c.status {
				t.Fatalf("status %d, want %d: %s", got.StatusCode, c.status, body)
			}
			for name, want := range c.want {
				if have := got.Header.Get(name); have != want {
					t.Errorf("%s is %q, want %q", name, have, want)
				}
			}
			if (c.method == "HEAD" || c.status == 304) && len(body) > 0 {
				t.Errorf("there is a body of %d bytes", len(body))
			}
		})
	}
}

// TestHTTP2 asks a real server in both versions of the protocol at once, while serials are published.
func TestHTTP2(t *testing.T) {
	r, st, cfg := newRepository(t)
	fill(t, r, st, 300, 1870)
	for _, h2 := range []bool{false, true} {
		s := httptest.NewUnstartedServer(r)
		s.EnableHTTP2 = h2
		s.StartTLS()
		defer s.Close()
		fetch := func(address string) []byte {
			resp, err := s.Client().Get(strings.Replace(address, "https://rrdp.example.net", s.URL, 1))
			if err != nil {
				t.Error(err)
				return nil
			}
			defer func() { _ = resp.Body.Close() }()
			body, err := io.ReadAll(resp.Body) // the client unpacks gzip by itself
			if err != nil || resp.StatusCode != http.StatusOK || (resp.ProtoMajor == 2) != h2 {
				t.Errorf("%s: %s %d %v", address, resp.Proto, resp.StatusCode, err)
			}
			return body
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 10 {
				n := parse(t, fetch(cfg.BaseURI+notificationName))
				body := fetch(n.Snapshot.URI)
				if f := parse(t, body); f.Serial != n.Serial || len(f.Publishes) < 300 {
					t.Errorf("the snapshot of %d is of %d and has %d objects", n.Serial, f.Serial, len(f.Publishes))
				}
			}
		}()
		for i := range 20 {
			publish(t, r, st, true, one(i)...)
			if b, err := r.Compact(); err != nil {
				t.Error(err)
			} else if b != nil {
				commit(t, st, b)
			}
		}
		<-done
	}
}

func TestPrefersGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"":                           false,
		"gzip":                       true,
		"GZIP":                       true,
		"x-gzip":                     true,
		"deflate, gzip;q=1.0, *;q=0": true,
		"gzip;q=0":                   false,
		"gzip;q=0.0, *":              false,
		"*":                          true,
		"*;q=0":                      false,
		"br, zstd":                   false,
		"identity":                   false,
		"identity;q=0.5, gzip;q=0.4": false,
		"identity;q=0.5, gzip;q=0.5": true,
		"gzip; q=0.8":                true,
		"gzip;q=nan":                 false,
		"gzip;q=2":                   false,
		"gzip;x=1;q=0":               false,
		",,;,gzip":                   true,
	} {
		if got := prefersGzip([]string{header}); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}

func FuzzGet(f *testing.F) {
	r, st, cfg := newRepository(f)
	publish(f, r, st, true, Change{URI: uri("a.roa"), Object: made(3000)}, Change{URI: uri("b.roa"), Object: made(3000)})
	served := map[string]bool{r.path + notificationName: true}
	for name := range r.front.Load().files {
		served[r.path+name] = true
		f.Add(r.path+name, "gzip", "bytes=0-1")
	}
	f.Add(r.path+notificationName, "gzip;q=0.1,*;q=", "bytes=-5,7-")
	f.Add("/rrdp/test/../../etc/passwd", "", "")
	f.Fuzz(func(t *testing.T, path, encoding, ranges string) {
		req := httptest.NewRequest(http.MethodGet, cfg.BaseURI, nil)
		req.URL.Path = path
		req.Header.Set("Accept-Encoding", encoding)
		req.Header.Set("Range", ranges)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		if good := w.Code == 200 || w.Code == 206 || w.Code == 416; good != served[path] {
			t.Errorf("%q: status %d", path, w.Code)
		}
	})
}

// TestSchema holds all three files against the RelaxNG schema, where the jing program is there.
func TestSchema(t *testing.T) {
	jing, err := exec.LookPath("jing")
	if err != nil {
		t.Skip("the program jing is not on this machine ('apt-get install jing')")
	}
	schema, err := filepath.Abs("../../shared/vectors/schemas/rrdp.rng")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(schema); err != nil {
		t.Skip("../shared/vectors is not on this machine")
	}
	r, st, _ := newRepository(t)
	fill(t, r, st, 20, 1870) // so that the delta is the smaller one, and listed
	publish(t, r, st, true, Change{URI: uri("a.roa"), Object: made(3000)}, Change{URI: uri("b.roa"), Object: made(3000)})
	publish(t, r, st, true, Change{URI: uri("a.roa"), Object: made(100)}, Change{URI: uri("b.roa")}, Change{URI: uri("c.roa"), Object: made(1)})
	dir := t.TempDir()
	if err := r.WriteStatic(dir); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(dir + "/*.xml")
	if out, err := exec.Command(jing, append([]string{schema}, files...)...).CombinedOutput(); err != nil || len(files) < 3 {
		t.Errorf("%d files: %v\n%s", len(files), err, out)
	}
}

// TestStatic: what WriteStatic leaves is what the service serves, and goes when that goes.
func TestStatic(t *testing.T) {
	r, st, cfg := newRepository(t)
	dir := t.TempDir()
	if err := r.WriteStatic(dir); err == nil {
		t.Error("nothing is published and was written")
	}
	fill(t, r, st, 50, 1870)
	for i := range 4 {
		publish(t, r, st, true, one(i)...)
		if err := r.WriteStatic(dir); err != nil {
			t.Fatal(err)
		}
		files, _ := filepath.Glob(dir + "/*.xml")
		for _, path := range files {
			want := get(t, r, cfg.BaseURI+filepath.Base(path))
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s is not what is served (%v)", path, err)
			}
			resp := ask(r, "GET", cfg.BaseURI+filepath.Base(path), "Accept-Encoding", "gzip")
			packed, _ := io.ReadAll(resp.Body)
			if got, err := os.ReadFile(path + ".gz"); err != nil || !bytes.Equal(got, packed) {
				t.Errorf("%s.gz is not what is served (%v)", path, err)
			}
			info, _ := os.Stat(path)
			if filepath.Base(path) == notificationName {
				continue // a web server has the time of the file, and the service that at which it was first served
			}
			if got := info.ModTime().UTC().Format(http.TimeFormat); got != resp.Header.Get("Last-Modified") {
				t.Errorf("%s has the time %s", path, got)
			}
		}
		if len(files) != 1+(i+1)+(i+1) {
			t.Errorf("after %d calls there are %d files", i+1, len(files))
		}
	}
	left := filepath.Join(dir, "snapshot-1-00000000000000000000000000000000.xml")
	kept := filepath.Join(dir, "index.html")
	for _, path := range []string{left, left + ".gz", left + ".new", kept} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.WriteStatic(dir); err != nil {
		t.Fatal(err)
	}
	if found, _ := filepath.Glob(left + "*"); len(found) > 0 {
		t.Errorf("what is not served has stayed: %v", found)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error("a file that is not ours is gone")
	}
}
