package moves_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/holdings"
	"cadastre/internal/registrytest"
	"cadastre/internal/relying"
	"cadastre/moves"
)

// site is an installation with a mover and its door.
type site struct {
	*registrytest.Registry
	name  string // of it at the other
	mover *moves.Mover
	door  http.Handler
	down  bool // it neither hears nor is heard
	dark  bool // nobody reaches its repository
}

// pair is two installations that know each other: afrinic's and lacnic's, and ripe's and apnic's.
type pair struct {
	*testing.T
	a, b   *site
	keep   []string                                          // VRPs that the two together have to have at all times
	intern func(r *http.Request, body []byte) ([]byte, bool) // sees each message; false loses it
}

// plainFolder is how folders are called that stand for what has a name from outside.
var plainFolder = regexp.MustCompile(`^[0-9a-f]{32}$`)

// inPair runs a test on two installations. The first has a holder with routes, which has delegated a part on.
func inPair(t *testing.T, test func(p *pair)) {
	t.Helper()
	registrytest.RunSeveral(t, soak, func(h []*registrytest.Registry) {
		p := &pair{T: t, a: &site{Registry: h[0], name: "north"}, b: &site{Registry: h[1], name: "south"}}
		a, b := p.a, p.b
		a.Give("afrinic", "41.0.0.0/8,AS36000-AS36999,2c00::/12")
		a.Enrol("afrinic/x", "afrinic", holdings.LIR)
		a.Give("afrinic/x", "41.0.0.0/16,2c00:1::/32,AS36001")
		a.Enrol("afrinic/x/shop", "afrinic/x", holdings.EndUser)
		a.Give("afrinic/x/shop", "41.0.16.0/20")
		a.Intend("41.0.0.0/16,AS36001,20\n41.0.16.0/20,AS36002\n41.0.128.0/17,AS36003\n2c00:1::/32,AS36001\n")
		names(a.Registry, ourASPA)
		b.Give("ripe", "80.0.0.0/8")
		b.Enrol("ripe/old", "ripe", holdings.LIR)
		b.Give("ripe/old", "80.1.0.0/16")
		b.Intend("80.1.0.0/16,AS680\n")
		for _, s := range []*site{a, b} {
			p.open(s)
		}
		p.introduce(a, b)
		p.introduce(b, a)
		p.rest()
		p.keep = p.vrps()
		test(p)
	}, registrytest.Registries, elsewhere)
}

// open makes a mover of what is on disk.
func (p *pair) open(s *site) {
	s.mover = moves.New(s.Engine(), s.Dir(), slog.New(slog.DiscardHandler))
	s.mover.HTTP = &http.Client{Transport: p}
	s.mover.Look = func(_ context.Context, dir, tal string, _ ...string) (*relying.Report, error) {
		if !plainFolder.MatchString(filepath.Base(dir)) {
			p.Errorf("what is seen is kept in %s, a folder that is called as somebody chose", dir)
		}
		for _, at := range []*site{p.a, p.b} {
			if own, _ := at.Engine().TAL(); own == tal && !at.dark {
				return at.Seen(), nil
			}
		}
		return nil, errors.New("nobody is there")
	}
	var err error
	if s.door, err = s.mover.Doors(nil); err != nil {
		p.Fatal(err)
	}
}

// RoundTrip carries a message to the door of one of the two.
func (p *pair) RoundTrip(r *http.Request) (*http.Response, error) {
	to := p.a
	if r.URL.Host == "1.example" {
		to = p.b
	}
	if p.a.down || p.b.down {
		return nil, errors.New("connection refused")
	}
	w := httptest.NewRecorder()
	to.door.ServeHTTP(w, r)
	if p.intern != nil {
		if body, pass := p.intern(r, w.Body.Bytes()); !pass {
			return nil, errors.New("the connection was lost")
		} else if body != nil {
			w.Body.Reset()
			w.Body.Write(body)
		}
	}
	return w.Result(), nil
}

func (p *pair) introduce(s, to *site) {
	p.Helper()
	text, err := s.mover.Introduce("", "")
	if err == nil {
		_, err = to.mover.AddPeer(to.By(), s.name, text)
	}
	if err != nil {
		p.Fatal(err)
	}
}

// vrps is what relying parties find below both trust anchors.
func (p *pair) vrps() []string {
	all := map[string]bool{}
	for _, s := range []*site{p.a, p.b} {
		for _, v := range s.VRPs() {
			all[v] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// step has both movers decide and both engines follow, once.
func (p *pair) step() time.Duration {
	p.Helper()
	wait := time.Minute
	for _, s := range []*site{p.a, p.b} {
		next, err := s.mover.Step(context.Background())
		if err != nil {
			p.Fatal(err)
		}
		wait = min(wait, next)
		synctest.Wait() // messages are carried beside
		s.Insist()
		s.Settle()
		if s.Registry.Failed() {
			p.FailNow()
		}
	}
	p.whole()
	return wait
}

// whole checks that the two together have all that they must have.
func (p *pair) whole() {
	p.Helper()
	all := p.vrps()
	for _, v := range p.keep {
		if !slices.Contains(all, v) {
			p.Fatalf("%s is missing of %v", v, all)
		}
	}
}

func (p *pair) until(so func() bool) {
	p.Helper()
	for end := time.Now().Add(14 * 24 * time.Hour); !so(); {
		if time.Now().After(end) {
			for _, s := range []*site{p.a, p.b} {
				list, _ := s.mover.List(false)
				for _, t := range list {
					p.Logf("at %s transfer %d is %s and waits for %s, on %s; %v", s.name, t.ID, t.State, t.Waits, t.On, t.Steps)
				}
			}
			p.Fatal("two weeks were not enough")
		}
		time.Sleep(max(p.step(), time.Second))
	}
}

// rest lets time go by until nothing is under way on either side.
func (p *pair) rest() {
	p.Helper()
	p.until(func() bool {
		for _, s := range []*site{p.a, p.b} {
			if l, _ := s.Ledger(); len(l.Unrest()) > 0 {
				return false
			}
		}
		return true
	})
	time.Sleep(3 * soak)
	for _, s := range []*site{p.a, p.b} {
		s.Settle()
		s.Complete()
	}
}

// begin has the holder at the first installation move to the second.
func (p *pair) begin(q moves.Request) (ref string) {
	p.Helper()
	if q.From == "" {
		q.From = "afrinic/x"
	}
	if q.To == "" {
		q.To, q.Under = "ripe/x", "ripe"
	}
	if q.Kind == "" {
		q.Kind = holdings.Portability
	}
	q.Peer, q.Soak = p.b.name, transferSoak
	return initiated(p.a.Registry, p.a.mover, q).Ref
}

// at is a transfer as one side has it; nil where it knows of none.
func (s *site) at(ref string) *holdings.Transfer {
	l, _ := s.Ledger()
	return l.TransferByRef(ref)
}

func (s *site) state(ref string) holdings.TransferState {
	if t := s.at(ref); t != nil {
		return t.State
	}
	return ""
}

// approve waits until the recipient's side knows of a transfer, and agrees to it.
func (p *pair) approve(ref string) {
	p.Helper()
	p.until(func() bool { return p.b.at(ref) != nil })
	if err := p.b.mover.Approve(p.b.By(), p.b.at(ref).ID); err != nil {
		p.Fatal(err)
	}
}

func (p *pair) both(state holdings.TransferState, ref string) bool {
	return p.a.state(ref) == state && p.b.state(ref) == state
}

// moved checks that all that the holder had is at the second installation and nothing of it at the first.
func (p *pair) moved(ref string) {
	p.Helper()
	if !p.both(holdings.Finalised, ref) {
		p.Fatal(p.a.state(ref), p.b.state(ref))
	}
	l, _ := p.b.Ledger()
	if got := l.Holding("ripe/x").String(); got != "41.0.0.0/16, 2c00:1::/32, AS36001" || l.Holding("ripe/x/shop").String() != "41.0.16.0/20" {
		p.Fatal(got, l.Holding("ripe/x/shop"))
	}
	for _, v := range p.a.VRPs() {
		if strings.HasPrefix(v, "41.0.") {
			p.Fatal("the first side says still", v)
		}
	}
	if !slices.Equal(p.vrps(), p.keep) {
		p.Fatalf("before\n%v\nafter\n%v", p.keep, p.vrps())
	}
}
