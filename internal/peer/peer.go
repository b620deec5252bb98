// Package peer carries signed messages over HTTP: those of RFC 6492 and RFC 8181, and those between installations. A Door answers messages of
// peers, a Client sends ours. It does not look into the messages.
//
// A caller that is not registered costs as little as possible. A Door looks at method, length and handle before it reads anything, and reads with
// a deadline and within limits. It refuses a message that the registered identity did not sign (package envelope), that was signed before the
// peer's last message, or that came before (Heard). It keeps no state of callers that are not registered. TLS does not authenticate anybody here:
// the signatures of the messages do.
package peer

import "cadastre/internal/envelope"

// Caller is a registered peer as a Door needs it.
type Caller struct {
	Handle string
	Self   *envelope.Signer // as whom it knows us
	Trust  *envelope.Trust
	Heard  // what was heard of it: messages that were answered
}
