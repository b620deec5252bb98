package validate

import (
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cadastre/internal/fault"
)

// MTime is the time that an object's file should have in an rsync tree, so that every server gives it the same one: a
// CRL's thisUpdate, a signed object's signing-time, a certificate's notBefore. The extension of the URI tells which. It
// reads no more than it must and checks nothing; it fails with fault.Invalid where there is no such time.
func MTime(uri string, der []byte) (time.Time, error) {
	var at instant
	var ok bool
	switch extensionOf(uri) {
	case "cer":
		at, ok = notBefore(der)
	case "crl":
		at, ok = thisUpdate(der)
	default:
		at, ok = signingTime(der)
	}
	if !ok {
		return time.Time{}, fault.New(fault.Invalid, "%s is no object of its kind: no time to give its file can be read from it", uri)
	}
	return at.Time, nil
}

// toBeSigned is the inside of the first SEQUENCE of a certificate or CRL.
func toBeSigned(der []byte) (tbs cryptobyte.String, ok bool) {
	in, ok := inside(der, asn1.SEQUENCE)
	return tbs, ok && in.ReadASN1(&tbs, asn1.SEQUENCE)
}

func notBefore(der []byte) (instant, bool) {
	in, ok := toBeSigned(der)
	var times cryptobyte.String
	ok = ok && in.SkipOptionalASN1(tag0Explicit) && in.SkipASN1(asn1.INTEGER) && in.SkipASN1(asn1.SEQUENCE) &&
		in.SkipASN1(asn1.SEQUENCE) && in.ReadASN1(&times, asn1.SEQUENCE)
	if !ok {
		return instant{}, false
	}
	return clock(&times)
}

func thisUpdate(der []byte) (instant, bool) {
	in, ok := toBeSigned(der)
	if !ok || !in.SkipOptionalASN1(asn1.INTEGER) || !in.SkipASN1(asn1.SEQUENCE) || !in.SkipASN1(asn1.SEQUENCE) {
		return instant{}, false
	}
	return clock(&in)
}

func signingTime(der []byte) (instant, bool) {
	if plain, differs := derOf(der); differs {
		der = plain
	}
	outer, ok := inside(der, asn1.SEQUENCE)
	if !ok || !outer.SkipASN1(asn1.OBJECT_IDENTIFIER) {
		return instant{}, false
	}
	explicit, ok := inside(outer, tag0Explicit)
	in, ok2 := inside(explicit, asn1.SEQUENCE)
	var signers, signer, attributes cryptobyte.String
	ok = ok && ok2 && in.SkipASN1(asn1.INTEGER) && in.SkipASN1(asn1.SET) && in.SkipASN1(asn1.SEQUENCE) &&
		in.SkipOptionalASN1(tag0Explicit) && in.SkipOptionalASN1(tag1|cons) && in.ReadASN1(&signers, asn1.SET) &&
		signers.ReadASN1(&signer, asn1.SEQUENCE) && signer.SkipASN1(asn1.INTEGER)
	if !ok {
		return instant{}, false
	}
	if _, ok = element(&signer); !ok || !signer.SkipASN1(asn1.SEQUENCE) || !signer.ReadASN1(&attributes, tag0Explicit) {
		return instant{}, false
	}
	for !attributes.Empty() {
		var attribute cryptobyte.String
		if !attributes.ReadASN1(&attribute, asn1.SEQUENCE) {
			return instant{}, false
		}
		id, ok := oid(&attribute)
		values, ok2 := inside(attribute, asn1.SET)
		if ok && ok2 && string(id) == oidSigningTime {
			return clock(&values)
		}
	}
	return instant{}, false
}
