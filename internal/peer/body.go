package peer

import (
	"errors"
	"io"
	"net/http"

	"cadastre/internal/front"
	"cadastre/internal/shares"
)

// body is a message that was read, and its share of the memory for messages.
type body struct {
	octets  []byte
	holding *shares.Holding
}

// firstRead is how much memory a body gets at first, however long it says that it is: saying so costs nothing.
const firstRead = 16 << 10

// read reads a message, or answers why it could not.
func (d *Door) read(w http.ResponseWriter, r *http.Request, owner shares.Owner) (*body, bool) {
	source := http.MaxBytesReader(w, r.Body, d.MaxBody)
	b := &body{holding: d.memory().Open(owner, func() { front.Abandon(r) })}
	err := b.fill(source, r.ContentLength)
	if err == nil {
		return b, true
	}
	displaced := b.holding.Whole() != nil
	b.release()
	w.Header().Set("Connection", "close") // the rest is not read
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		d.tooLong(w, owner.Handle)
	case displaced:
		d.tooMany(w, owner.Handle, "busy")
	default:
		d.refuse(w, owner.Handle, "body", http.StatusRequestTimeout, "the message did not come whole in time")
	}
	return nil, false
}

// fill reads to the end. It takes memory before it uses it, four times as much each time and at last as much as was announced.
func (b *body) fill(source io.Reader, announced int64) error {
	for {
		if room := int64(cap(b.octets)); int64(len(b.octets)) == room {
			next := max(firstRead, 4*room)
			if announced >= 0 && next > announced {
				next = max(announced+1, room+1) // one more, so that the end is seen
			}
			if err := b.holding.Grow(next); err != nil {
				return err
			}
			grown := make([]byte, len(b.octets), next)
			copy(grown, b.octets)
			b.octets = grown
			b.holding.Shrink(room)
		}
		n, err := source.Read(b.octets[len(b.octets):cap(b.octets)])
		b.octets = b.octets[:len(b.octets)+n]
		switch {
		case errors.Is(err, io.EOF):
			return b.holding.Whole()
		case err != nil:
			return err
		}
	}
}

// release gives the memory back when the message is answered, or is not wanted.
func (b *body) release() { b.holding.Close() }
