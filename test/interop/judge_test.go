package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cadastre/test/internal/krill"
)

// The schema of RFC 8181 is our own change of another's: it has to take what the RFC shows, and to refuse what it forbids.
func TestPublicationSchema(t *testing.T) {
	r := &run{shared: "../../../shared", dir: t.TempDir()}
	if _, err := os.Stat(r.shared); err != nil {
		t.Skip("skipped, for there is no ../shared with the schemas")
	}
	if _, err := exec.LookPath("jing"); err != nil {
		t.Skip("skipped, for there is no jing")
	}
	if err := r.prepareSchemas(); err != nil {
		t.Fatal(err)
	}
	s := &scene{run: r, dir: t.TempDir()}
	hash := strings.Repeat("5a", 32)
	for _, c := range []struct {
		name, msg string
		fits      bool
	}{
		{"a list query", `type="query"><list/>`, true},
		{"a query of nothing", `type="query">`, true},
		{"objects", `type="query"><publish tag="" uri="rsync://h/m/a.roa">AAAA</publish><withdraw tag="b" uri="rsync://h/m/b.roa" hash="` + hash + `"/>`, true},
		{"an object without its tag", `type="query"><publish uri="rsync://h/m/a.roa">AAAA</publish>`, false},
		{"a withdrawal without its hash", `type="query"><withdraw tag="" uri="rsync://h/m/a.roa"/>`, false},
		{"a list beside an object", `type="query"><list/><publish tag="" uri="rsync://h/m/a.roa">AAAA</publish>`, false},
		{"success", `type="reply"><success/>`, true},
		{"a list reply", `type="reply"><list uri="rsync://h/m/a.roa" hash="` + hash + `"/>`, true},
		{"an error", `type="reply"><report_error error_code="no_object_present" tag="a"><error_text>no</error_text>` +
			`<failed_pdu><publish tag="a" uri="rsync://h/m/a.roa" hash="` + hash + `">AAAA</publish></failed_pdu></report_error>`, true},
		{"an error that RFC 8181 does not have", `type="reply"><report_error error_code="tired"/>`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(s.dir, "message.xml")
			text := `<msg xmlns="http://www.hactrn.net/uris/rpki/publication-spec/" version="4" ` + c.msg + `</msg>`
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := s.fit(t.Context(), publication, map[string]string{path: weWrote}); (err == nil) != c.fits {
				t.Errorf("fit says %v of %s", err, text)
			}
		})
	}
}

// What Krill writes wrongly, and is known for, we may not.
func TestDeviationsAreOfTheirAuthor(t *testing.T) {
	const says = `element "description" missing required attribute "xml:lang"`
	if !isDeviation(krillWrote, upDown, says) || isDeviation(weWrote, upDown, says) || isDeviation(krillWrote, publication, says) {
		t.Error("the language that Krill leaves out is excused for another, or not for Krill")
	}
}

func TestAuthorOf(t *testing.T) {
	for path, author := range map[string]string{
		"kc/sent/cadastre/1.sent": krillWrote, "kc/sent/cadastre/1.repl": weWrote,
		"testbed/rcvd/branch/1.rcvd": weWrote, "testbed/rcvd/branch/1.repl": krillWrote,
	} {
		if got := authorOf(path); got != author {
			t.Errorf("%s was written by %s, and not by %s", path, author, got)
		}
	}
}

func TestResources(t *testing.T) {
	r := krill.ParseResources("41.0.0.0/16 2c0f:1::/32 AS37100").With(krill.ParseResources("AS37101")).Without(krill.ParseResources("41.0.0.0/16"))
	want := []string{"--asn", "AS37100,AS37101", "--ipv4", "", "--ipv6", "2c0f:1::/32"}
	if got := r.Flags(); !slices.Equal(got, want) {
		t.Errorf("flags are %q, and should be %q", got, want)
	}
}
