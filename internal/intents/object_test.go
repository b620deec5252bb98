package intents_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cadastre/internal/inr"
	"cadastre/internal/intents"
	"cadastre/internal/payload"
	"cadastre/internal/store"
)

// Two kinds that there are nowhere else: what an intent of any kind can count on must not depend on what it says.
type flag struct {
	AS     uint32 `json:"as"`
	Colour string `json:"colour"`
}

func (f flag) Kind() payload.Kind { return "flag" }
func (f flag) Key() payload.Key   { return payload.Key{Kind: "flag", Text: fmt.Sprint(f.AS)} }
func (f flag) Sort() []byte       { return binary.BigEndian.AppendUint32(nil, f.AS) }
func (f flag) Resources() inr.Set { return inr.OfAS(f.AS, f.AS) }
func (f flag) String() string     { return fmt.Sprintf("AS%d is %s", f.AS, f.Colour) }
func (f flag) Covers(other payload.Payload) payload.Cover {
	if f.Key() == other.Key() {
		return payload.Whole
	}
	return payload.None
}

type horn struct{ flag }

func (h horn) Kind() payload.Kind { return "horn" }
func (h horn) Key() payload.Key   { return payload.Key{Kind: "horn", Text: fmt.Sprint(h.AS)} }

func init() {
	intents.Declare[flag]("flag", store.Declare("flag-intent", "intents", store.Deposited))
	intents.Declare[horn]("horn", store.Declare("horn-intent", "intents", store.Deposited))
}

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// TestObjects: whatever is added, replaced, displaced and ended, the store has what the book has, and the book what a plain map has.
func TestObjects(t *testing.T) {
	s, err := store.Open(filepath.Join(t.TempDir(), "store"), store.Options{Create: true, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	rapid.Check(t, func(t *rapid.T) {
		load := func() (b intents.Objects) {
			if err := s.View(func(r store.Reader) (err error) { b, err = intents.LoadObjects(r); return err }); err != nil {
				t.Fatal(err)
			}
			return b
		}
		book, model, now := load(), map[string][]intents.Object{}, noon // of each key, the newest last, over what it displaced
		apply := func(c *intents.ObjectChange) {
			if _, err := s.Update(store.Any, func(w store.Writer) error { return intents.WriteObjects(w, c) }); err != nil {
				t.Fatal(err)
			}
			book.Apply(c)
		}
		left := intents.ObjectChange{Removed: slices.Collect(book.All())} // by the check before
		apply(&left)
		draw := func() intents.Object {
			says := flag{uint32(rapid.IntRange(1, 3).Draw(t, "AS")), rapid.SampledFrom([]string{"red", "blue"}).Draw(t, "colour")}
			terms := intents.Terms{Holder: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "holder"), Actor: "tester", Added: now}
			if rapid.Bool().Draw(t, "ends") {
				terms.Until = now.Add(time.Duration(rapid.IntRange(1, 3).Draw(t, "hours")) * time.Hour)
			}
			var p payload.Payload = says
			if rapid.Bool().Draw(t, "horn") {
				p = horn{says}
			}
			in, err := intents.ObjectOf(terms, p)
			if err != nil {
				t.Fatal(err)
			}
			return in
		}
		name := func(in intents.Object) string { return string(in.Says.Kind()) + string(in.Key()) }
		t.Repeat(map[string]func(*rapid.T){
			"take": func(*rapid.T) {
				in, taking := draw(), book.Taking()
				taking.Take(in, true)
				model[name(in)] = []intents.Object{in}
				apply(&taking.Change)
			},
			"displace": func(*rapid.T) {
				in, taking := draw(), book.Taking()
				if has, there := book.Find(in); there && has.Displaced == nil {
					in.Displaced, _ = json.Marshal(has)
					model[name(in)] = append(model[name(in)], in)
				} else {
					model[name(in)] = []intents.Object{in}
				}
				taking.Take(in, true)
				apply(&taking.Change)
			},
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 2).Draw(t, "later")) * time.Hour)
				for range 2 { // what comes back may have ended meanwhile
					c, err := book.End(now)
					if err != nil {
						t.Fatal(err)
					}
					for key, list := range model {
						if last := list[len(list)-1]; !last.Until.IsZero() && !last.Until.After(now) {
							if model[key] = list[:len(list)-1]; len(list) == 1 {
								delete(model, key)
							}
						}
					}
					apply(&c)
				}
			},
			"": func(t *rapid.T) {
				var want []string
				for _, list := range model {
					last := list[len(list)-1]
					want = append(want, fmt.Sprint(last.Holder, last.Says.Kind(), last.Says, last.Until, string(last.Displaced)))
				}
				slices.Sort(want)
				for _, b := range []intents.Objects{book, load()} {
					var got []string
					for in := range b.All() {
						got = append(got, fmt.Sprint(in.Holder, in.Says.Kind(), in.Says, in.Until, string(in.Displaced)))
						if !b.Stands(in.Holder, in.Says, inr.OfAS(1, 9)) || b.Stands(in.Holder, in.Says, inr.Set{}) {
							t.Fatal(in.Says, "does not follow what is held")
						}
					}
					if slices.Sort(got); !slices.Equal(got, want) {
						t.Fatalf("there is\n%v\nand should be\n%v", got, want)
					}
				}
			},
		})
	})
}
