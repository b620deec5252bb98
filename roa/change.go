package roa

import (
	"fmt"
	"strings"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/intents"
)

// Change resolves that a file's intents are added and removed, all of them or none. An intent that is both added and removed stays. It fails
// as Add does, and with NotFound where an intent that is to be removed is not there.
func (b *Book) Change(l *holdings.Ledger, f *File, opt Options) (*Outcome, error) {
	out, err := b.Add(l, f.Add, opt)
	if err != nil {
		return nil, err
	}
	gone, err := b.named(l, f, opt)
	if err != nil {
		return nil, err
	}
	ends, err := b.Remove(gone)
	if err != nil {
		return nil, err
	}
	has := map[string]bool{}
	for _, in := range out.Removed {
		has[string(in.Key())] = true
	}
	for _, in := range ends.Removed {
		if !has[string(in.Key())] {
			out.Removed = append(out.Removed, in)
		}
	}
	out.Duplicates += ends.Duplicates
	return out, nil
}

// named lists the intents that rows to be removed name: those of the named holder. If none is named, those of the holders of the prefix; and
// if none of these has such an intent, those of any holder.
func (b *Book) named(l *holdings.Ledger, f *File, opt Options) ([]Intent, error) {
	both := map[VRP]bool{}
	for _, row := range f.Add {
		both[row.VRP()] = true
	}
	lines := fault.NewLines(opt.File)
	var found []Intent
	for _, row := range f.Remove {
		if both[row.VRP()] {
			continue
		}
		before := len(found)
		switch {
		case opt.Holder != "":
			found = b.having(found, holdings.Fold(opt.Holder), row)
		default:
			for _, holder := range l.Holders(row.Prefix) {
				found = b.having(found, holder, row)
			}
			if len(found) == before { // of one who holds it no more
				for _, holder := range b.Holders() {
					found = b.having(found, holder, row)
				}
			}
		}
		if len(found) > before {
			continue
		}
		err := fault.New(fault.NotFound, "there is no intent %s; 'cadastre roa list' shows those that there are", row.VRP())
		if row.Line == 0 {
			return nil, err
		}
		lines.Add(row.Line, err)
	}
	return found, lines.Err()
}

// having appends a holder's intent that a row names, if it has it.
func (b *Book) having(list []Intent, holder string, row Row) []Intent {
	if in, ok := b.roas.Find(Intent{Holder: holder, Prefix: row.Prefix, MaxLength: row.MaxLength, Origin: row.Origin}); ok {
		list = append(list, in)
	}
	return list
}

// beside looks for intents of a holder for the same prefix and AS with another maxLength. With Replace they are removed; else it warns that
// the longer maxLength decides.
func (b *Book) beside(in Intent, wanted map[VRP]bool, replaced map[string]bool, opt Options, taking *intents.Taking[Intent]) []Warning {
	var found []Warning
	for _, other := range b.ofPrefix(in.Holder, in.Prefix) {
		switch {
		case other.Origin != in.Origin || other.MaxLength == in.MaxLength || wanted[other.VRP()]:
		case opt.Replace:
			if key := string(other.Key()); !replaced[key] {
				replaced[key], taking.Removed = true, append(taking.Removed, other)
			}
		case other.MaxLength > in.MaxLength:
			found = append(found, Warning{Text: fmt.Sprintf("%s is there too, and the wider one rules: %s changes nothing beside it; --replace puts it in its place", other, in.VRP())})
		default:
			found = append(found, Warning{Text: fmt.Sprintf("%s is there too, and has no effect beside %s; --replace removes it", other, in.VRP())})
		}
	}
	return found
}

// disavowed warns of a ROA for AS 0 that has no effect, because a ROA of another AS covers the prefix (RFC 6483, section 4).
func (b *Book) disavowed(l *holdings.Ledger, row Row) []Warning {
	if row.Origin != 0 && len(b.origins[0]) == 0 {
		return nil
	}
	var found []Warning
	for _, v := range b.Covering(l, row.Prefix) {
		switch {
		case row.Origin == 0 && v.ASN != 0 && v.MaxLength >= row.Prefix.Bits():
			found = append(found, Warning{Row: row, Text: fmt.Sprintf("AS0 for %s has no effect beside %s: AS%d may announce it all the same (RFC 6483, section 4)", row.Prefix, v, v.ASN)})
		case row.Origin != 0 && v.ASN == 0:
			found = append(found, Warning{Row: row, Text: fmt.Sprintf("%s has no effect any more on what AS%d announces of %s (RFC 6483, section 4)", v, row.Origin, row.Prefix)})
		}
	}
	return found
}

// over says which space of its holders a registry would authorise; empty where there is none.
func over(l *holdings.Ledger, in Intent) string {
	org, _ := l.Organisation(in.Holder)
	if !org.Kind.IsRegistry() {
		return ""
	}
	holders := holdersOnly(l, l.PartHolders(inr.OfPrefix(in.Prefix)))
	if len(holders) == 0 {
		return ""
	}
	if len(holders) > 3 {
		holders = append(holders[:3:3], fmt.Sprintf("%d more", len(holders)-3))
	}
	return fmt.Sprintf("%s is held by %s, and %s would authorise AS%d to announce it", in.Prefix, strings.Join(holders, ", "), in.Holder, in.Origin)
}

// VRP is what the row would authorise.
func (r Row) VRP() VRP { return VRP{r.Prefix, r.MaxLength, r.Origin} }
