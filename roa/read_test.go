package roa_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"cadastre/internal/fault"
	"cadastre/roa"
)

// said is a file as lines: "+" or "-", the VRP, and the comment.
func said(f *roa.File) string {
	var out []string
	for i, r := range slices.Concat(f.Add, f.Remove) {
		sign := "+"
		if i >= len(f.Add) {
			sign = "-"
		}
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s%s,%d,AS%d %s", sign, r.Prefix, r.MaxLength, r.Origin, r.Comment)))
	}
	return strings.Join(out, "; ")
}

// TestReadFile reads what others write, each in the form in which they write it.
func TestReadFile(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"any order and case":   {"MAXLENGTH,Asn,PREFIX\n24,AS1,41.0.0.0/16", "+41.0.0.0/16,24,AS1"},
		"a header is obeyed":   {"prefix,maxlength,asn\n2c00:1::/32,48,64", "+2c00:1::/32,48,AS64"},
		"our vrps":             {"41.0.0.0/16,24,AS36994\n2c00:1::/32,48,AS64", "+41.0.0.0/16,24,AS36994; +2c00:1::/32,48,AS64"},
		"routinator csv":       {"ASN,IP Prefix,Max Length,Trust Anchor\nAS36994,41.0.0.0/16,24,afrinic", "+41.0.0.0/16,24,AS36994"},
		"routinator csvext":    {"URI,ASN,IP Prefix,Max Length,Not Before,Not After\nrsync://r.example/x.roa,AS1,41.0.0.0/16,16,2026-01-01T00:00:00Z,2027-01-01T00:00:00Z", "+41.0.0.0/16,16,AS1"},
		"rpki-client csv":      {"ASN,IP Prefix,Max Length,Trust Anchor,Expires\nAS1,41.0.0.0/16,16,afrinic,1796000000", "+41.0.0.0/16,16,AS1"},
		"arin's columns":       {"ROA Name,Origin AS,Start Address,CIDR Length,Max Length,Not Valid Before\nmine,1,041.000.001.000,24,,2026-01-01", "+41.0.1.0/24,24,AS1 mine"},
		"ripe's columns":       {"ASN,Prefix,Maximal Length\nAS1,41.0.0.0/16,24", "+41.0.0.0/16,24,AS1"},
		"krill's delta":        {"A: 41.0.0.0/16-24 => 36994 # new\nR: 41.1.0.0/16 => AS1\n\n# and\nA: 2c00:1::/32-48 => 64", "+41.0.0.0/16,24,AS36994 new; +2c00:1::/32,48,AS64; -41.1.0.0/16,16,AS1"},
		"krill's list":         {"41.0.0.0/16-16 => 36994\n", "+41.0.0.0/16,16,AS36994"},
		"krill's routes":       {`[{"asn":36994,"prefix":"41.0.0.0/16","max_length":24,"comment":"x","roa_objects":[{"serial":1}]}]`, "+41.0.0.0/16,24,AS36994 x"},
		"krill's api delta":    {`{"added":[{"asn":36994,"prefix":"41.0.0.0/16"}],"removed":[{"asn":1,"prefix":"41.1.0.0/16","max_length":20}]}`, "+41.0.0.0/16,16,AS36994; -41.1.0.0/16,20,AS1"},
		"routinator json":      {`{"metadata":{"generated":1},"roas":[{"asn":"AS36994","prefix":"41.0.0.0/16","maxLength":24,"ta":"afrinic"}]}`, "+41.0.0.0/16,24,AS36994"},
		"ripe's roas":          {`[{"asn":"AS1","prefix":"41.0.0.0/16","maximalLength":"24","_numberOfValidsCaused":3}]`, "+41.0.0.0/16,24,AS1"},
		"ripe's publish":       {`{"ifMatch":"x","added":[],"deleted":[{"asn":"AS1","prefix":"41.0.0.0/16","maximalLength":16}]}`, "-41.0.0.0/16,16,AS1"},
		"our vrps in json":     {`[{"prefix":"41.0.0.0/16","maxLength":"24","asn":"AS36994"}]`, "+41.0.0.0/16,24,AS36994"},
		"arin's list":          {`[{"roaHandle":"00","asNumber":1,"name":"mine","startAddress":"041.000.000.000","endAddress":"041.000.255.255","cidrLength":16,"ipVersion":4,"maxLength":null,"autoLinked":true}]`, "+41.0.0.0/16,16,AS1 mine"},
		"a mark before json":   {"\ufeff \n[]", ""},
		"one short of columns": {"prefix,asn,maxlength,comment\n41.0.0.0/16,AS1", "+41.0.0.0/16,16,AS1"},
	} {
		f, err := roa.ReadFile("f", strings.NewReader(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := said(f); got != c.want {
			t.Errorf("%s: it reads %s, want %s", name, got, c.want)
		}
	}
}

func TestReadFileRefuses(t *testing.T) {
	long := strings.Repeat("x", 1001)
	for text, want := range map[string]string{
		"prefix,asn,maxlenght\n41.0.0.0/16,AS1,24":          `f:1: the column "maxlenght" is not known`,
		"prefix,asn,origin\n41.0.0.0/16,AS1,AS1":            `f:1: the column "origin" says what another`,
		"prefix,maxlength\n41.0.0.0/16,24":                  "f:1: the header has no column for the AS number",
		"asn,maxlength\nAS1,24":                             "f:1: the header has no column for the prefix",
		"prefix,maxlength,asn\n41.0.0.0/16,24,AS1,x":        "f:2: it has 4 fields, and the header has 3",
		"2c00:1::/32,48,64":                                 "f:1: it is not clear which of 48 and 64 is the AS number",
		"41.0.0.0/16,AS1,16," + long:                        "f:1: the comment has 1001 bytes",
		"X: 41.0.0.0/16 => 1":                               "f:1: ",
		"A: 41.0.0.0/16-8 => 1":                             "from 16 to 32",
		`[{"asn":1,"prefix":"41.0.0.0/16","maxlenght":24}]`: `f:1: the member "maxlenght" is not known`,
		`[{"asn":1,"origin":2,"prefix":"41.0.0.0/16"}]`:     "two of its members",
		`[{"asn":1}]`:                                       "no prefix",
		`[1]`:                                               "can't be read beyond entry 1",
		`{"rows":[]}`:                                       `the member "rows" is not known`,
		`{"roas":{}}`:                                       `"roas" is no list`,
		`[{"asn":1,`:                                        "can't be read beyond entry 1",
		`[]]`:                                               "can't be read",
		`{"added":[]} []`:                                   "more follows",
	} {
		if _, err := roa.ReadFile("f", strings.NewReader(text)); fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: the error is %v; want one that says %q", text, err, want)
		}
	}
}

// TestReadFileIsBounded: a small packed file of very many rows, or of one that is endless, is refused at a limit, and next to nothing of
// it is ever in memory.
func TestReadFileIsBounded(t *testing.T) {
	const entry = `{"asn":1,"prefix":"41.0.0.0/16"},`
	for what, c := range map[string]struct {
		begins, line string
		n            int
		want         string
	}{
		"rows":    {"", "41.0.0.0/16,AS1\n", 1_200_000, "more than 1000000 rows"},
		"blank":   {"41.0.0.0/16,AS1", strings.Repeat("\n", 1<<10), 1200, "more than 1000000 rows"},
		"blanks":  {"", strings.Repeat(" ", 1<<16), 1<<12 + 1, "more than 268435456 bytes"},
		"line":    {"", strings.Repeat("#", 1<<16), 2, "can't be read beyond line 0"},
		"entries": {"[", entry, 1_200_000, "more than 1000000 rows"},
		"entry":   {`[{"comment":"`, strings.Repeat("x", 1<<10), 20_000, "more than 1048576 bytes"},
		"beside":  {`{"metadata":["`, strings.Repeat("x", 1<<10), 20_000, "more than 1048576 bytes"},
	} {
		var packed bytes.Buffer
		z, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
		_, _ = z.Write([]byte(c.begins))
		lines := strings.Repeat(c.line, 100)
		for n := c.n; n > 0; n -= 100 {
			if _, err := z.Write([]byte(lines[:min(n, 100)*len(c.line)])); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := roa.ReadFile("f.gz", bytes.NewReader(packed.Bytes())); fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v", what, err)
		}
		if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 16<<20 {
			t.Errorf("%s: refusing it took %d MB", what, (after.TotalAlloc-before.TotalAlloc)>>20)
		}
	}
	beside := `{"metadata":{"x":[1,{"y":["` + strings.Repeat(`a","`, 1<<20) + `"]}]},"roas":[{"asn":1,"prefix":"41.0.0.0/16"}]}`
	if f, err := roa.ReadFile("f.json", strings.NewReader(beside)); err != nil || len(f.Add) != 1 {
		t.Errorf("what stands beside ROAs is longer than one value may be: %v", err)
	}
}

// FuzzReadFile: whatever is read is either refused with a sentence, or rows that can be.
func FuzzReadFile(f *testing.F) {
	for _, seed := range []string{
		"MAXLENGTH,Asn,PREFIX\n24,AS1,41.0.0.0/16", "A: 41.0.0.0/16-24 => 36994 # new\nR: 41.1.0.0/16 => AS1",
		`{"added":[{"asn":36994,"prefix":"41.0.0.0/16"}],"removed":[{"asn":1,"prefix":"41.1.0.0/16","max_length":20}]}`,
		`[{"asNumber":1,"startAddress":"041.000.000.000","cidrLength":16}]`, "41.0.0.0/16,24,AS36994", "[", "{", "[{}]", "=>",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := roa.ReadFile("f", strings.NewReader(text))
		if err != nil {
			if fault.KindOf(err) != fault.BadInput {
				t.Fatalf("the error is of kind %v: %v", fault.KindOf(err), err)
			}
			return
		}
		for _, r := range append(file.Add, file.Remove...) {
			if !r.Prefix.IsValid() || r.Prefix != r.Prefix.Masked() || r.MaxLength < r.Prefix.Bits() || r.MaxLength > r.Prefix.Addr().BitLen() || r.Line < 1 {
				t.Fatalf("it took %+v", r)
			}
		}
	})
}
