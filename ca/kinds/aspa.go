package kinds

import (
	"encoding/asn1"
	"math/big"

	"cadastre/aspa"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/payload"
	"cadastre/internal/secondopinion"
	"cadastre/internal/validate"
)

// ASPA is the kind of Autonomous System Provider Authorizations (draft-ietf-sidrops-aspa-profile-30), one for each customer AS.
var ASPA = Kind{
	Name: aspa.Kind, Title: "ASPA", Payloads: "ASPAs", Extension: ".asa", ContentType: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 49},
	Decode: decode[aspa.VAP],
	Parse:  func(text string) (payload.Payload, error) { return aspa.ParseVAP(text) },
	Sign:   signASPA,
	Found:  func(v *validate.Verdict, uri string) []string { return payload.Texts(payloads(v.VAPs[uri], vapOf)) },
	Shown:  func(a *validate.AuthorityResult) []payload.Payload { return payloads(a.VAPs, vapOf) },
	Rests: func(der []byte, options ...validate.Option) inr.Set {
		if a, _ := validate.ParseASPA(der, options...); a != nil {
			return inr.OfAS(a.Customer, a.Customer)
		}
		return inr.Set{}
	},
	Lines: mergedASPAs,
}

func vapOf(v validate.VAP) aspa.VAP { return aspa.VAP(v) }

// mergedASPAs has one line for each customer AS, ascending.
func mergedASPAs(says []string) ([]string, error) {
	all := make([]validate.VAP, len(says))
	for i, text := range says {
		v, err := aspa.ParseVAP(text)
		if err != nil {
			return nil, err
		}
		all[i] = validate.VAP(v)
	}
	merged, _ := validate.MergeVAPs(all)
	lines := make([]string, len(merged))
	for i, v := range merged {
		lines[i] = v.String()
	}
	return lines, nil
}

func signASPA(p payload.Payload, o Order) ([]byte, *big.Int, error) {
	vap, ok := p.(aspa.VAP)
	if !ok {
		return nil, nil, fault.New(fault.Internal, "%s is no VAP, and can't be signed as an ASPA", p)
	}
	a := object.ASPA{Place: o.Place, Customer: vap.Customer, Providers: vap.Providers, NotBefore: o.NotBefore, NotAfter: o.NotAfter}
	der, serial, err := a.Sign(o.Issuer, o.OneTime, o.At)
	if err != nil {
		return nil, nil, err
	}
	return der, serial, secondopinion.Check(o.Place.Object, der, secondopinion.ASPA{Customer: vap.Customer, Providers: vap.Providers})
}
