package validate

import (
	"bytes"
	"encoding/base64"
	"path"
	"strings"
)

// TAL is a trust anchor locator (RFC 8630): where the trust anchor's certificate is, and which key it must have.
type TAL struct {
	Comments []string // without the number sign
	URIs     []string // https and rsync, in the file's order
	SPKI     []byte   // DER of the SubjectPublicKeyInfo
}

// RsyncURI is the first rsync URI of the trust anchor's certificate, by which certificates below name it, or "".
func (t *TAL) RsyncURI() string {
	for _, uri := range t.URIs {
		if rsyncURI(uri) {
			return uri
		}
	}
	return ""
}

// maxTAL bounds what is read: comments are free text, but a locator is a few lines.
const maxTAL = 64 << 10

// ParseTAL reads a TAL (RFC 8630, section 2.2): comment lines, URIs, an empty line, and the key in Base64. The TAL is
// nil if any finding is an error.
func ParseTAL(text []byte, options ...Option) (*TAL, []Finding) {
	const rule = "8630-2.2"
	c := alone(options)
	tal := new(TAL)
	if len(text) > maxTAL {
		c.fail("limit-tal-size", "the TAL has %d octets; more than %d are no TAL", len(text), maxTAL)
		return nil, c.findings
	}
	rest := string(text)
	line, more := "", true
	next := func() { line, rest, more = strings.Cut(rest, "\n"); line = strings.TrimSuffix(line, "\r") }
	next()
	for ; more && strings.HasPrefix(line, "#"); next() {
		tal.Comments = append(tal.Comments, line[1:])
	}
	for ; more && line != ""; next() {
		if !rsyncURI(line) && !httpsURI(line) {
			c.fail(rule, "%q is no plain rsync or https URI", line)
			return nil, c.findings
		}
		tal.URIs = append(tal.URIs, line)
	}
	switch {
	case len(tal.URIs) == 0:
		c.fail(rule, "the TAL has no URI")
	case !more:
		c.fail(rule, "the TAL has no empty line between its URIs and its key")
	default:
		tal.checkURIs(c)
	}
	spki, err := base64.StdEncoding.DecodeString(strings.NewReplacer("\r", "", "\n", "").Replace(rest))
	if err != nil || len(spki) == 0 {
		c.fail(rule, "the TAL's key is no Base64")
		return nil, c.findings
	}
	tal.SPKI = bytes.Clone(spki)
	if _, ok := parseKey(c, tal.SPKI, false); !ok || c.failed {
		return nil, c.findings
	}
	return tal, c.findings
}

// checkURIs checks the URIs together: rpki-client wants them to name one file, and to end in .cer.
func (t *TAL) checkURIs(c *check) {
	if t.RsyncURI() == "" {
		c.warn("profile-tal", "the TAL has no rsync URI, so certificates cannot name their trust anchor")
	}
	https := false
	for i, uri := range t.URIs {
		https = https || httpsURI(uri)
		if !strings.HasSuffix(uri, ".cer") {
			c.warn("profile-tal", "the URI %s does not end in .cer", uri)
		}
		if path.Base(uri) != path.Base(t.URIs[0]) {
			c.warn("profile-tal", "the URIs %s and %s name files of different names", t.URIs[0], uri)
		}
		if i > 0 && httpsURI(uri) && rsyncURI(t.URIs[i-1]) {
			c.warn("8630-2.2", "the https URI %s comes after an rsync URI; https should be tried first", uri)
		}
	}
	if !https {
		c.warn("8630-2.2", "the TAL has no https URI")
	}
}
