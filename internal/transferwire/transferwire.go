// Package transferwire reads and writes the messages in which two installations of Cadastre tell each other how a transfer
// of resources between them stands, and the introduction by which they get to know each other. The vocabulary is our own; the
// states are those of draft-nro-sidrops-ta-constraints. The schema is transfer.rnc.
//
// There are two messages, one for each side: the source's full report about one transfer, and the recipient's. Whoever calls
// sends its report, and the answer is that of the other side. A report says how things are and not what changed, so that one
// that is lost, repeated or late does no harm.
//
// Nothing that is read here is trusted: that a message is its sender's is what the CMS around it proves, and what it wants is
// for others to judge. It is read strictly, within the bounds below.
package transferwire

import (
	"fmt"
	"net/netip"
	"time"

	"cadastre/internal/handles"
	"cadastre/internal/inr"
	"cadastre/internal/payload"
)

const (
	namespace = "urn:cadastre:transfer"
	version   = "1"

	// ContentType is the media type of the messages in HTTP.
	ContentType = "application/cadastre-transfer"
	// MaxMessage is how many octets a message may have.
	MaxMessage = 4 << 20
	// MaxCertificates is how many certificates a source's report may name, and each leg of a recipient's.
	MaxCertificates = 64
)

// Bounds of what a message may have; lengths of text are in bytes.
const (
	maxHandle    = handles.Longest
	maxRef       = 64
	maxWord      = 32
	maxName      = 1024
	maxText      = 1024
	maxURI       = 4096
	maxResources = 512_000
	maxBinary    = 64 << 10 // an identity, an offer, a TAL
	maxLegs      = 2_000
	maxParts     = 20_000
	maxRoutes    = 20_000
	maxObjects   = 20_000
	maxSays      = 64 << 10 // an ASPA of 4,000 providers has 52,000
	maxKey       = 1 << 10  // a key, a signature; RSA with 4,096 bits has 550 octets
	maxDuration  = 3650 * 24 * time.Hour
)

// Message is a *Source or a *Recipient.
type Message interface {
	// Subject is the name that both sides have for the transfer.
	Subject() string
	XML() []byte
}

// The states of a transfer in messages.
const (
	Initiated = "initiated"
	Accepted  = "accepted"
	Finalised = "finalised"
	Cancelled = "cancelled"
	Unknown   = "unknown" // of a side that knows no such transfer
	Refused   = "refused" // of a recipient that will not take it
)

// Source is what the source says of a transfer.
type Source struct {
	Ref, State         string
	Kind               string // transfer, merger, takeover, move or handoff
	From, FromRegistry string // handles of the donor and its registry
	To, ToRegistry     string // handles of the recipient and its registry, at the recipient's side
	Under              string // the organisation that a recipient that is not there yet is to be below; may be empty
	Soak, Bridge       time.Duration
	Held               bool      // the source holds finalisation back
	Since              time.Time // when the donor had got the oldest of it; may be zero
	Original           inr.Set   // the donor's delegations that it was in; may be empty
	Reason             string    // why it is cancelled
	Disputed           string    // why the source parks it
	Legs               []Leg     // the donor's, then those of what it delegated on, each after the one above it
	Carried            []Route   // the ROAs of the source's side that go along, as of now
	Objects            []Object  // its other signed objects that go along
	Staged             []Route   // what the recipient is to have authorised besides
	Certificates       []Shown   // those of the donor and of those above it, while it is initiated
}

// Shown is a certificate that the source shows, and the proof that it is the source's own: a signature by the certificate's key
// over the source's identity (Statement). Without it the certificate proves nothing, since anybody may name one.
type Shown struct {
	URI       string // where it is published; rsync
	Key       []byte // SubjectPublicKeyInfo, in DER; nil without a proof
	Signature []byte // as in certificates of its algorithm (RFC 7935); nil without a proof
}

// Statement is what the key of a certificate signs, as the message and not its hash, for the installation whose identity has this
// subject key identifier. No signed object and no certificate begins like that, since those are DER.
func Statement(identity []byte) []byte {
	return fmt.Appendf(nil, "%s: the holder of this key is the installation %x", namespace, identity)
}

// Leg is what one organisation of the donor's side gives.
type Leg struct {
	Path    string // below the donor, such as "shop/branch"; empty for the donor itself
	Kind    string // lir or enduser
	Name    string
	Country string
	CA      []byte // the identity of its CA where that is not the source's (RFC 8183)
	Parts   []Part
}

// Part is a delegation that moves.
type Part struct {
	Resources inr.Set
	Status    string // allocated or assigned
	Until     time.Time
	Country   string
}

// Fits fails with BadInput, and says why, where the report would not be read: where it has more than a message may have.
func (s *Source) Fits() error {
	_, err := Parse(s.XML())
	return err
}

// Object is what a signed object of another kind than a ROA says.
type Object struct {
	Kind  payload.Kind // such as "aspa"
	Says  string       // the payload in the form of its kind: "AS64496 => AS64500, AS64501"
	Until time.Time    // when it ends by itself, in whole seconds; zero: never
}

// Route is what a ROA authorises.
type Route struct {
	Prefix    netip.Prefix
	MaxLength int
	Origin    uint32
	Until     time.Time // when it ends by itself, in whole seconds; zero: never
}

// Recipient is what the recipient's side says of a transfer.
type Recipient struct {
	Ref, State string
	Reason     string // why it is refused or cancelled
	Waits      string // what its side waits for
	Disputed   string // why it parks the transfer
	Wish       string // why it wants the transfer cancelled, which the source decides
	Legs       []Arrival
}

// Arrival is what one leg has come to.
type Arrival struct {
	Path         string   // as in the source's report
	Holder       string   // the recipient's handle
	Certificates []string // where the certificates of its authorities are published; rsync
	Offer        []byte   // the parent_response for its CA elsewhere (RFC 8183, section 5.2.2)
}

// Subject is the name of the transfer.
func (s *Source) Subject() string { return s.Ref }

// Subject is the name of the transfer.
func (r *Recipient) Subject() string { return r.Ref }
