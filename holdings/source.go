package holdings

import (
	"slices"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/handles"
	"cadastre/internal/inr"
)

// source is a file that is being imported into a draft.
type source struct {
	*draft
	file     *File
	registry *node
	nirs     map[string]string      // country code to NIR
	made     map[string]*Delegation // what earlier imports made, by recordKey
	flight   inr.Set                // what is in transfers: the file does not change it
	gone     map[string]inr.Set     // by donor, what others have by transfers that are over: the file is behind the ledger there
	given    []inr.Set              // what an earlier file of the registry gave to a holder
	caughtUp inr.Set                // the sum of given: no file is behind the ledger there
	wanted   []*Delegation          // what the file says, without derived delegations
	lines    map[*Delegation]int
	disputed inr.Set       // what it does not get, since another registry has it
	omitted  map[int]error // lines that are left out
}

// source finds the registry of a file.
func (d *draft) source(f *File, opt ImportOptions) (*source, error) {
	s := &source{draft: d, file: f, nirs: map[string]string{}, made: map[string]*Delegation{}, lines: map[*Delegation]int{}}
	for _, handle := range d.ledger.orgs[d.ledger.root].children {
		if n := d.ledger.orgs[handle]; n.statistics() == f.Registry {
			s.registry = n
		}
	}
	if s.registry == nil {
		return nil, fault.New(fault.NotFound, "%s is of registry %q, which is no organisation here; add it, or set the statistics of the one it is", f.Name, f.Registry)
	}
	mark := Mark{Registry: s.registry.Handle, File: f.Name, Serial: f.Serial, Date: f.Date, SHA256: f.SHA256}
	if last, ok := d.ledger.imports[s.registry.Handle]; ok && mark.older(last) && !opt.Force {
		return nil, fault.New(fault.Refused, "%s is of %s, older than the last file of %s, which was of %s; force it if that is what you want",
			f.Name, f.Date.Format(time.DateOnly), s.registry.Handle, last.Date.Format(time.DateOnly))
	}
	d.imports = append(d.imports, mark)
	s.flight, s.gone = d.ledger.unsettled(), d.ledger.gone()
	for _, w := range f.Wrong {
		s.flight = s.flight.Union(w.resources)
	}
	s.remember(s.registry.received)
	for _, handle := range s.registry.children {
		child := d.ledger.orgs[handle]
		s.remember(child.received)
		if child.Kind != NIR {
			continue
		}
		for _, c := range child.Countries {
			s.nirs[c] = handle
		}
		for _, below := range child.children {
			s.remember(d.ledger.orgs[below].received)
		}
	}
	s.caughtUp = inr.Sum(s.given...)
	return s, nil
}

func (s *source) remember(received []*Delegation) {
	for _, x := range received {
		if x.Imported() {
			s.made[recordKey(x)] = x
			if !x.derived() {
				s.given = append(s.given, x.Resources)
			}
		}
	}
}

// recordKey names a record of a file as long as it has the same holder.
func recordKey(d *Delegation) string { return d.To + "\x00" + d.Record }

// holders makes delegations from the records in use, and adds holders that are new to the tree.
func (s *source) holders(opt ImportOptions, left *omissions) error {
	lines := fault.NewLines(s.file.Name)
	for i := range s.file.Records {
		r := &s.file.Records[i]
		resources := r.Resources.Minus(s.disputed)
		if !r.inUse() || resources.Empty() {
			continue
		}
		if s.omitted[r.Line] != nil {
			s.flight = s.flight.Union(r.Resources)
			continue
		}
		from := s.giverOf(r)
		x := &Delegation{
			From: from, To: from + "/" + r.OpaqueID, Resources: resources, Status: Status(r.Status), Since: r.Date,
			Ground: DelegatedExtended, Country: r.Country, Record: r.key,
		}
		if err := s.enrolHolder(x); err != nil {
			s.flight = s.flight.Union(r.Resources)
			lines.Add(r.Line, left.wrong(s, r.Line, opt, err))
			continue
		}
		s.wanted = append(s.wanted, x)
		s.lines[x] = r.Line
	}
	return lines.Err()
}

// giverOf is the registry whose holder a record is of: an NIR that serves its country, or the file's own.
func (s *source) giverOf(r *Record) string {
	if nir := s.nirs[r.Country]; nir != "" {
		return nir
	}
	return s.registry.Handle
}

func (s *source) holderOf(r *Record) string { return s.giverOf(r) + "/" + r.OpaqueID }

// enrolHolder adds the holder of a record to the tree if it is new, as an LIR if it may delegate on.
func (s *source) enrolHolder(x *Delegation) error {
	o, changed := s.orgs[x.To]
	if n := s.ledger.orgs[x.To]; !changed && n != nil {
		if n.Parent != x.From || n.Kind.IsRegistry() {
			return fault.New(fault.Conflict, "its holder would be %s, which is another organisation here, a %s below %s", x.To, n.Kind, n.Parent)
		}
		o = n.Organisation
	} else if !changed {
		o = Organisation{Handle: x.To, Parent: x.From, Kind: EndUser, Country: x.Country}
		if !handles.IsOrganisation(o.Handle) {
			return fault.New(fault.BadInput, "its holder's handle would be %q, which is none", o.Handle)
		}
		s.enrol(o)
	}
	if x.Status == Allocated && x.Resources.HasIP() && o.Kind == EndUser {
		o.Kind = LIR
		s.enrol(o)
	}
	return nil
}

// difference ends what earlier imports made and the file does not have, and starts what is new in it.
func (s *source) difference() {
	keep := make(map[string]bool, len(s.wanted))
	sums := map[string][]inr.Set{}
	for _, x := range s.wanted {
		if x.From != s.registry.Handle {
			sums[x.From] = append(sums[x.From], x.Resources)
		}
		s.bring(x, keep)
	}
	for _, handle := range s.registry.children {
		if n := s.ledger.orgs[handle]; n.Kind == NIR {
			s.bring(s.derive(n, inr.Sum(sums[handle]...)), keep)
		}
	}
	pool := make([]inr.Set, len(s.file.Records))
	for i := range s.file.Records {
		pool[i] = s.file.Records[i].Resources
	}
	s.bring(s.derive(s.registry, inr.Sum(pool...).Minus(specialSpace).Minus(s.disputed)), keep)
	for key, old := range s.made {
		switch {
		case keep[key]:
		case old.Resources.Overlaps(s.flight) && s.ended[old.ID] == nil && !s.replaced(old):
			if stays := old.Resources.Intersect(s.flight); !stays.Equal(old.Resources) {
				s.shrink(old, stays)
			}
		default:
			s.end(old)
		}
	}
	s.adopt()
}

// replaced tells whether a delegation that is started follows on another.
func (s *source) replaced(old *Delegation) bool {
	return slices.ContainsFunc(s.got[old.To], func(x *Delegation) bool { return x.Replaces == old.ID })
}

// settled is the part of a record's resources about which the file decides: without what is in a transfer, and without what has moved away.
func (s *source) settled(x, old *Delegation) inr.Set {
	var was inr.Set
	if old != nil {
		was = old.Resources
	}
	behind := s.gone[s.registry.Handle].Union(s.gone[x.From]).Union(s.gone[x.To]).Minus(s.caughtUp)
	return x.Resources.Minus(behind).Minus(s.flight).Union(was.Intersect(s.flight))
}

// adopt ends delegations that came by a transfer, if the file has the resources by now for the same holder.
func (s *source) adopt() {
	for to, started := range s.got {
		n := s.ledger.orgs[to]
		if n == nil {
			continue
		}
		for _, old := range n.received {
			if old.Transfer == 0 || old.Incoming || old.Imported() || s.ended[old.ID] != nil {
				continue
			}
			rest := old.Resources
			for _, x := range started {
				if x.Imported() {
					rest = rest.Minus(x.Resources)
				}
			}
			if !rest.Equal(old.Resources) {
				s.shrink(old, rest)
			}
		}
	}
}

// derive makes the delegation that a registry or an NIR gets: the sum of its records, without what was delegated to it by hand.
func (s *source) derive(n *node, sum inr.Set) *Delegation {
	for _, x := range n.received {
		if !x.Imported() {
			sum = sum.Minus(x.Resources)
		}
	}
	return &Delegation{From: n.Parent, To: n.Handle, Resources: sum, Status: Allocated, Since: s.file.Date, Ground: DelegatedExtended, Record: poolRecord}
}

// bring starts a delegation, unless the same is in force. A different one of the same record is ended first.
func (s *source) bring(x *Delegation, keep map[string]bool) {
	key := recordKey(x)
	old := s.made[key]
	x.Resources = s.settled(x, old)
	if old != nil && old.Resources.Overlaps(s.flight) { // a record has one status; it changes when the transfer is over
		x.Status, x.Since, x.Country = old.Status, old.Since, old.Country
	}
	same := old != nil && old.Resources.Equal(x.Resources) && old.Status == x.Status && old.Country == x.Country &&
		(old.derived() || old.Since.Equal(x.Since))
	switch {
	case same:
		keep[key] = true
		return
	case old != nil:
		x.Replaces = old.ID
	}
	if !x.Resources.Empty() {
		s.start(x)
	}
}
