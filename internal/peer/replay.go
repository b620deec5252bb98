package peer

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/fault"
)

// Digest tells messages apart: the start of a SHA-256 of their signature. Whatever others change around what is
// signed, the digest stays: only the signer can say the same with another one.
type Digest [16]byte

// MarshalText and UnmarshalText write and read hexadecimal digits.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(text []byte) error {
	n, err := hex.Decode(d[:], text[:min(len(text), 2*len(d))])
	if err == nil && (n != len(d) || len(text) != 2*len(d)) {
		err = hex.ErrLength
	}
	return err
}

// Stamp is what tells one message of a peer from another: when it was signed, and its digest.
type Stamp struct {
	Signed time.Time // whole seconds
	Digest Digest
}

// StampOf is a message's stamp.
func StampOf(m *envelope.Message) Stamp {
	sum := sha256.Sum256(m.Signature)
	return Stamp{Signed: m.SigningTime, Digest: Digest(sum[:16])}
}

// Heard is what is kept of a peer's messages so that none is acted upon twice. It stands in the peer's record, and is written
// in the transaction that the message changes something in.
//
// RFC 6492, section 3.1.2, item 5 wants that no message is signed before one that came earlier. Times are of whole
// seconds, and peers send several messages in one; of those of the newest second, the digests are kept too.
type Heard struct {
	LastSigned time.Time `json:"last_signed,omitzero"` // signing time of the newest message; zero where there was none, or it was reset
	Seen       []Digest  `json:"seen,omitempty"`       // of the messages that were signed in that second
}

// maxSeen is how many messages of one second are taken.
const maxSeen = 256

// ErrAgain is the error of a message that came before, and would change something.
var ErrAgain = fault.New(fault.Secret, "this message was taken already, and nothing is done twice for one message: sign it anew")

// Again tells whether this message came before, in the newest second.
func (h Heard) Again(s Stamp) bool {
	return s.Signed.Equal(h.LastSigned) && slices.Contains(h.Seen, s.Digest)
}

// Check is an error of kind fault.Secret where a message must not be taken because of when it was signed, and of kind fault.Busy
// where too many were signed in that second.
//
// A time that has not come yet is refused too, although the RFC does not say so: it would be remembered, and the peer
// could not be heard again until then.
func (h Heard) Check(s Stamp, now time.Time, who string) error {
	const layout = time.RFC3339
	switch {
	case s.Signed.Before(h.LastSigned):
		return fault.New(fault.Secret, "the message of %s was signed at %s, before one of %s that came earlier; if its clock was put back, reset the replay protection",
			who, s.Signed.UTC().Format(layout), h.LastSigned.UTC().Format(layout))
	case s.Signed.After(now.Add(envelope.ClockTolerance)):
		return fault.New(fault.Secret, "the message of %s was signed at %s, and it is %s here; look at both clocks",
			who, s.Signed.UTC().Format(layout), now.UTC().Format(layout))
	case s.Signed.Equal(h.LastSigned) && len(h.Seen) >= maxSeen && !h.Again(s):
		return fault.New(fault.Busy, "%s has signed more than %d messages in one second; send the next later", who, maxSeen)
	}
	return nil
}

// With is what is kept when this message has come, too.
func (h Heard) With(s Stamp) Heard {
	switch {
	case s.Signed.Before(h.LastSigned), h.Again(s):
		return h
	case s.Signed.After(h.LastSigned):
		return Heard{LastSigned: s.Signed.UTC(), Seen: []Digest{s.Digest}}
	case len(h.Seen) < maxSeen:
		h.Seen = append(slices.Clip(h.Seen), s.Digest)
	}
	return h
}

// checkReply is Check for the reply to a call that was begun at a time. It has to be new: nothing that was signed long before the
// call is taken, and nothing that came before, unless it was signed since the call, as the same answer to the same question.
func (h Heard) checkReply(s Stamp, begun, now time.Time, who string) error {
	const layout = time.RFC3339
	if err := h.Check(s, now, who); err != nil && fault.KindOf(err) != fault.Busy {
		return err
	}
	switch {
	case s.Signed.Before(begun.Add(-envelope.ClockTolerance)):
		return fault.New(fault.Secret, "the reply of %s was signed at %s, long before it was asked at %s; look at both clocks",
			who, s.Signed.UTC().Format(layout), begun.UTC().Format(layout))
	case h.Again(s) && s.Signed.Before(begun.Truncate(time.Second)):
		return fault.New(fault.Secret, "the reply of %s, signed at %s, has come before, to another call; it is not taken for an answer to this one",
			who, s.Signed.UTC().Format(layout))
	}
	return nil
}
