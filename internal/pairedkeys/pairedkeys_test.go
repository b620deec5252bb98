package pairedkeys

import (
	"crypto/x509"
	"path/filepath"
	"testing"
)

func TestPairsAreAllThereIs(t *testing.T) {
	n := uint64(0)
	for j := int64(1); j < 500; j++ {
		for i := int64(0); i < j; i++ {
			if a, b := pairAt(n); a != i || b != j {
				t.Fatalf("pair %d is (%d, %d), not (%d, %d)", n, a, b, i, j)
			}
			n++
		}
	}
}

// No two keys of a run are the same, whichever program takes them, and each is whole.
func TestPairedKeys(t *testing.T) {
	t.Setenv(Variable, filepath.Join(t.TempDir(), "keys"))
	seen := map[string]bool{}
	for range 30 {
		key, err := Next()
		if err != nil {
			t.Fatal(err)
		}
		if bits := key.N.BitLen(); bits != 2048 {
			t.Fatalf("a modulus of %d bits", bits)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x509.ParsePKCS8PrivateKey(der); err != nil {
			t.Fatal(err)
		}
		if seen[string(der)] {
			t.Fatal("a key was handed out twice")
		}
		seen[string(der)] = true
	}
}

func BenchmarkPairedKey(b *testing.B) {
	b.Setenv(Variable, filepath.Join(b.TempDir(), "keys"))
	for b.Loop() {
		if _, err := Next(); err != nil {
			b.Fatal(err)
		}
	}
}
