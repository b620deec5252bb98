package keys_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"cadastre/internal/fault"
	"cadastre/internal/keystest"
	"cadastre/internal/object"
	"cadastre/internal/store"
	"cadastre/keys"
)

const passphrase = "correct horse battery staple"

// makeKey makes a key in a vault.
func makeKey(t testing.TB, v keys.Keeper, algorithm object.Algorithm) keys.Key {
	t.Helper()
	key, err := keys.One(v, algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// vault is one vault and its header, made once: argon2id is slow on purpose.
var vault = sync.OnceValues(func() (*keys.Vault, []byte) {
	v, header, err := keys.NewVault([]byte(passphrase))
	if err != nil {
		panic(err)
	}
	return v, header
})

func TestVault(t *testing.T) {
	v, header := vault()
	again, err := keys.Software.Open(header, []byte(passphrase), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range []object.Algorithm{object.P256, object.RSA} {
		key := makeKey(t, v, algorithm)
		if public, err := object.PublicKeyOf(key.Signer); err != nil || public.ID != key.Public.ID || key.Ref.Name != public.ID.String() {
			t.Errorf("%s: the key %s is called %s, %v", algorithm.Name(), public.ID, key.Ref.Name, err)
		}
		for _, from := range []keys.Keeper{v, again} {
			back, err := from.Find(key.Ref)
			if err != nil {
				t.Fatal(err)
			}
			if !back.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Signer.Public()) {
				t.Errorf("%s: another key came back", algorithm.Name())
			}
			digest := sha256.Sum256([]byte("message"))
			if _, err := back.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
				t.Errorf("%s: it does not sign: %v", algorithm.Name(), err)
			}
		}
		if err := again.Destroy(key.Ref); err != nil {
			t.Error(err)
		}
		if err := again.Destroy(key.Ref); err != nil {
			t.Errorf("of a key that is gone it says %v", err)
		}
	}
	if health := v.Health(); health.Kind != "vault" || !health.Portable || health.Err != nil {
		t.Errorf("it is %+v", health)
	}
}

// TestSignerHidesItsKey: whoever has a key can sign with it, and read nothing of its private half.
func TestSignerHidesItsKey(t *testing.T) {
	v, _ := vault()
	key := makeKey(t, v, object.P256)
	if _, err := x509.MarshalPKCS8PrivateKey(key.Signer); err == nil {
		t.Error("it can be marshalled")
	}
	marshalled, err := json.Marshal(key.Signer)
	if err != nil {
		t.Fatal(err)
	}
	pair := opened(t, key.Ref)
	for _, text := range []string{string(marshalled), fmt.Sprint(key), fmt.Sprintf("%v %+v %#v %s %q %x %d", key.Signer, key.Signer, key.Signer, key.Signer, key.Signer, key.Signer, key.Signer)} {
		holdsNoKey(t, text, pair)
		if d := pair.(*ecdsa.PrivateKey).D.String(); strings.Contains(text, d) { //nolint:staticcheck // what fmt prints is decimal
			t.Errorf("it prints the key: %s", text)
		}
	}
}

// opened is the private key of a Ref of the one vault, found by other code than the vault's.
func opened(t testing.TB, ref keys.Ref) crypto.Signer {
	t.Helper()
	_, header := vault()
	key, err := keystest.OpenSealed(header, []byte(passphrase), ref)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestVaultDrawsFromPool: a vault takes the pairs of its keys from the pool, none twice, and makes those of another algorithm itself.
func TestVaultDrawsFromPool(t *testing.T) {
	_, header := vault()
	ctx, cancel := context.WithCancel(t.Context())
	pool := keys.NewPool(ctx, object.P256, 4)
	v, err := keys.OpenVault(header, []byte(passphrase), pool)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 3 {
		made, err := v.Make(ctx, object.P256, 5)
		if err != nil || len(made) != 5 {
			t.Fatalf("%d keys, %v", len(made), err)
		}
		for _, key := range made {
			if seen[key.Ref.Name] {
				t.Errorf("%s was made twice", key.Ref.Name)
			}
			seen[key.Ref.Name] = true
		}
	}
	cancel()
	pool.Wait()
	if _, err := v.Make(t.Context(), object.P256, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("without its pool: %v", err)
	}
	makeKey(t, v, object.RSA)
}

// TestDeactivated: a deactivated key is found no more, is destroyed, and stays noted while its keeper fails.
func TestDeactivated(t *testing.T) {
	st, err := store.Open(filepath.Join(t.TempDir(), "store"), store.Options{Create: true, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	keeper := &keystest.Device{}
	update := func(change func(store.Writer) error) {
		t.Helper()
		if _, err := st.Update(store.Any, change); err != nil {
			t.Fatal(err)
		}
	}
	stays, goes, elsewhere := makeKey(t, keeper, object.P256), makeKey(t, keeper, object.P256), makeKey(t, keeper, object.P256)
	update(func(w store.Writer) error {
		return errors.Join(keys.Put(w, stays.Ref), keys.Put(w, goes.Ref))
	})
	update(func(w store.Writer) error {
		return errors.Join(keys.Deactivate(w, goes.Ref.Name), keys.Deactivate(w, "of a delegated CA"), keys.DeactivateRef(w, elsewhere.Ref))
	})
	look := func(name string) (ref keys.Ref, err error) {
		err = st.View(func(r store.Reader) error { ref, err = keys.Get(r, name); return err })
		return ref, err
	}
	if ref, err := look(stays.Ref.Name); err != nil || !bytes.Equal(ref.Held, stays.Ref.Held) {
		t.Errorf("the key that stays is %+v, %v", ref, err)
	}
	if _, err := look(goes.Ref.Name); fault.KindOf(err) != fault.Corrupt {
		t.Errorf("of a deactivated key: %v", err)
	}
	keeper.Fail(errors.New("the device is not there"))
	if n, err := keys.DestroyDeactivated(st, keeper); n != 0 || err == nil || !strings.Contains(err.Error(), "the device is not there") {
		t.Errorf("%d were destroyed without a device, %v", n, err)
	}
	keeper.Fail(nil)
	for _, want := range []int{2, 0} {
		if n, err := keys.DestroyDeactivated(st, keeper); n != want || err != nil {
			t.Errorf("%d were destroyed, not %d, %v", n, want, err)
		}
	}
	if got := keeper.Names(); !slices.Equal(got, []string{stays.Ref.Name}) {
		t.Errorf("the keeper still has %v", got)
	}
}

// TestCost: a new vault's passphrase costs a guesser as much as RFC 9106, section 4, wants.
func TestCost(t *testing.T) {
	_, header := vault()
	var cost struct {
		Time   uint32 `json:"time"`
		Memory uint32 `json:"memory_kib"`
	}
	if err := json.Unmarshal(header, &cost); err != nil || cost.Time < 3 || cost.Memory < 64<<10 {
		t.Errorf("%v: %s", err, header)
	}
}

// TestSealed checks what is refused: another name, other bytes, another vault.
func TestSealed(t *testing.T) {
	v, header := vault()
	key := makeKey(t, v, object.P256)
	name, sealed, pair := key.Ref.Name, key.Ref.Held, opened(t, key.Ref)
	fresh, err := keys.OpenVault(header, []byte(passphrase), nil) // which remembers nothing open
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := keys.NewVault([]byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, from *keys.Vault, name string, sealed []byte) {
		t.Helper()
		got, err := from.Find(keys.Ref{Name: name, Held: sealed})
		if fault.KindOf(err) != fault.Corrupt || got != nil {
			t.Errorf("%s: %v, %v", what, got, err)
			return
		}
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s: the error does not name the key: %v", what, err)
		}
		holdsNoKey(t, err.Error(), pair)
	}
	refused("another name", fresh, "two", sealed)
	refused("nothing", fresh, name, nil)
	refused("cut short", fresh, name, sealed[:len(sealed)-1])
	refused("the same passphrase, another vault", other, name, sealed)
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		refused("a changed byte", fresh, name, bad)
	}
	if _, err := fresh.Find(key.Ref); err != nil {
		t.Error(err)
	}
	if _, err := keys.One(v, strange{object.P256}); err == nil {
		t.Error("something that is no key was sealed")
	}
}

// strange makes what is no key.
type strange struct{ object.Algorithm }

func (strange) Generate() (crypto.Signer, error) { return strangeKey{}, nil }

type strangeKey struct{}

func (strangeKey) Public() crypto.PublicKey { return nil }
func (strangeKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("it cannot")
}

// holdsNoKey checks that a text has nothing of a private key in it.
func holdsNoKey(t testing.TB, text string, key crypto.Signer) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	scalar, err := key.(*ecdsa.PrivateKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range [][]byte{der, scalar} {
		for _, form := range []string{string(secret), hex.EncodeToString(secret), base64.StdEncoding.EncodeToString(secret)} {
			if strings.Contains(text, form) {
				t.Errorf("it holds the private key: %q", text)
			}
		}
	}
	if strings.Contains(text, passphrase) {
		t.Errorf("it holds the passphrase: %q", text)
	}
}

func TestPassphrase(t *testing.T) {
	_, header := vault()
	for _, wrong := range []string{"", "correct horse", passphrase + "\n", strings.ToUpper(passphrase)} {
		v, err := keys.OpenVault(header, []byte(wrong), nil)
		if fault.KindOf(err) != fault.Secret || v != nil {
			t.Errorf("the passphrase %q: %v", wrong, err)
			continue
		}
		if wrong != "" && strings.Contains(err.Error(), wrong) {
			t.Errorf("the error repeats what was typed: %v", err)
		}
	}
	if _, _, err := keys.NewVault(nil); fault.KindOf(err) != fault.Secret {
		t.Errorf("a vault without a passphrase: %v", err)
	}
}

func TestHeader(t *testing.T) {
	_, header := vault()
	if bytes.Contains(header, []byte(passphrase)) {
		t.Error("the header has the passphrase in it")
	}
	for name, c := range map[string]struct {
		change func(map[string]any)
		want   fault.Kind
	}{
		"other function": {func(h map[string]any) { h["kdf"] = "md5" }, fault.Corrupt},
		"no time":        {func(h map[string]any) { h["time"] = 0 }, fault.Corrupt},
		"no threads":     {func(h map[string]any) { h["threads"] = 0 }, fault.Corrupt},
		"much memory":    {func(h map[string]any) { h["memory_kib"] = 1 << 30 }, fault.Corrupt},
		"endless time":   {func(h map[string]any) { h["time"] = 1 << 30 }, fault.Corrupt},
		"text for salt":  {func(h map[string]any) { h["salt"] = "*" }, fault.Corrupt},
		"newer":          {func(h map[string]any) { h["version"] = 2 }, fault.TooNew},
		"other salt":     {func(h map[string]any) { h["salt"] = base64.StdEncoding.EncodeToString(make([]byte, 16)) }, fault.Secret},
		"no key":         {func(h map[string]any) { h["wrapped_key"] = "" }, fault.Secret},
	} {
		var h map[string]any
		if err := json.Unmarshal(header, &h); err != nil {
			t.Fatal(err)
		}
		c.change(h)
		text, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := keys.OpenVault(text, []byte(passphrase), nil); fault.KindOf(err) != c.want || v != nil {
			t.Errorf("%s: (%s) %v", name, fault.KindOf(err), err)
		}
	}
	for _, text := range []string{"", "{}", "null", "[]", string(header[:len(header)/2])} {
		if _, err := keys.OpenVault([]byte(text), []byte(passphrase), nil); fault.KindOf(err) != fault.Corrupt {
			t.Errorf("the header %q: %v", text, err)
		}
	}
}

// TestVaultManyKeys has more keys than a vault remembers open, from several goroutines.
func TestVaultManyKeys(t *testing.T) {
	v, _ := vault()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 1100 {
				key, err := keys.One(v, object.P256)
				if err == nil {
					_, err = v.Find(key.Ref)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}

func FuzzOpenVault(f *testing.F) {
	f.Add([]byte(`{"version":1,"kdf":"argon2id","salt":"AAAA","time":1,"memory_kib":8,"threads":1,"wrapped_key":"AAAA"}`))
	f.Add([]byte(`{"version":2,"kdf":"argon2id","time":1,"threads":1}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, header []byte) {
		var cost struct {
			Time   uint32 `json:"time"`
			Memory uint32 `json:"memory_kib"`
		}
		if err := json.Unmarshal(header, &cost); err == nil && (cost.Time > 4 || cost.Memory > 1<<12) {
			t.Skip("it would take long, as it should")
		}
		if _, err := keys.OpenVault(header, []byte("x"), nil); err == nil || fault.KindOf(err) == fault.Internal {
			t.Errorf("%q: %v", header, err)
		}
	})
}

// TestPassphrases: what may become one, and that what is changed opens with the new one alone.
func TestPassphrases(t *testing.T) {
	for text, fine := range map[string]bool{
		"": false, "x": false, "short": false, "123456789": false, "1234567890": true, "aaaaaaaaaaaaaaaa": false, "abcabcabcabc": false,
		"vier Wörter und mehr": true, "日本語日本語": false,
	} {
		if err := keys.CheckPassphrase([]byte(text)); (err == nil) != fine || err != nil && fault.KindOf(err) != fault.Secret {
			t.Errorf("%q: %v", text, err)
		}
	}
	v, header := vault()
	key := makeKey(t, v, object.P256)
	next := []byte("another passphrase")
	for _, c := range []struct{ old, new string }{{"wrong passphrase", string(next)}, {passphrase, "x"}} {
		if _, err := keys.ChangePassphrase(header, []byte(c.old), []byte(c.new)); fault.KindOf(err) != fault.Secret {
			t.Errorf("from %q to %q: %v", c.old, c.new, err)
		}
	}
	changed, err := keys.ChangePassphrase(header, []byte(passphrase), next)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.OpenVault(changed, []byte(passphrase), nil); fault.KindOf(err) != fault.Secret {
		t.Errorf("it still opens with the old one: %v", err)
	}
	again, err := keys.OpenVault(changed, next, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Find(key.Ref); err != nil {
		t.Errorf("what was sealed before does not open: %v", err)
	}
}
