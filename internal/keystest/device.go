// Package keystest has a second keeper of keys, to prove that one can take the place of the vault, and a reader of what the vault sealed.
// It is for tests alone.
package keystest

import (
	"cmp"
	"context"
	"crypto"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"cadastre/internal/fault"
	"cadastre/internal/object"
	"cadastre/keys"
)

// Device is a keeper that no key leaves, as a hardware security module is one: what is stored of a key is its name. It counts what is asked
// of it. The zero Device is ready. Each Found gives it one more passphrase, under a number that the header has.
type Device struct {
	mu          sync.Mutex
	passphrases []string
	keys        map[string]crypto.Signer
	made        int
	signed      int
	destroyed   int
	failure     error // of everything
	unsigned    error // of signatures, after so many
	until       int
}

// deviceHeader is what opens a device again.
type deviceHeader struct {
	Slot int `json:"slot"` // counted from 1
}

// Found implements keys.Driver.
func (d *Device) Found(passphrase []byte) (keys.Keeper, []byte, error) {
	if err := keys.CheckPassphrase(passphrase); err != nil {
		return nil, nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.passphrases = append(d.passphrases, string(passphrase))
	header, err := json.Marshal(deviceHeader{len(d.passphrases)})
	return d, header, err
}

// Open implements keys.Driver. A device makes its keys itself.
func (d *Device) Open(header, passphrase []byte, _ *keys.Pool) (keys.Keeper, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.slot(header, passphrase); err != nil {
		return nil, err
	}
	return d, nil
}

// slot is the number of a header, if the passphrase is the right one. The caller holds mu.
func (d *Device) slot(header, passphrase []byte) (int, error) {
	var h deviceHeader
	if err := json.Unmarshal(header, &h); err != nil || h.Slot < 1 || h.Slot > len(d.passphrases) {
		return 0, fault.New(fault.Corrupt, "this is not the header of a device: %s", header)
	}
	if string(passphrase) != d.passphrases[h.Slot-1] {
		return 0, fault.New(fault.Secret, "the device does not open with this passphrase")
	}
	return h.Slot, nil
}

// ChangePassphrase implements keys.Driver.
func (d *Device) ChangePassphrase(header, old, passphrase []byte) ([]byte, error) {
	if err := keys.CheckPassphrase(passphrase); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	slot, err := d.slot(header, old)
	if err != nil {
		return nil, err
	}
	d.passphrases[slot-1] = string(passphrase)
	return header, nil
}

// Make implements keys.Keeper.
func (d *Device) Make(ctx context.Context, algorithm object.Algorithm, n int) ([]keys.Key, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := cmp.Or(ctx.Err(), d.failure); err != nil {
		return nil, err
	}
	var made []keys.Key
	for range n {
		pair, err := algorithm.Generate()
		if err != nil {
			return nil, err
		}
		public, err := object.PublicKeyOf(pair)
		if err != nil {
			return nil, err
		}
		if d.keys == nil {
			d.keys = map[string]crypto.Signer{}
		}
		d.made++
		name := public.ID.String()
		d.keys[name] = pair
		made = append(made, keys.Key{Signer: &handle{d, name, pair.Public()}, Public: public, Ref: keys.Ref{Name: name, Held: []byte(fmt.Sprint("slot ", d.made))}})
	}
	return made, nil
}

// Find implements keys.Keeper.
func (d *Device) Find(ref keys.Ref) (crypto.Signer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failure != nil {
		return nil, d.failure
	}
	pair := d.keys[ref.Name]
	if pair == nil {
		return nil, fault.New(fault.Corrupt, "the device has no key %s", ref.Name)
	}
	return &handle{d, ref.Name, pair.Public()}, nil
}

// Destroy implements keys.Keeper.
func (d *Device) Destroy(ref keys.Ref) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failure != nil {
		return d.failure
	}
	if d.keys[ref.Name] != nil {
		d.destroyed++
		delete(d.keys, ref.Name)
	}
	return nil
}

// Health implements keys.Keeper.
func (d *Device) Health() keys.Health {
	d.mu.Lock()
	defer d.mu.Unlock()
	return keys.Health{Kind: "device", Err: d.failure}
}

// Fail has the device fail from now on; nil: work again.
func (d *Device) Fail(with error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failure = with
}

// FailToSign has signatures fail, and nothing else, after some more; nil: work again.
func (d *Device) FailToSign(after int, with error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unsigned, d.until = with, d.signed+after
}

// Names lists the keys in the device, sorted.
func (d *Device) Names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.keys))
}

// Counts is how many keys were made, how many signatures, and how many keys were destroyed.
func (d *Device) Counts() (made, signed, destroyed int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.made, d.signed, d.destroyed
}

// handle signs with a key in the device.
type handle struct {
	device *Device
	name   string
	public crypto.PublicKey
}

func (h *handle) Public() crypto.PublicKey { return h.public }

func (h *handle) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	h.device.mu.Lock()
	defer h.device.mu.Unlock()
	if h.device.failure != nil {
		return nil, h.device.failure
	}
	if h.device.unsigned != nil && h.device.signed >= h.device.until {
		return nil, h.device.unsigned
	}
	pair := h.device.keys[h.name]
	if pair == nil {
		return nil, fault.New(fault.Corrupt, "the device has no key %s any more", h.name)
	}
	h.device.signed++
	return pair.Sign(rand, digest, opts)
}
