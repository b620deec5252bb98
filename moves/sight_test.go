package moves

import (
	"strings"
	"testing"

	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/relying"
	"cadastre/internal/validate"
)

// TestCutShort: of a look that did not read all that is there, nothing is concluded from what it has not seen; what it has seen,
// it has.
func TestCutShort(t *testing.T) {
	block, err := inr.Parse("41.0.0.0/16")
	if err != nil {
		t.Fatal(err)
	}
	leg := holdings.Leg{To: "south/x", Resources: block}
	const uri, notify = "rsync://h.example/m/x.cer", "https://h.example/n.xml"
	for _, cut := range []string{"", "its time was over"} {
		r := &relying.Report{Cut: cut}
		if l := notShown(r, []string{uri}, "x", leg, nil); !strings.Contains(l.what, "41.0.0.0/16") || l.unsure != (cut != "") {
			t.Errorf("cut by %q: %+v", cut, l)
		}
		r.Authorities = []validate.AuthorityResult{{CertificateURI: uri, Notify: notify, Resources: block}}
		r.Repositories = []relying.Repository{{URI: notify, How: relying.HowSnapshot}}
		if l := notShown(r, []string{uri}, "x", leg, nil); l.what != "" {
			t.Errorf("cut by %q: %+v", cut, l)
		}
	}
}
