package validate

import (
	"encoding/hex"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cadastre/internal/fault"
)

// The tags that context decides.
const (
	tag0 = asn1.Tag(0x80) // [0] IMPLICIT, primitive
	tag1 = asn1.Tag(0x81)
	tag2 = asn1.Tag(0x82)
	cons = asn1.Tag(0x20) // constructed
)

// cryptobyte reads DER only: definite minimal lengths, minimal integers, booleans of 0x00 and 0xFF, zero padding in bit
// strings. What it leaves to its caller is trailing bytes, defaults that are written out, and the order of SET OF.

// inside reads one element of a tag that must be all of what is left in s.
func inside(s cryptobyte.String, tag asn1.Tag) (cryptobyte.String, bool) {
	var in cryptobyte.String
	return in, s.ReadASN1(&in, tag) && s.Empty()
}

// element reads one element of any tag whole, header included.
func element(s *cryptobyte.String) ([]byte, bool) {
	var raw cryptobyte.String
	var tag asn1.Tag
	return raw, s.ReadAnyASN1Element(&raw, &tag)
}

// oid reads an OBJECT IDENTIFIER and gives its contents, to compare with the constants of oid.go.
func oid(s *cryptobyte.String) ([]byte, bool) {
	var id cryptobyte.String
	return id, s.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) && len(id) > 0
}

// octets reads an OCTET STRING.
func octets(s *cryptobyte.String) ([]byte, bool) {
	var out cryptobyte.String
	return out, s.ReadASN1(&out, asn1.OCTET_STRING)
}

// isNull tells whether s is one NULL and nothing else.
func isNull(s []byte) bool { return string(s) == "\x05\x00" }

// Serial is a certificate's serial number, or the number of a CRL or manifest: at most 20 octets (RFC 5280, section
// 4.1.2.2), most significant first. It can be compared and be the key of a map.
type Serial [20]byte

// Int is the serial as a number.
func (s Serial) Int() *big.Int { return new(big.Int).SetBytes(s[:]) }

// String is the number in hexadecimal.
func (s Serial) String() string { return s.Int().Text(16) }

// MarshalText writes all octets in hexadecimal.
func (s Serial) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, s[:]), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Serial) UnmarshalText(text []byte) error {
	if len(text) != 2*len(s) {
		return fault.New(fault.Invalid, "a serial number has %d hexadecimal digits, not %d", 2*len(s), len(text))
	}
	_, err := hex.Decode(s[:], text)
	return fault.Wrap(err, "%q is no serial number", text)
}

// numbering tells how a number that should be a Serial is wrong.
type numbering int

const (
	numberOK numbering = iota
	numberNotDER
	numberNegative
	numberTooBig
)

// number reads an INTEGER from 0 to 2^159-1.
func number(s *cryptobyte.String) (Serial, numbering) {
	var n Serial
	var in cryptobyte.String
	if !s.ReadASN1(&in, asn1.INTEGER) || len(in) == 0 || len(in) > 1 && (in[0] == 0 && in[1] < 0x80 || in[0] == 0xFF && in[1] >= 0x80) {
		return n, numberNotDER
	}
	if in[0] >= 0x80 {
		return n, numberNegative
	}
	if len(in) > len(n) {
		return n, numberTooBig
	}
	copy(n[len(n)-len(in):], in)
	return n, numberOK
}

// small reads an INTEGER from 0 to limit.
func small(s *cryptobyte.String, limit uint64) (uint64, bool) {
	var n uint64
	return n, s.ReadASN1Integer(&n) && n <= limit
}

// instant is a point in time and the type that it was written in.
type instant struct {
	time.Time
	utc bool // UTCTime
}

// clock reads a UTCTime or a GeneralizedTime of RFC 5280, section 4.1.2.5: to the second, in Zulu.
func clock(s *cryptobyte.String) (instant, bool) {
	var text cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1(&text, &tag) {
		return instant{}, false
	}
	switch tag {
	case asn1.UTCTime:
		if len(text) != 13 {
			return instant{}, false
		}
		year, ok := digits(text[:2])
		if year += 1900; year < 1950 {
			year += 100
		}
		t, ok2 := moment(year, text[2:])
		return instant{t, true}, ok && ok2
	case asn1.GeneralizedTime:
		if len(text) != 15 {
			return instant{}, false
		}
		century, ok := digits(text[:2])
		year, ok2 := digits(text[2:4])
		t, ok3 := moment(100*century+year, text[4:])
		return instant{t, false}, ok && ok2 && ok3
	}
	return instant{}, false
}

// validity reads a time as certificates and CRLs write it: UTCTime through 2049, GeneralizedTime after.
func validity(s *cryptobyte.String) (t time.Time, read, rightType bool) {
	at, ok := clock(s)
	return at.Time, ok, at.utc == (at.Year() < 2050)
}

// moment reads MMDDHHMMSSZ.
func moment(year int, text []byte) (time.Time, bool) {
	var part [5]int
	for i := range part {
		n, ok := digits(text[2*i : 2*i+2])
		if !ok {
			return time.Time{}, false
		}
		part[i] = n
	}
	month, day, hour, minute, second := part[0], part[1], part[2], part[3], part[4]
	if month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 || text[10] != 'Z' {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	return t, t.Day() == day // time.Date turns 31 February into March
}

func digits(two []byte) (int, bool) {
	a, b := two[0]-'0', two[1]-'0'
	return int(a)*10 + int(b), a <= 9 && b <= 9
}
