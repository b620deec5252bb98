package validate

import (
	"fmt"
	"testing"
	"time"

	"cadastre/internal/inr"
)

// aspa makes an ASPA of a customer AS with this content and returns its bytes.
func (ca *labCA) aspa(file string, customer uint32, content []byte, mutate func(*certSpec)) []byte {
	ee := ca.ee(ca.dir+file, ca.now.Add(-5*time.Minute), ca.now.AddDate(0, 6, 0))
	ee.add(oidAutonomousSysIDs, true, asExt(inr.OfAS(customer, customer)))
	if mutate != nil {
		mutate(ee)
	}
	return newCMS(oidASPA, content, ee.sign(ca.key), ca.eeKey, ca.now).sign(ca.eeKey)
}

func aspaContent(customer int64, providers ...int64) []byte {
	var each [][]byte
	for _, p := range providers {
		each = append(each, intTLV(p))
	}
	return seq(tlv(0xA0, intTLV(1)), intTLV(customer), seq(each...))
}

func TestASPA(t *testing.T) {
	_, ca := rsaLab()
	list := seq(intTLV(1), intTLV(2))
	many := make([]int64, MaxProviders+1)
	for i := range many {
		many[i] = 100_000 + int64(i)
	}
	for _, tt := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"nothing", aspaContent(64496, 1, 64500, 1<<32-1), ""},
		{"no provider at all", aspaContent(64496, 0), ""},
		{"as many as are used", aspaContent(64496, many[:MaxProviders]...), ""},
		{"too many", aspaContent(64496, many...), "aspa-6.3"},
		{"version left out", seq(intTLV(64496), list), "aspa-3.1"},
		{"version 0", seq(tlv(0xA0, intTLV(0)), intTLV(64496), list), "aspa-3.1"},
		{"version 2", seq(tlv(0xA0, intTLV(2)), intTLV(64496), list), "aspa-3.1"},
		{"more than a version", seq(tlv(0xA0, intTLV(1), intTLV(1)), intTLV(64496), list), "aspa-3.1"},
		{"customer 0", aspaContent(0, 1), "aspa-3.2"},
		{"customer too large", aspaContent(1<<32, 1), "aspa-3.2"},
		{"empty list", aspaContent(64496), "aspa-3.3"},
		{"own provider", aspaContent(64496, 1, 64496), "aspa-3.3"},
		{"AS 0 with others", aspaContent(64496, 0, 1), "aspa-3.3"},
		{"twice", aspaContent(64496, 1, 1), "aspa-3.3"},
		{"descending", aspaContent(64496, 2, 1), "aspa-3.3"},
		{"provider too large", aspaContent(64496, 1, 1<<32), "aspa-3.3"},
		{"provider negative", aspaContent(64496, -1), "aspa-3.3"},
		{"address family of an older draft", seq(tlv(0xA0, intTLV(1)), octetTLV([]byte{0, 1}), intTLV(64496), list), "aspa-3.2"},
		{"bytes after the list", seq(tlv(0xA0, intTLV(1)), intTLV(64496), list, null), "aspa-3.3"},
		{"trailing", append(aspaContent(64496, 1), 5, 0), "aspa-3"},
		{"other customer than the certificate's", aspaContent(64497, 1), "aspa-4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, found := ParseASPA(ca.aspa("x.asa", 64496, tt.content, nil))
			wantFinding(t, a != nil, found, tt.want)
		})
	}
	for _, tt := range []struct {
		name   string
		mutate func(*certSpec)
	}{
		{"IP addresses", func(s *certSpec) { s.add(oidIPAddrBlocks, true, ipInherit) }},
		{"inherits", func(s *certSpec) { s.ext(oidAutonomousSysIDs).value = asInherit }},
		{"a range", func(s *certSpec) { s.ext(oidAutonomousSysIDs).value = asExt(inr.OfAS(64496, 64497)) }},
		{"another AS too", func(s *certSpec) {
			s.ext(oidAutonomousSysIDs).value = asExt(inr.OfAS(64496, 64496).Union(inr.OfAS(64498, 64498)))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, found := ParseASPA(ca.aspa("x.asa", 64496, aspaContent(64496, 1), tt.mutate))
			wantFinding(t, a != nil, found, "aspa-4")
		})
	}
	if a, found := ParseASPA(ca.roa("x.asa", 64496, []ROAPrefix{prefix("10.0.0.0/16", 0)}, nil)); a != nil {
		t.Errorf("a ROA was taken for an ASPA: %v", found)
	}
}

// TestTreeHasASPAs: the ASPAs of one customer count together.
func TestTreeHasASPAs(t *testing.T) {
	w := cheapWorld()
	w.one.files["a.asa"] = w.one.aspa("a.asa", 64496, aspaContent(64496, 3, 5), nil)
	w.one.files["b.asa"] = w.one.aspa("b.asa", 64496, aspaContent(64496, 4, 5), nil)
	w.repo.publish(w.ta, w.registry, w.one, w.two)
	res := w.tree(t, Options{})
	if got := fmt.Sprint(res.VAPs); got != "[AS64496 => AS3, AS4, AS5]" || res.Errors() > 0 {
		t.Errorf("the ASPAs are %s, with %v", got, res.Findings)
	}
	if got := fmt.Sprint(MergeVAPs([]VAP{{7, []uint32{0}}, {7, []uint32{2}}, {6, []uint32{0}}})); got != "[AS6 => AS0 AS7 => AS2] []" {
		t.Errorf("merged they are %s", got)
	}
}

// TestASPAOfOthers reads two that rpki-rs has among its tests: one of version 1, and one of the draft before that.
func TestASPAOfOthers(t *testing.T) {
	for file, want := range map[string]string{
		"aspa-content.der":          "AS15562 => AS2914, AS8283, AS51088, AS206238",
		"aspa-content-draft-13.der": "AS0 => ",
	} {
		c, v := new(check), new(VAP)
		if ok := v.parse(c, read(t, rpkirs+"/"+file)); v.String() != want || ok != (len(c.findings) == 0) {
			t.Errorf("%s: %s with %v", file, v, c.findings)
		}
	}
}
