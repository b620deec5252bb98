package kinds

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"cadastre/aspa"
	"cadastre/internal/payload"
)

// TestJoin: what is joined to a JSON object is cut out of it as it was, and leaves the rest as it is.
func TestJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var list List
		for range rapid.IntRange(0, 3).Draw(t, "ASPAs") {
			list = append(list, aspa.VAP{Customer: rapid.Uint32().Draw(t, "customer"), Providers: rapid.SliceOfN(rapid.Uint32(), 1, 3).Draw(t, "providers")})
		}
		object := []byte(rapid.SampledFrom([]string{`{}`, `{"vrps_gained":[1]}`}).Draw(t, "object"))
		was := string(object)
		joined, err := list.Join(object, "%s_gained")
		if err == nil {
			joined, err = list.Join(joined, "%s_lost")
		}
		if err != nil || string(object) != was || !json.Valid(joined) {
			t.Fatalf("%s is joined to %s (%v)", joined, object, err)
		}
		joined = list.Counted().Join(joined)
		for _, form := range []string{"%s_gained", "%s_lost"} {
			var got List
			if err := got.Cut(joined, form); err != nil || len(got) != len(list) {
				t.Fatalf("%s has %v (%v)", joined, got, err)
			}
			for i := range got {
				if !payload.Same(got[i], list[i]) {
					t.Fatalf("%s is %s", list[i], got[i])
				}
			}
		}
		var counts Counts
		if err := counts.Cut(joined); err != nil || counts.Total() != len(list) {
			t.Fatalf("%s counts %v (%v)", joined, counts, err)
		}
	})
}
