package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cadastre/test/internal/delegated"
)

// inputs are the files that the installation is given, and what must come of them.
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
		if texts[i], err = delegated.Unpack(path); err != nil {
			return in, err
		}
	}
	if err := os.WriteFile(in.announcements, texts[2], 0o600); err != nil {
		return in, err
	}
	announced, err := delegated.ReadAnnouncements(texts[2])
	if err != nil {
		return in, err
	}
	if !s.whole() {
		all, err := in.compute(announced, texts[0], texts[1])
		if err != nil {
			return in, err
		}
		keep := some(all, texts[0], s.holders)
		texts[0], texts[1] = delegated.Cut(texts[0], keep), delegated.Cut(texts[1], keep)
		in.first, in.second = filepath.Join(dir, "delegated-20230324"), filepath.Join(dir, "delegated-20260505")
		for path, text := range map[string][]byte{in.first: texts[0], in.second: texts[1]} {
			if err := os.WriteFile(path, text, 0o600); err != nil {
				return in, err
			}
		}
	}
	in.holders = len(delegated.HoldersOf(texts[0]))
	if in.expected, err = in.compute(announced, texts[0], texts[1]); err != nil {
		return in, err
	}
	if s.whole() && (in.within != wholeWithin || in.refused != wholeRefused) {
		return in, fmt.Errorf("this program counts %d announcements within the holdings and refuses %d, and should %d and %d", in.within, in.refused, wholeWithin, wholeRefused)
	}
	return in, nil
}

func (in *inputs) compute(announced []delegated.Announcement, first, second []byte) (expected, error) {
	one, err := delegated.ReadRegistry(first, opaqueID)
	if err != nil {
		return expected{}, fmt.Errorf("%s: %w", in.first, err)
	}
	two, err := delegated.ReadRegistry(second, opaqueID)
	if err != nil {
		return expected{}, fmt.Errorf("%s: %w", in.second, err)
	}
	return expect(announced, one, two), nil
}

// some chooses holders for a rehearsal: as many as can be of those that lose a VRP, up to a quarter of all, and others.
func some(all expected, text []byte, n int) map[string]bool {
	r, _ := delegated.ReadRegistry(text, opaqueID)
	losers := map[string]bool{}
	lost, _ := delegated.ReadAnnouncements([]byte(strings.Join(announced(all.before.without(all.after)), "\n")))
	for _, a := range lost {
		losers[r.HolderOf(a.Prefix)] = true
	}
	keep := map[string]bool{}
	for _, holder := range slices.Sorted(maps.Keys(losers)) {
		if len(keep) < n/4 {
			keep[holder] = true
		}
	}
	for _, holder := range slices.Sorted(maps.Keys(delegated.HoldersOf(text))) {
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

// opaqueID names the holder of a record.
func opaqueID(fields []string) string { return strings.ToLower(fields[7]) }
