package wirexml

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cadastre/internal/fault"
)

const ns = "urn:test"

var testLimits = Limits{Tag: 400, Text: 300}

// note is a message for tests: <note to="…" tag="…">BASE64</note> in a <notes>.
type note struct {
	to, tag string
	data    []byte
}

func readNotes(message []byte) ([]note, error) {
	r := NewReader(message, testLimits)
	root, err := r.Root(ns)
	if err != nil {
		return nil, err
	}
	if err := root.Err(); err != nil {
		return nil, err
	}
	var notes []note
	for {
		child, err := r.Child(root)
		if err != nil {
			return nil, err
		}
		if child == nil {
			return notes, r.Done()
		}
		n := note{to: child.URI("to", 40, "rsync://", "https://"), tag: child.OptionalToken("tag", 40)}
		if err := child.Err(); err != nil {
			return nil, err
		}
		if n.data, err = r.Base64(child, 100); err != nil {
			return nil, err
		}
		notes = append(notes, n)
	}
}

func message(children string) string { return `<notes xmlns="` + ns + `">` + children + `</notes>` }

func TestTaken(t *testing.T) {
	const one = `<note to="rsync://h/x">AAEC</note>`
	for name, xml := range map[string]string{
		"plain":               message(one),
		"declaration":         `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + message(one) + "\n",
		"ASCII":               `<?xml version='1.0' encoding='US-ASCII'?>` + message(one),
		"byte order mark":     "\ufeff" + message(one),
		"prefix":              `<n:notes xmlns:n="` + ns + `"><n:note to="rsync://h/x">AAEC</n:note></n:notes>`,
		"comments":            "<!-- a > b, isn't it? --> " + message("<!-- <c/> -->"+strings.Replace(one, "AAEC", "AA<!-- -->EC", 1)) + "<!-- -->",
		"white space":         message("\r\n\t" + strings.Replace(one, "AAEC", "\n A A\r\n\tEC ", 1) + "\n"),
		"CDATA":               message(strings.Replace(one, "AAEC", "<![CDATA[AAEC]]>", 1)),
		"references":          message(strings.Replace(one, "h/x", "&#104;/&#x78;", 1)),
		"scheme in capitals":  message(strings.Replace(one, "rsync:", "RSYNC:", 1)),
		"> in an attribute":   message(strings.Replace(one, "to=", `tag=">'" to=`, 1)),
		"tokens":              message(strings.Replace(one, "to=", `tag="  a   b " to=`, 1)),
		"a tag of the limit":  message(strings.Replace(one, "<note ", "<note "+strings.Repeat(" ", testLimits.Tag-len(`<note  to="rsync://h/x">`)), 1)),
		"an empty one first":  message(`<note to="https://h/empty"/>` + one),
		"a slash at its end":  message(strings.Replace(one, "to=", `tag='/' to=`, 1)),
		"references in it":    message(strings.Replace(one, "AAEC", "AA&#69;&#x43;", 1)),
		"a text of the limit": message(strings.Replace(one, "AAEC", "AAEC"+strings.Repeat(" ", testLimits.Text-5), 1)),
	} {
		notes, err := readNotes([]byte(xml))
		if name == "an empty one first" && len(notes) == 2 && len(notes[0].data) == 0 {
			notes = notes[1:]
		}
		if err != nil || len(notes) != 1 || !strings.EqualFold(notes[0].to, "rsync://h/x") || !bytes.Equal(notes[0].data, []byte{0, 1, 2}) {
			t.Errorf("%s: %v, %v", name, notes, err)
		}
		if name == "tokens" && notes[0].tag != "a b" {
			t.Errorf("the token is %q", notes[0].tag)
		}
	}
}

func TestRefused(t *testing.T) {
	const one = `<note to="rsync://h/x">AAEC</note>`
	attributes := ""
	for i := range maxAttributes {
		attributes += fmt.Sprintf(` a%d=""`, i)
	}
	for name, c := range map[string]struct{ xml, says string }{
		"nothing":               {"", "no XML element"},
		"space":                 {" \n", "no XML element"},
		"text":                  {"hello", "begins with text"},
		"no end":                {strings.TrimSuffix(message(one), "</notes>"), "unexpected EOF"},
		"half a tag":            {message(one)[:20], "unexpected EOF"},
		"wrong end":             {message("<note to='rsync://h/x'></notes>"), "closed by"},
		"goes on":               {message(one) + message(one), "goes on"},
		"text behind":           {message(one) + "x", "goes on"},
		"DOCTYPE":               {`<!DOCTYPE notes [<!ENTITY lol "lol">]>` + message(one), "DOCTYPE"},
		"entity":                {message(strings.Replace(one, "AAEC", "&lol;", 1)), "entity"},
		"instruction":           {message("<?php 1?>" + one), "processing instruction"},
		"late declaration":      {message(one) + `<?xml version="1.0"?>`, "processing instruction"},
		"other encoding":        {`<?xml version="1.0" encoding="ISO-8859-1"?>` + message(one), "ISO-8859-1"},
		"XML 1.1":               {`<?xml version="1.1"?>` + message(one), "version"},
		"no UTF-8":              {message("<note to='rsync://h/\xff'/>"), "UTF-8"},
		"control character":     {message("<note to='\x01'/>"), "illegal character"},
		"other name space":      {strings.Replace(message(one), ns, "urn:other", 1), `not of "urn:test"`},
		"no name space":         {"<notes>" + one + "</notes>", `not of "urn:test"`},
		"unknown prefix":        {message("<n:note/>"), "another namespace"},
		"child of another":      {message(`<note xmlns="urn:other"/>`), "another namespace"},
		"unknown attribute":     {message(`<note to="rsync://h/x" more="">AAEC</note>`), `attribute "more"`},
		"foreign attribute":     {message(`<note to="rsync://h/x" xmlns:n="urn:other" n:to="">AAEC</note>`), "another namespace"},
		"attribute twice":       {message(`<note to="rsync://h/x" to="rsync://h/x">AAEC</note>`), "twice"},
		"too many attributes":   {message("<note to='rsync://h/x'" + attributes + "/>"), "more than 16"},
		"a later line":          {message("\n" + strings.Replace(one, "AAEC", "AA\n\nEC", 1) + "\n<note/>"), "line 5, <note>: it lacks"},
		"no attribute":          {message("\n<note/>"), "line 2, <note>: it lacks the attribute to"},
		"long attribute":        {message(`<note to="rsync://h/` + strings.Repeat("a", 40) + `"/>`), "longer than 40"},
		"other scheme":          {message(`<note to="http://h/x"/>`), "begins with rsync:// or https://"},
		"scheme alone":          {message(`<note to="rsync://"/>`), "URI"},
		"space in a URI":        {message(`<note to="rsync://h/ x"/>`), "URI"},
		"no ASCII in a URI":     {message(`<note to="rsync://h/é"/>`), "URI"},
		"text between":          {message("x" + one), "text in <notes>"},
		"text behind an empty":  {message("<note to='rsync://h/x'/>AAEC" + one), "text in <notes>"},
		"element in text":       {message(strings.Replace(one, "AAEC", "<note/>", 1)), "only text"},
		"no base64":             {message(strings.Replace(one, "AAEC", "A*EC", 1)), "base64"},
		"padding":               {message(strings.Replace(one, "AAEC", "AAE", 1)), "base64"},
		"loose bits":            {message(strings.Replace(one, "AAEC", "AB==", 1)), "base64"},
		"much base64":           {message(strings.Replace(one, "AAEC", strings.Repeat("AAAA", 34), 1)), "larger than 100"},
		"long tag":              {message("<note to='rsync://h/x'" + strings.Repeat(" ", testLimits.Tag) + "/>"), "longer than"},
		"long tag with many >":  {message("<note a='" + strings.Repeat(">", testLimits.Tag) + "'/>"), "longer than"},
		"long comment":          {message("<!--" + strings.Repeat(" ", testLimits.Tag) + "-->"), "longer than"},
		"long end":              {message(strings.Replace(one, "</note>", "</note"+strings.Repeat(" ", testLimits.Tag)+">", 1)), "longer than"},
		"long text":             {message(strings.Replace(one, "AAEC", strings.Repeat(" ", testLimits.Text+1), 1)), "longer than"},
		"long text in pieces":   {message(strings.Replace(one, "AAEC", strings.Repeat(strings.Repeat(" ", 100)+"<!-- -->", 4), 1)), "longer than"},
		"long space":            {message(strings.Repeat(" ", testLimits.Text) + one), "longer than"},
		"deep":                  {message(strings.Repeat("<note>", 100_000)), "it lacks"},
		"bad reference":         {message(strings.Replace(one, "AAEC", "&#0;", 1)), "cannot be read"},
		"an attribute of half":  {message(`<note to="rsync://h/x>AAEC</note>`), "unescaped <"},
		"an attribute unquoted": {message(`<note to=rsync>AAEC</note>`), "unquoted"},
	} {
		_, err := readNotes([]byte(c.xml))
		if err == nil {
			t.Errorf("%s: taken", name)
		} else if fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: refused with %q (%v), which does not say %q", name, err, fault.KindOf(err), c.says)
		}
	}
}

func TestText(t *testing.T) {
	r := NewReader([]byte(message("a &amp; b")), testLimits)
	root, err := r.Root("urn:other", ns)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := r.Text(root); err != nil || string(text) != "a & b" {
		t.Errorf("%q, %v", text, err)
	}
	if err := r.Done(); err != nil {
		t.Error(err)
	}
}

func TestLanguage(t *testing.T) {
	r := NewReader([]byte(`<notes xmlns="`+ns+`" xml:lang="en-US"/>`), testLimits)
	root, err := r.Root(ns)
	if err != nil {
		t.Fatal(err)
	}
	if lang, ok := root.Optional("xml:lang", 40); !ok || lang != "en-US" || root.Err() != nil {
		t.Errorf("%q, %v, %v", lang, ok, root.Err())
	}
	if err := r.End(root); err != nil {
		t.Error(err)
	}
}

func TestSentence(t *testing.T) {
	for _, c := range []struct {
		text string
		max  int
		want string
	}{
		{`it lacks "hash" in <publish> & more`, 100, `it lacks "hash" in (publish) + more`},
		{"a\x00b\xffc", 100, "a\ufffdb\ufffdc"},
		{"abcdef", 3, "abc"},
		{"abé", 3, "ab"},
		{"\x00\x00", 3, "\ufffd"},
		{"é", 0, ""},
	} {
		var w Writer
		if w.Sentence(c.text, c.max); string(w.Bytes()) != c.want {
			t.Errorf("%q became %q", c.text, w.Bytes())
		}
	}
}

// TestReadsWhatWasWritten writes values as awkward as XML can carry, and reads them.
func TestReadsWhatWasWritten(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		value := rapid.StringOf(rapid.RuneFrom([]rune("az09 \t\r\n<>&'\"é\u2028\U0001f600]"))).Draw(rt, "value")
		text := rapid.StringOf(rapid.RuneFrom([]rune("az09 \n'\"é]-;"))).Draw(rt, "text")
		data := rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(rt, "data")
		w := NewWriter(0)
		w.Tag("notes")
		w.Attr("xmlns", ns)
		w.Attr("value", value)
		w.Hex("hex", data)
		w.Optional("none", "")
		w.OpenLine()
		w.Tag("text")
		w.Open()
		w.Sentence(text, 1000)
		w.Close("text")
		w.Tag("data")
		w.Open()
		if rapid.Bool().Draw(rt, "lines") {
			w.Base64Lines(data)
		} else {
			w.Base64(data)
		}
		w.Close("data")
		w.Tag("empty")
		w.Empty()
		w.Close("notes")

		r := NewReader(w.Bytes(), Limits{Tag: 4000, Text: 4000})
		root, err := r.Root(ns)
		if err != nil {
			rt.Fatal(err)
		}
		if got := root.Attr("value", 4000); got != value {
			rt.Fatalf("%q came back as %q", value, got)
		}
		if got := root.Attr("hex", 4000); got != fmt.Sprintf("%x", data) || root.Err() != nil {
			rt.Fatalf("%x came back as %q, %v", data, got, root.Err())
		}
		child, err := r.Child(root)
		if err != nil || child.Name != "text" {
			rt.Fatal(child, err)
		}
		if got, err := r.Text(child); err != nil || string(got) != text {
			rt.Fatalf("%q came back as %q, %v", text, got, err)
		}
		child, err = r.Child(root)
		if err != nil || child.Name != "data" {
			rt.Fatal(child, err)
		}
		if got, err := r.Base64(child, 60); err != nil || !bytes.Equal(got, data) {
			rt.Fatalf("%x came back as %x, %v", data, got, err)
		}
		if child, err = r.Child(root); err != nil || child.Name != "empty" || r.End(child) != nil || r.End(root) != nil || r.Done() != nil {
			rt.Fatal(child, err)
		}
	})
}

// FuzzReader holds what is taken against encoding/xml alone, which must see the same notes.
func FuzzReader(f *testing.F) {
	f.Add([]byte(message(`<note to="rsync://h/x">AAEC</note>`)))
	f.Add([]byte(`<?xml version="1.0"?><n:notes xmlns:n="` + ns + `"><!-- --><n:note tag=" a" to='https://h'>` + "A A\nEC</n:note></n:notes> "))
	f.Add([]byte(message(`<note to="rsync://h/x" to="b"/>`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		notes, err := readNotes(data)
		if err != nil {
			if notes != nil || fault.KindOf(err) != fault.BadInput {
				t.Fatalf("%v with %v", notes, err)
			}
			return
		}
		data = bytes.TrimPrefix(data, []byte("\ufeff"))
		var plain struct {
			Notes []struct {
				To   string `xml:"to,attr"`
				Data string `xml:",chardata"`
			} `xml:"note"`
		}
		elements := 0
		for dec := xml.NewDecoder(bytes.NewReader(data)); ; {
			token, err := dec.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("taken, though it is no XML: %v", err)
			}
			if _, ok := token.(xml.StartElement); ok {
				elements++
			}
		}
		if err := xml.Unmarshal(data, &plain); err != nil || elements != 1+len(notes) {
			t.Fatalf("%d notes of %d elements, %v", len(notes), elements, err)
		}
		for i, n := range notes {
			want, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(plain.Notes[i].Data), ""))
			if err != nil || !bytes.Equal(n.data, want) || n.to != plain.Notes[i].To || len(n.data) > 100 || len(n.to) > 40 {
				t.Fatalf("%+v is read, and not %+v, %v", n, plain.Notes[i], err)
			}
		}
	})
}
