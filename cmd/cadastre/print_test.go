package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cadastre/ca"
	"cadastre/internal/fault"
	"cadastre/internal/printable"
)

// evil is what a terminal acts on: ESC, BEL, the C1 controls, DEL, and what turns the direction of writing.
const evil = "x\x1b[2J\x1b]0;owned\a\r\u009b31m\x7fy\u202ez\u2066é\U000E0001"

// TestPrinted: what is printed passes the sanitiser, as text and as JSON, and JSON still means what it meant.
func TestPrinted(t *testing.T) {
	answer := map[string]string{evil: "the heirs say: " + evil + "\n", "fine": "São José, 日本, a\\b \"c\"\n"}
	text := func(w io.Writer) { fmt.Fprintf(w, "disputed: %s\n", answer[evil]) }
	for _, output := range []string{"text", "json"} {
		var out bytes.Buffer
		if err := (&global{output: output}).print(&out, answer, text); err != nil {
			t.Fatal(err)
		}
		if ok, odd := printable.IsText(out.String()); !ok || strings.Contains(out.String(), "\r") {
			t.Errorf("-o %s prints %q: %q", output, odd, out.String())
		}
		if output == "text" {
			if want := "disputed: the heirs say: " + `x\x1b[2J\x1b]0;owned\a\r\u009b31m\x7fy\u202ez\u2066é\U000e0001` + "\n\n"; out.String() != want {
				t.Errorf("the text is %q, and not %q", out.String(), want)
			}
			continue
		}
		again := map[string]string{}
		if err := json.Unmarshal(out.Bytes(), &again); err != nil || !reflect.DeepEqual(again, answer) {
			t.Errorf("the JSON is read as %q: %v", again, err)
		}
		if !strings.Contains(out.String(), "São José, 日本") {
			t.Errorf("what prints is escaped: %s", out.String())
		}
	}
	var problem, waits bytes.Buffer
	printProblem(&problem, fault.Refused, fault.New(fault.Refused, "%s says no", evil))
	err := printText(&waits, func(w io.Writer) {
		printWaiting(w, []ca.Wait{{Kind: ca.ChildSilent, Of: evil, Error: evil}})
	})
	for what, said := range map[string]string{"an error": problem.String(), "a wait": waits.String()} {
		if ok, odd := printable.IsText(said); !ok || said == "" {
			t.Errorf("%s (%v) is printed with %q: %q", what, err, odd, said)
		}
	}
}

// printers are the ways to standard output and standard error, with why each may have them.
var printers = []string{
	`\bg\.print\(cmd\.OutOrStdout\(\), `,              // sanitises
	`\bprintText\(cmd\.OutOrStdout\(\), `,             // sanitises
	`\bwriteJSON\(cmd\.OutOrStdout\(\), `,             // sanitises
	`\bg\.(printReport|compareCCR)\(cmd\.OutOrStdout`, // by these
	`\bg\.tellWaits\(ctx, cmd\.ErrOrStderr\(\)\)`,
	`^main\.go:\s+printProblem\(os\.Stderr, `,
	`^main\.go:\s+fmt\.Fprintln\(os\.Stderr, "cadastre: "\+printable\.Text\(err\.Error\(\)\)\)`,
	`slog\.NewTextHandler\(os\.Stderr, `, // quotes what does not print
	`^serve\.go:.*progress\.Show\(os\.Stderr, log\)`,
	`^serve\.go:.*daemon\.Once\(.*os\.Stdout, log\)`,
	`^session\.go:\s+fmt\.Fprint(f|ln)?\(os\.Stderr(, "(Passphrase of the %s: ", what|The same again: "))?\)`, // no words from outside
	`^verify\.go:\s+out := cmd\.OutOrStdout\(\)`,                                                              // for g.print
	`^demo\.go:\s+out := d\.cmd\.OutOrStdout\(\)`,                                                             // what the demonstration made itself
}

// TestAllIsPrintedByPrinters reads the source of the commands: each way to the terminal is one of the printers, so that a new
// command cannot print what somebody else said around the sanitiser.
func TestAllIsPrintedByPrinters(t *testing.T) {
	way := regexp.MustCompile(`\b(OutOrStdout|OutOrStderr|ErrOrStderr|os\.Stdout|os\.Stderr)\b|\bfmt\.Print|\b(cmd|root)\.Print|\bprintln?\(`)
	seen := map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(source)) {
			if !way.MatchString(line) || strings.HasPrefix(strings.TrimSpace(line), "//") {
				continue
			}
			at := slices.IndexFunc(printers, func(p string) bool { return regexp.MustCompile(p).MatchString(name + ":" + line) })
			if at < 0 {
				t.Errorf("%s prints past the sanitiser: %s", name, strings.TrimSpace(line))
				continue
			}
			seen[printers[at]] = true
		}
	}
	for _, p := range printers {
		if !seen[p] {
			t.Errorf("nothing prints by %s any more: strike it from the list", p)
		}
	}
}
