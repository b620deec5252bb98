package publication

import (
	"bytes"
	"encoding/hex"

	"cadastre/internal/fault"
	"cadastre/internal/wirexml"
)

// limits leave room for white space around the base64 of the largest object, and in a tag for all that its attributes
// may have.
var limits = wirexml.Limits{Tag: 16 << 10, Text: maxObject/3*4 + maxObject/10}

// ParseQuery reads a query. It fails with BadInput; what it returns shares nothing with message.
func ParseQuery(message []byte) (*Query, error) {
	r := wirexml.NewReader(message, limits)
	root, err := open(r, "query")
	if err != nil {
		return nil, fault.Wrap(err, "the publication query")
	}
	q, err := readQuery(r, root)
	if err == nil {
		err = r.Done()
	}
	if err != nil {
		return nil, fault.Wrap(err, "the publication query")
	}
	return q, nil
}

// ParseReply reads a reply. It fails with BadInput; what it returns shares nothing with message. A reply that holds
// nothing is an empty list, as RFC 8181, section 2.3 has it.
func ParseReply(message []byte) (*Reply, error) {
	r := wirexml.NewReader(message, limits)
	root, err := open(r, "reply")
	if err != nil {
		return nil, fault.Wrap(err, "the publication reply")
	}
	reply, err := readReply(r, root)
	if err == nil {
		err = r.Done()
	}
	if err != nil {
		return nil, fault.Wrap(err, "the publication reply")
	}
	return reply, nil
}

// open reads the root element of both kinds of messages:
//
//	element msg { attribute version { "4" }, attribute type { "query" | "reply" }, … }
func open(r *wirexml.Reader, kind string) (*wirexml.Element, error) {
	root, err := r.Root(namespace)
	if err != nil {
		return nil, err
	}
	if root.Name != "msg" {
		return nil, r.Errorf("its root element is <%.40s> and not <msg>", root.Name)
	}
	if v := root.Token("version", maxTag); v != version {
		root.Fail("it is of version %.40q, and this is version %s of the protocol", v, version)
	}
	if t := root.Token("type", maxTag); t != kind {
		root.Fail("it is of type %.40q where a %s is expected", t, kind)
	}
	return root, root.Err()
}

// readQuery reads what a query holds: one list, or any number of changes.
//
//	(element publish { tag, uri, hash?, base64 } | element withdraw { tag, uri, hash })*
//	| element list { empty }
func readQuery(r *wirexml.Reader, root *wirexml.Element) (*Query, error) {
	q := new(Query)
	for {
		element, err := r.Child(root)
		if element == nil || err != nil {
			return q, err
		}
		if q.List || element.Name == "list" && len(q.PDUs) > 0 {
			return nil, r.Errorf("there is a <%.40s> beside another PDU, and <list> must be alone", element.Name)
		}
		if element.Name == "list" {
			q.List = true
			err = readEmpty(r, element)
		} else {
			var pdu PDU
			pdu, err = readPDU(r, element)
			q.PDUs = append(q.PDUs, pdu)
		}
		if err != nil {
			return nil, err
		}
	}
}

func readPDU(r *wirexml.Reader, element *wirexml.Element) (PDU, error) {
	if element.Name != "publish" && element.Name != "withdraw" {
		return PDU{}, r.Errorf("there is a <%.40s> where a PDU is expected: publish, withdraw or list", element.Name)
	}
	pdu := PDU{
		Tag:      element.Token("tag", maxTag),
		URI:      element.URI("uri", maxURI, "rsync://"),
		Withdraw: element.Name == "withdraw",
	}
	if text, ok := element.Optional("hash", 2*len(pdu.Hash)); ok {
		pdu.Hash = new([32]byte)
		readHash(element, text, pdu.Hash)
	} else if pdu.Withdraw {
		element.Fail("it lacks the attribute hash")
	}
	if err := element.Err(); err != nil {
		return PDU{}, fault.Wrap(err, "%s", about(pdu.URI))
	}
	var err error
	if pdu.Withdraw {
		err = r.End(element)
	} else {
		pdu.Object, err = r.Base64(element, maxObject)
	}
	return pdu, fault.Wrap(err, "%s", about(pdu.URI))
}

// about names the object that an error is about.
func about(uri string) string {
	if uri == "" {
		return "a PDU without a URI"
	}
	return uri
}

func readHash(element *wirexml.Element, text string, hash *[32]byte) {
	if len(text) != 2*len(hash) {
		element.Fail("its hash has %d characters and not the %d of SHA-256 in hexadecimal", len(text), 2*len(hash))
	} else if _, err := hex.Decode(hash[:], []byte(text)); err != nil {
		element.Fail("its hash %q is not hexadecimal", text)
	}
}

func readEmpty(r *wirexml.Reader, element *wirexml.Element) error {
	if err := element.Err(); err != nil {
		return err
	}
	return r.End(element)
}

// readReply reads what a reply holds.
//
//	element success { empty }
//	| element list { uri, hash }*
//	| element report_error { tag?, error_code, error_text?, failed_pdu? }*
func readReply(r *wirexml.Reader, root *wirexml.Element) (*Reply, error) {
	reply := new(Reply)
	for kind := ""; ; {
		element, err := r.Child(root)
		if err != nil {
			return nil, err
		}
		if element == nil {
			reply.IsList = kind == "" || kind == "list"
			return reply, nil
		}
		if kind != "" && (element.Name != kind || kind == "success") {
			return nil, r.Errorf("there is a <%.40s> after a <%s>", element.Name, kind)
		}
		switch kind = element.Name; kind {
		case "success":
			reply.Success = true
			err = readEmpty(r, element)
		case "list":
			listed := Listed{URI: element.URI("uri", maxURI, "rsync://")}
			readHash(element, element.Attr("hash", 2*len(listed.Hash)), &listed.Hash)
			reply.List = append(reply.List, listed)
			err = readEmpty(r, element)
		case "report_error":
			var report ReportError
			report, err = readError(r, element)
			reply.Errors = append(reply.Errors, report)
		default:
			err = r.Errorf("there is a <%.40s> where success, list or report_error is expected", kind)
		}
		if err != nil {
			return nil, err
		}
	}
}

// readError reads one report of an error.
//
//	element report_error {
//	  tag?,
//	  attribute error_code { error },
//	  element error_text { xsd:string { maxLength="512000" } }?,
//	  element failed_pdu { query_elt }?
//	}
//
// Krill sends neither tag nor failed_pdu. Tolerated: white space around a text, which Krill writes in a line of its own.
func readError(r *wirexml.Reader, element *wirexml.Element) (ReportError, error) {
	report := ReportError{Tag: element.OptionalToken("tag", maxTag), Code: element.Token("error_code", maxTag)}
	if !known(report.Code) {
		element.Fail("it has the error_code %.80q, which RFC 8181 does not have", report.Code)
	}
	if err := element.Err(); err != nil {
		return report, err
	}
	for before := ""; ; {
		child, err := r.Child(element)
		if child == nil || err != nil {
			return report, err
		}
		switch name := child.Name; {
		case name == "error_text" && before == "":
			report.Text, err = readText(r, child)
		case name == "failed_pdu" && before != name:
			report.Failed, err = readFailed(r, child)
		default:
			err = r.Errorf("there is a <%.40s> in <report_error>, where one error_text and then one failed_pdu can be", name)
		}
		if err != nil {
			return report, err
		}
		before = child.Name
	}
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
	if len(text) > maxErrorText {
		return "", r.Errorf("the text of <error_text> is longer than %d bytes", maxErrorText)
	}
	return string(text), nil
}

// readFailed reads the PDU that failed, nil where it is a list.
func readFailed(r *wirexml.Reader, element *wirexml.Element) (*PDU, error) {
	if err := element.Err(); err != nil {
		return nil, err
	}
	q, err := readQuery(r, element)
	if err != nil || len(q.PDUs) == 0 {
		return nil, err
	}
	if len(q.PDUs) > 1 {
		return nil, r.Errorf("there are %d PDUs in <failed_pdu>, where only one can be", len(q.PDUs))
	}
	return &q.PDUs[0], nil
}
