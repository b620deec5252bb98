package relying

import (
	"io"
	"slices"
	"testing"
)

// TestLengths: what rsync says that it deletes is no length, whatever digits the name has.
func TestLengths(t *testing.T) {
	var charged []int64
	l := &lengths{charge: func(octets int64) error { charged = append(charged, octets); return nil }}
	for _, piece := range []string{"17", "48\ndeleting 6163d6fc053f6de1/99", "999999.cer\n", "1,234,567\ndeleting 1/\n0\n"} {
		if _, err := io.WriteString(l, piece); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(charged, []int64{1748, 1_234_567, 0}) {
		t.Errorf("charged were %d", charged)
	}
}
