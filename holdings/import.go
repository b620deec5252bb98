package holdings

import (
	"slices"
	"time"

	"cadastre/internal/fault"
)

// Mark is the last file that was imported of a registry. A file that makes no difference is no decision and leaves no mark.
type Mark struct {
	Registry string    `json:"registry"` // handle
	File     string    `json:"file"`
	Serial   uint64    `json:"serial"`
	Date     time.Time `json:"date,omitzero"`
	SHA256   string    `json:"sha256"`
	Decision uint64    `json:"decision"`
}

// ImportOptions for Import.
type ImportOptions struct {
	Force bool // take a file that is older than the last one of its registry
}

// poolRecord is the Record of what an import derives: IANA to a registry, a registry to its NIR.
const poolRecord = "pool"

// Import resolves that the registries of these files give what the files say, and nothing else of what earlier files
// said. What was delegated by hand stays for as long as its ground does. What was returned or revoked by hand since comes
// back if the file still has it: a registry's file is the truth about what came from files.
//
// It fails with NotFound (no organisation has the file's name in statistics), Refused (an older file), BadInput or
// Conflict (two files of a registry; lines that overlap what was delegated by hand or what another registry has, named by
// number).
func (l *Ledger) Import(by By, files []*File, opt ImportOptions) (*Outcome, error) {
	d := l.draft(by)
	var sources []*source
	for _, f := range files {
		s, err := d.source(f, opt)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(sources, func(other *source) bool { return other.registry == s.registry }) {
			return nil, fault.New(fault.Conflict, "%s is a second file of %s; give one of each registry", f.Name, s.registry.Handle)
		}
		sources = append(sources, s)
	}
	for _, s := range sources {
		if err := s.holders(); err != nil {
			return nil, err
		}
		s.difference()
	}
	d.settle()
	if err := importClashes(d, sources); err != nil {
		return nil, err
	}
	return d.outcome()
}

// importClashes names the lines that overlap what was there before.
func importClashes(d *draft, sources []*source) error {
	clashes := d.clashes()
	for _, s := range sources {
		lines := fault.NewLines(s.file.Name)
		for _, c := range clashes {
			for _, line := range s.linesOf(c) {
				lines.Add(line, fault.New(fault.Conflict, "%s is held by %s already (%s); end that first", c.shared, c.with.To, c.with.Ground))
			}
		}
		if err := lines.Err(); err != nil {
			return err
		}
	}
	return nil
}

// linesOf is the lines of the file that a clash comes from; those of the pool are found by what they share.
func (s *source) linesOf(c clash) []int {
	if line, ours := s.lines[c.add]; ours {
		return []int{line}
	}
	var lines []int
	if c.add.To == s.registry.Handle || c.add.derived() && c.add.From == s.registry.Handle {
		for i := range s.file.Records {
			if s.file.Records[i].Resources.Overlaps(c.shared) {
				lines = append(lines, s.file.Records[i].Line)
			}
		}
	}
	return lines
}
