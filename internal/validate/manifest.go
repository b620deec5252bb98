package validate

import (
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Manifest is the list of what a CA publishes (RFC 9286).
type Manifest struct {
	SignedObject
	Number                 Serial
	ThisUpdate, NextUpdate time.Time
	Files                  []File // in the manifest's own order
}

// File is one entry of a manifest.
type File struct {
	Name string
	Hash [32]byte // SHA-256
}

// ParseManifest reads a manifest and checks all that can be seen in it alone, its signature included. The manifest is
// nil if any finding is an error.
func ParseManifest(der []byte, options ...Option) (*Manifest, []Finding) {
	c := alone(options)
	m := parseManifest(c, der)
	if m == nil || !m.bySigner(c) {
		return nil, c.findings
	}
	return m, c.findings
}

//	Manifest ::= SEQUENCE {                                                     -- RFC 9286, section 4.2
//	 version        [0] INTEGER DEFAULT 0,
//	 manifestNumber INTEGER (0..MAX),
//	 thisUpdate     GeneralizedTime,
//	 nextUpdate     GeneralizedTime,
//	 fileHashAlg    OBJECT IDENTIFIER,
//	 fileList       SEQUENCE SIZE (0..MAX) OF FileAndHash }
//	FileAndHash ::= SEQUENCE {
//	 file           IA5String,
//	 hash           BIT STRING }

// parseManifest gives nil if it found an error. It checks no signature.
func parseManifest(c *check, der []byte) *Manifest {
	m := new(Manifest)
	var ok bool
	if m.SignedObject, ok = parseSignedObject(c, der); !ok {
		return nil
	}
	const rule = "9286-4.2"
	in, ok := inside(m.content, asn1.SEQUENCE)
	switch {
	case string(m.contentType) != oidManifest:
		c.fail("9286-4.1", "the content is no manifest: its type is %x", m.contentType)
		return nil
	case !ok:
		c.fail(rule, "the manifest's content is no DER SEQUENCE, or bytes follow it")
		return nil
	case in.PeekASN1Tag(tag0Explicit):
		c.fail("9286-4.2.1", "the manifest's version is written out; version 0 is left out, and there is no other")
		return nil
	}
	var wrong numbering
	if m.Number, wrong = number(&in); wrong != numberOK {
		c.fail("9286-4.2.1", "the manifest number is no DER integer from 0 to 2^159-1")
		return nil
	}
	this, ok := clock(&in)
	next, ok2 := clock(&in)
	algorithm, ok3 := oid(&in)
	switch {
	case !ok || !ok2 || this.utc || next.utc:
		c.fail("9286-4.2.1", "the manifest's thisUpdate and nextUpdate are not two GeneralizedTimes to the second in Zulu")
		return nil
	case !this.Before(next.Time):
		c.fail("9286-4.2.1", "the manifest's nextUpdate %s is not after its thisUpdate %s", next.Format(time.RFC3339), this.Format(time.RFC3339))
	case !ok3 || string(algorithm) != oidSHA256:
		c.fail("9286-4.2.1", "the manifest's hash algorithm is not SHA-256")
		return nil
	}
	m.ThisUpdate, m.NextUpdate = this.Time, next.Time
	files, ok := inside(in, asn1.SEQUENCE)
	if !ok || !m.parseFiles(c, files) {
		if !c.failed {
			c.fail(rule, "the manifest's file list is no DER SEQUENCE, or bytes follow it")
		}
		return nil
	}
	m.checkEE(c)
	if c.failed {
		return nil
	}
	return m
}

func (m *Manifest) parseFiles(c *check, s cryptobyte.String) bool {
	const rule = "9286-4.2"
	if s.Empty() {
		return c.fail("9286-4.2.1", "the manifest lists no file; a CA has at least a CRL")
	}
	m.Files = make([]File, 0, min(1+len(s)/50, maxFiles))
	names := make(map[string]bool, cap(m.Files))
	hashes := make(map[[32]byte]bool, cap(m.Files))
	for !s.Empty() {
		var entry, name cryptobyte.String
		var f File
		if !s.ReadASN1(&entry, asn1.SEQUENCE) || !entry.ReadASN1(&name, asn1.IA5String) {
			return c.fail(rule, "an entry of the manifest is no file name and hash")
		}
		var hash []byte
		if !entry.ReadASN1BitStringAsBytes(&hash) || !entry.Empty() || len(hash) != len(f.Hash) {
			return c.fail(rule, "the hash of %q is no bit string of 256 bits", name)
		}
		f.Name, f.Hash = string(name), [32]byte(hash)
		switch {
		case !fileName(f.Name):
			return c.fail("9286-4.2.2", "the file name %q is not letters, digits, - and _, a dot and three lower-case letters", f.Name)
		case names[f.Name]:
			return c.fail("9286-4.2.1", "the file %s is listed twice", f.Name)
		case len(m.Files) == maxFiles:
			return c.fail("limit-files", "the manifest lists more than %d files", maxFiles)
		case hashes[f.Hash]:
			c.warn("profile-unique-hash", "the file %s has the same hash as another", f.Name)
		}
		if !extensionOf(f.Name).registered() {
			c.warn("9286-4.2.2", "the extension of the file %s is not in the registry of RPKI repository names", f.Name)
		}
		names[f.Name], hashes[f.Hash] = true, true
		m.Files = append(m.Files, f)
	}
	return true
}

// checkEE checks the EE certificate against the manifest (RFC 9286, sections 4.2.1 and 5.1; RFC 6481, section 2.2).
func (m *Manifest) checkEE(c *check) {
	ee, r := m.EE, &m.EE.Resources
	if !r.HasIP || !r.HasAS || !r.InheritAS || !r.Set.Empty() {
		c.fail("9286-5.1", "the manifest's EE certificate does not inherit both addresses and AS numbers")
	} else if !r.InheritV4 || !r.InheritV6 {
		c.warn("profile-manifest-ee", "the manifest's EE certificate does not inherit both IPv4 and IPv6")
	}
	if !ee.NotBefore.Equal(m.ThisUpdate) || !ee.NotAfter.Equal(m.NextUpdate) {
		c.deviate("9286-5.1", "the validity of the manifest's EE certificate is not from thisUpdate to nextUpdate")
	}
	if m.SigningTime.After(m.NextUpdate) {
		c.fail("9286-4.2.1", "the manifest was signed at %s, after its nextUpdate", m.SigningTime.Format(time.RFC3339))
	}
	if !strings.HasSuffix(ee.SignedObject, ".mft") {
		c.fail("6481-2.2", "the manifest %s has not the extension .mft", ee.SignedObject)
	}
}

// fileName tells whether a name is one of RFC 9286, section 4.2.2.
func fileName(name string) bool {
	stem, ext, ok := strings.Cut(name, ".")
	if !ok || stem == "" || len(ext) != 3 || len(name) > 255 {
		return false
	}
	for i := range len(stem) {
		b := stem[i]
		if (b|0x20 < 'a' || b|0x20 > 'z') && (b < '0' || b > '9') && b != '-' && b != '_' {
			return false
		}
	}
	for i := range len(ext) {
		if ext[i] < 'a' || ext[i] > 'z' {
			return false
		}
	}
	return true
}

// extension is the three letters that tell what a file is.
type extension string

func extensionOf(name string) extension {
	if len(name) < 4 {
		return ""
	}
	return extension(name[len(name)-3:])
}

// registered tells whether IANA's registry "RPKI Repository Name Schemes" (RFC 6481, section 7.2) has the extension.
func (e extension) registered() bool {
	switch e {
	case "asa", "cer", "crl", "gbr", "mft", "roa", "sig", "spl", "tak":
		return true
	}
	return false
}
