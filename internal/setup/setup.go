// Package setup reads and writes the messages of the out-of-band setup protocol (RFC 8183), by which two parties tell
// each other once who they are and where they are reached: a child and its parent before they speak RFC 6492, a
// publisher and its repository before they speak RFC 8181. People carry them, by mail or by a portal.
//
// What is in a message is as trustworthy as the way it came; here it is only read, strictly by the schema of RFC 8183,
// Appendix A, but for the tolerances that are named where they are. The trust anchors are bytes here: whether they
// are certificates is for others to see.
package setup

const (
	namespace = "http://www.hactrn.net/uris/rpki/rpki-setup/"
	version   = "1"
)

// ChildRequest is how a child introduces itself to a parent (section 5.2.1).
type ChildRequest struct {
	ChildHandle string // what the child calls itself
	Tag         string // what the child calls this exchange; may be empty
	TrustAnchor []byte // the certificate of its identity, DER
}

// ParentResponse is the parent's answer to a ChildRequest (section 5.2.2).
type ParentResponse struct {
	ServiceURI   string // where the child sends its messages, http or https
	ChildHandle  string // what the parent calls the child, which is sender and recipient in their messages
	ParentHandle string
	Tag          string     // that of the request
	TrustAnchor  []byte     // the certificate of the parent's identity, DER
	Offer        bool       // whether the parent would publish for the child, too
	Referrals    []Referral // to repositories that would publish for the child
}

// PublisherRequest is how a publisher introduces itself to a repository (section 5.2.3).
type PublisherRequest struct {
	PublisherHandle string // what the publisher calls itself
	Tag             string // what the publisher calls this exchange; may be empty
	TrustAnchor     []byte // the certificate of its identity, DER
	Referrals       []Referral
}

// RepositoryResponse is the repository's answer to a PublisherRequest (section 5.2.4).
type RepositoryResponse struct {
	ServiceURI          string // where the publisher sends its queries, http or https
	PublisherHandle     string // what the repository calls the publisher
	SIABase             string // the rsync URI that those of all its objects begin with, with a slash at its end
	RRDPNotificationURI string // https; "" if the repository has no RRDP
	Tag                 string // that of the request
	TrustAnchor         []byte // the certificate of the repository's identity, DER
}

// Referral is what a parent gives to a child so that a repository knows for whom the child comes.
type Referral struct {
	Referrer   string // handle
	ContactURI string // for people; may be empty, and always is in a PublisherRequest
	Token      []byte // an authorization that the referrer signed, CMS in DER
}
