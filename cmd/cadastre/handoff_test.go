package main

import (
	"strings"
	"testing"

	"cadastre/moves"
)

// TestHandoffStatusNamesTheEnd: what has been waited for so long that it may never come is named with the command that ends the wait,
// and nothing else is.
func TestHandoffStatusNamesTheEnd(t *testing.T) {
	var out strings.Builder
	printHandoffStatus(&out, &moves.HandoffStatus{Waits: []moves.HandoffWait{
		{Transfer: 7, Holder: "afrinic/e", To: "lacnic/e", On: "the CA of lacnic/e", Force: true},
		{Transfer: 8, Holder: "afrinic/f", To: "lacnic/f", On: "the CA of lacnic/f"},
	}})
	if !strings.Contains(out.String(), "'cadastre transfer force 7 --dry-run'") || strings.Contains(out.String(), "force 8") {
		t.Fatal(out.String())
	}
}
