package peer

import (
	"net/http"
	"strconv"
	"time"
)

// refuse answers without a signature: nobody knows who asks, or it does not matter.
func (d *Door) refuse(w http.ResponseWriter, handle, why string, status int, text string) {
	if d.Refused != nil {
		d.Refused(handle, why)
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // whoever is gone needs no answer
}

// refuseStranger answers a call to a handle that is not registered. Its connection is kept: who goes on would make a new one,
// and the handshake costs several times what the refusal does.
func (d *Door) refuseStranger(w http.ResponseWriter, now time.Time) {
	if !d.limits.unknown.Take(orRate(d.Strangers, usualStrangers), now) {
		d.refuse(w, "", "rate", http.StatusTooManyRequests, "too many messages for handles that are not registered here")
		return
	}
	d.refuse(w, "", "handle", http.StatusNotFound, "no peer of this handle is registered here")
}

func (d *Door) tooLong(w http.ResponseWriter, handle string) {
	w.Header().Set("Connection", "close") // what comes is not read
	d.refuse(w, handle, "length", http.StatusRequestEntityTooLarge, "messages are of at most "+strconv.FormatInt(d.MaxBody, 10)+" octets")
}

func (d *Door) tooMany(w http.ResponseWriter, handle, why string) {
	w.Header().Set("Retry-After", "1")
	d.refuse(w, handle, why, http.StatusTooManyRequests, "too many messages at once; send the next when the last is answered")
}
