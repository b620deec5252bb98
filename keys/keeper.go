// Package keys makes, holds and uses private keys.
//
// A long-lived key (of an authority, of the trust anchor, of an identity) is with a Keeper: it is made there, signs there, and is
// destroyed there. Others have its public half, a crypto.Signer, and a Ref by which the keeper finds it again; its private half is seen
// by nothing else. Vault is the keeper in software. A hardware security module is another: it implements Keeper and Driver.
//
// One-time keys, which sign one object each, are in a Pool, in memory alone.
//
// The package is trusted with every private key. None is ever logged, and no error text carries one.
package keys

import (
	"context"
	"crypto"

	"cadastre/internal/object"
)

// Keeper makes long-lived keys, holds them, signs with them and destroys them. It is safe for concurrent use. Only Make can be told to
// give up; a keeper that asks a device bounds by itself how long it waits for an answer, and fails with Unreachable.
type Keeper interface {
	// Make makes n keys that nobody has had before. Whoever makes a key stores its Ref in the transaction that first names the key, or
	// destroys it: a key whose Ref is lost can sign nothing that counts, and is in the way in a device.
	Make(ctx context.Context, algorithm object.Algorithm, n int) ([]Key, error)
	// Find finds a key again. It fails with Corrupt where the keeper has no such key.
	Find(ref Ref) (crypto.Signer, error)
	// Destroy ends a key. One that is gone already is no error.
	Destroy(ref Ref) error
	Health() Health
}

// Key is a key as its keeper makes it.
type Key struct {
	Signer crypto.Signer // signs where the key is; nothing of the private half can be read from it
	Public object.PublicKey
	Ref    Ref
}

// Ref is what is stored of a key, and enough for its keeper to find it.
type Ref struct {
	Name string // the key's identifier, in hex (of an identity of an older version: "identity ...")
	// Held is the keeper's own: a vault's is the sealed private key, a device's the name of the key in it.
	Held []byte
}

// Health is how a keeper is.
type Health struct {
	Kind string // what it is, in a word: "vault"
	// Portable tells whether the keys go where their Refs go: a copy of the store has them, too, and opens with the passphrase. Of a
	// keeper that never lets a key out such a copy has names alone, and is of use only beside the same device.
	Portable bool
	Err      error // why it cannot be used at present; nil when all is well
}

// Driver founds and opens keepers of one kind.
type Driver interface {
	// Found makes a keeper with this passphrase, and its header: JSON that is stored, and no secret.
	Found(passphrase []byte) (Keeper, []byte, error)
	// Open opens a keeper by its header. It fails with Secret where the passphrase is wrong. A keeper in software may take new key pairs
	// from the pool; nil for none.
	Open(header, passphrase []byte, pool *Pool) (Keeper, error)
	// ChangePassphrase makes a header for the same keeper with another passphrase.
	ChangePassphrase(header, old, passphrase []byte) ([]byte, error)
}

// Software is the driver of vaults.
var Software Driver = software{}

type software struct{}

func (software) Found(passphrase []byte) (Keeper, []byte, error) {
	v, header, err := NewVault(passphrase)
	if err != nil {
		return nil, nil, err
	}
	return v, header, nil
}

func (software) Open(header, passphrase []byte, pool *Pool) (Keeper, error) {
	v, err := OpenVault(header, passphrase, pool)
	if err != nil {
		return nil, err
	}
	return v, nil
}

func (software) ChangePassphrase(header, old, passphrase []byte) ([]byte, error) {
	return ChangePassphrase(header, old, passphrase)
}

// One makes one key. It waits for as long as making it takes.
func One(keeper Keeper, algorithm object.Algorithm) (Key, error) {
	made, err := keeper.Make(context.Background(), algorithm, 1)
	if err != nil {
		return Key{}, err
	}
	return made[0], nil
}
