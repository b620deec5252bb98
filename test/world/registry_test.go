package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"cadastre/test/internal/delegated"
)

const small = `2|afrinic|20230323|5|00000000|20230323|00000
afrinic|*|asn|*|1|summary
afrinic|*|ipv4|*|3|summary
afrinic|*|ipv6|*|1|summary
afrinic|ZA|asn|1228|1|19910301|allocated|A
afrinic|ZA|ipv4|41.0.0.0|768|20050101|allocated|A
afrinic|ZA|ipv4|41.0.3.0|256|20050101|assigned|a
afrinic|ZA|ipv4|41.0.4.0|1024|20050101|allocated|B
afrinic|ZA|ipv4|41.0.8.0|256||available|
afrinic|ZA|ipv6|2001:db8::|32|20050101|allocated|B
`

func read(t *testing.T, text string) delegated.Registry {
	t.Helper()
	r, err := delegated.ReadRegistry([]byte(text), opaqueID)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHolder(t *testing.T) {
	r := read(t, small)
	for prefix, want := range map[string]string{
		"41.0.0.0/22":     "a", // two records of one holder that touch
		"41.0.0.0/21":     "",  // half of it another's
		"41.0.4.0/22":     "b",
		"41.0.8.0/24":     "", // in the pool
		"40.255.255.0/24": "", // before all
		"41.0.9.0/24":     "",
		"2001:db8::/32":   "b",
		"2001:db8::/31":   "",
		"2001:db8:1::/48": "b",
		"::/0":            "",
	} {
		if got := r.HolderOf(netip.MustParsePrefix(prefix)); got != want {
			t.Errorf("%s is held by %q, want %q", prefix, got, want)
		}
	}
}

func TestExpect(t *testing.T) {
	later := strings.Replace(small, "41.0.0.0|768|20050101|allocated|A", "41.0.0.0|512|20050101|allocated|A", 1)
	later = strings.Replace(later, "41.0.4.0|1024|20050101|allocated|B", "41.0.4.0|1024|20050101|allocated|C", 1)
	announcements, err := delegated.ReadAnnouncements([]byte("41.0.0.0/22,AS1\n41.0.3.0/24,AS2\n41.0.4.0/24,AS3\n41.0.0.0/24,AS64512\n41.0.8.0/24,AS4\n2001:db8::/48,AS5\n"))
	if err != nil {
		t.Fatal(err)
	}
	e := expect(announcements, read(t, small), read(t, later))
	if e.within != 5 || e.refused != 1 {
		t.Errorf("%d are within and %d refused", e.within, e.refused)
	}
	if want := []string{"2001:db8::/48,48,AS5", "41.0.0.0/22,22,AS1", "41.0.3.0/24,24,AS2", "41.0.4.0/24,24,AS3"}; !slices.Equal(e.before.sorted(), want) {
		t.Errorf("before: %v", e.before.sorted())
	}
	if want := []string{"2001:db8::/48,48,AS5", "41.0.0.0/23,23,AS1", "41.0.3.0/24,24,AS1", "41.0.3.0/24,24,AS2"}; !slices.Equal(e.after.sorted(), want) {
		t.Errorf("after: %v", e.after.sorted())
	}
	if want := []string{"41.0.0.0/23,23,AS1", "41.0.3.0/24,24,AS1"}; len(e.rest) != 1 || !slices.Equal(e.rest["41.0.0.0/22,22,AS1"], want) {
		t.Errorf("rest: %v", e.rest)
	}
}

func TestCut(t *testing.T) {
	text := delegated.Cut([]byte(small), map[string]bool{"a": true})
	want := fmt.Sprintf("2|afrinic|20230323|3|00000000|20230323|00000\n%s", `afrinic|*|asn|*|1|summary
afrinic|*|ipv4|*|2|summary
afrinic|*|ipv6|*|0|summary
afrinic|ZA|asn|1228|1|19910301|allocated|A
afrinic|ZA|ipv4|41.0.0.0|768|20050101|allocated|A
afrinic|ZA|ipv4|41.0.3.0|256|20050101|assigned|a
`)
	if string(text) != want {
		t.Errorf("got\n%s", text)
	}
}
