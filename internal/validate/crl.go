package validate

import (
	"bytes"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// CRL is a certificate revocation list of RFC 6487, section 5.
type CRL struct {
	Issuer                 []byte // DER of the issuer's name
	AKI                    [20]byte
	Number                 Serial // RFC 9829: not used to tell which of two is newer
	ThisUpdate, NextUpdate time.Time
	Revoked                []Serial // sorted

	signed
}

// Revokes tells whether the CRL lists a serial number.
func (l *CRL) Revokes(s Serial) bool {
	return contains(l.Revoked, s)
}

// contains tells whether a serial number is among sorted ones.
func contains(sorted []Serial, s Serial) bool {
	_, found := slices.BinarySearchFunc(sorted, s, compareSerials)
	return found
}

func compareSerials(a, b Serial) int { return bytes.Compare(a[:], b[:]) }

// ParseCRL reads a CRL and checks all that can be seen in it alone. The CRL is nil if any finding is an error.
func ParseCRL(der []byte, options ...Option) (*CRL, []Finding) {
	c := alone(options)
	l := parseCRL(c, der)
	return l, c.findings
}

//	TBSCertList  ::=  SEQUENCE  {                                               -- RFC 5280, section 5.1
//	     version                 Version OPTIONAL,
//	     signature               AlgorithmIdentifier,
//	     issuer                  Name,
//	     thisUpdate              Time,
//	     nextUpdate              Time OPTIONAL,
//	     revokedCertificates     SEQUENCE OF SEQUENCE  {
//	          userCertificate         CertificateSerialNumber,
//	          revocationDate          Time,
//	          crlEntryExtensions      Extensions OPTIONAL }  OPTIONAL,
//	     crlExtensions           [0] Extensions OPTIONAL }

// parseCRL gives nil if it found an error. It checks no signature.
func parseCRL(c *check, der []byte) *CRL {
	const rule = "5280-5.1"
	l := new(CRL)
	var ok bool
	if l.signed, ok = parseSigned(c, der, rule); !ok {
		return nil
	}
	in, _ := inside(l.tbs, asn1.SEQUENCE)
	if version, ok := small(&in, 1<<31); !ok || version != 1 {
		c.fail("6487-5", "the CRL's version is not 2")
		return nil
	}
	algorithm, ok := element(&in)
	if !ok || !bytes.Equal(algorithm, l.algorithm) {
		c.fail("5280-5.1.2.2", "the signature algorithm inside the CRL is not the one outside")
		return nil
	}
	if l.Issuer, ok = element(&in); !ok {
		c.fail(rule, "the CRL's issuer cannot be read")
		return nil
	}
	parseName(c, l.Issuer, "issuer", "6487-5", false)
	this, ok, right := validity(&in)
	next, ok2, right2 := validity(&in)
	switch {
	case !ok || !ok2:
		c.fail("6487-5", "the CRL's thisUpdate and nextUpdate are not two times to the second in Zulu")
		return nil
	case !right || !right2:
		c.fail("5280-5.1.2.4", "a time of the CRL is not UTCTime through 2049 and GeneralizedTime from 2050")
	case !this.Before(next):
		c.fail("5280-5.1.2.5", "the CRL's nextUpdate %s is not after its thisUpdate %s", next.Format(time.RFC3339), this.Format(time.RFC3339))
	}
	l.ThisUpdate, l.NextUpdate = this, next
	if in.PeekASN1Tag(asn1.SEQUENCE) {
		var entries cryptobyte.String
		if !in.ReadASN1(&entries, asn1.SEQUENCE) {
			c.fail(rule, "the list of revoked certificates is longer than the CRL")
			return nil
		}
		if !l.parseEntries(c, entries) {
			return nil
		}
	}
	list, ok := inside(in, tag0Explicit)
	if ok {
		list, ok = inside(list, asn1.SEQUENCE)
	}
	if !ok || !l.parseExtensions(c, list) || c.failed {
		if !c.failed {
			c.fail("6487-5", "the CRL has no extensions, or bytes follow them")
		}
		return nil
	}
	return l
}

const tag0Explicit = tag0 | cons

func (l *CRL) parseEntries(c *check, s cryptobyte.String) bool {
	const rule = "5280-5.1.2.6"
	if s.Empty() {
		c.deviate(rule, "the list of revoked certificates is empty; it should be absent")
		return true
	}
	l.Revoked = make([]Serial, 0, 1+len(s)/38)
	for !s.Empty() {
		var entry cryptobyte.String
		if !s.ReadASN1(&entry, asn1.SEQUENCE) {
			return c.fail(rule, "an entry of the CRL is no SEQUENCE")
		}
		serial, ok := serialNumber(c, &entry, rule)
		if !ok {
			return false
		}
		_, read, right := validity(&entry)
		switch {
		case !read:
			return c.fail(rule, "the revocation date of %s cannot be read", serial)
		case !right:
			return c.fail(rule, "the revocation date of %s is not UTCTime through 2049 and GeneralizedTime from 2050", serial)
		case !entry.Empty():
			return c.fail("6487-5", "the entry of %s has extensions", serial)
		}
		l.Revoked = append(l.Revoked, serial)
	}
	slices.SortFunc(l.Revoked, compareSerials)
	for i := 1; i < len(l.Revoked); i++ {
		if l.Revoked[i] == l.Revoked[i-1] {
			c.warn(rule, "the serial number %s is revoked twice", l.Revoked[i])
		}
	}
	return true
}

// parseExtensions wants exactly an authority key identifier and a CRL number, neither critical (RFC 9829, section 3.1).
func (l *CRL) parseExtensions(c *check, s cryptobyte.String) bool {
	const rule = "6487-5"
	var aki, numbered bool
	for !s.Empty() {
		id, value, critical, ok := parseExtension(c, &s)
		switch {
		case !ok:
			return c.fail("5280-4.1", "an extension of the CRL is no DER of an identifier, a criticality and a value")
		case critical:
			return c.fail(rule, "an extension of the CRL is critical")
		case string(id) == oidAKI && !aki:
			if l.AKI, ok = parseAKI(c, value, rule); !ok {
				return false
			}
			aki = true
		case string(id) == oidCRLNumber && !numbered:
			in := cryptobyte.String(value)
			var wrong numbering
			if l.Number, wrong = number(&in); wrong != numberOK || !in.Empty() {
				return c.fail("9829-3.1", "the CRL number is no DER integer from 0 to 2^159-1")
			}
			numbered = true
		default:
			return c.fail(rule, "the CRL has an extension %x twice or beside the key identifier and the number", id)
		}
	}
	if !aki || !numbered {
		return c.fail(rule, "the CRL has not both an authority key identifier and a CRL number")
	}
	return true
}
