// Package peer carries the signed messages of RFC 6492 and RFC 8181 over HTTP: a Door answers those of peers, a Client
// sends ours. It knows nothing of what the messages say.
//
// A stranger is turned away as cheaply as can be. A Door looks at method, length and handle before it reads anything,
// reads with a deadline and within limits, and lets nothing through to Answer that the registered identity did not sign
// (package envelope) or that was signed before the last message that it sent. It keeps no state of callers that are not
// registered. What TLS says of anyone is not used: the messages authenticate themselves.
package peer

import (
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/fault"
)

// Caller is a registered peer as a Door needs it.
type Caller struct {
	Handle     string
	Self       *envelope.Signer // as whom it knows us
	Trust      *envelope.Trust
	LastSigned time.Time // signing time of the last message that was answered; zero where there was none, or it was reset
}

// replayed checks the rule of RFC 6492, section 3.1.2, item 5: no message may be signed before one that came earlier.
// Times are of whole seconds, and peers send several messages in one, so that equal is allowed.
//
// A time that has not come yet is refused too, although the RFC does not say so: it would be remembered, and the peer
// could not be heard again until then.
func replayed(signed, last, now time.Time, who string) error {
	const layout = time.RFC3339
	if signed.Before(last) {
		return fault.New(fault.Secret, "the message of %s was signed at %s, before one of %s that came earlier; if its clock was put back, reset the replay protection",
			who, signed.UTC().Format(layout), last.UTC().Format(layout))
	}
	if signed.After(now.Add(envelope.ClockTolerance)) {
		return fault.New(fault.Secret, "the message of %s was signed at %s, and it is %s here; look at both clocks",
			who, signed.UTC().Format(layout), now.UTC().Format(layout))
	}
	return nil
}
