// Package slowtest says how much of their whole the tests do that take long. It is for tests alone.
package slowtest

import (
	"os"
	"strconv"
	"testing"
)

// Share is what CADASTRE_SLOW says: a share of the whole, more than 0 and at most 1. Where it says nothing, slow is false, and a test does what takes
// seconds.
func Share(t *testing.T) (share float64, slow bool) {
	t.Helper()
	text := os.Getenv("CADASTRE_SLOW")
	if text == "" {
		return 0, false
	}
	share, err := strconv.ParseFloat(text, 64)
	if err != nil || !(share > 0 && share <= 1) {
		t.Fatalf("CADASTRE_SLOW is %q: it is a share of the whole, such as 0.2, and at most 1", text)
	}
	return share, true
}
