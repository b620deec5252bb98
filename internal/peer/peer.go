// Package peer carries signed messages over HTTP: those of RFC 6492 and RFC 8181, and those between installations. A Door answers messages of
// peers, a Client sends ours. It does not look into the messages.
//
// A caller that is not registered costs as little as possible. A Door looks at method, length and handle before it reads anything, and reads
// within limits; the server in front of it sets deadlines (package front). It refuses a message that the registered identity did not sign
// (package envelope), or that was signed before the peer's last message. One that came before (Heard) changes nothing: the peer gets the
// reply that it got then, if that is kept, or a refusal; one that only asks is answered anew. A Door keeps no state of callers that are not
// registered, but for counts of a fixed size. TLS does not authenticate anybody here: the signatures of the messages do.
package peer

import "cadastre/internal/envelope"

// Caller is a registered peer as a Door needs it.
type Caller struct {
	Handle string
	Self   *envelope.Signer // as whom it knows us
	Trust  *envelope.Trust
	Heard  // what was heard of it: messages that were answered
}
