package publisher

import (
	"errors"
	"strings"
	"testing"

	"cadastre/internal/peer"
	"cadastre/internal/publication"
	"cadastre/internal/shares"
)

// TestWritten: what a publisher writes is counted, replaced or not, and another's is not counted with it.
func TestWritten(t *testing.T) {
	h := newTestServer(t, Limits{})
	h.add(t, "alice")
	h.add(t, "bob")
	h.Shares.Ledger = shares.NewLedger(shares.Budgets{shares.Publisher: {shares.Written: shares.PerHour(1000)}})
	h.send(t, "alice", publish("alice", "a.roa", strings.Repeat("x", 900)))
	reply := h.ask(t, "alice", publication.Query{PDUs: []publication.PDU{publish("alice", "b.roa", strings.Repeat("y", 200))}})
	wantErrors(t, reply, "other_error")
	if !strings.Contains(reply.Errors[0].Text, "come again in") {
		t.Errorf("it is told %q", reply.Errors[0].Text)
	}
	h.send(t, "bob", publish("bob", "b.roa", strings.Repeat("y", 200)))
	h.send(t, "alice", withdraw("alice", "a.roa", strings.Repeat("x", 900)))
	h.wantList(t, "alice", map[string]string{})
}

// TestDiskIsShort: publishers may look and withdraw while the disk is short of room, and publish nothing.
func TestDiskIsShort(t *testing.T) {
	h := newTestServer(t, Limits{})
	h.add(t, "alice")
	h.send(t, "alice", publish("alice", "a.roa", "one"))
	h.Shares.Disk = shares.NewDisk(t.TempDir(), 1<<62)
	reply := h.ask(t, "alice", publication.Query{PDUs: []publication.PDU{publish("alice", "b.roa", "two")}})
	wantErrors(t, reply, "other_error")
	h.wantList(t, "alice", map[string]string{"a.roa": "one"})
	h.send(t, "alice", withdraw("alice", "a.roa", "one"))
	h.wantList(t, "alice", map[string]string{})
}

// TestReplayPublish: what was published and withdrawn does not come back when somebody sends the message again, within the same
// second and after a restart; a list may be asked for again.
func TestReplayPublish(t *testing.T) {
	h := newTestServer(t, Limits{})
	h.add(t, "alice")
	add := (&publication.Query{PDUs: []publication.PDU{publish("alice", "a.roa", "one")}}).XML()
	stamp := newStamp(at)
	if _, err := h.Answer(t.Context(), "alice", add, stamp); err != nil {
		t.Fatal(err)
	}
	h.send(t, "alice", withdraw("alice", "a.roa", "one"))
	for range 2 {
		if _, err := h.Answer(t.Context(), "alice", add, stamp); !errors.Is(err, peer.ErrAgain) {
			t.Errorf("the replay is answered with %v", err)
		}
		h.wantList(t, "alice", map[string]string{})
		list, asked := (&publication.Query{List: true}).XML(), newStamp(at)
		for range 2 {
			if _, err := h.Answer(t.Context(), "alice", list, asked); err != nil {
				t.Errorf("a list that is asked for again: %v", err)
			}
		}
		h.open(t)
	}
}
