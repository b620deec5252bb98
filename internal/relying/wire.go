package relying

import (
	"encoding/json"
	"slices"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/relying/ccr"
	"cadastre/internal/term"
	"cadastre/internal/validate"
)

// wire is a report on its way from the process that made it. VRPs and VAPs are not in it: Unpack
// puts them together from those of the authorities.
type wire struct {
	TAL          string
	TrustAnchor  string
	At           time.Time
	Took, Walk   term.Term
	Objects      int
	Earliest     time.Time
	Cut          string
	Repositories []Repository
	Findings     []validate.Finding
	Authorities  []validate.AuthorityResult
	AnchorKeys   []ccr.KeyID
}

// Pack writes a report whole, for Unpack; the ROAs of authorities are left out, their VRPs are not.
func (r *Report) Pack() ([]byte, error) {
	w := wire{r.TAL, r.TrustAnchor, r.At, r.Took, r.Walk, r.Objects, r.Earliest, r.Cut, r.Repositories, r.Findings, slices.Clone(r.Authorities), r.anchorKeys}
	for i := range w.Authorities {
		w.Authorities[i].ROAs = nil
	}
	text, err := json.Marshal(w)
	return text, fault.Wrap(err, "the report cannot be written")
}

// Unpack reads what Pack wrote.
func Unpack(text []byte) (*Report, error) {
	var w wire
	if err := json.Unmarshal(text, &w); err != nil {
		return nil, fault.New(fault.Invalid, "what was said of the repositories cannot be read: %w", err)
	}
	r := &Report{
		TAL: w.TAL, TrustAnchor: w.TrustAnchor, At: w.At, Took: w.Took, Walk: w.Walk, Objects: w.Objects, Earliest: w.Earliest, Cut: w.Cut,
		Repositories: w.Repositories, Findings: w.Findings, Authorities: w.Authorities, anchorKeys: w.AnchorKeys,
	}
	for _, a := range w.Authorities {
		r.VRPs = append(r.VRPs, a.VRPs...)
		r.VAPs = append(r.VAPs, a.VAPs...)
	}
	r.VRPs = validate.SortVRPs(r.VRPs)
	r.VAPs, _ = validate.MergeVAPs(r.VAPs)
	return r, nil
}
