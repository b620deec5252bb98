package secondopinion

import (
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"net/netip"
	"time"

	librpki "github.com/cloudflare/cfrpki/validator/lib"

	"cadastre/internal/inr"
)

// Certificate is what a CA certificate was meant to say (RFC 6487).
type Certificate struct {
	Serial              *big.Int
	NotBefore, NotAfter time.Time
	Resources           inr.Set // exactly these; a CA of ours never inherits
	Repository          string  // id-ad-caRepository
	Manifest            string  // id-ad-rpkiManifest
	Notify              string  // id-ad-rpkiNotify; "" for none
}

func (want Certificate) differs(der []byte) error {
	// cfrpki calls the same parser, and prints on standard output what that cannot parse: so it is called here first
	if _, err := x509.ParseCertificate(der); err != nil {
		return differ("it is no certificate: %w", err)
	}
	got, err := librpki.DecodeCertificate(der)
	if err != nil {
		return differ("it is no resource certificate: %w", err)
	}
	c := got.Certificate
	switch {
	case c.SerialNumber.Cmp(want.Serial) != 0:
		return differ("its serial is %s instead of %s", c.SerialNumber, want.Serial)
	case !c.NotBefore.Equal(want.NotBefore) || !c.NotAfter.Equal(want.NotAfter):
		return differ("it is valid from %s to %s instead of from %s to %s", c.NotBefore, c.NotAfter, want.NotBefore, want.NotAfter)
	case !c.IsCA:
		return differ("it is not that of a CA")
	}
	resources, err := resourcesOf(got)
	if err != nil {
		return err
	}
	if !resources.Equal(want.Resources) {
		return differ("it lacks %q and has %q too much", want.Resources.Minus(resources), resources.Minus(want.Resources))
	}
	return want.access(got.SubjectInformationAccess)
}

// access compares the subject information access with what was meant (RFC 6487, section 4.8.8.1).
func (want Certificate) access(sias []librpki.SIA) error {
	meant := []struct {
		name   string
		method asn1.ObjectIdentifier
		uri    string
	}{
		{"caRepository", librpki.CertRepository, want.Repository},
		{"rpkiManifest", librpki.SIAManifest, want.Manifest},
		{"rpkiNotify", librpki.CertRRDP, want.Notify},
	}
	known := 0
	for _, m := range meant {
		var got []string
		for _, s := range sias {
			if s.AccessMethod.Equal(m.method) {
				got = append(got, string(s.GeneralName))
			}
		}
		known += len(got)
		if len(got) > 1 || len(got) == 0 && m.uri != "" || len(got) == 1 && got[0] != m.uri {
			return differ("its %s is %q instead of %q", m.name, got, m.uri)
		}
	}
	if known != len(sias) {
		return differ("it has %d access descriptions that were not meant", len(sias)-known)
	}
	return nil
}

// resourcesOf is the resources of a certificate as cfrpki reads them.
func resourcesOf(cert *librpki.RPKICertificate) (inr.Set, error) {
	var ips []inr.IPRange
	for _, r := range cert.IPAddresses {
		first, last, inherit := r.GetRange()
		if inherit {
			return inr.Set{}, differ("it inherits addresses")
		}
		a, okA := netip.AddrFromSlice(first)
		b, okB := netip.AddrFromSlice(last)
		if !okA || !okB || b.Less(a) {
			return inr.Set{}, differ("it has %s among its addresses", r)
		}
		ips = append(ips, inr.IPRange{First: a, Last: b})
	}
	var asns []inr.ASRange
	for _, r := range cert.ASNums {
		first, last, inherit := r.GetRange()
		if inherit {
			return inr.Set{}, differ("it inherits AS numbers")
		}
		if first < 0 || last < first || last > 1<<32-1 {
			return inr.Set{}, differ("it has %s among its AS numbers", r)
		}
		asns = append(asns, inr.ASRange{First: uint32(first), Last: uint32(last)})
	}
	if len(cert.ASNRDI) > 0 {
		return inr.Set{}, differ("it has routing domain identifiers")
	}
	return inr.Of(ips, asns), nil
}
