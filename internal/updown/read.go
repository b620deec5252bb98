package updown

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"cadastre/internal/fault"
	"cadastre/internal/wirexml"
)

// limits have room for the tag with the longest resource sets and URLs, and for white space around base64.
var limits = wirexml.Limits{Tag: 3*maxResourceSet + 4*maxURL + 8*maxName, Text: 2 * maxBinary}

// Parse reads a message. It fails with BadInput; what it returns shares nothing with message.
//
// Where the version or the type of the message is not known, the error has the *Error in it that is the answer to
// such a request, and the message comes back beside the error with its sender and recipient, and without a body.
func Parse(message []byte) (*Message, error) {
	m := new(Message)
	err := m.read(wirexml.NewReader(message, limits))
	if err == nil {
		return m, nil
	}
	from := ""
	if m.Sender != "" {
		from = " of " + m.Sender
	}
	err = fault.Wrap(err, "the provisioning message%.80s", from)
	if answer := new(Error); errors.As(err, &answer) {
		return &Message{Sender: m.Sender, Recipient: m.Recipient}, err
	}
	return nil, err
}

// read reads the root element and what it holds:
//
//	element message {
//	  attribute version { xsd:positiveInteger { maxInclusive="1" } },
//	  attribute sender { xsd:token { maxLength="1024" } },
//	  attribute recipient { xsd:token { maxLength="1024" } },
//	  attribute type { … }, …
//	}
func (m *Message) read(r *wirexml.Reader) error {
	root, err := r.Root(namespace)
	if err != nil {
		return err
	}
	if root.Name != "message" {
		return r.Errorf("its root element is <%.40s> and not <message>", root.Name)
	}
	v := root.Token("version", maxName)
	m.Sender, m.Recipient = name(root, "sender"), name(root, "recipient")
	kind := root.Token("type", maxName)
	if v != "" && v != version && m.Sender != "" && m.Recipient != "" {
		return root.Errorf("%w", &Error{StatusVersion, "the version is " + strconv.Quote(v) + " and not " + version})
	}
	if err = root.Err(); err != nil {
		return err
	}
	if m.Body, err = readBody(r, root, kind); err != nil {
		return err
	}
	return r.Done()
}

// name takes a name, which must not be empty: nobody could be meant by it.
func name(element *wirexml.Element, attribute string) string {
	value := element.Token(attribute, maxName)
	if value == "" {
		element.Fail("its attribute %s is empty", attribute)
	}
	return value
}

func readBody(r *wirexml.Reader, root *wirexml.Element, kind string) (Body, error) {
	switch kind {
	case "list":
		return new(List), r.End(root)
	case "list_response":
		return readList(r, root)
	case "issue":
		return readIssue(r, root)
	case "issue_response":
		return readIssued(r, root)
	case "revoke":
		class, ski, err := readKey(r, root)
		return &Revoke{class, ski}, err
	case "revoke_response":
		class, ski, err := readKey(r, root)
		return &RevokeResponse{class, ski}, err
	case "error_response":
		return readError(r, root)
	}
	return nil, root.Errorf("%w", &Error{StatusUnrecognizedType, "the type is " + strconv.Quote(kind)})
}

// only reads the one element that a message of some kind holds.
func only(r *wirexml.Reader, root *wirexml.Element, want string) (*wirexml.Element, error) {
	element, err := r.Child(root)
	switch {
	case err != nil:
		return nil, err
	case element == nil:
		return nil, r.Errorf("the message lacks its <%s>", want)
	case element.Name != want:
		return nil, r.Errorf("there is a <%.40s> where <%s> is expected", element.Name, want)
	}
	return element, nil
}

// readIssue reads
//
//	element request {
//	  attribute class_name { xsd:token { maxLength="1024" } },
//	  req_resource_set_as?, req_resource_set_ipv4?, req_resource_set_ipv6?,
//	  xsd:base64Binary { maxLength="512000" }
//	}
func readIssue(r *wirexml.Reader, root *wirexml.Element) (Body, error) {
	element, err := only(r, root, "request")
	if err != nil {
		return nil, err
	}
	issue := &Issue{Class: name(element, "class_name"), Limit: readLimit(element)}
	if issue.Request, err = readBinary(r, element); err != nil {
		return nil, err
	}
	return issue, r.End(root)
}

// readBinary reads what an element holds when all its attributes were taken.
func readBinary(r *wirexml.Reader, element *wirexml.Element) ([]byte, error) {
	if err := element.Err(); err != nil {
		return nil, err
	}
	data, err := r.Base64(element, maxBinary)
	if err == nil && len(data) == 0 {
		err = r.Errorf("<%s> is empty", element.Name)
	}
	return data, err
}

// readKey reads
//
//	element key {
//	  attribute class_name { xsd:token { maxLength="1024" } },
//	  attribute ski { xsd:token { maxLength="1024" } }
//	}
//
// Tolerated: "=" behind the ski, which some write though section 3.5.1 wants none.
func readKey(r *wirexml.Reader, root *wirexml.Element) (class string, ski []byte, err error) {
	element, err := only(r, root, "key")
	if err != nil {
		return "", nil, err
	}
	class = name(element, "class_name")
	text := element.Token("ski", maxName)
	ski, err = base64.RawURLEncoding.Strict().DecodeString(strings.TrimSuffix(text, "="))
	if err != nil || len(ski) != skiSize {
		element.Fail("its ski %.40q is not the base64url of a SHA-1 hash", text)
	}
	if err = element.Err(); err != nil {
		return "", nil, err
	}
	if err = r.End(element); err != nil {
		return "", nil, err
	}
	return class, ski, r.End(root)
}

// readError reads
//
//	element status { xsd:positiveInteger { maxInclusive="999999999999999" } },
//	element description { attribute xml:lang { xsd:language }, xsd:string { maxLength="1024" } }?
//
// Tolerated: Krill writes no xml:lang, and the description in a line of its own.
func readError(r *wirexml.Reader, root *wirexml.Element) (Body, error) {
	element, err := only(r, root, "status")
	if err != nil {
		return nil, err
	}
	text, err := readText(r, element)
	if err != nil {
		return nil, err
	}
	body := new(Error)
	body.Status, err = strconv.Atoi(text)
	if err != nil || body.Status < 1 || body.Status > maxStatus {
		return nil, r.Errorf("the status %.40q is no positive number", text)
	}
	element, err = r.Child(root)
	if element == nil || err != nil {
		return body, err
	}
	if element.Name != "description" {
		return nil, r.Errorf("there is a <%.40s> where <description> is expected", element.Name)
	}
	element.Optional("xml:lang", maxName)
	if body.Description, err = readText(r, element); err != nil {
		return nil, err
	}
	return body, r.End(root)
}

func readText(r *wirexml.Reader, element *wirexml.Element) (string, error) {
	if err := element.Err(); err != nil {
		return "", err
	}
	text, err := r.Text(element)
	if err != nil {
		return "", err
	}
	text = bytes.TrimSpace(text)
	if len(text) > maxDescription {
		return "", r.Errorf("the text of <%s> is longer than %d bytes", element.Name, maxDescription)
	}
	return string(text), nil
}
