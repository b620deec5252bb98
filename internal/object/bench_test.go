package object_test

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"cadastre/internal/object"
)

// BenchmarkROA is two signatures and little else.
func BenchmarkROA(b *testing.B) {
	issuer, oneTime := newMaker(object.RSA, "issuer", anchorURI, "102.16.0.0/20"), must(object.RSA.Generate())
	roa := object.ROA{Place: issuer.at("a.roa"), ASN: 37100, NotBefore: start, NotAfter: end, Prefixes: []object.ROAPrefix{prefix("102.16.0.0/20", 24)}}
	for b.Loop() {
		if _, _, err := roa.Sign(issuer.key, oneTime, start); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSignature makes a CRL: one RSA signature and little else, half of what a ROA takes.
func BenchmarkSignature(b *testing.B) {
	issuer := newMaker(object.RSA, "issuer", anchorURI, "102.16.0.0/20")
	list := object.CRL{Issuer: issuer.public.ID, Number: 1, ThisUpdate: start, NextUpdate: end}
	for b.Loop() {
		if _, err := list.Sign(issuer.key); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkManifest(b *testing.B) {
	issuer, oneTime := newMaker(object.P256, "issuer", anchorURI, "102.16.0.0/20"), must(object.P256.Generate())
	for _, n := range []int{10, 1000, 10_000} {
		m := object.Manifest{Place: issuer.at("a.mft"), Number: 1, ThisUpdate: start, NextUpdate: end}
		for i := range n {
			name := fmt.Sprintf("%027d.roa", i)
			m.Files = append(m.Files, object.File{Name: name, Hash: sha256.Sum256([]byte(name))})
		}
		b.Run(fmt.Sprint(n, " files"), func(b *testing.B) {
			for b.Loop() {
				if _, _, err := m.Sign(issuer.key, oneTime, start); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCRL(b *testing.B) {
	issuer := newMaker(object.P256, "issuer", anchorURI, "102.16.0.0/20")
	for _, n := range []int{10, 10_000} {
		list := object.CRL{Issuer: issuer.public.ID, Number: 1, ThisUpdate: start, NextUpdate: end}
		for range n {
			list.Revoked = append(list.Revoked, object.Revoked{Serial: object.NewSerial(), At: start})
		}
		b.Run(fmt.Sprint(n, " entries"), func(b *testing.B) {
			for b.Loop() {
				if _, err := list.Sign(issuer.key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
