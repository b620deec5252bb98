package peer

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// TestBucket: in any stretch of time no more is taken than the burst and what came meanwhile.
func TestBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := Rate{PerSecond: float64(rapid.IntRange(1, 50).Draw(t, "per second")), Burst: float64(rapid.IntRange(1, 50).Draw(t, "burst"))}
		var b bucket
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		var taken []time.Time
		for range rapid.IntRange(1, 200).Draw(t, "calls") {
			now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "ms")) * time.Millisecond)
			if b.take(rate, now) {
				taken = append(taken, now)
			}
		}
		for i := range taken {
			for j := i; j < len(taken); j++ {
				if most := rate.Burst + taken[j].Sub(taken[i]).Seconds()*rate.PerSecond + 1e-6; float64(j-i+1) > most {
					t.Fatalf("%d were taken in %s at %+v", j-i+1, taken[j].Sub(taken[i]), rate)
				}
			}
		}
		if !b.take(rate, now.Add(time.Minute)) {
			t.Fatal("nothing came in a minute")
		}
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.Rate, h.Strangers = Rate{PerSecond: 2, Burst: 3}, Rate{PerSecond: 1, Burst: 2}
		from := func(address, handle string) *httptest.ResponseRecorder {
			r := request(handle, nil)
			r.RemoteAddr = address
			return h.call(r)
		}
		for range 3 {
			h.wantRefusal(from("192.0.2.1:1", "theirs"), 400, "message")
		}
		h.wantRefusal(from("192.0.2.1:2", "theirs"), 429, "rate")
		time.Sleep(500 * time.Millisecond)
		h.wantRefusal(from("192.0.2.1:3", "theirs"), 400, "message")
		h.wantRefusal(from("192.0.2.1:3", "theirs"), 429, "rate")

		kept := 0
		for i := range 64 { // whoever uses up one lane leaves the others
			if from(fmt.Sprintf("[2001:db8::%d]:1", i), "theirs").Code != 429 {
				kept++
			}
		}
		if kept < 30 || kept > 3*lanes {
			t.Errorf("%d of 64 other addresses are let through", kept)
		}

		h.wantRefusal(from("192.0.2.1:1", "nobody1"), 404, "handle")
		h.wantRefusal(from("192.0.2.2:1", "nobody2"), 404, "handle")
		w := from("192.0.2.3:1", "nobody3")
		h.wantRefusal(w, 429, "rate")
		if w.Header().Get("Connection") != "close" {
			t.Error("a stranger who goes on is kept connected")
		}
		time.Sleep(time.Second)
		h.wantRefusal(from("192.0.2.1:1", "nobody4"), 404, "handle")
	})
}

// TestHeld: bodies that are read at once have a common limit, and one for each handle and address.
func TestHeld(t *testing.T) { synctest.Test(t, testHeld) }

func testHeld(t *testing.T) {
	h := newHouse(t)
	h.callers["other"] = &Caller{Handle: "other", Trust: theirs().trust, Self: ours().Signer}
	h.MaxHeld = 50_000
	hold := func(handle string, octets int) (goOn func(), done chan *httptest.ResponseRecorder) {
		reading, source := io.Pipe()
		r := httptest.NewRequest(http.MethodPost, "/", reading)
		r.SetPathValue("handle", handle)
		done = make(chan *httptest.ResponseRecorder, 1)
		go func() { done <- h.call(r) }()
		_, _ = source.Write(bytes.Repeat([]byte{'x'}, octets))
		synctest.Wait() // until it is counted
		return func() { _ = source.Close() }, done
	}
	first, firstDone := hold("other", 30_000)
	h.wantRefusal(h.send(make([]byte, 30_000)), 429, "busy")
	first()
	<-firstDone
	h.wantRefusal(h.send(make([]byte, 30_000)), 400, "message")

	var all []func()
	var ends []chan *httptest.ResponseRecorder
	for range callsAtOnce {
		goOn, done := hold("other", 10)
		all, ends = append(all, goOn), append(ends, done)
	}
	h.wantRefusal(h.call(request("other", nil)), 429, "busy")
	h.wantRefusal(h.send(nil), 400, "message")
	for i := range all {
		all[i]()
		<-ends[i]
	}
	h.wantRefusal(h.call(request("other", nil)), 400, "message")
	if held := h.limits.held.Load(); held != 0 {
		t.Errorf("%d octets are still held", held)
	}
}

// TestSweep: lanes that are idle are forgotten, those in use are not.
func TestSweep(t *testing.T) {
	var l limits
	rate, now := Rate{PerSecond: 1, Burst: 1}, time.Now()
	busy, _ := l.enter("busy", request("busy", nil), rate, 1, now)
	for i := range 100 * fewestSwept {
		where, refused := l.enter(fmt.Sprint("h", i), request("h", nil), rate, 1, now)
		if refused != "" {
			t.Fatal(refused)
		}
		l.leave(where)
		now = now.Add(10 * time.Millisecond) // each is idle again after a hundred others
		if len(l.lanes) > 2*fewestSwept {
			t.Fatalf("%d lanes are kept", len(l.lanes))
		}
	}
	if _, refused := l.enter("busy", request("busy", nil), rate, 1, now); refused != "busy" {
		t.Errorf("a lane in use was forgotten: %q", refused)
	}
	l.leave(busy)
}

// TestMemoryStaysFlat has 10,000 strangers knock, each with a handle of his own, and 10,000 pretenders at a handle that
// there is, each from an address of his own.
func TestMemoryStaysFlat(t *testing.T) {
	h := newHouse(t)
	h.Refused = nil
	knock := func(i int, handle string) {
		r := request(handle, []byte("no message"))
		r.RemoteAddr = fmt.Sprintf("[2001:db8::%x]:1", i)
		if w := h.call(r); w.Code < 400 {
			t.Fatalf("%s was let in", handle)
		}
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for i := range 100 {
		knock(i, "theirs")
	}
	before := heap()
	for i := range 10_000 {
		knock(i, fmt.Sprint("stranger-", i))
		knock(i, "theirs")
	}
	if grown := heap() - before; grown > 100_000 {
		t.Errorf("the heap grew by %d octets", grown)
	}
	if len(h.limits.lanes) > lanes {
		t.Errorf("%d lanes are kept for one registered peer", len(h.limits.lanes))
	}
}

// quiet is a ResponseWriter that costs nothing.
type quiet struct{ header http.Header }

func (q *quiet) Header() http.Header         { return q.header }
func (q *quiet) Write(p []byte) (int, error) { return len(p), nil }
func (q *quiet) WriteHeader(int)             {}

// refusals are the calls that have to cost less than 0.1 ms of CPU.
func refusals(h *house) map[string]*http.Request {
	long := request("theirs", nil)
	long.ContentLength = h.MaxBody + 1
	return map[string]*http.Request{
		"unknown handle": request("nobody", []byte("x")),
		"bad handle":     request(strings.Repeat("x", 1000), []byte("x")),
		"oversize":       long,
		"over its rate":  request("theirs", []byte("x")),
	}
}

// TestRefusedIsCheap asks for a tenth of a millisecond; it takes about a hundredth of that.
func TestRefusedIsCheap(t *testing.T) {
	const calls = 20_000
	for name, r := range refusals(newHouse(t)) {
		h := newHouse(t)
		h.Refused, h.Rate = nil, Rate{PerSecond: 1e-9, Burst: 1}
		h.call(request("theirs", nil)) // uses up the rate
		w := &quiet{http.Header{}}
		before := cpu()
		for range calls {
			h.ServeHTTP(w, r)
		}
		if each := (cpu() - before) / calls; each > 100*time.Microsecond {
			t.Errorf("%s costs %s of CPU", name, each)
		}
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkRefused(b *testing.B) {
	h := newHouse(nil)
	h.Refused, h.Rate = nil, Rate{PerSecond: 1e-9, Burst: 1}
	h.call(request("theirs", nil))
	for name, r := range refusals(h) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			w := &quiet{http.Header{}}
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}

// BenchmarkRefusedOverHTTP counts the CPU of both ends, the server's reading of the request among it.
func BenchmarkRefusedOverHTTP(b *testing.B) {
	h := newHouse(nil)
	h.Refused, h.Strangers = nil, Rate{PerSecond: 1e9, Burst: 1e9}
	server := httptest.NewServer(h.mux())
	defer server.Close()
	before := cpu()
	for b.Loop() {
		response, err := http.Post(server.URL+"/rfc6492/nobody", "application/rpki-updown", strings.NewReader("x"))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-us/op")
}

// BenchmarkAnswer is a signed reply to a signed message: one RSA signature, three checks of one, and little else.
func BenchmarkAnswer(b *testing.B) {
	h := newHouse(nil)
	h.Refused, h.Rate = nil, Rate{PerSecond: 1e9, Burst: 1e9}
	message := signedNow(theirs(), strings.Repeat("<list/>", 100))
	for b.Loop() {
		if w := h.send(message); w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}
