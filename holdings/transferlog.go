package holdings

import (
	"slices"
	"strings"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

// The formats of RIRs' transfer logs (gitlab.nro.net/ecg/transfer_log). 4.0 is in use; 4.1 has transfers in progress too;
// 5.0 was a draft of what became 4.1, and is read only.
const (
	TransferLog40 = "4.0"
	TransferLog41 = "4.1"
)

// What a log calls the types of transfers, and the states of those that are in progress.
const (
	LoggedMerger      = "MERGER_ACQUISITION"
	LoggedTransfer    = "RESOURCE_TRANSFER"
	SourceInitialized = "SOURCE_INITIALIZED"
	RecipientAccepted = "RECIPIENT_ACCEPTED"
)

// TransferLog is a registry's public record of transfers.
type TransferLog struct {
	Version    string // "4.0", "4.1" or "5.0", of a log that was read
	Producer   string // "AFRINIC", "APNIC", "ARIN", "LACNIC", "RIPE NCC" or "NRO"
	UTCOffset  int    // hours
	Produced   time.Time
	From       time.Time // the time that it covers
	Until      time.Time
	Remarks    []string
	Transfers  []LogEntry // that are over; each is of one kind of resources
	InProgress []LogEntry
}

// LogEntry is one transfer in a log.
type LogEntry struct {
	Resources    inr.Set
	Original     inr.Set // what the donor had of which they are a part; empty where it is not known
	Source       LogParty
	Recipient    LogParty
	SourceRIR    string
	RecipientRIR string
	Type         string
	Transferred  time.Time // zero while in progress
	Registered   time.Time // at the source; zero where it is not known
	Status       string    // of one in progress
}

// LogParty is an organisation in a log.
type LogParty struct{ Name, Country string }

// rirs is how logs write the RIRs' names, by the names that they have elsewhere.
var rirs = map[string]string{
	"afrinic": "AFRINIC", "apnic": "APNIC", "arin": "ARIN", "lacnic": "LACNIC", "ripencc": "RIPE NCC", "ripe": "RIPE NCC", "nro": "NRO",
}

// logName is a registry's name as logs write it; of one that is no RIR of today, its handle.
func logName(name string) string {
	key := strings.NewReplacer(" ", "", "-", "", "_", "").Replace(strings.ToLower(strings.TrimSpace(name)))
	if known := rirs[key]; known != "" {
		return known
	}
	return strings.TrimSpace(name)
}

// rirOf is the RIR that a registry belongs to, as logs write it; of one elsewhere, what it is called there.
func (l *Ledger) rirOf(registry string) string {
	for n := l.orgs[registry]; n != nil; n = l.orgs[n.Parent] {
		if n.Kind == RIR {
			return logName(n.statistics())
		}
	}
	return logName(registry)
}

// TransferLog is the log of a RIR: transfers from and to its holders, as the ledger knows them; of all where none is named,
// as the NRO would write it. What is in progress within one RIR, and what came to nothing, is not in it. The same transfers
// give the same log, whenever it is asked for: it is produced when the last of them took a step, or the ledger was founded.
// It fails with NotFound where there is no such RIR.
func (l *Ledger) TransferLog(rir string, founded time.Time) (*TransferLog, error) {
	founded = founded.UTC().Truncate(time.Second)
	log := &TransferLog{Version: TransferLog41, Producer: "NRO", Produced: founded, From: founded, Transfers: []LogEntry{}, InProgress: []LogEntry{}}
	if rir = Fold(rir); rir != "" {
		if n := l.orgs[rir]; n == nil || n.Kind != RIR {
			return nil, fault.New(fault.NotFound, "there is no RIR %s, whose log it could be", rir)
		}
		log.Producer = l.rirOf(rir)
	}
	for _, t := range l.transfers {
		source, recipient := l.rirOf(t.FromRegistry), l.rirOf(t.ToRegistry)
		if rir != "" && source != log.Producer && recipient != log.Producer {
			continue
		}
		e := LogEntry{
			Source: l.party(t.From), Recipient: l.party(t.To), SourceRIR: source, RecipientRIR: recipient,
			Type: LoggedTransfer, Registered: t.Since,
		}
		if e.Recipient == (LogParty{}) && len(t.Legs) > 0 {
			e.Recipient = LogParty{t.Legs[0].New.Name, t.Legs[0].New.Country}
		}
		if t.Kind == Merger || t.Kind == Takeover {
			e.Type = LoggedMerger
		}
		switch {
		case t.State == Finalised:
			e.Transferred = t.When(StepFinalised)
			for _, kind := range ResourceKinds {
				if e.Resources = kind.Of(t.Resources); !e.Resources.Empty() {
					e.Original = kind.Of(t.Original)
					log.Transfers = append(log.Transfers, e)
				}
			}
		case source == recipient:
			continue
		case !t.State.Over():
			e.Resources, e.Original = t.Resources, ofKindsIn(t.Original, t.Resources)
			if e.Status = SourceInitialized; t.State == Accepted {
				e.Status = RecipientAccepted
			}
			log.InProgress = append(log.InProgress, e)
		}
		log.Produced = latest(log.Produced, t.When(Step(t.State)))
	}
	log.Until = log.Produced
	slices.SortStableFunc(log.Transfers, func(a, b LogEntry) int { return a.Transferred.Compare(b.Transferred) })
	return log, nil
}

// party is an organisation here as a log shows it.
func (l *Ledger) party(handle string) LogParty {
	if n := l.orgs[handle]; n != nil {
		return LogParty{n.Name, n.Country}
	}
	return LogParty{}
}

// ofKindsIn is what of a set is of a kind that another has something of.
func ofKindsIn(s, other inr.Set) inr.Set {
	for _, kind := range ResourceKinds {
		if kind.Of(other).Empty() {
			s = s.Minus(kind.Of(s))
		}
	}
	return s
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
