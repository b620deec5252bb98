package setup

import (
	"cadastre/internal/handles"
	"cadastre/internal/wirexml"
)

func readHandle(element *wirexml.Element, attribute string) string {
	value := element.Attr(attribute, maxHandle)
	if !handles.IsWire(value) {
		element.Fail("its %s %.80q is no handle: letters, digits, '-', '_' and '/'", attribute, value)
	}
	return value
}

func serviceURI(element *wirexml.Element) string {
	return element.URI("service_uri", maxURI, "https://", "http://")
}

// readTrustAnchor reads the first element of a message when all attributes of the root were taken:
//
//	bpki_ta = xsd:base64Binary { maxLength="512000" }
func readTrustAnchor(r *wirexml.Reader, root *wirexml.Element, name string) ([]byte, error) {
	if err := root.Err(); err != nil {
		return nil, err
	}
	element, err := r.Child(root)
	switch {
	case err != nil:
		return nil, err
	case element == nil:
		return nil, r.Errorf("there is no <%s> in <%s>", name, root.Name)
	case element.Name != name:
		return nil, r.Errorf("there is a <%.40s> in <%s>, where <%s> is expected first", element.Name, root.Name, name)
	}
	return readBinary(r, element)
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

// readReferrals reads referrals from first on, which is nil where there are none, and the end of root.
//
//	element referral {
//	  attribute referrer { handle },
//	  attribute contact_uri { uri }?,
//	  authorization_token
//	}
func readReferrals(r *wirexml.Reader, root, first *wirexml.Element, contact bool) ([]Referral, error) {
	var all []Referral
	for element := first; element != nil; {
		if element.Name != "referral" || len(all) == maxReferrals {
			return nil, r.Errorf("there is a <%.40s> in <%s> that does not belong there", element.Name, root.Name)
		}
		referral := Referral{Referrer: readHandle(element, "referrer")}
		if contact {
			referral.ContactURI = element.OptionalURI("contact_uri", maxURI)
		}
		var err error
		if referral.Token, err = readBinary(r, element); err != nil {
			return nil, err
		}
		all = append(all, referral)
		if element, err = r.Child(root); err != nil {
			return nil, err
		}
	}
	return all, nil
}
