package kinds

import (
	"encoding/asn1"
	"math/big"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/payload"
	"cadastre/internal/secondopinion"
	"cadastre/internal/validate"
	"cadastre/roa"
)

// ROA is the kind of route origin authorizations (RFC 9582), each with one VRP.
var ROA = Kind{
	Name: roa.Kind, Title: "ROA", Payloads: "VRPs", Extension: ".roa", ContentType: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 24},
	Decode: decode[roa.VRP],
	Parse:  func(text string) (payload.Payload, error) { return roa.ParseVRP(text) },
	Sign:   signROA,
	Found:  func(v *validate.Verdict, uri string) []string { return payload.Texts(payloads(v.VRPs[uri], vrpOf)) },
	Shown:  func(a *validate.AuthorityResult) []payload.Payload { return payloads(a.VRPs, vrpOf) },
	Rests: func(der []byte, options ...validate.Option) inr.Set {
		r, _ := validate.ParseROA(der, options...)
		if r == nil {
			return inr.Set{}
		}
		sets := make([]inr.Set, len(r.Prefixes))
		for i, p := range r.Prefixes {
			sets[i] = inr.OfPrefix(p.Prefix)
		}
		return inr.Sum(sets...)
	},
	Lines: func(says []string) ([]string, error) { return says, nil },
}

func vrpOf(v validate.VRP) roa.VRP { return roa.VRP(v) }

func signROA(p payload.Payload, o Order) ([]byte, *big.Int, error) {
	vrp, ok := p.(roa.VRP)
	if !ok {
		return nil, nil, fault.New(fault.Internal, "%s is no VRP, and can't be signed as a ROA", p)
	}
	r := object.ROA{
		Place: o.Place, ASN: vrp.ASN, Prefixes: []object.ROAPrefix{{Prefix: vrp.Prefix, MaxLength: vrp.MaxLength}},
		NotBefore: o.NotBefore, NotAfter: o.NotAfter,
	}
	der, serial, err := r.Sign(o.Issuer, o.OneTime, o.At)
	if err != nil {
		return nil, nil, err
	}
	want := secondopinion.ROA{ASN: vrp.ASN, Prefixes: []secondopinion.Prefix{{Prefix: vrp.Prefix, MaxLength: vrp.MaxLength}}}
	return der, serial, secondopinion.Check(o.Place.Object, der, want)
}
