package ca

import (
	"crypto/sha256"
	"math/big"
	"time"

	"cadastre/federation"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/store"
)

// AnchorName is the name under which the trust anchor stands among the authorities. No organisation can have it.
const AnchorName = "#anchor"

// issuedHere is why deposits do not have what was issued.
var issuedHere = store.Withheld("what was issued with keys that the successor doesn't have: the objects themselves are deposited")

var (
	// name -> Authority
	authorityBucket = store.Declare("authority", "ca", issuedHere)
	// name 0x00 file name -> Product
	productBucket = store.Declare("product", "ca", issuedHere)
	// name 0x00 serial -> Revocation
	revokedBucket = store.Declare("revoked", "ca", issuedHere)
	// hex of the key identifier -> sealed private key
	keyBucket = store.Declare("key", "ca", store.Withheld("private keys, sealed"))
	// single values: installation, vault, anchor's certificate, clock
	engineBucket = store.Declare("engine", "ca", store.Withheld("the vault and the sealed key of the identity; what of the rest a successor needs is in Settings"))
)

// Authority is what is kept of a CA: its key, its certificate, and how far its manifests have come. What it issued are
// its products. Of a delegated CA's key only the certificate is kept, which its issuer's manifest lists.
type Authority struct {
	Name       string               // among the authorities, see name
	Holder     string               // the organisation, or AnchorName
	Issuer     string               // the name of the issuing authority; the anchor's is itself
	Repository string               // handle of the registry in whose repository it publishes, or name of the mirror of another's
	Base       string               `json:",omitempty"` // of another's repository: the folder that is ours there
	Notify     string               `json:",omitempty"` // of another's repository: its notification file
	Path       string               // its folder there
	Delegated  *federation.Place    `json:",omitempty"` // where it publishes, when its key is not ours
	KeyID      object.KeyIdentifier // of its key
	KeyInfo    []byte               // SubjectPublicKeyInfo
	Subject    []byte               `json:",omitempty"` // its name in its certificate, DER, where a parent outside the tree chose it

	Certified      inr.Set   // what its certificate names
	CertificateURI string    // where that certificate is published
	CertSerial     *big.Int  // of that certificate
	CertExpires    time.Time // notAfter of that certificate
	Certificated   time.Time `json:",omitzero"`         // when it was issued or, from outside, taken
	Grown          []Growth  `json:"Growths,omitempty"` // when it got more, the oldest first, as long as that soaks
	Shed           time.Time `json:",omitzero"`         // when the authority last gave one below it less, or withdrew a ROA

	Number         uint64    // of the newest manifest and of the CRL beside it
	ThisUpdate     time.Time // of both
	NextUpdate     time.Time // of both
	ManifestSerial *big.Int  // of the manifest's EE certificate

	ROAs     int       // how many it has issued and not withdrawn
	FirstROA time.Time // when the first of them ends; zero where it has none
}

// Growth is that a certificate got more.
type Growth struct {
	At     time.Time
	Before inr.Set // what it had named before, and names still
}

// outside stands for the issuer of what a parent outside the tree certified.
const outside = "#outside"

// ProductKind says what a product is.
type ProductKind string

// The kinds of products that are listed in a manifest, besides the CRL.
const (
	CertificateProduct ProductKind = "certificate"
	ROAProduct         ProductKind = "roa"
)

// Product is an object that an authority issued and lists in its manifest.
type Product struct {
	Name    string // file name
	Kind    ProductKind
	Hash    [sha256.Size]byte
	Serial  *big.Int // of the certificate, or of the signed object's EE certificate
	Expires time.Time
	Says    string // a certificate: the authority certified; a ROA: its VRP
}

// Revocation is a serial number that a CRL has to list until the certificate would have ended.
type Revocation struct {
	Serial  *big.Int
	At      time.Time
	Expires time.Time
}

// issued is all that is kept of one authority.
type issued struct {
	Authority
	products map[string]Product // by file name
	revoked  []Revocation
}

func (a *Authority) publicKey() object.PublicKey {
	return object.PublicKey{Info: a.KeyInfo, ID: a.KeyID}
}
func (a *Authority) manifestName() string    { return a.KeyID.FileName() + ".mft" }
func (a *Authority) crlName() string         { return a.KeyID.FileName() + ".crl" }
func (a *Authority) certificateName() string { return a.KeyID.FileName() + ".cer" }

// place is where an authority's folder is.
func (p *Policy) place(a *Authority) string {
	switch {
	case a.Delegated != nil:
		return a.Delegated.Repository
	case a.Base != "":
		return a.Base + a.Path + "/"
	}
	return p.RsyncBase + a.Repository + "/" + a.Path + "/"
}

// manifestURI is where an authority's manifest is.
func (p *Policy) manifestURI(a *Authority) string {
	if a.Delegated != nil {
		return a.Delegated.Manifest
	}
	return p.place(a) + a.manifestName()
}

// notifyOf is the notification file of the repository that an authority publishes in.
func (p *Policy) notifyOf(a *Authority) string {
	switch {
	case a.Delegated != nil:
		return a.Delegated.Notify
	case a.Base != "":
		return a.Notify
	}
	return p.notify(a.Repository)
}

// awaits tells whether an authority has no certificate yet.
func (a *Authority) awaits() bool { return a.CertSerial == nil }

// notify is the notification file of a registry's repository.
func (p *Policy) notify(registry string) string { return p.RRDPBase + registry + "/notification.xml" }

// anchorURI is the trust anchor's certificate over rsync.
func (p *Policy) anchorURI() string { return p.RsyncBase + "ta/ta.cer" }

func within(authority, name string) []byte { return []byte(authority + "\x00" + name) }

// readIssued reads all that is kept of an authority; nil where there is none.
func readIssued(r store.Reader, authority string) (*issued, error) {
	a, err := store.Value[Authority](r, authorityBucket, []byte(authority))
	if a == nil || err != nil {
		return nil, err
	}
	in := &issued{Authority: *a, products: map[string]Product{}}
	err = store.EachValue(r, productBucket, within(authority, ""), func(_ string, p *Product) { in.products[p.Name] = *p })
	if err == nil {
		err = store.EachValue(r, revokedBucket, within(authority, ""), func(_ string, rev *Revocation) { in.revoked = append(in.revoked, *rev) })
	}
	if err != nil {
		return nil, err
	}
	return in, nil
}
