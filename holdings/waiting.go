package holdings

import (
	"time"

	"cadastre/internal/inr"
)

// PartyKind is what kind of party a transfer waits on.
type PartyKind string

// The kinds of party.
const (
	OfTime         PartyKind = "time"         // nobody: it goes by
	OfRegistry     PartyKind = "registry"     // one of the two registries
	OfRegistries   PartyKind = "registries"   // both
	OfInstallation PartyKind = "installation" // the other installation
	OfAuthorities  PartyKind = "authorities"  // the authorities here
	OfCA           PartyKind = "ca"           // a holder's CA, elsewhere
	OfDaemon       PartyKind = "daemon"       // the daemon here
	OfOperator     PartyKind = "operator"     // an operator here
)

// Party is whom a transfer waits on. Name is the registry's, the installation's or the holder's.
type Party struct {
	Kind PartyKind
	Name string
}

// String is the party in words; "" where it is not known.
func (p Party) String() string {
	switch p.Kind {
	case OfRegistries:
		return "both registries"
	case OfAuthorities:
		return "the authorities here"
	case OfDaemon:
		return "the daemon here"
	case OfOperator:
		return "an operator here"
	case OfCA:
		return "the CA of " + p.Name
	case OfTime:
		return string(OfTime)
	}
	return p.Name
}

// Need is what has to be for a transfer to go on.
type Need string

// What the ledger knows that a transfer needs. Rooms above know more.
const (
	NeedResolution      Need = "resolution"          // of the dispute; Says is why it is disputed
	NeedTurn            Need = "turn"                // that the handoff gives it
	NeedApproval        Need = "approval"            // of the registry Of, here
	NeedAcceptance      Need = "acceptance"          // of the registry Of, elsewhere
	NeedObjection       Need = "objection"           // of the registry Of, or its consent
	NeedAnswer          Need = "answer"              // to the objection of the registry Of; Says is its ground
	NeedCancellation    Need = "cancellation"        // which is due; Says is why
	NeedAccepting       Need = "accepting"           // which is due
	NeedHolders         Need = "holders"             // that have to move before their registry's own transfer is final
	NeedResumption      Need = "resumption"          // of the handoff
	NeedSourceCancels   Need = "source cancels"      // the registry Of, as is wished here
	NeedSourceFinalises Need = "source finalises"    // the registry Of
	NeedPublishedThere  Need = "published there"     // the recipient's side, by the installation Of
	NeedPublished       Need = "published"           // the recipient's side, here
	NeedSoak            Need = "soak"                // readers have the time to see the recipient's side
	NeedSoakAndWord     Need = "soak and word"       // and the source holds it back
	NeedWord            Need = "word"                // of the source, which holds it back
	NeedFinalising      Need = "finalising"          // which is due
	NeedAnnouncing      Need = "announcing"          // that the installation Of knows of the end
	NeedRecipientGone   Need = "recipient withdrawn" // what a cancelled transfer had given the recipient's side
	NeedSourceGone      Need = "source withdrawn"    // what the source's side had
)

// Waiting is what a transfer waits for: what for, on whom, and until when that lasts at most, if it ends by itself. The zero value is
// nothing.
type Waiting struct {
	For   Need
	On    Party
	Until time.Time

	Of        string  // whom the need is about: a registry, an installation or a holder
	Resources inr.Set // that it is about
	Number    int     // of holders
	Transfer  uint64  // the number of a transfer that somebody has to do something about
	Says      string  // what somebody else said: a reason, an error, a ROA
	Refused   string  // why the step that is due was refused when it was last tried
}

// Awaits is what a transfer waits for as far as the ledger tells. It is nothing when the transfer is done, and several things where
// several registries have to answer.
func (l *Ledger) Awaits(t *Transfer, now time.Time) []Waiting {
	one := func(w Waiting) []Waiting { return []Waiting{w} }
	authorities, there := Party{Kind: OfAuthorities}, Party{OfInstallation, t.Peer}
	if why := t.Parked(); !t.State.Over() && why != "" {
		return one(Waiting{For: NeedResolution, On: Party{Kind: OfRegistries}, Says: why})
	}
	switch {
	case t.State == Initiated:
		return l.awaitsAnswers(t, now)
	case t.State == Accepted:
		return one(t.awaitsFinalisation(now))
	case t.Done():
		return nil
	case t.Outgoing() && t.When(StepAnnounced).IsZero():
		return one(Waiting{For: NeedAnnouncing, On: there, Of: t.Peer})
	case t.State == Cancelled:
		return one(Waiting{For: NeedRecipientGone, On: authorities})
	}
	return one(Waiting{For: NeedSourceGone, On: authorities})
}

// awaitsAnswers is what an initiated transfer waits for.
func (l *Ledger) awaitsAnswers(t *Transfer, now time.Time) (list []Waiting) {
	daemon := Party{Kind: OfDaemon}
	if t.Within != 0 {
		return []Waiting{{For: NeedTurn, On: daemon}}
	}
	needs := map[string]Need{ForApproval: NeedApproval, ForAcceptance: NeedAcceptance, ForObjection: NeedObjection, ForResolution: NeedAnswer}
	j := l.Assess(t, now)
	for _, w := range j.Waits {
		list = append(list, Waiting{For: needs[w.For], On: Party{OfRegistry, w.Registry}, Of: w.Registry, Until: w.Until})
		if w.For == ForResolution {
			list[len(list)-1].Says = t.Objection()
		}
	}
	switch {
	case len(list) > 0:
		return list
	case j.Lapsed != "":
		return []Waiting{{For: NeedCancellation, On: daemon, Says: j.Lapsed}}
	}
	return []Waiting{{For: NeedAccepting, On: daemon}}
}

// awaitsFinalisation is what an accepted transfer waits for.
func (t *Transfer) awaitsFinalisation(now time.Time) Waiting {
	soaked, there := t.Soaked(), Party{OfInstallation, t.Peer}
	switch {
	case t.Handoff != nil && !t.Seen.IsZero() && t.Held:
		return Waiting{For: NeedResumption, On: Party{OfRegistry, t.ToRegistry}}
	case t.Handoff != nil && !t.Seen.IsZero():
		return Waiting{For: NeedHolders, On: Party{Kind: OfDaemon}}
	case t.Incoming() && !t.When(StepWishedOff).IsZero():
		return Waiting{For: NeedSourceCancels, On: there, Of: t.FromRegistry}
	case t.Incoming():
		return Waiting{For: NeedSourceFinalises, On: there, Of: t.FromRegistry}
	case t.Seen.IsZero() && t.Outgoing():
		return Waiting{For: NeedPublishedThere, On: there, Of: t.Peer}
	case t.Seen.IsZero():
		return Waiting{For: NeedPublished, On: Party{Kind: OfAuthorities}}
	case now.Before(soaked) && t.Held:
		return Waiting{For: NeedSoakAndWord, On: Party{Kind: OfTime}, Until: soaked}
	case now.Before(soaked):
		return Waiting{For: NeedSoak, On: Party{Kind: OfTime}, Until: soaked}
	case t.Held:
		return Waiting{For: NeedWord, On: Party{OfRegistry, t.FromRegistry}}
	}
	return Waiting{For: NeedFinalising, On: Party{Kind: OfDaemon}}
}
