package secondopinion

import (
	"crypto/x509"
	"math/big"
	"time"
)

// CRL is what a certificate revocation list was meant to say (RFC 6487, section 5). cfrpki has no decoder of its own
// for it and leaves CRLs to crypto/x509, as is done here: that too is other code than our builder and our validator.
type CRL struct {
	Number                 *big.Int
	ThisUpdate, NextUpdate time.Time
	Revoked                []*big.Int // serials, in any order, each once
}

func (want CRL) differs(der []byte) error {
	got, err := x509.ParseRevocationList(der)
	if err != nil {
		return differ("it is no CRL: %w", err)
	}
	switch {
	case got.Number == nil || got.Number.Cmp(want.Number) != 0:
		return differ("its number is %v instead of %s", got.Number, want.Number)
	case !got.ThisUpdate.Equal(want.ThisUpdate):
		return differ("its thisUpdate is %s instead of %s", got.ThisUpdate, want.ThisUpdate)
	case !got.NextUpdate.Equal(want.NextUpdate):
		return differ("its nextUpdate is %s instead of %s", got.NextUpdate, want.NextUpdate)
	case len(got.RevokedCertificateEntries) != len(want.Revoked):
		return differ("it revokes %d certificates instead of %d", len(got.RevokedCertificateEntries), len(want.Revoked))
	}
	revoked := make(map[string]bool, len(want.Revoked))
	for _, e := range got.RevokedCertificateEntries {
		revoked[e.SerialNumber.String()] = true
	}
	for _, serial := range want.Revoked {
		if !revoked[serial.String()] {
			return differ("it does not revoke %s", serial)
		}
	}
	return nil
}
