// Package peer carries the signed messages of RFC 6492 and RFC 8181 over HTTP: a Door answers those of peers, a Client
// sends ours. It knows nothing of what the messages say.
//
// A stranger is turned away as cheaply as can be. A Door looks at method, length and handle before it reads anything,
// reads with a deadline and within limits, and lets nothing through to Answer that the registered identity did not sign
// (package envelope), that was signed before the last message that it sent, or that came before (Heard). It keeps no state of callers that are not
// registered. What TLS says of anyone is not used: the messages authenticate themselves.
package peer

import "cadastre/internal/envelope"

// Caller is a registered peer as a Door needs it.
type Caller struct {
	Handle string
	Self   *envelope.Signer // as whom it knows us
	Trust  *envelope.Trust
	Heard  // what was heard of it: messages that were answered
}
