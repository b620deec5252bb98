package rrdpxml

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cadastre/internal/fault"
)

const (
	session = "a2d845c4-5b91-4015-a2b7-988c03ce232a"
	vectors = "../../../../shared/vectors/rpki-rs/rrdp"
)

var limits = Limits{Object: 100_000, Objects: 1000}

// vector reads one of rpki-rs's files.
func vector(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(vectors, name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("../shared/vectors is not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// root wraps the children of a root element in one that is right.
func root(name, children string) string {
	return fmt.Sprintf(`<%s xmlns="%s" version="1" session_id="%s" serial="3">%s</%s>`, name, Namespace, session, children, name)
}

func TestNotificationVectors(t *testing.T) {
	for name, contiguous := range map[string]bool{
		"ripe-notification.xml": true, "ripe-notification-unsorted.xml": true, "ripe-notification-with-gaps.xml": false,
	} {
		n, err := ReadNotification(bytes.NewReader(vector(t, name)), limits)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if n.Session != session || n.Serial != 1742 || n.Deltas[len(n.Deltas)-1].Serial != 1742 {
			t.Errorf("%s: read as session %s, serial %d", name, n.Session, n.Serial)
		}
		if n.Contiguous() != contiguous {
			t.Errorf("%s: contiguous is %v", name, n.Contiguous())
		}
		if chain, ok := n.Chain(1740); !ok || len(chain) != 2 || chain[0].Serial != 1741 {
			t.Errorf("%s: chain from 1740 is %v, %v", name, chain, ok)
		}
	}
	if _, err := ReadNotification(bytes.NewReader(vector(t, "lolz-notification.xml")), limits); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a billion laughs were taken: %v", err)
	}
}

func TestSnapshotAndDeltaVectors(t *testing.T) {
	objects := 0
	head, err := ReadSnapshot(bytes.NewReader(vector(t, "ripe-snapshot.xml")), limits, func(c Change) error {
		objects++
		if c.Replaces != nil || c.Withdraw || c.Data == nil || len(c.Data) > 0 && c.Data[0] != 0x30 {
			t.Errorf("%s is no new object in DER, nor one of the empty ones", c.URI)
		}
		return nil
	})
	if err != nil || head.Serial != 1742 || objects == 0 {
		t.Errorf("snapshot of serial %d, %d objects: %v", head.Serial, objects, err)
	}
	kinds := make(map[string]int)
	head, err = ReadDelta(bytes.NewReader(vector(t, "ripe-delta.xml")), limits, func(c Change) error {
		kinds[fmt.Sprint(c.Withdraw, c.Replaces != nil)]++
		return nil
	})
	if err != nil || head.Serial != 1739 || kinds["true true"] == 0 || kinds["false true"] == 0 || kinds["false false"] == 0 {
		t.Errorf("delta of serial %d, changes (withdrawn, with hash) %v: %v", head.Serial, kinds, err)
	}
}

func TestChain(t *testing.T) {
	n := &Notification{Head: Head{Serial: 9}, Deltas: []Delta{{Serial: 5}, {Serial: 7}, {Serial: 8}, {Serial: 9}}}
	for serial, want := range map[uint64]int{3: -1, 4: -1, 5: -1, 6: 3, 7: 2, 8: 1, 9: 0, 10: -1, 1<<64 - 1: -1} {
		chain, ok := n.Chain(serial)
		if ok != (want >= 0) || ok && len(chain) != want {
			t.Errorf("chain from %d: %d deltas, %v", serial, len(chain), ok)
		}
	}
}

func TestRefused(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	snapshot := `<snapshot uri="https://h/s.xml" hash="` + hash + `"/>`
	delta := func(serial string) string {
		return `<delta serial="` + serial + `" uri="https://h/d.xml" hash="` + hash + `"/>`
	}
	object := `<publish uri="rsync://h/m/a.roa">MAA=</publish>`
	whole := root("notification", snapshot+delta("3")+delta("2"))
	if _, err := ReadNotification(strings.NewReader(`<?xml version="1.0" encoding="US-ASCII"?><!-- c -->`+whole+"\n"), limits); err != nil {
		t.Fatalf("a right notification is refused: %v", err)
	}
	notifications := map[string]struct{ xml, says string }{
		"empty":              {"", "ends before"},
		"cut":                {whole[:len(whole)-4], "well-formed"},
		"twice":              {whole + whole, "goes on"},
		"text after":         {whole + "x", "goes on"},
		"doctype":            {"<!DOCTYPE notification>" + whole, "DOCTYPE"},
		"instruction":        {whole + "<?php 1?>", "processing instruction"},
		"late declaration":   {whole + `<?xml version="1.0"?>`, "processing instruction"},
		"not ASCII":          {strings.Replace(whole, "<delta", "<!-- \u00e9 --><delta", 1), "US-ASCII"},
		"encoding":           {`<?xml version="1.0" encoding="ISO-8859-1"?>` + whole, "ISO-8859-1"},
		"version":            {strings.Replace(whole, `version="1"`, `version="2"`, 1), "instead of 1"},
		"namespace":          {strings.Replace(whole, Namespace, "http://example.net/", 1), "namespace"},
		"uuid":               {strings.Replace(whole, "-4015-", "-1015-", 1), "version 4 UUID"},
		"serial 0":           {strings.Replace(whole, `serial="3">`, `serial="0">`, 1), "decimal"},
		"serial +":           {strings.Replace(whole, `serial="3">`, `serial="+3">`, 1), "decimal"},
		"huge serial":        {strings.Replace(whole, `serial="3">`, `serial="18446744073709551616">`, 1), "decimal"},
		"unknown attribute":  {strings.Replace(whole, `version="1"`, `version="1" more="1"`, 1), "does not know"},
		"foreign attribute":  {strings.Replace(whole, `version="1"`, `version="1" xmlns:x="urn:x" x:more="1"`, 1), "another namespace"},
		"attribute twice":    {strings.Replace(whole, `version="1"`, `version="1" version="1"`, 1), "twice"},
		"no hash":            {root("notification", `<snapshot uri="https://h/s.xml"/>`), `lacks the attribute "hash"`},
		"short hash":         {strings.Replace(whole, hash, hash[2:], 1), "64"},
		"no hexadecimal":     {strings.Replace(whole, hash, "z"+hash[1:], 1), "hexadecimal"},
		"http":               {strings.Replace(whole, "https://", "http://", 1), "https URI"},
		"no snapshot":        {root("notification", ""), "no snapshot"},
		"two snapshots":      {root("notification", snapshot+snapshot), "expected"},
		"delta first":        {root("notification", delta("3")+snapshot), "expected"},
		"delta twice":        {root("notification", snapshot+delta("3")+delta("3")), "twice"},
		"delta of to-morrow": {root("notification", snapshot+delta("4")), "beyond"},
		"unknown element":    {root("notification", snapshot+"<other/>"), "expected"},
		"foreign element":    {root("notification", snapshot+`<delta xmlns="urn:x"/>`), "another namespace"},
		"text":               {root("notification", snapshot+"text"), "has text"},
		"text within":        {root("notification", strings.Replace(snapshot, "/>", ">text</snapshot>", 1)), "has text"},
		"element within":     {root("notification", strings.Replace(snapshot, "/>", "><snapshot/></snapshot>", 1)), "inside"},
		"too many":           {root("notification", snapshot+strings.Repeat(delta("1"), limits.Objects+1)), "more than"},
		"endless tag":        {"<notification " + strings.Repeat("a", 1_000_000), "larger than the limit"},
		"entity":             {root("notification", snapshot+"&lol;"), "well-formed"},
		"wrong root":         {root("snapshot", object), "no root element <notification>"},
	}
	for name, c := range notifications {
		_, err := ReadNotification(strings.NewReader(c.xml), limits)
		refused(t, name, err, c.says)
	}
	changes := map[string]struct{ xml, says string }{
		"empty delta":       {root("delta", " "), "changes nothing"},
		"no base64":         {root("delta", `<publish uri="rsync://h/m/a.roa">M!A=</publish>`), "base64"},
		"unclean base64":    {root("delta", `<publish uri="rsync://h/m/a.roa">MAB=</publish>`), "base64"},
		"large object":      {root("delta", `<publish uri="rsync://h/m/a.roa">`+strings.Repeat("AAAA", 34_000)+`</publish>`), "more than 100000 bytes"},
		"endless object":    {root("delta", `<publish uri="rsync://h/m/a.roa">`+strings.Repeat("AAAA", 100_000)+`</publish>`), "larger than the limit"},
		"endless in pieces": {root("delta", `<publish uri="rsync://h/m/a.roa">`+strings.Repeat(strings.Repeat("AAAA", 1000)+"<!-- -->", 100)+`</publish>`), "larger than the limit"},
		"withdraw no hash":  {root("delta", `<withdraw uri="rsync://h/m/a.roa"/>`), `lacks the attribute "hash"`},
		"withdraw text":     {root("delta", `<withdraw uri="rsync://h/m/a.roa" hash="`+hash+`">MAA=</withdraw>`), "has text"},
		"no uri":            {root("delta", `<publish>MAA=</publish>`), `lacks the attribute "uri"`},
		"https uri":         {root("delta", `<publish uri="https://h/m/a.roa">MAA=</publish>`), "rsync URI"},
		"dots":              {root("delta", `<publish uri="rsync://h/m/../a.roa">MAA=</publish>`), "rsync URI"},
		"folder":            {root("delta", `<publish uri="rsync://h/m/a/">MAA=</publish>`), "rsync URI"},
		"no module":         {root("delta", `<publish uri="rsync://h/a.roa">MAA=</publish>`), "rsync URI"},
		"space":             {root("delta", `<publish uri="rsync://h/m/a b.roa">MAA=</publish>`), "rsync URI"},
		"long uri":          {root("delta", `<publish uri="rsync://h/m/`+strings.Repeat("a", 2048)+`">MAA=</publish>`), "rsync URI"},
		"too many":          {root("delta", strings.Repeat(object, limits.Objects+1)), "more than 1000"},
		"unknown element":   {root("delta", "<move/>"), "does not belong"},
	}
	for name, c := range changes {
		_, err := ReadDelta(strings.NewReader(c.xml), limits, func(Change) error { return nil })
		refused(t, name, err, c.says)
	}
	for name, xml := range map[string]string{
		"hash in a snapshot":     root("snapshot", `<publish uri="rsync://h/m/a.roa" hash="`+hash+`">MAA=</publish>`),
		"withdraw in a snapshot": root("snapshot", `<withdraw uri="rsync://h/m/a.roa" hash="`+hash+`"/>`),
	} {
		_, err := ReadSnapshot(strings.NewReader(xml), limits, func(Change) error { return nil })
		refused(t, name, err, "not")
	}
	if _, err := ReadSnapshot(strings.NewReader(root("snapshot", "")), limits, nil); err != nil {
		t.Errorf("an empty snapshot is refused: %v", err)
	}
}

func refused(t *testing.T, name string, err error, says string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: not refused", name)
	} else if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), says) {
		t.Errorf("%s: refused with %q (%v), which does not say %q", name, err, fault.KindOf(err), says)
	}
}

func TestErrorOfTheCalleeComesThrough(t *testing.T) {
	full := fault.New(fault.Storage, "the disk is full")
	xml := root("snapshot", `<publish uri="rsync://h/m/a.roa">MAA=</publish>`)
	if _, err := ReadSnapshot(strings.NewReader(xml), limits, func(Change) error { return full }); !errors.Is(err, full) || fault.KindOf(err) != fault.Storage {
		t.Errorf("got %v", err)
	}
}

// write writes changes as a publication server would, with white space in odd places.
func write(kind string, changes []Change, indent string) string {
	var b strings.Builder
	for _, c := range changes {
		b.WriteString(indent)
		hash := ""
		if c.Replaces != nil {
			hash = ` hash="` + strings.ToUpper(c.Replaces.String()) + `"`
		}
		if c.Withdraw {
			fmt.Fprintf(&b, `<withdraw uri=%q%s/>`, c.URI, hash)
			continue
		}
		text := base64.StdEncoding.EncodeToString(c.Data)
		fmt.Fprintf(&b, `<publish%s uri='%s'>%s%s%s</publish>`, hash, c.URI, indent, text[:len(text)/2]+indent+text[len(text)/2:], indent)
	}
	return root(kind, b.String())
}

func TestReadsWhatWasWritten(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		changes := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) Change {
			c := Change{URI: "rsync://h/m/" + rapid.StringMatching(`[a-z]{1,20}\.roa`).Draw(rt, "name")}
			if c.Withdraw = rapid.Bool().Draw(rt, "withdraw"); !c.Withdraw {
				c.Data = rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(rt, "data")
			}
			if c.Withdraw || rapid.Bool().Draw(rt, "replaces") {
				c.Replaces = new(Hash)
				copy(c.Replaces[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(rt, "hash"))
			}
			return c
		}), 1, 20).Draw(rt, "changes")
		xml := write("delta", changes, rapid.SampledFrom([]string{"", " ", "\r\n\t"}).Draw(rt, "indent"))
		var got []Change
		if _, err := ReadDelta(strings.NewReader(xml), limits, func(c Change) error { got = append(got, c); return nil }); err != nil {
			rt.Fatal(err)
		}
		if fmt.Sprint(len(got)) != fmt.Sprint(len(changes)) {
			rt.Fatalf("%d changes came back of %d", len(got), len(changes))
		}
		for i, c := range changes {
			g := got[i]
			if g.URI != c.URI || g.Withdraw != c.Withdraw || !bytes.Equal(g.Data, c.Data) || (g.Replaces == nil) != (c.Replaces == nil) ||
				g.Replaces != nil && *g.Replaces != *c.Replaces {
				rt.Fatalf("%+v came back as %+v", c, g)
			}
		}
	})
}

func FuzzNotification(f *testing.F) {
	for _, name := range []string{"ripe-notification.xml", "lolz-notification.xml", "ripe-notification-with-gaps.xml"} {
		if data, err := os.ReadFile(filepath.Join(vectors, name)); err == nil {
			f.Add(data)
		}
	}
	f.Add([]byte(root("notification", `<snapshot uri="https://h/s.xml" hash="`+strings.Repeat("ab", 32)+`"/>`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := ReadNotification(bytes.NewReader(data), limits)
		if (n == nil) != (err != nil) {
			t.Fatalf("notification %v with error %v", n, err)
		}
		if n == nil {
			return
		}
		if n.Serial == 0 || !uuid4.MatchString(n.Session) || len(n.Deltas) > limits.Objects {
			t.Fatalf("%+v was taken", n.Head)
		}
		for i, d := range n.Deltas {
			if d.Serial > n.Serial || i > 0 && d.Serial <= n.Deltas[i-1].Serial {
				t.Fatalf("deltas are out of order: %v", n.Deltas)
			}
		}
	})
}

func FuzzChanges(f *testing.F) {
	f.Add([]byte(root("delta", `<publish uri="rsync://h/m/a.roa">MAA=</publish>`)))
	f.Add([]byte(root("snapshot", `<publish uri="rsync://h/m/a.roa">MAA=</publish>`)))
	f.Add([]byte(root("delta", `<withdraw uri="rsync://h/m/a.roa" hash="`+strings.Repeat("ab", 32)+`"/>`)))
	if data, err := os.ReadFile(filepath.Join(vectors, "ripe-delta.xml")); err == nil {
		f.Add(data[:20_000])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		each := func(c Change) error {
			if !objectURI(c.URI) || c.Withdraw != (c.Data == nil) || c.Withdraw && c.Replaces == nil || len(c.Data) > limits.Object {
				t.Fatalf("%+v was taken", c)
			}
			return nil
		}
		_, errD := ReadDelta(bytes.NewReader(data), limits, each)
		_, errS := ReadSnapshot(bytes.NewReader(data), limits, each)
		if errD == nil && errS == nil {
			t.Fatal("one file is a delta and a snapshot")
		}
	})
}

func BenchmarkSnapshot(b *testing.B) {
	var changes []Change
	for i := range 1000 {
		changes = append(changes, Change{URI: fmt.Sprintf("rsync://localhost/repo/%d.roa", i), Data: bytes.Repeat([]byte{byte(i)}, 1900)})
	}
	xml := write("snapshot", changes, "")
	b.SetBytes(int64(len(xml)))
	for b.Loop() {
		if _, err := ReadSnapshot(io.Reader(strings.NewReader(xml)), Limits{8_000_000, 2000}, func(Change) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
