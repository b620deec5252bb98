package object

import (
	"crypto"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"cadastre/internal/inr"
)

var oidContentASPA = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 49}

// MaxProviders is how many providers an ASPA may name. Relying parties are advised to ignore a customer AS that has more than some
// number between 4,000 and 10,000 (draft-ietf-sidrops-aspa-profile), and take different ones; so many, all of them take. An ASPA
// with as many has some 30 kB, and relying parties take objects of 8,000,000 bytes.
const MaxProviders = 4000

// ASPA is what an Autonomous System Provider Authorization says (draft-ietf-sidrops-aspa-profile-30).
type ASPA struct {
	Place
	Customer            uint32
	Providers           []uint32 // 1 to MaxProviders, without Customer; 0 alone: it has none
	NotBefore, NotAfter time.Time
}

// Sign makes the ASPA; see Manifest.Sign for the keys. The EE certificate names exactly the customer AS, and no addresses.
// Providers are written in ascending order, each once. It fails where an ASPA can't say what it is to say.
//
//	ASProviderAttestation ::= SEQUENCE {
//	  version [0] INTEGER DEFAULT 0,                              -- 1, written out
//	  customerASID INTEGER (1..4294967295), providers SEQUENCE (SIZE(1..MAX)) OF INTEGER (0..4294967295) }
func (a *ASPA) Sign(issuer, oneTime crypto.Signer, at time.Time) ([]byte, *big.Int, error) {
	providers := slices.Clone(a.Providers)
	slices.Sort(providers)
	providers = slices.Compact(providers)
	switch n := len(providers); {
	case a.Customer == 0:
		return nil, nil, fmt.Errorf("an ASPA can't be of AS 0")
	case n == 0 || n > MaxProviders:
		return nil, nil, fmt.Errorf("the ASPA of AS%d has %d providers; 1 to %d can be written", a.Customer, n, MaxProviders)
	case n > 1 && providers[0] == 0:
		return nil, nil, fmt.Errorf("the ASPA of AS%d names AS 0 beside other providers", a.Customer)
	case slices.Contains(providers, a.Customer):
		return nil, nil, fmt.Errorf("the ASPA of AS%d names the AS itself as a provider", a.Customer)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddASN1Int64(1) })
		b.AddASN1Uint64(uint64(a.Customer))
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, p := range providers {
				b.AddASN1Uint64(uint64(p))
			}
		})
	})
	content, err := b.Bytes()
	if err != nil {
		return nil, nil, err
	}
	ee := Certificate{NotBefore: a.NotBefore, NotAfter: a.NotAfter, Resources: inr.OfAS(a.Customer, a.Customer)}
	return a.wrap(oidContentASPA, content, ee, issuer, oneTime, at)
}
