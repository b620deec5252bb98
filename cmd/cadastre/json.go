package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"cadastre/internal/printable"
)

// What commands print as JSON has one style: names in snake_case, numbers as numbers, times as RFC 3339 has them, and lengths of
// time as they are written in commands ("4h", "30d").

// writeJSON prints an answer. Whatever a terminal would act on is escaped: JSON demands that of characters below the space alone
// (RFC 8259, section 7), and means the same by those that are escaped beyond these.
func writeJSON(out io.Writer, answer any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(answer); err != nil {
		return err
	}
	text := b.Bytes()
	if ok, _ := printable.IsText(b.String()); !ok {
		text = escaped(text)
	}
	_, err := out.Write(text)
	return err
}

// escaped is JSON in which each character that does not print is escaped. Such characters are within strings alone.
func escaped(text []byte) []byte {
	out := make([]byte, 0, len(text)+len(text)/8)
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if ok, _ := printable.IsText(string(r)); ok {
			out = append(out, text[:size]...)
		} else {
			for _, unit := range utf16.AppendRune(nil, r) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
		}
		text = text[size:]
	}
	return out
}
