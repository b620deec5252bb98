package validate

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"cadastre/internal/inr"
)

// The lab builds objects from their parts, so that a test can break any one of them. It is neither the issuer's code nor
// the validator's: it writes tags and lengths by hand (labder_test.go).

// labKey is a key pair of either suite.
type labKey struct {
	signer crypto.Signer
	spki   []byte
	id     [20]byte
	sigAlg []byte // of certificates and CRLs
	cmsAlg []byte // of signer infos
}

func keyOf(signer crypto.Signer) *labKey {
	spki, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		panic(err)
	}
	k := &labKey{signer: signer, spki: spki, sigAlg: []byte(algECDSAWithSHA256), cmsAlg: []byte(algECDSAWithSHA256)}
	if _, isRSA := signer.(*rsa.PrivateKey); isRSA {
		k.sigAlg, k.cmsAlg = []byte(algSHA256WithRSA), []byte(algRSAEncryption)
	}
	var info struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(spki, &info); err != nil {
		panic(err)
	}
	k.id = sha1.Sum(info.Key.Bytes)
	return k
}

func newP256() *labKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return keyOf(key)
}

var rsaKeys = sync.OnceValue(func() []*labKey {
	keys := make([]*labKey, 3)
	for i := range keys {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = keyOf(key)
	}
	return keys
})

func (k *labKey) sign(message []byte) []byte {
	digest := sha256.Sum256(message)
	sig, err := k.signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		panic(err)
	}
	return sig
}

func (k *labKey) name() []byte { return name(hex.EncodeToString(k.id[:])) }

// ext is one extension of a certificate or CRL.
type ext struct {
	oid      string
	critical bool
	value    []byte
}

func (e ext) der() []byte {
	critical := []byte(nil)
	if e.critical {
		critical = []byte{1, 1, 0xFF}
	}
	return seq(oidTLV(e.oid), critical, octetTLV(e.value))
}

// certSpec is a certificate in parts; those that are TLVs are written as they stand.
type certSpec struct {
	version, serial, inner, outer, issuer, from, to, subject, spki, uids []byte
	exts                                                                 []ext
	rawExts                                                              []byte // instead of exts
	trailing                                                             []byte
}

func (s *certSpec) ext(oid string) *ext {
	for i := range s.exts {
		if s.exts[i].oid == oid {
			return &s.exts[i]
		}
	}
	panic("the lab's certificate has no such extension")
}

func (s *certSpec) drop(oid string) {
	s.exts = slices.DeleteFunc(s.exts, func(e ext) bool { return e.oid == oid })
}

func (s *certSpec) add(oid string, critical bool, value []byte) {
	s.exts = append(s.exts, ext{oid, critical, value})
}

func (s *certSpec) sign(by *labKey) []byte {
	exts := s.rawExts
	if exts == nil {
		var each [][]byte
		for _, e := range s.exts {
			each = append(each, e.der())
		}
		exts = tlv(0xA3, seq(each...))
	}
	tbs := seq(s.version, s.serial, s.inner, s.issuer, seq(s.from, s.to), s.subject, s.spki, s.uids, exts)
	return append(seq(tbs, s.outer, bitTLV(by.sign(tbs))), s.trailing...)
}

// crlSpec and cmsSpec are the other two frames in parts.
type crlSpec struct {
	version, inner, outer, issuer, this, next, revoked []byte
	exts                                               []ext
}

func (s *crlSpec) sign(by *labKey) []byte {
	var each [][]byte
	for _, e := range s.exts {
		each = append(each, e.der())
	}
	exts := []byte(nil)
	if len(each) > 0 {
		exts = tlv(0xA0, seq(each...))
	}
	tbs := seq(s.version, s.inner, s.issuer, s.this, s.next, s.revoked, exts)
	return seq(tbs, s.outer, bitTLV(by.sign(tbs)))
}

type cmsSpec struct {
	version, digests, encap, certificates, crls []byte
	signerVersion, sid, digest                  []byte
	attributes                                  [][]byte
	algorithm, signature, unsigned              []byte
	signers                                     int
	trailing                                    []byte
}

func newCMS(contentType string, content, ee []byte, eeKey *labKey, at time.Time) *cmsSpec {
	sum := sha256.Sum256(content)
	return &cmsSpec{
		version: intTLV(3), digests: set([]byte(algSHA256)),
		encap:         seq(oidTLV(contentType), tlv(0xA0, octetTLV(content))),
		certificates:  tlv(0xA0, ee),
		signerVersion: intTLV(3), sid: tlv(0x80, eeKey.id[:]), digest: []byte(algSHA256),
		attributes: [][]byte{
			seq(oidTLV(oidContentType), set(oidTLV(contentType))),
			seq(oidTLV(oidSigningTime), set(utcTLV(at))),
			seq(oidTLV(oidMessageDigest), set(octetTLV(sum[:]))),
		},
		algorithm: eeKey.cmsAlg, signers: 1,
	}
}

func (s *cmsSpec) sign(by *labKey) []byte {
	signature := s.signature
	if signature == nil {
		signature = octetTLV(by.sign(set(s.attributes...)))
	}
	var attributes []byte
	if len(s.attributes) > 0 {
		attributes = tlv(0xA0, s.attributes...)
	}
	one := seq(s.signerVersion, s.sid, s.digest, attributes, s.algorithm, signature, s.unsigned)
	signed := seq(s.version, s.digests, s.encap, s.certificates, s.crls, set(bytes.Repeat(one, s.signers)))
	return append(seq(oidTLV(oidSignedData), tlv(0xA0, signed)), s.trailing...)
}

// labCA is a CA of the lab with what it publishes.
type labCA struct {
	key        *labKey
	eeKey      *labKey // one key for all EE certificates: the validator does not mind, and keys are dear
	uri, dir   string
	notify     string
	parent     *labCA
	holds      inr.Set
	files      map[string][]byte // but for CRL and manifest
	revoked    []int64
	number     int64
	nextSerial int64
	now        time.Time
	crl        func(*crlSpec) // mutations
	manifest   func(ee *certSpec, cms *cmsSpec)
}

const host = "rsync://rpki.example/repo/"

// labNow is when the lab's objects are made. Manifests and CRLs are good for a day, ROAs for half a year, CA certificates for a year.
var labNow = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func newAnchor(key, eeKey *labKey, holds string) *labCA {
	set, err := inr.Parse(holds)
	if err != nil {
		panic(err)
	}
	return &labCA{key: key, eeKey: eeKey, uri: host + "ta.cer", dir: host + "ta/", holds: set, files: map[string][]byte{}, nextSerial: 1, now: labNow}
}

// child certifies a new CA under a name.
func (ca *labCA) child(file string, key *labKey, holds string) *labCA {
	set, err := inr.Parse(holds)
	if err != nil {
		panic(err)
	}
	c := &labCA{key: key, eeKey: ca.eeKey, uri: ca.dir + file + ".cer", dir: host + file + "/", parent: ca, holds: set, files: map[string][]byte{}, nextSerial: 1, now: ca.now}
	ca.files[file+".cer"] = c.spec().sign(ca.key)
	return c
}

func (ca *labCA) serial() []byte {
	ca.nextSerial++
	return intTLV(ca.nextSerial)
}

// spec is the CA's certificate, not yet signed.
func (ca *labCA) spec() *certSpec {
	s := &certSpec{
		version: tlv(0xA0, intTLV(2)), subject: ca.key.name(), spki: ca.key.spki,
		from: utcTLV(ca.now.Add(-5 * time.Minute)), to: utcTLV(labNow.AddDate(1, 0, 0)),
	}
	sia := []string{oidCARepository, ca.dir, oidRPKIManifest, ca.dir + "manifest.mft"}
	if ca.notify != "" {
		sia = append(sia, oidRPKINotify, ca.notify)
	}
	s.add(oidBasicConstraints, true, []byte(basicConstraintsCA))
	s.add(oidSKI, false, octetTLV(ca.key.id[:]))
	issuer := ca
	if ca.parent != nil {
		issuer = ca.parent
		s.add(oidAKI, false, seq(tlv(0x80, issuer.key.id[:])))
	}
	s.add(oidKeyUsage, true, []byte(keyUsageCA))
	if ca.parent != nil {
		s.add(oidCRLDP, false, crldp(issuer.dir+"list.crl"))
		s.add(oidAIA, false, access(oidCAIssuers, issuer.uri))
	}
	s.add(oidSIA, false, access(sia...))
	s.add(oidPolicies, true, seq(seq(oidTLV(oidPolicyIPAddrASN))))
	if ca.holds.HasIP() {
		s.add(oidIPAddrBlocks, true, ipExt(ca.holds))
	}
	if len(ca.holds.AS) > 0 {
		s.add(oidAutonomousSysIDs, true, asExt(ca.holds))
	}
	s.serial, s.issuer, s.inner, s.outer = issuer.serial(), issuer.key.name(), issuer.key.sigAlg, issuer.key.sigAlg
	return s
}

func crldp(uri string) []byte { return seq(seq(tlv(0xA0, tlv(0xA0, uriTLV(uri))))) }

// ee is the certificate of a signed object, without resources.
func (ca *labCA) ee(uri string, from, to time.Time) *certSpec {
	s := &certSpec{
		version: tlv(0xA0, intTLV(2)), serial: ca.serial(), inner: ca.key.sigAlg, outer: ca.key.sigAlg,
		issuer: ca.key.name(), subject: ca.eeKey.name(), spki: ca.eeKey.spki, from: utcTLV(from), to: utcTLV(to),
	}
	s.add(oidSKI, false, octetTLV(ca.eeKey.id[:]))
	s.add(oidAKI, false, seq(tlv(0x80, ca.key.id[:])))
	s.add(oidKeyUsage, true, []byte(keyUsageEE))
	s.add(oidCRLDP, false, crldp(ca.dir+"list.crl"))
	s.add(oidAIA, false, access(oidCAIssuers, ca.uri))
	s.add(oidSIA, false, access(oidSignedObject, uri))
	s.add(oidPolicies, true, seq(seq(oidTLV(oidPolicyIPAddrASN))))
	return s
}

// roaParts are what a ROA's mutation may change.
type roaParts struct {
	before  []byte // the bytes of b.roa, if the CA has one
	ee      *certSpec
	content []byte
	cms     func(*cmsSpec)
}

func roaContent(asn int64, prefixes ...ROAPrefix) []byte {
	var families [][]byte
	for _, width := range []int{32, 128} {
		var each [][]byte
		for _, p := range prefixes {
			if p.Prefix.Addr().BitLen() != width {
				continue
			}
			length := []byte(nil)
			if p.MaxLength != p.Prefix.Bits() {
				length = intTLV(int64(p.MaxLength))
			}
			each = append(each, seq(addrBits(p.Prefix.Addr(), p.Prefix.Bits()), length))
		}
		if len(each) > 0 {
			families = append(families, seq(octetTLV([]byte{0, byte(1 + width/128)}), seq(each...)))
		}
	}
	return seq(intTLV(asn), seq(families...))
}

// roa makes a ROA and returns its bytes.
func (ca *labCA) roa(file string, asn int64, prefixes []ROAPrefix, mutate func(*roaParts)) []byte {
	var ranges []inr.IPRange
	for _, p := range prefixes {
		ranges = append(ranges, inr.RangeOf(p.Prefix))
	}
	ee := ca.ee(ca.dir+file, ca.now.Add(-5*time.Minute), labNow.AddDate(0, 6, 0))
	ee.add(oidIPAddrBlocks, true, ipExt(inr.Of(ranges, nil)))
	parts := &roaParts{before: ca.files["b.roa"], ee: ee, content: roaContent(asn, prefixes...)}
	if mutate != nil {
		mutate(parts)
	}
	cms := newCMS(oidROA, parts.content, parts.ee.sign(ca.key), ca.eeKey, ca.now)
	if parts.cms != nil {
		parts.cms(cms)
	}
	return cms.sign(ca.eeKey)
}

func prefix(text string, maxLength int) ROAPrefix {
	p := netip.MustParsePrefix(text)
	return ROAPrefix{p, max(maxLength, p.Bits())}
}

func (ca *labCA) crlSpec() *crlSpec {
	s := &crlSpec{
		version: intTLV(1), inner: ca.key.sigAlg, outer: ca.key.sigAlg, issuer: ca.key.name(),
		this: utcTLV(ca.now.Add(-5 * time.Minute)), next: utcTLV(ca.now.AddDate(0, 0, 1)),
		exts: []ext{{oidAKI, false, seq(tlv(0x80, ca.key.id[:]))}, {oidCRLNumber, false, intTLV(ca.number)}},
	}
	var entries [][]byte
	for _, n := range ca.revoked {
		entries = append(entries, seq(intTLV(n), utcTLV(ca.now)))
	}
	if len(entries) > 0 {
		s.revoked = seq(entries...)
	}
	return s
}

// manifestContent lists files in the order of their names.
func manifestContent(number int64, this, next time.Time, files map[string][]byte) []byte {
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	slices.Sort(names)
	var each [][]byte
	for _, n := range names {
		sum := sha256.Sum256(files[n])
		each = append(each, seq(tlv(0x16, []byte(n)), bitTLV(sum[:])))
	}
	return seq(intTLV(number), genTLV(this), genTLV(next), oidTLV(oidSHA256), seq(each...))
}

// sealed is the CRL and the manifest over what the CA publishes.
func (ca *labCA) sealed() (crl, manifest []byte) {
	ca.number++
	c := ca.crlSpec()
	if ca.crl != nil {
		ca.crl(c)
	}
	crl = c.sign(ca.key)
	files := map[string][]byte{"list.crl": crl}
	maps.Copy(files, ca.files)
	this, next := ca.now.Add(-5*time.Minute).Add(time.Duration(ca.number)*time.Second), ca.now.AddDate(0, 0, 1)
	ee := ca.ee(ca.dir+"manifest.mft", this, next)
	ee.add(oidIPAddrBlocks, true, ipInherit)
	ee.add(oidAutonomousSysIDs, true, asInherit)
	content := manifestContent(ca.number, this, next, files)
	cms := newCMS(oidManifest, content, nil, ca.eeKey, ca.now)
	if ca.manifest != nil {
		ca.manifest(ee, cms)
	}
	if cms.certificates == nil || bytes.Equal(cms.certificates, tlv(0xA0)) {
		cms.certificates = tlv(0xA0, ee.sign(ca.key))
	}
	return crl, cms.sign(ca.eeKey)
}

// repo is a repository in memory: a Point and a Source.
type repo map[string][]byte

func (r repo) Get(uri string) ([]byte, bool) {
	b, ok := r[uri]
	return b, ok
}

func (r repo) Point(context.Context, Place) (Point, error) { return r, nil }

// publish writes what a CA publishes into the repository.
func (r repo) publish(cas ...*labCA) {
	for _, ca := range cas {
		crl, manifest := ca.sealed()
		r[ca.dir+"list.crl"], r[ca.dir+"manifest.mft"] = crl, manifest
		for n, b := range ca.files {
			r[ca.dir+n] = b
		}
	}
}

// base64Lines is a key as a TAL has it.
func base64Lines(der []byte) string {
	text := base64.StdEncoding.EncodeToString(der)
	return text[:64] + "\n" + text[64:]
}

func (ca *labCA) tal() *TAL { return &TAL{URIs: []string{ca.uri}, SPKI: ca.key.spki} }

// has tells whether a finding of this rule is among them.
func has(findings []Finding, rule string) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Rule == rule })
}

// clean fails the test where anything was found.
func clean(t testing.TB, findings []Finding) {
	t.Helper()
	for _, f := range findings {
		t.Errorf("found %s", f)
	}
}
