package escrow

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"slices"
	"testing"

	"filippo.io/age"
	"pgregory.net/rapid"

	"cadastre/internal/fault"
)

// FuzzFile has anything in the place of a deposit: it is refused in one of the ways that are meant, or it is what was made.
func FuzzFile(f *testing.F) {
	h := newTestInstallation(f)
	d := h.deposit(false)
	good, err := os.ReadFile(d.File)
	must(f, err)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte(magic + endMagic))
	f.Add([]byte(magic + "\x00\x00\x00\x00" + endMagic))
	f.Add([]byte(magic + "\xff\xff\xff\xff" + endMagic))
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := read(bytes.NewReader(text), int64(len(text)), h.signer)
		switch kind := fault.KindOf(err); {
		case err == nil && !(o.Payload == d.Payload && o.Number == d.Number):
			t.Errorf("what was never signed is taken: %+v", o.Manifest)
		case err != nil && kind != fault.Corrupt && kind != fault.Secret && kind != fault.TooNew:
			t.Errorf("(%s) %v", kind, err)
		}
	})
}

// FuzzPayload has anything in the place of what was encrypted.
func FuzzPayload(f *testing.F) {
	h := newTestInstallation(f)
	h.endow()
	h.delegate("acacia", 1)
	d := h.deposit(false)
	file, err := os.Open(d.File)
	must(f, err)
	defer file.Close()
	plain, err := age.Decrypt(io.NewSectionReader(file, int64(len(magic)), d.Size), h.identity.secret)
	must(f, err)
	unpacked, err := gzip.NewReader(plain)
	must(f, err)
	text, err := io.ReadAll(unpacked)
	must(f, err)
	f.Add(text, true)
	f.Add(text, false)
	f.Add(text[:len(text)-1], true)
	for _, line := range []string{
		``, `{}`, `null`, `[]`, `{"put":"key","key":"a","value":1}`, `{"put":"child","key":"a","value":null}`, `{"put":"child","key64":"AA=="}`,
		`{"delete":"child","key":"a"}`, `{"object":"rsync://a/b","sha256":"00","bytes":""}`, `{"put":"child","key":"a"} {}`, `{"Put":"child","key":"a","KEY64":"AA=="}`,
	} {
		f.Add([]byte(`{"settings":{"format":1}}`+"\n"+line+"\n"), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, full bool) {
		m := Manifest{Kind: Incremental}
		if full {
			m.Kind = Full
		}
		c := newContents()
		if _, err := c.apply(bytes.NewReader(text), &m, nil); err != nil {
			if kind := fault.KindOf(err); kind != fault.Corrupt && kind != fault.TooNew {
				t.Errorf("(%s) %v", kind, err)
			}
		}
		for bucket := range c.buckets {
			if !isDeposited(bucket) {
				t.Errorf("a record of %q is taken", bucket)
			}
		}
	})
}

// FuzzManifest has anything signed: what is taken is written again as it was.
func FuzzManifest(f *testing.F) {
	m := Manifest{Number: 2, Kind: Incremental, Installation: "X", Previous: Hash{1}}
	f.Add(m.xml())
	f.Add([]byte("<deposit/>"))
	f.Add(bytes.Replace(m.xml(), []byte(`version="1"`), []byte(`version="2"`), 1))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseManifest(text)
		if err != nil {
			if kind := fault.KindOf(err); kind != fault.BadInput && kind != fault.TooNew {
				t.Errorf("(%s) %v", kind, err)
			}
			return
		}
		again, err := parseManifest(m.xml())
		if err != nil || *again != *m {
			t.Errorf("%+v is read again as %+v (%v)", m, again, err)
		}
	})
}

// TestEveryOctet changes each octet of a deposit in turn, and cuts it at each: it is always noticed.
func TestEveryOctet(t *testing.T) {
	h := newTestInstallation(t)
	d := h.deposit(false)
	good, err := os.ReadFile(d.File)
	must(t, err)
	step := max(1, len(good)/400)
	for at := 0; at < len(good); at += step {
		bad := slices.Clone(good)
		bad[at] ^= 0x20
		for _, text := range [][]byte{bad, good[:at]} {
			_, err := read(bytes.NewReader(text), int64(len(text)), h.signer)
			if kind := fault.KindOf(err); err == nil || kind != fault.Corrupt && kind != fault.Secret {
				t.Errorf("octet %d of %d: (%s) %v", at, len(good), kind, err)
			}
		}
	}
}

// TestNames checks that a file name and what it says are one.
func TestNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringMatching(`[0-9]{5,7}-(full|incremental|other)-[0-9]{8}T[0-9]{6}Z\.deposit`), rapid.Just("1000000-full-20260102T030405Z.deposit"), rapid.String()).Draw(t, "name")
		if l, ok := parseName(text); ok && l.name() != text {
			t.Errorf("%q is read as %q", text, l.name())
		}
	})
	for _, name := range []string{"000001-full-20260102T030405Z.deposit", "1000000-incremental-20260102T030405Z.deposit"} {
		if _, ok := parseName(name); !ok {
			t.Errorf("%q is not read", name)
		}
	}
	for _, name := range []string{partial, "000000-full-20260102T030405Z.deposit", "0000001-full-20260102T030405Z.deposit", "000001-full-20261302T030405Z.deposit"} {
		if _, ok := parseName(name); ok {
			t.Errorf("%q is taken for a deposit", name)
		}
	}
}
