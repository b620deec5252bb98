package updown

import (
	"strings"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/wirexml"
)

// readList reads any number of classes, each of another name.
func readList(r *wirexml.Reader, root *wirexml.Element) (Body, error) {
	list := new(ListResponse)
	names := make(map[string]bool)
	for {
		element, err := r.Child(root)
		if element == nil || err != nil {
			return list, err
		}
		if element.Name != "class" {
			return nil, r.Errorf("there is a <%.40s> where <class> is expected", element.Name)
		}
		class, err := readClass(r, element)
		if err == nil && names[class.Name] {
			err = r.Errorf("it is listed twice")
		}
		if err != nil {
			return nil, fault.Wrap(err, "class %.80q", class.Name)
		}
		names[class.Name] = true
		list.Classes = append(list.Classes, class)
	}
}

// readIssued reads the one class with the one certificate that was issued. The schema would have more certificates, and
// none; section 3.4.2 has one.
func readIssued(r *wirexml.Reader, root *wirexml.Element) (Body, error) {
	element, err := only(r, root, "class")
	if err != nil {
		return nil, err
	}
	class, err := readClass(r, element)
	if err == nil && len(class.Certificates) != 1 {
		err = r.Errorf("it has %d certificates where the one that was issued is expected", len(class.Certificates))
	}
	if err != nil {
		return nil, fault.Wrap(err, "class %.80q", class.Name)
	}
	return &IssueResponse{class}, r.End(root)
}

// readClass reads
//
//	element class {
//	  attribute class_name { xsd:token { maxLength="1024" } },
//	  attribute cert_url { xsd:string { maxLength="4096" } },
//	  attribute resource_set_as { … },
//	  attribute resource_set_ipv4 { … },
//	  attribute resource_set_ipv6 { … },
//	  attribute resource_set_notafter { xsd:dateTime },
//	  attribute suggested_sia_head { xsd:anyURI { maxLength="1024" pattern="rsync://.+"} }?,
//	  element certificate { … }*,
//	  element issuer { xsd:base64Binary { maxLength="512000" } }
//	}
//
// Tolerated: a resource set that is not there, for one that is empty; servers have left them out.
func readClass(r *wirexml.Reader, element *wirexml.Element) (Class, error) {
	c := Class{Name: name(element, "class_name"), CertURLs: readURLs(element)}
	c.Resources = readResources(element)
	c.NotAfter = readTime(element, "resource_set_notafter")
	c.SuggestedSIAHead = element.OptionalURI("suggested_sia_head", maxName, "rsync://")
	if err := element.Err(); err != nil {
		return c, err
	}
	for {
		child, err := r.Child(element)
		if err != nil {
			return c, err
		}
		switch {
		case child == nil:
			return c, r.Errorf("there is no <issuer> in <class>")
		case child.Name == "certificate":
			var issued Issued
			if issued, err = readCertificate(r, child); err != nil {
				return c, err
			}
			c.Certificates = append(c.Certificates, issued)
		case child.Name == "issuer":
			if c.Issuer, err = readBinary(r, child); err != nil {
				return c, err
			}
			return c, r.End(element)
		default:
			return c, r.Errorf("there is a <%.40s> in <class>, where certificates and then the issuer are expected", child.Name)
		}
	}
}

// readCertificate reads
//
//	element certificate {
//	  attribute cert_url { xsd:string { maxLength="4096" } },
//	  req_resource_set_as?, req_resource_set_ipv4?, req_resource_set_ipv6?,
//	  xsd:base64Binary { maxLength="512000" }
//	}
func readCertificate(r *wirexml.Reader, element *wirexml.Element) (Issued, error) {
	issued := Issued{URLs: readURLs(element), Limit: readLimit(element)}
	var err error
	issued.Certificate, err = readBinary(r, element)
	return issued, err
}

// readURLs takes cert_url: URIs with commas between them, of which at least one is by rsync; a comma in a URI is written %2C
// (section 3.3.2). The schemes of the others are not looked at.
func readURLs(element *wirexml.Element) []string {
	text := element.Attr("cert_url", maxURL)
	urls := strings.Split(text, ",")
	rsync := false
	for i, url := range urls {
		urls[i] = strings.TrimSpace(url)
		rsync = rsync || wirexml.IsURI(urls[i], "rsync://")
		if !wirexml.IsURI(urls[i]) {
			element.Fail("its cert_url has %.120q, which is no URI", url)
		}
	}
	if !rsync {
		element.Fail("its cert_url %.120q has no rsync URI", text)
	}
	return urls
}

// readTime takes an xsd:dateTime that says its zone.
func readTime(element *wirexml.Element, attribute string) time.Time {
	text := element.Token(attribute, len("2006-01-02T15:04:05.999999999+00:00"))
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		element.Fail("its %s %q is no date and time like 2006-01-02T15:04:05Z", attribute, text)
	}
	return t.UTC().Truncate(time.Second)
}
