package delegated

import (
	"fmt"
	"strings"
)

// HoldersOf is the opaque-ids, in lower case, of the records in use.
func HoldersOf(text []byte) map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Split(strings.TrimSpace(line), "|"); InUse(fields) {
			out[strings.ToLower(fields[7])] = true
		}
	}
	return out
}

// Cut makes a delegated-extended file of the records of some holders, with the sums right again.
func Cut(text []byte, keep map[string]bool) []byte {
	var head []string
	var records strings.Builder
	counts := map[string]int{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSpace(line), "|")
		switch {
		case head == nil && len(fields) == 7:
			head = fields
		case InUse(fields) && keep[strings.ToLower(fields[7])]:
			counts[fields[2]]++
			counts["all"]++
			records.WriteString(line)
		}
	}
	head[3] = fmt.Sprint(counts["all"])
	out := []byte(strings.Join(head, "|") + "\n")
	for _, kind := range []string{"asn", "ipv4", "ipv6"} {
		out = fmt.Appendf(out, "%s|*|%s|*|%d|summary\n", head[1], kind, counts[kind])
	}
	return append(out, records.String()...)
}
