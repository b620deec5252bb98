package main

import (
	"encoding/json"
	"io"
)

// What commands print as JSON has one style: names in snake_case, numbers as numbers, times as RFC 3339 has them, and lengths of
// time as they are written in commands ("4h", "30d").

// writeJSON prints an answer.
func writeJSON(out io.Writer, answer any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(answer)
}
