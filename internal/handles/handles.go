// Package handles has the grammars of handles: the names by which organisations, registries and peers are called. What keeps
// one of them can be part of a URI and of a path: it has no part that is empty or begins with a dot, and no character that
// means something there.
package handles

import "strings"

// Longest is how long an organisation's handle may be, in bytes, and LongestWire one of RFC 8183.
const (
	Longest     = 200
	LongestWire = 255
)

// reserved are names that a registry cannot have, since its repository stands beside them: the module of the trust anchor.
var reserved = map[string]bool{"ta": true}

// IsOrganisation tells whether text can be the handle of an organisation: parts with '/' between them, each of small
// letters, digits, '.', '_' and '-', beginning with a letter or digit.
func IsOrganisation(text string) bool {
	for part := range strings.SplitSeq(text, "/") {
		if !isPart(part) {
			return false
		}
	}
	return len(text) <= Longest
}

// IsRegistry tells whether text can be the handle of a registry. It is one part, since it names a folder in URIs and on disk.
func IsRegistry(text string) bool { return isPart(text) && len(text) <= Longest && !reserved[text] }

// isPart tells whether text can be a part of a handle.
func isPart(text string) bool {
	for i := range len(text) {
		c := text[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return text != ""
}

// IsWire tells whether text can be a handle in messages between peers (RFC 8183, section 5): 1 to 255 letters, digits, '-',
// '_' and '/' of US-ASCII. The schema has the empty handle too, but nobody could be meant by it.
func IsWire(text string) bool {
	for i := range len(text) {
		if c := text[i]; !isWireLetter(c) && c != '/' {
			return false
		}
	}
	return text != "" && len(text) <= LongestWire
}

// IsWirePart tells whether text can be a handle in messages and one part of a path too: without '/'.
func IsWirePart(text string) bool { return IsWire(text) && !strings.Contains(text, "/") }

func isWireLetter(c byte) bool {
	letter := c|0x20 >= 'a' && c|0x20 <= 'z'
	return letter || c >= '0' && c <= '9' || c == '-' || c == '_'
}
