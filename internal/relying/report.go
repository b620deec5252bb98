package relying

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/relying/ccr"
	"cadastre/internal/term"
	"cadastre/internal/validate"
)

// Report is what one run found.
type Report struct {
	TAL          string                     `json:"tal"`          // path of the locator
	TrustAnchor  string                     `json:"trust_anchor"` // URI that its certificate came from
	At           time.Time                  `json:"at"`           // the time that was validated at
	Took         term.Term                  `json:"took"`         // of all
	Walk         term.Term                  `json:"walk"`         // of validation, which fetches on its way
	Objects      int                        `json:"objects"`      // that were validated
	Earliest     time.Time                  `json:"earliest"`     // the first notAfter or nextUpdate of any chain
	Repositories []Repository               `json:"repositories"`
	Findings     []validate.Finding         `json:"findings"`
	VRPs         []validate.VRP             `json:"vrps"`
	VAPs         []validate.VAP             `json:"aspas"`
	Cut          string                     `json:"cut,omitempty"` // why not all was read that is there: a limit of the run
	Authorities  []validate.AuthorityResult `json:"-"`

	anchorKeys []ccr.KeyID // of the trust anchor, if its certificate can be read
}

// MarshalJSON writes the fields as their tags say, and lists that are empty as such.
func (r *Report) MarshalJSON() ([]byte, error) {
	type plain Report
	c := plain(*r)
	c.Repositories = append([]Repository{}, r.Repositories...)
	c.Findings = append([]validate.Finding{}, r.Findings...)
	c.VRPs = append([]validate.VRP{}, r.VRPs...)
	c.VAPs = append([]validate.VAP{}, r.VAPs...)
	return json.Marshal(c)
}

// Errors is how many findings are errors.
func (r *Report) Errors() int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == validate.Error {
			n++
		}
	}
	return n
}

// Err is Invalid where any finding is an error, and nil where none is.
func (r *Report) Err() error {
	if n := r.Errors(); n > 0 {
		return fault.New(fault.Invalid, "%d findings are errors: see the findings of the report", n)
	}
	return nil
}

// WriteText writes the report for people: how each repository was fetched, the findings, and the sums. VRPs are not in
// it; see WriteVRPs.
func (r *Report) WriteText(w io.Writer) error {
	out := new(bytes.Buffer)
	fmt.Fprintf(out, "trust anchor  %s\n", r.TrustAnchor)
	for _, p := range r.Repositories {
		fmt.Fprintf(out, "repository    %s\n              %s", p.URI, p.How)
		if p.Serial > 0 {
			fmt.Fprintf(out, ", session %s, serial %d, %d objects", p.Session, p.Serial, p.Objects)
		}
		if p.Deltas > 0 {
			fmt.Fprintf(out, ", %d applied", p.Deltas)
		}
		fmt.Fprintf(out, ", %s\n", p.Took.Duration().Round(time.Millisecond))
	}
	for _, f := range r.Findings {
		fmt.Fprintln(out, f)
	}
	fmt.Fprintf(out, "validated     %d objects of %d authorities in %s, %s, %d errors, %d warnings\n", r.Objects,
		len(r.Authorities), r.Took.Duration().Round(time.Millisecond), r.payloads(), r.Errors(), len(r.Findings)-r.Errors())
	if r.Cut != "" {
		fmt.Fprintf(out, "not all was read: %s\n", r.Cut)
	}
	if !r.Earliest.IsZero() {
		fmt.Fprintf(out, "valid until   %s unless renewed\n", r.Earliest.UTC().Format(time.RFC3339))
	}
	_, err := out.WriteTo(w)
	return err
}

// payloads says in words how much is valid; ASPAs are named where there are any.
func (r *Report) payloads() string {
	text := fmt.Sprintf("%d VRPs", len(r.VRPs))
	if n := len(r.VAPs); n > 0 {
		text += fmt.Sprintf(", %d ASPAs", n)
	}
	return text
}

// WriteVRPs writes one "prefix,maxlength,ASn" a line, in the order of LC_ALL=C sort, which is that of 'cadastre vrps'.
func (r *Report) WriteVRPs(w io.Writer) error {
	lines := make([]string, len(r.VRPs))
	for i, v := range r.VRPs {
		lines[i] = v.String()
	}
	slices.Sort(lines)
	return writeLines(w, lines)
}

// WriteVAPs writes one "ASn => ASn, ASn" a line, by customer: the form of 'krillc aspas'.
func (r *Report) WriteVAPs(w io.Writer) error {
	lines := make([]string, len(r.VAPs))
	for i, v := range r.VAPs {
		lines[i] = v.String()
	}
	return writeLines(w, lines)
}

func writeLines(w io.Writer, lines []string) error {
	out := bufio.NewWriter(w)
	for _, line := range lines {
		_, _ = out.WriteString(line)
		_ = out.WriteByte('\n') // a bufio.Writer keeps its first error for Flush
	}
	return out.Flush()
}

// CCR is the canonical cache representation of what was accepted. It speaks of manifests, ROA and ASPA payloads
// and the trust anchor, and not of router keys, which this relying party does not read.
func (r *Report) CCR() *ccr.Cache {
	c := &ccr.Cache{
		ProducedAt:   r.At.Add(r.Took.Duration()).Truncate(time.Second),
		Manifests:    []ccr.Manifest{},
		ROAs:         make([]ccr.VRP, len(r.VRPs)),
		ASPAs:        make([]ccr.ASPA, len(r.VAPs)),
		TrustAnchors: r.anchorKeys,
	}
	for i, v := range r.VAPs {
		c.ASPAs[i] = ccr.ASPA(v)
	}
	for i, v := range r.VRPs {
		c.ROAs[i] = ccr.VRP{ASN: v.ASN, Prefix: v.Prefix, MaxLength: v.MaxLength}
	}
	for _, a := range r.Authorities {
		m := ccr.Manifest{
			Hash: a.ManifestHash, Size: a.ManifestSize, AKI: a.SKI, Number: a.ManifestNumber,
			ThisUpdate: a.ThisUpdate, Location: a.ManifestURI,
		}
		for _, key := range a.Subordinates {
			m.Subordinates = append(m.Subordinates, key)
		}
		c.Manifests = append(c.Manifests, m)
	}
	return c
}

// CompareCCR compares a report with the CCR that another relying party wrote, plain or gzip. It fails with Invalid
// where that cannot be read.
func CompareCCR(r *Report, theirs []byte) ([]ccr.Difference, error) {
	other, err := ccr.Decode(theirs)
	if err != nil {
		return nil, err
	}
	return ccr.Compare(r.CCR(), other), nil
}
