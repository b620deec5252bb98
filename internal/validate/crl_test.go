package validate

import (
	"testing"
	"time"
)

func TestCRL(t *testing.T) {
	ta, _ := rsaLab()
	ta.revoked = []int64{7, 3}
	entry := func(serial []byte, at []byte, more ...[]byte) []byte {
		return seq(append([][]byte{serial, at}, more...)...)
	}
	at := utcTLV(labNow)
	for _, tt := range []struct {
		name   string
		mutate func(*crlSpec)
		want   string
	}{
		{"nothing", func(*crlSpec) {}, ""},
		{"no entries", func(s *crlSpec) { s.revoked = nil }, ""},
		{"empty entries", func(s *crlSpec) { s.revoked = seq() }, "5280-5.1.2.6"},
		{"version absent", func(s *crlSpec) { s.version = nil }, "6487-5"},
		{"version 1", func(s *crlSpec) { s.version = intTLV(0) }, "6487-5"},
		{"version 3", func(s *crlSpec) { s.version = intTLV(2) }, "6487-5"},
		{"inner algorithm", func(s *crlSpec) { s.inner = []byte(algRSAEncryption) }, "5280-5.1.2.2"},
		{"outer algorithm", func(s *crlSpec) { s.outer = []byte(algRSAEncryption) }, "7935-2"},
		{"issuer UTF8", func(s *crlSpec) { s.issuer = seq(set(seq(oidTLV(oidCommonName), tlv(0x0C, []byte("x"))))) }, "6487-5"},
		{"no nextUpdate", func(s *crlSpec) { s.next = nil }, "6487-5"},
		{"updates crossed", func(s *crlSpec) { s.this, s.next = s.next, s.this }, "5280-5.1.2.5"},
		{"thisUpdate type", func(s *crlSpec) { s.this = genTLV(labNow) }, "5280-5.1.2.4"},
		{"nextUpdate after 2049", func(s *crlSpec) { s.next = genTLV(time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)) }, ""},
		{"entry serial 0", func(s *crlSpec) { s.revoked = seq(entry(intTLV(0), at)) }, "5280-5.1.2.6"},
		{"entry serial negative", func(s *crlSpec) { s.revoked = seq(entry(intTLV(-1), at)) }, "5280-5.1.2.6"},
		{"entry serial too big", func(s *crlSpec) { s.revoked = seq(entry(tlv(2, append([]byte{0, 0x80}, make([]byte, 19)...)), at)) }, "5280-5.1.2.6"},
		{"entry twice", func(s *crlSpec) { s.revoked = seq(entry(intTLV(5), at), entry(intTLV(5), at)) }, "~5280-5.1.2.6"},
		{"entry date type", func(s *crlSpec) { s.revoked = seq(entry(intTLV(5), genTLV(labNow))) }, "5280-5.1.2.6"},
		{"entry extension", func(s *crlSpec) { s.revoked = seq(entry(intTLV(5), at, seq())) }, "6487-5"},
		{"no AKI", func(s *crlSpec) { s.exts = s.exts[1:] }, "6487-5"},
		{"no number", func(s *crlSpec) { s.exts = s.exts[:1] }, "6487-5"},
		{"no extensions", func(s *crlSpec) { s.exts = nil }, "6487-5"},
		{"number critical", func(s *crlSpec) { s.exts[1].critical = true }, "6487-5"},
		{"number negative", func(s *crlSpec) { s.exts[1].value = intTLV(-1) }, "9829-3.1"},
		{"number zero", func(s *crlSpec) { s.exts[1].value = intTLV(0) }, ""},
		{"number too big", func(s *crlSpec) { s.exts[1].value = tlv(2, append([]byte{0, 0x80}, make([]byte, 19)...)) }, "9829-3.1"},
		{"number twice", func(s *crlSpec) { s.exts = append(s.exts, s.exts[1]) }, "6487-5"},
		{"delta indicator", func(s *crlSpec) { s.exts = append(s.exts, ext{"\x55\x1d\x1b", true, intTLV(1)}) }, "6487-5"},
		{"issuer alternative name", func(s *crlSpec) { s.exts = append(s.exts, ext{"\x55\x1d\x12", false, seq()}) }, "6487-5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := ta.crlSpec()
			tt.mutate(spec)
			l, found := ParseCRL(spec.sign(ta.key))
			wantFinding(t, l != nil, found, tt.want)
		})
	}
	l, _ := ParseCRL(ta.crlSpec().sign(ta.key))
	for n, want := range map[byte]bool{3: true, 5: false, 7: true} {
		if l.Revokes(Serial{19: n}) != want {
			t.Errorf("that %d is revoked is %v", n, !want)
		}
	}
}
