package envelope

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"cadastre/internal/fault"
)

// seeds adds what others made, where it is at hand.
func seeds(f *testing.F, patterns ...string) {
	for _, pattern := range patterns {
		files, _ := filepath.Glob(filepath.FromSlash(pattern))
		for _, file := range files {
			if der, err := os.ReadFile(file); err == nil && len(der) < 20_000 {
				f.Add(der)
			}
		}
	}
}

// bounded fails where reading allocates more than its input explains. The constant covers keys and certificates.
func bounded(t *testing.T, octets int, read func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	read()
	runtime.ReadMemStats(&after)
	if grown, most := after.TotalAlloc-before.TotalAlloc, uint64(1<<20+64*octets); grown > most {
		t.Errorf("reading %d octets allocated %d", octets, grown)
	}
}

func FuzzOpen(f *testing.F) {
	seeds(f, interop+"pdu*.der", rfc6492+"*.der", vectors+"up-down/up-down/*pdu.der")
	d := newDraft()
	der := d.write()
	f.Add(der)
	f.Add(asBouncyCastle(der))
	trust := d.trust()
	f.Fuzz(func(t *testing.T, message []byte) {
		bounded(t, len(message), func() {
			m, err := trust.Open(message, labNow)
			if err == nil && !bytes.Equal(m.Content, d.content) {
				t.Errorf("%q was opened, which nobody signed", m.Content)
			}
			if kind := fault.KindOf(err); err != nil && kind != fault.BadInput && kind != fault.Secret {
				t.Errorf("the error is of kind %s: %v", kind, err)
			}
			// behind what only a valid signature gets past
			if p, err := parse(message); err == nil {
				for _, crl := range p.crls {
					if len(crl) <= maxCRL {
						_ = trust.notRevoked(must(d.signer()), [][]byte{crl}, labNow)
					}
				}
			}
		})
	})
}

func FuzzParseTrust(f *testing.F) {
	seeds(f, vectors+"rpki-rs/ca/*.cer", vectors+"up-down/up-down/*cert.der")
	f.Add(newDraft().issuer.Raw)
	f.Fuzz(func(t *testing.T, der []byte) {
		bounded(t, len(der), func() {
			trust, err := ParseTrust(der)
			if (trust == nil) == (err == nil) || err != nil && fault.KindOf(err) != fault.BadInput {
				t.Errorf("%v with %v", trust, err)
			}
			if err == nil && !bytes.Equal(trust.Certificate(), der) {
				t.Error("the certificate is not what was read")
			}
		})
	})
}

// FuzzToDER: what comes out is DER, which comes out again as it is.
func FuzzToDER(f *testing.F) {
	f.Add(newDraft().write())
	f.Add(asBouncyCastle(newDraft().write()))
	f.Add([]byte{0x24, 0x80, 0x04, 0x01, 0x61, 0x24, 0x03, 0x04, 0x01, 0x62, 0x00, 0x00})
	f.Fuzz(func(t *testing.T, ber []byte) {
		der, err := toDER(ber)
		if err != nil {
			return
		}
		again, err := toDER(der)
		if err != nil || len(again) == 0 || &again[0] != &der[0] {
			t.Errorf("%x became %x, which is not DER (%v)", ber, der, err)
		}
	})
}
