package holdings_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cadastre/holdings"
	"cadastre/internal/fault"
)

// extended writes a file of a registry on a day of June 2026, with right counts.
func extended(registry string, day int, records ...string) string {
	var body strings.Builder
	counts := map[string]int{}
	for _, r := range records {
		counts[strings.Split(r, "|")[1]]++
		fmt.Fprintf(&body, "%s|%s\n", registry, r)
	}
	text := fmt.Sprintf("2.3|%s|%d|%d|19930101|202606%02d|+0000\n", registry, day, len(records), day)
	for _, kind := range []string{"asn", "ipv4", "ipv6"} {
		text += fmt.Sprintf("%s|*|%s|*|%d|summary\n", registry, kind, counts[kind])
	}
	return text + body.String()
}

func read(t rapid.TB, text string) *holdings.File {
	t.Helper()
	f, err := holdings.ReadFile("file", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (h *testLedger) take(texts ...string) *holdings.Outcome {
	h.Helper()
	var files []*holdings.File
	for _, text := range texts {
		files = append(files, read(h, text))
	}
	o := h.commit(h.ledger.Import(by("import"), files, holdings.ImportOptions{}))
	sound(h, h.ledger)
	return o
}

func TestReadFileNamesWrongLines(t *testing.T) {
	good := []string{"ZA|ipv4|41.0.0.0|768|20200101|allocated|a1", "||asn|1228|2|20200101|allocated|a1"[1:], "ZZ|ipv6|2c00::|16||available|"}
	if _, err := holdings.ReadFile("good", strings.NewReader(extended("afrinic", 1, good...))); err != nil {
		t.Fatal(err)
	}
	for record, want := range map[string]string{
		"ZA|ipv4|41.0.2.0|256|20200101|allocated|a2":         "already on line 5",
		"ZA|ipv4|41.0.0.0|768|20200101|allocated|a1":         "already on line 5",
		"ZA|ipv4|300.0.0.0|256|20200101|allocated|a2":        "no IPv4 address",
		"ZA|ipv4|41.9.0.0|0|20200101|allocated|a2":           "no count",
		"ZA|ipv4|255.255.255.0|257|20200101|allocated|a2":    "no count",
		"ZA|ipv4|41.9.0.0|99999999999|20200101|allocated|a2": "no count",
		"ZA|ipv4|10.0.0.0|256|20200101|allocated|a2":         "RFC 1918",
		"ZA|ipv6|2c00:1::1|32|20200101|allocated|a2":         "beyond its length",
		"ZA|ipv6|2c01::|129|20200101|allocated|a2":           "no length",
		"ZA|ipv6|fe80::|64|20200101|allocated|a2":            "RFC 4291",
		"ZA|asn|4294967296|1|20200101|allocated|a2":          "no AS number",
		"ZA|asn|64512|1|20200101|allocated|a2":               "RFC 6996",
		"ZA|asn|1200|100|20200101|allocated|a2":              "already on line 6",
		"ZA|ipv4|41.9.0.0|256|20201301|allocated|a2":         "no date",
		"ZA|ipv4|41.9.0.0|256|20200101|lent|a2":              "no status",
		"ZA|ipv4|41.9.0.0|256|20200101|allocated|":           "delegated-extended",
		"ZA|ipv4|41.9.0.0|256|20200101|allocated":            "delegated-extended",
		"ZA|ipv4|41.9.0.0|256|20200101|allocated|a b":        "can't be part of a handle",
		"ZA|ipv4|41.9.0.0|256|20200101|allocated|A1":         "differ in the case",
		"South|ipv4|41.9.0.0|256|20200101|allocated|a2":      "no country code",
		"ZA|ipv5|41.9.0.0|256|20200101|allocated|a2":         "no type",
		"ZA|ipv4|41.9.0.0":                                   "7 fields",
	} {
		_, err := holdings.ReadFile("f.txt", strings.NewReader(extended("afrinic", 1, append(good, record)...)))
		if fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "f.txt:8: ") {
			t.Errorf("%s: the error is %v; want one of line 8 that says %q", record, err, want)
		}
	}
}

func TestReadFileAsAWhole(t *testing.T) {
	text := extended("afrinic", 1, "ZA|ipv4|41.0.0.0|768|20200101|allocated|a1", "ZA|ipv4|41.1.0.0|256|20200101|assigned|a2|extension|more")
	lines := strings.SplitAfter(text, "\n")
	for name, c := range map[string]struct{ text, want string }{
		"comments and CRLF": {"\ufeff# hello\r\n\r\n" + strings.ReplaceAll(text, "\n", "\r\n"), ""},
		"empty":             {"", "empty"},
		"no header":         {strings.Join(lines[1:], ""), "no header"},
		"version 3":         {"3" + text[3:], "no header"},
		"cut short":         {strings.Join(lines[:5], ""), "cut short"},
		"cut in a line":     {text[:len(text)-40], ":6:"},
		"no summaries":      {lines[0] + strings.Join(lines[4:], ""), "no summary"},
		"two summaries":     {text + lines[1], "second summary"},
		"header's count":    {strings.Replace(text, "|1|2|", "|1|3|", 1), "header states 3"},
		"another registry":  {strings.Replace(text, "afrinic|ZA", "apnic|ZA", 1), "\"apnic\" in a file of afrinic"},
		"bad gzip":          {"\x1f\x8bxxxxxxx", "unpacked"},
	} {
		_, err := holdings.ReadFile("f.txt", strings.NewReader(c.text))
		if c.want == "" && err != nil || c.want != "" && (fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: the error is %v, want %q", name, err, c.want)
		}
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	f, err := holdings.ReadFile("f.gz", &packed)
	if err != nil || len(f.Records) != 2 || f.SHA256 != read(t, text).SHA256 {
		t.Errorf("packed it is %+v, %v", f, err)
	}
}

func TestTenWrongLinesAreShown(t *testing.T) {
	records := make([]string, 25)
	for i := range records {
		records[i] = fmt.Sprintf("ZA|ipv4|10.0.%d.0|256|20200101|allocated|a2", i)
	}
	_, err := holdings.ReadFile("f.txt", strings.NewReader(extended("afrinic", 1, records...)))
	if err == nil || strings.Count(err.Error(), "f.txt:") != 10 || !strings.Contains(err.Error(), "and 15 more") {
		t.Errorf("the error is %v", err)
	}
}

func TestImportIsADifference(t *testing.T) {
	h := newTestLedger(t, world)
	pool := "ZZ|ipv4|41.128.0.0|65536||available|"
	o := h.take(extended("afrinic", 1,
		"ZA|ipv4|41.0.0.0|768|20200101|allocated|A1", "ZA|ipv4|41.0.4.0|1024|20200101|assigned|A2", "ZA|asn|1228|3|20200101|allocated|A1", pool))
	if want := (holdings.Counts{Organisations: 2, New: 3}); o.Counts != want {
		t.Fatalf("first it counts %+v", o.Counts)
	}
	h.holds(map[string]string{
		"afrinic": "41.0.0.0-41.0.2.255, 41.0.4.0/22, 41.128.0.0/16, AS1228-AS1230", "afrinic/a1": "41.0.0.0-41.0.2.255, AS1228-AS1230", "afrinic/a2": "41.0.4.0/22",
	})
	for handle, kind := range map[string]holdings.Kind{"afrinic/a1": holdings.LIR, "afrinic/a2": holdings.EndUser} {
		if org, _ := h.ledger.Organisation(handle); org.Kind != kind || org.Country != "ZA" {
			t.Errorf("%s is %+v", handle, org)
		}
	}
	// a1's ASNs are cut into two records and its addresses are dated anew; a2's half changes hands; a3 is new
	o = h.take(extended("afrinic", 2,
		"ZA|ipv4|41.0.0.0|768|20210101|allocated|A1", "ZA|asn|1228|1|20200101|allocated|A1", "ZA|asn|1229|2|20200101|allocated|A1",
		"ZA|ipv4|41.0.4.0|512|20200101|assigned|A2", "KE|ipv4|41.0.6.0|512|20260101|assigned|A3", pool))
	if want := (holdings.Counts{Organisations: 1, Moved: 1, Kept: 2}); o.Counts != want {
		t.Errorf("then it counts %+v, want %+v", o.Counts, want)
	}
	if got := strings.Join(o.Losers(), " "); got != "afrinic/a2" {
		t.Errorf("the losers are %s", got)
	}
	o = h.take(extended("afrinic", 3, "ZA|ipv4|41.0.0.0|768|20210101|allocated|A1", pool))
	if want := (holdings.Counts{Gone: 4}); o.Counts != want {
		t.Errorf("then it counts %+v, want %+v", o.Counts, want)
	}
	h.holds(map[string]string{"afrinic": "41.0.0.0-41.0.2.255, 41.128.0.0/16", "afrinic/a3": ""})
	h.sameAs(h.reload())

	old := read(t, extended("afrinic", 2, pool))
	if _, err := h.ledger.Import(by("old"), []*holdings.File{old}, holdings.ImportOptions{}); fault.KindOf(err) != fault.Refused {
		t.Errorf("an older file: %v", err)
	}
	if o, err := h.ledger.Import(by("old"), []*holdings.File{old}, holdings.ImportOptions{Force: true}); err != nil || o.Counts.Gone != 1 {
		t.Errorf("an older file, forced: %v", err)
	}
	if mark := h.ledger.Imported()["afrinic"]; mark.Serial != 3 || mark.Decision != h.ledger.LastDecision() {
		t.Errorf("the last file is %+v", mark)
	}
}

func TestImportThroughAnNIR(t *testing.T) {
	h := newTestLedger(t, world)
	h.take(extended("lacnic", 1, "BR|ipv4|24.152.0.0|1024|20200310|allocated|7", "CL|ipv4|24.152.4.0|1024|20200310|allocated|7", "|ipv4|24.152.8.0|1024||available"))
	h.holds(map[string]string{"nic.br": "24.152.0.0/22", "nic.br/7": "24.152.0.0/22", "lacnic/7": "24.152.4.0/22", "lacnic": "24.152.0.0-24.152.11.255"})
	// from Chile to Brazil: nobody but the two may notice
	o := h.take(extended("lacnic", 2, "BR|ipv4|24.152.0.0|1024|20200310|allocated|7", "BR|ipv4|24.152.4.0|1024|20200310|allocated|7", "|ipv4|24.152.8.0|1024||available"))
	h.holds(map[string]string{"nic.br": "24.152.0.0/21", "nic.br/7": "24.152.0.0/21", "lacnic/7": ""})
	if o.Counts.Moved != 1 || o.Counts.Gone != 0 {
		t.Errorf("it counts %+v", o.Counts)
	}
	h.sameAs(h.reload())
}

func TestImportAndWhatWasMadeByHand(t *testing.T) {
	h := newTestLedger(t, chain)
	a1 := "ZA|ipv4|41.0.0.0|65536|20200101|allocated|A1"
	pool := "ZZ|ipv4|41.1.0.0|65536||available|"
	h.take(extended("afrinic", 1, a1, pool))
	h.give("isp", "41.1.0.0/24", "", noon.AddDate(1, 0, 0))
	h.commit(h.ledger.Enrol(by("customer"), holdings.Organisation{Handle: "customer", Parent: "afrinic/a1", Kind: holdings.EndUser}))
	h.give("customer", "41.0.1.0/24, 41.0.3.0/24", holdings.Assigned, noon.AddDate(1, 0, 0))

	// what was made by hand stays
	h.take(extended("afrinic", 2, a1, pool, "ZA|asn|1228|1|20200101|allocated|A1"))
	h.holds(map[string]string{"isp": "41.1.0.0/24", "customer": "41.0.1.0/24, 41.0.3.0/24"})

	// a line on it is a conflict, named
	_, err := h.ledger.Import(by("x"), []*holdings.File{read(t, extended("afrinic", 3, a1, "ZA|ipv4|41.1.0.0|512|20200101|allocated|A4"))}, holdings.ImportOptions{})
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "file:6: 41.1.0.0/24 is held by isp already (contract)") {
		t.Errorf("the error is %v", err)
	}

	// its ground goes: part of the customer's, all of the isp's
	o := h.take(extended("afrinic", 4, "ZA|ipv4|41.0.0.0|512|20200101|allocated|A1"))
	h.holds(map[string]string{"afrinic": "41.0.0.0/23", "isp": "", "customer": "41.0.1.0/24"})
	if o.Counts.Cut != 2 {
		t.Errorf("it counts %+v", o.Counts)
	}

	// a registry that has space of the root by hand keeps it
	h.give("afrinic", "105.0.0.0/8", "", noon.AddDate(1, 0, 0))
	h.take(extended("afrinic", 5, "ZA|ipv4|105.0.0.0|512|20200101|allocated|A1"))
	h.holds(map[string]string{"afrinic": "105.0.0.0/8", "afrinic/a1": "105.0.0.0/23", "customer": ""})
	h.sameAs(h.reload())
}

func TestImportOfSeveralFiles(t *testing.T) {
	h := newTestLedger(t, world)
	h.take(extended("afrinic", 1, "ZA|ipv4|41.0.0.0|256|20200101|allocated|A1"), extended("lacnic", 1, "CL|ipv4|24.152.4.0|1024|20200310|allocated|7"))

	// space may not be of two registries, but may go from one to the other when both files say so
	to := extended("lacnic", 2, "CL|ipv4|24.152.4.0|1024|20200310|allocated|7", "CL|ipv4|41.0.0.0|256|20200101|allocated|7")
	early := h.take(to)
	h.holds(map[string]string{"afrinic/a1": "41.0.0.0/24", "lacnic/7": "24.152.4.0/22", "lacnic": "24.152.4.0/22"})
	if left := early.Omitted(); len(left) != 1 || left[0] != "file:6: 41.0.0.0/24 stays with afrinic/a1, which has it since 2020-01-01 (file), and is not given to lacnic/7" {
		t.Errorf("it leaves out %q", left)
	}
	o := h.take(extended("afrinic", 2, "ZA|ipv4|41.0.1.0|256|20200101|allocated|A1"), to)
	h.holds(map[string]string{"afrinic/a1": "41.0.1.0/24", "lacnic/7": "24.152.4.0/22, 41.0.0.0/24", "lacnic": "24.152.4.0/22, 41.0.0.0/24"})
	if o.Counts.Moved != 1 {
		t.Errorf("it counts %+v", o.Counts)
	}
	f := read(t, to)
	if _, err := h.ledger.Import(by("x"), []*holdings.File{f, f}, holdings.ImportOptions{}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("two files of a registry: %v", err)
	}
	if _, err := h.ledger.Import(by("x"), []*holdings.File{read(t, extended("apnic", 1))}, holdings.ImportOptions{}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a registry that is not here: %v", err)
	}
}

func TestReclassificationCutsWhatWasDelegatedOn(t *testing.T) {
	h := newTestLedger(t, chain)
	h.take(extended("afrinic", 1, "ZA|ipv4|41.0.0.0|65536|20200101|allocated|A1"))
	h.commit(h.ledger.Enrol(by("customer"), holdings.Organisation{Handle: "customer", Parent: "afrinic/a1", Kind: holdings.EndUser}))
	h.give("customer", "41.0.1.0/24", holdings.Assigned, noon.AddDate(1, 0, 0))
	o := h.take(extended("afrinic", 2, "ZA|ipv4|41.0.0.0|65536|20200101|assigned|A1"))
	h.holds(map[string]string{"afrinic/a1": "41.0.0.0/16", "customer": ""})
	if want := (holdings.Counts{Kept: 1, Gone: 1, Cut: 1}); o.Counts != want {
		t.Errorf("it counts %+v, want %+v", o.Counts, want)
	}
}

func TestTwoFilesThatClaimTheSame(t *testing.T) {
	h := newTestLedger(t, world)
	files := []*holdings.File{
		read(t, extended("afrinic", 1, "ZA|ipv4|41.0.0.0|256|20200101|allocated|A1")),
		read(t, extended("lacnic", 1, "CL|ipv4|24.152.4.0|1024|20200310|allocated|7", "CL|ipv4|41.0.0.0|512|20200101|allocated|7")),
	}
	o := h.commit(h.ledger.Import(by("x"), files, holdings.ImportOptions{}))
	h.holds(map[string]string{"afrinic/a1": "41.0.0.0/24", "lacnic/7": "24.152.4.0/22, 41.0.1.0/24", "lacnic": "24.152.4.0/22, 41.0.1.0/24"})
	if left := o.Omitted(); len(left) != 1 || !strings.Contains(left[0], "file:6: 41.0.0.0/24 stays with afrinic/a1") {
		t.Errorf("it leaves out %q", left)
	}
}

// TestFilesThatOverlap: who has it keeps it, whatever the other file calls it; the rest is taken; and the next import looks again.
func TestFilesThatOverlap(t *testing.T) {
	h := newTestLedger(t, world)
	living, lacnic := "ZA|ipv4|41.1.0.0|256|20200101|allocated|A1", "CL|ipv4|24.152.4.0|1024|20200310|allocated|7"
	h.take(extended("afrinic", 1, living, "ZZ|ipv4|41.2.0.0|65536||available|"))
	for day, line := range map[int]string{
		1: "ZZ|ipv4|41.1.0.0|256||reserved|", 2: "CL|ipv4|41.1.0.0|256|20200101|allocated|8", 3: "CL|ipv4|41.0.0.0|131072|20200101|allocated|8",
		4: "CL|ipv4|41.2.3.0|256|20200101|allocated|8",
	} {
		rest := "24.152.4.0/22"
		if day == 3 {
			rest = "24.152.4.0/22, 41.0.0.0-41.0.255.255, 41.1.1.0-41.1.255.255"
		}
		text := extended("lacnic", day, lacnic, line)
		o, err := h.ledger.Import(by("x"), []*holdings.File{read(t, text)}, holdings.ImportOptions{Force: true})
		h.commit(o, err)
		sound(t, h.ledger)
		h.holds(map[string]string{"afrinic": "41.1.0.0/24, 41.2.0.0/16", "afrinic/a1": "41.1.0.0/24", "lacnic": set(t, rest).String(), "lacnic/7": "24.152.4.0/22"})
		if len(o.Omitted()) != 1 || len(h.ledger.Disputes()) != 1 || h.ledger.Disputes()[0].By != "file" {
			t.Errorf("%s: %q, and %+v is in dispute", line, o.Omitted(), h.ledger.Disputes())
		}
		if again, err := h.ledger.Import(by("x"), []*holdings.File{read(t, text)}, holdings.ImportOptions{}); err != nil || !again.Empty() || len(again.Omitted()) != 1 {
			t.Errorf("%s: the same file again is a difference, or tells nothing: %v", line, err)
		}
		h.sameAs(h.reload())
	}
	h.take(extended("lacnic", 9, lacnic))
	if list := h.ledger.Disputes(); len(list) > 0 {
		t.Errorf("%+v is in dispute still", list)
	}
	h.take(extended("lacnic", 10, lacnic, "CL|ipv4|41.1.0.0|256|20200101|allocated|8"))
	h.take(extended("afrinic", 11, "ZZ|ipv4|41.2.0.0|65536||available|"))
	h.take(extended("lacnic", 12, lacnic, "CL|ipv4|41.1.0.0|256|20200101|allocated|8"))
	h.holds(map[string]string{"lacnic/8": "41.1.0.0/24"})
	if list := h.ledger.Disputes(); len(list) > 0 {
		t.Errorf("%+v is in dispute still", list)
	}
}

// TestExceptWrong: lines that are wrong are left out where that is asked for, and what they name stays as it was; else nothing is taken.
func TestExceptWrong(t *testing.T) {
	h := newTestLedger(t, world)
	good, pool := "ZA|ipv4|41.0.0.0|256|20200101|allocated|A1", "ZZ|ipv4|41.4.0.0|65536||available|"
	h.take(extended("afrinic", 1, good, "ZA|ipv4|41.1.0.0|256|20200101|allocated|A2", pool))
	h.give("afrinic/a1", "41.4.0.0/24", "", noon.AddDate(1, 0, 0))
	text := extended("afrinic", 2, good, "ZA|ipv4|41.1.0.0|256|20201301|allocated|A2", "ZA|ipv4|10.0.0.0|256|20200101|allocated|A3",
		"ZA|ipv4|41.0.0.0|512|20200101|allocated|A3", "ZA|ipv4|41.9.0.0", "ZA|ipv4|41.3.0.0|256|20200101|allocated|A4",
		"ZA|ipv4|41.4.0.0|65536|20200101|allocated|A4")
	if _, err := holdings.ReadFile("file", strings.NewReader(text)); fault.KindOf(err) != fault.BadInput {
		t.Fatal("the file is taken:", err)
	}
	f, err := holdings.ReadFileExceptWrong("file", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.ledger.Import(by("x"), []*holdings.File{f}, holdings.ImportOptions{}); fault.KindOf(err) != fault.Conflict {
		t.Fatal("what was delegated by hand is given away:", err)
	}
	o := h.commit(h.ledger.Import(by("x"), []*holdings.File{f}, holdings.ImportOptions{ExceptWrong: true}))
	sound(t, h.ledger)
	h.holds(map[string]string{"afrinic/a1": "41.0.0.0/24, 41.4.0.0/24", "afrinic/a2": "41.1.0.0/24", "afrinic/a4": "41.3.0.0/24"})
	left := o.Omitted()
	for _, says := range []string{"file:6: ", "file:7: ", "file:8: ", "file:9: ", "file:11: 41.4.0.0/24 is held by afrinic/a1 already"} {
		if !slices.ContainsFunc(left, func(line string) bool { return strings.HasPrefix(line, says) }) {
			t.Errorf("of %q none is %s", left, says)
		}
	}
	if len(left) != 5 {
		t.Errorf("%d lines are left out: %q", len(left), left)
	}
	if _, err := holdings.ReadFileExceptWrong("file", strings.NewReader(strings.Replace(text, "|ipv4|*|7|", "|ipv4|*|8|", 1))); fault.KindOf(err) != fault.BadInput {
		t.Error("a file that is cut short is taken:", err)
	}
}

// TestFilesOfTheFuture: a file of tomorrow is taken, since it is tomorrow somewhere, and none that is later.
func TestFilesOfTheFuture(t *testing.T) {
	f := read(t, extended("afrinic", 10))
	for _, c := range []struct {
		now time.Time
		ok  bool
	}{{f.Date.AddDate(0, 0, -1), true}, {f.Date.AddDate(1, 0, 0), true}, {f.Date.AddDate(0, 0, -2), false}} {
		if err := f.CheckDate(c.now); (err == nil) != c.ok || err != nil && fault.KindOf(err) != fault.BadInput {
			t.Errorf("at %s: %v", c.now, err)
		}
	}
}

// TestReachableSpecials: what IANA calls globally reachable may be held, and what it does not may not.
func TestReachableSpecials(t *testing.T) {
	for text, reachable := range map[string]bool{
		"192.175.48.0/24": true, "192.31.196.0/24": true, "192.52.193.0/24": true, "192.0.0.9/32": true, "2620:4f:8000::/48": true,
		"2001:4:112::/48": true, "2001:3::/32": true, "2001:20::/28": true, "64:ff9b::/96": true, "AS112": true,
		"192.0.0.0/24": false, "192.0.0.8/32": false, "192.88.99.0/24": false, "2001::/23": false, "2001:2::/48": false, "2001::/32": false,
		"2001:10::/28": false, "64:ff9b:1::/48": false, "2002::/16": false, "AS23456": false, "10.0.0.0/8": false, "AS0": false,
	} {
		if found := holdings.Specials(set(t, text)); (len(found) == 0) != reachable {
			t.Errorf("%s may be held: %v; %v", text, !reachable, found)
		}
	}
	h := newTestLedger(t, world)
	h.take(extended("afrinic", 1, "ZA|asn|112|1|20020319|assigned|A1", "ZA|ipv4|192.175.48.0|256|20200101|allocated|A1", "ZA|ipv6|2001:4:112::|48|20200101|allocated|A1"))
	h.holds(map[string]string{"afrinic/a1": "192.175.48.0/24, 2001:4:112::/48, AS112"})
}

func FuzzReadFile(f *testing.F) {
	f.Add([]byte(extended("afrinic", 1, "ZA|ipv4|41.0.0.0|768|20200101|allocated|A1", "ZZ|ipv4|10.0.0.0|256||reserved|", "ZA|asn|1228|3|20200101|assigned|A1")))
	f.Add([]byte(extended("lacnic", 1, "BR|ipv6|2800::|12|20200101|allocated|7", "|ipv6|2900::|128||available")))
	f.Add([]byte("2|afrinic|1|0||20200101|0\n# x\n"))
	tree, err := holdings.ParseTree([]byte(world))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := holdings.ReadFile("fuzz", bytes.NewReader(text))
		if err != nil {
			if fault.KindOf(err) != fault.BadInput {
				t.Fatalf("the error is of kind %v: %v", fault.KindOf(err), err)
			}
			return
		}
		l := ledgerOf(t, tree)
		o, err := l.Import(by("fuzz"), []*holdings.File{file}, holdings.ImportOptions{})
		if err != nil {
			if fault.KindOf(err) == fault.Internal {
				t.Fatalf("the error has no kind: %v", err)
			}
			return
		}
		l.Apply(o)
		sound(t, l)
		if again, err := l.Import(by("again"), []*holdings.File{file}, holdings.ImportOptions{}); err != nil || !again.Empty() {
			t.Fatalf("the same file again is a difference: %v", err)
		}
	})
}
