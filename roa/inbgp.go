package roa

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/routes"
)

// BGPState is how an intent stands to what is announced.
type BGPState string

// The states of an intent in BGP. An intent has one of them: if several are true of it, NotHeld comes first, then AS0Idle and Redundant, then AS0,
// then Disallowing, Unseen, TooPermissive and Seen.
const (
	NotHeld       BGPState = "not held"           // nothing of its prefix is held
	AS0           BGPState = "AS0"                // it disavows its prefix
	AS0Idle       BGPState = "AS0 without effect" // a VRP of another AS covers its prefix (RFC 6483, section 4)
	Redundant     BGPState = "redundant"          // another VRP authorises all that it does
	Disallowing   BGPState = "disallowing"        // it makes nothing valid, and something invalid
	Unseen        BGPState = "unseen"             // nothing that is announced needs it
	TooPermissive BGPState = "too permissive"     // it authorises more specific prefixes that nobody announces (RFC 9319, section 3)
	Seen          BGPState = "seen"               // it makes announcements valid, and authorises nothing else
)

// InBGP is how an intent stands to what is announced, and why.
type InBGP struct {
	State      BGPState `json:"state"`
	Authorises int      `json:"authorises"`        // announcements that it makes valid
	Disallows  int      `json:"disallows"`         // announcements that it covers and that are invalid
	By         []string `json:"by,omitempty"`      // VRPs that make it redundant, or AS0 without effect
	Instead    []VRP    `json:"instead,omitempty"` // narrower ones that would do, of one that is too permissive
}

// InBGP is how an intent stands to what is announced. Without a table (nil) only the states that need none are given; for all others it is nil.
func (b *Book) InBGP(l *holdings.Ledger, in Intent, known *routes.Table) *InBGP {
	vrps, parked := Authorised(in, l.Holding(in.Holder))
	if parked {
		return &InBGP{State: NotHeld}
	}
	s := &InBGP{}
	for _, v := range b.Covering(l, in.Prefix) {
		switch {
		case in.Origin == 0 && v.ASN != 0 && v.MaxLength >= in.Prefix.Bits():
			s.State, s.By = AS0Idle, append(s.By, v.String())
		case in.Origin != 0 && v != in.VRP() && v.ASN == in.Origin && v.MaxLength >= in.MaxLength:
			s.State, s.By = Redundant, append(s.By, v.String())
		}
	}
	var routed prefixes
	for _, v := range vrps {
		for a := range known.Covered(v.Prefix) {
			switch {
			case a.Origin == v.ASN && v.ASN != 0 && a.Prefix.Bits() <= v.MaxLength:
				s.Authorises++
				routed = append(routed, a.Prefix)
			default:
				if state, _ := b.ValidityOf(l, a); state.Invalid() {
					s.Disallows++
				}
			}
		}
	}
	switch {
	case s.State != "":
	case in.Origin == 0:
		s.State = AS0
	case known == nil:
		return nil
	case s.Authorises == 0 && s.Disallows > 0:
		s.State = Disallowing
	case s.Authorises == 0:
		s.State = Unseen
	default:
		s.State = Seen
		routed.sort()
		if !opens(Row{Prefix: in.Prefix, Origin: in.Origin, MaxLength: in.MaxLength}, routed).Empty() {
			s.State = TooPermissive
			for _, p := range slices.Compact(routed) {
				s.Instead = append(s.Instead, VRP{p, p.Bits(), in.Origin})
			}
		}
	}
	return s
}

// Suggestion is an announcement that a holder may want to authorise.
type Suggestion struct {
	routes.Announcement
	Holder string   `json:"holder"`
	State  Validity `json:"state"`
	Doubt  string   `json:"doubt,omitempty"` // why it is not suggested; empty where it is
}

// VRP is the ROA that it suggests.
func (s Suggestion) VRP() VRP { return VRP{s.Prefix, s.Prefix.Bits(), s.Origin} }

// Suggest lists announcements that are not valid, of a holder, or with an empty one of all holders but registries. What looks like a
// hijack, or can't be authorised, has a doubt. Those that are ignored are left out.
func (b *Book) Suggest(l *holdings.Ledger, holder string, known *routes.Table, ignored map[routes.Announcement]bool) []Suggestion {
	within := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	if holder != "" {
		within = l.Holding(holder).Prefixes()
	}
	found := []Suggestion{}
	for _, p := range within {
		for a := range known.Covered(p) {
			of := lowest(l, a.Prefix)
			if of == "" || holder != "" && of != holder || ignored[a.Key()] {
				continue
			}
			if state, by := b.ValidityOf(l, a); state != Valid {
				found = append(found, Suggestion{a, of, state, b.doubt(l, a, of, state, by, known)})
			}
		}
	}
	slices.SortStableFunc(found, func(x, y Suggestion) int { return cmp.Compare(x.Holder, y.Holder) })
	return found
}

// lowest is the most specific holder of a prefix that is no registry; "" where there is none.
func lowest(l *holdings.Ledger, p netip.Prefix) string {
	for _, handle := range l.Holders(p) {
		if org, _ := l.Organisation(handle); !org.Kind.IsRegistry() {
			return handle
		}
	}
	return ""
}

// farFewer is how many times fewer peers see an announcement that looks like a hijack of another.
const farFewer = 10

// doubt says why an announcement of a holder is not suggested; empty where it is.
func (b *Book) doubt(l *holdings.Ledger, a routes.Announcement, holder string, state Validity, by []VRP, known *routes.Table) string {
	if why := reserved(a.Origin); why != nil {
		return fmt.Sprintf("AS%d can't be an origin: it is %s (%s)", a.Origin, why.Name, why.RFC)
	}
	if a.Origin == 0 {
		return "AS0 can't be an origin (RFC 7607)"
	}
	longest := longestV4
	if a.Prefix.Addr().Is6() {
		longest = longestV6
	}
	if a.Prefix.Bits() > longest {
		return fmt.Sprintf("it is longer than /%d and will hardly be accepted anywhere", longest)
	}
	if b.own(l, holder, a.Origin) {
		return ""
	}
	if state == InvalidAS {
		return fmt.Sprintf("it looks like a hijack: %s authorises another AS, and AS%d is not %s's", by[0], a.Origin, holder)
	}
	for o := range known.Overlapping(a.Prefix) {
		switch {
		case o.Origin == a.Origin || o.Prefix.Bits() > a.Prefix.Bits():
		case b.own(l, holder, o.Origin):
			return fmt.Sprintf("it looks like a hijack: AS%d, which is %s's or is authorised by it, announces %s", o.Origin, holder, o.Prefix)
		case o.Prefix == a.Prefix && a.Peers > 0 && a.Peers*farFewer < o.Peers:
			return fmt.Sprintf("it looks like a hijack: AS%d announces %s too, and %d peers see that, %d this one", o.Origin, o.Prefix, o.Peers, a.Peers)
		}
	}
	return ""
}

// own tells whether an AS is a holder's: it holds its number, or has an intent for it.
func (b *Book) own(l *holdings.Ledger, holder string, origin uint32) bool {
	if l.Holding(holder).Contains(inr.OfAS(origin, origin)) {
		return true
	}
	return slices.ContainsFunc(b.Of(holder), func(in Intent) bool { return in.Origin == origin })
}

// Narrower is an intent that is too permissive, with the VRPs that would do.
type Narrower struct {
	Intent  Intent `json:"intent"`
	Instead []VRP  `json:"instead"`
}

// Suggested is what a holder may want to change by what is announced.
type Suggested struct {
	Announcements []Suggestion `json:"announcements"`  // those that are not valid, with doubts where they are not suggested
	TooPermissive []Narrower   `json:"too_permissive"` // intents
	Time          time.Time    `json:"time,omitzero"`  // when it was announced
	Why           string       `json:"why,omitempty"`  // why there is nothing, where that is so
}
