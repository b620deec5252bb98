// Package publication reads and writes the messages of the publication protocol (RFC 8181, version 4), in which a
// certification authority tells a publication server what to publish.
//
// Nothing that is read here is trusted: that a message is its sender's is what the CMS around it proves. A query is
// read strictly by the schema of RFC 8181, section 2.6, a reply with the few tolerances that are named where they
// are. Whether a URI is one that its sender may use is for the server to decide, and is not looked at.
package publication

import "slices"

const (
	namespace = "http://www.hactrn.net/uris/rpki/publication-spec/"
	version   = "4"

	// ContentType is the media type of the messages in HTTP (RFC 8181, section 2).
	ContentType = "application/rpki-publication"
)

// Bounds of what a message may have, in bytes. The RFC has all but the last.
const (
	maxTag       = 1024
	maxURI       = 4096
	maxErrorText = 512_000
	// maxObject is the largest object; rpki-client takes none that is larger.
	maxObject = 8_000_000
)

// Query is what a client asks for: the list of what it has published, or changes that are made all or not at all. One
// that does neither is a query that changes nothing.
type Query struct {
	List bool
	PDUs []PDU // in the order of the message; none if List
}

// PDU is one change: an object is published where none is, replaces another, or is withdrawn.
type PDU struct {
	Tag      string    // the client's name for the PDU, which a report of an error about it echoes
	URI      string    // rsync URI of the object
	Hash     *[32]byte // SHA-256 of the object that is there before; nil to publish where none is
	Object   []byte    // empty if Withdraw
	Withdraw bool
}

// Reply is one of three: success, a list, which may be empty, or errors.
type Reply struct {
	Success bool
	IsList  bool
	List    []Listed
	Errors  []ReportError
}

// Listed is an object that is published.
type Listed struct {
	URI  string
	Hash [32]byte // SHA-256
}

// ReportError is one reason why nothing of a query was done (RFC 8181, section 2.5).
type ReportError struct {
	Code   string
	Tag    string // that of Failed; "" also where the server did not say
	Text   string // for people; may be empty
	Failed *PDU   // nil where the server did not say, or where the query was for a list
}

// The error codes of RFC 8181, section 2.5.
const (
	XMLError             = "xml_error"               // the query is not of the schema
	PermissionFailure    = "permission_failure"      // the client may not publish at this URI
	BadCMSSignature      = "bad_cms_signature"       // the query is not the client's
	ObjectAlreadyPresent = "object_already_present"  // there is an object, and no hash was given
	NoObjectPresent      = "no_object_present"       // there is no object, and a hash was given
	NoObjectMatchingHash = "no_object_matching_hash" // there is an object of another hash
	ConsistencyProblem   = "consistency_problem"     // the objects would not fit together
	OtherError           = "other_error"             // anything else
)

var codes = []string{
	XMLError, PermissionFailure, BadCMSSignature, ObjectAlreadyPresent,
	NoObjectPresent, NoObjectMatchingHash, ConsistencyProblem, OtherError,
}

func known(code string) bool { return slices.Contains(codes, code) }
