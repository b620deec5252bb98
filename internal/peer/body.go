package peer

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"
)

// body is a message that was read, and its share of what the door may hold.
type body struct {
	octets []byte
	door   *Door
	source io.Reader
	taken  int64
}

// errHeld is the error of a body for which there is no room beside the others.
var errHeld = errors.New("too many messages are in memory")

// read reads a message, no longer than its limit and no slower than its deadline, or answers why it could not.
func (d *Door) read(w http.ResponseWriter, r *http.Request, handle string) (*body, bool) {
	most := d.MaxBody
	if r.ContentLength >= 0 {
		most = r.ContentLength
	}
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(patience(most))) // tests' writers have none
	b := &body{door: d, source: http.MaxBytesReader(w, r.Body, d.MaxBody)}
	var buffer bytes.Buffer
	buffer.Grow(int(min(most, 64<<10)) + bytes.MinRead)
	_, err := buffer.ReadFrom(b)
	if err == nil {
		_ = connection.SetReadDeadline(time.Time{}) // else the connection, and with it the request, would end at that time
		b.octets = buffer.Bytes()
		return b, true
	}
	b.release()
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		d.tooLong(w, handle)
	case errors.Is(err, errHeld):
		w.Header().Set("Connection", "close")
		d.tooMany(w, handle, "busy")
	default:
		w.Header().Set("Connection", "close")
		d.refuse(w, handle, "body", http.StatusRequestTimeout, "the message did not come whole in time")
	}
	return nil, false
}

// Read takes room for what it reads. A body takes it as it comes, not as it is announced: announcing costs nothing.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.source.Read(p)
	most := b.door.MaxHeld
	if most == 0 {
		most = 8 * b.door.MaxBody
	}
	b.taken += int64(n)
	if b.door.limits.held.Add(int64(n)) > most {
		return n, errHeld
	}
	return n, err
}

// release gives the room back when the message is answered.
func (b *body) release() { b.door.limits.held.Add(-b.taken) }
