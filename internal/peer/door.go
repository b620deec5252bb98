package peer

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/handles"
	"cadastre/internal/shares"
)

// Door is the http.Handler that answers the messages of registered peers. Mount puts it into a mux. Its fields are set
// before the first call and not changed after; it is safe for concurrent use. The server in front of it keeps clients to a
// pace (front.Paced).
//
// A call goes through these checks, the cheap ones first: method, length, handle, rate, body, signature, turn, replay, share.
// What fails before Answer gets an HTTP status of 400 or more and one sentence, but for an authentic message that comes
// while another of its handle is answered (Serial): that gets what Busy says. A message that comes to Answer gets a signed reply wherever Answer has one.
type Door struct {
	ContentType string // "application/rpki-updown" (RFC 6492, section 3) or "application/rpki-publication" (RFC 8181, section 2)
	MaxBody     int64  // octets of a message; one that says that it is longer is refused unread

	// Find gives the registered peer of a handle. It is asked for calls of strangers too, and so should be cheap.
	Find func(handle string) (*Caller, bool)
	// Answer gives the XML of the reply, which the caller's Self signs. It has to note the stamp in the caller's Heard in the same
	// transaction as all else that the message changes, and to give ErrAgain, and do nothing, where it is there already and the
	// message would change something. Another error without a reply becomes an HTTP status by its kind.
	Answer func(ctx context.Context, handle string, content []byte, stamp Stamp) (reply []byte, err error)

	// Keep is given an authentic message and its reply, which the caller's Self has signed, before that is sent. Where it fails the
	// reply is not sent. It may be nil.
	Keep func(caller *Caller, message *envelope.Message, reply, signed []byte) error

	// Serial answers one message of a handle at a time (RFC 6492, section 3). Another one that comes meanwhile, and is
	// authentic, gets what Busy says, or HTTP 429 where Busy is nil.
	Serial bool
	Busy   func(handle string, content []byte) []byte

	Refused func(handle, why string) // for metrics; handle is "" where it is not registered, or was not looked at yet; why is one of Reasons; may be nil
	Trace   *Tracer                  // nil: none
	Log     *slog.Logger             // nil: slog.Default

	Rate      shares.Rate    // of messages to each handle from one network; zero: 20 a second, 100 at once
	Strangers shares.Rate    // of messages to handles that are not registered, all together; zero: 100 a second, 500 at once
	Checks    shares.Rate    // of signatures that are checked for networks from which nothing authentic has come; zero: 500 a second, 1000 at once
	Memory    *shares.Pool   // for messages that are read, shared among doors; nil: eight times MaxBody for this one
	Shares    *shares.Ledger // what peers have used up; nil: no limits
	Kind      shares.Kind    // what peers of this door are in Shares

	limits limits
}

// Reasons are the words that Refused is called with.
var Reasons = []string{"method", "length", "handle", "rate", "body", "busy", "message", "share", "signature", "replay", "answer"}

// callsAtOnce is how many calls at each handle from one network may be under way at one time.
const callsAtOnce = 4

// Mount serves the door at base + handle, with or without a slash after it. The base ends in a slash.
func (d *Door) Mount(mux *http.ServeMux, base string) {
	mux.Handle(base+"{handle}", d)
	mux.Handle(base+"{handle}/{$}", d)
}

// ServeHTTP answers one call. The handle is the path value of that name, as Mount has it.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		d.refuse(w, "", "method", http.StatusMethodNotAllowed, "messages are sent with POST")
		return
	}
	if r.ContentLength > d.MaxBody {
		d.tooLong(w, "")
		return
	}
	handle := r.PathValue("handle")
	caller, known := (*Caller)(nil), false
	if handles.IsWirePart(handle) {
		caller, known = d.Find(handle)
	}
	now := time.Now()
	if !known {
		d.refuseStranger(w, now)
		return
	}
	owner := d.owner(r, handle)
	leave, refused := d.enter(owner, now)
	if refused != "" {
		d.tooMany(w, handle, refused)
		return
	}
	defer leave()
	body, ok := d.read(w, r, owner)
	if !ok {
		return
	}
	defer body.release()
	if !owner.Known && !d.limits.checks.Take(orRate(d.Checks, usualChecks), time.Now()) {
		d.tooMany(w, handle, "rate")
		return
	}
	var message *envelope.Message
	var err error
	took := shares.Measure(func() { message, err = caller.Trust.Open(body.octets, time.Now()) })
	if err != nil {
		why := "message"
		if fault.KindOf(err) == fault.Secret {
			why = "signature"
		}
		d.refuse(w, handle, why, fault.KindOf(err).HTTP(), err.Error())
		return
	}
	if d.Serial && !d.limits.begin(handle) {
		d.busy(w, caller, message)
		return
	}
	if d.Serial {
		defer d.limits.end(handle)
	}
	d.answer(w, r, owner, message, took)
}

// answer has an authentic message answered, unless it is a replay. The caller is looked up anew: while this message was
// read, and waited, others may have been answered. What it costs is the peer's from here on: who only repeats what the peer
// has said uses up nothing of its shares.
func (d *Door) answer(w http.ResponseWriter, r *http.Request, owner shares.Owner, message *envelope.Message, took time.Duration) {
	handle := owner.Handle
	caller, known := d.Find(handle)
	if !known {
		d.refuseStranger(w, time.Now())
		return
	}
	stamp := StampOf(message)
	if err := caller.Check(stamp, time.Now(), handle); err != nil {
		d.refuse(w, handle, "replay", fault.KindOf(err).HTTP(), err.Error())
		return
	}
	switch again := caller.Again(stamp); {
	case again && !d.repeats(handle):
		d.tooMany(w, handle, "replay")
		return
	case !again:
		if err := d.spend(handle, took); err != nil {
			w.Header().Set("Retry-After", "60")
			d.refuse(w, handle, "share", http.StatusTooManyRequests, err.Error())
			return
		}
		d.proven(owner)
	}
	d.Trace.write(in, d.ContentType, handle, message.Content)
	reply, err := d.Answer(r.Context(), handle, message.Content, stamp)
	if errors.Is(err, ErrAgain) {
		if signed := d.limits.replies.find(handle, stamp.Digest); signed != nil {
			d.write(w, signed)
			return
		}
		d.refuse(w, handle, "replay", fault.KindOf(err).HTTP(), err.Error())
		return
	}
	if err != nil && reply == nil {
		kind := fault.KindOf(err)
		text := err.Error()
		if kind.HTTP() >= http.StatusInternalServerError {
			// peers do not get the text of our own errors
			d.log().Error("couldn't answer a message", "peer", handle, "protocol", protocol(d.ContentType), "error", err)
			text = "this message could not be answered now; try again later"
		}
		d.refuse(w, handle, "answer", kind.HTTP(), text)
		return
	}
	d.send(w, caller, message, reply)
}

// spend counts an authentic message, and the time that it took to open it.
func (d *Door) spend(handle string, took time.Duration) error {
	who := shares.Principal{Kind: d.Kind, Name: handle}
	d.Shares.Charge(who, shares.CPU, took.Seconds())
	if err := d.Shares.Owing(who, shares.CPU); err != nil {
		return err
	}
	return d.Shares.Spend(who, shares.Requests, 1)
}

// busy tells an authentic caller that its last message is still being answered.
func (d *Door) busy(w http.ResponseWriter, caller *Caller, message *envelope.Message) {
	handle := caller.Handle
	if d.Busy == nil {
		d.tooMany(w, handle, "busy")
		return
	}
	if d.Refused != nil {
		d.Refused(handle, "busy")
	}
	d.Trace.write(in, d.ContentType, handle, message.Content)
	d.send(w, caller, message, d.Busy(handle, message.Content))
}

// send signs a reply and sends it.
func (d *Door) send(w http.ResponseWriter, caller *Caller, message *envelope.Message, reply []byte) {
	handle := caller.Handle
	before, after, err := caller.Self.SignAround(reply, time.Now())
	if err == nil && d.Keep != nil {
		err = d.Keep(caller, message, reply, slices.Concat(before, reply, after))
	}
	if size := len(before) + len(reply) + len(after); err == nil && size <= keptOne {
		d.limits.replies.keep(handle, StampOf(message).Digest, slices.Concat(before, reply, after))
	}
	if err != nil {
		d.log().Error("couldn't sign or keep a reply", "peer", handle, "protocol", protocol(d.ContentType), "error", err)
		d.refuse(w, handle, "answer", http.StatusInternalServerError, "the reply could not be made; try again later")
		return
	}
	d.Trace.write(out, d.ContentType, handle, reply)
	d.write(w, before, reply, after)
}

// write sends the parts of a signed reply.
func (d *Door) write(w http.ResponseWriter, parts ...[]byte) {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	h := w.Header()
	h.Set("Content-Type", d.ContentType)
	h.Set("Content-Length", strconv.Itoa(size))
	h.Set("Cache-Control", "no-store")
	for _, part := range parts {
		if _, err := w.Write(part); err != nil {
			return
		}
	}
	_ = http.NewResponseController(w).Flush() // tests' writers cannot
}

func (d *Door) log() *slog.Logger {
	if d.Log != nil {
		return d.Log
	}
	return slog.Default()
}
