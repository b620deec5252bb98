package holdings

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"cadastre/internal/fault"
)

// Term is a length of time that is written in days where it is of whole days: "30d", else as Go writes it: "4h0m0s".
type Term time.Duration

const day = Term(24 * time.Hour)

// longest is the most days that a Term has: a hundred years.
const longest = 36525

// Days is a Term of so many days.
func Days(n int) Term { return Term(n) * day }

// ParseTerm reads days ("30d") or a duration as Go writes it ("4h"), of at most a hundred years. It fails with BadInput.
func ParseTerm(text string) (Term, error) {
	if days, found := strings.CutSuffix(text, "d"); found {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= longest {
			return Days(n), nil
		}
	} else if d, err := time.ParseDuration(text); err == nil && d >= 0 && Term(d) <= Days(longest) {
		return Term(d), nil
	}
	return 0, fault.New(fault.BadInput, "%q is no length of time; write days or hours, such as 30d or 4h", text)
}

// String writes the term as ParseTerm reads it.
func (t Term) String() string {
	if t != 0 && t%day == 0 {
		return fmt.Sprintf("%dd", t/day)
	}
	return time.Duration(t).String()
}

// MarshalText writes the term as its text.
func (t Term) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (t *Term) UnmarshalText(text []byte) (err error) {
	*t, err = ParseTerm(string(text))
	return err
}
