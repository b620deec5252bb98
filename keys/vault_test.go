package keys_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"cadastre/internal/fault"
	"cadastre/internal/object"
	"cadastre/keys"
)

const passphrase = "correct horse battery staple"

func generate(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := object.P256.Generate()
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
	rsa, err := object.RSA.Generate()
	if err != nil {
		t.Fatal(err)
	}
	again, err := keys.OpenVault(header, []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"p-256": generate(t), "rsa": rsa} {
		sealed, err := v.Seal(name, key)
		if err != nil {
			t.Fatal(err)
		}
		if twice, _ := v.Seal(name, key); bytes.Equal(twice, sealed) {
			t.Errorf("%s: sealed twice it is the same bytes", name)
		}
		for _, from := range []*keys.Vault{v, again} {
			back, err := from.Open(name, sealed)
			if err != nil {
				t.Fatal(err)
			}
			if !back.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public()) {
				t.Errorf("%s: another key came back", name)
			}
			digest := sha256.Sum256([]byte("message"))
			if _, err := back.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
				t.Errorf("%s: it does not sign: %v", name, err)
			}
		}
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
	key := generate(t)
	sealed, err := v.Seal("one", key)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := keys.OpenVault(header, []byte(passphrase)) // which remembers nothing open
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := keys.NewVault([]byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, from *keys.Vault, name string, sealed []byte) {
		t.Helper()
		got, err := from.Open(name, sealed)
		if fault.KindOf(err) != fault.Corrupt || got != nil {
			t.Errorf("%s: %v, %v", what, got, err)
			return
		}
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s: the error does not name the key: %v", what, err)
		}
		holdsNoKey(t, err.Error(), key)
	}
	refused("another name", fresh, "two", sealed)
	refused("nothing", fresh, "one", nil)
	refused("cut short", fresh, "one", sealed[:len(sealed)-1])
	refused("the same passphrase, another vault", other, "one", sealed)
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		refused("a changed byte", fresh, "one", bad)
	}
	if _, err := fresh.Open("one", sealed); err != nil {
		t.Error(err)
	}
	if _, err := v.Seal("unknown", strange{}); err == nil {
		t.Error("something that is no key was sealed")
	}
}

type strange struct{}

func (strange) Public() crypto.PublicKey { return nil }
func (strange) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
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
		v, err := keys.OpenVault(header, []byte(wrong))
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
		if v, err := keys.OpenVault(text, []byte(passphrase)); fault.KindOf(err) != c.want || v != nil {
			t.Errorf("%s: (%s) %v", name, fault.KindOf(err), err)
		}
	}
	for _, text := range []string{"", "{}", "null", "[]", string(header[:len(header)/2])} {
		if _, err := keys.OpenVault([]byte(text), []byte(passphrase)); fault.KindOf(err) != fault.Corrupt {
			t.Errorf("the header %q: %v", text, err)
		}
	}
}

// TestVaultManyKeys has more keys than a vault remembers open, from several goroutines.
func TestVaultManyKeys(t *testing.T) {
	v, _ := vault()
	key := generate(t)
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := range 1500 {
				name := string(rune('a'+worker)) + string(rune(i))
				sealed, err := v.Seal(name, key)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := v.Open(name, sealed); err != nil {
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
		if _, err := keys.OpenVault(header, []byte("x")); err == nil || fault.KindOf(err) == fault.Internal {
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
	key := generate(t)
	sealed, err := v.Seal("one", key)
	if err != nil {
		t.Fatal(err)
	}
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
	if _, err := keys.OpenVault(changed, []byte(passphrase)); fault.KindOf(err) != fault.Secret {
		t.Errorf("it still opens with the old one: %v", err)
	}
	again, err := keys.OpenVault(changed, next)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Open("one", sealed); err != nil {
		t.Errorf("what was sealed before does not open: %v", err)
	}
}
