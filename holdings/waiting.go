package holdings

import (
	"time"

	"cadastre/internal/inr"
)

// PartyKind is what kind of party a transfer waits on.
type PartyKind string

// The kinds of party.
const (
	OfTime         PartyKind = "time"         // nobody: the wait ends by itself
	OfRegistry     PartyKind = "registry"     // one of the two registries
	OfRegistries   PartyKind = "registries"   // both
	OfInstallation PartyKind = "installation" // the other installation
	OfAuthorities  PartyKind = "authorities"  // the authorities here
	OfCA           PartyKind = "ca"           // a holder's CA, elsewhere
	OfDaemon       PartyKind = "daemon"       // the daemon here
	OfOperator     PartyKind = "operator"     // an operator here
)

// Party is who has to do what a transfer waits for. Name is that of the registry, the installation or the holder.
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

// Need is what a transfer needs to go on.
type Need string

// What a transfer needs, as far as the ledger knows it. Package moves has more of them. The fields named here are those of Waiting.
const (
	NeedResolution      Need = "resolution"          // that the dispute is resolved; Says is why it is disputed
	NeedTurn            Need = "turn"                // its turn in the handoff
	NeedApproval        Need = "approval"            // approval by the registry Of, here
	NeedAcceptance      Need = "acceptance"          // acceptance by the registry Of, elsewhere
	NeedObjection       Need = "objection"           // that the registry Of objects or consents
	NeedAnswer          Need = "answer"              // that the objection of the registry Of is resolved; Says is its ground
	NeedCancellation    Need = "cancellation"        // its cancellation, which is due; Says is why
	NeedAccepting       Need = "accepting"           // its acceptance, which is due
	NeedHolders         Need = "holders"             // that the holders of the registry have moved
	NeedResumption      Need = "resumption"          // that the handoff is resumed
	NeedSourceCancels   Need = "source cancels"      // that the registry Of cancels it, as was asked here
	NeedSourceFinalises Need = "source finalises"    // that the registry Of finalises it
	NeedPublishedThere  Need = "published there"     // that the installation Of publishes the recipient's side
	NeedPublished       Need = "published"           // that the recipient's side is published here
	NeedSoak            Need = "soak"                // that readers have had the time to see the recipient's side
	NeedSoakAndWord     Need = "soak and word"       // the same, and then that the source releases it
	NeedWord            Need = "word"                // that the source, which holds it, releases it
	NeedFinalising      Need = "finalising"          // its finalisation, which is due
	NeedAnnouncing      Need = "announcing"          // that the installation Of knows of the end
	NeedRecipientGone   Need = "recipient withdrawn" // after a cancellation: that what the recipient's side had got is withdrawn
	NeedSourceGone      Need = "source withdrawn"    // that what the source's side had is withdrawn
)

// Waiting is one thing that a transfer waits for, who has to do it, and when the wait ends by itself. The zero value is no wait.
type Waiting struct {
	For   Need
	On    Party
	Until time.Time

	Of        string  // whom the need is about: a registry, an installation or a holder
	Resources inr.Set // the resources that the need is about
	Number    int     // how many holders
	Transfer  uint64  // the transfer that somebody has to do something about
	Says      string  // text from elsewhere: a reason, an error, a ROA
	Refused   string  // why the step that is due was refused when it was last tried
}

// Awaits lists what a transfer waits for, as far as the ledger knows. It is empty if the transfer is done, and has several entries if
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
