package publisher

import (
	"bytes"
	"context"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cadastre/internal/envelopetest"
	"cadastre/internal/fault"
	"cadastre/internal/publication"
	"cadastre/internal/store"
	"cadastre/rrdp"
)

func TestRegister(t *testing.T) {
	h := newTestServer(t, Limits{})
	ctx := context.Background()
	_, fresh, err := envelopetest.NewIdentity(time.Now()) // that of all tests may be made in a bubble of time
	if err != nil {
		t.Fatal(err)
	}
	info, err := h.Add(ctx, Registration{Handle: "alice", Registry: "south", TrustAnchor: fresh})
	if err != nil {
		t.Fatal(err)
	}
	if info.Base != "rsync://rpki.example.net/south/alice/" || info.Notification != "https://rrdp.example.net/rrdp/south/notification.xml" {
		t.Errorf("%+v", info)
	}
	if years := time.Until(info.IdentityExpires).Hours() / 24 / 365; years < 14 || years > 16 {
		t.Errorf("the identity lasts %v years", years)
	}
	inSouth := publication.PDU{URI: info.Base + "a.roa", Object: []byte("x")}
	h.send(t, "alice", inSouth)
	if _, ok := h.repositories["south"].Get(inSouth.URI); !ok {
		t.Error("the object is in another repository")
	}
	for name, r := range map[string]Registration{
		"no handle":      {Registry: "north", TrustAnchor: identity()},
		"with a slash":   {Handle: "a/b", Registry: "north", TrustAnchor: identity()},
		"with a dot":     {Handle: "a.b", Registry: "north", TrustAnchor: identity()},
		"too long":       {Handle: strings.Repeat("a", 256), Registry: "north", TrustAnchor: identity()},
		"no certificate": {Handle: "bob", Registry: "north", TrustAnchor: []byte("x")},
		"limits below 0": {Handle: "bob", Registry: "north", TrustAnchor: identity(), Limits: Limits{Objects: -1}},
	} {
		_, err := h.Add(ctx, r)
		t.Log(name)
		wantKind(t, err, fault.BadInput)
	}
	_, err = h.Add(ctx, Registration{Handle: "bob", Registry: "west", TrustAnchor: identity()})
	wantKind(t, err, fault.NotFound)
	_, err = h.Add(ctx, Registration{Handle: "alice", Registry: "north", TrustAnchor: identity()})
	wantKind(t, err, fault.Conflict)
	if all := h.Publishers(); len(all) != 1 || all[0].Objects != 1 {
		t.Errorf("%+v", all)
	}
}

// TestOccupied: nobody gets a base with something below it that he did not publish.
func TestOccupied(t *testing.T) {
	h := newTestServer(t, Limits{})
	err := h.CommitObjects(map[string][]rrdp.Change{"north": {{URI: uri("alice", "a.roa"), Object: []byte("x")}}}, func(store.Writer) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Add(context.Background(), Registration{Handle: "alice", Registry: "north", TrustAnchor: identity()})
	wantKind(t, err, fault.Conflict)
	h.add(t, "al")
	h.add(t, "alice2")
	h.wantList(t, "al", nil)
	h.open(t)
	h.wantList(t, "al", nil)
	h.wantList(t, "alice2", nil)
}

// TestOverlap: no base is below another.
func TestOverlap(t *testing.T) {
	h := newTestServer(t, Limits{})
	h.add(t, "alice")
	for _, base := range []string{"rsync://rpki.example.net/north/", "rsync://rpki.example.net/north/alice/", "rsync://rpki.example.net/north/alice/x/"} {
		h.base = func(string, string) (string, string) { return base, "" }
		_, err := h.Add(context.Background(), Registration{Handle: "bob", Registry: "north", TrustAnchor: identity()})
		wantKind(t, err, fault.Conflict)
	}
	for _, base := range []string{"", "rsync://", "rsync://h", "rsync://h/", "rsync://h/m", "rsync://h/m//", "rsync://h/m/../", "https://h/m/", "rsync://h/m%41/"} {
		h.base = func(string, string) (string, string) { return base, "" }
		_, err := h.Add(context.Background(), Registration{Handle: "bob", Registry: "north", TrustAnchor: identity()})
		wantKind(t, err, fault.BadInput)
	}
}

func TestRemove(t *testing.T) {
	h := newTestServer(t, Limits{})
	ctx := context.Background()
	h.add(t, "alice")
	h.add(t, "bob")
	h.send(t, "alice", publish("alice", "a.roa", "x"), publish("alice", "d/b.roa", "y"))
	h.send(t, "bob", publish("bob", "a.roa", "x"))
	wantKind(t, h.Remove(ctx, "carol"), fault.NotFound)
	if err := h.Remove(ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, ok := h.Find("alice"); ok {
			t.Error("alice is still registered")
		}
		for o := range h.repositories["north"].Live() {
			if o.URI != uri("bob", "a.roa") {
				t.Errorf("%s is still there", o.URI)
			}
		}
		h.open(t)
	}
	h.add(t, "alice")
	h.wantList(t, "alice", nil)
}

func TestUpdate(t *testing.T) {
	h := newTestServer(t, Limits{})
	ctx := context.Background()
	h.add(t, "alice")
	h.send(t, "alice", publish("alice", "a.roa", "x"))
	_, other, err := envelopetest.NewIdentity(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, h.Update(ctx, "alice", []byte("x")), fault.BadInput)
	wantKind(t, h.Update(ctx, "bob", other), fault.NotFound)
	if err := h.Update(ctx, "alice", other); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c, ok := h.Find("alice")
		if !ok || !bytes.Equal(c.Trust.Certificate(), other) || !c.LastSigned.Equal(at) {
			t.Errorf("%+v", c)
		}
		if info, err := h.Publisher("alice"); err != nil || !bytes.Equal(info.TrustAnchor, other) {
			t.Errorf("%+v (%v)", info, err)
		}
		h.open(t)
	}
	h.wantList(t, "alice", map[string]string{"a.roa": "x"})
}

// TestDamaged: what cannot be read is not passed over.
func TestDamaged(t *testing.T) {
	for bucket, text := range map[store.Bucket]string{recordBucket: "{", stateBucket: "[]"} {
		h := newTestServer(t, Limits{})
		h.add(t, "alice")
		if _, err := h.store.Update(store.Any, func(w store.Writer) error { return w.Put(bucket, []byte("alice"), []byte(text)) }); err != nil {
			t.Fatal(err)
		}
		_, err := Open(h.store, h.repositories, baseOf, h, Limits{})
		wantKind(t, err, fault.Corrupt)
	}
	h := newTestServer(t, Limits{})
	h.add(t, "alice")
	delete(h.repositories, "north")
	_, err := Open(h.store, h.repositories, baseOf, h, Limits{})
	wantKind(t, err, fault.Corrupt)
}

func TestBelow(t *testing.T) {
	const base = "rsync://h/m/alice/"
	for uri, want := range map[string]bool{
		base + "a.roa":                          true,
		base + "0/A_b-c.mft":                    true,
		base + "a..b":                           true,
		base:                                    false,
		base + "/a":                             false,
		base + "a/":                             false,
		base + "a//b":                           false,
		base + ".":                              false,
		base + "..":                             false,
		base + "../bob/a":                       false,
		base + "a/../b":                         false,
		base + "a/./b":                          false,
		base + ".hidden":                        false,
		base + "%2e%2e/b":                       false,
		base + "a?b":                            false,
		base + "a#b":                            false,
		base + "a b":                            false,
		base + "a\\b":                           false,
		base + "a\x00b":                         false,
		base + "ä":                              false,
		base + "a~":                             false,
		"rsync://h/m/alice":                     false,
		"rsync://h/m/alicex/a":                  false,
		"rsync://h/m/bob/a":                     false,
		"RSYNC://h/m/alice/a":                   false,
		"rsync://H/m/alice/a":                   false,
		"rsync://h:873/m/alice/a":               false,
		"https://h/m/alice/a":                   false,
		base + strings.Repeat("a", 255):         true,
		base + strings.Repeat("a", 256):         false,
		base + strings.Repeat("aa/", 700) + "a": false,
	} {
		if got := below(base, uri); got != want {
			t.Errorf("%q: %v, want %v", uri, got, want)
		}
	}
}

// FuzzBelow: what is accepted is in normal form, and a path that the other packages take.
func FuzzBelow(f *testing.F) {
	const base = "rsync://h/m/alice/"
	for _, seed := range []string{"a.roa", "../x", "a//b", "a/b/c.mft", "%2e", "", "."} {
		f.Add(base + seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if !below(base, uri) {
			return
		}
		name, ok := strings.CutPrefix(uri, base)
		if !ok || name == "" || path.Clean("/"+name) != "/"+name || strings.ContainsAny(uri[len("rsync://"):], "%?#&<>\"' \\:@") || len(uri) > rrdp.MaxURI {
			t.Errorf("%q", uri)
		}
		dirs := slices.Collect(directories(base, uri))
		if len(dirs) != strings.Count(name, "/") {
			t.Errorf("%q: directories %q", uri, dirs)
		}
		for _, dir := range dirs {
			if !strings.HasPrefix(uri, dir) || len(dir) <= len(base) || !strings.HasSuffix(dir, "/") {
				t.Errorf("%q: directory %q", uri, dir)
			}
		}
	})
}

// TestSpend: no hour has more than twice Limits.Changes, and whoever has the whole allowance can spend all of it at once.
func TestSpend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := Limits{Changes: rapid.IntRange(1, 1000).Draw(t, "changes")}
		now, full := at, time.Time{}
		var spent []struct {
			at time.Time
			n  int
		}
		for range rapid.IntRange(1, 50).Draw(t, "queries") {
			now = now.Add(time.Duration(rapid.IntRange(0, int(20*time.Minute)).Draw(t, "pause")))
			n := rapid.IntRange(0, limits.Changes).Draw(t, "n")
			rested := !full.After(now)
			next, ok := limits.spend(full, now, n)
			if !ok && rested {
				t.Fatalf("%d of %d were refused after a rest", n, limits.Changes)
			}
			if ok {
				full = next
				spent = append(spent, struct {
					at time.Time
					n  int
				}{now, n})
			}
		}
		for i := range spent {
			sum := 0
			for j := i; j >= 0 && spent[i].at.Sub(spent[j].at) < window; j-- {
				sum += spent[j].n
			}
			if sum > 2*limits.Changes {
				t.Fatalf("%d of %d in an hour", sum, limits.Changes)
			}
		}
	})
}
