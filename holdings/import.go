package holdings

import (
	"maps"
	"slices"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

// Mark is the record of the last file that was imported of a registry. A file that makes no difference is no decision, and is not kept.
type Mark struct {
	Registry string    `json:"registry"` // handle
	File     string    `json:"file"`
	Serial   uint64    `json:"serial"`
	Date     time.Time `json:"date,omitzero"`
	SHA256   string    `json:"sha256"`
	Decision uint64    `json:"decision"`
	Disputes []Dispute `json:"disputes,omitempty"` // what was left out, since holders of other registries have it
}

// ImportOptions for Import.
type ImportOptions struct {
	Force       bool // take a file that is older than the last one of its registry
	ExceptWrong bool // leave out lines that are wrong; the files have to be read by ReadFileExceptWrong
}

// poolRecord is the Record of delegations that an import derives: from IANA to a registry, and from a registry to its NIR.
const poolRecord = "pool"

// Import resolves that registries delegate what their files say. What earlier files said and these do not, ends. Delegations that were made
// by hand stay as long as their ground does. What came from a file and was returned or revoked by hand comes back if the file still has it.
//
// If two registries' files have the same resources, who has them keeps them; the line of the other file is left out and listed in the
// outcome. A line that is wrong for another reason, such as an overlap with a delegation that was made by hand below the same registry, is
// left out with ExceptWrong; then what earlier imports made of its resources stays as it is.
//
// It fails with NotFound (no organisation has the file's name in statistics), Refused (an older file), BadInput or
// Conflict (two files of a registry; wrong lines, by number).
func (l *Ledger) Import(by By, files []*File, opt ImportOptions) (*Outcome, error) {
	left := &omissions{disputed: map[string]inr.Set{}, lines: map[string]map[int]error{}}
	for round := 1; ; round++ {
		d := l.draft(by)
		sources, err := d.sources(files, opt, left)
		if err != nil {
			return nil, err
		}
		for _, s := range sources {
			if err := s.holders(opt, left); err != nil {
				return nil, err
			}
			s.difference()
		}
		d.settle()
		if round < maxRounds && left.leave(d, sources) {
			continue
		}
		if again, err := importClashes(d, sources, opt, left); err != nil || again && round < maxRounds {
			if err != nil {
				return nil, err
			}
			continue
		}
		return d.imported(sources, left)
	}
}

// imported makes the outcome, with what was left out.
func (d *draft) imported(sources []*source, left *omissions) (*Outcome, error) {
	var wrong []string
	for i, s := range sources {
		d.imports[i].Disputes = s.disputes(sources)
		d.redisputed = d.redisputed || !slices.EqualFunc(d.imports[i].Disputes, d.ledger.imports[s.registry.Handle].Disputes, Dispute.same)
		for _, w := range s.file.Wrong {
			wrong = append(wrong, wrongLine(s.file.Name, w.Line, w.Why))
		}
		for _, line := range slices.Sorted(maps.Keys(left.lines[s.registry.Handle])) {
			wrong = append(wrong, wrongLine(s.file.Name, line, left.lines[s.registry.Handle][line].Error()))
		}
	}
	o, err := d.outcome()
	if err == nil {
		o.Wrong = wrong
	}
	return o, err
}

// sources are the files, one of each registry.
func (d *draft) sources(files []*File, opt ImportOptions, left *omissions) ([]*source, error) {
	var sources []*source
	for _, f := range files {
		s, err := d.source(f, opt)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(sources, func(other *source) bool { return other.registry == s.registry }) {
			return nil, fault.New(fault.Conflict, "%s is a second file of %s; give one of each registry", f.Name, s.registry.Handle)
		}
		s.disputed, s.omitted = left.disputed[s.registry.Handle], left.lines[s.registry.Handle]
		sources = append(sources, s)
	}
	return sources, nil
}

// importClashes names the lines that overlap what was there before, or adds them to what is left out.
func importClashes(d *draft, sources []*source, opt ImportOptions, left *omissions) (again bool, err error) {
	clashes := d.clashes()
	for _, s := range sources {
		lines := fault.NewLines(s.file.Name)
		for _, c := range clashes {
			for _, line := range s.linesOf(c) {
				lines.Add(line, left.wrong(s, line, opt, fault.New(fault.Conflict, "%s is held by %s already (%s); end that first", c.shared, c.with.To, c.with.Ground)))
				again = again || opt.ExceptWrong
			}
		}
		if err := lines.Err(); err != nil {
			return false, err
		}
	}
	return again, nil
}

// wrong leaves out a line if that was asked for; else it returns the error.
func (o *omissions) wrong(s *source, line int, opt ImportOptions, err error) error {
	if !opt.ExceptWrong {
		return err
	}
	registry := s.registry.Handle
	if o.lines[registry] == nil {
		o.lines[registry] = map[int]error{}
	}
	o.lines[registry][line] = err
	return nil
}

// linesOf lists the lines of the file that a clash comes from. Lines of the pool are found by the resources that they share.
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
