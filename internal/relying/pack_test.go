package relying

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"cadastre/internal/fault"
	"cadastre/internal/relying/rrdpxml"
)

// octets is all that a repository holds.
func (r *repository) octets() map[string][]byte {
	all := map[string][]byte{}
	for uri := range r.objects.at {
		all[uri], _ = r.objects.Get(uri)
	}
	return all
}

// bare is a fetcher that fetches nothing.
func bare(l Limits) *fetcher {
	l = l.withDefaults()
	return &fetcher{limits: l, accounts: newAccounts(l)}
}

func same(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }

// TestRepositoryIsItsHistory plays random deltas on a repository, with restarts and compaction between them, and
// compares it with a map that has the same done to it. Compaction must not show.
func TestRepositoryIsItsHistory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		must(t, err)
		f := bare(Limits{})
		r, err := openRepository(dir, "https://h/n.xml", f)
		must(t, err)
		want := map[string][]byte{"rsync://h/m/0": {1}}
		must(t, r.replace(session1, 1, func(w *packWriter) error { return w.add("rsync://h/m/0", []byte{1}) }))
		rt.Repeat(map[string]func(*rapid.T){
			"delta": func(rt *rapid.T) {
				var changes []rrdpxml.Change
				for i := range rapid.IntRange(1, 4).Draw(rt, "changes") {
					c := rrdpxml.Change{URI: fmt.Sprint("rsync://h/m/", i, rapid.IntRange(0, 3).Draw(rt, "uri"))}
					if old, there := want[c.URI]; there {
						hash := rrdpxml.Hash(sha256.Sum256(old))
						c.Replaces = &hash
						c.Withdraw = rapid.Bool().Draw(rt, "withdraw")
					}
					if !c.Withdraw {
						c.Data = bytes.Repeat([]byte{rapid.Byte().Draw(rt, "data")}, rapid.SampledFrom([]int{0, 1, 20_000}).Draw(rt, "size"))
					}
					changes = append(changes, c)
				}
				must(t, r.apply(changes, r.state.Serial+1))
				for _, c := range changes {
					if want[c.URI] = c.Data; c.Withdraw {
						delete(want, c.URI)
					}
				}
			},
			"settle": func(*rapid.T) {
				must(t, r.settle(&news{Notification: &rrdpxml.Notification{}}))
				if r.state.Size > smallPack && r.state.Live < r.state.Size/2 {
					rt.Fatalf("the pack has %d bytes for %d that count", r.state.Size, r.state.Live)
				}
			},
			"restart": func(*rapid.T) {
				serial := r.state.Serial
				if r, err = openRepository(dir, "https://h/n.xml", f); err != nil || r.state.Serial != serial {
					rt.Fatalf("after a restart it is at %d instead of %d: %v", r.state.Serial, serial, err)
				}
			},
			"": func(rt *rapid.T) {
				if !same(r.octets(), want) {
					rt.Fatalf("%d objects instead of %d, or other bytes", len(r.objects.at), len(want))
				}
			},
		})
	})
}

// TestDeltaAllOrNothing: a delta of which the last change does not fit leaves all as it was, also on disk.
func TestDeltaAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	f := bare(Limits{Objects: 3})
	r, err := openRepository(dir, "https://h/n.xml", f)
	must(t, err)
	must(t, r.replace(session1, 1, func(w *packWriter) error { return w.add("a", []byte{1}) }))
	bad := map[string][]rrdpxml.Change{
		"new but there":   {{URI: "b", Data: []byte{2}}, {URI: "a", Data: []byte{3}}},
		"withdraw absent": {{URI: "b", Data: []byte{2}}, {URI: "c", Withdraw: true, Replaces: new(rrdpxml.Hash)}},
		"another":         {{URI: "b", Data: []byte{2}}, {URI: "a", Data: []byte{3}, Replaces: new(rrdpxml.Hash)}},
		"too many":        {{URI: "b", Data: []byte{2}}, {URI: "c", Data: []byte{2}}, {URI: "d", Data: []byte{2}}},
	}
	for name, changes := range bad {
		if err := r.apply(changes, 2); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
		again, err := openRepository(dir, "https://h/n.xml", f)
		for _, r := range []*repository{r, again} {
			if err != nil || r.state.Serial != 1 || !same(r.octets(), map[string][]byte{"a": {1}}) {
				t.Errorf("%s: it is at serial %d with %v, %v", name, r.state.Serial, r.objects.at, err)
			}
		}
	}
}

// FuzzPack: whatever is in the file, reading it ends in objects or in Corrupt.
func FuzzPack(f *testing.F) {
	path := filepath.Join(f.TempDir(), "pack")
	w, err := createPack(path)
	must(f, err)
	must(f, w.add("rsync://h/m/a", []byte("object")))
	must(f, w.add("rsync://h/m/a", nil))
	must(f, w.close())
	data, err := os.ReadFile(path)
	must(f, err)
	f.Add(data)
	f.Add(data[:len(data)-3])
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "pack")
		must(t, os.WriteFile(path, data, 0o644))
		objects, err := openPack(path, int64(len(data)))
		if (objects.at == nil) != (err != nil) || err != nil && fault.KindOf(err) != fault.Corrupt {
			t.Fatalf("%v, %v", objects.at, err)
		}
		for uri := range objects.at {
			if _, ok := objects.Get(uri); !ok {
				t.Errorf("%s is in it and cannot be read", uri)
			}
			if file, err := os.Open(path); err == nil {
				findRecord(file, uri)
				must(t, file.Close())
			}
		}
		must(t, objects.Close())
	})
}

// BenchmarkOpen opens a repository of the size of AFRINIC's from a warm page cache.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	f := bare(Limits{})
	r, err := openRepository(dir, "https://h/n.xml", f)
	must(b, err)
	must(b, r.replace(session1, 1, func(w *packWriter) error {
		for i := range 24_500 {
			must(b, w.add(fmt.Sprintf("rsync://rpki.example.net/repository/%040x/%040x.roa", i/3, i), bytes.Repeat([]byte{byte(i)}, 1900)))
		}
		return nil
	}))
	for b.Loop() {
		if r, err = openRepository(dir, "https://h/n.xml", f); err != nil || len(r.objects.at) != 24_500 {
			b.Fatal(err)
		}
	}
}
