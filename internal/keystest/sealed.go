package keystest

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/x509"
	"encoding/json"
	"fmt"

	"golang.org/x/crypto/argon2"

	"cadastre/keys"
)

// OpenSealed opens a key that a vault sealed, by code of its own, as one would who has the store, the header and the passphrase. It is how
// tests learn what must not be found anywhere else.
func OpenSealed(header, passphrase []byte, ref keys.Ref) (crypto.Signer, error) {
	var h struct {
		KDF     string `json:"kdf"`
		Salt    []byte `json:"salt"`
		Time    uint32 `json:"time"`
		Memory  uint32 `json:"memory_kib"`
		Threads uint8  `json:"threads"`
		Wrapped []byte `json:"wrapped_key"`
	}
	if err := json.Unmarshal(header, &h); err != nil {
		return nil, err
	}
	key, err := unsealed(argon2.IDKey(passphrase, h.Salt, h.Time, h.Memory, h.Threads, 32), h.Wrapped, h.KDF)
	if err != nil {
		return nil, fmt.Errorf("couldn't open the vault: %w", err)
	}
	der, err := unsealed(key, ref.Held, ref.Name)
	if err != nil {
		return nil, fmt.Errorf("couldn't open the key %s: %w", ref.Name, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	return parsed.(crypto.Signer), nil
}

// unsealed undoes AES-256-GCM with the nonce of 12 bytes in front.
func unsealed(key, sealed []byte, name string) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, fmt.Errorf("%d bytes are no sealed key", len(sealed))
	}
	return aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], []byte(name))
}
