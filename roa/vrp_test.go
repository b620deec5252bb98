package roa

import "testing"

// FuzzParseVRP: what is read is written as it was, but for how its parts may be spelled.
func FuzzParseVRP(f *testing.F) {
	for _, text := range []string{"192.0.2.0/24,24,AS64496", "2001:db8::/32,48,AS0", "10.0.0.0/8,7,AS1", "10.0.0.0/8,AS1", "10.0.0.0/8,8,AS1,x", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseVRP(text)
		if err != nil {
			return
		}
		again, err := ParseVRP(v.String())
		if err != nil || again != v {
			t.Errorf("%q is read as %s, and that as %s (%v)", text, v, again, err)
		}
	})
}

func TestParseVRP(t *testing.T) {
	for text, whole := range map[string]bool{
		"192.0.2.0/24,26,AS64496": true, "2001:db8::/32,48,AS0": true,
		"192.0.2.0/24,23,AS64496": false, "192.0.2.0/24,AS64496": false, "192.0.2.0/24,24,AS1,": false, "": false,
	} {
		v, err := ParseVRP(text)
		if whole != (err == nil) || whole && v.String() != text {
			t.Errorf("%q is read as %s (%v)", text, v, err)
		}
	}
}
