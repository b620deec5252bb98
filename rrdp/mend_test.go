package rrdp

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// aged is a repository with some history, and what it serves: by URI of the file.
func aged(t *testing.T) (store.Store, Config, map[string][]byte) {
	t.Helper()
	r, st, cfg := newRepository(t)
	publish(t, r, st, true, Change{URI: uri("a.roa"), Object: made(3000)}, Change{URI: uri("b.roa"), Object: made(3000)}, Change{URI: uri("c.roa"), Object: made(3000)})
	publish(t, r, st, true, Change{URI: uri("a.roa"), Object: made(2000)})
	publish(t, r, st, true, Change{URI: uri("d.roa"), Object: made(100)})
	served := map[string][]byte{}
	n := parse(t, get(t, r, cfg.BaseURI+notificationName))
	for _, ref := range append(references(n.Deltas), n.Snapshot) {
		served[ref.URI] = get(t, r, ref.URI)
	}
	if len(served) != 3 {
		t.Fatalf("%d files are served", len(served))
	}
	return st, cfg, served
}

// damage flips a byte in the text, the deflate blocks, or both, of the newest object at a URI.
func damage(t *testing.T, r *Repository, cfg Config, uri string, text, packed bool) {
	t.Helper()
	p := r.index.live[uri].place
	for at, does := range map[uint32]bool{p.text + p.textLen/2: text, p.flate + p.flateLen/2: packed} {
		if does {
			if err := flip(filepath.Join(cfg.Dir, "segment-000000"), int(at)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestMend: of an object that changed on the disk the other form is left, and all that was announced is served again.
func TestMend(t *testing.T) {
	for _, form := range []string{"text", "deflate"} {
		st, cfg, served := aged(t)
		damage(t, reopen(t, st, cfg), cfg, uri("b.roa"), form == "text", form == "deflate")
		if _, err := Open(st, cfg); fault.KindOf(err) != fault.Corrupt {
			t.Fatalf("%s: opening it says %v", form, err)
		}
		if n, err := Mend(st, cfg); n != 1 || err != nil {
			t.Fatalf("%s: %d are mended, %v", form, n, err)
		}
		r := reopen(t, st, cfg)
		for at, want := range served {
			if !bytes.Equal(get(t, r, at), want) {
				t.Errorf("%s: %s is another", form, at)
			}
		}
		publish(t, r, st, true, Change{URI: uri("e.roa"), Object: made(100)})
		if n, err := Mend(st, cfg); n != 0 || err != nil {
			t.Errorf("%s: of what is whole %d are mended, %v", form, n, err)
		}
	}
}

// TestQuarantine: where both forms of an object are damaged, what is whole is served, what is not is refused, and nothing
// changes any more.
func TestQuarantine(t *testing.T) {
	st, cfg, served := aged(t)
	damage(t, reopen(t, st, cfg), cfg, uri("d.roa"), true, true)
	_, cause := Open(st, cfg)
	if _, err := Mend(st, cfg); fault.KindOf(err) != fault.Corrupt {
		t.Fatalf("mending it says %v", err)
	}
	r, err := Quarantine(st, cfg, cause)
	if err != nil || r.Damage() == nil {
		t.Fatal(err)
	}
	n := parse(t, get(t, r, cfg.BaseURI+notificationName))
	whole := 0
	for _, ref := range append(references(n.Deltas), n.Snapshot) {
		if ask(r, "GET", ref.URI).StatusCode != http.StatusOK {
			continue
		}
		if whole++; !bytes.Equal(get(t, r, ref.URI), served[ref.URI]) {
			t.Errorf("%s is another", ref.URI)
		}
	}
	if whole != 1 { // the delta of the serial before
		t.Errorf("%d files are served", whole)
	}
	if _, err := r.Prepare([]Change{{URI: uri("e.roa"), Object: made(100)}}, true); fault.KindOf(err) != fault.Corrupt {
		t.Errorf("a change says %v", err)
	}
	if err := os.Remove(filepath.Join(cfg.Dir, "segment-000000")); err != nil {
		t.Fatal(err)
	}
	if _, err := Quarantine(st, cfg, cause); fault.KindOf(err) != fault.Corrupt {
		t.Errorf("without its segment it is %v", err)
	}
}
