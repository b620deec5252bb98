package peer

import (
	"sync"
	"time"
)

// Replies that are kept for messages that come again.
const (
	keptFor  = 10 * time.Minute
	keptOne  = 64 << 10 // octets of one reply; longer ones are not kept
	keptMost = 8 << 20  // of all
)

// replies is the signed reply to the newest message of each peer. A peer that did not get its reply, and sends the same message
// again, gets it, and nothing is done twice. They are not kept over a restart: then it is told to sign anew.
type replies struct {
	mu    sync.Mutex
	of    map[string]kept // by handle
	bytes int
}

type kept struct {
	digest Digest
	signed []byte
	at     time.Time
}

// keep keeps a reply in place of the one before.
func (r *replies) keep(handle string, digest Digest, signed []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(handle)
	if len(signed) > keptOne {
		return
	}
	if r.of == nil {
		r.of = map[string]kept{}
	}
	now := time.Now()
	if r.bytes+len(signed) > keptMost {
		for other, one := range r.of {
			if now.Sub(one.at) > keptFor {
				r.drop(other)
			}
		}
	}
	for other := range r.of {
		if r.bytes+len(signed) <= keptMost {
			break
		}
		r.drop(other)
	}
	r.of[handle] = kept{digest, signed, now}
	r.bytes += len(signed)
}

// drop forgets a reply. mu is held.
func (r *replies) drop(handle string) {
	r.bytes -= len(r.of[handle].signed)
	delete(r.of, handle)
}

// find is the reply to a message that came before; nil where it is not kept.
func (r *replies) find(handle string, digest Digest) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if one, ok := r.of[handle]; ok && one.digest == digest && time.Since(one.at) <= keptFor {
		return one.signed
	}
	return nil
}
