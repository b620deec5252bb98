package issued

import (
	"cmp"
	"strconv"
	"strings"
)

// Name is the name of an authority. An organisation has one authority for each source that its holding rests on: the tree,
// and each resource class of a parent outside it. In a key roll (RFC 6489), and while it moves to another publication
// server, it has another generation of it beside. A delegated CA's keys are elsewhere, and each key that it had certified is
// an authority here, of which only the certificate is ours.
//
// Names are compared with ==. The zero Name is nobody's. Only records in the store, and what people read, have it as text.
type Name struct {
	Holder     string // handle of the organisation, or AnchorHolder
	Source     string // empty: the tree
	Generation int    // from 0
	Key        string // of a delegated CA: its key identifier in hex
}

// AnchorHolder stands for the organisation that has the trust anchor. No organisation can have this handle.
const AnchorHolder = "#anchor"

var (
	// Anchor is the name of the trust anchor among the authorities.
	Anchor = Name{Holder: AnchorHolder}
	// Outside stands, as an issuer, for all parents elsewhere.
	Outside = Name{Holder: "#outside"}
)

// String is the name as text: the organisation's handle, then "#" and the source, "~" and the generation, "!" and the key,
// each where there is one. Parse reads it.
func (n Name) String() string {
	if n.Source == "" && n.Generation == 0 && n.Key == "" {
		return n.Holder
	}
	text := n.Holder
	if n.Source != "" {
		text += "#" + n.Source
	}
	if n.Generation > 0 {
		text += "~" + strconv.Itoa(n.Generation)
	}
	if n.Key != "" {
		text += "!" + n.Key
	}
	return text
}

// Parse reads what String wrote.
func Parse(text string) Name {
	if strings.HasPrefix(text, "#") { // Anchor or Outside: no organisation's handle begins with it
		return Name{Holder: text}
	}
	var n Name
	text, n.Key, _ = strings.Cut(text, "!")
	text, generation, _ := strings.Cut(text, "~")
	n.Generation, _ = strconv.Atoi(generation)
	n.Holder, n.Source, _ = strings.Cut(text, "#")
	return n
}

// Line is the name without generation and key: what stays the same through key rolls.
func (n Name) Line() Name { return Name{Holder: n.Holder, Source: n.Source} }

// At is the authority of the same line in another generation.
func (n Name) At(generation int) Name {
	return Name{Holder: n.Holder, Source: n.Source, Generation: generation}
}

// IsZero tells whether it is the zero name.
func (n Name) IsZero() bool { return n == Name{} }

// Compare orders names as their texts.
func (n Name) Compare(m Name) int { return cmp.Compare(n.String(), m.String()) }

// MarshalText is String, for records.
func (n Name) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText is Parse, for records.
func (n *Name) UnmarshalText(text []byte) error {
	*n = Parse(string(text))
	return nil
}
