// Package issued keeps the records of what is issued: authorities, their products, and what they revoked.
package issued

import (
	"math/big"
	"time"

	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/payload"
)

// Authority is the record of a CA: its key, its certificate, and its newest manifest. Its Products are other records. If the key is a
// delegated CA's, there is only the certificate, which its issuer's manifest lists. It has many fields, since a plan goes by this one record
// and reads no object.
type Authority struct {
	Name       Name                 // among the authorities
	Holder     string               // the organisation, or AnchorHolder
	Issuer     Name                 // the issuing authority; the anchor's is itself
	Repository string               // handle of the registry in whose repository it publishes, or name of the mirror of a remote repository
	Base       string               `json:",omitempty"` // in a remote repository: the folder that is ours there
	Notify     string               `json:",omitempty"` // in a remote repository: its notification file
	Path       string               // its folder in the repository
	Delegated  *Place               `json:",omitempty"` // where it publishes, when its key is not ours
	KeyID      object.KeyIdentifier // of its key
	KeyInfo    []byte               // SubjectPublicKeyInfo
	Subject    []byte               `json:",omitempty"` // its name in its certificate, DER, if a parent elsewhere chose it

	Certified      inr.Set   // what its certificate names
	CertificateURI string    // where that certificate is published
	CertSerial     *big.Int  // of that certificate
	CertExpires    time.Time // notAfter of that certificate
	Certificated   time.Time `json:",omitzero"`         // when it was issued or, if it is from a parent elsewhere, adopted
	Grown          []Growth  `json:"Growths,omitempty"` // its growths that still soak, the oldest first
	Shed           time.Time `json:",omitzero"`         // when the authority last issued a smaller certificate, or withdrew a signed object

	Number         uint64    // of the newest manifest and of the CRL beside it
	ThisUpdate     time.Time // of both
	NextUpdate     time.Time // of both
	ManifestSerial *big.Int  // of the manifest's EE certificate

	Objects int `json:"ROAs"` // how many signed objects with a payload it has issued and not withdrawn
	// Kinds is how many of them are of each kind. It is nil in records of older versions: then all are ROAs.
	Kinds       map[payload.Kind]int `json:",omitempty"`
	FirstObject time.Time            `json:"FirstROA"` // when the first of them ends; zero where it has none
}

// Growth records that a certificate got more resources.
type Growth struct {
	At     time.Time
	Before inr.Set // what it named before and after
}

// Place is the publication point of a CA, as in the subject information access of its certificate (RFC 6487, section 4.8.8.1).
type Place struct {
	Repository string // caRepository, rsync
	Manifest   string // rpkiManifest, rsync
	Notify     string // rpkiNotify, https; may be empty
}

// Revocation is a serial number that a CRL has to list until the certificate would have ended.
type Revocation struct {
	Serial  *big.Int
	At      time.Time
	Expires time.Time
}

// Records is all that is kept of one authority.
type Records struct {
	Authority
	Products map[string]Product // by file name
	Revoked  []Revocation
}

// PublicKey is the authority's public key.
func (a *Authority) PublicKey() object.PublicKey {
	return object.PublicKey{Info: a.KeyInfo, ID: a.KeyID}
}

// ManifestName is the file name of its manifest.
func (a *Authority) ManifestName() string { return a.KeyID.FileName() + ".mft" }

// CRLName is the file name of its CRL.
func (a *Authority) CRLName() string { return a.KeyID.FileName() + ".crl" }

// CertificateName is the file name of its certificate.
func (a *Authority) CertificateName() string { return a.KeyID.FileName() + ".cer" }

// Awaits tells whether the authority has no certificate yet.
func (a *Authority) Awaits() bool { return a.CertSerial == nil }

// NoteCertified notes what the authority's certificate names from now on, and what it named before, which some readers may still hold. Growths until
// the time known are forgotten: all readers have seen them.
func (a *Authority) NoteCertified(resources inr.Set, now, known time.Time) {
	var grown []Growth
	for _, g := range a.Grown {
		if g.At.After(known) {
			grown = append(grown, Growth{g.At, g.Before.Intersect(resources)})
		}
	}
	if !a.Certified.Empty() && !a.Certified.Contains(resources) {
		grown = append(grown, Growth{now, a.Certified.Intersect(resources)})
	}
	a.Grown = grown
	a.Certified = resources
}
