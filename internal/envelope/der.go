package envelope

import (
	"encoding/asn1"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const (
	tag0       = cbasn1.Tag(0x80)
	tag0Around = cbasn1.Tag(0xa0)
	tag1Around = cbasn1.Tag(0xa1)
)

// only reads one element of a tag that must be all of what s is.
func only(s cryptobyte.String, tag cbasn1.Tag) (cryptobyte.String, bool) {
	var in cryptobyte.String
	ok := s.ReadASN1(&in, tag)
	return in, ok && s.Empty()
}

// element reads one element of any tag whole, header included.
func element(s *cryptobyte.String) (cryptobyte.String, bool) {
	var raw cryptobyte.String
	var tag cbasn1.Tag
	ok := s.ReadAnyASN1Element(&raw, &tag)
	return raw, ok
}

// elements reads 1 to most elements that must be all of what s is.
func elements(s cryptobyte.String, most int) (all [][]byte, ok bool) {
	for !s.Empty() {
		raw, ok := element(&s)
		if !ok || len(all) == most {
			return nil, false
		}
		all = append(all, raw)
	}
	return all, len(all) > 0
}

func oid(s *cryptobyte.String) (id asn1.ObjectIdentifier, ok bool) {
	ok = s.ReadASN1ObjectIdentifier(&id)
	return id, ok
}

func isVersion3(s *cryptobyte.String) bool {
	var version int
	return s.ReadASN1Integer(&version) && version == 3
}

// isSHA256 tells whether s is one AlgorithmIdentifier of SHA-256; RFC 5754, section 2 wants both forms to be read.
func isSHA256(s []byte) bool { return string(s) == algSHA256 || string(s) == algSHA256WithNull }

// addTime writes a time as RFC 5652, section 11.3 wants it: UTCTime through 2049, GeneralizedTime after.
func addTime(b *cryptobyte.Builder, t time.Time) {
	if t = t.UTC(); t.Year() < 2050 {
		b.AddASN1UTCTime(t)
	} else {
		b.AddASN1GeneralizedTime(t)
	}
}

// readTime reads a time of that form which must be all that is left: to the second, in Zulu.
func readTime(s *cryptobyte.String) (t time.Time, ok bool) {
	const utcOctets, generalizedOctets = 2 + len("YYMMDDhhmmssZ"), 2 + len("YYYYMMDDhhmmssZ")
	switch {
	case len(*s) == utcOctets && (*s)[len(*s)-1] == 'Z' && s.PeekASN1Tag(cbasn1.UTCTime):
		ok = s.ReadASN1UTCTime(&t)
	case len(*s) == generalizedOctets && (*s)[len(*s)-1] == 'Z' && s.PeekASN1Tag(cbasn1.GeneralizedTime):
		ok = s.ReadASN1GeneralizedTime(&t) && t.Year() >= 2050
	}
	return t, ok
}
