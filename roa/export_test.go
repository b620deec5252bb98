package roa_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"cadastre/internal/fault"
	"cadastre/roa"
)

// TestExport: what is exported is imported again, but for SLURM, which has the members that RFC 8416 demands.
func TestExport(t *testing.T) {
	want := rows(t, "41.0.0.0/16,AS1,24,\"a, \"\"b\"\"\"\n2c00:1::/32,AS4200000000\n41.1.0.0/17,AS0,32\n")
	for _, form := range roa.Exports {
		var out bytes.Buffer
		if err := roa.Export(&out, form, want); err != nil {
			t.Fatal(err)
		}
		if form == "slurm" {
			var slurm struct {
				Version    int `json:"slurmVersion"`
				Filters    map[string][]any
				Assertions struct {
					Prefix []struct {
						ASN       uint32
						Prefix    string
						MaxLength int `json:"maxPrefixLength"`
						Comment   string
					} `json:"prefixAssertions"`
					BGPsec []any `json:"bgpsecAssertions"`
				} `json:"locallyAddedAssertions"`
			}
			if err := json.Unmarshal(out.Bytes(), &slurm); err != nil {
				t.Fatal(err)
			}
			if a := slurm.Assertions; slurm.Version != 1 || len(a.Prefix) != 3 || a.Prefix[0].ASN != 1 || a.Prefix[0].MaxLength != 24 || a.BGPsec == nil || !strings.Contains(out.String(), `"bgpsecFilters": []`) {
				t.Errorf("SLURM is %s", out.String())
			}
			continue
		}
		f, err := roa.ReadFile(form, bytes.NewReader(out.Bytes()))
		if err != nil {
			t.Errorf("%s: %v", form, err)
			continue
		}
		got := slices.Clone(f.Add)
		for i := range got {
			if got[i].Line = want[i].Line; form != "csv" && form != "krill" {
				got[i].Comment = want[i].Comment
			}
		}
		if !slices.Equal(got, want) || len(f.Remove) > 0 {
			t.Errorf("%s is read as %+v, want %+v:\n%s", form, got, want, out.String())
		}
	}
	if err := roa.Export(&bytes.Buffer{}, "xml", want); fault.KindOf(err) != fault.BadInput {
		t.Errorf("another form: %v", err)
	}
}
