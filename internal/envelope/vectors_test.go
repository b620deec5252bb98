package envelope

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cadastre/internal/fault"
)

const (
	vectors = "../../../shared/vectors/"
	interop = vectors + "up-down/isc-interop-updown/"
	rfc6492 = vectors + "rpki-rs/ca/rfc6492/"
	rfc8183 = vectors + "rpki-rs/ca/rfc8183/"
)

// read gives a vector's bytes, or skips the test where the vectors are not on this machine. Some are DER in base64.
func read(t testing.TB, path string) []byte {
	t.Helper()
	octets, err := os.ReadFile(filepath.FromSlash(path))
	if os.IsNotExist(err) {
		t.Skipf("%s is absent: the vectors in ../shared are not on this machine", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(path, "er") && bytes.HasPrefix(octets, []byte("MI")) {
		octets = must(base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(octets), nil))))
	}
	return octets
}

var bpkiTA = regexp.MustCompile(`bpki_ta[^>]*>([^<]+)<`)

// identity gives the identity of a file: a certificate, or a message of RFC 8183 with one in it.
func identity(t testing.TB, path string) *Trust {
	t.Helper()
	der := read(t, path)
	if found := bpkiTA.FindSubmatch(der); found != nil {
		der = must(base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(found[1]), nil))))
	}
	trust, err := ParseTrust(der)
	if err != nil {
		t.Fatalf("the identity of %s: %v", path, err)
	}
	return trust
}

// The identities at hand.
const (
	alice   = interop + "issuer-alice-child-bob-parent.xml"
	bob     = interop + "bob-child-id.xml"
	carol   = interop + "carol-child-id.xml"
	krill   = vectors + "up-down/up-down/krill-ca1-id-cert.der"
	apnic   = rfc8183 + "apnic-parent-response.xml"
	afrinic = rfc8183 + "afrinic-parent-response.xml"
	absent  = "" // is not among the vectors
)

// recorded is every message of the vectors, with the identity that signed it.
var recorded = []struct {
	path     string
	identity string
	refused  string // what Open says at the signing time; "" where it opens
}{
	{interop + "pdu.170.der", alice, ""},
	{interop + "pdu.172.der", alice, ""},
	{interop + "pdu.183.der", alice, ""},
	{interop + "pdu.189.der", alice, ""},
	{interop + "pdu.180.der", bob, ""},
	{interop + "pdu.184.der", bob, ""},
	{interop + "pdu.199.der", bob, ""},
	{interop + "pdu.205.der", bob, ""},
	{interop + "pdu.196.der", carol, ""},
	{interop + "pdu.200.der", carol, ""},
	{interop + "pdu.171.der", absent, ""}, // of Alice's root server, whose identity was not handed over
	{interop + "pdu.173.der", absent, ""},
	{interop + "dtag-inbound-2.der", absent, ""},
	{interop + "dtag-inbound-10.der", absent, ""},
	{interop + "dtag-outbound-1.der", absent, ""},
	{interop + "dtag-outbound-9.der", absent, ""},
	{vectors + "up-down/up-down/krill-ca1-list-pdu.der", krill, ""},
	{vectors + "rpki-rs/ca/sigmsg/pdu_200.der", vectors + "rpki-rs/ca/sigmsg/cms_ta.cer", ""},
	{rfc6492 + "list.der", alice, ""},
	{rfc6492 + "issue.der", alice, ""},
	{rfc6492 + "issue-response.der", absent, ""},
	{rfc6492 + "list-response.ber", absent, ""}, // LACNIC's
	{rfc6492 + "apnic-response.der", apnic, ""},
	{rfc6492 + "apnic-testbed-response.der", absent, ""},
	{rfc6492 + "afrinic-response.der", afrinic, "was to be replaced by 2021-03-31"}, // it was sent with a CRL that was 18 months late
}

// TestRecorded takes each message apart, checks what its signer signed, and opens it as of its time where its identity is
// at hand. Others' identities open none.
func TestRecorded(t *testing.T) {
	read(t, krill)
	listed := map[string]bool{}
	stranger := identity(t, vectors+"up-down/up-down/krill-ca2-id-cert.der")
	for _, r := range recorded {
		listed[filepath.Clean(r.path)] = true
		t.Run(filepath.Base(r.path), func(t *testing.T) {
			der := read(t, r.path)
			p, err := parse(der)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(bytes.TrimSpace(p.content), []byte("<")) || !bytes.Contains(p.content, []byte("rescerts/up-down")) {
				t.Errorf("the content is %.100q", p.content)
			}
			_, key, err := p.signerCertificate()
			if err != nil {
				t.Fatal(err)
			}
			if err := p.signedBy(key); err != nil {
				t.Error(err)
			}
			if _, err := stranger.Open(der, p.signed); fault.KindOf(err) != fault.Secret {
				t.Errorf("a stranger's identity: %v", err)
			}
			for _, crl := range p.crls {
				if _, err := x509.ParseRevocationList(crl); err != nil {
					t.Error(err)
				}
			}
			if r.identity == absent {
				return
			}
			m, err := identity(t, r.identity).Open(der, p.signed)
			if r.refused != "" {
				if fault.KindOf(err) != fault.Secret || !strings.Contains(err.Error(), r.refused) {
					t.Errorf("it is not refused as one that %s: %v", r.refused, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if m.SigningTime != p.signed || !bytes.Equal(m.Content, p.content) {
				t.Error("what was opened is not what is in it")
			}
			if _, err := identity(t, r.identity).Open(der, time.Now()); fault.KindOf(err) != fault.Secret {
				t.Errorf("it is years old, and opens now: %v", err)
			}
		})
	}
	for _, folder := range []string{interop, rfc6492, vectors + "rpki-rs/ca/sigmsg/"} {
		for _, pattern := range []string{"*.der", "*.ber"} {
			files, _ := filepath.Glob(filepath.FromSlash(folder + pattern))
			for _, file := range files {
				if !listed[filepath.Clean(file)] {
					t.Errorf("%s is not looked at", file)
				}
			}
		}
	}
}

// TestRecordedIdentities reads every identity of the vectors.
func TestRecordedIdentities(t *testing.T) {
	read(t, krill)
	seen := 0
	for _, pattern := range []string{interop + "*.xml", rfc8183 + "*.xml", vectors + "rpki-rs/ca/*.cer", vectors + "rpki-rs/ca/sigmsg/*.cer", vectors + "up-down/up-down/*cert.der"} {
		files, _ := filepath.Glob(filepath.FromSlash(pattern))
		for _, file := range files {
			trust := identity(t, file)
			if trust.Expires().Before(time.Date(2012, 1, 1, 0, 0, 0, 0, time.UTC)) {
				t.Errorf("%s ends at %s", file, trust.Expires())
			}
			seen++
		}
	}
	if seen < 15 {
		t.Errorf("only %d identities were read", seen)
	}
}
