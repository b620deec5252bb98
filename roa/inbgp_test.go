package roa_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"cadastre/roa"
	"cadastre/routes"
)

// seenBy is an announcement that some peers see.
func seenBy(prefix string, origin uint32, peers int) routes.Announcement {
	return routes.Announcement{Prefix: netip.MustParsePrefix(prefix), Origin: origin, Peers: peers}
}

// allowing is fromFile with AS 0.
var allowing = func() roa.Options { o := fromFile; o.AllowAS0 = true; return o }()

// TestInBGP has an intent of each state.
func TestInBGP(t *testing.T) {
	h := furnished(t)
	h.want(h.book.Add(h.ledger, rows(t, strings.Join([]string{
		"41.0.0.0/24,AS1",      // seen
		"41.0.1.0/24,AS2",      // unseen
		"41.0.2.0/23,AS3,24",   // too permissive
		"41.0.4.0/24,AS4",      // disallowing
		"41.0.5.0/24,AS5",      // redundant beside the next
		"41.0.4.0/22,AS5,24",   // seen: all that it authorises is announced
		"41.0.8.0/24,AS0,32",   // AS0
		"41.0.9.0/24,AS0,32",   // without effect beside the next
		"41.0.9.0/24,AS9",      // seen
		"41.0.10.0/23,AS10,24", // seen, as halves and as a whole
	}, "\n")), allowing))
	known := routes.Of(fromFile.Time,
		route("41.0.0.0/24", 1), route("41.0.2.0/24", 3), route("41.0.4.0/24", 40), route("41.0.4.0/24", 5), route("41.0.5.0/24", 5), route("41.0.6.0/24", 5), route("41.0.7.0/24", 5),
		route("41.0.9.0/24", 9), route("41.0.10.0/24", 10), route("41.0.11.0/24", 10), route("41.0.10.0/23", 10))
	want := map[string]string{
		"41.0.0.0/24,24,AS1":   "seen 1 0",
		"41.0.1.0/24,24,AS2":   "unseen 0 0",
		"41.0.2.0/23,24,AS3":   "too permissive 1 0; 41.0.2.0/24,24,AS3",
		"41.0.4.0/24,24,AS4":   "disallowing 0 1",
		"41.0.5.0/24,24,AS5":   "redundant 1 0 41.0.4.0/22,24,AS5",
		"41.0.4.0/22,24,AS5":   "seen 4 1",
		"41.0.8.0/24,32,AS0":   "AS0 0 0",
		"41.0.9.0/24,32,AS0":   "AS0 without effect 0 0 41.0.9.0/24,24,AS9",
		"41.0.9.0/24,24,AS9":   "seen 1 0",
		"41.0.10.0/23,24,AS10": "seen 3 0",
	}
	for _, in := range h.book.Of("shop") {
		s := h.book.InBGP(h.ledger, in, known)
		got := strings.TrimSpace(fmt.Sprintf("%s %d %d %s", s.State, s.Authorises, s.Disallows, strings.Join(s.By, " ")))
		if len(s.Instead) > 0 {
			got += "; " + strings.Join(roa.Lines(s.Instead), " ")
		}
		if got != want[in.VRP().String()] {
			t.Errorf("%s is %q, want %q", in.VRP(), got, want[in.VRP().String()])
		}
		blind := h.book.InBGP(h.ledger, in, nil)
		if tells := strings.HasPrefix(got, "AS0") || strings.HasPrefix(got, "redundant"); (blind != nil) != tells || tells && blind.State != s.State {
			t.Errorf("%s is %+v where nothing is known", in.VRP(), blind)
		}
	}
}

// TestSuggest: what is announced and not valid is suggested, but for what looks like a hijack.
func TestSuggest(t *testing.T) {
	h := furnished(t)
	h.want(h.book.Add(h.ledger, rows(t, "41.0.0.0/23,AS1\n"), fromFile))
	known := routes.Of(fromFile.Time,
		seenBy("41.0.0.0/23", 1, 300),    // valid
		seenBy("41.0.0.0/24", 1, 300),    // invalid by length: its own
		seenBy("41.0.1.0/24", 666, 300),  // invalid by AS
		seenBy("41.0.2.0/24", 2, 300),    // not found
		seenBy("41.0.2.0/24", 666, 20),   // the same, seen by far fewer
		seenBy("41.0.4.0/22", 1, 300),    // not found, of an AS that it authorises
		seenBy("41.0.5.0/24", 666, 300),  // within that, of another
		seenBy("41.0.8.0/24", 64512, 30), // private
		seenBy("41.0.9.0/25", 1, 30),     // too long
		seenBy("41.0.10.0/24", 3, 30),    // ignored
		seenBy("8.8.8.0/24", 3, 30))      // nobody's here
	ignored := map[routes.Announcement]bool{route("41.0.10.0/24", 3): true}
	want := []string{
		"41.0.0.0/24 by AS1 invalid by length: ",
		"41.0.1.0/24 by AS666 invalid by AS: it looks like a hijack: 41.0.0.0/23,23,AS1 authorises another AS, and AS666 is not shop's",
		"41.0.2.0/24 by AS2 not found: ",
		"41.0.2.0/24 by AS666 not found: it looks like a hijack: AS2 announces 41.0.2.0/24 too, and 300 peers see that, 20 this one",
		"41.0.4.0/22 by AS1 not found: ",
		"41.0.5.0/24 by AS666 not found: it looks like a hijack: AS1, which is shop's or is authorised by it, announces 41.0.4.0/22",
		"41.0.8.0/24 by AS64512 not found: AS64512 can't be an origin",
		"41.0.9.0/25 by AS1 not found: it is longer than /24",
	}
	for _, holder := range []string{"shop", ""} {
		list := h.book.Suggest(h.ledger, holder, known, ignored)
		if len(list) != len(want) {
			t.Errorf("for %q %d are suggested: %+v", holder, len(list), list)
			continue
		}
		for i, s := range list {
			got := fmt.Sprintf("%s by AS%d %s: %s", s.Prefix, s.Origin, s.State, s.Doubt)
			if !strings.HasPrefix(got, want[i]) || strings.HasSuffix(want[i], ": ") && got != want[i] || s.Holder != "shop" {
				t.Errorf("%s of %s, want %s", got, s.Holder, want[i])
			}
		}
	}
}
