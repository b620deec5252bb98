package ca

import (
	"context"
	"errors"
	"strings"
	"testing"

	"cadastre/federation"
	"cadastre/internal/object"
	"cadastre/internal/peer"
	"cadastre/internal/relyingtest"
	"cadastre/internal/shares"
	"cadastre/internal/updown"
)

// TestChildShare: a delegated CA that asks again and again uses up its own share, and no serial and no CRL's entry after that.
// Another CA and its own revocations are not kept waiting.
func TestChildShare(t *testing.T) {
	inTestRegistry(t, tenants, func(h *testRegistry) {
		h.give("afrinic", "41.0.0.0/8")
		h.give("isp", "41.0.0.0/16")
		h.give("other", "41.1.0.0/16")
		h.settle()
		h.engine.Federation.Shares.Ledger = shares.NewLedger(shares.Budgets{shares.Child: {shares.Issuances: shares.PerHour(3), shares.Renewals: shares.PerHour(2)}})
		d, e := newDelegated(h, "isp"), newDelegated(h, "other")
		atWork(h, func() {
			for range 3 {
				if _, ok := d.ask(&updown.Issue{Class: federation.TreeClass, Request: d.request(place)}).(*updown.IssueResponse); !ok {
					t.Fatal("it is refused within its share")
				}
			}
			_, serial, _ := h.engine.Repositories()["afrinic"].Published()
			for range 10 {
				wrong, ok := d.ask(&updown.Issue{Class: federation.TreeClass, Request: d.request(place)}).(*updown.Error)
				if !ok || wrong.Status != updown.StatusInternal || !strings.Contains(wrong.Description, "issuances") {
					t.Fatalf("beyond its share it gets %+v", wrong)
				}
			}
			if _, now, _ := h.engine.Repositories()["afrinic"].Published(); now != serial {
				t.Errorf("what was refused made serials %d to %d", serial, now)
			}
			if _, ok := e.ask(&updown.Issue{Class: federation.TreeClass, Request: e.request(relyingtest.FarAway + "other/")}).(*updown.IssueResponse); !ok {
				t.Error("another CA is refused")
			}
			if d.certified(d.list()) == "" {
				t.Error("its certificate is gone")
			}
			d.revoke()
		})
	})
}

// revoke has its key revoked.
func (d *delegated) revoke() {
	d.Helper()
	public, err := object.PublicKeyOf(d.key)
	must(d, err)
	if _, ok := d.ask(&updown.Revoke{Class: federation.TreeClass, SKI: public.ID[:]}).(*updown.RevokeResponse); !ok {
		d.Error("a revocation is refused")
	}
}

// TestChildDisk: while the disk is short of room a delegated CA gets nothing new, and revocations.
func TestChildDisk(t *testing.T) {
	inTestRegistry(t, tenants, func(h *testRegistry) {
		h.give("afrinic", "41.0.0.0/8")
		h.give("isp", "41.0.0.0/16")
		h.settle()
		d := newDelegated(h, "isp")
		atWork(h, func() {
			d.ask(&updown.Issue{Class: federation.TreeClass, Request: d.request(place)})
			h.engine.Federation.Shares.Disk = shares.NewDisk(t.TempDir(), 1<<62)
			d.refused(&updown.Issue{Class: federation.TreeClass, Request: d.request(place)}, updown.StatusInternal)
			if d.certified(d.list()) == "" {
				t.Error("its certificate is gone")
			}
			d.revoke()
		})
	})
}

// TestReplayIssue: a key whose certificate was revoked is not certified anew when somebody sends its request again within the
// same second; a list may be asked for again.
func TestReplayIssue(t *testing.T) {
	inTestRegistry(t, tenants, func(h *testRegistry) {
		h.give("afrinic", "41.0.0.0/8")
		h.give("isp", "41.0.0.0/16")
		h.settle()
		d := newDelegated(h, "isp")
		say := func(body updown.Body, stamp peer.Stamp) error {
			text, err := (&updown.Message{Sender: "isp", Recipient: "afrinic", Body: body}).XML()
			must(t, err)
			_, err = h.engine.Federation.AnswerUpDown(context.Background(), "isp", text, stamp)
			return err
		}
		atWork(h, func() {
			issue, issued, listed := &updown.Issue{Class: federation.TreeClass, Request: d.request(place)}, newStamp(), newStamp()
			listed.Signed = issued.Signed
			must(t, say(issue, issued))
			public, err := object.PublicKeyOf(d.key)
			must(t, err)
			revoked := newStamp()
			revoked.Signed = issued.Signed
			must(t, say(&updown.Revoke{Class: federation.TreeClass, SKI: public.ID[:]}, revoked))
			if err := say(issue, issued); !errors.Is(err, peer.ErrAgain) {
				t.Errorf("the replay is answered with %v", err)
			}
			must(t, say(&updown.List{}, listed))
			must(t, say(&updown.List{}, listed))
			if got := d.certified(d.list()); got != "" {
				t.Errorf("%s is certified again", got)
			}
		})
	})
}
