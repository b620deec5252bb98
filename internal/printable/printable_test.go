package printable

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		"": "",
		"Café São José № 7, ООО «Рога»": "Café São José № 7, ООО «Рога»",
		"می\u200cخواهم":                 "می\u200cخواهم",
		"日本 株式会社":                       "日本 株式会社",
		"a\x1b[31mred":                  `a\x1b[31mred`,
		"ding\a":                        `ding\a`,
		"one\ntwo\r\n":                  `one\ntwo\r\n`,
		"a\tb":                          `a\tb`,
		"\u202egnp.exe\u2066":           `\u202egnp.exe\u2066`,
		"\u0085\u009b31m\u2028\u2029":   `\u0085\u009b31m\u2028\u2029`,
		"bad\xff\xc3":                   `bad\xff\xc3`,
		"fine\ufffd":                    "fine\ufffd",
		"del\x7f\x00":                   `del\x7f\x00`,
	} {
		if got := Line(text); got != want {
			t.Errorf("%q becomes %q, not %q", text, got, want)
		}
		if ok, _ := IsLine(text); ok != (text == want) {
			t.Errorf("%q is a line: %v", text, ok)
		}
	}
	if got := Text("one\n\ttwo\x1b\r\n"); got != "one\n\ttwo\\x1b\\r\n" {
		t.Errorf("of several lines: %q", got)
	}
	if ok, _ := IsText("one\r\ntwo\n"); !ok {
		t.Error("a carriage return before a line end is refused")
	}
}

func TestClean(t *testing.T) {
	type inner struct{ Words []string }
	type outer struct {
		Name     string
		Document string `printable:"text"`
		Any      any
		By       map[string]*inner
		Data     []byte
		hidden   string
	}
	bad := "a\x1b\nb"
	make := func() *outer {
		return &outer{bad, "x\ny", map[string]any{"k\a": bad}, map[string]*inner{"m\n": {[]string{"fine", bad}}}, []byte(bad), bad}
	}
	if text, odd, found := Odd(make()); !found || odd != 0x1b && odd != '\a' && odd != '\n' || text == "" {
		t.Errorf("odd is %q, %q, %v", text, odd, found)
	}
	v := make()
	Clean(v)
	good := `a\x1b\nb`
	if v.Name != good || v.Document != "x\ny" || v.Any.(map[string]any)[`k\a`] != good || v.By[`m\n`].Words[1] != good || string(v.Data) != bad || v.hidden != bad {
		t.Errorf("cleaned: %+v", v)
	}
	if text, _, found := Odd(v); found {
		t.Errorf("%q is odd after all", text)
	}
	if len(v.By) != 1 {
		t.Errorf("%d entries in a map", len(v.By))
	}
}

func FuzzLine(f *testing.F) {
	for _, seed := range []string{"", "a\x1b]0;x\a", "\u202e", "\xff", "ok"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		line := Line(text)
		if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool {
			return unicode.IsControl(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) || unicode.Is(unicode.Bidi_Control, r)
		}) {
			t.Errorf("%q becomes %q", text, line)
		}
		if Line(line) != line {
			t.Errorf("%q changes again", line)
		}
	})
}
