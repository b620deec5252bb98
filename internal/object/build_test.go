package object_test

import (
	"context"
	"crypto"
	"crypto/sha256"
	"maps"
	"math/big"
	"net/netip"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/validate"
)

var (
	start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	end   = start.Add(48 * time.Hour)
)

const (
	base      = "rsync://rpki.example.net/north/"
	anchorURI = "rsync://rpki.example.net/ta/ta.cer"
	notify    = "https://rpki.example.net/rrdp/north/notification.xml"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func parseSet(text string) inr.Set { return must(inr.Parse(text)) }

// maker is a certification authority of a test.
type maker struct {
	key       crypto.Signer
	public    object.PublicKey
	place     string // its folder
	issued    string // where its certificate is
	resources inr.Set
	files     objects // what it publishes
}

func newMaker(algorithm object.Algorithm, folder, issued, resources string) *maker {
	key := must(algorithm.Generate())
	return &maker{key, must(object.PublicKeyOf(key)), base + folder + "/", issued, parseSet(resources), objects{}}
}

func (m *maker) at(name string) object.Place {
	return object.Place{Issuer: m.public.ID, CRL: m.crl(), Issued: m.issued, Object: m.place + name}
}

func (m *maker) crl() string      { return m.place + m.public.ID.FileName() + ".crl" }
func (m *maker) manifest() string { return m.place + m.public.ID.FileName() + ".mft" }

// certificate is that of a CA below m, or of m itself when it is its own issuer.
func (m *maker) certificate(of *maker) *object.Certificate {
	c := &object.Certificate{
		Serial: object.NewSerial(), Issuer: m.public.ID, Key: of.public, NotBefore: start, NotAfter: start.AddDate(1, 0, 0), Resources: of.resources,
		CRL: m.crl(), Issued: m.issued, Repository: of.place, Manifest: of.manifest(), Notify: notify,
	}
	if m == of {
		c.CRL, c.Issued = "", ""
	}
	return c
}

// publish adds the CRL and the manifest of all that m has published so far.
func (m *maker) publish(oneTime crypto.Signer, revoked ...object.Revoked) {
	list := object.CRL{Issuer: m.public.ID, Number: 7, ThisUpdate: start, NextUpdate: end, Revoked: revoked}
	m.files[m.crl()] = must(list.Sign(m.key))
	manifest := object.Manifest{Place: m.at(path.Base(m.manifest())), Number: 7, ThisUpdate: start, NextUpdate: end}
	for uri, der := range m.files {
		manifest.Files = append(manifest.Files, object.File{Name: path.Base(uri), Hash: sha256.Sum256(der)})
	}
	slices.SortFunc(manifest.Files, func(a, b object.File) int { return strings.Compare(a.Name, b.Name) })
	der, _, err := manifest.Sign(m.key, oneTime, start)
	m.files[m.manifest()] = must(der, err)
}

// objects is a repository as the validator sees it.
type objects map[string][]byte

func (o objects) Get(uri string) ([]byte, bool) { der, ok := o[uri]; return der, ok }
func (o objects) Point(context.Context, validate.Place) (validate.Point, error) {
	return o, nil
}

// tree is one small repository: a trust anchor, a holder below it, and a ROA of the holder's.
type tree struct {
	anchor, holder                   *maker
	anchorCertificate, holderSigned  []byte
	roa                              []byte
	tal                              object.TAL
	holderCertificateURI, roaAddress string
}

func newTree(algorithm object.Algorithm) *tree {
	t := &tree{anchor: newMaker(algorithm, "anchor", anchorURI, "0.0.0.0/0, ::/0, AS1-AS4294967295")}
	t.anchorCertificate = must(t.anchor.certificate(t.anchor).Sign(t.anchor.key))
	t.tal = object.TAL{URIs: []string{"https://rpki.example.net/ta/ta.cer", anchorURI}, Key: t.anchor.public}

	t.holder = newMaker(algorithm, "holder", "", "102.16.0.0/20, 102.32.0.0-102.32.5.255, 2c0f:ea00::/32, AS37100, AS37200-AS37201")
	t.holderCertificateURI = t.anchor.place + t.holder.public.ID.FileName() + ".cer"
	t.holder.issued = t.holderCertificateURI
	t.holderSigned = must(t.anchor.certificate(t.holder).Sign(t.anchor.key))
	t.anchor.files[t.holderCertificateURI] = t.holderSigned

	oneTime := must(algorithm.Generate())
	t.roaAddress = t.holder.place + must(object.PublicKeyOf(oneTime)).ID.FileName() + ".roa"
	roa := object.ROA{
		Place: t.holder.at(path.Base(t.roaAddress)), ASN: 37100, NotBefore: start, NotAfter: start.AddDate(0, 6, 0),
		Prefixes: []object.ROAPrefix{prefix("2c0f:ea00::/32", 48), prefix("102.32.4.0/23", 23), prefix("102.16.0.0/20", 24), prefix("102.16.0.0/20", 20)},
	}
	der, _, err := roa.Sign(t.holder.key, oneTime, start)
	t.roa = must(der, err)
	t.holder.files[t.roaAddress] = t.roa
	t.holder.publish(must(algorithm.Generate()), object.Revoked{Serial: big.NewInt(5), At: start}, object.Revoked{Serial: big.NewInt(1 << 40), At: start})
	t.anchor.publish(must(algorithm.Generate()))
	return t
}

func prefix(text string, maxLength int) object.ROAPrefix {
	return object.ROAPrefix{Prefix: netip.MustParsePrefix(text), MaxLength: maxLength}
}

// accepted walks the tree as a relying party, and wants nothing to be found.
func (t *tree) accepted(test testing.TB, p256 bool) *validate.Result {
	test.Helper()
	suites := []validate.Option{validate.Strict}
	if p256 {
		suites = append(suites, validate.P256)
	}
	tal, findings := validate.ParseTAL([]byte(t.tal.Text()), suites...)
	all := objects{}
	for _, m := range []*maker{t.anchor, t.holder} {
		maps.Copy(all, m.files)
	}
	result := validate.Tree(context.Background(), tal, t.anchorCertificate, all, validate.Options{Now: start.Add(time.Hour), P256: p256, Asker: validate.Strict})
	for _, f := range append(findings, result.Findings...) {
		test.Error(f)
	}
	return result
}
