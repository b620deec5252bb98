package peer

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/shares"
)

// TestExchange sends messages through a real server, with a certificate that nobody vouches for and with none.
func TestExchange(t *testing.T) {
	h := newTestDoor(t)
	dir := t.TempDir()
	h.Trace = must(NewTracer(filepath.Join(dir, "ours")))
	for name, server := range map[string]*httptest.Server{"https": httptest.NewTLSServer(h.mux()), "http": httptest.NewServer(h.mux())} {
		for _, slash := range []string{"", "/"} {
			c := h.client(nil)
			c.URL = server.URL + "/rfc6492/theirs" + slash
			c.Trace = must(NewTracer(filepath.Join(dir, "theirs")))
			reply, err := c.Call(t.Context(), []byte("<list/>"))
			if err != nil || string(reply) != "reply to <list/>" {
				t.Errorf("%s%s: %q, %v", name, slash, reply, err)
			}
			if time.Since(c.LastSigned) > time.Minute {
				t.Errorf("the last reply was signed at %s", c.LastSigned)
			}
		}
		server.Close()
	}
	for side, wants := range map[string][]string{"ours": {"-in-updown-theirs.xml", "-out-updown-theirs.xml"}, "theirs": {"-out-updown-ours.xml", "-in-updown-ours.xml"}} {
		entries := must(os.ReadDir(filepath.Join(dir, side)))
		if side == "ours" && len(entries) != 8 {
			t.Fatalf("%s traced %d messages", side, len(entries))
		}
		for i, want := range wants {
			if !strings.HasSuffix(entries[i].Name(), want) {
				t.Errorf("message %d of %s is traced as %s, not …%s", i, side, entries[i].Name(), want)
			}
			content := string(must(os.ReadFile(filepath.Join(dir, side, entries[i].Name()))))
			if asked := strings.Contains(want, "-in-") == (side == "ours"); asked != (content == "<list/>") {
				t.Errorf("%s has %q", entries[i].Name(), content)
			}
		}
	}
}

func TestTraceNames(t *testing.T) {
	if got := fileName("../a/b é" + strings.Repeat("x", 200)); strings.ContainsAny(got, "./ é") || len(got) != 100 {
		t.Errorf("the name is %q", got)
	}
	if got := protocol("application/rpki-publication"); got != "publication" {
		t.Errorf("the protocol is %q", got)
	}
	var none *Tracer
	none.write(in, "", "", nil)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewTracer(filepath.Join(file, "below")); err == nil {
		t.Error("a directory below a file was made")
	}
}

// TestClientRefuses: what does not prove itself is not read.
func TestClientRefuses(t *testing.T) {
	answer := func(status int, header, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if header != "" {
				w.Header().Set("Location", header)
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, c := range map[string]struct {
		handler http.Handler
		kind    fault.Kind
		says    string
	}{
		"Krill's refusal":     {answer(400, "", `{"label":"rfc6492-unknown-child",`+"\n\x1b"+`"msg":"unknown child"}`), fault.Unreachable, `status 400: {"label":"rfc6492-unknown-child", "msg":"unknown child"}`},
		"nothing said":        {answer(503, "", ""), fault.Unreachable, "status 503: no reason given"},
		"no content":          {answer(204, "", ""), fault.Unreachable, "status 204"},
		"a redirect":          {answer(307, "http://elsewhere/", ""), fault.Unreachable, "points to http://elsewhere/"},
		"no message":          {answer(200, "", "<html>hello</html>"), fault.BadInput, "the reply of ours cannot be used"},
		"no octets":           {answer(200, "", ""), fault.BadInput, "the reply of ours cannot be used"},
		"too many octets":     {answer(200, "", strings.Repeat("x", 5001)), fault.BadInput, "more than 5000"},
		"octets announced":    {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "5001") }), fault.BadInput, "more than 5000"},
		"a stranger's":        {reply(stranger, 0), fault.Secret, "not issued by"},
		"our own message":     {reply(theirs, 0), fault.Secret, "not issued by"},
		"a replay":            {reply(ours, -time.Hour), fault.Secret, "came earlier"},
		"one of the future":   {reply(ours, time.Hour), fault.Secret, "look at both clocks"},
		"one that breaks off": {http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), fault.Unreachable, "cannot be reached"},
		"a body that ends too early": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("half"))
		}), fault.Unreachable, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, client := serve(t, c.handler)
				call := newTestDoor(t).client(client)
				last := time.Now().Add(-time.Minute).Truncate(time.Second)
				call.LastSigned, call.MaxReply = last, 5000
				_, err := call.Call(t.Context(), []byte("<list/>"))
				if fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
					t.Errorf("the error is of kind %s and says %q; it should be of %s and say %q", fault.KindOf(err), err, c.kind, c.says)
				}
				if call.LastSigned != last {
					t.Error("the time of a reply that was refused is remembered")
				}
			})
		})
	}
}

// TestSharesOfWhoIsAsked: a peer that we ask has a share of requests, of processor time and of the memory for messages, as one that
// asks us has.
func TestSharesOfWhoIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client := serve(t, newTestDoor(t).mux())
		who := shares.Principal{Kind: shares.Parent, Name: "ours"}
		c := newTestDoor(t).client(client)
		c.Who, c.Memory = who, shares.NewPool(1<<20)
		c.Shares = shares.NewLedger(shares.Budgets{shares.Parent: {shares.Requests: {PerSecond: 1, Burst: 2}, shares.CPU: {PerSecond: 0.01, Burst: 1}}})
		call := func() error {
			_, err := c.Call(t.Context(), []byte("<list/>"))
			time.Sleep(time.Millisecond)
			return err
		}
		if err := errors.Join(call(), call()); err != nil {
			t.Fatal(err)
		}
		if err := call(); fault.KindOf(err) != fault.Busy || !strings.Contains(err.Error(), "the parent ours has used up its share of requests") {
			t.Error("the third call in a second:", err)
		}
		time.Sleep(time.Minute)
		if err := call(); err != nil {
			t.Error("a minute later:", err)
		}
		c.Shares.Charge(who, shares.CPU, 2)
		if err := call(); fault.KindOf(err) != fault.Busy || !strings.Contains(err.Error(), "share of cpu") {
			t.Error("what its replies cost is not made up for:", err)
		}
		time.Sleep(time.Hour)
		if held := c.Memory.Stats(); held.Known+held.Strangers > 0 {
			t.Errorf("replies hold memory when they have been read: %+v", held)
		}
		c.Memory = shares.NewPool(1 << 10) // less than a reply needs
		if err := call(); fault.KindOf(err) != fault.Busy || !strings.Contains(err.Error(), "no room") {
			t.Error("a reply without memory:", err)
		}
	})
}

// reply answers with a message that was signed so much later than now.
func reply(by func() *someone, later time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(must(by().Sign([]byte("<list_response/>"), time.Now().Add(later))))
	}
}

// TestHung: a peer that takes a call and says nothing costs a call its time, no more.
func TestHung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}))
		c := newTestDoor(t).client(client)
		begun := time.Now()
		_, err := c.Call(t.Context(), []byte("<list/>"))
		if fault.KindOf(err) != fault.Unreachable || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "in time") {
			t.Errorf("the error is %v", err)
		}
		if waited := time.Since(begun); waited != callTimeout {
			t.Errorf("it waited %s", waited)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun = time.Now()
		if _, err := c.Call(ctx, []byte("<list/>")); fault.KindOf(err) != fault.Unreachable || time.Since(begun) != time.Second {
			t.Errorf("the caller's deadline: %v after %s", err, time.Since(begun))
		}
	})
}

func TestNoServiceURI(t *testing.T) {
	c := newTestDoor(t).client(nil)
	c.URL = "http://bad host/"
	if _, err := c.Call(t.Context(), []byte("<list/>")); fault.KindOf(err) != fault.BadInput {
		t.Errorf("the error is %v", err)
	}
	c.URL = "http://127.0.0.1:1/"
	if _, err := c.Call(t.Context(), []byte("<list/>")); fault.KindOf(err) != fault.Unreachable {
		t.Errorf("the error is %v", err)
	}
}

// TestReplyIsNew: a reply that was signed long before the call is not taken, nor one that came before, to another call.
func TestReplyIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reply []byte
		_, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = w.Write(reply)
		}))
		c := newTestDoor(t).client(client)
		call := func(wanted string) {
			t.Helper()
			_, err := c.Call(t.Context(), []byte("<list/>"))
			switch {
			case wanted == "" && err != nil:
				t.Error(err)
			case wanted != "" && (fault.KindOf(err) != fault.Secret || !strings.Contains(err.Error(), wanted)):
				t.Errorf("the error is %v", err)
			}
		}
		old := signedNow(ours(), "<list_response/>")
		reply = old
		time.Sleep(20 * time.Hour)
		call("long before it was asked")

		reply = signedNow(ours(), "<list_response/>")
		call("")
		call("") // within the second it is the same answer to the same question
		time.Sleep(2 * time.Second)
		call("has come before")
		reply = must(ours().Sign([]byte("<list_response/>"), time.Now().Add(-envelope.ClockTolerance)))
		call("before one of")
		reply = must(ours().Sign([]byte("<other/>"), c.LastSigned)) // its clock may be behind
		call("")
	})
}
