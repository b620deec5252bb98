package daemon

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"cadastre/internal/fault"
)

// makeTLS makes a private TLS authority and a server certificate under it, for installations that bring none. The
// authority's key is forgotten at once: its only certificate is this one. Validators are given ca.pem. The certificate is for
// host, and for other hosts that lead here too.
func makeTLS(dir, host string, others ...string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Wrap(err, "couldn't make %s", dir)
	}
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Cadastre private TLS authority for " + host},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range append([]string{host}, others...) {
		if ip := net.ParseIP(name); ip != nil {
			server.IPAddresses = append(server.IPAddresses, ip)
		} else {
			server.DNSNames = append(server.DNSNames, name)
		}
	}
	authorityKey, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	serverKey, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	authorityDER, err1 := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	serverDER, err2 := x509.CreateCertificate(rand.Reader, server, authority, serverKey.Public(), authorityKey)
	keyDER, err3 := x509.MarshalPKCS8PrivateKey(serverKey)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	return errors.Join(
		writePEM(filepath.Join(dir, "ca.pem"), "CERTIFICATE", authorityDER, 0o644),
		writePEM(filepath.Join(dir, "server.pem"), "CERTIFICATE", serverDER, 0o644),
		writePEM(filepath.Join(dir, "server.key"), "PRIVATE KEY", keyDER, 0o600),
	)
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}

// keyPair serves a TLS certificate from files, and takes new files when they come. A pair that does not fit together
// is refused, and the old one served on.
type keyPair struct {
	certificate, key string
	host             string // that relying parties ask for; empty for any
	log              *slog.Logger

	mu      sync.Mutex // guards the rest
	pair    *tls.Certificate
	changed time.Time // newest modification time of the files that pair is from
	looked  time.Time
}

// lookEvery is how often the files are looked at.
const lookEvery = 10 * time.Second

func newKeyPair(c *Config, dir string, log *slog.Logger) (*keyPair, error) {
	k := &keyPair{certificate: c.TLS.Certificate, key: c.TLS.Key, host: c.host(), log: log}
	if k.certificate == "" {
		k.certificate, k.key = filepath.Join(dir, "tls", "server.pem"), filepath.Join(dir, "tls", "server.key")
	}
	pair, err := k.load()
	if err != nil {
		return nil, err
	}
	k.pair, k.changed, k.looked = pair, k.modified(), time.Now()
	if now := time.Now(); now.After(pair.Leaf.NotAfter) {
		log.Error("the TLS certificate has ended: relying parties refuse it, and go on with what they have; put a new one in its place", "certificate", k.certificate, "ended", pair.Leaf.NotAfter)
	}
	return k, nil
}

// load reads the files. It fails where they do not fit together, or are for another host than relying parties ask for.
func (k *keyPair) load() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(k.certificate, k.key)
	if err == nil && pair.Leaf == nil {
		pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0])
	}
	if err != nil {
		return nil, fault.New(fault.BadInput, "couldn't use the TLS certificate %s with the key %s: %w", k.certificate, k.key, err)
	}
	if k.host != "" && pair.Leaf.VerifyHostname(k.host) != nil {
		return nil, fault.New(fault.BadInput, "the TLS certificate %s is for %s, but rrdp_base names the host %s: relying parties would refuse it; use one for that host (where a proxy in front has it, leave tls.certificate empty)", k.certificate, cmp.Or(strings.Join(hostsOf(pair.Leaf), ", "), "-"), k.host)
	}
	return &pair, nil
}

func hostsOf(c *x509.Certificate) []string {
	hosts := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return hosts
}

func (k *keyPair) modified() time.Time {
	var newest time.Time
	for _, path := range []string{k.certificate, k.key} {
		if info, err := os.Stat(path); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return newest
}

// get implements tls.Config.GetCertificate.
func (k *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.looked) < lookEvery {
		return k.pair, nil
	}
	k.look()
	return k.pair, nil
}

// reload looks at the files now.
func (k *keyPair) reload() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.look()
}

// look takes the files where they have changed. mu is held.
func (k *keyPair) look() {
	k.looked = time.Now()
	modified := k.modified()
	if !modified.After(k.changed) {
		return
	}
	k.changed = modified
	pair, err := k.load()
	if err != nil {
		k.log.Error("the new TLS certificate cannot be used; the old one is served on", "certificate", k.certificate, "error", err)
		return
	}
	k.pair = pair
	k.log.Info("a new TLS certificate is in use", "certificate", k.certificate, "until", pair.Leaf.NotAfter)
}

// expires is when the certificate that is served ends.
func (k *keyPair) expires() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.pair.Leaf.NotAfter
}
