package issue

import (
	"crypto/sha256"
	"math/big"

	"cadastre/internal/object"
	"cadastre/internal/secondopinion"
)

// The second opinion decodes what was just signed, and compares it with what was meant. It can only refuse. For signed objects with a payload
// it is in the table of kinds.

func vetoCertificate(uri string, der []byte, c *object.Certificate) error {
	return secondopinion.Check(uri, der, secondopinion.Certificate{
		Serial: c.Serial, NotBefore: c.NotBefore, NotAfter: c.NotAfter, Resources: c.Resources,
		Repository: c.Repository, Manifest: c.Manifest, Notify: c.Notify,
	})
}

func vetoManifest(uri string, der []byte, m *object.Manifest) error {
	want := secondopinion.Manifest{
		Number: new(big.Int).SetUint64(m.Number), ThisUpdate: m.ThisUpdate, NextUpdate: m.NextUpdate,
		Files: make(map[string][sha256.Size]byte, len(m.Files)),
	}
	for _, f := range m.Files {
		want.Files[f.Name] = f.Hash
	}
	return secondopinion.Check(uri, der, want)
}

func vetoCRL(uri string, der []byte, c *object.CRL) error {
	want := secondopinion.CRL{Number: new(big.Int).SetUint64(c.Number), ThisUpdate: c.ThisUpdate, NextUpdate: c.NextUpdate}
	for _, r := range c.Revoked {
		want.Revoked = append(want.Revoked, r.Serial)
	}
	return secondopinion.Check(uri, der, want)
}
