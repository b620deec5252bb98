package moves_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"cadastre/holdings"
	"cadastre/internal/envelope"
	"cadastre/internal/envelopetest"
	"cadastre/internal/fault"
	"cadastre/internal/printable"
	"cadastre/internal/shares"
	"cadastre/internal/transferwire"
	"cadastre/moves"
)

// recorded keeps each message to a host as it is sent.
func (p *pair) recorded(host string) *[][]byte {
	var sent [][]byte
	p.a.mover.HTTP = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		if r.URL.Host == host {
			sent = append(sent, body)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		return p.RoundTrip(r)
	})}
	return &sent
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// post sends octets to the second installation's door, under a handle.
func (p *pair) post(handle string, octets []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	p.b.door.ServeHTTP(w, httptest.NewRequestWithContext(p.Context(), http.MethodPost, "https://1.example/transfers/"+handle, bytes.NewReader(octets)))
	return w
}

// TestForgedAndReplayed: what is not signed by the other side, or was signed before something that came, changes nothing.
func TestForgedAndReplayed(t *testing.T) {
	inPair(t, func(p *pair) {
		sent := p.recorded("1.example")
		ref := p.begin(moves.Request{})
		p.approve(ref)
		p.until(func() bool { return p.a.state(ref) == holdings.Accepted })
		status, err := p.b.mover.ShowPeer("north")
		p.ok(err)
		first := (*sent)[0]
		before := p.b.at(ref)

		forger, identity, err := envelopetest.NewIdentity(time.Now())
		p.ok(err)
		self, err := envelope.NewSigner(forger, identity)
		p.ok(err)
		forged, err := self.Sign((&transferwire.Source{
			Ref: ref, State: transferwire.Cancelled, Kind: "move", From: "afrinic/x", FromRegistry: "afrinic", To: "ripe/x", ToRegistry: "ripe",
			Legs: []transferwire.Leg{{Kind: "lir", Parts: []transferwire.Part{{Resources: p.a.Set("41.0.0.0/16,2c00:1::/32,AS36001"), Status: "allocated"}}}},
		}).XML(), time.Now())
		p.ok(err)
		changed := slices.Clone(first)
		changed[len(changed)/2] ^= 1
		for name, c := range map[string]struct {
			handle string
			octets []byte
			status int
		}{
			"replayed":          {status.Handle, first, http.StatusUnauthorized},
			"forged":            {status.Handle, forged, http.StatusUnauthorized},
			"changed":           {status.Handle, changed, http.StatusUnauthorized},
			"a stranger's":      {strings.Repeat("ab", 20), forged, http.StatusNotFound},
			"no message at all": {status.Handle, []byte("<source/>"), http.StatusBadRequest},
		} {
			if w := p.post(c.handle, c.octets); w.Code != c.status && (name != "changed" || w.Code != http.StatusBadRequest) {
				t.Errorf("%s: status %d: %s", name, w.Code, w.Body)
			}
		}
		if now := p.b.at(ref); now != before {
			t.Fatalf("the transfer changed: %v", now.Steps)
		}
		p.rest()
		p.moved(ref)
	})
}

// say sends a report as the first installation would, and reads the answer.
func (p *pair) say(s *transferwire.Source) (*transferwire.Recipient, int) {
	p.Helper()
	m, status := p.sayAny(s)
	r, _ := m.(*transferwire.Recipient)
	return r, status
}

// sayRecipient does so of a transfer that came from the second.
func (p *pair) sayRecipient(r *transferwire.Recipient) (*transferwire.Source, int) {
	p.Helper()
	m, status := p.sayAny(r)
	s, _ := m.(*transferwire.Source)
	return s, status
}

func (p *pair) sayAny(s transferwire.Message) (transferwire.Message, int) {
	p.Helper()
	time.Sleep(time.Second) // no message is signed before another
	signer, err := p.a.Engine().Federation.Signer("south")
	p.ok(err)
	octets, err := signer.Sign(s.XML(), time.Now())
	p.ok(err)
	status, err := p.b.mover.ShowPeer("north")
	p.ok(err)
	w := p.post(status.Handle, octets)
	if w.Code != http.StatusOK {
		return nil, w.Code
	}
	identity, err := p.b.Engine().Federation.Identity()
	p.ok(err)
	trust, err := envelope.ParseTrust(identity)
	p.ok(err)
	opened, err := trust.Open(w.Body.Bytes(), time.Now())
	p.ok(err)
	m, err := transferwire.Parse(opened.Content)
	p.ok(err)
	return m, w.Code
}

// TestWhatARecipientRefuses: what cannot be is refused in a sentence, what cannot be yet waits, and neither leaves anything.
func TestWhatARecipientRefuses(t *testing.T) {
	inPair(t, func(p *pair) {
		good := func() *transferwire.Source {
			return &transferwire.Source{
				Ref: "abcdefghijklmnop", State: transferwire.Initiated, Kind: "move", From: "afrinic/x", FromRegistry: "afrinic", To: "ripe/x", ToRegistry: "ripe", Under: "ripe",
				Legs: []transferwire.Leg{{Kind: "lir", Parts: []transferwire.Part{{Resources: p.a.Set("41.0.0.0/16"), Status: "allocated"}}}},
			}
		}
		for name, c := range map[string]struct {
			change func(s *transferwire.Source)
			state  string
			says   string
			status int
		}{
			"a registry that is not the peer's": {func(s *transferwire.Source) { s.FromRegistry = "arin" }, transferwire.Refused, "and not of arin", 200},
			"a registry that is not here":       {func(s *transferwire.Source) { s.ToRegistry, s.Under = "lacnic", "" }, transferwire.Refused, "no registry lacnic", 200},
			"below nobody":                      {func(s *transferwire.Source) { s.Under = "ripe/nobody" }, transferwire.Refused, "ripe/nobody", 200},
			"below another registry":            {func(s *transferwire.Source) { s.Under = "apnic" }, transferwire.Refused, "apnic", 200},
			"a recipient in another registry":   {func(s *transferwire.Source) { s.To, s.ToRegistry = "ripe/old", "apnic" }, transferwire.Refused, "apnic", 200},
			"to a registry":                     {func(s *transferwire.Source) { s.To = "ripe" }, transferwire.Refused, "name a holder", 200},
			"a route beside": {func(s *transferwire.Source) {
				s.Staged = []transferwire.Route{{Prefix: p.a.Set("41.1.0.0/16").Prefixes()[0], MaxLength: 16, Origin: 1}}
			}, "", "", 400},
			"more below than above": {func(s *transferwire.Source) {
				s.Legs = append(s.Legs, transferwire.Leg{Path: "shop", Kind: "lir", Parts: []transferwire.Part{{Resources: p.a.Set("41.1.0.0/16"), Status: "assigned"}}})
			}, "", "", 400},
			"over before it came": {func(s *transferwire.Source) { s.State = transferwire.Cancelled }, transferwire.Cancelled, "", 200},
		} {
			s := good()
			c.change(s)
			answer, status := p.say(s)
			if status != c.status || answer != nil && (answer.State != c.state || !strings.Contains(answer.Reason, c.says)) {
				t.Errorf("%s: %d %+v", name, status, answer)
			}
		}
		// with less free on the disk than guests leave, what others say is refused, and by an operator's word taken again
		room := p.b.Engine().Federation.Shares.Disk
		p.b.Engine().Federation.Shares.Disk = shares.NewDisk(p.b.Dir(), 1<<62)
		if answer, status := p.say(good()); status != http.StatusInsufficientStorage {
			t.Errorf("on a full disk: %d %+v", status, answer)
		}
		p.b.Engine().Federation.Shares.Disk = room
		if list, _ := p.b.mover.List(false); len(list) > 0 {
			t.Fatalf("something is left: %+v", list)
		}

		// what is held here by somebody else can't be accepted, and does not hold up others
		held := good()
		held.Legs[0].Parts[0].Resources = p.a.Set("80.1.0.0/16")
		if answer, _ := p.say(held); answer == nil || answer.State != transferwire.Initiated {
			t.Fatalf("%+v", answer)
		}
		again := good()
		again.Ref, again.Legs[0].Parts[0].Resources = "qrstuvwxyzabcdef", p.a.Set("80.1.0.0/24")
		if answer, _ := p.say(again); answer == nil || answer.State != transferwire.Unknown || !strings.Contains(answer.Waits, "transfer 1") {
			t.Fatalf("%+v", answer)
		}
		p.ok(p.b.mover.Approve(p.b.By(), 1))
		ref := p.begin(moves.Request{})
		p.approve(ref)
		p.until(func() bool { return p.a.state(ref) == holdings.Finalised })
		if answer, _ := p.say(held); answer == nil || answer.State != transferwire.Initiated || !strings.Contains(answer.Waits, "is held by ripe already") {
			t.Fatalf("%+v", answer)
		}
		held.State, held.Reason = transferwire.Cancelled, "it was a mistake"
		if answer, _ := p.say(held); answer == nil || answer.State != transferwire.Cancelled || answer.Reason != "it was a mistake" {
			t.Fatalf("%+v", answer)
		}
		p.rest()
		p.moved(ref)
		if err := p.b.mover.RemovePeer(p.b.By(), "north"); err != nil {
			t.Fatal(err)
		}
	})
}

// TestNewIdentityBetweenInstallations: one of the two gets another identity in the middle of a transfer, and nobody loses a word.
func TestNewIdentityBetweenInstallations(t *testing.T) {
	inPair(t, func(p *pair) {
		ref := p.begin(moves.Request{})
		p.approve(ref)
		p.until(func() bool { return p.a.state(ref) == holdings.Accepted })
		earlier, err := p.a.Engine().Federation.Identity()
		p.ok(err)
		p.ok(p.a.Engine().Federation.RenewIdentity(p.a.By()))
		text, err := p.a.mover.Introduce("", "")
		p.ok(err)
		if err := p.a.Engine().Federation.ReplaceIdentity(p.a.By(), false); err == nil || !strings.Contains(err.Error(), "registry/south") {
			t.Fatal("the other side knows the new identity by itself:", err)
		}
		p.ok(p.b.mover.UpdatePeer(p.b.By(), "north", text))
		p.until(func() bool { return p.a.Engine().Federation.ReplaceIdentity(p.a.By(), false) == nil })
		p.rest()
		p.moved(ref)

		// what it said is proven by both of its identities together, and by neither alone
		later, err := p.a.Engine().Federation.Identity()
		p.ok(err)
		own, err := p.b.Engine().Federation.Identity()
		p.ok(err)
		signed, err := p.b.mover.SignEvidence(p.b.at(ref).ID)
		p.ok(err)
		bundle, err := json.Marshal(signed)
		p.ok(err)
		v, err := moves.VerifyEvidence(bundle, own, earlier, later)
		p.ok(err)
		if v.Unproven != 0 || len(v.Peers) != 2 {
			t.Errorf("%d messages are not proven, and of the other's: %+v", v.Unproven, v.Peers)
		}
		for _, one := range [][]byte{earlier, later} {
			if _, err := moves.VerifyEvidence(bundle, own, one); fault.KindOf(err) != fault.Invalid {
				t.Error("one of its identities alone proves all that it said:", err)
			}
		}
	})
}

// TestWordsOfOneSecond: of two words of the other side that were signed in one second and came different ways, nobody knows
// which is newer. What either of them parks stays parked until a third says more.
func TestWordsOfOneSecond(t *testing.T) {
	inPair(t, func(p *pair) {
		ref := p.begin(moves.Request{})
		p.approve(ref)
		p.until(func() bool { return p.a.state(ref) == holdings.Accepted })
		by := p.b.By()
		by.Reason = "a court\u202e has\u009b2J it\nresolved: \x1b[2Jno\a"
		p.ok(p.b.mover.Dispute(by, p.b.at(ref).ID))
		var south *moves.PeerStatus
		p.until(func() bool {
			var err error
			south, err = p.a.mover.ShowPeer("south")
			p.ok(err)
			return p.a.at(ref).DisputedThere != "" && south.Answered.After(south.Called) // its newest word is an answer
		})
		shown, err := p.a.mover.Show(p.a.at(ref).ID)
		p.ok(err)
		if text, odd, found := printable.Odd(shown); found || !strings.Contains(shown.DisputedThere, `a court\u202e has\u009b2J it\nresolved: `) {
			t.Fatalf("what the other side says is shown as %q, with %q in %q", shown.DisputedThere, odd, text)
		}
		signer, err := p.b.Engine().Federation.Signer("north")
		p.ok(err)
		before, err := signer.Sign((&transferwire.Recipient{Ref: ref, State: transferwire.Accepted}).XML(), south.Answered)
		p.ok(err)
		w := httptest.NewRecorder()
		p.a.door.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://0.example/transfers/"+south.Handle, bytes.NewReader(before)))
		if w.Code != http.StatusOK || p.a.at(ref).DisputedThere == "" {
			t.Fatalf("status %d, and the dispute is %q: an older word that came late ended it", w.Code, p.a.at(ref).DisputedThere)
		}
		for range 10 {
			p.step()
			time.Sleep(time.Second)
		}
		if p.a.at(ref).DisputedThere == "" {
			t.Fatal("the other side was not asked again")
		}
		p.ok(p.b.mover.Resolve(p.b.By(), p.b.at(ref).ID))
		p.rest()
		p.moved(ref)
	})
}
