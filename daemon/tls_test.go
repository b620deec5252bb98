package daemon

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestTLSReload has the served certificate replaced: a new pair is taken when its time to be looked at has come, and one
// that does not fit together is not.
func TestTLSReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, spare := t.TempDir(), t.TempDir()
		files := filepath.Join(dir, "tls")
		if err := makeTLS(files, "localhost"); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		pair, err := newKeyPair(&Config{}, dir, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		serial := func() string {
			t.Helper()
			c, err := pair.get(nil)
			if err != nil {
				t.Fatal(err)
			}
			return string(c.Certificate[0])
		}
		// changed makes the files look newer than any before, however coarse the disk's clock
		stamp := time.Now().AddDate(100, 0, 0)
		changed := func(names ...string) {
			stamp = stamp.Add(time.Minute)
			for _, name := range names {
				if err := os.Chtimes(filepath.Join(files, name), stamp, stamp); err != nil {
					t.Fatal(err)
				}
			}
		}

		first := serial()
		if err := makeTLS(files, "localhost"); err != nil {
			t.Fatal(err)
		}
		changed("server.pem", "server.key")
		if serial() != first {
			t.Error("the files were looked at before their time")
		}
		time.Sleep(lookEvery)
		second := serial()
		if second == first {
			t.Error("the new certificate is not served")
		}

		// a key that belongs to another certificate
		if err := makeTLS(spare, "localhost"); err != nil {
			t.Fatal(err)
		}
		right, err := os.ReadFile(filepath.Join(files, "server.key"))
		if err != nil {
			t.Fatal(err)
		}
		wrong, err := os.ReadFile(filepath.Join(spare, "server.key"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(files, "server.key"), wrong, 0o600); err != nil {
			t.Fatal(err)
		}
		changed("server.key")
		time.Sleep(lookEvery)
		if serial() != second {
			t.Error("a pair that does not fit together was taken")
		}
		if !strings.Contains(log.String(), "the old one is served on") {
			t.Errorf("nothing was said of the pair that does not fit: %s", log.String())
		}

		// and files that are gone change nothing
		if err := os.Rename(filepath.Join(files, "server.pem"), filepath.Join(files, "away.pem")); err != nil {
			t.Fatal(err)
		}
		changed("server.key")
		time.Sleep(lookEvery)
		if serial() != second {
			t.Error("a pair that is gone is not served on")
		}

		// a pair that fits is taken again
		if err := os.Rename(filepath.Join(spare, "server.pem"), filepath.Join(files, "server.pem")); err != nil {
			t.Fatal(err)
		}
		changed("server.pem", "server.key")
		time.Sleep(lookEvery)
		if got := serial(); got == second || got == first {
			t.Error("after a bad pair, a good one is not taken")
		}
		if strings.Contains(log.String(), string(right)) || strings.Contains(log.String(), "PRIVATE KEY") {
			t.Error("the log has a key in it")
		}
		if pair.expires().Before(time.Now()) {
			t.Error("the certificate that is served has ended")
		}
	})
}

func TestTLSRefused(t *testing.T) {
	dir, spare := t.TempDir(), t.TempDir()
	for _, d := range []string{dir, spare} {
		if err := makeTLS(d, "192.0.2.1"); err != nil {
			t.Fatal(err)
		}
	}
	c := &Config{TLS: tlsConfig{Certificate: filepath.Join(dir, "server.pem"), Key: filepath.Join(spare, "server.key")}}
	if _, err := newKeyPair(c, dir, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "server.pem") {
		t.Errorf("a pair that does not fit together: %v", err)
	}
}

// TestTLSHost has certificates for a host that relying parties do not ask for.
func TestTLSHost(t *testing.T) {
	dir := t.TempDir()
	files := filepath.Join(dir, "tls")
	if err := makeTLS(files, "old.example", "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	for host, want := range map[string]string{"old.example": "", "192.0.2.1": "", "new.example": "is for old.example, 192.0.2.1, but rrdp_base names the host new.example"} {
		_, err := newKeyPair(&Config{RRDPBase: "https://" + host + "/rrdp/"}, dir, logger)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("for %s: %v", host, err)
		}
	}
	// a renewal for another host is not taken
	pair, err := newKeyPair(&Config{RRDPBase: "https://old.example/rrdp/"}, dir, logger)
	if err != nil {
		t.Fatal(err)
	}
	if err := makeTLS(files, "new.example"); err != nil {
		t.Fatal(err)
	}
	stamp := time.Now().AddDate(100, 0, 0)
	if err := os.Chtimes(filepath.Join(files, "server.pem"), stamp, stamp); err != nil {
		t.Fatal(err)
	}
	pair.reload()
	if pair.pair.Leaf.DNSNames[0] != "old.example" || !strings.Contains(log.String(), "the old one is served on") {
		t.Errorf("a certificate for another host is served: %s", log.String())
	}
}
