package validate

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

//	Name                      ::= CHOICE { rdnSequence RDNSequence }            -- RFC 5280, section 4.1.2.4
//	RDNSequence               ::= SEQUENCE OF RelativeDistinguishedName
//	RelativeDistinguishedName ::= SET SIZE (1..MAX) OF AttributeTypeAndValue
//	AttributeTypeAndValue     ::= SEQUENCE { type OBJECT IDENTIFIER, value ANY }

// parseName checks an issuer or subject: one CommonName as PrintableString, at most one serialNumber beside it
// (RFC 6487, sections 4.4 and 4.5). A UTF8String deviates from that, but for the subject of a router (RFC 8209, section 3.1.1).
//
//nolint:unparam // like all that parse, it says whether it could
func parseName(c *check, der []byte, whose, section string, utf8Too bool) bool {
	rdns, ok := inside(der, asn1.SEQUENCE)
	if !ok {
		return c.fail(section, "the %s is no DER name", whose)
	}
	names, serials, sets := 0, 0, 0
	for ; !rdns.Empty(); sets++ {
		var rdn cryptobyte.String
		if !rdns.ReadASN1(&rdn, asn1.SET) || rdn.Empty() {
			return c.fail(section, "the %s is no DER name", whose)
		}
		var before string
		for !rdn.Empty() {
			raw, _ := element(&rdn)
			if string(raw) <= before {
				c.deviate(section, "the attributes of the %s are not in the order of DER", whose)
			}
			before = string(raw)
			in, ok := inside(raw, asn1.SEQUENCE)
			kind, ok2 := oid(&in)
			value, ok3 := inside(in, asn1.PrintableString)
			ok3 = ok3 && printable(value)
			if !ok3 {
				value, ok3 = inside(in, asn1.UTF8String)
				if ok3 = ok3 && utf8.Valid(value); ok3 && !utf8Too {
					c.deviate(section, "an attribute of the %s is a UTF8String; it should be a PrintableString", whose)
				}
			}
			switch {
			case !ok || !ok2:
				return c.fail(section, "an attribute of the %s is no type and value", whose)
			case string(kind) == oidCommonName:
				names++
			case string(kind) == oidSerialNumber:
				serials++
			default:
				return c.fail(section, "the %s has an attribute that is neither CommonName nor serialNumber", whose)
			}
			if !ok3 || len(value) == 0 {
				return c.fail(section, "an attribute of the %s is no text of a PrintableString", whose)
			}
		}
	}
	if names != 1 || serials > 1 {
		return c.fail(section, "the %s has %d CommonNames and %d serialNumbers; it must have one, and at most one", whose, names, serials)
	}
	if sets > 1 {
		c.warn(section, "the %s has its CommonName and serialNumber in two sets", whose)
	}
	return true
}

// printable tells whether all octets are of PrintableString (X.680, section 41.4).
func printable(text []byte) bool {
	for _, b := range text {
		letter := b|0x20 >= 'a' && b|0x20 <= 'z'
		if !letter && (b < '0' || b > '9') && !strings.ContainsRune(" '()+,-./:=?", rune(b)) {
			return false
		}
	}
	return true
}

// rsyncURI tells whether a URI is one of an rsync daemon (RFC 5781) in a plain form: host, module and path; no part but the last is empty, and
// none is too long for a file system or begins with a dot. Percent signs are allowed, and nothing is unescaped.
func rsyncURI(uri string) bool { return plainURI(uri, "rsync://", 2) }

// httpsURI tells the same of an HTTPS URI (RFC 8182, section 3.2).
func httpsURI(uri string) bool { return plainURI(uri, "https://", 1) }

// plainURI tells whether a URI has this scheme, a host with no user before it, and at least this many parts of a path. Only the last part may
// be empty.
func plainURI(uri, scheme string, least int) bool {
	rest, ok := strings.CutPrefix(uri, scheme)
	if !ok || len(uri) > maxURI {
		return false
	}
	for i := range len(rest) {
		if !plainByte[rest[i]] {
			return false
		}
	}
	parts := 0
	for part, more := "", true; more; parts++ {
		part, rest, more = strings.Cut(rest, "/")
		if part == "" && (more || parts == 0) || parts == 0 && strings.Contains(part, "@") || strings.HasPrefix(part, ".") || len(part) > maxURIPart {
			return false
		}
	}
	return parts > least
}

// plainByte tells which octets a plain URI may have: those of RFC 3986, but for what begins a query or a fragment.
var plainByte = func() (plain [256]bool) {
	for b := byte('!'); b < 0x7F; b++ {
		plain[b] = strings.IndexByte("\"<>\\^`{|}#?", b) < 0
	}
	return plain
}()

// directlyIn is the file name of a URI that names a file of this directory, which ends in a slash.
func directlyIn(uri, directory string) (string, bool) {
	name, ok := strings.CutPrefix(uri, directory)
	return name, ok && name != "" && !strings.Contains(name, "/")
}
