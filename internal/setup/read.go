package setup

import (
	"cadastre/internal/fault"
	"cadastre/internal/handles"
	"cadastre/internal/wirexml"
)

// Bounds of what a message may have, from the schema; lengths of text are in bytes.
const (
	maxHandle = handles.LongestWire
	maxTag    = 1024
	maxURI    = 4096
	maxBinary = 512_000
	// maxReferrals and maxMessage are ours.
	maxReferrals = 100
	maxMessage   = 8 << 20
)

var limits = wirexml.Limits{Tag: 4*maxURI + 16*maxHandle + maxTag, Text: 2 * maxBinary}

// kinds are the messages by the names of their root elements, with what a person calls them.
var kinds = map[string]struct {
	called string
	read   func(*wirexml.Reader, *wirexml.Element) (any, error)
}{
	"child_request":       {"a child's request, which a parent needs", readChildRequest},
	"parent_response":     {"a parent's response, which a child needs", readParentResponse},
	"publisher_request":   {"a publisher's request, which a repository needs", readPublisherRequest},
	"repository_response": {"a repository's response, which a publisher needs", readRepositoryResponse},
}

// ParseChildRequest reads a child_request; where message is another, the error says which. It fails with BadInput.
func ParseChildRequest(message []byte) (*ChildRequest, error) {
	return as[ChildRequest](parse(message, "child_request"))
}

// ParseParentResponse reads a parent_response as ParseChildRequest reads a child_request.
func ParseParentResponse(message []byte) (*ParentResponse, error) {
	return as[ParentResponse](parse(message, "parent_response"))
}

// ParsePublisherRequest reads a publisher_request as ParseChildRequest reads a child_request.
func ParsePublisherRequest(message []byte) (*PublisherRequest, error) {
	return as[PublisherRequest](parse(message, "publisher_request"))
}

// ParseRepositoryResponse reads a repository_response as ParseChildRequest reads a child_request.
func ParseRepositoryResponse(message []byte) (*RepositoryResponse, error) {
	return as[RepositoryResponse](parse(message, "repository_response"))
}

func as[T any](message any, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	return message.(*T), nil
}

// parse reads one of the four messages, or only the one that is wanted.
func parse(message []byte, want string) (any, error) {
	what := "the setup message"
	if want != "" {
		what = "the " + want
	}
	if len(message) > maxMessage {
		return nil, fault.New(fault.BadInput, "%s has %d bytes, and none needs more than %d", what, len(message), maxMessage)
	}
	r := wirexml.NewReader(message, limits)
	m, err := read(r, want)
	if err == nil {
		err = r.Done()
	}
	if err != nil {
		return nil, fault.Wrap(err, "%s", what)
	}
	return m, nil
}

// read reads the root element.
//
// Tolerated: a name space without the slash at its end, which Krill before 0.10 wrote, and none at all.
func read(r *wirexml.Reader, want string) (any, error) {
	root, err := r.Root(namespace, namespace[:len(namespace)-1], "")
	if err != nil {
		return nil, err
	}
	kind, known := kinds[root.Name]
	switch {
	case root.Name == "error":
		reason, _ := root.Optional("reason", maxTag)
		return nil, root.Errorf("the other side answers with an error: %.80q", reason)
	case !known:
		return nil, r.Errorf("<%.40s> is none of the messages of RFC 8183: child_request, parent_response, publisher_request, repository_response", root.Name)
	case want != "" && want != root.Name:
		return nil, r.Errorf("this is a %s: %s", root.Name, kind.called)
	}
	if v := root.Token("version", maxTag); v != version {
		root.Fail("it is of version %.40q, and only version %s is known", v, version)
	}
	return kind.read(r, root)
}

// readChildRequest reads
//
//	element child_request {
//	  attribute version { version },
//	  attribute child_handle { handle },
//	  attribute tag { tag }?,
//	  element child_bpki_ta { bpki_ta }
//	}
func readChildRequest(r *wirexml.Reader, root *wirexml.Element) (any, error) {
	m := &ChildRequest{ChildHandle: readHandle(root, "child_handle"), Tag: root.OptionalToken("tag", maxTag)}
	var err error
	if m.TrustAnchor, err = readTrustAnchor(r, root, "child_bpki_ta"); err != nil {
		return nil, err
	}
	return m, r.End(root)
}

// readParentResponse reads
//
//	element parent_response {
//	  attribute version { version },
//	  attribute service_uri { uri },
//	  attribute child_handle { handle },
//	  attribute parent_handle { handle },
//	  attribute tag { tag }?,
//	  element parent_bpki_ta { bpki_ta },
//	  element offer { empty }?,
//	  element referral { … }*
//	}
//
// Tolerated: the attribute valid_until, which rpki.net wrote before there was an RFC. It is not looked at.
func readParentResponse(r *wirexml.Reader, root *wirexml.Element) (any, error) {
	m := &ParentResponse{
		ServiceURI:   serviceURI(root),
		ChildHandle:  readHandle(root, "child_handle"),
		ParentHandle: readHandle(root, "parent_handle"),
		Tag:          root.OptionalToken("tag", maxTag),
	}
	root.Optional("valid_until", maxTag)
	var err error
	if m.TrustAnchor, err = readTrustAnchor(r, root, "parent_bpki_ta"); err != nil {
		return nil, err
	}
	child, err := r.Child(root)
	if err == nil && child != nil && child.Name == "offer" {
		if err = child.Err(); err == nil {
			err = r.End(child)
		}
		m.Offer = true
		if err == nil {
			child, err = r.Child(root)
		}
	}
	if err != nil {
		return nil, err
	}
	m.Referrals, err = readReferrals(r, root, child, true)
	return m, err
}

// readPublisherRequest reads
//
//	element publisher_request {
//	  attribute version { version },
//	  attribute publisher_handle { handle },
//	  attribute tag { tag }?,
//	  element publisher_bpki_ta { bpki_ta },
//	  element referral { … }*
//	}
func readPublisherRequest(r *wirexml.Reader, root *wirexml.Element) (any, error) {
	m := &PublisherRequest{PublisherHandle: readHandle(root, "publisher_handle"), Tag: root.OptionalToken("tag", maxTag)}
	var err error
	if m.TrustAnchor, err = readTrustAnchor(r, root, "publisher_bpki_ta"); err != nil {
		return nil, err
	}
	child, err := r.Child(root)
	if err != nil {
		return nil, err
	}
	m.Referrals, err = readReferrals(r, root, child, false)
	return m, err
}

// readRepositoryResponse reads
//
//	element repository_response {
//	  attribute version { version },
//	  attribute service_uri { uri },
//	  attribute publisher_handle { handle },
//	  attribute sia_base { uri },
//	  attribute rrdp_notification_uri { uri }?,
//	  attribute tag { tag }?,
//	  element repository_bpki_ta { bpki_ta }
//	}
func readRepositoryResponse(r *wirexml.Reader, root *wirexml.Element) (any, error) {
	m := &RepositoryResponse{
		ServiceURI:          serviceURI(root),
		PublisherHandle:     readHandle(root, "publisher_handle"),
		SIABase:             readBase(root),
		RRDPNotificationURI: root.OptionalURI("rrdp_notification_uri", maxURI, "https://"),
		Tag:                 root.OptionalToken("tag", maxTag),
	}
	var err error
	if m.TrustAnchor, err = readTrustAnchor(r, root, "repository_bpki_ta"); err != nil {
		return nil, err
	}
	return m, r.End(root)
}
