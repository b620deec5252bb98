package issued

import (
	"crypto/sha256"
	"encoding/json"
	"math/big"
	"slices"
	"time"

	"cadastre/ca/kinds"
	"cadastre/internal/payload"
)

// Product is an object that an authority issued and lists in its manifest.
type Product struct {
	Name    string // file name
	Says    Says
	Hash    [sha256.Size]byte
	Serial  *big.Int // of the certificate, or of the signed object's EE certificate
	Expires time.Time
}

// Says is what a product says: for a certificate the Name of the authority that it certifies, for a signed object its payload.Payload.
type Says interface{ String() string }

// Certifies is the authority that a certificate certifies; false for a signed object.
func (p *Product) Certifies() (Name, bool) {
	name, is := p.Says.(Name)
	return name, is
}

// Payload is what a signed object says; false for a certificate.
func (p *Product) Payload() (payload.Payload, bool) {
	said, is := p.Says.(payload.Payload)
	return said, is
}

// certificate is the kind of certificates in records. Signed objects have the names of kinds.Table there.
const certificate payload.Kind = "certificate"

// productJSON is a product in the store.
type productJSON struct {
	Name    string
	Kind    payload.Kind
	Hash    [sha256.Size]byte
	Serial  *big.Int
	Expires time.Time
	Says    string
}

// MarshalJSON writes the record.
func (p Product) MarshalJSON() ([]byte, error) {
	kind := certificate
	if said, is := p.Payload(); is {
		kind = said.Kind()
	}
	return json.Marshal(productJSON{p.Name, kind, p.Hash, p.Serial, p.Expires, p.Says.String()})
}

// UnmarshalJSON reads the record. It fails where no kind of signed objects has the name that is in it.
func (p *Product) UnmarshalJSON(text []byte) error {
	var record productJSON
	if err := json.Unmarshal(text, &record); err != nil {
		return err
	}
	*p = Product{Name: record.Name, Hash: record.Hash, Serial: record.Serial, Expires: record.Expires, Says: Parse(record.Says)}
	if record.Kind == certificate {
		return nil
	}
	said, err := kinds.Parse(record.Kind, record.Says)
	p.Says = said
	return err
}

// ObjectNames lists the file names of the signed objects that have a payload, sorted.
func (r *Records) ObjectNames() []string {
	var names []string
	for name, product := range r.Products {
		if _, is := product.Payload(); is {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Payloads lists the payloads of the signed objects, in no order.
func (r *Records) Payloads() []payload.Payload {
	var list []payload.Payload
	for _, product := range r.Products {
		if said, is := product.Payload(); is {
			list = append(list, said)
		}
	}
	return list
}
