package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cadastre/test/internal/delegated"
)

func line(t *testing.T, text string) vrp {
	t.Helper()
	v, err := readVRP(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestCutAt(t *testing.T) {
	for _, c := range []struct{ vrp, areas, in, out string }{
		{"41.0.0.0/16,16,AS1", "41.0.0.0/18", "41.0.0.0/18,18,AS1", "41.0.64.0/18,18,AS1 41.0.128.0/17,17,AS1"},
		{"41.0.0.0/16,20,AS1", "41.0.64.0/18 41.0.192.0/18", "41.0.64.0/18,20,AS1 41.0.192.0/18,20,AS1", "41.0.0.0/18,20,AS1 41.0.128.0/18,20,AS1"},
		{"41.0.0.0/16,16,AS1", "41.0.0.0/15", "41.0.0.0/16,16,AS1", ""},
		{"41.0.0.0/16,16,AS1", "41.1.0.0/16 2c0f::/32", "", "41.0.0.0/16,16,AS1"},
		{"255.255.0.0/16,16,AS1", "255.255.128.0/17", "255.255.128.0/17,17,AS1", "255.255.0.0/17,17,AS1"},
		{"2c0f::/32,48,AS1", "2c0f::/33", "2c0f::/33,48,AS1", "2c0f:0:8000::/33,48,AS1"},
	} {
		var areas []netip.Prefix
		for word := range strings.FieldsSeq(c.areas) {
			areas = append(areas, netip.MustParsePrefix(word))
		}
		in, out := cutAt(line(t, c.vrp), areas)
		for _, side := range []struct {
			what string
			got  []vrp
			want string
		}{{"in", in, c.in}, {"out", out, c.out}} {
			var got []string
			for _, v := range side.got {
				got = append(got, v.String())
			}
			if strings.Join(got, " ") != side.want {
				t.Errorf("%s at %s, %s: %v, want %s", c.vrp, c.areas, side.what, got, side.want)
			}
		}
	}
}

// TestCutAtLosesNothing: each address of a prefix is in exactly one part, and on the right side.
func TestCutAtLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := vrp{netip.MustParsePrefix("10.0.0.0/24"), 24, 1}
		var areas []netip.Prefix
		for at := 0; at < 256; {
			bits := rapid.IntRange(24, 32).Draw(t, "bits")
			size := 1 << (32 - bits)
			if at = (at + size - 1) / size * size; at >= 256 {
				break
			}
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(at)}), bits)
			if rapid.Bool().Draw(t, "moves") {
				areas = append(areas, p)
			}
			at += size
		}
		in, out := cutAt(v, areas)
		for n := range 256 {
			a := netip.AddrFrom4([4]byte{10, 0, 0, byte(n)})
			has := func(list []vrp) (n int) {
				for _, p := range list {
					if p.prefix.Contains(a) {
						n++
					}
				}
				return n
			}
			moves := slices.ContainsFunc(areas, func(p netip.Prefix) bool { return p.Contains(a) })
			if moves && (has(in) != 1 || has(out) != 0) || !moves && (has(in) != 0 || has(out) != 1) {
				t.Fatalf("%s moves: %v; it is %d times in %v and %d times in %v", a, moves, has(in), in, has(out), out)
			}
		}
	})
}

// small is a world of a holder that stands and one of whom a part moves.
func small(t *testing.T) *world {
	t.Helper()
	stands := &holder{handle: "a/stands", vrps: []vrp{line(t, "41.1.0.0/16,16,AS2")}}
	moves := &holder{handle: "a/moves", vrps: []vrp{line(t, "41.0.0.0/16,24,AS1"), line(t, "41.0.0.0/18,18,AS3")}}
	for _, h := range []*holder{stands, moves} {
		for _, v := range h.vrps {
			h.routes = append(h.routes, delegated.Announcement{Prefix: v.prefix, Origin: v.asn})
		}
	}
	moves.routes[0].Prefix = netip.MustParsePrefix("41.0.4.0/24")
	w := &world{holders: []*holder{moves, stands}}
	w.moves = []*move{{donor: moves, area: []netip.Prefix{netip.MustParsePrefix("41.0.0.0/18")}, staged: []vrp{line(t, "41.0.0.0/18,18,AS9")}}}
	w.foresee()
	return w
}

func set(t *testing.T, lines ...string) vrps {
	t.Helper()
	s := vrps{}
	for _, l := range lines {
		s[line(t, l)] = true
	}
	return s
}

// TestObservations gives a reader's judge outputs that may be and outputs that may not.
func TestObservations(t *testing.T) {
	const (
		stands, whole, inside = "41.1.0.0/16,16,AS2", "41.0.0.0/16,24,AS1", "41.0.0.0/18,18,AS3"
		part, rest1, rest2    = "41.0.0.0/18,24,AS1", "41.0.64.0/18,24,AS1", "41.0.128.0/17,24,AS1"
		staged                = "41.0.0.0/18,18,AS9"
	)
	for name, c := range map[string]struct {
		seen     []string
		finished bool
		fault    string
	}{
		"before":                  {[]string{stands, whole, inside}, false, ""},
		"in between":              {[]string{stands, whole, inside, part, rest1, rest2, staged}, false, ""},
		"after":                   {[]string{stands, inside, part, rest1, rest2, staged}, true, ""},
		"a bystander lost":        {[]string{whole, inside}, false, "41.1.0.0/16,16,AS2 is missing"},
		"a part lost":             {[]string{stands, inside, rest1, rest2}, false, "41.0.0.0/18,24,AS1 is missing"},
		"the recipient's own":     {[]string{stands, inside, part, rest1, rest2}, true, "41.0.0.0/18,18,AS9 is missing"},
		"an announcement harmed":  {[]string{stands, inside, rest1, rest2, "41.0.0.0/16,17,AS1"}, false, "41.0.4.0/24 by AS1 was valid and is invalid"},
		"a shorter maxLength":     {[]string{stands, inside, "41.0.0.0/16,20,AS1"}, false, "41.0.0.0/18,24,AS1 is missing"},
		"another's larger prefix": {[]string{stands, inside, "41.0.0.0/16,24,AS7"}, false, "is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			w := small(t)
			s := newObservations(w)
			at := time.Now()
			s.take(at, at, w.before, nil)
			if c.finished {
				w.moves[0].finalised.Store(at.UnixNano())
			}
			s.take(at.Add(time.Second), at.Add(2*time.Second), set(t, c.seen...), nil)
			s.take(at.Add(11*time.Second), at.Add(12*time.Second), set(t, stands, whole, inside, staged), nil)
			_, err := s.verdict()
			if (c.fault == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.fault) {
				t.Fatalf("the verdict is %v, want %q", err, c.fault)
			}
			if name == "a bystander lost" && s.lost != 10*time.Second {
				t.Errorf("%s of VRP time were lost, want 10 s", s.lost)
			}
		})
	}
}

// TestASPASeconds: a reader that knows ASPAs loses as many seconds as one is missing; one that does not know them loses none.
func TestASPASeconds(t *testing.T) {
	w := small(t)
	w.aspas = []string{"AS1=>AS3356,AS6453", "AS2=>AS3356,AS6453"}
	at := time.Now()
	all, one := map[string]bool{w.aspas[0]: true, w.aspas[1]: true}, map[string]bool{w.aspas[0]: true, "AS2=>AS3356": true}
	s, blind := newObservations(w), newObservations(w)
	for i, found := range []map[string]bool{all, one, all} {
		then := at.Add(time.Duration(i) * 10 * time.Second)
		s.take(then, then, w.before, found)
		blind.take(then, then, w.before, nil)
	}
	if _, err := s.verdict(); err == nil || !strings.Contains(err.Error(), "the ASPA AS2=>AS3356,AS6453 is missing") || s.lostASPAs != 10*time.Second {
		t.Errorf("%s of ASPA time were lost: %v", s.lostASPAs, err)
	}
	if figures, err := blind.verdict(); err != nil || strings.Contains(figures, "ASPA") {
		t.Errorf("a reader that knows no ASPAs: %s (%v)", figures, err)
	}
}

func TestFinal(t *testing.T) {
	w := small(t)
	want := set(t, "41.1.0.0/16,16,AS2", "41.0.0.0/18,24,AS1", "41.0.64.0/18,24,AS1", "41.0.128.0/17,24,AS1", "41.0.0.0/18,18,AS3", "41.0.0.0/18,18,AS9")
	if err := w.final.differs(want); err != nil {
		t.Error(err)
	}
	w.moves[0].cancel = true
	w.foresee()
	if err := w.final.differs(w.before); err != nil {
		t.Error(err)
	}
}
