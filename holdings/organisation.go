package holdings

import (
	"regexp"
	"slices"
	"strings"

	"cadastre/internal/fault"
	"cadastre/internal/handles"
	"cadastre/internal/printable"
)

// Kind says what an organisation is in the tree IANA → RIR → (NIR) → LIR → end user.
type Kind string

// The kinds of organisation. There is one root; of the others there may be any number.
const (
	Root    Kind = "root"    // holds everything; IANA
	RIR     Kind = "rir"     // a registry directly below the root
	NIR     Kind = "nir"     // a registry below a RIR, for certain countries
	LIR     Kind = "lir"     // an operator that delegates on
	EndUser Kind = "enduser" // an operator that uses what it holds itself
)

// parents has, for each kind, the kinds of organisations that it may be directly below.
var parents = map[Kind][]Kind{
	Root:    nil,
	RIR:     {Root},
	NIR:     {RIR},
	LIR:     {RIR, NIR, LIR},
	EndUser: {RIR, NIR, LIR},
}

// IsRegistry tells whether organisations of this kind keep a registry: the root, RIRs and NIRs.
func (k Kind) IsRegistry() bool { return k == Root || k == RIR || k == NIR }

// Organisation is a node of the tree.
type Organisation struct {
	Handle  string `json:"handle" toml:"handle"` // unique; see package handles
	Parent  string `json:"parent,omitempty" toml:"parent"`
	Kind    Kind   `json:"kind" toml:"kind"`
	Name    string `json:"name,omitempty" toml:"name"`
	Country string `json:"country,omitempty" toml:"country"` // ISO 3166, upper case
	// Statistics is a RIR's name within delegated-extended files; its handle when empty.
	Statistics string `json:"statistics,omitempty" toml:"statistics"`
	// Countries are the country codes whose records in its RIR's file are an NIR's.
	Countries []string `json:"countries,omitempty" toml:"countries"`
}

var countryPattern = regexp.MustCompile(`^[A-Z]{2}$`)

// Fold is the form in which a handle is stored and compared.
func Fold(handle string) string { return strings.ToLower(strings.TrimSpace(handle)) }

// normal is the organisation with its handles and codes in the case in which they are stored.
func (o Organisation) normal() Organisation {
	o.Handle, o.Parent, o.Statistics = Fold(o.Handle), Fold(o.Parent), Fold(o.Statistics)
	o.Kind = Kind(Fold(string(o.Kind)))
	o.Country = strings.ToUpper(o.Country)
	countries := make([]string, 0, len(o.Countries))
	for _, c := range o.Countries {
		countries = append(countries, strings.ToUpper(c))
	}
	if o.Countries = countries; len(countries) == 0 {
		o.Countries = nil
	}
	return o
}

// statistics is the name of the organisation within delegated-extended files.
func (o Organisation) statistics() string {
	if o.Statistics != "" {
		return o.Statistics
	}
	return o.Handle
}

func (o Organisation) equal(b Organisation) bool {
	return o.Handle == b.Handle && o.Parent == b.Parent && o.Kind == b.Kind && o.Name == b.Name && o.Country == b.Country &&
		o.Statistics == b.Statistics && slices.Equal(o.Countries, b.Countries)
}

// check says what is wrong with a normal organisation by itself; its parent is not looked at.
func (o Organisation) check() error {
	allowed, known := parents[o.Kind]
	switch {
	case !handles.IsOrganisation(o.Handle):
		return fault.New(fault.BadInput, "%.250q is no handle: use up to 200 letters, digits and . _ / -, each part between slashes beginning with a letter or digit", o.Handle)
	case o.Kind.IsRegistry() && !handles.IsRegistry(o.Handle):
		return fault.New(fault.BadInput, "%q is no handle of a registry, whose repository is called so: use one part without a slash, and not ta, where the trust anchor's certificate is", o.Handle)
	case !printable.IsName(o.Name):
		return fault.New(fault.BadInput, "organisation %s: its name %.250q has characters that do not print; leave them out", o.Handle, o.Name)
	case !known:
		return fault.New(fault.BadInput, "organisation %s: %q is no kind; use root, rir, nir, lir or enduser", o.Handle, o.Kind)
	case allowed == nil && o.Parent != "":
		return fault.New(fault.BadInput, "organisation %s is the root and can't have a parent", o.Handle)
	case allowed != nil && o.Parent == "":
		return fault.New(fault.BadInput, "organisation %s: name its parent", o.Handle)
	case o.Statistics != "" && o.Kind != RIR:
		return fault.New(fault.BadInput, "organisation %s: only a rir has its own file of statistics", o.Handle)
	case o.Countries != nil && o.Kind != NIR:
		return fault.New(fault.BadInput, "organisation %s: only an nir serves countries of its own", o.Handle)
	}
	for _, c := range o.Countries {
		if !countryPattern.MatchString(c) {
			return fault.New(fault.BadInput, "organisation %s: %q is no country code of two letters", o.Handle, c)
		}
	}
	return nil
}
