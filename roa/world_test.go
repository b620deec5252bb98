package roa_test

import (
	"slices"
	"testing"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/principal"
	"cadastre/internal/store"
	"cadastre/roa"
)

// The announcements of June 2026 that fall within the holdings of two days.
func TestRealAnnouncements(t *testing.T) {
	announced, err := roa.ParseCSV("afrinic-202606.csv.gz", sharedFile(t, "announcements", "afrinic-202606.csv.gz"))
	if err != nil || len(announced) != 18421 {
		t.Fatalf("%d announcements, %v", len(announced), err)
	}
	h := newTestBook(t)
	h.imports("delegated-afrinic-extended-20230324.gz")
	opt := roa.Options{File: "afrinic-202606.csv.gz", By: holdings.By{Who: principal.Principal{Name: "tester"}, Time: noon}}
	if _, err := h.book.Add(h.ledger, announced, opt); fault.KindOf(err) != fault.BadInput {
		t.Fatalf("what no one holds was taken: %v", err)
	}
	opt.OnlyHeld = true
	o := h.want(h.book.Add(h.ledger, announced, opt))
	// 17,102 prefixes are held, and someone announces four of them with AS numbers that no one can hold
	if len(o.Added) != 17098 || notHeld(o) != 1319 || len(o.Left) != 1319+4 || o.Duplicates != 0 {
		t.Errorf("of 2023 are %d taken, %d not held, %d left, %d twice", len(o.Added), notHeld(o), len(o.Left), o.Duplicates)
	}
	before := allVRPs(h)
	if len(before) != 17098 {
		t.Errorf("they make %d VRPs", len(before))
	}
	h.imports("delegated-afrinic-extended-20260505.gz")
	states := map[roa.State]int{}
	unexplained := 0
	h.view(func(r store.Reader) error {
		for _, holder := range h.book.Holders() {
			for _, in := range h.book.Of(holder) {
				s, err := roa.StatusOf(in, h.ledger, r)
				if err != nil {
					return err
				}
				states[s.State]++
				if s.State != roa.Live && (s.Decision != h.ledger.LastDecision() || s.Reason == "") {
					unexplained++
				}
			}
		}
		return nil
	})
	if unexplained > 0 {
		t.Errorf("%d intents do not say which decision parked them", unexplained)
	}
	after := allVRPs(h)
	t.Logf("%v; %d VRPs become %d", states, len(before), len(after))
	if states[roa.Live] != 16867 || states[roa.Part] != 0 || states[roa.Parked] != 231 { // as an independent script counts them
		t.Errorf("after 2026 they are %v", states)
	}
	// what is left of 2023's comes with 2026's holdings
	o = h.want(h.book.Add(h.ledger, announced, opt))
	if notHeld(o) != 0 || len(o.Left) != 4 || len(o.Added)+o.Duplicates != 18421-4 {
		t.Errorf("of 2026 are %d taken, %d not held, %d left", len(o.Added)+o.Duplicates, notHeld(o), len(o.Left))
	}
	stored := h.reload()
	for _, holder := range h.book.Holders() {
		if !slices.Equal(h.book.Of(holder), stored.Of(holder)) {
			t.Fatalf("the stored intents of %s are others", holder)
		}
	}
}

// notHeld is how many rows were left because of their prefix.
func notHeld(o *roa.Outcome) (n int) {
	for _, left := range o.Left {
		if !left.NoOrigin {
			n++
		}
	}
	return n
}

func allVRPs(h *testBook) []roa.VRP {
	var all []roa.VRP
	for _, holder := range h.book.Holders() {
		all = append(all, h.book.VRPs(holder, h.ledger.Holding(holder))...)
	}
	return roa.Unique(all)
}
