package term

import (
	"encoding/json"
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
	for _, seed := range []string{"1d", "1d12h", "4h", "d", "-1h", "36525d"} {
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

func TestText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 4 * time.Hour: "4h", 90 * time.Minute: "1h30m", 30 * time.Minute: "30m", 24 * time.Hour: "1d", 36 * time.Hour: "36h", 100 * time.Second: "1m40s", 70 * time.Millisecond: "70ms",
		4*time.Hour + time.Second: "4h0m1s", 10 * time.Second: "10s",
	} {
		if got := Text(d); got != want {
			t.Errorf("%s is written %q, not %q", d, got, want)
		}
	}
}

// TestJSON: records of before have nanoseconds.
func TestJSON(t *testing.T) {
	var got struct{ A, B, C Term }
	if err := json.Unmarshal([]byte(`{"A":14400000000000,"B":"1d","C":"1h30m"}`), &got); err != nil {
		t.Fatal(err)
	}
	if text, err := json.Marshal(got); err != nil || string(text) != `{"A":"4h","B":"1d","C":"1h30m"}` {
		t.Errorf("it is written %s, %v", text, err)
	}
	for _, text := range []string{`"soon"`, `true`, `1.5`} {
		if err := json.Unmarshal([]byte(text), &got.A); err == nil {
			t.Errorf("%s is %s", text, got.A)
		}
	}
}
