package ca_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/keystest"
	"cadastre/internal/registrytest"
	"cadastre/internal/store"
	"cadastre/keys"
)

// onDevice is a registry whose long-lived keys are in a device that no key leaves.
type onDevice struct {
	*registrytest.Registry
	device *keystest.Device
}

// named lists the keys that records of the installation name: of authorities, identities and the trust anchor.
func (d *onDevice) named() []string {
	d.Helper()
	names := map[string]bool{}
	bucket := func(name string) store.Bucket {
		in, known := store.Named(name)
		if !known {
			d.Fatalf("no bucket %q is declared", name)
		}
		return in
	}
	d.OK(d.Engine().Kept(func(r store.Reader) error {
		for record, err := range r.Scan(bucket("key"), nil) {
			if err != nil {
				return err
			}
			names[string(record.Key)] = true
		}
		for _, called := range []string{"identity", "next identity"} {
			text, err := r.Get(bucket("engine"), []byte(called))
			if err != nil || text == nil {
				d.OK(err)
				continue
			}
			var identity struct {
				Name string `json:"sealed_as"`
			}
			d.OK(json.Unmarshal(text, &identity))
			names[identity.Name] = true
		}
		return nil
	}))
	text, err := os.ReadFile(filepath.Join(d.Dir(), "anchor.key"))
	d.OK(err)
	var anchor struct {
		KeyID string `json:"key_id"`
	}
	d.OK(json.Unmarshal(text, &anchor))
	names[anchor.KeyID] = true
	return slices.Sorted(maps.Keys(names))
}

// newOnDevice founds a registry whose keys are on a device.
func newOnDevice(t *testing.T, host string) *onDevice {
	t.Helper()
	policy, device := registrytest.Policy(host), &keystest.Device{}
	policy.Keys = device
	return &onDevice{registrytest.New(t, registrytest.Registries, policy), device}
}

// same checks that the device has the keys that records name, and no others: what is used was made there, and what is used no more
// has been destroyed.
func (d *onDevice) same(when string) {
	d.Helper()
	if has, named := d.device.Names(), d.named(); !slices.Equal(has, named) {
		d.Errorf("%s: the device has %d keys, and records name %d:\n%v\n%v", when, len(has), len(named), has, named)
	}
}

// during runs the engine for some time.
func (d *onDevice) during(length time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- d.Engine().Run(ctx) }()
	time.Sleep(length)
	cancel()
	d.OK(<-ended)
}

// TestRegistryOnADevice runs a registry on a keeper that is not the vault, from its founding on: everything that needs a long-lived key goes
// through the one interface.
func TestRegistryOnADevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newOnDevice(t, "device.example")
		defer d.Close()
		d.same("founded")

		d.Give("afrinic", "41.0.0.0/8 AS37000-AS37999")
		d.Enrol("lir", "afrinic", holdings.LIR)
		d.Enrol("shop", "afrinic", holdings.EndUser)
		d.Give("lir", "41.0.0.0/16")
		d.Give("shop", "41.1.0.0/16")
		d.Intend("41.0.0.0/16,AS37001\n41.1.0.0/16,AS37002")
		d.Settle()
		d.Complete()
		d.same("issued")

		before := d.device.Names()
		d.OK(d.Engine().RollKey(d.By(), "lir", time.Hour))
		d.during(6 * time.Hour)
		d.Complete()
		d.same("rolled")
		if made := d.device.Names(); slices.Equal(before, made) || len(made) != len(before) {
			t.Errorf("the roll of one key made %d keys of %d", len(made), len(before))
		}

		d.Take("shop", "41.1.0.0/16")
		d.Settle()
		d.same("revoked")
		if left := len(d.device.Names()); left != len(before)-1 {
			t.Errorf("a CA was revoked, and of %d keys %d are left", len(before), left)
		}

		d.OK(d.Engine().Federation.RenewIdentity(d.By()))
		d.same("a new identity waits")
		if err := d.Engine().Federation.RenewIdentity(d.By()); fault.KindOf(err) != fault.Conflict {
			t.Error("a third identity:", err)
		}
		d.same("a third was refused")
		d.OK(d.Engine().Federation.ReplaceIdentity(d.By(), true))
		d.Settle()
		d.same("the identity is replaced")

		// what it would sign is given up, and so are the keys of it
		made, _, _ := d.device.Counts()
		d.Give("shop", "41.2.0.0/16")
		for after := range 3 { // the first of the certificate, the others of the CRLs
			d.device.FailToSign(after, fault.New(fault.Unreachable, "the device does not answer"))
			if err := d.Engine().Settle(context.Background()); fault.KindOf(err) != fault.Unreachable {
				t.Error("without signatures:", err)
			}
		}
		if now, _, _ := d.device.Counts(); now == made {
			t.Error("no key was made that had to be given up")
		}
		d.same("nothing was signed")
		d.device.FailToSign(0, nil)
		d.Settle()
		d.Complete()
		d.same("it signs again")

		// a device that is away stops signing, and nothing else; what it is to destroy is kept
		d.Take("shop", "41.2.0.0/16")
		d.device.Fail(fault.New(fault.Unreachable, "the device is away"))
		if err := d.Engine().Settle(context.Background()); fault.KindOf(err) != fault.Unreachable {
			t.Error("without the device:", err)
		}
		status, err := d.Engine().Status()
		d.OK(err)
		if k := status.Keys; k.Keeper != "device" || k.Portable || k.Problem != "the device is away" {
			t.Errorf("without the device the status is %+v", k)
		}
		d.device.Fail(nil)
		d.Settle()
		d.Complete()
		d.same("the device is back")

		next := []byte("the next passphrase")
		done, err := d.Engine().ChangePassphrase(d.By(), []byte("a passphrase"), next)
		d.OK(err)
		if !done.Keys || done.Anchor {
			t.Errorf("with a passphrase of its own for the anchor, it says %+v", done)
		}
		_, err = d.Engine().ChangePassphrase(d.By(), next, []byte("a passphrase"))
		d.OK(err)
		d.Reopen() // and every key is found
		d.Intend("41.0.1.0/24,AS37003")
		d.Settle()
		d.Complete()
		d.same("reopened")
		n, err := d.Engine().CheckKeys()
		d.OK(err)
		if want := len(d.device.Names()) - 2; n != want { // but for the anchor's, and the identity's
			t.Errorf("%d authorities have keys, not %d", n, want)
		}
		holdsNoKey(t, d)
	})
}

// holdsNoKey checks that the store has no more of a key than its name in the device.
func holdsNoKey(t *testing.T, d *onDevice) {
	t.Helper()
	d.OK(d.Engine().Kept(func(r store.Reader) error {
		in, _ := store.Named("key")
		for record, err := range r.Scan(in, nil) {
			if err != nil {
				return err
			}
			if !bytes.HasPrefix(record.Value, []byte("slot ")) || len(record.Value) > 16 {
				t.Errorf("of the key %s more is stored than its name in the device: %q", record.Key, record.Value)
			}
		}
		return nil
	}))
}

// TestLostKey: an authority whose key the device does not have any more, as after a restored backup, is quarantined, and says which key. All
// else goes on, and a key roll mends it.
func TestLostKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newOnDevice(t, "lost.example")
		defer d.Close()
		d.Give("afrinic", "41.0.0.0/8 AS37000-AS37999")
		d.Enrol("lir", "afrinic", holdings.LIR)
		d.Enrol("shop", "afrinic", holdings.EndUser)
		d.Give("lir", "41.0.0.0/16")
		d.Settle()
		list, err := d.Engine().Keys("lir")
		d.OK(err)
		d.OK(d.device.Destroy(keys.Ref{Name: list[0].SKI}))
		d.Intend("41.0.0.0/16,AS37001")
		d.Give("shop", "41.1.0.0/16")
		if err := d.Engine().Settle(context.Background()); fault.KindOf(err) != fault.Corrupt || !strings.Contains(err.Error(), list[0].SKI) {
			t.Error("with a key that is gone:", err)
		}
		if got := d.Certified("shop"); got != "41.1.0.0/16" {
			t.Errorf("another organisation has a certificate for %q meanwhile", got)
		}
		d.OK(d.Engine().RollKey(d.By(), "lir", time.Hour))
		d.during(8 * time.Hour)
		d.Complete()
		d.same("rolled")
		status, err := d.Engine().Status()
		d.OK(err)
		if len(status.Waits) > 0 || !slices.Contains(d.VRPs(), "41.0.0.0/16,16,AS37001") {
			t.Errorf("afterwards it waits for %+v, and the VRPs are %v", status.Waits, d.VRPs())
		}
	})
}
