package moves

import (
	"fmt"
	"strings"
	"time"

	"cadastre/holdings"
)

// What a transfer needs, as far as only the mover knows it, not the ledger. The fields named here are those of holdings.Waiting.
const (
	needTrust        holdings.Need = "trust"           // that an operator trusts the installation Of again
	needSettling     holdings.Need = "settling"        // that the error in Says is settled
	needParent       holdings.Need = "parent"          // that a parent elsewhere, in Says, certifies Resources to Of
	needOwnProof     holdings.Need = "own certificate" // that the installation Of names its certificate
	needProof        holdings.Need = "proof"           // that the installation Of shows a certificate of its own for Resources
	needProvenROA    holdings.Need = "proven ROA"      // that the installation Of shows the ROA in Says
	needProvenObject holdings.Need = "proven object"   // that the installation Of shows the signed object in Says
	needLook         holdings.Need = "look"            // a look at what is published here, or by the installation Of; Says is why there is none
	needPlace        holdings.Need = "place"           // that the installation Of says where it publishes its side
	needCertificate  holdings.Need = "certificate"     // that Of has a certificate for Resources
	needValid        holdings.Need = "something valid" // that the CA of Of publishes something valid for Resources
	needROA          holdings.Need = "ROA"             // that the CA of Of publishes the ROA in Says
	needObject       holdings.Need = "object"          // that the CA of Of publishes the signed object in Says
	needReport       holdings.Need = "report"          // a newer report of the installation Of
	needReply        holdings.Need = "reply"           // a reply of the installation Of
	needAuthorities  holdings.Need = "authorities"     // what authorities here have yet to do, in Says
	needThere        holdings.Need = "there"           // what the other installation waits for, in Says
	needOffer        holdings.Need = "offer"           // that an operator decides whether the donor's CA is to be that of Of, which also holds Resources
	needBatch        holdings.Need = "batch"           // that Number holders of the batch before are published
	needPace         holdings.Need = "pace"            // the time of the next batch
	needOnTheirWay   holdings.Need = "on their way"    // Number holders that are on their way
	needLeftOut      holdings.Need = "left out"        // Number holders that were left out
	needSettlement   holdings.Need = "settlement"      // a settlement with the installation Of, where the transfer ended as Says
)

const soakInWords = "that readers have had the time to see the recipient's side"

// inWords has each need in English. It is the only place where waits become words: for the field 'waits' of the API, and for the report
// to another installation.
var inWords = map[holdings.Need]func(w holdings.Waiting) string{
	holdings.NeedResolution: func(w holdings.Waiting) string { return "that the dispute is resolved: " + w.Says },
	holdings.NeedTurn:       always("its turn, which the handoff gives it"),
	holdings.NeedApproval:   func(w holdings.Waiting) string { return "that " + w.Of + " approves it ('cadastre transfer approve')" },
	holdings.NeedAcceptance: func(w holdings.Waiting) string { return "that " + w.Of + " accepts it" },
	holdings.NeedObjection: func(w holdings.Waiting) string {
		return "that " + w.Of + " objects or consents; its silence is consent"
	},
	holdings.NeedAnswer:          func(w holdings.Waiting) string { return "that the objection of " + w.Of + " is resolved: " + w.Says },
	holdings.NeedCancellation:    func(w holdings.Waiting) string { return "its cancellation, since " + w.Says },
	holdings.NeedAccepting:       always("its acceptance, which is due"),
	holdings.NeedHolders:         always("that its holders have moved"),
	holdings.NeedResumption:      always("that it is resumed ('cadastre handoff resume')"),
	holdings.NeedSourceCancels:   func(w holdings.Waiting) string { return "that " + w.Of + " cancels it, as is wished here" },
	holdings.NeedSourceFinalises: func(w holdings.Waiting) string { return "that " + w.Of + " finalises it" },
	holdings.NeedPublishedThere:  func(w holdings.Waiting) string { return "that " + w.Of + " publishes its side" },
	holdings.NeedPublished:       always("that the recipient's side is published"),
	holdings.NeedSoak:            always(soakInWords),
	holdings.NeedSoakAndWord:     always(soakInWords + ", and then that the source releases it"),
	holdings.NeedWord:            always("that the source releases it"),
	holdings.NeedFinalising:      always("its finalisation, which is due"),
	holdings.NeedAnnouncing:      func(w holdings.Waiting) string { return "that " + w.Of + " knows that it is over" },
	holdings.NeedRecipientGone:   always("that what the recipient's side had got is withdrawn"),
	holdings.NeedSourceGone:      always("that what the source's side had is withdrawn"),

	needTrust: func(w holdings.Waiting) string {
		return "that " + w.Of + " is trusted again ('cadastre registries trust'), or that it is cancelled or abandoned"
	},
	needSettling: func(w holdings.Waiting) string { return "that this is settled: " + w.Says },
	needParent: func(w holdings.Waiting) string {
		return fmt.Sprintf("that %s certifies %s to %s", w.Says, w.Resources, w.Of)
	},
	needOwnProof: func(w holdings.Waiting) string { return "that " + w.Of + " says where its certificate is" },
	needProof: func(w holdings.Waiting) string {
		return fmt.Sprintf("that %s shows a certificate of its own for %s below the trust anchor of its introduction", w.Of, w.Resources)
	},
	needProvenROA: func(w holdings.Waiting) string {
		return fmt.Sprintf("that a ROA of %s authorises %s, which is to go along", w.Of, w.Says)
	},
	needProvenObject: func(w holdings.Waiting) string {
		return fmt.Sprintf("that %s shows the %s, which is to go along", w.Of, w.Says)
	},
	needLook:  lookInWords,
	needPlace: func(w holdings.Waiting) string { return "that " + w.Of + " says where it publishes its side" },
	needCertificate: func(w holdings.Waiting) string {
		return fmt.Sprintf("that %s has a certificate for %s", w.Of, w.Resources)
	},
	needValid: func(w holdings.Waiting) string {
		return fmt.Sprintf("that the CA of %s publishes something valid for %s", w.Of, w.Resources)
	},
	needROA: func(w holdings.Waiting) string {
		return fmt.Sprintf("that the CA of %s publishes a ROA for %s", w.Of, w.Says)
	},
	needObject: func(w holdings.Waiting) string {
		return fmt.Sprintf("that the CA of %s publishes the %s", w.Of, w.Says)
	},
	needReport:      func(w holdings.Waiting) string { return "a newer report of " + w.Of },
	needReply:       func(w holdings.Waiting) string { return "that " + w.Of + " answers" },
	needAuthorities: func(w holdings.Waiting) string { return w.Says },
	needThere:       func(w holdings.Waiting) string { return w.Says },
	needOffer: func(w holdings.Waiting) string {
		return fmt.Sprintf("that somebody decides whether the CA of the donor is to be that of %s, which holds %s too ('cadastre children add %s')", w.Of, w.Resources, w.Of)
	},
	needBatch: func(w holdings.Waiting) string {
		return fmt.Sprintf("that %d holders of the batch before are published", w.Number)
	},
	needPace:       always("the time of the next batch"),
	needOnTheirWay: func(w holdings.Waiting) string { return fmt.Sprintf("%d holders that are on their way", w.Number) },
	needLeftOut: func(w holdings.Waiting) string {
		return fmt.Sprintf("%d holders that were left out; 'cadastre handoff resume' begins with them again", w.Number)
	},
	needSettlement: func(w holdings.Waiting) string {
		return fmt.Sprintf("that somebody settles it with %s, where it is %s, and ends it here ('cadastre transfer abandon %d')", w.Of, w.Says, w.Transfer)
	},
}

func always(text string) func(holdings.Waiting) string {
	return func(holdings.Waiting) string { return text }
}

func lookInWords(w holdings.Waiting) string {
	text := "a look at what is published"
	if w.Of != "" {
		text = "a look at what " + w.Of + " publishes"
	}
	if w.Says != "" {
		text += ": " + w.Says
	}
	return text
}

// put puts into words what a transfer waits for, and on whom. Until is the earliest time at which one of the waits ends by itself.
func put(list []holdings.Waiting) (what, on string, until time.Time) {
	var whats, ons []string
	for _, w := range list {
		if w.For == "" {
			continue
		}
		text := string(w.For)
		if say := inWords[w.For]; say != nil {
			text = say(w)
		}
		if w.Refused != "" {
			text += ", and was refused: " + w.Refused
		}
		whats, ons = append(whats, text), append(ons, w.On.String())
		if !w.Until.IsZero() && (until.IsZero() || w.Until.Before(until)) {
			until = w.Until
		}
	}
	return strings.Join(whats, ", and "), strings.Join(ons, ", "), until
}
