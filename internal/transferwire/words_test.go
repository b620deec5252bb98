package transferwire

import (
	"regexp"
	"strings"
	"testing"

	"cadastre/internal/fault"
	"cadastre/internal/printable"
)

// TestWords puts what a terminal would act on into every text of a message, which are shown here. XML has no ESC and no BEL, so
// that these are refused with the message; what it has comes out escaped.
func TestWords(t *testing.T) {
	const odd = "x&#x9b;2Jy&#x202e;z&#x85;&#x7f;&#xa;forged: line"
	for _, m := range []Message{aSource(t), aRecipient()} {
		was := string(m.XML())
		texts := regexp.MustCompile(`<(reason|waits|disputed|wish)>[^<]*<`).FindAllStringSubmatch(was, -1)
		if len(texts) < 2 {
			t.Fatalf("there are %d texts in %s", len(texts), was)
		}
		for _, text := range texts {
			changed := func(to string) []byte { return []byte(strings.Replace(was, text[0], "<"+text[1]+">"+to+"<", 1)) }
			got, err := Parse(changed(odd))
			if err != nil {
				t.Fatalf("%T, %s: %v", m, text[1], err)
			}
			if said, r, found := printable.Odd(got); found {
				t.Errorf("%T, %s: %q has %q in it", m, text[1], said, r)
			}
			if again := string(got.XML()); !strings.Contains(again, "<"+text[1]+`>x\u009b2Jy\u202ez\u0085\x7f\nforged: line<`) {
				t.Errorf("%T, %s: it became %s", m, text[1], again)
			}
			for _, forbidden := range []string{"&#x1b;[2J", "\x1b[2J", "&#x7;", "\a"} {
				if _, err := Parse(changed(forbidden)); fault.KindOf(err) != fault.BadInput {
					t.Errorf("%T, %s with %q: %v", m, text[1], forbidden, err)
				} else if ok, r := printable.IsText(err.Error()); !ok {
					t.Errorf("the error has %q in it: %q", r, err)
				}
			}
		}
	}
}
