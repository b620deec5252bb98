package ca

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/updown"
	"cadastre/internal/validate"
)

// network is one without wires: who answers at a host.
type network struct {
	mu sync.Mutex
	at map[string]http.Handler
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	handler := n.at[r.URL.Host]
	n.mu.Unlock()
	if handler == nil {
		return nil, fault.New(fault.Unreachable, "there is no host %s", r.URL.Host)
	}
	w, done := httptest.NewRecorder(), make(chan struct{})
	go func() {
		defer close(done)
		handler.ServeHTTP(w, r)
	}()
	select {
	case <-done:
		return w.Result(), nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// hung takes messages and never answers.
type hung struct {
	came   chan struct{}
	given  sync.Once
	gaveUp chan struct{} // closed when a caller has
}

func (h *hung) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	select {
	case h.came <- struct{}{}:
	default:
	}
	<-r.Context().Done()
	h.given.Do(func() { close(h.gaveUp) })
}

// still tells whether the first caller still waits.
func (h *hung) still() bool {
	select {
	case <-h.gaveUp:
		return false
	default:
		return true
	}
}

func (f *federated) hung() *hung {
	silent := &hung{came: make(chan struct{}, 1), gaveUp: make(chan struct{})}
	f.wires.mu.Lock()
	defer f.wires.mu.Unlock()
	f.wires.at[hungHost] = silent
	return silent
}

// federated is two installations in one bubble of time. The first is the parent of an organisation of the second.
type federated struct {
	above, below *testRegistry
	wires        *network
	between      func(handle string, body updown.Body) updown.Body // answers in the first test registry's place, where it returns something
	mu           sync.Mutex
}

const (
	aboveHost = "above.example"
	hungHost  = "hung.example"
)

func federate(t *testing.T, test func(t *testing.T, f *federated)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &federated{wires: &network{at: map[string]http.Handler{}}}
		policy := testPolicy()
		policy.ServiceBase = "https://" + aboveHost + "/"
		f.above = newTestRegistryWith(t, t.TempDir(), tenants, policy)
		policy.RsyncBase, policy.RRDPBase, policy.AnchorURL = "rsync://below.example/", "https://below.example/rrdp/", "https://below.example/ta/ta.cer"
		f.below = newTestRegistryWith(t, t.TempDir(), tenants+"\n# below", policy)
		for _, h := range []*testRegistry{f.above, f.below} {
			defer func() { h.close() }()
			h.reader.Pause(true) // what hangs below another's anchor leads nowhere
			h.engine.Federation.Network = &http.Client{Transport: f.wires}
		}
		doors, err := f.above.engine.Federation.Doors(nil, nil)
		must(t, err)
		f.wires.at[aboveHost] = f.listening(doors)
		f.below.engine.Federation.LookAt = func(ctx context.Context, _ string, issuer []byte) (*validate.Published, error) {
			published, findings := f.above.reader.Publication(ctx, issuer)
			if published == nil {
				return nil, fault.New(fault.Invalid, "%v", findings)
			}
			return published, nil
		}
		f.above.give("afrinic", "41.0.0.0/8")
		f.above.give("isp", "41.0.0.0/16")
		must(t, f.above.engine.Settle(context.Background()))
		f.below.give("afrinic", "102.0.0.0/8")
		f.below.give("isp", "102.0.0.0/16")
		must(t, f.below.engine.Settle(context.Background()))
		ctx, end := context.WithCancel(context.Background())
		var running sync.WaitGroup
		for _, h := range []*testRegistry{f.above, f.below} {
			running.Go(func() { _ = h.runAlone(ctx, func(time.Time) error { return nil }) })
			running.Go(func() { h.engine.Federation.FollowParents(ctx) })
			running.Go(func() { h.engine.Federation.FollowRemotes(ctx) })
		}
		defer running.Wait()
		defer end()
		test(t, f)
	})
}

// listening hands messages to the first test registry, unless between answers in its place.
func (f *federated) listening(doors http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		message, err := io.ReadAll(r.Body)
		must(f.above, err)
		f.mu.Lock()
		between := f.between
		f.mu.Unlock()
		if between != nil {
			id, err := f.below.engine.Federation.Introduction()
			must(f.above, err)
			trust, err := envelope.ParseTrust(id)
			must(f.above, err)
			opened, err := trust.Open(message, time.Now())
			must(f.above, err)
			q, err := updown.Parse(opened.Content)
			must(f.above, err)
			if body := between(q.Sender, q.Body); body != nil {
				text, err := (&updown.Message{Sender: q.Recipient, Recipient: q.Sender, Body: body}).XML()
				must(f.above, err)
				reply, err := f.above.engine.Federation.Sign(text, time.Now())
				must(f.above, err)
				_, _ = w.Write(reply)
				return
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(message))
		doors.ServeHTTP(w, r)
	})
}

func (f *federated) answers(between func(handle string, body updown.Body) updown.Body) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.between = between
}

// introduce puts an organisation of the second test registry under the first, as isp there.
func (f *federated) introduce(holder string) {
	f.below.Helper()
	request, err := f.below.engine.Federation.ParentRequest(holder)
	must(f.below, err)
	response, err := f.above.engine.Federation.AddChild(f.above.by(), "isp", request)
	must(f.below, err)
	must(f.below, f.below.engine.Federation.AddParent(f.below.by(), holder, "above", response))
}

// until waits until something is so, for no more than an hour.
func (f *federated) until(what string, so func() bool) {
	f.below.Helper()
	for range 3600 {
		if so() {
			return
		}
		time.Sleep(time.Second)
	}
	f.below.Fatalf("%s: not within an hour", what)
}

func (f *federated) prints(vrp string) bool {
	f.below.Helper()
	said, err := f.below.engine.VRPs()
	must(f.below, err)
	return slices.Contains(said, vrp)
}

// unseen is a look at a parent's repository that is not there.
func unseen(context.Context, string, []byte) (*validate.Published, error) {
	return nil, fault.New(fault.Unreachable, "there is no such repository")
}
