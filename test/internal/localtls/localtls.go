// Package localtls signs the one TLS certificate, of localhost, with which all daemons of a proof serve.
package localtls

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Authority signed the one certificate, of localhost, with which every daemon of a run serves.
type Authority struct {
	Roots       string // file of the authority's own certificate, which validators are given
	Certificate []byte // PEM
	Key         []byte // PEM
	Client      *http.Client
}

func New(dir string) (*Authority, error) {
	now := time.Now()
	issuer := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "The proof's TLS authority"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, 7),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, NotBefore: issuer.NotBefore, NotAfter: issuer.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	issuerKey, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	serverKey, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	issuerDER, err1 := x509.CreateCertificate(rand.Reader, issuer, issuer, issuerKey.Public(), issuerKey)
	serverDER, err2 := x509.CreateCertificate(rand.Reader, server, issuer, serverKey.Public(), issuerKey)
	keyDER, err3 := x509.MarshalPKCS8PrivateKey(serverKey)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	toPEM := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	roots := toPEM("CERTIFICATE", issuerDER)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	a := &Authority{
		Roots: filepath.Join(dir, "ca.pem"), Certificate: toPEM("CERTIFICATE", serverDER), Key: toPEM("PRIVATE KEY", keyDER),
		Client: &http.Client{
			Timeout:   10 * time.Second,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true},
		},
	}
	return a, os.WriteFile(a.Roots, roots, 0o644) // it is public, and read by programs that are not root
}

// Give puts certificate and key into a folder, under the names that Krill expects.
func (a *Authority) Give(dir string) (certificate, key string, err error) {
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	return certificate, key, errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(certificate, a.Certificate, 0o600), os.WriteFile(key, a.Key, 0o600))
}

// Fetch gets what is at a URL.
func (a *Authority) Fetch(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := a.Client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }() // there is nothing more to read
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, answer.Status)
	}
	return body, err
}
