package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// inputs are the files that the house is given, and what must come of them.
type inputs struct {
	first, second string // the registry in 2023 and in 2026
	announcements string // CSV
	holders       int    // in the first file
	expected
}

// The figures of the real files, so that this program cannot miscount them unnoticed.
const (
	wholeWithin  = 17102
	wholeRefused = 4
)

// prepareInputs reads the files of ../shared, computes what must come of them, and cuts them for a rehearsal.
func prepareInputs(s settings, dir string) (inputs, error) {
	data := filepath.Join(s.shared, "data")
	in := inputs{
		first:         filepath.Join(data, "registries", "delegated-afrinic-extended-20230324.gz"),
		second:        filepath.Join(data, "registries", "delegated-afrinic-extended-20260505.gz"),
		announcements: filepath.Join(dir, "announcements.csv"),
	}
	var texts [3][]byte
	for i, path := range []string{in.first, in.second, filepath.Join(data, "announcements", "afrinic-202606.csv.gz")} {
		var err error
		if texts[i], err = unpack(path); err != nil {
			return in, err
		}
	}
	if err := os.WriteFile(in.announcements, texts[2], 0o600); err != nil {
		return in, err
	}
	announced, err := readAnnouncements(texts[2])
	if err != nil {
		return in, err
	}
	if !s.whole() {
		all, err := in.compute(announced, texts[0], texts[1])
		if err != nil {
			return in, err
		}
		keep := some(all, texts[0], s.holders)
		texts[0], texts[1] = cut(texts[0], keep), cut(texts[1], keep)
		in.first, in.second = filepath.Join(dir, "delegated-20230324"), filepath.Join(dir, "delegated-20260505")
		for path, text := range map[string][]byte{in.first: texts[0], in.second: texts[1]} {
			if err := os.WriteFile(path, text, 0o600); err != nil {
				return in, err
			}
		}
	}
	in.holders = len(holdersOf(texts[0]))
	if in.expected, err = in.compute(announced, texts[0], texts[1]); err != nil {
		return in, err
	}
	if s.whole() && (in.within != wholeWithin || in.refused != wholeRefused) {
		return in, fmt.Errorf("this program counts %d announcements within the holdings and refuses %d, and should %d and %d", in.within, in.refused, wholeWithin, wholeRefused)
	}
	return in, nil
}

func (in *inputs) compute(announced []announcement, first, second []byte) (expected, error) {
	one, err := readRegistry(first)
	if err != nil {
		return expected{}, fmt.Errorf("%s: %w", in.first, err)
	}
	two, err := readRegistry(second)
	if err != nil {
		return expected{}, fmt.Errorf("%s: %w", in.second, err)
	}
	return expect(announced, one, two), nil
}

// holdersOf is the opaque-ids of the records in use.
func holdersOf(text []byte) map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Split(strings.TrimSpace(line), "|"); inUse(fields) {
			out[strings.ToLower(fields[7])] = true
		}
	}
	return out
}

// some chooses holders for a rehearsal: as many as can be of those that lose a VRP, up to a quarter of all, and others.
func some(all expected, text []byte, n int) map[string]bool {
	r, _ := readRegistry(text)
	losers := map[string]bool{}
	lost, _ := readAnnouncements([]byte(strings.Join(announced(all.before.without(all.after)), "\n")))
	for _, a := range lost {
		losers[r.holder(a.prefix)] = true
	}
	keep := map[string]bool{}
	for _, holder := range slices.Sorted(maps.Keys(losers)) {
		if len(keep) < n/4 {
			keep[holder] = true
		}
	}
	for _, holder := range slices.Sorted(maps.Keys(holdersOf(text))) {
		if len(keep) < n {
			keep[holder] = true
		}
	}
	return keep
}

// announced is VRPs as lines of announcements again.
func announced(vrps vrpSet) []string {
	var out []string
	for v := range vrps {
		fields := strings.Split(v, ",")
		out = append(out, fields[0]+","+fields[2])
	}
	return out
}

// cut makes a delegated-extended file of the records of some holders, with the sums right again.
func cut(text []byte, keep map[string]bool) []byte {
	var head []string
	var records strings.Builder
	counts := map[string]int{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSpace(line), "|")
		switch {
		case head == nil && len(fields) == 7:
			head = fields
		case inUse(fields) && keep[strings.ToLower(fields[7])]:
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
