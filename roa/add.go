package roa

import (
	"net/netip"
	"slices"
	"strings"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/routes"
)

// Options for Add and Change.
type Options struct {
	holdings.By        // who decides, why and when
	File        string // where the rows are from, for errors; empty: typed
	Holder      string // whose intents they become; empty: for each row, the lowest organisation that holds its whole prefix
	OnlyHeld    bool   // leave out what is not held, prefix or AS number, rather than refuse everything
	AllowAS0    bool   // AS 0 is meant as an origin: nobody may announce the prefix (RFC 6483, section 4)
	Replace     bool   // in place of what the holder has for the same prefix and AS with another maxLength
	// Announced is what is announced in BGP now, as far as it is known: Add does not warn of prefixes that are announced.
	Announced []*routes.Table
}

// Left is a row that was passed over, and why.
type Left struct {
	Row      Row
	Reason   string
	NoOrigin bool // nobody can hold its AS number, so its prefix was not looked at
}

// Add resolves that these rows become intents. Where an intent is there already, the row can change its comment and its end: it gets those of
// the row. Without a comment in the row it keeps its own. Without an end in the row it loses its end; but a row from a file leaves the end of
// an intent that no transfer brought. An intent that changes is the holder's own from then on, even if a transfer brought it. Add fails with
// NotFound (no such holder), NotHeld (nobody holds the prefix, or the named holder does not; the error says who does) or BadInput (nobody can
// hold the origin AS), with the wrong lines.
func (b *Book) Add(l *holdings.Ledger, rows []Row, opt Options) (*Outcome, error) {
	if opt.Holder != "" {
		org, ok := l.Organisation(opt.Holder)
		if !ok {
			return nil, fault.New(fault.NotFound, "there is no organisation %s", opt.Holder)
		}
		opt.Holder = org.Handle
	}
	out := &Outcome{By: opt.By}
	lines := fault.NewLines(opt.File)
	var typed error // the first error of a row without a line
	var taken []Row
	taking, wanted, replaced := b.roas.Taking(), map[VRP]bool{}, map[string]bool{}
	for _, row := range rows {
		wanted[row.VRP()] = true
	}
	for _, row := range rows {
		holder, err := place(l, row, opt)
		switch {
		case err != nil && opt.OnlyHeld && (fault.KindOf(err) == fault.NotHeld || reserved(row.Origin) != nil):
			out.Left = append(out.Left, Left{Row: row, Reason: err.Error(), NoOrigin: fault.KindOf(err) != fault.NotHeld})
		case err != nil && row.Line == 0 && typed == nil:
			typed = err
		case err != nil:
			lines.Add(row.Line, err)
		default:
			in := Intent{Holder: holder, Prefix: row.Prefix, MaxLength: row.MaxLength, Origin: row.Origin, Comment: row.Comment, Actor: opt.Who.String(), Added: opt.Time.UTC(), Until: row.Until}
			taken = append(taken, row)
			has, there := b.roas.Find(in)
			if there && in.Comment == "" {
				in.Comment = has.Comment
			}
			if there && in.Until.IsZero() && row.Line > 0 && has.Transfer == 0 {
				in.Until = has.Until // a file need not name an end, so the intent keeps it; a typed row removes it
			}
			taking.Take(in, there && (in.Comment != has.Comment || !in.Until.IsZero() && !in.Until.Equal(has.Until)))
			out.Warnings = append(out.Warnings, b.beside(in, wanted, replaced, opt, taking)...)
			if text := over(l, in); text != "" {
				out.Over = append(out.Over, text)
			}
		}
	}
	if typed != nil {
		return nil, typed
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	out.Added, out.Removed, out.Duplicates = taking.Added, taking.Removed, taking.Duplicates
	for _, row := range taken {
		out.Warnings = append(out.Warnings, b.disavowed(l, row)...)
	}
	out.Warnings = append(out.Warnings, b.warnings(taken, opt.Announced)...)
	return out, nil
}

// place finds the holder of the intent that a row becomes.
func place(l *holdings.Ledger, row Row, opt Options) (string, error) {
	if err := row.Check(); err != nil {
		return "", err
	}
	if err := CheckOrigin(row, opt.AllowAS0); err != nil {
		return "", err
	}
	if opt.Holder == "" {
		for _, handle := range l.Holders(row.Prefix) {
			if org, _ := l.Organisation(handle); !org.Kind.IsRegistry() {
				return handle, nil
			}
		}
		return "", notHeld(l, row.Prefix, "")
	}
	if org, _ := l.Organisation(opt.Holder); org.Kind != holdings.Root && l.Holding(opt.Holder).ContainsPrefix(row.Prefix) {
		return opt.Holder, nil
	}
	return "", notHeld(l, row.Prefix, opt.Holder)
}

// notHeld is the error for a prefix that holder, or with an empty holder anybody, does not hold. It says who holds it.
func notHeld(l *holdings.Ledger, p netip.Prefix, holder string) error {
	who := "no one"
	if holder == "" {
		if parts := holdersOnly(l, l.PartHolders(inr.OfPrefix(p))); len(parts) > 0 {
			return fault.New(fault.NotHeld, "%s is held by no one as a whole; parts of it are held by %s", p, strings.Join(parts, ", "))
		}
		if registries := l.PartHolders(inr.OfPrefix(p)); len(registries) > 0 {
			return fault.New(fault.NotHeld, "%s is held by no one; it is in the pool of %s", p, strings.Join(registries, ", "))
		}
		return fault.New(fault.NotHeld, "%s is held by no one", p)
	}
	if parts := l.PartHolders(inr.OfPrefix(p)); len(parts) > 0 {
		who = strings.Join(parts, ", ")
	}
	return fault.New(fault.NotHeld, "%s does not hold %s; it is held by %s", holder, p, who)
}

// holdersOnly lists handles without those of registries.
func holdersOnly(l *holdings.Ledger, handles []string) []string {
	return slices.DeleteFunc(handles, func(h string) bool {
		org, _ := l.Organisation(h)
		return org.Kind.IsRegistry()
	})
}

// CheckOrigin refuses AS numbers that no one can hold (IANA's special registry; RFC 7607 for AS 0), with BadInput.
func CheckOrigin(row Row, allowAS0 bool) error {
	if row.Origin == 0 {
		if allowAS0 {
			return nil
		}
		return fault.New(fault.BadInput, "AS0 means that nobody may announce %s; say that AS0 is meant (--allow-as0) if you want that", row.Prefix)
	}
	if why := reserved(row.Origin); why != nil {
		return fault.New(fault.BadInput, "AS%d can't be an origin: it is %s (%s)", row.Origin, why.Name, why.RFC)
	}
	return nil
}

// reserved is the special-purpose entry for which nobody can hold an AS number; nil where somebody can. AS 0 is not looked at.
func reserved(origin uint32) *holdings.Special {
	if origin == 0 {
		return nil
	}
	if found := holdings.Specials(inr.OfAS(origin, origin)); len(found) > 0 {
		return &found[0]
	}
	return nil
}

// Remove resolves that intents end. Holder, Prefix, MaxLength and Origin of each name it. It fails with NotFound, naming
// the first that is not there.
func (b *Book) Remove(intents []Intent) (*Outcome, error) {
	out := &Outcome{}
	seen := map[string]bool{}
	for _, in := range intents {
		in.Holder = holdings.Fold(in.Holder)
		has, there := b.roas.Find(in)
		switch {
		case !there:
			return nil, fault.New(fault.NotFound, "there is no intent %s", in)
		case seen[string(in.Key())]:
			out.Duplicates++
		default:
			seen[string(in.Key())] = true
			out.Removed = append(out.Removed, has)
		}
	}
	return out, nil
}
