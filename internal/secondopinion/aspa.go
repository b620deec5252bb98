package secondopinion

import (
	"encoding/asn1"
	"slices"

	librpki "github.com/cloudflare/cfrpki/validator/lib"

	"cadastre/internal/inr"
)

// ASPA is what an Autonomous System Provider Authorization was meant to say (draft-ietf-sidrops-aspa-profile). cfrpki knows no
// ASPAs: it reads the CMS and the EE certificate, and encoding/asn1 reads the content.
type ASPA struct {
	Customer  uint32
	Providers []uint32 // ascending
}

var aspaOID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 49}

func (want ASPA) differs(der []byte) error {
	if err := signedObject(der, aspaOID); err != nil {
		return err
	}
	cms, err := librpki.DecodeCMS(der)
	if err != nil {
		return differ("it is no CMS: %w", err)
	}
	var encap struct {
		Type    asn1.ObjectIdentifier
		Content []byte `asn1:"tag:0,explicit"`
	}
	if _, err := asn1.Unmarshal(cms.SignedData.EncapContentInfo.FullBytes, &encap); err != nil {
		return differ("it has no content: %w", err)
	}
	var got struct {
		Version   int64 `asn1:"tag:0,explicit"`
		Customer  int64
		Providers []int64
	}
	if rest, err := asn1.Unmarshal(encap.Content, &got); err != nil || len(rest) > 0 {
		return differ("it is no ASPA: %w, %d bytes follow it", err, len(rest))
	}
	ee, err := cms.GetRPKICertificate()
	if err != nil {
		return differ("it has no readable EE certificate: %w", err)
	}
	valid := cms.Validate(encap.Content, ee.Certificate)
	if err := inner(valid == nil, valid, ee); err != nil {
		return err
	}
	resources, err := resourcesOf(ee)
	if err != nil {
		return err
	}
	meant := make([]int64, len(want.Providers))
	for i, p := range want.Providers {
		meant[i] = int64(p)
	}
	switch {
	case got.Version != 1:
		return differ("it is of version %d instead of 1", got.Version)
	case got.Customer != int64(want.Customer):
		return differ("it is of AS%d instead of AS%d", got.Customer, want.Customer)
	case !slices.Equal(got.Providers, meant):
		return differ("it names the providers %v instead of %v", got.Providers, meant)
	case !resources.Equal(inr.OfAS(want.Customer, want.Customer)):
		return differ("its EE certificate names %q instead of AS%d", resources, want.Customer)
	}
	return nil
}
