package holdings

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

// The log as it is written.
type (
	logFile struct {
		Version    logVersion  `json:"version"`
		Transfers  []logRecord `json:"transfers"`
		InProgress []logRecord `json:"transfers_in_progress,omitzero"` // from 4.1 on, empty or not
	}
	logVersion struct {
		StatsVersion    string      `json:"stats_version"`
		Producer        string      `json:"producer"`
		UTCOffset       int         `json:"UTC_offset"`
		ProductionDate  logTime     `json:"production_date"`
		RecordsInterval logInterval `json:"records_interval"`
		Remarks         []string    `json:"remarks,omitempty"`
	}
	logInterval struct {
		Start logTime `json:"start_date"`
		End   logTime `json:"end_date"`
	}
	logRecord struct {
		ASNs           *logSets  `json:"asns,omitempty"`
		IP4Nets        *logSets  `json:"ip4nets,omitempty"`
		IP6Nets        *logSets  `json:"ip6nets,omitempty"`
		IPv4Nets       *logSets  `json:"ipv4nets,omitempty"` // LACNIC's of the past; read only
		IPv6Nets       *logSets  `json:"ipv6nets,omitempty"`
		Source         *logParty `json:"source_organization,omitempty"`
		Recipient      *logParty `json:"recipient_organization,omitempty"`
		TransferDate   logTime   `json:"transfer_date,omitzero"`
		RegisteredDate logTime   `json:"source_registration_date,omitzero"`
		SourceRIR      string    `json:"source_rir"`
		RecipientRIR   string    `json:"recipient_rir"`
		Type           string    `json:"type"`
		Status         string    `json:"status,omitempty"`
	}
	logSets struct {
		Original []logRange `json:"original_set,omitempty"`
		Transfer []logRange `json:"transfer_set"`
	}
	// logRange is addresses, or AS numbers; addresses may be called start and end too.
	logRange struct {
		StartAddress string `json:"start_address,omitempty"`
		EndAddress   string `json:"end_address,omitempty"`
		Start        any    `json:"start,omitempty"`
		End          any    `json:"end,omitempty"`
	}
	logParty struct {
		Name    string `json:"name,omitempty"`
		Country string `json:"country_code,omitempty"`
	}
)

// logTime is a time to the second, in UTC. What it was read from may lack the zone, or the time of day.
type logTime struct{ at time.Time }

func (t logTime) IsZero() bool { return t.at.IsZero() }

func (t logTime) MarshalText() ([]byte, error) { return []byte(t.at.UTC().Format(time.RFC3339)), nil }

func (t *logTime) UnmarshalText(text []byte) error {
	written := strings.TrimSpace(string(text))
	if written == "" {
		return nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, time.DateOnly, "2006-01-02T15:04:05Z0700"} {
		if parsed, err := time.Parse(layout, written); err == nil {
			if parsed = parsed.UTC().Truncate(time.Second); parsed.Year() < 1 || parsed.Year() > 9999 {
				break
			}
			t.at = parsed
			return nil
		}
	}
	return fault.New(fault.BadInput, "%q is no date", written)
}

// JSON writes the log in a format, TransferLog40 or TransferLog41. It fails with BadInput.
func (x *TransferLog) JSON(format string) ([]byte, error) {
	f := logFile{
		Version: logVersion{
			StatsVersion: format, Producer: x.Producer, UTCOffset: x.UTCOffset, ProductionDate: logTime{x.Produced},
			RecordsInterval: logInterval{logTime{x.From}, logTime{x.Until}}, Remarks: x.Remarks,
		},
		Transfers: []logRecord{},
	}
	for _, e := range x.Transfers {
		f.Transfers = append(f.Transfers, e.record())
	}
	switch format {
	case TransferLog40:
	case TransferLog41:
		f.InProgress = []logRecord{}
		for _, e := range x.InProgress {
			f.InProgress = append(f.InProgress, e.record())
		}
	default:
		return nil, fault.New(fault.BadInput, "%q is no format of a transfer log; use 4.0 or 4.1", format)
	}
	text, err := json.MarshalIndent(f, "", "  ")
	return append(text, '\n'), err
}

func (e LogEntry) record() logRecord {
	r := logRecord{
		TransferDate: logTime{e.Transferred}, RegisteredDate: logTime{e.Registered}, SourceRIR: e.SourceRIR, RecipientRIR: e.RecipientRIR,
		Type: e.Type, Status: e.Status,
	}
	sets := func(kind ResourceKind) *logSets {
		if kind.Of(e.Resources).Empty() {
			return nil
		}
		return &logSets{Original: ranges(kind.Of(e.Original)), Transfer: ranges(kind.Of(e.Resources))}
	}
	r.ASNs, r.IP4Nets, r.IP6Nets = sets(ASN), sets(IPv4), sets(IPv6)
	if e.Source != (LogParty{}) {
		r.Source = &logParty{e.Source.Name, e.Source.Country}
	}
	if e.Recipient != (LogParty{}) {
		r.Recipient = &logParty{e.Recipient.Name, e.Recipient.Country}
	}
	return r
}

func ranges(s inr.Set) []logRange {
	var list []logRange
	for _, r := range slices.Concat(s.V4, s.V6) {
		list = append(list, logRange{StartAddress: r.First.String(), EndAddress: r.Last.String()})
	}
	for _, r := range s.AS {
		list = append(list, logRange{Start: r.First, End: r.Last})
	}
	return list
}

// ParseTransferLog reads a log of version 4.0, 4.1 or 5.0, in all the ways in which registries write them: octets padded with
// zeros, ipv4nets for ip4nets, start for start_address, names of RIRs with or without a space, dates without a time. An
// entry of several kinds that is over becomes one of each; one that was cancelled is left out. It fails with BadInput, naming the first entry
// that is wrong.
func ParseTransferLog(text []byte) (*TransferLog, error) {
	var f logFile
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, fault.New(fault.BadInput, "the transfer log can't be read: %w", err)
	}
	v := f.Version
	if !slices.Contains([]string{TransferLog40, TransferLog41, "5.0"}, v.StatsVersion) {
		return nil, fault.New(fault.BadInput, "the transfer log is of version %q; 4.0, 4.1 and 5.0 are known", v.StatsVersion)
	}
	x := &TransferLog{
		Version: v.StatsVersion, Producer: logName(v.Producer), UTCOffset: v.UTCOffset, Produced: v.ProductionDate.at,
		From: v.RecordsInterval.Start.at, Until: v.RecordsInterval.End.at, Remarks: v.Remarks, Transfers: []LogEntry{}, InProgress: []LogEntry{},
	}
	for i, r := range f.Transfers {
		e, err := r.entry()
		if err != nil {
			return nil, fault.Wrap(err, "transfer %d of the log", i+1)
		}
		switch e.Status {
		case SourceInitialized, RecipientAccepted: // 5.0 has all in one list
			x.InProgress = append(x.InProgress, e)
			continue
		case "SOURCE_CANCELLED", "RECIPIENT_CANCELLED":
			continue
		}
		e.Status = ""
		whole := e
		for _, kind := range ResourceKinds {
			if e.Resources, e.Original = kind.Of(whole.Resources), kind.Of(whole.Original); !e.Resources.Empty() {
				x.Transfers = append(x.Transfers, e)
			}
		}
	}
	for i, r := range f.InProgress {
		e, err := r.entry()
		if err != nil {
			return nil, fault.Wrap(err, "transfer %d in progress of the log", i+1)
		}
		x.InProgress = append(x.InProgress, e)
	}
	return x, nil
}

func (r logRecord) entry() (LogEntry, error) {
	e := LogEntry{
		SourceRIR: logName(r.SourceRIR), RecipientRIR: logName(r.RecipientRIR), Type: strings.ToUpper(strings.TrimSpace(r.Type)),
		Transferred: r.TransferDate.at, Registered: r.RegisteredDate.at, Status: statusName(r.Status),
	}
	if r.Source != nil {
		e.Source = LogParty{r.Source.Name, r.Source.Country}
	}
	if r.Recipient != nil {
		e.Recipient = LogParty{r.Recipient.Name, r.Recipient.Country}
	}
	if e.Type != LoggedMerger && e.Type != LoggedTransfer {
		return e, fault.New(fault.BadInput, "%q is no type of transfer; there are %s and %s", r.Type, LoggedMerger, LoggedTransfer)
	}
	for _, s := range []struct {
		kind ResourceKind
		sets *logSets
	}{{ASN, r.ASNs}, {IPv4, r.IP4Nets}, {IPv4, r.IPv4Nets}, {IPv6, r.IP6Nets}, {IPv6, r.IPv6Nets}} {
		if s.sets == nil {
			continue
		}
		for _, in := range []struct {
			ranges []logRange
			to     *inr.Set
		}{{s.sets.Transfer, &e.Resources}, {s.sets.Original, &e.Original}} {
			var all []inr.Set
			for _, written := range in.ranges {
				set, err := written.set(s.kind)
				if err != nil {
					return e, err
				}
				all = append(all, set)
			}
			*in.to = inr.Sum(append(all, *in.to)...)
		}
	}
	if e.Resources.Empty() {
		return e, fault.New(fault.BadInput, "it names no resources")
	}
	e.Original = ofKindsIn(e.Original, e.Resources)
	return e, nil
}

// statusName is a state of a transfer in the letters of the newest drafts; older ones had sourceInitialized.
func statusName(written string) string {
	if strings.ToUpper(written) == written {
		return written
	}
	var b strings.Builder
	for i, c := range strings.TrimSpace(written) {
		if i > 0 && c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(c)
	}
	return strings.ToUpper(b.String())
}

// set is the resources of a range.
func (r logRange) set(kind ResourceKind) (inr.Set, error) {
	start, end := cmp.Or(r.StartAddress, wordOf(r.Start)), cmp.Or(r.EndAddress, wordOf(r.End))
	wrong := fault.New(fault.BadInput, "%q to %q is no range of %s", start, end, kind)
	if kind == ASN {
		first, err1 := strconv.ParseUint(start, 10, 32)
		last, err2 := strconv.ParseUint(end, 10, 32)
		if err1 != nil || err2 != nil || first > last {
			return inr.Set{}, wrong
		}
		return inr.OfAS(uint32(first), uint32(last)), nil
	}
	first, ok1 := parseLogged(start)
	last, ok2 := parseLogged(end)
	if !ok1 || !ok2 || first.Is4() != (kind == IPv4) || last.Is4() != (kind == IPv4) || first.Compare(last) > 0 {
		return inr.Set{}, wrong
	}
	return inr.OfRange(inr.IPRange{First: first, Last: last}), nil
}

// wordOf is a number or a string of JSON as text.
func wordOf(v any) string {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

// parseLogged reads an address whose octets may be padded with zeros; they are decimal all the same.
func parseLogged(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if octets := strings.Split(text, "."); len(octets) == 4 && !strings.Contains(text, ":") {
		for i, o := range octets {
			if o = strings.TrimLeft(o, "0"); o == "" && octets[i] != "" {
				o = "0"
			}
			octets[i] = o
		}
		text = strings.Join(octets, ".")
	}
	a, err := netip.ParseAddr(text)
	return a, err == nil && a.Zone() == "" && !a.Is4In6()
}
