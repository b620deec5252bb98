package holdings_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"

	"cadastre/holdings"
	"cadastre/internal/fault"
)

// TestReadFileIsBounded: a file of very many records is refused at a limit, whether its header admits to them or not, and read no
// further.
func TestReadFileIsBounded(t *testing.T) {
	for what, c := range map[string]struct {
		header string
		line   func(n int) string
		n      int
		want   string
	}{
		"header":  {"2.3|afrinic|1|10000000|19930101|20260601|+0000\n", func(int) string { return "" }, 1, "more than 1000000 lines"},
		"records": {"2.3|afrinic|1|3|19930101|20260601|+0000\n", func(n int) string { return fmt.Sprintf("afrinic|ZA|asn|%d|1|20050101|allocated|a\n", n+200_000) }, 5, "f.gz:5: here begin more records than the 3"},
		"bytes":   {"2.3|afrinic|1|3|19930101|20260601|+0000\n", func(int) string { return "#" + strings.Repeat("x", 60_000) + "\n" }, 4474, "more than 268435456 bytes"},
	} {
		var packed bytes.Buffer
		z, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
		_, _ = z.Write([]byte(c.header))
		for n := range c.n {
			if _, err := z.Write([]byte(c.line(n))); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := holdings.ReadFile("f.gz", &packed); fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v", what, err)
		}
	}
}
