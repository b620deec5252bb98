//go:build !paired

package keys

import (
	"crypto"

	"cadastre/internal/object"
)

// generate makes a key pair that nobody has had before.
func generate(a object.Algorithm) (crypto.Signer, error) { return a.Generate() }
