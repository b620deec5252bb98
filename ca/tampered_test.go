package ca

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// TestTampered changes records of the ledger by other ways than decisions, with checksums that fit. A start is refused, and
// names what was changed.
func TestTampered(t *testing.T) {
	t.Parallel()
	inTestRegistry(t, forest, func(h *testRegistry) {
		h.imports(extended(h, "afrinic", 1, "ZA|ipv4|41.128.0.0|65536|20050101|allocated|A1"))
		peopled(h)
		h.take("shop", "41.0.8.0/21")
		h.decided(h.engine.Decide(Consent{}, OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) {
			return l.SetPolicy(h.by(), holdings.DefaultPolicy("afrinic", holdings.Restricted))
		})))
		h.decided(h.engine.Decide(Consent{}, OfLedger(func(l *holdings.Ledger) (*holdings.Outcome, error) {
			return l.Initiate(h.by(), holdings.Transfer{Kind: holdings.Takeover, From: "other", To: "isp", Resources: resources(h, "41.0.64.0/20")}, holdings.Organisation{})
		})))
		h.settle() // raises the high-water mark
		named := func(name string) store.Bucket {
			bucket, known := store.Named(name)
			if !known {
				h.Fatalf("no bucket %q is declared", name)
			}
			return bucket
		}
		first := func(r store.Reader, bucket string) store.Record {
			for record, err := range r.Scan(named(bucket), nil) {
				must(h, err)
				return store.Record{Key: bytes.Clone(record.Key), Value: bytes.Clone(record.Value)}
			}
			h.Fatalf("there is nothing in %q", bucket)
			return store.Record{}
		}
		last := func(r store.Reader, bucket string) (last store.Record) {
			for record, err := range r.Scan(named(bucket), nil) {
				must(h, err)
				last = store.Record{Key: bytes.Clone(record.Key), Value: bytes.Clone(record.Value)}
			}
			return last
		}
		type tampering struct {
			name, says string
			change     func(w store.Writer) error
		}
		audited := []string{"organisation", "delegation", "delegation-ended", "import", "transfer", "transfer-policy", "decision-intent"}
		added := bytes.Repeat([]byte{1}, 8)
		list := []tampering{
			{"an intent is another", `of "intent" is not what a decision made it`, func(w store.Writer) error {
				in := first(w, "intent")
				return w.Put(named("intent"), in.Key, bytes.Replace(in.Value, []byte(`"origin":`), []byte(`"origin":1`), 1))
			}},
			{"an intent is missing", `of "intent" is missing`, func(w store.Writer) error {
				return w.Delete(named("intent"), first(w, "intent").Key)
			}},
			{"a delegation is another", `of "delegation" is not what a decision made it`, func(w store.Writer) error {
				d := first(w, "delegation")
				return w.Put(named("delegation"), d.Key, append(d.Value[:len(d.Value)-1], `,"note":1}`...))
			}},
			{"a delegation is added", `of "delegation" was added, and no decision says so`, func(w store.Writer) error {
				return w.Put(named("delegation"), bytes.Repeat([]byte{1}, 8), first(w, "delegation").Value)
			}},
			{"a decision is another", "decision 3 does not follow from decision 2", func(w store.Writer) error {
				key := []byte{0, 0, 0, 0, 0, 0, 0, 2}
				d, err := w.Get(named("decision"), key)
				must(h, err)
				return w.Put(named("decision"), key, bytes.Replace(d, []byte("tester"), []byte("nobody"), 1))
			}},
			{"a decision is missing", "decision 2 is missing", func(w store.Writer) error {
				return w.Delete(named("decision"), []byte{0, 0, 0, 0, 0, 0, 0, 2})
			}},
			{"the last decision is missing", "decisions, and the last was", func(w store.Writer) error {
				return w.Delete(named("decision"), last(w, "decision").Key)
			}},
			{"what a decision wrote is another", "does not follow from", func(w store.Writer) error {
				wrote := first(w, "decision-written")
				wrote.Value[len(wrote.Value)-1] ^= 1
				return w.Put(named("decision-written"), wrote.Key, wrote.Value)
			}},
			{"the last decision is another", "the high-water mark", func(w store.Writer) error {
				d := last(w, "decision")
				return w.Put(named("decision"), d.Key, bytes.Replace(d.Value, []byte("tester"), []byte("nobody"), 1))
			}},
		}
		for _, bucket := range audited { // each kind of record, in each way
			list = append(list,
				tampering{"one is another: " + bucket, `"` + bucket + `" is not what a decision made it`, func(w store.Writer) error {
					one := last(w, bucket)
					return w.Put(named(bucket), one.Key, append(one.Value[:len(one.Value)-1], `,"note":1}`...))
				}},
				tampering{"one is missing: " + bucket, `"` + bucket + `" is missing, and no decision removed it`, func(w store.Writer) error {
					return w.Delete(named(bucket), first(w, bucket).Key)
				}},
				tampering{"one is added: " + bucket, `"` + bucket + `" was added, and no decision says so`, func(w store.Writer) error {
					return w.Put(named(bucket), added, first(w, bucket).Value)
				}},
			)
		}
		for _, c := range list {
			was := map[string][]store.Record{}
			must(h, h.store.View(func(r store.Reader) error {
				for _, bucket := range append(audited, "intent", "decision", "decision-written") {
					for record, err := range r.Scan(named(bucket), nil) {
						must(h, err)
						was[bucket] = append(was[bucket], store.Record{Key: bytes.Clone(record.Key), Value: bytes.Clone(record.Value)})
					}
				}
				return nil
			}))
			_, err := h.store.Update(store.Any, c.change)
			must(h, err)
			e, err := Open(h.store, h.dir, h.policy, slog.New(slog.DiscardHandler))
			if err == nil {
				err = e.CheckHighWater(false)
			}
			if fault.KindOf(err) != fault.Corrupt || !strings.Contains(err.Error(), c.says) {
				h.Errorf("%s: a start says (%s) %v", c.name, fault.KindOf(err), err)
			}
			_, err = h.store.Update(store.Any, func(w store.Writer) error {
				for _, bucket := range audited {
					must(h, w.Delete(named(bucket), added))
				}
				for bucket, records := range was {
					for _, record := range records {
						must(h, w.Put(named(bucket), record.Key, record.Value))
					}
				}
				return nil
			})
			must(h, err)
		}
		h.reopen()
		h.settle()
	})
}
