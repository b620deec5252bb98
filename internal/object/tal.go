package object

import (
	"encoding/base64"
	"strings"
)

// TAL is what a trust anchor locator says (RFC 8630): where the trust anchor's certificate is, and its key.
type TAL struct {
	URIs []string // https first, then rsync; all with the same file name
	Key  PublicKey
}

// Text writes the locator as relying parties read it: URIs, an empty line, the key in lines of 64 characters.
func (t TAL) Text() string {
	var b strings.Builder
	for _, uri := range t.URIs {
		b.WriteString(uri + "\n")
	}
	b.WriteString("\n")
	key := base64.StdEncoding.EncodeToString(t.Key.Info)
	for len(key) > 64 {
		b.WriteString(key[:64] + "\n")
		key = key[64:]
	}
	b.WriteString(key + "\n")
	return b.String()
}
