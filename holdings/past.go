package holdings

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/store"
)

// HistoryQuery asks who held some resources, or what one holder held.
type HistoryQuery struct {
	Resources inr.Set `json:"resources,omitzero"`
	Holder    string  `json:"holder,omitempty"`
	// From and Until are the time that is asked about, without Until itself. If Until is zero it is the moment From; if both are zero it is
	// the whole past.
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// Tenure is a delegation, and the time in which it was in force in the ledger.
type Tenure struct {
	Holder     string    `json:"holder"`
	Depth      int       `json:"depth"`            // how many organisations are above the holder
	From       string    `json:"from"`             // who delegated it; empty: from outside the tree
	Source     string    `json:"source,omitempty"` // where it came from then
	Delegation uint64    `json:"delegation"`
	Resources  inr.Set   `json:"resources"` // the part that was asked for
	Status     Status    `json:"status"`
	Ground     string    `json:"ground"`
	Registered time.Time `json:"registered,omitzero"` // the date of registration, which may be long before the ledger
	Incoming   bool      `json:"arriving,omitempty"`  // it was incoming: the donor's side held the same
	Began      Act       `json:"began"`
	Ended      *Act      `json:"ended,omitempty"`
}

// Act is the decision that began or ended a tenure.
type Act struct {
	Decision uint64        `json:"decision"`
	Time     time.Time     `json:"time"`
	Actor    string        `json:"actor"`
	Reason   string        `json:"reason,omitempty"`
	Transfer *TransferNote `json:"transfer,omitempty"` // the one that it was a step of
}

// TransferNote names a transfer in a history.
type TransferNote struct {
	ID   uint64       `json:"id"`
	Kind TransferKind `json:"kind"`
	From string       `json:"from"`
	To   string       `json:"to"`
	Step Step         `json:"step"`
}

// History lists the tenures that a query asks for, from the delegations in force and those that have ended. For the whole past they are
// sorted by their beginnings, those higher in the tree first. For a given time they are chains from each registry down to the lowest
// holder. It fails with NotFound where there is no such holder, or the ledger is younger than the time, and with Corrupt.
func (l *Ledger) History(r store.Reader, q HistoryQuery) ([]Tenure, error) {
	q.Holder = Fold(q.Holder)
	h := history{ledger: l, reader: r, query: q, acts: map[uint64]*Act{}, list: []Tenure{}}
	if q.Holder == "" && q.Resources.Empty() {
		return nil, fault.New(fault.BadInput, "name the resources or the holder whose history you want")
	}
	if q.Until.IsZero() && !q.From.IsZero() {
		q.Until = q.From.Add(1)
		h.query = q
	}
	if h.timed = !q.From.IsZero() || !q.Until.IsZero(); h.timed {
		founded, err := h.act(1)
		if err != nil {
			return nil, err
		}
		if !q.Until.After(founded.Time) {
			return nil, fault.New(fault.NotFound, "the ledger was founded at %s and knows nothing of who held what before; 'registered' in a later answer is the date that the registry's file had", founded.Time.Format(time.RFC3339))
		}
	}
	if err := h.collect(); err != nil {
		return nil, err
	}
	if q.Holder != "" && l.orgs[q.Holder] == nil && !h.known {
		return nil, unknown(q.Holder) // no organisation of this handle ever held something
	}
	if h.timed {
		if err := h.onlyInForce(); err != nil {
			return nil, err
		}
	}
	h.sort()
	return h.list, nil
}

// collect finds the tenures that the query asks for. Each is looked at alone; see onlyInForce.
func (h *history) collect() error {
	for _, d := range h.inForce() {
		if err := h.add(d); err != nil {
			return err
		}
	}
	prefix := []byte(nil)
	if h.query.Holder != "" {
		prefix = append([]byte(h.query.Holder), 0)
	}
	for d, err := range all[Delegation](h.reader, endedBucket, prefix) {
		if err == nil {
			err = h.add(&d)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// inForce lists the delegations in force to the holder that is asked about, or of some of the resources.
func (h *history) inForce() []*Delegation {
	if h.query.Holder != "" {
		if n := h.ledger.orgs[h.query.Holder]; n != nil {
			return n.received
		}
		return nil
	}
	found := slices.Clone(h.ledger.foreign)
	for _, n := range h.ledger.orgs {
		for _, given := range []*index{&n.given, &n.incoming} {
			if !given.empty() {
				found = append(found, given.overlapping(h.query.Resources)...)
			}
		}
	}
	return found
}

// onlyInForce removes tenures that did not rest on anything at the time. If a delegation had come to its date, what its holder delegated on
// had ended, too, even if the decision about that was taken later.
func (h *history) onlyInForce() error {
	holder := h.query.Holder
	if holder != "" { // those above it are needed too
		h.query.Holder, h.query.Resources = "", inr.Set{}
		for _, t := range h.list {
			h.query.Resources = h.query.Resources.Union(t.Resources)
		}
		h.list = []Tenure{}
		if err := h.collect(); err != nil {
			return err
		}
	}
	held := map[string]inr.Set{"": inr.Everything(), h.ledger.Root(): inr.Everything()}
	var holding func(handle string) inr.Set
	holding = func(handle string) inr.Set {
		if _, known := held[handle]; !known {
			held[handle] = inr.Set{}
			for _, t := range h.list {
				if t.Holder == handle {
					held[handle] = held[handle].Union(t.Resources.Intersect(holding(t.From)))
				}
			}
		}
		return held[handle]
	}
	kept := []Tenure{}
	for _, t := range h.list {
		if t.Resources = t.Resources.Intersect(holding(t.From)); !t.Resources.Empty() && (holder == "" || t.Holder == holder) {
			kept = append(kept, t)
		}
	}
	h.list = kept
	return nil
}

// history is the state of a query.
type history struct {
	ledger *Ledger
	reader store.Reader
	query  HistoryQuery
	timed  bool
	known  bool // something was found, at any time
	acts   map[uint64]*Act
	list   []Tenure
}

// add takes a delegation if it is asked for.
func (h *history) add(d *Delegation) error {
	resources := d.Resources
	if h.query.Holder == "" {
		if resources = resources.Intersect(h.query.Resources); resources.Empty() {
			return nil
		}
	}
	h.known = true
	began, err := h.act(d.Decision)
	if err != nil {
		return err
	}
	t := Tenure{
		Holder: d.To, Depth: h.ledger.Depth(d.To), From: d.From, Source: d.Source, Delegation: d.ID, Resources: resources, Status: d.Status,
		Ground: d.Ground, Registered: d.Since, Incoming: d.Incoming, Began: *began,
	}
	if d.Ended != 0 {
		if t.Ended, err = h.act(d.Ended); err != nil {
			return err
		}
	}
	if h.timed && !d.Until.IsZero() && !d.Until.After(h.query.From) {
		return nil // it had come to its date, even if the decision about that was taken later
	}
	if h.timed && (!began.Time.Before(h.query.Until) || t.Ended != nil && !t.Ended.Time.After(h.query.From)) {
		return nil
	}
	h.list = append(h.list, t)
	return nil
}

// act makes the Act of a decision.
func (h *history) act(id uint64) (*Act, error) {
	if a := h.acts[id]; a != nil {
		return a, nil
	}
	d, err := ReadDecision(h.reader, id)
	if err != nil {
		return nil, damaged("a delegation's decision", err)
	}
	a := &Act{Decision: id, Time: d.Time, Actor: d.Actor, Reason: d.Reason}
	for _, c := range d.Changes {
		if t := h.ledger.Transfer(c.Transfer); c.What == Moved && t != nil {
			a.Transfer = &TransferNote{t.ID, t.Kind, t.Source(), t.Recipient(), c.Step}
		}
	}
	h.acts[id] = a
	return a, nil
}

func (h *history) sort() {
	paths := map[string]string{}
	for _, t := range h.list {
		if _, known := paths[t.Holder]; !known {
			path := h.ledger.chain(t.Holder)
			slices.Reverse(path)
			paths[t.Holder] = strings.Join(path, "\x00")
		}
	}
	slices.SortFunc(h.list, func(a, b Tenure) int {
		inTime := cmp.Or(cmp.Compare(a.Began.Decision, b.Began.Decision), cmp.Compare(a.Depth, b.Depth))
		inTree := strings.Compare(paths[a.Holder], paths[b.Holder])
		if h.timed {
			return cmp.Or(inTree, inTime, cmp.Compare(a.Delegation, b.Delegation))
		}
		return cmp.Or(inTime, inTree, cmp.Compare(a.Delegation, b.Delegation))
	})
}
