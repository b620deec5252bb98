// Package kinds is the table of the kinds of signed objects that authorities issue, besides certificates, CRLs and manifests.
//
// It has what differs between kinds. When an object is issued, renewed, withdrawn, parked or moved follows from its payload's key and
// resources, and is the same for all kinds.
package kinds

import (
	"crypto"
	"encoding/asn1"
	"encoding/json"
	"math/big"
	"strings"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/payload"
	"cadastre/internal/validate"
)

// Kind is one kind of signed objects.
type Kind struct {
	Name        payload.Kind          // its name in records
	Title       string                // for people: "ROA"
	Payloads    string                // for people, what many of them say: "VRPs". In small letters, members of JSON are named by it
	Extension   string                // of file names, with its dot (RFC 6481, section 2.2)
	ContentType asn1.ObjectIdentifier // of the signed object (RFC 6488, section 2.1.3.1)

	// Decode reads a payload from JSON, as json.Marshal writes it.
	Decode func(object []byte) (payload.Payload, error)
	// Parse reads what the payload's String wrote. It fails with BadInput.
	Parse func(text string) (payload.Payload, error)
	// Sign makes the object for a payload of this kind: DER, and the serial number of its EE certificate. If there is a second decoder for
	// the kind, that has to agree.
	Sign func(p payload.Payload, o Order) (der []byte, serial *big.Int, err error)
	// Found lists the payloads of this kind that the gate found valid for the CA whose certificate is at a URI: as text, sorted, without
	// duplicates.
	Found func(v *validate.Verdict, uri string) []string
	// Shown lists the payloads of this kind that a relying party found valid for a CA.
	Shown func(a *validate.AuthorityResult) []payload.Payload
	// Rests is what an object rests on: the resources that it names. The set is empty if it is none of this kind.
	Rests func(der []byte, options ...validate.Option) inr.Set
	// Lines is payloads of several CAs, as text, as validators print them: sorted, and merged if validators merge them.
	Lines func(says []string) ([]string, error)
}

// Order is what is needed to sign an object.
type Order struct {
	Place               object.Place
	NotBefore, NotAfter time.Time
	Issuer              crypto.Signer // the authority's key
	OneTime             crypto.Signer // the object's own
	At                  time.Time     // the signing time
}

// Table is all kinds, in the order in which they are listed.
var Table = [...]*Kind{&ROA, &ASPA}

// Of is the kind with a name. It fails where there is none.
func Of(name payload.Kind) (*Kind, error) {
	for _, k := range Table {
		if k.Name == name {
			return k, nil
		}
	}
	return nil, fault.New(fault.Corrupt, "no kind of signed objects is called %q: a newer version of the program wrote the store; use that version", name)
}

// ByExtension is the kind of objects that a file name, or a URI, ends as; nil where there is none.
func ByExtension(name string) *Kind {
	for _, k := range Table {
		if strings.HasSuffix(name, k.Extension) {
			return k
		}
	}
	return nil
}

// Parse reads a payload of a kind from text. It fails with Corrupt where there is no such kind, and with BadInput.
func Parse(name payload.Kind, text string) (payload.Payload, error) {
	k, err := Of(name)
	if err != nil {
		return nil, err
	}
	return k.Parse(text)
}

// payloads is what a validator found, each as a payload of the type P.
func payloads[P payload.Payload, V any](found []V, of func(V) P) []payload.Payload {
	says := make([]payload.Payload, len(found))
	for i, v := range found {
		says[i] = of(v)
	}
	return says
}

// decode reads a payload of the type P from JSON.
func decode[P payload.Payload](object []byte) (payload.Payload, error) {
	var p P
	err := json.Unmarshal(object, &p)
	return p, err
}
