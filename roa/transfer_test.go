package roa_test

import (
	"testing"
	"time"

	"cadastre/roa"
)

// TestWhatEnds: of what a transfer brings for a time and what is there already the one that lasts longer stays; what its holder
// asks for itself is its own and does not end.
func TestWhatEnds(t *testing.T) {
	day := func(n int) time.Time { return noon.AddDate(0, 0, n) }
	h := furnished(t)
	brought := func(transfer uint64, until time.Time) roa.Intent {
		row := rows(t, "41.0.0.0/16,AS37000")[0]
		return roa.Intent{Holder: "isp", Prefix: row.Prefix, MaxLength: row.MaxLength, Origin: row.Origin, Actor: "tester", Added: noon, Until: until, Transfer: transfer}
	}
	is := func(what string, transfer uint64, until time.Time) {
		t.Helper()
		for _, b := range []*roa.Book{h.book, h.reload()} {
			list := b.Of("isp")
			if len(list) != 1 || list[0].Transfer != transfer || !list[0].Until.Equal(until) {
				t.Errorf("%s: isp has %+v", what, list)
			}
			if b.NextEnd() != until {
				t.Errorf("%s: the next end is %s", what, b.NextEnd())
			}
		}
	}
	bring := func(intents ...roa.Intent) int { return h.want(h.book.Bring(intents), nil).Duplicates }
	bring(brought(1, day(1)))
	is("a bridge", 1, day(1))
	bring(brought(2, day(3)))
	is("a longer one", 2, day(3))
	if bring(brought(3, day(2))) != 1 {
		t.Error("a shorter one is no duplicate")
	}
	is("a shorter one", 2, day(3))
	bring(brought(4, day(4)), brought(4, time.Time{}), brought(4, day(5)))
	is("one for good among others", 4, time.Time{})
	bring(brought(5, day(6)))
	is("a bridge beside one for good", 4, time.Time{})
	h.want(h.book.Remove(h.book.Of("isp")))
	bring(brought(6, day(1)))
	if o := h.want(h.book.Add(h.ledger, rows(t, "41.0.0.0/16,AS37000\n41.0.0.0/16,AS37000"), fromFile)); o.Duplicates != 1 || len(o.Added) != 1 {
		t.Errorf("asked for twice, it is %+v", o)
	}
	is("what its holder asks for", 0, time.Time{})
}
