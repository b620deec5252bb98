package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"cadastre/internal/keystest"
	"cadastre/internal/store"
	"cadastre/keys"
)

// doNoSecrets checks that no file of the script's folder has a private key of the data directory, or its passphrase, in
// it, whichever way it is written: not what was printed and logged, and not the store. Named files may.
func doNoSecrets(ts *testscript.TestScript, _ bool, args []string) {
	allowed := map[string]bool{}
	for _, name := range args {
		allowed[ts.MkAbs(name)] = true
	}
	secrets := append(privateKeys(ts), []byte(testPassphrase), []byte("PRIVATE KEY"))
	err := filepath.WalkDir(ts.Getenv("WORK"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || allowed[path] {
			return err
		}
		content, err := os.ReadFile(path)
		for _, secret := range secrets {
			if bytes.Contains(content, secret) {
				ts.Fatalf("%s has a secret in it, %d bytes long", path, len(secret))
			}
		}
		return err
	})
	ts.Check(err)
}

// privateKeys opens every key of the data directory, and gives it as bytes, in hexadecimal and in Base64.
func privateKeys(ts *testscript.TestScript) [][]byte {
	dir := ts.Getenv("CADASTRE_DATA")
	st, err := store.Open(filepath.Join(dir, "store.db"), store.Options{ReadOnly: true})
	ts.Check(err)
	defer st.Close() //nolint:errcheck // it was only read
	var out [][]byte
	add := func(header []byte, name string, sealed []byte) {
		key, err := keystest.OpenSealed(header, []byte(testPassphrase), keys.Ref{Name: name, Held: sealed})
		ts.Check(err)
		der, err := x509.MarshalPKCS8PrivateKey(key)
		ts.Check(err)
		secrets := [][]byte{der}
		switch key := key.(type) {
		case *ecdsa.PrivateKey:
			scalar, err := key.Bytes()
			ts.Check(err)
			secrets = append(secrets, scalar)
		case *rsa.PrivateKey: // an identity among peers
			secrets = append(secrets, key.D.Bytes(), key.Primes[0].Bytes(), key.Primes[1].Bytes())
		default:
			ts.Fatalf("%s is a %T", name, key)
		}
		for _, secret := range secrets {
			text := base64.StdEncoding.EncodeToString(secret)
			out = append(out, secret, []byte(hex.EncodeToString(secret)), []byte(text[:len(text)-4]))
		}
	}
	ts.Check(st.View(func(r store.Reader) error {
		header, err := r.Get(named("engine"), []byte("vault"))
		ts.Check(err)
		for record, err := range r.Scan(named("key"), nil) {
			ts.Check(err)
			add(header, string(record.Key), record.Value)
		}
		var identity struct {
			Sealed   []byte `json:"sealed_key"`
			SealedAs string `json:"sealed_as"`
		}
		text, err := r.Get(named("engine"), []byte("identity"))
		ts.Check(err)
		ts.Check(json.Unmarshal(text, &identity))
		add(header, identity.SealedAs, identity.Sealed)
		return nil
	}))
	var anchor struct {
		Vault  json.RawMessage `json:"vault"`
		KeyID  string          `json:"key_id"`
		Sealed []byte          `json:"sealed_key"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(filepath.Join(dir, "anchor.key"))), &anchor))
	add(anchor.Vault, anchor.KeyID, anchor.Sealed)
	if len(out) < 6*6 {
		ts.Fatalf("only %d secrets were found; the test no longer knows where they are", len(out))
	}
	return out
}

// named is a declared bucket of the store.
func named(name string) store.Bucket {
	bucket, known := store.Named(name)
	if !known {
		panic("no bucket " + name + " is declared")
	}
	return bucket
}
