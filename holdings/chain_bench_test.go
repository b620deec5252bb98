package holdings

import (
	"fmt"
	"path/filepath"
	"testing"

	"cadastre/internal/store"
)

// BenchmarkVerify holds ledgers of two sizes against their logs, as each start does: what a record costs must be the same for both.
func BenchmarkVerify(b *testing.B) {
	for _, records := range []int{20_000, 200_000} {
		b.Run(fmt.Sprint(records), func(b *testing.B) {
			st, err := store.Open(filepath.Join(b.TempDir(), "store"), store.Options{Create: true, NoSync: true})
			if err != nil {
				b.Fatal(err)
			}
			defer st.Close() //nolint:errcheck // it is removed
			_, err = st.Update(store.Any, func(w store.Writer) error {
				p := &puts{w: w}
				const each = 4 // records of a decision
				for i := range records {
					key := numberKey(uint64(i + 1))
					p.put(delegationBucket, key, fmt.Sprintf("%0300d", i))
					if (i+1)%each == 0 {
						id := uint64((i + 1) / each)
						p.put(decisionBucket, numberKey(id), p.chain(Decision{ID: id, Reason: fmt.Sprintf("%0300d", i)}))
					}
				}
				p.put(ledgerBucket, countersKey, counters{LastDecision: uint64(records / each)})
				return p.err
			})
			if err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for b.Loop() {
				if err := st.View(func(r store.Reader) error { _, err := Verify(r); return err }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(records), "ns/record")
		})
	}
}
