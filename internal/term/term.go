// Package term is lengths of time as people write and read them, the same in commands, in config.toml, in JSON and in text.
package term

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cadastre/internal/fault"
)

// Term is a length of time that is written in days where it is of whole days: "30d", else as Go writes it, without what is
// nothing at its end: "4h", "1h30m".
type Term time.Duration

const day = Term(24 * time.Hour)

// Longest is the most days that a Term has: a hundred years.
const Longest = 36525

// Days is a Term of so many days.
func Days(n int) Term { return Term(n) * day }

// Parse reads days ("30d"), a duration as Go writes it ("4h", "1h30m"), or both ("1d12h"), of at most a hundred years and not
// less than nothing. It fails with BadInput.
func Parse(text string) (Term, error) {
	var t Term
	rest, ok := text, text != ""
	if days, after, found := strings.Cut(text, "d"); found {
		n, err := strconv.ParseUint(days, 10, 32)
		t, rest = Days(int(min(n, Longest+1))), after
		ok = err == nil
	}
	if ok && rest != "" {
		d, err := time.ParseDuration(rest)
		ok = err == nil && d >= 0 && Term(d) <= Days(Longest)
		t += Term(d)
	}
	if !ok || t > Days(Longest) {
		return 0, fault.New(fault.BadInput, "%.80q is no length of time; write days or hours, such as 30d, 4h or 1h30m", text)
	}
	return t, nil
}

// Text is a duration as Parse reads it.
func Text(d time.Duration) string { return Term(d).String() }

// Duration is the term as a time.Duration.
func (t Term) Duration() time.Duration { return time.Duration(t) }

// String writes the term as Parse reads it.
func (t Term) String() string {
	if t != 0 && t%day == 0 {
		return fmt.Sprintf("%dd", t/day)
	}
	text := time.Duration(t).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalText writes the term as its text.
func (t Term) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (t *Term) UnmarshalText(text []byte) (err error) {
	*t, err = Parse(string(text))
	return err
}

// UnmarshalJSON reads a text, or a number of nanoseconds, as records of before have it.
func (t *Term) UnmarshalJSON(data []byte) error {
	if n, err := strconv.ParseInt(string(data), 10, 64); err == nil {
		*t = Term(n)
		return nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	return t.UnmarshalText([]byte(text))
}

// Set and Type make a Term the value of a flag.
func (t *Term) Set(text string) error { return t.UnmarshalText([]byte(text)) }

// Type is what help calls the value of a flag.
func (t *Term) Type() string { return "duration" }
