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

// Dispute is something of a registry's file that another registry has: the two files overlap. It is left out until a later import
// finds that it is not so any more.
type Dispute struct {
	File      string    `json:"file"` // that has it too
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

// same tells whether it is the same dispute, wherever the lines are.
func (d Dispute) same(b Dispute) bool {
	return d.Record == b.Record && d.To == b.To && d.Holder == b.Holder && d.Resources.Equal(b.Resources)
}

// Disputes is what the last files of registries have and others hold, by registry and line.
func (l *Ledger) Disputes() []Dispute {
	var list []Dispute
	for _, registry := range slices.Sorted(maps.Keys(l.imports)) {
		list = append(list, l.imports[registry].Disputes...)
	}
	return list
}

// omissions is what an import leaves out of files.
type omissions struct {
	disputed map[string]inr.Set       // by registry: what it does not get, since another has it
	lines    map[string]map[int]error // by registry, and line: what is wrong with it
}

// maxRounds is how often an import begins anew with more left out. Each round ends a dispute between two registries.
const maxRounds = 20

// leave adds what clashes to what is left out, and tells whether there is anything. Who has it already keeps it. Of what neither had
// a file that says who holds it wins over one that has it in the pool, and then the one that was named first.
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

// uses tells whether a file says of anything in a set who holds it.
func (s *source) uses(set inr.Set) bool {
	return slices.ContainsFunc(s.file.Records, func(r Record) bool { return r.inUse() && r.Resources.Overlaps(set) })
}

// disputes tells what was left out of a file because another registry has it.
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

// whoHas finds who has what is left out: by another file of the same import, or as the ledger has it.
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

// CheckDate refuses a file that is dated in the future: every later one would be older than it. A day is allowed, since somewhere it
// is tomorrow already.
func (f *File) CheckDate(now time.Time) error {
	if f.Date.After(now.Add(24 * time.Hour)) {
		return fault.New(fault.BadInput, "%s is dated %s, which is in the future; fetch it again, or look at this machine's clock", f.Name, f.Date.Format(time.DateOnly))
	}
	return nil
}

// WrongLine is a line of a file that is left out for a reason of its own.
type WrongLine struct {
	Line      int
	Why       string
	resources inr.Set // that it names, where that can be told
}

// Omitted is what an import left out, for people, line by line.
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
