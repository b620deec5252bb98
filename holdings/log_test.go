package holdings_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"cadastre/holdings"
	"cadastre/internal/principal"
	"cadastre/internal/store"
)

// TestIntentsInTheLog: what a decision changed of the intents stands in the log, in records of a bounded size, and is told in words.
func TestIntentsInTheLog(t *testing.T) {
	for _, n := range []int{1, 10, 11, 1000, 2500} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			stored := memory{}
			tree, err := holdings.ParseTree([]byte(world))
			if err == nil {
				err = holdings.Create(stored, tree, principal.Principal{Name: "tester"}, noon)
			}
			if err != nil {
				t.Fatal(err)
			}
			ledger, err := holdings.Load(stored)
			if err != nil {
				t.Fatal(err)
			}
			o := ledger.OfIntents(holdings.By{Who: principal.Principal{Name: "tester"}, Reason: "a test", Time: noon})
			for i := range n {
				p := netip.PrefixFrom(netip.AddrFrom4([4]byte{41, byte(i >> 8), byte(i), 0}), 24)
				o.Intents = append(o.Intents, holdings.IntentChange{Holder: "isp", Route: &holdings.Route{Prefix: p, MaxLength: 24, Origin: 37000}, Removed: i == 0})
			}
			if err := o.Write(stored); err != nil {
				t.Fatal(err)
			}
			ledger.Apply(o)
			d, err := holdings.ReadDecision(stored, o.Decision.ID)
			if err != nil || d.Intents.Added != n-1 || d.Intents.Removed != 1 || d.Intents.Holders != 1 || d.Intents.Records != (n+999)/1000 {
				t.Errorf("the log says %+v (%v)", d, err)
			}
			at := 0
			for c, err := range holdings.IntentChanges(stored, d.ID) {
				if err != nil || c.Removed != o.Intents[at].Removed || c.String() != o.Intents[at].String() {
					t.Fatalf("change %d is %+v (%v)", at, c, err)
				}
				at++
			}
			if at != n {
				t.Errorf("%d changes are read", at)
			}
			if !recorded(t, stored, d) {
				t.Error("the changes are not those that the decision names")
			}
			told, err := ledger.Tell(stored, d)
			want := "ROA 41.0.0.0/24,24,AS37000 of isp removed"
			if n > 10 {
				want = fmt.Sprintf("%d ROAs added and 1 removed, of 1 holder", n-1)
			}
			if err != nil || !strings.HasPrefix(strings.Join(told.Did, "\n"), want) {
				t.Errorf("it is told as %q (%v)", told.Did, err)
			}
			if err := stored.Delete(named("decision-intent"), append([]byte{0, 0, 0, 0, 0, 0, 0, byte(d.ID)}, 0, 0, 0, 1)); err != nil {
				t.Fatal(err)
			}
			if recorded(t, stored, d) {
				t.Error("a record is missing, and the changes have the hash of before")
			}
		})
	}
}

// recorded tells whether the records of a decision's changes have the hash in the decision's record.
func recorded(t *testing.T, r store.Reader, d holdings.Decision) bool {
	t.Helper()
	records, sum := 0, sha256.New()
	for record, err := range r.Scan(named("decision-intent"), binary.BigEndian.AppendUint64(nil, d.ID)) {
		if err != nil {
			t.Fatal(err)
		}
		records++
		_, _ = sum.Write(record.Value)
	}
	return records == d.Intents.Records && (records == 0 || hex.EncodeToString(sum.Sum(nil)) == d.Intents.SHA256)
}
