package ca

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"cadastre/ca/kinds"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/intents"
	"cadastre/internal/payload"
	"cadastre/internal/store"
	"cadastre/internal/term"
	"cadastre/roa"
)

// brakeBucket keeps what decisions took away without a code: by the decision's number, big-endian, for Policy.BrakeWindow.
var brakeBucket = store.Declare("brake", "ca", store.Withheld("what was taken away of late without a code: the successor's brake begins anew"))

// brakeSecretKey is the key of the secret from which codes are made.
var brakeSecretKey = []byte("brake secret")

// brake holds back decisions that take away too much. It keeps how much there is, and what decisions took away of late, and is brought
// up to date with each decision. Its totals are computed when they are first needed.
type brake struct {
	secret []byte // codes are made with it, so that nobody can compute a code without asking for the plan

	mu     sync.Mutex         // guards the following; may be taken while the engine's mu is held, not the other way round
	recent []taken            // within the window, oldest first
	parts  map[string]amounts // of each organisation
	totals map[string]amounts // by registry, of all under the empty name; nil until they are first asked for
}

// taken is what a decision took away.
type taken struct {
	Decision uint64    `json:"decision"`
	At       time.Time `json:"at"`
	Losses   []loss    `json:"losses"`
}

// loss is what a decision takes from one holder.
type loss struct {
	Holder    string     `json:"holder"`
	VRPs      []roa.VRP  `json:"vrps,omitempty"`
	Objects   kinds.List `json:"-"` // payloads of other kinds; in records each kind has a member, as "aspas"
	Resources inr.Set    `json:"resources,omitzero"`
	All       bool       `json:"all,omitempty"` // the holder has nothing left
	// Own tells that the holder keeps its resources, and intents of its own were removed.
	Own bool `json:"own,omitempty"`
	// Coming tells that a transfer takes it away when it is finalised. It counts from the decision that began the transfer, even if the
	// transfer is cancelled.
	Coming bool `json:"coming,omitempty"`
}

type bareLoss loss

// MarshalJSON writes the payloads beside the rest.
func (l loss) MarshalJSON() ([]byte, error) {
	object, err := json.Marshal(bareLoss(l))
	if err != nil {
		return nil, err
	}
	return l.Objects.Join(object, "%s")
}

// UnmarshalJSON reads what MarshalJSON writes.
func (l *loss) UnmarshalJSON(object []byte) error {
	if err := json.Unmarshal(object, (*bareLoss)(l)); err != nil {
		return err
	}
	return l.Objects.Cut(object, "%s")
}

// says counts the payloads of a loss by their kinds.
func (l *loss) says() kinds.Counts {
	c := kinds.Counts{}
	c.Add(l.Objects)
	return c.Plus(ofVRPs(len(l.VRPs)))
}

// ofVRPs counts VRPs.
func ofVRPs(n int) kinds.Counts {
	var c kinds.Counts
	c[slices.Index(kinds.Table[:], &kinds.ROA)] = uint64(n) // #nosec G115 -- a length
	return c
}

// amounts counts what can be lost.
type amounts struct {
	says                  kinds.Counts // payloads
	holders, v4, v6, asns uint64
}

func (a amounts) plus(b amounts) amounts {
	return amounts{a.says.Plus(b.says), a.holders + b.holders, a.v4 + b.v4, a.v6 + b.v6, a.asns + b.asns}
}

func (a amounts) minus(b amounts) amounts {
	return amounts{a.says.Minus(b.says), a.holders - b.holders, a.v4 - b.v4, a.v6 - b.v6, a.asns - b.asns}
}

// loadBrake reads the brake's secret and records from the store.
func loadBrake(st store.Store) (*brake, error) {
	b := &brake{parts: map[string]amounts{}}
	err := st.View(func(r store.Reader) error {
		secret, err := r.Get(engineBucket, brakeSecretKey)
		if err != nil {
			return err
		}
		b.secret = slices.Clone(secret)
		return store.EachValue(r, brakeBucket, nil, func(_ string, t *taken) { b.recent = append(b.recent, *t) })
	})
	if err == nil && len(b.secret) == 0 {
		err = fault.New(fault.Corrupt, "the store has no secret for the codes of plans: an older version of the program wrote it; use that version, or make a new data directory with 'cadastre init'")
	}
	return b, err
}

// newBrakeSecret draws the secret of an installation.
func newBrakeSecret() []byte {
	secret := make([]byte, sha256.Size)
	_, _ = rand.Read(secret) // never fails
	return secret
}

// Code is the code of a plan. Who repeats a command with the code of its plan has seen that plan. The code differs for each plan and
// each installation.
func (e *Engine) Code(plan []byte) string {
	h := hmac.New(sha256.New, e.brake.secret)
	_, _ = h.Write(plan) // a hash takes every write
	return hex.EncodeToString(h.Sum(nil)[:4])
}

// brakeOn says why the brake would hold a loss of a holder, and the code that lets it pass; both are empty where it would not. The caller
// holds the engine's mu.
func (e *Engine) brakeOn(l loss) (why, code string) {
	if why = e.weigh(time.Now(), []loss{l}); why == "" {
		return "", ""
	}
	plan := []byte(l.Holder)
	for _, v := range l.VRPs {
		plan = fmt.Appendf(plan, "\n%s", v)
	}
	for _, p := range l.Objects {
		plan = fmt.Appendf(plan, "\n%s", p)
	}
	return why, e.Code(plan)
}

// write keeps the record of what a decision takes away: later decisions are weighed together with it.
func (b *brake) write(w store.Writer, o *holdings.Outcome, losses []loss, window time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.recent {
		if !t.within(o.Decision.Time, window) {
			if err := w.Delete(brakeBucket, binary.BigEndian.AppendUint64(nil, t.Decision)); err != nil {
				return err
			}
		}
	}
	if len(losses) == 0 || window <= 0 {
		return nil
	}
	return store.PutValue(w, brakeBucket, binary.BigEndian.AppendUint64(nil, o.Decision.ID), taken{o.Decision.ID, o.Decision.Time, losses})
}

// apply brings the brake up to date with a decision that was committed and applied. The caller holds the engine's mu.
func (b *brake) apply(e *Engine, o *holdings.Outcome, changed *roa.Outcome, losses []loss) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.recent = slices.DeleteFunc(b.recent, func(t taken) bool { return !t.within(o.Decision.Time, e.policy.BrakeWindow) })
	if len(losses) > 0 && e.policy.BrakeWindow > 0 {
		b.recent = append(b.recent, taken{o.Decision.ID, o.Decision.Time, losses})
	}
	if b.totals == nil {
		return
	}
	for holder := range o.After {
		b.count(e, holder)
	}
	for _, holder := range changed.Holders() {
		b.count(e, holder)
	}
}

// within tells whether it was not longer ago than the window.
func (t *taken) within(now time.Time, window time.Duration) bool { return t.At.After(now.Add(-window)) }

// count brings the totals up to date with what an organisation has. The caller holds the brake's mu and the engine's.
func (b *brake) count(e *Engine, holder string) {
	was, now := b.parts[holder], e.amountOf(holder)
	b.parts[holder] = now
	for _, name := range []string{"", e.registryOf(holder)} {
		b.totals[name] = b.totals[name].minus(was).plus(now)
	}
}

// total computes the totals if that was not done yet. The caller holds the brake's mu and the engine's.
func (b *brake) total(e *Engine) {
	if b.totals != nil {
		return
	}
	b.totals = map[string]amounts{}
	for _, holder := range e.ledger.Organisations() {
		b.count(e, holder)
	}
}

// amountOf is what an organisation adds to the totals. Addresses are counted for the organisation that got them from a registry, or from
// outside the tree; if it delegates them on they are not counted again. For a registry only what it authorises itself counts. The caller
// holds the engine's mu.
func (e *Engine) amountOf(holder string) amounts {
	holding := e.ledger.Holding(holder)
	if holding.Empty() {
		return amounts{}
	}
	a := amounts{says: ofVRPs(len(e.book.VRPs(holder, holding)))}
	a.says.Add(intents.AllAuthorised(e.book.Objects.Of(holder), holding))
	org, _ := e.ledger.Organisation(holder)
	if org.Kind.IsRegistry() {
		return a
	}
	a.holders = 1
	first := e.ledgerKind(org.Parent).IsRegistry()
	for _, d := range e.ledger.Delegations(holder) {
		if first || d.From == "" {
			v4, v6, asns := d.Resources.Addresses()
			a = a.plus(amounts{v4: v4, v6: v6, asns: asns})
		}
	}
	return a
}

// scope is a registry, or a single holder; both fields are empty for the whole installation.
type scope struct{ registry, holder string }

// tally is what is lost within a scope.
type tally struct {
	says, own kinds.Counts // payloads; own: of these, those of intents that were removed
	holders   uint64
	resources []inr.Set
}

// tallies has, for each scope that a decision takes from, what it takes away there and what was taken away there before.
type tallies map[scope]*struct{ now, before tally }

// add counts losses: of the decision or, with before, of earlier ones. Earlier losses count only in scopes that the decision takes from.
// The caller holds the engine's mu.
func (t tallies) add(e *Engine, losses []loss, before bool) {
	for _, l := range losses {
		within := []scope{{}, {registry: e.registryOf(l.Holder)}}
		if l.Own {
			within = append(within, scope{holder: l.Holder})
		}
		for _, s := range within {
			both := t[s]
			switch {
			case both == nil && before:
				continue
			case both == nil:
				both = &struct{ now, before tally }{}
				t[s] = both
			}
			in := &both.now
			if before {
				in = &both.before
			}
			in.says = in.says.Plus(l.says())
			if l.Own {
				in.own = in.own.Plus(l.says())
			}
			if s.holder == "" && !e.ledgerKind(l.Holder).IsRegistry() {
				if in.resources = append(in.resources, l.Resources); l.All {
					in.holders++
				}
			}
		}
	}
}

// weigh says why the brake holds a decision with these losses; empty where it does not. Losses of earlier decisions within the window
// count, too, unless they were made good. The caller holds the engine's mu, at least for reading.
func (e *Engine) weigh(now time.Time, losses []loss) string {
	if len(losses) == 0 {
		return ""
	}
	b := e.brake
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total(e)
	scopes := tallies{}
	scopes.add(e, losses, false)
	for _, t := range b.recent {
		if t.within(now, e.policy.BrakeWindow) {
			scopes.add(e, e.stillGone(t), true)
		}
	}
	order := func(x, y scope) int {
		return cmp.Or(strings.Compare(y.holder, x.holder), strings.Compare(x.registry, y.registry)) // holders first
	}
	for _, s := range slices.SortedFunc(maps.Keys(scopes), order) {
		had := b.totals[s.registry]
		if s.holder != "" {
			had = b.parts[s.holder]
		}
		if why := tooMuchOf(&e.policy, s, scopes[s].now, scopes[s].before, had); why != "" {
			return why
		}
	}
	return ""
}

// stillGone lists what a decision took away and nothing has replaced since: payloads that are not authorised again, resources that are not
// held again. The caller holds the engine's mu.
func (e *Engine) stillGone(t taken) []loss {
	var gone []loss
	for _, l := range t.Losses {
		if l.Coming {
			gone = append(gone, l)
			continue
		}
		holding := e.ledger.Holding(l.Holder)
		l.VRPs = slices.DeleteFunc(slices.Clone(l.VRPs), func(v roa.VRP) bool { return e.book.Stands(l.Holder, v, holding, t.At) })
		l.Objects = slices.DeleteFunc(slices.Clone(l.Objects), func(p payload.Payload) bool { return e.book.Objects.Stands(l.Holder, p, holding) })
		l.Resources, l.All = l.Resources.Minus(holding), l.All && holding.Empty()
		if len(l.VRPs)+len(l.Objects) > 0 || !l.Resources.Empty() {
			gone = append(gone, l)
		}
	}
	return gone
}

// share is how much of something is lost, and how much there is. A few may always be lost while they are less than half.
type share struct {
	what             string
	now, before, had uint64
	few              uint64
}

// fewSays is how many payloads of a kind may always be lost while they are less than half.
const fewSays = 10

// tooMuchOf says why the losses within a scope are too much; empty where they are not. Had is what there was before the decision. One
// signed object that its holder removes is never too much.
func tooMuchOf(p *Policy, s scope, now, before tally, had amounts) string {
	var shares []share
	for i, k := range kinds.Table {
		x := share{k.Payloads, now.says[i], before.says[i], had.says[i], fewSays}
		if s.holder != "" {
			x.now, x.before = now.own[i], before.own[i]
		}
		if now.says[i] == now.own[i] && before.says[i] == before.own[i] && now.own[i]+before.own[i] == 1 {
			x.now = 0
		}
		shares = append(shares, x)
	}
	of := ""
	switch {
	case s.holder != "":
		of = " of " + s.holder
	default:
		v4, v6, asns := inr.Sum(now.resources...).Addresses()
		b4, b6, bas := inr.Sum(before.resources...).Addresses()
		shares = append(shares, share{"holders", now.holders, before.holders, had.holders, 10}, share{"IPv4 addresses", v4, b4, had.v4, 4096},
			share{"IPv6 /48 networks", v6, b6, had.v6, 1 << 16}, share{"AS numbers", asns, bas, had.asns, 10})
		if s.registry != "" {
			of = " of " + s.registry
		}
	}
	for _, x := range shares {
		lost, total := x.now+x.before, x.had+x.before
		if x.now == 0 || !tooMuch(p, lost, total, x.few) {
			continue
		}
		if x.before > 0 {
			return fmt.Sprintf("with what went in the last %s it would take away %d of %d %s%s, and more than %.3g %% in that time needs the operator's code",
				term.Text(p.BrakeWindow), lost, total, x.what, of, p.Brake*100)
		}
		return fmt.Sprintf("it would take away %d of %d %s%s, and more than %.3g %% at once needs the operator's code", lost, total, x.what, of, p.Brake*100)
	}
	return ""
}

func tooMuch(p *Policy, lost, total, few uint64) bool {
	if float64(lost) <= p.Brake*float64(total) {
		return false
	}
	return lost > few || 2*lost >= total
}

// replacements has VRPs by their prefixes.
type replacements map[netip.Prefix][]roa.VRP

// standIn tells whether one of them replaces a VRP that goes: it has the same prefix, or the same AS and a prefix that covers it.
func (r replacements) standIn(v roa.VRP) bool {
	for bits := v.Prefix.Bits(); bits >= 0; bits-- {
		p := netip.PrefixFrom(v.Prefix.Addr(), bits).Masked()
		for _, by := range r[p] {
			if p == v.Prefix || by.ASN == v.ASN && by.MaxLength >= v.Prefix.Bits() {
				return true
			}
		}
	}
	return false
}

// forGood is losses without the VRPs that are there after the decision, at any holder, and without those that the decision replaces.
func forGood(losses []loss, after, gained []roa.VRP) []loss {
	if len(losses) == 0 {
		return nil
	}
	stands, instead := make(map[roa.VRP]bool, len(after)), replacements{}
	for _, v := range after {
		stands[v] = true
	}
	for _, v := range gained {
		instead[v.Prefix] = append(instead[v.Prefix], v)
	}
	var kept []loss
	for _, l := range losses {
		l.VRPs = slices.DeleteFunc(l.VRPs, func(v roa.VRP) bool { return stands[v] || instead.standIn(v) })
		if len(l.VRPs)+len(l.Objects) > 0 || !l.Resources.Empty() {
			kept = append(kept, l)
		}
	}
	return kept
}
