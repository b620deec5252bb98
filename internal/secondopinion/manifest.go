package secondopinion

import (
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
	"time"

	librpki "github.com/cloudflare/cfrpki/validator/lib"
)

// Manifest is what a manifest was meant to say (RFC 9286).
type Manifest struct {
	Number                 *big.Int
	ThisUpdate, NextUpdate time.Time
	Files                  map[string][sha256.Size]byte // hash by name
}

var oidSHA256 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}

func (want Manifest) differs(der []byte) error {
	if err := signedObject(der, librpki.ManifestOID); err != nil {
		return err
	}
	got, err := decodeManifest(der)
	if err != nil {
		return differ("it is no manifest: %w", err)
	}
	if err := inner(got.InnerValid, got.InnerValidityError, got.Certificate); err != nil {
		return err
	}
	c := got.Content
	switch {
	case c.ManifestNumber.Cmp(want.Number) != 0:
		return differ("it is number %s instead of %s", c.ManifestNumber, want.Number)
	case !c.ThisUpdate.Equal(want.ThisUpdate):
		return differ("its thisUpdate is %s instead of %s", c.ThisUpdate, want.ThisUpdate)
	case !c.NextUpdate.Equal(want.NextUpdate):
		return differ("its nextUpdate is %s instead of %s", c.NextUpdate, want.NextUpdate)
	case !c.FileHashAlg.Equal(oidSHA256):
		return differ("its hashes are of %s instead of SHA-256", c.FileHashAlg)
	case len(c.FileList) != len(want.Files):
		return differ("it lists %d files instead of %d", len(c.FileList), len(want.Files))
	}
	seen := make(map[string]bool, len(c.FileList))
	for _, f := range c.FileList {
		hash, meant := want.Files[f.Name]
		switch {
		case !meant:
			return differ("it lists %q, which was not meant", f.Name)
		case seen[f.Name]:
			return differ("it lists %q twice", f.Name)
		case f.Hash.BitLength != 8*sha256.Size || [sha256.Size]byte(f.Hash.Bytes) != hash:
			return differ("it lists %q with the hash %x instead of %x", f.Name, f.Hash.Bytes, hash)
		}
		seen[f.Name] = true
	}
	return nil
}

func decodeManifest(der []byte) (*librpki.RPKIManifest, error) {
	manifests.Lock()
	defer manifests.Unlock()
	return decoder.DecodeManifest(der)
}
