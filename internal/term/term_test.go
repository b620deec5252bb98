package term

import (
	"testing"
	"time"

	"cadastre/internal/fault"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0s": 0, "0d": 0, "1d": 24 * time.Hour, "90d": 90 * 24 * time.Hour, "24h": 24 * time.Hour, "1d12h": 36 * time.Hour, "1h30m": 90 * time.Minute,
		"36525d": 36525 * 24 * time.Hour, "1.5h": 90 * time.Minute,
	} {
		got, err := Parse(text)
		if err != nil || got.Duration() != want {
			t.Errorf("%q is %s (%v), not %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "1", "-1d", "-1h", "1d-2h", "soon", "36526d", "36525d1s", "99999999999d", "1dd", "1d 2h", "+1d", "1.5d", "1w"} {
		if got, err := Parse(text); fault.KindOf(err) != fault.BadInput {
			t.Errorf("%q is %s (%v)", text, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"1d", "1d12h", "4h0m0s", "d", "-1h", "36525d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Parse(text)
		if err != nil {
			return
		}
		if again, err := Parse(got.String()); err != nil || again != got || got < 0 {
			t.Errorf("%q is %s, which reads back as %s (%v)", text, got, again, err)
		}
	})
}
