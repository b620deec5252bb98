package publisher

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/publication"
)

// holdCommits makes commits wait for release.
func (h *testServer) holdCommits() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hold = make(chan struct{})
}

// release lets all commits go from now on.
func (h *testServer) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.hold != nil {
		close(h.hold)
		h.hold = nil
	}
}

// queued waits until n changes wait for the next group.
func (h *testServer) queued(t tester, n int) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; {
		h.queue.mu.Lock()
		waiting := len(h.queue.waiting)
		h.queue.mu.Unlock()
		if waiting == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d changes wait, and %d should", waiting, n)
		}
		time.Sleep(50 * time.Microsecond)
	}
}

// TestGroupCommit: what comes while a commit is under way is one commit and one serial; each query sees those before it,
// and what fails fails alone.
func TestGroupCommit(t *testing.T) {
	h := newTestServer(t, Limits{})
	const n = 50
	for i := range n {
		h.add(t, fmt.Sprint("p", i))
	}
	h.send(t, "p0", publish("p0", "first", "x"))
	time.Sleep(time.Until(h.repositories["north"].NextSerialAt()))
	h.holdCommits()
	first := h.start("p0", publication.Query{List: true})
	<-h.held
	commits := h.commits
	_, serial, _ := h.repositories["north"].Published()

	var replies []func(tester) *publication.Reply
	next := func(handle string, pdus ...publication.PDU) {
		replies = append(replies, h.start(handle, publication.Query{PDUs: pdus, List: pdus == nil}))
		h.queued(t, len(replies))
	}
	for i := range n {
		handle := fmt.Sprint("p", i)
		next(handle, publish(handle, "a", "one"))
	}
	next("p1", publish("p1", "a", "two"))
	next("p1", replace("p1", "a", "one", "two"))
	next("p1", withdraw("p1", "a", "two"), publish("p1", "b", "x"))
	next("p1", withdraw("p1", "b", "x"))
	next("p2")
	removed, gone := make(chan error, 1), make(chan error, 1)
	go func() { removed <- h.Remove(context.Background(), "p3") }()
	h.queued(t, len(replies)+1)
	go func() {
		_, err := h.try("p3", publication.Query{List: true}, at)
		gone <- err
	}()
	h.queued(t, len(replies)+2)
	h.release()

	first(t)
	for i, reply := range replies {
		switch r := reply(t); {
		case i == n:
			wantErrors(t, r, "object_already_present a")
		case i == len(replies)-1:
			if len(r.List) != 1 || r.List[0].URI != uri("p2", "a") {
				t.Errorf("the list has %+v", r.List)
			}
		case !r.Success:
			t.Errorf("query %d was refused: %+v", i, r.Errors)
		}
	}
	if err := <-removed; err != nil {
		t.Error(err)
	}
	wantKind(t, <-gone, fault.NotFound)
	if h.commits-commits != 2 {
		t.Errorf("%d commits", h.commits-commits)
	}
	if _, after, _ := h.repositories["north"].Published(); after != serial+1 {
		t.Errorf("%d serials", after-serial)
	}
	h.wantList(t, "p1", nil)
	h.wantList(t, "p2", map[string]string{"a": "one"})
	if got := h.repositories["north"].Objects(); got != n-2+1 {
		t.Errorf("the repository has %d objects", got)
	}
}

// TestGroupSize: a group is bounded by the bytes that it brings, and one query is never cut.
func TestGroupSize(t *testing.T) {
	q := &queue{}
	for _, size := range []int{groupBytes / 2, groupBytes / 2, 1, groupBytes + 1, 0, 1} {
		q.waiting = append(q.waiting, &waiting{size: size})
	}
	var got []int
	for g := q.next(); len(g) > 0; g = q.next() {
		got = append(got, len(g))
	}
	if fmt.Sprint(got) != "[2 1 1 2]" {
		t.Errorf("groups of %v", got)
	}
}

// TestCloseWaits: when Close returns nothing is under way.
func TestCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := false
		q := &queue{commit: func([]*waiting) {
			time.Sleep(time.Second)
			done = true
		}}
		q.enter(&waiting{})
		q.close()
		if !done {
			t.Error("a commit was under way when Close returned")
		}
	})
}

// TestConcurrent has many publishers work at once, with lists, registrations and an inspection beside them. Each keeps its
// own account, and all agree at the end, and after a restart.
func TestConcurrent(t *testing.T) {
	h := newTestServer(t, Limits{})
	const publishers, rounds = 20, 15
	want := make([]map[string]string, publishers)
	var all sync.WaitGroup
	for i := range publishers {
		handle := fmt.Sprint("p", i)
		h.add(t, handle)
		all.Go(func() {
			has := map[string]string{}
			for r := range rounds {
				name, content := fmt.Sprintf("%d.roa", r%4), fmt.Sprint(r)
				pdu := publish(handle, name, content)
				if was, there := has[name]; there {
					pdu = replace(handle, name, was, content)
				}
				h.send(t, handle, pdu)
				has[name] = content
				if r%5 == 0 {
					h.wantList(t, handle, has)
				}
			}
			want[i] = has
		})
	}
	all.Go(func() {
		for i := range 10 {
			handle := fmt.Sprint("guest", i)
			h.add(t, handle)
			h.send(t, handle, publish(handle, "a.mft", "no manifest"))
			h.Inspect()
			h.Publishers()
			if err := h.Remove(context.Background(), handle); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	for range 2 {
		for i := range publishers {
			h.wantList(t, fmt.Sprint("p", i), want[i])
		}
		h.Close()
		h.open(t)
	}
	objects := 0
	for o := range h.repositories["north"].Live() {
		objects++
		if strings.Contains(o.URI, "guest") {
			t.Errorf("%s was not withdrawn", o.URI)
		}
	}
	if objects != publishers*4 {
		t.Errorf("%d objects", objects)
	}
}
