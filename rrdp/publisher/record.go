package publisher

import (
	"encoding/json"
	"strings"
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/peer"
	"cadastre/internal/store"
)

// The buckets of the publishers: handle -> JSON. What each message changes is apart from what an operator registers, so
// that a message does not write its sender's certificate again.
var (
	recordBucket = store.Declare("publisher", "rrdp/publisher", store.Deposited)
	stateBucket  = store.Declare("publisher-state", "rrdp/publisher", store.Withheld("counts of objects that publishers publish anew, at the successor's"))
)

// record is what was registered.
type record struct {
	Handle      string    `json:"handle"`
	Registry    string    `json:"registry"`     // whose repository holds its objects
	Base        string    `json:"base"`         // sia_base of RFC 8183, with a slash at its end
	TrustAnchor []byte    `json:"trust_anchor"` // publisher_bpki_ta of RFC 8183, DER
	Added       time.Time `json:"added"`
	Limits      Limits    `json:"limits,omitzero"` // its own
}

// state is what messages have made of it.
type state struct {
	peer.Heard              // of its messages that were taken
	LastPublished time.Time `json:"last_published,omitzero"` // when a query last changed something
	Objects       int       `json:"objects"`
	Bytes         int64     `json:"bytes"`             // what they take in an uncompressed snapshot
	Earlier       []earlier `json:"earlier,omitempty"` // what was replaced or withdrawn and is kept for readers, by time
}

func put(w store.Writer, bucket store.Bucket, handle string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return w.Put(bucket, []byte(handle), text)
}

// load reads all publishers, without their objects.
func (s *Server) load(r store.Reader) error {
	for record, err := range r.Scan(recordBucket, nil) {
		if err != nil {
			return err
		}
		p, handle := newPublisher(), record.Key
		state, err := r.Get(stateBucket, handle)
		if err != nil {
			return err
		}
		err = json.Unmarshal(record.Value, &p.record)
		if err == nil {
			p.trust, err = envelope.ParseTrust(p.TrustAnchor)
		}
		if err == nil && state != nil {
			err = json.Unmarshal(state, &p.state)
		}
		if err != nil {
			return fault.New(fault.Corrupt, "the record of the publisher %q is damaged (%w): restore the store from a backup", handle, err)
		}
		if s.repositories[p.Registry] == nil {
			return fault.New(fault.Corrupt, "the publisher %q publishes in the repository of %q, which is not there: restore the store from a backup", handle, p.Registry)
		}
		s.publishers[p.Handle] = p
	}
	return nil
}

// Rebase moves the places of all publishers, as they are registered, from below one rsync URI to below another. What they
// published is not moved: they publish it anew.
func Rebase(w store.Writer, from, to string) error {
	var moved []record
	for in, err := range w.Scan(recordBucket, nil) {
		if err != nil {
			return err
		}
		var r record
		if err := json.Unmarshal(in.Value, &r); err != nil {
			return fault.New(fault.Corrupt, "the record of the publisher %q is damaged (%w)", in.Key, err)
		}
		if rest, below := strings.CutPrefix(r.Base, from); below && from != to {
			r.Base = to + rest
			moved = append(moved, r)
		}
	}
	for _, r := range moved {
		if err := put(w, recordBucket, r.Handle, r); err != nil {
			return err
		}
	}
	return nil
}
