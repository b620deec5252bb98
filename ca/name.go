package ca

import (
	"fmt"
	"strconv"
	"strings"
)

// name is an authority's name taken apart. An organisation has one authority for each source that its holding rests on:
// the tree, and each resource class of a parent outside it. In a key roll (RFC 6489), and while it moves to another
// publication server, it has another generation of it beside. A delegated CA's keys are elsewhere, and each key that it
// had certified is an authority here, of which only the certificate is ours.
//
// As text it is the organisation's handle, then "#" and the source, "~" and the generation, "!" and the key, each where
// there is one. The text is what records are kept under.
type name struct {
	holder     string
	source     string // empty: the tree
	generation int    // from 0
	key        string // of a delegated CA: its key identifier in hex
}

func (n name) String() string {
	text := n.holder
	if n.source != "" {
		text += "#" + n.source
	}
	if n.generation > 0 {
		text += fmt.Sprintf("~%d", n.generation)
	}
	if n.key != "" {
		text += "!" + n.key
	}
	return text
}

// line is the name without generation and key: what stays the same through key rolls.
func (n name) line() string { return name{holder: n.holder, source: n.source}.String() }

func parseName(text string) name {
	if text == AnchorName {
		return name{holder: AnchorName}
	}
	var n name
	text, n.key, _ = strings.Cut(text, "!")
	text, generation, _ := strings.Cut(text, "~")
	n.generation, _ = strconv.Atoi(generation)
	n.holder, n.source, _ = strings.Cut(text, "#")
	return n
}
