// Package kinds is the table of the kinds of signed objects that authorities issue, besides certificates, CRLs and manifests.
//
// What is the same for all kinds is not here: when an object is issued, renewed, withdrawn, parked or moved follows from
// its payload's key and resources.
package kinds

import (
	"crypto"
	"encoding/asn1"
	"math/big"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/object"
	"cadastre/internal/payload"
	"cadastre/internal/validate"
)

// Kind is one kind of signed objects.
type Kind struct {
	Name        payload.Kind          // in records
	Title       string                // for people: "ROA"
	Extension   string                // of file names, with its dot (RFC 6481, section 2.2)
	ContentType asn1.ObjectIdentifier // of the signed object (RFC 6488, section 2.1.3.1)

	// Parse reads what the payload's String wrote. It fails with BadInput.
	Parse func(text string) (payload.Payload, error)
	// Sign makes the object of a payload of this kind, and has another decoder than ours agree with it where there is one.
	// It gives the object in DER and the serial number of its EE certificate.
	Sign func(p payload.Payload, o Order) (der []byte, serial *big.Int, err error)
	// Found is the payloads of this kind that the gate found valid for the CA whose certificate is at a URI, as text,
	// sorted, each once.
	Found func(v *validate.Verdict, uri string) []string
}

// Order is with what an object is signed.
type Order struct {
	Place               object.Place
	NotBefore, NotAfter time.Time
	Issuer              crypto.Signer // the authority's key
	OneTime             crypto.Signer // the object's own
	At                  time.Time     // the signing time
}

// Table is all kinds, in the order in which they are listed.
var Table = []*Kind{&ROA, &ASPA}

// Of is the kind of that name.
func Of(name payload.Kind) (*Kind, error) {
	for _, k := range Table {
		if k.Name == name {
			return k, nil
		}
	}
	return nil, fault.New(fault.Corrupt, "no kind of signed objects is called %q: a newer version of the program wrote the store; use that version", name)
}

// Parse reads a payload of a kind from text. It fails with Corrupt where there is no such kind, and with BadInput.
func Parse(name payload.Kind, text string) (payload.Payload, error) {
	k, err := Of(name)
	if err != nil {
		return nil, err
	}
	return k.Parse(text)
}
