package transferwire

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/wirexml/wiretest"
)

func set(t testing.TB, text string) inr.Set {
	t.Helper()
	s, err := inr.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func aSource(t testing.TB) *Source {
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	return &Source{
		Ref: "abcdefghijklmnop", State: Cancelled, Kind: "move", From: "afrinic/x", FromRegistry: "afrinic", To: "ripe/x", ToRegistry: "ripe", Under: "ripe",
		Soak: 4 * time.Hour, Bridge: time.Hour, Held: true, Since: at, Original: set(t, "41.0.0.0/16"), Reason: "no use", Disputed: "a court has it",
		Legs: []Leg{
			{Kind: "lir", Name: `X & "Sons"`, Country: "ZA", CA: []byte{1, 2, 3}, Parts: []Part{
				{Resources: set(t, "41.0.0.0/17, 2c00::/32, AS5-AS7"), Status: "allocated", Until: at, Country: "KE"}, {Resources: set(t, "41.0.128.0/17"), Status: "assigned"},
			}},
			{Path: "shop", Kind: "enduser", Parts: []Part{{Resources: set(t, "41.0.0.0/20"), Status: "assigned"}}},
			{Path: "shop/branch", Kind: "enduser", Parts: []Part{{Resources: set(t, "41.0.0.0/24"), Status: "assigned"}}},
		},
		Carried:      []Route{{Prefix: netip.MustParsePrefix("41.0.0.0/16"), MaxLength: 24, Origin: 65000}, {netip.MustParsePrefix("2c00::/32"), 32, 0, time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)}},
		Objects:      []Object{{Kind: "aspa", Says: "AS5 => AS174, AS3356"}, {"aspa", "AS6 => AS0", time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)}},
		Staged:       []Route{{Prefix: netip.MustParsePrefix("41.0.0.0/24"), MaxLength: 24, Origin: 4294967295}},
		Certificates: []Shown{{URI: "rsync://h/m/x.cer"}, {"rsync://h/m/afrinic.cer", []byte{1, 2}, []byte{3}}},
	}
}

func aRecipient() *Recipient {
	return &Recipient{
		Ref: "abcdefghijklmnop", State: Accepted, Reason: "why", Waits: "for that", Disputed: "a court has it", Wish: "no more",
		Legs: []Arrival{{Holder: "ripe/x", Certificates: []string{"rsync://h/m/a.cer", "rsync://h/m/b.cer"}, Offer: []byte("<parent_response/>")}, {Path: "shop", Holder: "ripe/x/shop"}},
	}
}

func anIntroduction() *Introduction {
	return &Introduction{
		Name: "south", ServiceURI: "https://south.example/transfers/", Registries: []string{"ripe", "apnic"}, TrustAnchor: []byte{1, 2}, TAL: "https://h/ta.cer\n\nAAAA\n", TLSRoots: "PEM",
	}
}

// TestRoundTrip: what is written is read as it was.
func TestRoundTrip(t *testing.T) {
	for _, m := range []Message{aSource(t), aRecipient(), &Recipient{Ref: "abcdefghijklmnop", State: Unknown}} {
		again, err := Parse(m.XML())
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Errorf("%s\nis read as %+v, %v", m.XML(), again, err)
		}
	}
	i := anIntroduction()
	again, err := ParseIntroduction(i.XML())
	if err != nil || !reflect.DeepEqual(i, again) {
		t.Errorf("%s\nis read as %+v, %v", i.XML(), again, err)
	}
}

// before is the part of a text that stands before another.
func before(text, at string) string {
	head, _, _ := strings.Cut(text, at)
	return head
}

// judged are changes of good messages, with what is said of them, and whether the schema takes them.
func judged(t testing.TB) map[string]struct {
	xml, says string
	inSchema  bool
} {
	source, recipient, introduction := string(aSource(t).XML()), string(aRecipient().XML()), string(anIntroduction().XML())
	with := func(text, old, now string) string {
		if !strings.Contains(text, old) {
			t.Fatalf("there is no %s", old)
		}
		return strings.Replace(text, old, now, 1)
	}
	return map[string]struct {
		xml, says string
		inSchema  bool
	}{
		"source":               {source, "", true},
		"recipient":            {recipient, "", true},
		"introduction":         {introduction, "neither <source> nor <recipient>", true},
		"another version":      {with(source, `version="1"`, `version="2"`), "only version 1", false},
		"no version":           {with(source, ` version="1"`, ``), "lacks the attribute version", false},
		"another namespace":    {with(source, "urn:cadastre:transfer", "urn:x"), "namespace", false},
		"no ref":               {with(source, ` ref="abcdefghijklmnop"`, ``), "lacks the attribute ref", false},
		"short ref":            {with(source, `"abcdefghijklmnop"`, `"abc"`), "ref", false},
		"a ref of a path":      {with(recipient, `"abcdefghijklmnop"`, `"../../../../etc/passwd"`), "ref", false},
		"no such state":        {with(source, `"cancelled"`, `"unknown"`), "state", false},
		"no such kind":         {with(source, `"move"`, `"gift"`), "kind", false},
		"capital handle":       {with(source, `"afrinic/x"`, `"AFRINIC/x"`), "no handle", false},
		"negative soak":        {with(source, `soak="14400"`, `soak="-1"`), "seconds", false},
		"endless soak":         {with(source, `soak="14400"`, `soak="999999999"`), "ten years", true},
		"held false":           {with(source, `held="true"`, `held="false"`), "held", false},
		"time of a zone":       {with(source, `03:02:01Z`, `03:02:01+01:00`), "date and time", false},
		"no resources":         {with(source, `"41.0.0.0/20"`, `""`), "no resources", false},
		"loose bits":           {with(source, `"41.0.0.0/20"`, `"41.0.0.1/20"`), "no resources", true},
		"no such status":       {with(source, `"assigned"`, `"reserved"`), "status", false},
		"a registry":           {with(source, `kind="lir"`, `kind="rir"`), "kind", false},
		"first leg below":      {with(source, `<leg kind="lir"`, `<leg path="a" kind="lir"`), "not the donor's", true},
		"leg twice":            {with(source, `path="shop/branch"`, `path="shop"`), "twice", true},
		"orphan":               {with(source, `path="shop/branch"`, `path="other/branch"`), "before the one above", true},
		"path upwards":         {with(source, `path="shop/branch"`, `path="/branch"`), "path", false},
		"no leg":               {before(source, "<leg") + "</source>", "no <leg>", false},
		"order":                {with(source, "<disputed>a court has it</disputed>\n", "") + "", "", true},
		"late reason":          {with(source, "</source>", "<reason>a</reason></source>"), "does not belong", false},
		"two reasons":          {with(source, "<reason>no use</reason>", "<reason>a</reason><reason>b</reason>"), "does not belong", false},
		"empty reason":         {with(source, "<reason>no use</reason>", "<reason/>"), "empty", false},
		"long reason":          {with(source, "no use", strings.Repeat("a", 1025)), "longer", false},
		"max_length":           {with(source, `max_length="24"`, `max_length="15"`), "max_length", true},
		"leading zero":         {with(source, `origin="65000"`, `origin="065000"`), "origin", false},
		"large origin":         {with(source, `origin="65000"`, `origin="4294967296"`), "origin", true},
		"host bits":            {with(source, `prefix="41.0.0.0/24"`, `prefix="41.0.0.1/24"`), "prefix", true},
		"kind in capitals":     {with(source, `kind="aspa" says="AS5`, `kind="ASPA" says="AS5`), "small letters", false},
		"says nothing":         {with(source, `says="AS6 =&gt; AS0"`, `says=""`), "printable", false},
		"loose spaces":         {with(source, `says="AS6 =&gt; AS0"`, `says="AS6  =&gt; AS0"`), "printable", true},
		"unknown attribute":    {with(source, ` held=`, ` hold=`), `attribute "hold"`, false},
		"http certificate":     {with(recipient, "rsync://h/m/a.cer", "https://h/m/a.cer"), "rsync://", false},
		"offer no base64":      {with(recipient, "<offer>", "<offer>!"), "base64", false},
		"text in a leg":        {with(recipient, "<offer>", "text<offer>"), "text in <leg>", false},
		"more than one":        {recipient + recipient, "goes on", false},
		"DOCTYPE":              {"<!DOCTYPE x>" + recipient, "DOCTYPE", true},
		"not XML":              {"PK\x03\x04", "", false},
		"nothing":              {"", "no XML element", false},
		"unknown in recipient": {with(recipient, "<waits>", "<hopes/><waits>"), "does not belong", false},
	}
}

func TestJudged(t *testing.T) {
	for name, c := range judged(t) {
		m, err := Parse([]byte(c.xml))
		switch {
		case name == "not XML":
			if err == nil {
				t.Errorf("%s is read as %+v", name, m)
			}
		case c.says == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || fault.KindOf(err) != fault.BadInput):
			t.Errorf("%s: %v, which does not say %q", name, err, c.says)
		}
	}
	for name, text := range map[string]string{
		"no registry": strings.NewReplacer(`<registry handle="ripe"/>`, "", `<registry handle="apnic"/>`, "").Replace(string(anIntroduction().XML())),
		"no TAL":      strings.NewReplacer("<tal>", "<!--", "</tal>", "-->").Replace(string(anIntroduction().XML())),
		"a message":   string(aRecipient().XML()),
		"ftp":         strings.Replace(string(anIntroduction().XML()), "https://south", "ftp://south", 1),
	} {
		if i, err := ParseIntroduction([]byte(text)); err == nil || fault.KindOf(err) != fault.BadInput {
			t.Errorf("%s: %+v, %v", name, i, err)
		}
	}
}

// TestSchemaAgrees checks the table above with jing, so that it is the schema that tells what is strict.
func TestSchemaAgrees(t *testing.T) {
	messages := map[string][]byte{}
	for name, c := range judged(t) {
		if name != "not XML" && name != "nothing" && name != "more than one" {
			messages[name] = []byte(c.xml)
		}
	}
	complaints := wiretest.Complaints(t, "transfer.rnc", messages)
	for name := range messages {
		if complaint := complaints[name]; (complaint == "") != judged(t)[name].inSchema {
			t.Errorf("%s: valid by the schema is not %v: %s", name, judged(t)[name].inSchema, complaint)
		}
	}
}

// FuzzParse checks that what is taken is written again as a message that means the same; texts for people may lose what XML
// would have to escape.
func FuzzParse(f *testing.F) {
	for _, c := range judged(f) {
		if len(c.xml) < 10_000 {
			f.Add([]byte(c.xml))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if err != nil {
			return
		}
		again, err := Parse(m.XML())
		if err != nil {
			t.Fatalf("%s\nis written as\n%s\nand not read: %v", data, m.XML(), err)
		}
		for _, one := range []Message{m, again} {
			switch one := one.(type) {
			case *Source:
				one.Reason, one.Disputed = "", ""
			case *Recipient:
				one.Reason, one.Waits, one.Disputed, one.Wish = "", "", "", ""
			}
		}
		if !reflect.DeepEqual(m, again) {
			t.Fatalf("%s\nis read as %+v and again as %+v", data, m, again)
		}
	})
}

func FuzzParseIntroduction(f *testing.F) {
	f.Add(anIntroduction().XML())
	f.Fuzz(func(t *testing.T, data []byte) {
		i, err := ParseIntroduction(data)
		if err != nil {
			return
		}
		again, err := ParseIntroduction(i.XML())
		if err != nil || !reflect.DeepEqual(i, again) {
			t.Fatalf("%s\nis read as %+v and again as %+v, %v", data, i, again, err)
		}
	})
}
