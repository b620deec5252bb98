package object_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/cryptotest"

	"pgregory.net/rapid"

	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/validate"
)

// authorise has the tree's holder publish an ASPA of AS37100.
func (t *tree) authorise(algorithm object.Algorithm, providers ...uint32) ([]byte, error) {
	oneTime := must(algorithm.Generate())
	name := must(object.PublicKeyOf(oneTime)).ID.FileName() + ".asa"
	a := object.ASPA{Place: t.holder.at(name), Customer: 37100, Providers: providers, NotBefore: start, NotAfter: start.AddDate(0, 6, 0)}
	der, _, err := a.Sign(t.holder.key, oneTime, start)
	if err != nil {
		return nil, err
	}
	t.holder.files[t.holder.place+name] = der
	delete(t.holder.files, t.holder.manifest())
	t.holder.publish(must(algorithm.Generate()))
	return der, nil
}

// TestGoldenASPA keeps every byte of an ASPA, and has the validator accept it among the rest of the tree. What it says is
// written in any order, with one provider twice.
func TestGoldenASPA(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 6488)
	tr := newTree(object.RSA)
	der := must(tr.authorise(object.RSA, 4294967295, 64500, 5, 64500))
	result := tr.accepted(t, false)
	if got := fmt.Sprint(result.VAPs); got != "[AS37100 => AS5, AS64500, AS4294967295]" {
		t.Errorf("its ASPAs are %s", got)
	}
	file := filepath.Join(goldenObjects, "holder.asa")
	if *update {
		if err := os.WriteFile(file, der, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := must(os.ReadFile(file)); !bytes.Equal(der, want) {
		t.Errorf("%s is other than it was: %x", file, der)
	}
	// content, as draft-ietf-sidrops-aspa-profile-30 has it: version 1 written out, the customer, the providers ascending
	content := must(hex.DecodeString("301b" + "a003020101" + "02030090ec" + "300f" + "020105" + "020300fbf4" + "020500ffffffff"))
	if !bytes.Contains(der, content) {
		t.Errorf("it does not have the content %x", content)
	}
}

// TestASPAOfOthers compares the content with that of an ASPA that rpki-rs has among its tests.
func TestASPAOfOthers(t *testing.T) {
	want, err := os.ReadFile("../../../shared/vectors/rpki-rs/repository/aspa-content.der")
	if err != nil {
		t.Skip("../shared/vectors is not here")
	}
	oneTime := must(object.P256.Generate())
	m := newMaker(object.P256, "other", anchorURI, "AS15562")
	a := object.ASPA{Place: m.at("x.asa"), Customer: 15562, Providers: []uint32{2914, 8283, 51088, 206238}, NotBefore: start, NotAfter: end}
	der, _, err := a.Sign(m.key, oneTime, start)
	if err != nil || !bytes.Contains(der, want) {
		t.Errorf("it does not have the content %x (%v)", want, err)
	}
}

// TestASPA has what can't be said refused, and the rest read back by the validator as it was meant.
func TestASPA(t *testing.T) {
	tr := newTree(object.P256)
	many := make([]uint32, object.MaxProviders+1)
	for i := range many {
		many[i] = 4_200_000_000 + uint32(i)
	}
	for _, providers := range [][]uint32{nil, {0, 1}, {37100}, {1, 37100}, many} {
		if der, err := tr.authorise(object.P256, providers...); err == nil {
			t.Errorf("%d providers, the first %v, made %d bytes", len(providers), providers[:min(3, len(providers))], len(der))
		}
	}
	der, err := tr.authorise(object.P256, many[1:]...)
	if err != nil || len(der) > 40_000 {
		t.Errorf("with as many providers as there may be it has %d bytes (%v); relying parties refuse more than 8,000,000", len(der), err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		providers := rapid.SliceOfNDistinct(rapid.Uint32Min(1).Filter(func(as uint32) bool { return as != 37100 }), 1, 20, rapid.ID).Draw(rt, "providers")
		if rapid.Bool().Draw(rt, "none") {
			providers = []uint32{0}
		}
		oneTime := must(object.P256.Generate())
		customer := rapid.Uint32Min(1).Filter(func(as uint32) bool { return !slices.Contains(providers, as) }).Draw(rt, "customer")
		a := object.ASPA{Place: tr.holder.at("x.asa"), Customer: customer, Providers: providers, NotBefore: start, NotAfter: end}
		der, _, err := a.Sign(tr.holder.key, oneTime, start)
		if err != nil {
			rt.Fatal(err)
		}
		read, findings := validate.ParseASPA(der, validate.P256, validate.Strict)
		if read == nil || len(findings) > 0 {
			rt.Fatalf("it reads back with %v", findings)
		}
		slices.Sort(providers)
		if read.Customer != customer || !slices.Equal(read.Providers, providers) || !read.EE.Resources.Set.Equal(inr.OfAS(customer, customer)) {
			rt.Fatalf("AS%d with %v reads back as %s with %s", customer, providers, read.VAP, read.EE.Resources.Set)
		}
	})
}
