package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/api"
	"cadastre/ca"
	"cadastre/internal/registrytest"
	"cadastre/internal/treetest"
	"cadastre/moves"
)

// TestCommitted: /vrps lists what is published, and with Committed what waits for the next serial too.
func TestCommitted(t *testing.T) {
	registrytest.Run(t, treetest.Forest, 0, func(r *registrytest.Registry) {
		e := r.Engine()
		h := api.New(e, moves.New(e, r.Dir(), slog.New(slog.DiscardHandler)), r.Dir(), api.NewRoom(0))
		c := &api.Client{HTTP: &http.Client{Transport: api.InProcess(h, operator)}}
		ask := func(committed bool) []string {
			r.Helper()
			v, err := api.Call[api.VRPsList, api.VRPs](context.Background(), c, "/vrps", api.VRPsList{Committed: committed})
			r.OK(err)
			return v.Lines
		}
		r.Give("afrinic", "41.0.0.0/16")
		r.Give("isp", "41.0.0.0/18")
		r.Settle()
		time.Sleep(time.Minute)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		defer func() { cancel(); r.OK(<-done) }()

		r.Intend("41.0.0.0/24,AS37000")
		r.OK(e.WaitIdle(context.Background()))
		r.Intend("41.0.1.0/24,AS37000") // within the second that a serial stands at least
		synctest.Wait()
		first, both := []string{"41.0.0.0/24,24,AS37000"}, []string{"41.0.0.0/24,24,AS37000", "41.0.1.0/24,24,AS37000"}
		if now, soon := ask(false), ask(true); !slices.Equal(now, first) || !slices.Equal(soon, both) || !slices.Equal(now, r.VRPs()) {
			t.Errorf("published is %v, committed is %v, and a validator finds %v", now, soon, r.VRPs())
		}
		status, err := api.Call[api.Nothing, *ca.Status](context.Background(), c, "/status", api.Nothing{})
		r.OK(err)
		if status.Settled || len(status.Waits) != 1 || status.Waits[0].Kind != ca.Unpublished {
			t.Errorf("the status is %+v", status)
		}
		r.OK(e.WaitIdle(context.Background()))
		if now := ask(false); !slices.Equal(now, both) {
			t.Errorf("with the next serial %v is published", now)
		}
	})
}
