package peer

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/envelopetest"
	"cadastre/internal/fault"
	"cadastre/internal/shares"
)

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body of a refused call was read")
	return 0, io.EOF
}

func TestRefusedUnread(t *testing.T) {
	h := newTestDoor(t)
	refuse := func(method, handle string, length int64, status int, why string) {
		t.Helper()
		r := httptest.NewRequest(method, "/rfc6492/x", unread{t})
		r.SetPathValue("handle", handle)
		r.ContentLength = length
		h.wantRefusal(h.call(r), status, why)
	}
	refuse(http.MethodGet, "theirs", 10, 405, "method")
	refuse(http.MethodPut, "theirs", 10, 405, "method")
	refuse(http.MethodPost, "theirs", h.MaxBody+1, 413, "length")
	refuse(http.MethodPost, "nobody", h.MaxBody+1, 413, "length")
	refuse(http.MethodPost, "nobody", 10, 404, "handle")
	refuse(http.MethodPost, "", 10, 404, "handle")
	refuse(http.MethodPost, "their.s", 10, 404, "handle")
	refuse(http.MethodPost, "their\x00s", 10, 404, "handle")
	refuse(http.MethodPost, strings.Repeat("a", 256), 10, 404, "handle")
	if len(h.answered) > 0 {
		t.Error("one was answered")
	}
}

func TestRefusedRead(t *testing.T) {
	h := newTestDoor(t)
	chunked := request("theirs", bytes.Repeat([]byte{'x'}, int(h.MaxBody)+1))
	chunked.ContentLength = -1
	h.wantRefusal(h.call(chunked), 413, "length")
	h.wantRefusal(h.send(nil), 400, "message")
	h.wantRefusal(h.send([]byte("<message/>")), 400, "message")
	h.wantRefusal(h.send(signedNow(stranger(), "<list/>")), 401, "signature")
	h.wantRefusal(h.send(signedNow(ours(), "<list/>")), 401, "signature")
	broken := signedNow(theirs(), "<list/>")
	h.wantRefusal(h.send(bytes.Replace(broken, []byte("<list/>"), []byte("<lost/>"), 1)), 401, "signature")
	early := request("theirs", signedNow(theirs(), "<list/>"))
	early.ContentLength += 10
	early.Body = io.NopCloser(io.MultiReader(bytes.NewReader([]byte("half")), failing{}))
	h.wantRefusal(h.call(early), 408, "body")
	if len(h.answered) > 0 {
		t.Error("one was answered")
	}
	h.wantNothingHeld()
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestAnswer(t *testing.T) {
	h := newTestDoor(t)
	w := h.send(signedNow(theirs(), "<list/>"))
	h.wantReply(w, "reply to <list/>")
	if got := w.Header().Get("Content-Type"); got != h.ContentType {
		t.Errorf("the type is %q", got)
	}
}

// TestKeep: a message and the signed reply are kept as they came and go, before the reply is sent; what cannot be kept is not said.
func TestKeep(t *testing.T) {
	h := newTestDoor(t)
	h.Log = slog.New(slog.DiscardHandler)
	var failed error
	var heard, said []byte
	h.Keep = func(_ *Caller, message *envelope.Message, _, signed []byte) error {
		heard, said = message.Octets, signed
		return failed
	}
	message := signedNow(theirs(), "<list/>")
	w := h.send(message)
	h.wantReply(w, "reply to <list/>")
	if !bytes.Equal(heard, message) || !bytes.Equal(said, w.Body.Bytes()) {
		t.Error("what is kept is not what was sent")
	}
	failed = errors.New("the disk at /var/lib/secret is full")
	w = h.send(signedNow(theirs(), "<list/>"))
	h.wantRefusal(w, 500, "answer")
	if bytes.Contains(w.Body.Bytes(), []byte("secret")) || bytes.Contains(w.Body.Bytes(), said) {
		t.Errorf("the peer is told %q", w.Body)
	}
}

// TestReplay: no message may be signed before the last one, nor in the future; several in one second may.
func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestDoor(t)
		first := signedNow(theirs(), "<first/>")
		h.wantReply(h.send(first), "reply to <first/>")
		h.wantReply(h.send(signedNow(theirs(), "<same second/>")), "reply to <same second/>")
		time.Sleep(time.Second)
		h.wantReply(h.send(signedNow(theirs(), "<later/>")), "reply to <later/>")
		h.wantRefusal(h.send(first), 401, "replay")

		h.wantReply(h.send(must(theirs().Sign([]byte("<fast/>"), time.Now().Add(envelope.ClockTolerance)))), "reply to <fast/>")
		h.wantRefusal(h.send(must(theirs().Sign([]byte("<too fast/>"), time.Now().Add(envelope.ClockTolerance+time.Second)))), 401, "replay")
		h.wantRefusal(h.send(signedNow(theirs(), "<slow again/>")), 401, "replay")
		h.callers["theirs"].Heard = Heard{} // what an operator resets
		h.wantReply(h.send(signedNow(theirs(), "<reset/>")), "reply to <reset/>")
	})
}

// TestAgain: a message that comes again gets the reply that it got, as long as that is at hand, and is acted upon once; nothing of
// the peer's share is used up by it. One that only asks is answered anew.
func TestAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestDoor(t)
		h.Kind, h.Shares = shares.Child, shares.NewLedger(shares.Budgets{shares.Child: {shares.Requests: {PerSecond: 1e-9, Burst: 4}}})
		publish := signedNow(theirs(), "<publish/>")
		reply := h.send(publish)
		h.wantReply(reply, "reply to <publish/>")
		first := slices.Clone(reply.Body.Bytes())
		again := h.send(publish)
		if !bytes.Equal(again.Body.Bytes(), first) || len(h.answered) != 1 {
			t.Errorf("a repeated message is answered with %.100q, and acted upon %d times", again.Body, len(h.answered))
		}
		h.wantReply(h.send(signedNow(theirs(), "<withdraw/>")), "reply to <withdraw/>")
		h.wantRefusal(h.send(publish), 401, "replay") // its reply is not the last
		list := signedNow(theirs(), "<list/>")
		for range 3 {
			h.wantReply(h.send(list), "reply to <list/>")
		}
		// the stamp of the message is that of the list that was answered
		if !h.callers["theirs"].Again(StampOf(must(theirs().trust.Open(list, time.Now())))) {
			t.Error("the list is not remembered")
		}
		for range 20 {
			h.send(publish)
		}
		h.wantRefusal(h.send(publish), 429, "replay")
		if len(h.answered) != 5 {
			t.Errorf("%q were acted upon", h.answered)
		}
		h.wantReply(h.send(signedNow(theirs(), "<revoke/>")), "reply to <revoke/>") // the fourth of its share
		h.wantRefusal(h.send(signedNow(theirs(), "<more/>")), 429, "share")
	})
}

// TestHeard: digests are kept for the newest second, written and read, and are not without end.
func TestHeard(t *testing.T) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	stamp := func(n int, after time.Duration) Stamp { return Stamp{at.Add(after), Digest{byte(n), byte(n >> 8)}} }
	var h Heard
	for n := range maxSeen {
		if err := h.Check(stamp(n, 0), at, "acme"); err != nil {
			t.Fatal(err)
		}
		h = h.With(stamp(n, 0))
	}
	if err := h.Check(stamp(maxSeen, 0), at, "acme"); fault.KindOf(err) != fault.Busy {
		t.Errorf("one more than %d in a second: %v", maxSeen, err)
	}
	var read Heard
	if err := json.Unmarshal(must(json.Marshal(h)), &read); err != nil || !read.Again(stamp(maxSeen-1, 0)) || read.Again(stamp(maxSeen, 0)) {
		t.Errorf("it is read as %+v, %v", read, err)
	}
	for _, text := range []string{`{"seen":["0"]}`, `{"seen":["00"]}`, `{"seen":["000000000000000000000000000000000000"]}`, `{"seen":["xx000000000000000000000000000000"]}`} {
		if err := json.Unmarshal([]byte(text), &read); err == nil {
			t.Errorf("%s is read", text)
		}
	}
	if h = h.With(stamp(1, time.Second)); len(h.Seen) != 1 || h.Again(stamp(1, 0)) || !h.Again(stamp(1, time.Second)) {
		t.Errorf("in the next second it is %+v", h)
	}
	if older := h.With(stamp(2, 0)); len(older.Seen) != 1 || !older.LastSigned.Equal(h.LastSigned) {
		t.Errorf("an older one makes it %+v", older)
	}
}

func TestAnswerFails(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		says   string
	}{
		{fault.New(fault.BadInput, "the XML is wrong here"), 400, "the XML is wrong here"},
		{fault.New(fault.NotHeld, "not yours"), 403, "not yours"},
		{fault.New(fault.Busy, "the engine is frozen"), 423, "the engine is frozen"},
		{fault.New(fault.Storage, "/var/lib/secret is full"), 507, "try again later"},
		{errors.New("a defect in line 7"), 500, "try again later"},
	} {
		h := newTestDoor(t)
		var log bytes.Buffer
		h.Log = slog.New(slog.NewTextHandler(&log, nil))
		h.Answer = func(context.Context, string, []byte, Stamp) ([]byte, error) { return nil, c.err }
		w := h.send(signedNow(theirs(), "<list/>"))
		h.wantRefusal(w, c.status, "answer")
		if !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%v is told as %q", c.err, w.Body)
		}
		if c.status >= 500 && !strings.Contains(log.String(), c.err.Error()) {
			t.Errorf("%v is not in the log: %s", c.err, &log)
		}
	}
	h := newTestDoor(t)
	h.Answer = func(context.Context, string, []byte, Stamp) ([]byte, error) {
		return []byte("<error_response/>"), fault.New(fault.NotHeld, "not yours")
	}
	h.wantReply(h.send(signedNow(theirs(), "<list/>")), "<error_response/>")
}

// outOfReach is a key whose module does not answer.
type outOfReach struct{ crypto.Signer }

func (outOfReach) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the module of keys does not answer")
}

// TestCannotSign: without its key a door says that it cannot answer, and a client sends nothing.
func TestCannotSign(t *testing.T) {
	key, certificate, err := envelopetest.NewIdentity(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	h := newTestDoor(t)
	h.Log = slog.New(slog.DiscardHandler)
	broken := must(envelope.NewSigner(outOfReach{key}, certificate))
	h.callers["theirs"].Self = broken
	w := h.send(signedNow(theirs(), "<list/>"))
	h.wantRefusal(w, 500, "answer")
	if strings.Contains(w.Body.String(), "module") {
		t.Errorf("the peer is told %q", w.Body)
	}
	c := h.client(&http.Client{Transport: http.NewFileTransport(http.Dir(t.TempDir()))})
	c.Self = broken
	if _, err := c.Call(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "module") {
		t.Errorf("the error is %v", err)
	}
}

// TestSerial: a second message of a handle gets what Busy says, and only if it is authentic.
func TestSerial(t *testing.T) {
	h := newTestDoor(t)
	h.callers["other"] = &Caller{Handle: "other", Trust: theirs().trust, Self: ours().Signer}
	h.Serial = true
	h.Busy = func(_ string, content []byte) []byte { return []byte("1101 for " + string(content)) }
	inside, goOn := make(chan bool), make(chan bool)
	answer := h.Answer
	h.Answer = func(ctx context.Context, handle string, content []byte, stamp Stamp) ([]byte, error) {
		if string(content) == "<slow/>" {
			inside <- true
			<-goOn
		}
		return answer(ctx, handle, content, stamp)
	}
	done := make(chan *httptest.ResponseRecorder)
	go func() { done <- h.send(signedNow(theirs(), "<slow/>")) }()
	<-inside
	h.wantReply(h.send(signedNow(theirs(), "<second/>")), "1101 for <second/>")
	if len(h.reasons) != 1 || h.reasons[0] != "busy" {
		t.Errorf("it is counted as %q", h.reasons)
	}
	h.wantRefusal(h.send(signedNow(stranger(), "<third/>")), 401, "signature")
	h.wantReply(h.call(request("other", signedNow(theirs(), "<fourth/>"))), "reply to <fourth/>")
	h.Busy = nil
	h.wantRefusal(h.send(signedNow(theirs(), "<fifth/>")), 429, "busy")
	goOn <- true
	h.wantReply(<-done, "reply to <slow/>")
	h.wantReply(h.send(signedNow(theirs(), "<sixth/>")), "reply to <sixth/>")
	if len(h.limits.answered) > 0 {
		t.Error("a turn was not ended")
	}
}

// TestGoneMeanwhile: a peer that is removed while its message is read is not answered.
func TestGoneMeanwhile(t *testing.T) {
	h := newTestDoor(t)
	find, asked := h.Find, 0
	h.Find = func(handle string) (*Caller, bool) {
		if asked++; asked > 1 {
			return nil, false
		}
		return find(handle)
	}
	h.wantRefusal(h.send(signedNow(theirs(), "<list/>")), 404, "handle")
}

// TestSlowBody: a body has a deadline. It ends with the body, and does not end a long answer or a kept connection.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestDoor(t)
		h.MaxBody = 32 << 20 // the time for a body does not depend on it
		l, client := serve(t, h.mux())

		begun := time.Now()
		c := must(l.dial(t.Context(), "", ""))
		_, err := io.WriteString(c, "POST /rfc6492/theirs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf")
		if err != nil {
			t.Fatal(err)
		}
		answer := must(io.ReadAll(c))
		if !bytes.HasPrefix(answer, []byte("HTTP/1.1 408")) {
			t.Errorf("the answer is %.100q", answer)
		}
		if waited := time.Since(begun); waited < stall || waited > stall+2*time.Second {
			t.Errorf("it waited %s for a body", waited)
		}
		_ = c.Close()

		calls := h.client(client)
		answers := h.Answer
		h.Answer = func(ctx context.Context, handle string, content []byte, stamp Stamp) ([]byte, error) {
			time.Sleep(3 * stall)
			if ctx.Err() != nil {
				t.Error("a long answer was given up")
			}
			return answers(ctx, handle, content, stamp)
		}
		calls.Timeout = time.Hour
		for range 2 {
			if _, err := calls.Call(t.Context(), []byte("<list/>")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * stall) // longer than any deadline: the connection is kept all the same
		}
	})
}

// TestReplyNotTaken: a peer that does not read its reply is given up.
func TestReplyNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestDoor(t)
		l, _ := serve(t, h.mux())
		c := must(l.dial(t.Context(), "", ""))
		message := signedNow(theirs(), "<list/>")
		r := must(http.NewRequest(http.MethodPost, "http://localhost/rfc6492/theirs", bytes.NewReader(message)))
		if err := r.Write(c); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * stall)
		h.wantNothingHeld()
		_ = c.Close()
	})
}
