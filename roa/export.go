package roa

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"cadastre/internal/fault"
)

// Exports names the forms that Export writes.
var Exports = []string{"csv", "krill", "ripe", "routinator", "rpki-client", "slurm"}

// Export writes ROAs in a form that others read: CSV with a header, Krill's lines, the JSON of RIPE NCC's API or of rpki-client, Routinator's CSV, or
// local assertions of SLURM (RFC 8416). ReadFile reads each but SLURM; comments are in CSV, in Krill's lines and in SLURM. It fails with BadInput for
// another form.
func Export(out io.Writer, form string, rows []Row) error {
	switch form {
	case "csv":
		return exportCSV(out, rows, []string{"prefix", "asn", "maxlength", "comment"}, func(r Row) []string {
			return []string{r.Prefix.String(), as(r), fmt.Sprint(r.MaxLength), r.Comment}
		})
	case "routinator":
		return exportCSV(out, rows, []string{"ASN", "IP Prefix", "Max Length", "Trust Anchor"}, func(r Row) []string {
			return []string{as(r), r.Prefix.String(), fmt.Sprint(r.MaxLength), "cadastre"}
		})
	case "krill":
		for _, r := range rows {
			line := fmt.Sprintf("A: %s-%d => %d", r.Prefix, r.MaxLength, r.Origin)
			if r.Comment != "" {
				line += " # " + r.Comment
			}
			if _, err := fmt.Fprintln(out, line); err != nil {
				return err
			}
		}
		return nil
	case "ripe":
		return exportJSON(out, listOf(rows, func(r Row) any {
			return struct {
				ASN       string `json:"asn"`
				Prefix    string `json:"prefix"`
				MaxLength int    `json:"maximalLength"`
			}{as(r), r.Prefix.String(), r.MaxLength}
		}))
	case "rpki-client":
		return exportJSON(out, map[string]any{"roas": listOf(rows, func(r Row) any {
			return struct {
				ASN       uint32 `json:"asn"`
				Prefix    string `json:"prefix"`
				MaxLength int    `json:"maxLength"`
				TA        string `json:"ta"`
			}{r.Origin, r.Prefix.String(), r.MaxLength, "cadastre"}
		})})
	case "slurm":
		return exportJSON(out, slurmOf(rows))
	}
	return fault.New(fault.BadInput, "%q is no form to export; use one of %s", form, strings.Join(Exports, ", "))
}

func as(r Row) string { return fmt.Sprintf("AS%d", r.Origin) }

func listOf(rows []Row, of func(Row) any) []any {
	list := make([]any, 0, len(rows))
	for _, r := range rows {
		list = append(list, of(r))
	}
	return list
}

// slurmOf is rows as prefix assertions (RFC 8416, sections 3.2 and 3.4.1). All members that section 3.2 demands are there.
func slurmOf(rows []Row) any {
	type assertion struct {
		ASN       uint32 `json:"asn"`
		Prefix    string `json:"prefix"`
		MaxLength int    `json:"maxPrefixLength"`
		Comment   string `json:"comment,omitempty"`
	}
	return map[string]any{
		"slurmVersion":            1,
		"validationOutputFilters": map[string]any{"prefixFilters": []any{}, "bgpsecFilters": []any{}},
		"locallyAddedAssertions": map[string]any{
			"prefixAssertions": listOf(rows, func(r Row) any { return assertion{r.Origin, r.Prefix.String(), r.MaxLength, r.Comment} }),
			"bgpsecAssertions": []any{},
		},
	}
}

func exportCSV(out io.Writer, rows []Row, header []string, of func(Row) []string) error {
	w := csv.NewWriter(out)
	_ = w.Write(header) // errors are kept by the writer
	for _, r := range rows {
		_ = w.Write(of(r))
	}
	w.Flush()
	return w.Error()
}

func exportJSON(out io.Writer, value any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(value)
}
