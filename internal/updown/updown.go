// Package updown reads and writes the messages of the provisioning protocol (RFC 6492), by which a certification
// authority, the client, asks the one above it for its certificates. Up-down is what its authors called it.
//
// Nothing that is read here is trusted: that a message is its sender's is what the CMS around it proves. Messages are
// read strictly by the schema of RFC 6492, section 3.7, but for the tolerances that are named where they are. Beyond
// the schema they have to fit the text of the RFC: an rsync URI among the URLs, times that say their zone, SHA-1 key
// identifiers, one certificate in an issue_response. Names, certificates and requests must not be empty, and a class must not
// be listed twice. Certificates and requests are bytes here: what is in them is for others to read.
package updown

import (
	"fmt"
	"time"

	"cadastre/internal/inr"
)

const (
	namespace = "http://www.apnic.net/specs/rescerts/up-down/"
	version   = "1"

	// ContentType is the media type of the messages in HTTP (RFC 6492, section 3).
	ContentType = "application/rpki-updown"
)

// Bounds of what a message may have, from the schema; lengths of text are in bytes.
const (
	maxName        = 1024 // sender, recipient, class_name, ski, suggested_sia_head
	maxURL         = 4096
	maxResourceSet = 512_000
	maxBinary      = 512_000 // a certificate or a request
	maxDescription = 1024
	maxStatus      = 999_999_999_999_999
	skiSize        = 20 // SHA-1, not base64
)

// Message is one message in either direction. Which of the two is the client follows from the type of Body.
type Message struct {
	Sender, Recipient string
	Body              Body
}

// Body is what a message is about: *List, *Issue or *Revoke from a client, *ListResponse, *IssueResponse,
// *RevokeResponse or *Error from a server.
type Body interface {
	messageType() string // the attribute type of the message
}

// List asks what the client is entitled to (section 3.3.1).
type List struct{}

// ListResponse says what the client is entitled to and has (section 3.3.2).
type ListResponse struct{ Classes []Class }

// Class is one resource class: resources for which the server has one certificate itself.
type Class struct {
	Name             string
	CertURLs         []string  // where the server's certificate is published; at least one is an rsync URI
	Resources        inr.Set   // what the client is entitled to
	NotAfter         time.Time // until when, as far as the server knows; in whole seconds
	SuggestedSIAHead string    // where the client could publish; "" if the server does not say
	Certificates     []Issued  // what the client has, a certificate for each of its keys
	Issuer           []byte    // the server's certificate, DER
}

// Issued is a certificate that the client has.
type Issued struct {
	URLs        []string // where it is published
	Limit       Limit    // what the client asked for when it was issued
	Certificate []byte   // DER
}

// Limit is what of the resources a certificate is to have, for each kind: nil is all, an empty set is none.
type Limit struct{ AS, IPv4, IPv6 *inr.Set }

// Issue asks for a certificate (section 3.4.1). One that the key has already is replaced.
type Issue struct {
	Class   string
	Limit   Limit
	Request []byte // PKCS#10, DER
}

// IssueResponse is the class with the one certificate that was asked for (section 3.4.2).
type IssueResponse struct{ Class Class }

// Revoke asks to revoke all certificates of a key in a class (section 3.5.1).
type Revoke struct {
	Class string
	SKI   []byte // SHA-1 of the key, 20 bytes
}

// RevokeResponse says that they are revoked (section 3.5.2).
type RevokeResponse struct {
	Class string
	SKI   []byte // SHA-1 of the key, 20 bytes
}

// Error says that and why a request was not performed (section 3.6). It is an error of Go, too.
type Error struct {
	Status      int
	Description string // for people; may be empty
}

// The codes of section 3.6. With StatusAlreadyProcessing and StatusScheduled the client asks again later.
const (
	StatusAlreadyProcessing = 1101 // another request of the client is being processed
	StatusVersion           = 1102 // the version of the protocol is not known
	StatusUnrecognizedType  = 1103 // the type of the request is not known
	StatusScheduled         = 1104 // the request will be processed later
	StatusIssueNoClass      = 1201 // issue: there is no such class
	StatusIssueNoResources  = 1202 // issue: there are no resources in the class
	StatusIssueBadRequest   = 1203 // issue: the PKCS#10 request is badly formed
	StatusIssueKeyUsed      = 1204 // issue: the key is used already, in another class or by another client
	StatusRevokeNoClass     = 1301 // revoke: there is no such class
	StatusRevokeNoKey       = 1302 // revoke: there is no such key
	StatusInternal          = 2001 // the server failed
)

var meanings = map[int]string{
	StatusAlreadyProcessing: "already processing a request of this client",
	StatusVersion:           "version number error",
	StatusUnrecognizedType:  "unrecognized request type",
	StatusScheduled:         "request scheduled for processing",
	StatusIssueNoClass:      "no such resource class",
	StatusIssueNoResources:  "no resources allocated in resource class",
	StatusIssueBadRequest:   "badly formed certificate request",
	StatusIssueKeyUsed:      "already used key in request",
	StatusRevokeNoClass:     "no such resource class to revoke in",
	StatusRevokeNoKey:       "no such key to revoke",
	StatusInternal:          "internal server error",
}

// Meaning is a short name of a status, "" of one that RFC 6492 does not have.
func Meaning(status int) string { return meanings[status] }

// Error is the status, its meaning and the description.
func (e *Error) Error() string {
	text := fmt.Sprintf("RFC 6492 status %d", e.Status)
	if meaning := Meaning(e.Status); meaning != "" {
		text += ", " + meaning
	}
	if e.Description != "" {
		text += ": " + e.Description
	}
	return text
}

func (*List) messageType() string           { return "list" }
func (*ListResponse) messageType() string   { return "list_response" }
func (*Issue) messageType() string          { return "issue" }
func (*IssueResponse) messageType() string  { return "issue_response" }
func (*Revoke) messageType() string         { return "revoke" }
func (*RevokeResponse) messageType() string { return "revoke_response" }
func (*Error) messageType() string          { return "error_response" }
