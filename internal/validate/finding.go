// Package validate is the strict validator: it reads the bytes of an RPKI repository as a relying party does, from the
// trust anchor down, and says what is valid in it and what is wrong with the rest.
//
// It checks everything that Cadastre signs before that is published, so it does not use the code of the issuer: it parses bytes with
// cryptobyte, and shares only the sets of internal/inr with the builders. It is stricter than any one relying party. What validators in use
// refuse is an Error, and the object is not used. What an RFC allows, but relying parties are known to differ on, is a Warning. What an RFC
// forbids and every validator in use accepts is an Error or a Warning, depending on who asks (see Asker).
//
// These are trusted: the trust anchor locator (RFC 8630), the clock, what a Memo remembers, what a Gate has accepted before, the certificates
// of parents elsewhere that a Gate is given, and the certificate that Publication is given. Nothing else that is read is. All bytes may come
// from an enemy: parsers return nothing on an error, never panic, and allocate no more than a small multiple of what they are given.
//
// ParseCertificate, ParseCRL, ParseManifest, ParseROA, ParseASPA, ParseTAL and ParseRequest check one object alone. Publication reads the
// manifest and the CRL of one CA. Tree walks a whole repository. A Gate checks a change of a repository before it is published.
package validate

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Severity says how bad a finding is.
type Severity int

// The severities.
const (
	Error   Severity = iota // the object is not used; if it is about what two objects or CAs share, they are
	Warning                 // the object is used, but it is not what Cadastre publishes
)

// String is "error" or "warning", as in JSON.
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// MarshalText writes the severity's name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Severity) UnmarshalText(text []byte) error {
	switch string(text) {
	case "error":
		*s = Error
	case "warning":
		*s = Warning
	default:
		return fmt.Errorf("%q is no severity: write error or warning", text)
	}
	return nil
}

var (
	_ json.Marshaler = VRP{}
	_ fmt.Stringer   = Finding{}
)

// Finding is one thing that is wrong, or worth a warning, at one URI.
type Finding struct {
	URI      string   `json:"uri"`      // the object's rsync URI; empty where one object was parsed alone
	Severity Severity `json:"severity"` // error or warning
	Rule     string   `json:"rule"`     // RFC and section, "6487-4.8.3"; "aspa-…": section of the ASPA profile; "profile-…" and "limit-…": our own; "stopped"
	Text     string   `json:"text"`     // one sentence
}

// String is one line of text: severity, URI, rule and sentence.
func (f Finding) String() string {
	if f.URI == "" {
		return fmt.Sprintf("%s: %s (%s)", f.Severity, f.Text, f.Rule)
	}
	return fmt.Sprintf("%s: %s: %s (%s)", f.Severity, f.URI, f.Text, f.Rule)
}

// Suite is a set of algorithms for keys and signatures.
type Suite int

// The suites. RSA is the only one of RFC 7935; P256 is what rpki-client takes with -x, and what fast tests use.
const (
	RSA  Suite = iota // RSA-2048 with e=65537 and SHA-256
	P256              // RSA, and ECDSA on P-256 with SHA-256 beside it
)

// maxText is how many octets a finding's sentence has at most. A URI has up to 2,048.
const maxText = 5000

// Asker says for whom something is examined. The findings are the same for all; their severity depends on the asker.
type Asker int

// The askers.
const (
	Issuer       Asker = iota // decides what is published, as the gate does: what an RFC forbids is an error
	RelyingParty              // reads what others publish: what every validator in use accepts is accepted, with a warning
	Strict                    // accepts no finding: everything is an error
)

// offence is how far something is from what it should be.
type offence int

const (
	refused   offence = iota // validators in use refuse it
	deviation                // an RFC forbids it, and every validator in use takes it
	oddity                   // an RFC allows it, and some relying party may refuse it
)

// severity is what an offence is to who asks.
func (a Asker) severity(o offence) Severity {
	switch {
	case o == refused || a == Strict:
		return Error
	case o == deviation && a == Issuer:
		return Error
	}
	return Warning
}

// Option is what the parser of one object goes by: a Suite that is taken besides RSA, or the Asker, which is Issuer where
// none is named.
type Option interface{ set(c *check) }

func (s Suite) set(c *check) { c.suite = max(c.suite, s) }
func (a Asker) set(c *check) { c.asker = a }

// For is the options of an asker who takes these suites.
func For(a Asker, suites ...Suite) []Option {
	options := []Option{a}
	for _, s := range suites {
		options = append(options, s)
	}
	return options
}

// check collects what is found in one object.
type check struct {
	uri      string
	suite    Suite
	asker    Asker
	findings []Finding
	failed   bool
}

func (c *check) add(o offence, rule, format string, args []any) {
	s := c.asker.severity(o)
	if s == Error {
		c.failed = true
	}
	text := fmt.Sprintf(format, args...)
	if len(text) > maxText { // what is quoted can be all of an object
		text = text[:maxText] + "…"
	}
	c.findings = append(c.findings, Finding{URI: c.uri, Severity: s, Rule: rule, Text: text})
}

// fail notes what validators refuse. It gives false, so that a parser can return it.
func (c *check) fail(rule, format string, args ...any) bool {
	c.add(refused, rule, format, args)
	return false
}

// deviate notes what an RFC forbids and every validator in use takes. The parser reads on.
func (c *check) deviate(rule, format string, args ...any) { c.add(deviation, rule, format, args) }

// warn notes what an RFC allows and some relying party may refuse.
func (c *check) warn(rule, format string, args ...any) { c.add(oddity, rule, format, args) }

// at makes a check of another object by the same rules; take adds what it found.
func (c *check) at(uri string) *check {
	return &check{uri: uri, suite: c.suite, asker: c.asker}
}

func (c *check) take(other *check) {
	c.findings = append(c.findings, other.findings...)
	c.failed = c.failed || other.failed
}

// alone makes the check of one object outside any tree.
func alone(options []Option) *check {
	c := new(check)
	for _, o := range options {
		o.set(c)
	}
	return c
}

// First is the first few of some findings as text.
func First(findings []Finding) string {
	var out []string
	for _, f := range findings[:min(3, len(findings))] {
		out = append(out, f.String())
	}
	return strings.Join(out, "; ")
}
