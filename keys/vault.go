// Package keys keeps private keys: long-lived ones sealed at rest in a Vault, one-time ones in a Pool that fills while
// there is nothing else to do.
//
// It is trusted with every private key. Keys leave it only as crypto.Signer; none is ever logged, and no error text
// carries one. Whoever has a vault's file and its passphrase has the keys; whoever has the file alone has to guess the
// passphrase against argon2id.
package keys

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"sync"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"cadastre/internal/fault"
)

// Cost is what argon2id takes for each guess of a passphrase.
type Cost struct {
	Time      uint32 // passes over the memory
	MemoryKiB uint32
	Threads   uint8
}

// NewCost is that of a new vault, as RFC 9106, section 4 recommends for machines that have the memory: about a tenth of a
// second, once at each start. Only tests that start programs by the hundred take less.
var NewCost = Cost{Time: 3, MemoryKiB: 64 << 10, Threads: 4}

// What a header may ask for at the most, so that a damaged one is an error and not an endless start.
const (
	maxTime      = 64
	maxMemoryKiB = 4 << 20
)

// header is a vault at rest: how the passphrase becomes the key that wraps the vault's own key.
type header struct {
	Version int    `json:"version"`
	KDF     string `json:"kdf"`
	Salt    []byte `json:"salt"`
	Time    uint32 `json:"time"`
	Memory  uint32 `json:"memory_kib"`
	Threads uint8  `json:"threads"`
	Wrapped []byte `json:"wrapped_key"`
}

// Vault seals and opens private keys with AES-256-GCM under one key, which itself is sealed with a passphrase.
type Vault struct {
	aead cipher.AEAD

	mu     sync.Mutex
	opened map[string]crypto.Signer // keys used lately, by name; guarded by mu
}

// keptOpen is how many opened keys a vault remembers, about 5 kB each.
const keptOpen = 4096

// What a new passphrase must have at least. Who has a copy of the store guesses as long as they like, a tenth of a second each.
const (
	shortest     = 10 // characters
	fewestOfThem = 4  // different ones
)

// CheckPassphrase checks a new passphrase; the error says what is wrong. A passphrase that is in use already is not checked.
func CheckPassphrase(passphrase []byte) error {
	kinds := map[rune]bool{}
	for _, r := range string(passphrase) {
		kinds[r] = true
	}
	switch length := utf8.RuneCount(passphrase); {
	case length == 0:
		return fault.New(fault.Secret, "the passphrase is empty; choose one, in a file or in CADASTRE_PASSPHRASE")
	case length < shortest:
		return fault.New(fault.Secret, "the passphrase has %d characters; choose one of at least %d, such as four words", length, shortest)
	case len(kinds) < fewestOfThem:
		return fault.New(fault.Secret, "the passphrase repeats %d characters; choose one of at least %d different ones, such as four words", len(kinds), fewestOfThem)
	}
	return nil
}

// NewVault makes a vault and the header that opens it again with the passphrase.
func NewVault(passphrase []byte) (*Vault, []byte, error) {
	if err := CheckPassphrase(passphrase); err != nil {
		return nil, nil, err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	text, err := newHeader(key, passphrase)
	if err != nil {
		return nil, nil, err
	}
	v, err := newVault(key)
	return v, text, err
}

// newHeader wraps a vault's own key with a passphrase.
func newHeader(key, passphrase []byte) ([]byte, error) {
	h := header{Version: 1, KDF: "argon2id", Salt: make([]byte, 16), Time: NewCost.Time, Memory: NewCost.MemoryKiB, Threads: NewCost.Threads}
	_, _ = rand.Read(h.Salt)
	wrapping, err := h.wrapping(passphrase)
	if err != nil {
		return nil, err
	}
	h.Wrapped = seal(wrapping, key, []byte(h.KDF))
	return json.Marshal(h)
}

// ChangePassphrase makes a header for the same vault with another passphrase. Sealed keys stay as they are. Note that a copy of the old
// header still opens with the old passphrase.
func ChangePassphrase(text, old, passphrase []byte) ([]byte, error) {
	if err := CheckPassphrase(passphrase); err != nil {
		return nil, err
	}
	key, err := unwrap(text, old)
	if err != nil {
		return nil, err
	}
	return newHeader(key, passphrase)
}

// OpenVault opens a vault by its header. A wrong passphrase is of kind Secret, a damaged header Corrupt.
func OpenVault(text, passphrase []byte) (*Vault, error) {
	key, err := unwrap(text, passphrase)
	if err != nil {
		return nil, err
	}
	return newVault(key)
}

// unwrap is the vault's own key.
func unwrap(text, passphrase []byte) ([]byte, error) {
	var h header
	if err := json.Unmarshal(text, &h); err != nil || h.KDF != "argon2id" || h.Time == 0 || h.Time > maxTime || h.Threads == 0 || h.Memory > maxMemoryKiB {
		return nil, fault.New(fault.Corrupt, "the key vault's header is damaged: restore it from a backup")
	}
	if h.Version != 1 {
		return nil, fault.New(fault.TooNew, "the key vault has version %d and this program knows 1: use the newer program", h.Version)
	}
	wrapping, err := h.wrapping(passphrase)
	if err != nil {
		return nil, err
	}
	key, err := unseal(wrapping, h.Wrapped, []byte(h.KDF))
	if err != nil {
		return nil, fault.New(fault.Secret, "the passphrase is wrong: the key vault does not open with it")
	}
	return key, nil
}

func newVault(key []byte) (*Vault, error) {
	aead, err := newAEAD(key)
	return &Vault{aead: aead, opened: map[string]crypto.Signer{}}, err
}

func (h *header) wrapping(passphrase []byte) (cipher.AEAD, error) {
	return newAEAD(argon2.IDKey(passphrase, h.Salt, h.Time, h.Memory, h.Threads, 32))
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

//nolint:gosec // the AEAD makes a random nonce of its own, and puts it first
func seal(aead cipher.AEAD, plain, name []byte) []byte { return aead.Seal(nil, nil, plain, name) }

func unseal(aead cipher.AEAD, sealed, name []byte) ([]byte, error) {
	return aead.Open(nil, nil, sealed, name)
}

// Seal encrypts a key so that it opens only under the same name, and remembers it open.
func (v *Vault) Seal(name string, key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	v.remember(name, key)
	return seal(v.aead, der, []byte(name)), nil
}

// Open decrypts what Seal made, or hands out the key that it remembers under this name.
func (v *Vault) Open(name string, sealed []byte) (crypto.Signer, error) {
	v.mu.Lock()
	key := v.opened[name]
	v.mu.Unlock()
	if key != nil {
		return key, nil
	}
	der, err := unseal(v.aead, sealed, []byte(name))
	if err != nil {
		return nil, fault.New(fault.Corrupt, "the sealed key %s is damaged or belongs to another vault: restore the store from a backup", name)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fault.New(fault.Corrupt, "the sealed key %s holds no private key: restore the store from a backup", name)
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fault.New(fault.Corrupt, "the sealed key %s cannot sign", name)
	}
	v.remember(name, signer)
	return signer, nil
}

func (v *Vault) remember(name string, key crypto.Signer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.opened) >= keptOpen {
		clear(v.opened)
	}
	v.opened[name] = key
}
