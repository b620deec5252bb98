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

	"cadastre/internal/shares"
)

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestDoor(t)
		h.Rate, h.Strangers = shares.Rate{PerSecond: 2, Burst: 3}, shares.Rate{PerSecond: 1, Burst: 2}
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

		h.wantRefusal(from("192.0.2.250:3", "theirs"), 429, "rate") // of the same network
		for i := range 64 {                                         // whoever uses up his own leaves others theirs
			h.wantRefusal(from(fmt.Sprintf("[2001:db8:%x::1]:1", i), "theirs"), 400, "message")
		}

		h.wantRefusal(from("192.0.2.1:1", "nobody1"), 404, "handle")
		h.wantRefusal(from("192.0.2.2:1", "nobody2"), 404, "handle")
		w := from("192.0.2.3:1", "nobody3")
		h.wantRefusal(w, 429, "rate")
		if w.Header().Get("Connection") != "" {
			t.Error("a stranger who goes on is made to shake hands anew, which costs more than his calls")
		}
		time.Sleep(time.Second)
		h.wantRefusal(from("192.0.2.1:1", "nobody4"), 404, "handle")
	})
}

// hold sends a message of which so much has come, and the rest has not.
func (h *testDoor) hold(from, handle string, octets int) (goOn func(), done chan *httptest.ResponseRecorder) {
	reading, source := io.Pipe()
	r := httptest.NewRequest(http.MethodPost, "/", reading)
	r.RemoteAddr = from
	r.SetPathValue("handle", handle)
	done = make(chan *httptest.ResponseRecorder, 1)
	go func() {
		w := h.call(r)
		_ = reading.Close()
		done <- w
	}()
	_, _ = source.Write(bytes.Repeat([]byte{'x'}, octets))
	synctest.Wait() // until it is counted
	return func() { _ = source.Close() }, done
}

// TestHeld: bodies that are read at once have a common limit, and one for each handle and network.
func TestHeld(t *testing.T) { synctest.Test(t, testHeld) }

func testHeld(t *testing.T) {
	const from = "192.0.2.1:1234" // as httptest has it
	h := newTestDoor(t)
	h.callers["other"] = &Caller{Handle: "other", Trust: theirs().trust, Self: ours().Signer}
	h.Memory = shares.NewPool(4 * 50_000) // strangers have a quarter
	first, firstDone := h.hold(from, "other", 1000)
	h.wantRefusal(h.send(make([]byte, 40_000)), 429, "busy")
	h.wantRefusal(h.send(make([]byte, 10_000)), 400, "message")
	first()
	<-firstDone
	h.wantRefusal(h.send(make([]byte, 40_000)), 400, "message")

	var all []func()
	var ends []chan *httptest.ResponseRecorder
	h.Memory = shares.NewPool(1 << 20)
	h.limits.memory = h.Memory
	for range callsAtOnce {
		goOn, done := h.hold(from, "other", 10)
		all, ends = append(all, goOn), append(ends, done)
	}
	h.wantRefusal(h.call(request("other", nil)), 429, "busy")
	h.wantRefusal(h.send(nil), 400, "message")
	for i := range all {
		all[i]()
		<-ends[i]
	}
	h.wantRefusal(h.call(request("other", nil)), 400, "message")
	h.wantNothingHeld()
}

func (h *testDoor) wantNothingHeld() {
	h.t.Helper()
	if held := h.memory().Stats(); held.Known != 0 || held.Strangers != 0 {
		h.t.Errorf("%+v are still held", held)
	}
}

// TestUnfinished: bodies that do not come, at one handle, from one network or from ninety, keep nobody else from being answered:
// not another handle, and not the one itself, known or new, unless they come from its own network.
func TestUnfinished(t *testing.T) {
	for name, c := range map[string]struct {
		from  func(i int) string
		known bool
	}{
		"one network":          {func(int) string { return "198.51.100.7:1" }, false},
		"ninety networks":      {func(i int) string { return fmt.Sprintf("10.0.%d.1:1", i) }, false},
		"ninety, and known":    {func(i int) string { return fmt.Sprintf("10.0.%d.1:1", i) }, true},
		"its own, and known":   {func(int) string { return "192.0.2.200:1" }, true},
		"its own, and unknown": {func(int) string { return "192.0.2.200:1" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newTestDoor(t)
				h.callers["other"] = &Caller{Handle: "other", Trust: theirs().trust, Self: ours().Signer}
				h.Refused, h.Memory = nil, shares.NewPool(1<<20)
				message := func(n int) []byte { return signedNow(theirs(), fmt.Sprintf("<list n='%d'/>", n)) }
				if c.known {
					h.wantReply(h.send(message(0)), "reply to <list n='0'/>")
				}
				var ends []func()
				for i := range 90 {
					goOn, done := h.hold(c.from(i), "theirs", 60_000)
					ends = append(ends, func() { goOn(); <-done })
				}
				for n := 1; n < 20; n++ {
					want := fmt.Sprintf("reply to <list n='%d'/>", n)
					h.wantReply(h.call(request("other", message(n))), want)
					if sameNetwork := c.from(0) == "192.0.2.200:1"; !sameNetwork {
						h.wantReply(h.send(message(n)), want)
					}
				}
				if held := h.memory().Stats(); held.Strangers > held.Size/4 {
					t.Errorf("strangers hold %+v", held)
				}
				for _, end := range ends {
					end()
				}
				h.wantNothingHeld()
			})
		})
	}
}

// TestKnown: a network from which messages of the peer have come has a part of the memory of its own, and no limit of checks.
func TestKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestDoor(t)
		h.Checks = shares.Rate{PerSecond: 1, Burst: 2}
		h.wantReply(h.send(signedNow(theirs(), "<first/>")), "reply to <first/>") // one check
		pretend := func(i int) *httptest.ResponseRecorder {
			r := request("theirs", signedNow(stranger(), "<list/>"))
			r.RemoteAddr = fmt.Sprintf("10.0.%d.1:1", i)
			return h.call(r)
		}
		h.wantRefusal(pretend(0), 401, "signature")
		for i := range 10 {
			h.wantRefusal(pretend(i), 429, "rate")
		}
		h.wantReply(h.send(signedNow(theirs(), "<second/>")), "reply to <second/>")

		// who repeats what the peer has said is not the peer
		time.Sleep(2 * time.Second)
		old := signedNow(theirs(), "<old/>")
		h.wantReply(h.send(old), "reply to <old/>")
		time.Sleep(2 * time.Second)
		h.wantReply(h.send(signedNow(theirs(), "<third/>")), "reply to <third/>")
		again := request("theirs", old)
		again.RemoteAddr = "10.1.0.1:1"
		h.wantRefusal(h.call(again), 401, "replay")
		if o := h.owner(again, "theirs"); o.Known {
			t.Error("a replay made its network known")
		}
	})
}

// TestShare: a peer that has used up its share is told so, and another is answered.
func TestShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestDoor(t)
		h.callers["other"] = &Caller{Handle: "other", Trust: theirs().trust, Self: ours().Signer}
		h.Kind = shares.Child
		h.Shares = shares.NewLedger(shares.Budgets{shares.Child: {shares.Requests: {PerSecond: 1, Burst: 2}}})
		forged := signedNow(stranger(), "<list/>")
		for range 5 {
			h.wantRefusal(h.send(forged), 401, "signature") // nothing of it is used up so
		}
		for n := range 2 {
			h.wantReply(h.send(signedNow(theirs(), fmt.Sprint("<list", n, "/>"))), fmt.Sprint("reply to <list", n, "/>"))
		}
		w := h.send(signedNow(theirs(), "<too much/>"))
		h.wantRefusal(w, 429, "share")
		if w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "requests") {
			t.Errorf("the peer is told %q", w.Body)
		}
		h.wantReply(h.call(request("other", signedNow(theirs(), "<list/>"))), "reply to <list/>")
		time.Sleep(time.Second)
		h.wantReply(h.send(signedNow(theirs(), "<again/>")), "reply to <again/>")
	})
}

// TestShareOfCPU: processor time is a share like others. What a peer owes of it keeps that peer alone waiting, until it is made
// up for; the opening of an authentic message counts, and that of a forged one is nobody's.
func TestShareOfCPU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestDoor(t)
		h.callers["other"] = &Caller{Handle: "other", Trust: theirs().trust, Self: ours().Signer}
		h.Kind = shares.Child
		h.Shares = shares.NewLedger(shares.Budgets{shares.Child: {shares.CPU: {PerSecond: 1, Burst: 1000}}})
		h.wantReply(h.send(signedNow(theirs(), "<first/>")), "reply to <first/>")
		h.Shares.Charge(shares.Principal{Kind: shares.Child, Name: "theirs"}, shares.CPU, 1100) // as for a long answer
		w := h.send(signedNow(theirs(), "<too much/>"))
		h.wantRefusal(w, 429, "share")
		if w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "cpu") {
			t.Errorf("the peer is told %q", w.Body)
		}
		h.wantReply(h.call(request("other", signedNow(theirs(), "<list/>"))), "reply to <list/>")
		time.Sleep(10 * time.Minute)
		h.wantReply(h.send(signedNow(theirs(), "<again/>")), "reply to <again/>")

		// of a share that one opening uses up, whatever it takes
		h.Shares = shares.NewLedger(shares.Budgets{shares.Child: {shares.CPU: {PerSecond: 1e-15, Burst: 1e-9}}})
		for range 3 {
			h.wantRefusal(h.send(signedNow(stranger(), "<list/>")), 401, "signature")
		}
		if owes := h.Shares.Owing(shares.Principal{Kind: shares.Child, Name: "theirs"}, shares.CPU); owes != nil {
			t.Errorf("a peer pays for what others forge: %v", owes)
		}
		h.wantRefusal(h.send(signedNow(theirs(), "<opened/>")), 429, "share")
	})
}

// TestMemoryStaysFlat has 10,000 strangers knock, each with a handle of his own, and 10,000 pretenders at a handle that
// there is, each from an address of his own.
func TestMemoryStaysFlat(t *testing.T) {
	h := newTestDoor(t)
	h.Refused = nil
	knock := func(i int, handle string) {
		r := request(handle, []byte("no message"))
		r.RemoteAddr = fmt.Sprintf("[2001:db8:%x::1]:1", i)
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
}

// quiet is a ResponseWriter that costs nothing.
type quiet struct{ header http.Header }

func (q *quiet) Header() http.Header         { return q.header }
func (q *quiet) Write(p []byte) (int, error) { return len(p), nil }
func (q *quiet) WriteHeader(int)             {}

// refusals are the calls that have to cost less than 0.1 ms of CPU.
func refusals(h *testDoor) map[string]*http.Request {
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
	for name, r := range refusals(newTestDoor(t)) {
		h := newTestDoor(t)
		h.Refused, h.Rate = nil, shares.Rate{PerSecond: 1e-9, Burst: 1}
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
	h := newTestDoor(nil)
	h.Refused, h.Rate = nil, shares.Rate{PerSecond: 1e-9, Burst: 1}
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
	h := newTestDoor(nil)
	h.Refused, h.Strangers = nil, shares.Rate{PerSecond: 1e9, Burst: 1e9}
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
	h := newTestDoor(nil)
	h.Refused, h.Rate = nil, shares.Rate{PerSecond: 1e9, Burst: 1e9}
	message := signedNow(theirs(), strings.Repeat("<list/>", 100))
	for b.Loop() {
		if w := h.send(message); w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}
