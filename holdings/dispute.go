package holdings

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

// Dispute is a part of a registry's file that is left out because a holder of another registry has the resources: the two files overlap.
// Each later import looks again.
type Dispute struct {
	File      string    `json:"file"` // the file that the line is in
	Line      int       `json:"line"`
	Record    string    `json:"record"`         // type, start and value, as in the file
	To        string    `json:"to"`             // who would get it
	Resources inr.Set   `json:"resources"`      // what is left out
	Holder    string    `json:"holder"`         // who has it
	Since     time.Time `json:"since,omitzero"` // as its own registry says
	By        string    `json:"by"`             // the file by which it has it, or another ground
}

// String tells it for people.
func (d Dispute) String() string {
	since := ""
	if !d.Since.IsZero() {
		since = " since " + d.Since.Format(time.DateOnly)
	}
	return fmt.Sprintf("%s:%d: %s stays with %s, which has it%s (%s), and is not given to %s", d.File, d.Line, d.Resources, d.Holder, since, d.By, d.To)
}

// same tells whether two disputes are the same, whatever their line numbers.
func (d Dispute) same(b Dispute) bool {
	return d.Record == b.Record && d.To == b.To && d.Holder == b.Holder && d.Resources.Equal(b.Resources)
}

// Disputes lists the disputes of the last files of registries, by registry and line.
func (l *Ledger) Disputes() []Dispute {
	var list []Dispute
	for _, registry := range slices.Sorted(maps.Keys(l.imports)) {
		list = append(list, l.imports[registry].Disputes...)
	}
	return list
}

// omissions is what an import leaves out of files.
type omissions struct {
	disputed map[string]inr.Set       // by registry: what it does not get, since a holder of another registry has it
	lines    map[string]map[int]error // by registry, and line: what is wrong with it
}

// maxRounds is how often an import may begin anew, each time with more left out. Each time settles the overlap of two registries' files.
const maxRounds = 20

// leave adds overlaps of files to what is left out, and tells whether there were any. Who has the resources already keeps them. If neither
// side has them, a file with a holder for them wins over a file that has them in its pool; otherwise the file that was named first wins.
func (o *omissions) leave(d *draft, sources []*source) (more bool) {
	for _, c := range d.clashes() {
		if c.add.From != d.ledger.root {
			continue
		}
		add, with := sourceOf(sources, c.add.To), sourceOf(sources, c.with.To)
		had := c.shared.Intersect(d.ledger.Holding(c.add.To))
		if c.with.ID != 0 {
			had = inr.Set{}
		}
		free := c.shared.Minus(had).Minus(d.ledger.Holding(c.with.To))
		if c.with.ID == 0 && add != nil && with != nil && add.uses(free) && !with.uses(free) {
			had = had.Union(free)
		}
		for _, loses := range []struct {
			of   *source
			what inr.Set
		}{{add, c.shared.Minus(had)}, {with, had}} {
			if was := o.disputed[loses.of.handle()]; loses.of != nil && !was.Contains(loses.what) {
				o.disputed[loses.of.handle()], more = was.Union(loses.what), true
			}
		}
	}
	return more
}

func sourceOf(sources []*source, registry string) *source {
	for _, s := range sources {
		if s.registry.Handle == registry {
			return s
		}
	}
	return nil
}

func (s *source) handle() string {
	if s == nil {
		return ""
	}
	return s.registry.Handle
}

// uses tells whether a file has a holder for anything in a set.
func (s *source) uses(set inr.Set) bool {
	return slices.ContainsFunc(s.file.Records, func(r Record) bool { return r.inUse() && r.Resources.Overlaps(set) })
}

// disputes lists what was left out of a file because a holder of another registry has it.
func (s *source) disputes(sources []*source) []Dispute {
	if s.disputed.Empty() {
		return nil
	}
	var list []Dispute
	for i := range s.file.Records {
		r := &s.file.Records[i]
		left := r.Resources.Intersect(s.disputed)
		if left.Empty() {
			continue
		}
		x := Dispute{File: s.file.Name, Line: r.Line, Record: r.key, To: s.registry.Handle, Resources: left}
		if r.inUse() {
			x.To = s.holderOf(r)
		}
		s.whoHas(&x, sources)
		list = append(list, x)
	}
	return list
}

// whoHas finds the holder of what is left out: in another file of the same import, or in the ledger.
func (s *source) whoHas(x *Dispute, sources []*source) {
	for _, other := range sources {
		if other == s {
			continue
		}
		for i := range other.file.Records {
			if r := &other.file.Records[i]; r.Resources.Minus(other.disputed).Overlaps(x.Resources) {
				x.Holder, x.Since, x.By = other.registry.Handle, r.Date, other.file.Name
				if r.inUse() {
					x.Holder = other.holderOf(r)
				}
				return
			}
		}
	}
	l := s.ledger
	for at := l.orgs[l.root]; at != nil; {
		given := at.given.overlapping(x.Resources)
		if at = nil; len(given) > 0 {
			x.Holder, x.Since, x.By = given[0].To, given[0].Since, given[0].Ground
			if given[0].Imported() {
				x.By = l.fileOf(given[0].To)
			}
			at = l.orgs[given[0].To]
		}
	}
}

// fileOf is the last file of the registry that an organisation is at or below.
func (l *Ledger) fileOf(handle string) string {
	for _, h := range l.chain(handle) {
		if m, ok := l.imports[h]; ok {
			return m.File
		}
	}
	return DelegatedExtended
}

// CheckDate refuses a file with a date in the future: after it, all correct files would be refused as older. One day is allowed, for time
// zones.
func (f *File) CheckDate(now time.Time) error {
	if f.Date.After(now.Add(24 * time.Hour)) {
		return fault.New(fault.BadInput, "%s is dated %s, which is in the future; fetch it again, or look at this machine's clock", f.Name, f.Date.Format(time.DateOnly))
	}
	return nil
}

// WrongLine is a line of a file that is left out because it is wrong by itself.
type WrongLine struct {
	Line      int
	Why       string
	resources inr.Set // that it names, where that can be told
}

// Omitted lists for people what an import left out, line by line.
func (o *Outcome) Omitted() []string {
	list := slices.Clone(o.Wrong)
	for _, m := range o.Imports {
		for _, x := range m.Disputes {
			list = append(list, x.String())
		}
	}
	return list
}

func wrongLine(file string, line int, why string) string {
	return fmt.Sprintf("%s:%d: %s", file, line, strings.ReplaceAll(why, "\n", " "))
}
