package keys

import (
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"cadastre/internal/fault"
	"cadastre/internal/object"
)

// Cost is what argon2id takes for each guess of a passphrase.
type Cost struct {
	Time      uint32 // passes over the memory
	MemoryKiB uint32
	Threads   uint8
}

// NewCost is that of a new vault: the second recommended option of RFC 9106, section 4, which is for where memory is scarce.
// It takes about a tenth of a second, once at each start. Only tests that start programs by the hundred take less.
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

// Vault is the keeper in software. It seals private keys with AES-256-GCM under one key, which itself is sealed with a passphrase. A sealed
// key is the Ref's own, so a vault has no store, and whoever has the Refs, the vault's header and its passphrase has the keys. Who has the
// first two alone has to guess the passphrase against argon2id.
type Vault struct {
	aead cipher.AEAD
	pool *Pool // where it takes new key pairs; nil where it makes them itself

	mu     sync.Mutex
	opened map[string]*signer // keys used lately, by name; guarded by mu
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
	v, err := newVault(key, nil)
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

// OpenVault opens a vault by its header. A wrong passphrase is of kind Secret, a damaged header Corrupt. New keys of the pool's algorithm
// are taken from the pool; nil for none.
func OpenVault(text, passphrase []byte, pool *Pool) (*Vault, error) {
	key, err := unwrap(text, passphrase)
	if err != nil {
		return nil, err
	}
	return newVault(key, pool)
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

func newVault(key []byte, pool *Pool) (*Vault, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	return &Vault{aead: aead, pool: pool, opened: map[string]*signer{}}, nil
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

// Make implements Keeper.
func (v *Vault) Make(ctx context.Context, algorithm object.Algorithm, n int) ([]Key, error) {
	pairs, err := v.pairs(ctx, algorithm, n)
	if err != nil {
		return nil, err
	}
	made := make([]Key, len(pairs))
	for i, pair := range pairs {
		if made[i], err = v.keep(pair); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// pairs is n new key pairs.
func (v *Vault) pairs(ctx context.Context, algorithm object.Algorithm, n int) ([]crypto.Signer, error) {
	if v.pool != nil && v.pool.algorithm.Name() == algorithm.Name() {
		return v.pool.Take(ctx, n)
	}
	var pairs []crypto.Signer
	for range n {
		pair, err := algorithm.Generate()
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, pair)
	}
	return pairs, nil
}

// keep seals a key so that it opens only under its own name, and remembers it open.
func (v *Vault) keep(pair crypto.Signer) (Key, error) {
	public, err := object.PublicKeyOf(pair)
	if err != nil {
		return Key{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(pair)
	if err != nil {
		return Key{}, err
	}
	name, key := public.ID.String(), &signer{pair}
	v.remember(name, key)
	return Key{Signer: key, Public: public, Ref: Ref{name, seal(v.aead, der, []byte(name))}}, nil
}

// Find implements Keeper: it opens the sealed key, or hands out the one that it remembers under this name.
func (v *Vault) Find(ref Ref) (crypto.Signer, error) {
	v.mu.Lock()
	key := v.opened[ref.Name]
	v.mu.Unlock()
	if key != nil {
		return key, nil
	}
	der, err := unseal(v.aead, ref.Held, []byte(ref.Name))
	if err != nil {
		return nil, fault.New(fault.Corrupt, "the sealed key %s is damaged or belongs to another vault: restore the store from a backup", ref.Name)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fault.New(fault.Corrupt, "the sealed key %s holds no private key: restore the store from a backup", ref.Name)
	}
	pair, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fault.New(fault.Corrupt, "the sealed key %s cannot sign", ref.Name)
	}
	key = &signer{pair}
	v.remember(ref.Name, key)
	return key, nil
}

func (v *Vault) remember(name string, key *signer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.opened) >= keptOpen {
		clear(v.opened)
	}
	v.opened[name] = key
}

// Destroy implements Keeper: the vault has the key open no longer. The key has ended when the last copy of its Ref has; backups of the
// store have some.
func (v *Vault) Destroy(ref Ref) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.opened, ref.Name)
	return nil
}

// Health implements Keeper. An open vault can always be used.
func (v *Vault) Health() Health { return Health{Kind: "vault", Portable: true} }

// signer is a key of a vault. It hides the key pair: nothing outside of this package can marshal, compare or print it.
type signer struct{ pair crypto.Signer }

func (s *signer) Public() crypto.PublicKey { return s.pair.Public() }

func (s *signer) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.pair.Sign(rand, digest, opts)
}

// Format implements fmt.Formatter, since fmt would print the pair by reflection.
func (s *signer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "(a private key)") }
