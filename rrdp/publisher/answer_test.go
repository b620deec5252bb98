package publisher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/peer"
	"cadastre/internal/publication"
	"cadastre/rrdp"
)

func TestPublishReplaceWithdraw(t *testing.T) {
	h := newTestServer(t, Limits{})
	h.add(t, "alice")
	h.wantList(t, "alice", nil)
	h.send(t, "alice") // nothing is asked for, and done
	h.send(t, "alice", publish("alice", "a.roa", "one"), publish("alice", "0/b.roa", "two"))
	h.wantList(t, "alice", map[string]string{"a.roa": "one", "0/b.roa": "two"})
	h.send(t, "alice", replace("alice", "a.roa", "one", "three"), withdraw("alice", "0/b.roa", "two"), publish("alice", "c.roa", "four"))
	h.wantList(t, "alice", map[string]string{"a.roa": "three", "c.roa": "four"})
	if object, ok := h.repositories["north"].Get(uri("alice", "a.roa")); !ok || string(object) != "three" {
		t.Errorf("the repository has %q", object)
	}
	h.open(t)
	h.wantList(t, "alice", map[string]string{"a.roa": "three", "c.roa": "four"})
}

// TestErrors: each query is refused with these errors, and changes nothing.
func TestErrors(t *testing.T) {
	big := strings.Repeat("x", 1001)
	outside := publication.PDU{Tag: "t", URI: uri("bob", "a.roa"), Object: []byte("x")}
	h := newTestServer(t, Limits{ObjectBytes: 1000})
	h.add(t, "alice")
	h.add(t, "bob")
	there := map[string]string{"a.roa": "one", "d/b.roa": "two"}
	h.send(t, "alice", publish("alice", "a.roa", "one"), publish("alice", "d/b.roa", "two"))
	for name, c := range map[string]struct {
		pdus []publication.PDU
		want []string
	}{
		"present":          {[]publication.PDU{publish("alice", "a.roa", "x")}, []string{"object_already_present a.roa"}},
		"present, same":    {[]publication.PDU{publish("alice", "a.roa", "one")}, []string{"object_already_present a.roa"}},
		"absent":           {[]publication.PDU{replace("alice", "n.roa", "x", "y")}, []string{"no_object_present n.roa"}},
		"other hash":       {[]publication.PDU{replace("alice", "a.roa", "x", "y")}, []string{"no_object_matching_hash a.roa"}},
		"withdraw absent":  {[]publication.PDU{withdraw("alice", "n.roa", "x")}, []string{"no_object_present n.roa"}},
		"withdraw other":   {[]publication.PDU{withdraw("alice", "a.roa", "x")}, []string{"no_object_matching_hash a.roa"}},
		"another's":        {[]publication.PDU{outside}, []string{"permission_failure t"}},
		"twice":            {[]publication.PDU{withdraw("alice", "a.roa", "one"), publish("alice", "a.roa", "x")}, []string{"consistency_problem a.roa"}},
		"too large":        {[]publication.PDU{publish("alice", "n.roa", big)}, []string{"other_error n.roa"}},
		"empty":            {[]publication.PDU{publish("alice", "n.roa", "")}, []string{"other_error n.roa"}},
		"below an object":  {[]publication.PDU{publish("alice", "a.roa/n.roa", "x")}, []string{"consistency_problem a.roa/n.roa"}},
		"at a directory":   {[]publication.PDU{publish("alice", "d", "x")}, []string{"consistency_problem d"}},
		"both in one":      {[]publication.PDU{publish("alice", "n", "x"), publish("alice", "n/m", "x")}, []string{"consistency_problem n", "consistency_problem n/m"}},
		"one bad of three": {[]publication.PDU{publish("alice", "n.roa", "x"), withdraw("alice", "a.roa", "x"), withdraw("alice", "d/b.roa", "two")}, []string{"no_object_matching_hash a.roa"}},
		"all that is wrong": {[]publication.PDU{outside, publish("alice", "n.roa", "x"), publish("alice", "m.roa", ""), publish("alice", "n.roa", "x")},
			[]string{"permission_failure t", "other_error m.roa", "consistency_problem n.roa"}},
	} {
		reply := h.ask(t, "alice", publication.Query{PDUs: c.pdus})
		t.Log(name)
		wantErrors(t, reply, c.want...)
		for _, e := range reply.Errors {
			if e.Failed == nil || e.Failed.Tag != e.Tag {
				t.Errorf("%s: failed_pdu %+v", name, e.Failed)
			}
		}
		h.wantList(t, "alice", there)
		h.wantList(t, "bob", nil)
	}
}

// TestDirectoryBecomesObject: what makes room for another in the same query is no collision.
func TestDirectoryBecomesObject(t *testing.T) {
	h := newTestServer(t, Limits{})
	h.add(t, "alice")
	h.send(t, "alice", publish("alice", "d/b.roa", "two"))
	h.send(t, "alice", withdraw("alice", "d/b.roa", "two"), publish("alice", "d", "x"))
	h.send(t, "alice", publish("alice", "d/b.roa", "two"), withdraw("alice", "d", "x"))
	h.wantList(t, "alice", map[string]string{"d/b.roa": "two"})
}

// TestManyErrors: a reply stays small, whatever was sent.
func TestManyErrors(t *testing.T) {
	h := newTestServer(t, Limits{})
	h.add(t, "alice")
	var pdus []publication.PDU
	for i := range 1000 {
		pdus = append(pdus, publication.PDU{URI: fmt.Sprintf("rsync://elsewhere/m/%d", i), Object: make([]byte, maxFailed+i%2)})
	}
	reply := h.ask(t, "alice", publication.Query{PDUs: pdus})
	if len(reply.Errors) != maxReports {
		t.Fatalf("%d errors", len(reply.Errors))
	}
	for i, e := range reply.Errors {
		if (e.Failed == nil) != (i%2 == 1) {
			t.Errorf("error %d: failed_pdu %v", i, e.Failed != nil)
		}
	}
}

func TestXMLErrors(t *testing.T) {
	h := newTestServer(t, Limits{})
	h.add(t, "alice")
	for _, xml := range []string{"", "no xml", `<msg xmlns="http://www.hactrn.net/uris/rpki/publication-spec/" version="3" type="query"></msg>`} {
		at = at.Add(time.Second)
		reply, err := h.Answer(context.Background(), "alice", []byte(xml), peer.Stamp{Signed: at})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := publication.ParseReply(reply)
		if err != nil {
			t.Fatal(err)
		}
		wantErrors(t, parsed, "xml_error")
		if c, _ := h.Find("alice"); !c.LastSigned.Equal(at) {
			t.Errorf("the signing time of %q was not kept", xml)
		}
	}
}

func TestReplay(t *testing.T) {
	h := newTestServer(t, Limits{})
	h.add(t, "alice")
	list := publication.Query{List: true}
	refused := publication.Query{PDUs: []publication.PDU{withdraw("alice", "a.roa", "x")}}
	later := at.Add(time.Minute)
	h.askAt(t, "alice", list, at)
	h.askAt(t, "alice", list, at) // equal is taken
	wantErrors(t, h.askAt(t, "alice", refused, later), "no_object_present a.roa")
	for range 2 { // before a restart and after
		_, err := h.Answer(context.Background(), "alice", list.XML(), peer.Stamp{Signed: later.Add(-time.Second)})
		wantKind(t, err, fault.Secret)
		if c, ok := h.Find("alice"); !ok || !c.LastSigned.Equal(later) {
			t.Fatalf("newest signing time %v, want %v", c.LastSigned, later)
		}
		h.open(t)
	}
	if err := h.ResetReplay(context.Background(), "alice"); err != nil {
		t.Fatal(err)
	}
	h.open(t)
	h.askAt(t, "alice", list, at)
}

func TestUnknown(t *testing.T) {
	h := newTestServer(t, Limits{})
	h.add(t, "alice")
	_, err := h.Answer(context.Background(), "Alice", (&publication.Query{List: true}).XML(), peer.Stamp{Signed: at})
	wantKind(t, err, fault.NotFound)
	if n := testing.AllocsPerRun(100, func() { h.Find("mallory") }); n > 0 {
		t.Errorf("to refuse an unknown handle takes %v allocations", n)
	}
}

func TestLimits(t *testing.T) {
	h := newTestServer(t, Limits{Objects: 3, Bytes: 1000, Changes: 10})
	h.add(t, "alice")
	h.send(t, "alice", publish("alice", "a", "x"), publish("alice", "b", "x"), publish("alice", "c", "x"))
	wantErrors(t, h.ask(t, "alice", publication.Query{PDUs: []publication.PDU{publish("alice", "d", "x")}}), "other_error")
	h.send(t, "alice", publish("alice", "d", "x"), withdraw("alice", "a", "x"))
	wantErrors(t, h.ask(t, "alice", publication.Query{PDUs: []publication.PDU{replace("alice", "d", "x", strings.Repeat("x", 1000))}}), "other_error")
	// 5 of 10 changes are spent
	wantErrors(t, h.ask(t, "alice", publication.Query{PDUs: []publication.PDU{
		withdraw("alice", "b", "x"), withdraw("alice", "c", "x"), withdraw("alice", "d", "x"),
		publish("alice", "e", "x"), publish("alice", "f", "x"), publish("alice", "g", "x"),
	}}), "other_error")
	h.send(t, "alice", withdraw("alice", "b", "x"), withdraw("alice", "c", "x"))
	h.wantList(t, "alice", map[string]string{"d": "x"})

	// what is beyond a new limit stays, and can shrink
	if err := h.SetLimits(context.Background(), "alice", Limits{Objects: 1, Changes: 1000}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // before a restart and after
		h.wantList(t, "alice", map[string]string{"d": "x"})
		wantErrors(t, h.ask(t, "alice", publication.Query{PDUs: []publication.PDU{publish("alice", "e", "x")}}), "other_error")
		info, err := h.Publisher("alice")
		if err != nil || info.Limits.Objects != 1 || info.Limits.Bytes != 1000 {
			t.Errorf("limits %+v (%v)", info.Limits, err)
		}
		h.open(t)
	}
	wantKind(t, h.SetLimits(context.Background(), "alice", Limits{Bytes: -1}), fault.BadInput)
}

// TestCommitFails: nothing has changed, everyone is told so, and the next may succeed.
func TestCommitFails(t *testing.T) {
	h := newTestServer(t, Limits{})
	h.add(t, "alice")
	h.send(t, "alice", publish("alice", "a.roa", "one"))
	h.setFail(fault.New(fault.Storage, "the disk is full of secrets"))
	later := at.Add(time.Hour)
	for _, q := range []publication.Query{
		{List: true},
		{PDUs: []publication.PDU{replace("alice", "a.roa", "one", "two"), publish("alice", "b.roa", "x")}},
		{PDUs: []publication.PDU{withdraw("alice", "a.roa", "two")}},
	} {
		reply := h.askAt(t, "alice", q, later)
		wantErrors(t, reply, "other_error")
		if strings.Contains(reply.Errors[0].Text, "secrets") {
			t.Errorf("a peer is told %q", reply.Errors[0].Text)
		}
	}
	_, err := h.Add(context.Background(), Registration{Handle: "bob", Registry: "north", TrustAnchor: identity()})
	wantKind(t, err, fault.Storage)
	wantKind(t, h.Remove(context.Background(), "alice"), fault.Storage)
	if c, ok := h.Find("alice"); !ok || !c.LastSigned.Equal(at) {
		t.Errorf("newest signing time %v, want %v", c.LastSigned, at)
	}
	h.setFail(nil)
	h.wantList(t, "alice", map[string]string{"a.roa": "one"})
	h.send(t, "alice", replace("alice", "a.roa", "one", "two"))
	h.open(t)
	h.wantList(t, "alice", map[string]string{"a.roa": "two"})
	if _, ok := h.Find("bob"); ok {
		t.Error("bob was added")
	}
}

// TestListIsKept: the reply is the same bytes until something changes.
func TestListIsKept(t *testing.T) {
	h := newTestServer(t, Limits{})
	h.add(t, "alice")
	list := func() []byte {
		reply, err := h.Answer(context.Background(), "alice", (&publication.Query{List: true}).XML(), peer.Stamp{Signed: at})
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	h.send(t, "alice", publish("alice", "a.roa", "one"))
	first := list()
	if second := list(); &first[0] != &second[0] {
		t.Error("the list was made twice")
	}
	h.send(t, "alice", replace("alice", "a.roa", "one", "two"))
	if bytes.Equal(first, list()) {
		t.Error("the list is an old one")
	}
}

// TestListBudget: no more is kept than the budget allows.
func TestListBudget(t *testing.T) {
	l := lists{kept: map[*publisher]list{}}
	for i := range 10 {
		p := newPublisher()
		l.keep(p, list{1, make([]byte, listBudget/4)})
		if l.get(p, 1) == nil || l.get(p, 2) != nil {
			t.Errorf("list %d is not kept as what it is", i)
		}
		l.keep(p, list{2, make([]byte, listBudget/4)})
	}
	l.keep(newPublisher(), list{1, make([]byte, listBudget+1)})
	sum := 0
	for p, kept := range l.kept {
		sum += len(kept.xml)
		l.forget(p)
	}
	if sum > listBudget || l.bytes != 0 {
		t.Errorf("%d bytes were kept, and %d remain counted", sum, l.bytes)
	}
}

func TestContextEnds(t *testing.T) {
	h := newTestServer(t, Limits{})
	h.add(t, "alice")
	h.holdCommits()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-h.held
		cancel()
	}()
	_, err := h.Answer(ctx, "alice", (&publication.Query{List: true}).XML(), peer.Stamp{Signed: at})
	wantKind(t, err, fault.Busy)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not say why", err)
	}
	h.release()
	h.Close()
	_, err = h.Answer(context.Background(), "alice", (&publication.Query{List: true}).XML(), peer.Stamp{Signed: at})
	wantKind(t, err, fault.Busy)
}

// TestReplacedAgainAndAgain: what readers still need of earlier versions counts, so that one object that is replaced again and
// again does not fill the disk. Withdrawing stays possible, and a restart forgets nothing.
func TestReplacedAgainAndAgain(t *testing.T) {
	text := func(i int) string { return fmt.Sprintf("%0750d", i) } // a fragment of some 1,100 bytes
	h := newTestServer(t, Limits{Kept: 20_000})
	h.add(t, "alice")
	h.send(t, "alice", publish("alice", "a.roa", text(0)))
	taken := 0
	for i := range 100 {
		reply := h.ask(t, "alice", publication.Query{PDUs: []publication.PDU{replace("alice", "a.roa", text(i), text(i+1))}})
		if len(reply.Errors) > 0 {
			if reply.Errors[0].Code != publication.OtherError || !strings.Contains(reply.Errors[0].Text, "replace less often") {
				t.Errorf("it is refused with %+v", reply.Errors)
			}
			break
		}
		taken++
	}
	if taken < 10 || taken > 20 {
		t.Errorf("it was replaced %d times", taken)
	}
	h.open(t)
	wantErrors(t, h.ask(t, "alice", publication.Query{PDUs: []publication.PDU{replace("alice", "a.roa", text(taken), text(taken+1))}}), "other_error")
	h.send(t, "alice", withdraw("alice", "a.roa", text(taken)))
	p := h.find("alice")
	if kept := p.state.kept(); p.state.Bytes != 0 || kept < 15_000 || len(p.state.Earlier) > 2 {
		t.Errorf("there are %d bytes, and of earlier ones %+v", p.state.Bytes, p.state.Earlier)
	}
	later := p.state
	if later.supersede(0, time.Now().Add(rrdp.Retention+time.Hour)); later.kept() != 0 {
		t.Errorf("after their time there are %+v", later.Earlier)
	}
}
