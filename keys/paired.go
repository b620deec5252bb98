//go:build paired

package keys

import (
	"crypto"

	"cadastre/internal/object"
	"cadastre/internal/pairedkeys"
)

// generate makes a key for a proof or a measurement, which protects nothing.
func generate(a object.Algorithm) (crypto.Signer, error) {
	if a != object.RSA {
		return a.Generate()
	}
	return pairedkeys.Next()
}
