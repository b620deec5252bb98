package kinds

import (
	"encoding/asn1"
	"math/big"
	"slices"

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
	Found: func(v *validate.Verdict, uri string) []string {
		says := make([]string, len(v.VRPs[uri]))
		for i, vrp := range v.VRPs[uri] {
			says[i] = roa.VRP(vrp).String()
		}
		slices.Sort(says)
		return slices.Compact(says)
	},
	Shown: func(a *validate.AuthorityResult) []payload.Payload {
		says := make([]payload.Payload, len(a.VRPs))
		for i, vrp := range a.VRPs {
			says[i] = roa.VRP(vrp)
		}
		return says
	},
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
