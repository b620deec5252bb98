package holdings_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/principal"
	"cadastre/internal/store"
)

// tell is a history in words: holder, resources, and the decisions that began and ended it.
func (h *testLedger) tell(q holdings.HistoryQuery) string {
	h.Helper()
	var list []holdings.Tenure
	err := h.store.View(func(r store.Reader) (err error) {
		list, err = h.ledger.History(r, q)
		return err
	})
	if err != nil {
		return err.Error()
	}
	var words []string
	for _, t := range list {
		text := fmt.Sprintf("%s %s %s", t.Holder, t.Resources, t.Began.Reason)
		if t.Began.Transfer != nil {
			text += " " + string(t.Began.Transfer.Step)
		}
		if t.Incoming {
			text += " beside"
		}
		if t.Ended != nil {
			text += " until " + t.Ended.Reason
			if t.Ended.Transfer != nil {
				text += " " + string(t.Ended.Transfer.Step)
			}
		}
		words = append(words, text)
	}
	return strings.Join(words, "\n")
}

func TestHistory(t *testing.T) {
	h := chained(t)
	on := func(day int, reason string) holdings.By {
		return holdings.By{Who: principal.Principal{Name: "tester"}, Reason: reason, Time: noon.AddDate(0, 0, day)}
	}
	id := h.commit(h.ledger.Initiate(on(1, "sold"), holdings.Transfer{Kind: holdings.Takeover, From: "reseller", To: "latam", Resources: set(t, "41.0.0.0/18")}, holdings.Organisation{Parent: "lacnic"})).Transfers[0].ID
	h.commit(h.ledger.Accept(on(2, "agreed"), id, ""))
	h.commit(h.ledger.Finalise(on(3, "done"), id, ""))
	h.commit(h.ledger.Return(on(4, "no need"), "latam/shop", set(t, "41.0.0.0/21")))
	at := func(from, until time.Duration) holdings.HistoryQuery {
		return holdings.HistoryQuery{Resources: set(t, "41.0.0.0/24"), From: noon.Add(from), Until: noon.Add(until)}
	}
	const day = 24 * time.Hour
	before := `afrinic 41.0.0.0/24 contract until done finalised
isp 41.0.0.0/24 contract until done finalised
reseller 41.0.0.0/24 contract until done finalised
shop 41.0.0.0/24 contract until done finalised`
	beside := `lacnic 41.0.0.0/24 agreed accepted beside until done finalised
latam 41.0.0.0/24 agreed accepted beside until done finalised
latam/shop 41.0.0.0/24 agreed accepted beside until done finalised`
	after := `lacnic 41.0.0.0/24 done finalised
latam 41.0.0.0/24 done finalised`
	for name, c := range map[string]struct {
		q    holdings.HistoryQuery
		want string
	}{
		"a moment before":       {at(0, 1), before},
		"the moment itself":     {at(2*day, 2*day+1), before + "\n" + beside},
		"a day between":         {at(2*day+1, 2*day+2), before + "\n" + beside},
		"the moment of the end": {at(3*day, 3*day+1), after + "\nlatam/shop 41.0.0.0/24 done finalised until no need"},
		"later":                 {at(9*day, 10*day), after},
		"long ago":              {at(-9*day, -8*day), "the ledger was founded at 2026-06-01T12:00:00Z and knows nothing of who held what before; 'registered' in a later answer is the date that the registry's file had"},
		"always, a holder":      {holdings.HistoryQuery{Holder: "LATAM/shop"}, "latam/shop 41.0.0.0/20 agreed accepted beside until done finalised\nlatam/shop 41.0.0.0/20 done finalised until no need\nlatam/shop 41.0.8.0/21 no need"},
		"a holder at a moment":  {holdings.HistoryQuery{Holder: "shop", From: noon.Add(5 * day), Until: noon.Add(6 * day)}, ""},
		"an AS number":          {holdings.HistoryQuery{Resources: inr.OfAS(36864, 36864), From: noon, Until: noon.Add(1)}, "afrinic AS36864 contract until done finalised\nisp AS36864 contract until done finalised\nreseller AS36864 contract until done finalised"},
		"nobody":                {holdings.HistoryQuery{Resources: set(t, "8.8.8.0/24")}, ""},
		"a moment":              {holdings.HistoryQuery{Resources: set(t, "41.0.0.0/24"), From: noon.Add(9 * day)}, after},
		"nothing":               {holdings.HistoryQuery{}, "name the resources or the holder whose history you want"},
		"unknown":               {holdings.HistoryQuery{Holder: "x"}, "there is no organisation x"},
	} {
		if got := h.tell(c.q); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
	}
	whole := strings.Split(h.tell(holdings.HistoryQuery{Resources: set(t, "41.0.0.0/24")}), "\n")
	if len(whole) != 4+3+3 || !strings.HasPrefix(whole[0], "afrinic") || !strings.HasPrefix(whole[9], "latam/shop 41.0.0.0/24 done") {
		t.Errorf("the whole past is %q", whole)
	}
	_, err := h.ledger.History(memory{}, holdings.HistoryQuery{Holder: "isp"})
	fails(t, err, fault.Corrupt, "restore it")
}
