package ca

import (
	"testing"
	"testing/synctest"
)

// registries is the tree that imports start from: holders come with the files.
const registries = `
[[organisation]]
handle = "iana"
kind = "root"
[[organisation]]
handle = "afrinic"
parent = "iana"
kind = "rir"
[[organisation]]
handle = "lacnic"
parent = "iana"
kind = "rir"
[[organisation]]
handle = "nic.br"
parent = "lacnic"
kind = "nir"
countries = ["BR"]
`

// inHouse runs a test in a bubble, on a new installation of a tree.
func inHouse(t *testing.T, tree string, test func(h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, t.TempDir(), tree)
		defer func() { h.close() }()
		test(h)
	})
}

const march = `
	ZA|ipv4|41.0.0.0|65536|20050101|allocated|A1
	ZA|asn|37000|2|20050101|allocated|A1
	KE|ipv4|41.1.0.0|768|20060101|assigned|A2
	KE|ipv6|2c0f:f000::|32|20060101|allocated|A2
	NG|ipv4|41.2.0.0|65536|20070101|allocated|A3`

func TestImportedHoldingsBecomeVRPs(t *testing.T) {
	inHouse(t, registries, func(h *house) {
		effect := h.imports(extended(h, "afrinic", 1, march), extended(h, "lacnic", 1, `
			AR|ipv4|200.0.0.0|65536|20050101|allocated|L1
			BR|ipv4|177.0.0.0|65536|20050101|allocated|B1`))
		if effect.Holders.New != 5+3 || effect.Certificates.New != effect.Holders.New || effect.Held != "" {
			t.Errorf("the effect of the first import is %+v", effect)
		}
		h.settle()
		h.intend("41.0.0.0/16,AS37000,18\n41.1.0.0/23,37001\n2c0f:f000::/32,AS37001,40\n200.0.0.0/16,AS27000\n177.0.0.0/16,AS28000")
		h.settle()
		if n := len(h.reader.vrps()); n != 5 {
			t.Errorf("%d VRPs, want 5", n)
		}
	})
}
