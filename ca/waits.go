package ca

import (
	"context"
	"maps"
	"slices"
	"time"

	"cadastre/ca/issued"
	"cadastre/federation"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
)

// WaitKind is a kind of Wait.
type WaitKind string

// The kinds of Wait. On tells who ends each.
const (
	NoDaemon     WaitKind = "no-daemon"   // nobody signs
	ClockFrozen  WaitKind = "frozen"      // nothing is signed because the clock, or the state, cannot be believed
	Failing      WaitKind = "failing"     // the work as a whole fails, as on a full disk, and is tried again
	InWork       WaitKind = "work"        // organisations have to be planned and signed for
	Unpublished  WaitKind = "unpublished" // committed, and its repository may not have the next serial yet
	Soaking      WaitKind = "soak"        // readers may still hold an older state
	TreeBehind   WaitKind = "rsync"       // the tree that rsync serves is older than the serial that RRDP serves
	ServerBehind WaitKind = "server"      // a publication server elsewhere does not have it yet
	ParentSilent WaitKind = "parent"      // a parent elsewhere has not certified a key yet
	ChildSilent  WaitKind = "child"       // a delegated CA has not asked for the certificate that it may have
	ChildSheds   WaitKind = "notice"      // a delegated CA has time to withdraw what rests on lost resources
	Quarantined  WaitKind = "quarantine"  // an organisation's work was refused
	AnchorNeeded WaitKind = "anchor"      // it needs the trust anchor's key, which is offline
	Braked       WaitKind = "brake"       // an end by date would take away too much
)

// WaitKinds lists all kinds.
var WaitKinds = []WaitKind{NoDaemon, ClockFrozen, Failing, InWork, Unpublished, Soaking, TreeBehind, ServerBehind, ParentSilent, ChildSilent, ChildSheds, Quarantined, AnchorNeeded, Braked}

// Party is who ends a wait.
type Party string

// The parties.
const (
	Ourselves Party = "daemon"    // it ends by itself, with time or work
	Operator  Party = "operator"  // somebody here has to do something
	Server    Party = "server"    // a publication server elsewhere
	Elsewhere Party = "elsewhere" // another CA, in its own time
)

// On is who ends a wait of a kind.
func (k WaitKind) On() Party {
	switch k {
	case InWork, Unpublished, Soaking, TreeBehind:
		return Ourselves
	case ServerBehind:
		return Server
	case ParentSilent, ChildSilent, ChildSheds:
		return Elsewhere
	}
	return Operator
}

// Wait is something that is decided and that readers do not see yet.
type Wait struct {
	Kind      WaitKind   `json:"kind"`
	On        Party      `json:"on"`
	Of        string     `json:"of,omitempty"`       // the organisation or registry that it is about
	Count     int        `json:"count,omitempty"`    // how many organisations, where it is about many
	Resources inr.Set    `json:"resources,omitzero"` // the resources of Of that wait
	Error     string     `json:"error,omitempty"`    // the error of the last try
	Fault     fault.Kind `json:"-"`                  // the kind of that error
	Code      string     `json:"code,omitempty"`     // of the brake
	Since     time.Time  `json:"since,omitzero"`     // since when
	Until     time.Time  `json:"until,omitzero"`     // when it ends, or is tried again; zero where that is not known
}

// Beyond is a room above that serves what the engine published, as the trees for rsync. It tells what it does not serve yet, and can be
// asked to do that at once.
type Beyond interface {
	Waits() []Wait
	Hasten()
}

// nothingBeyond is a Beyond that is never behind.
type nothingBeyond struct{}

func (nothingBeyond) Waits() []Wait { return nil }
func (nothingBeyond) Hasten()       {}

// Waits lists everything that is decided and that readers do not see yet. All is settled when the list is empty. What is decided for a
// later date, such as the next step of a key roll or of a transfer, or the end of a lease, is not in it.
func (e *Engine) Waits() []Wait {
	now := time.Now()
	list := e.waitsOfWork()
	for _, registry := range e.repositories.Staged() {
		list = append(list, Wait{Kind: Unpublished, Of: registry, Until: e.repositories.Own()[registry].NextSerialAt().UTC()})
	}
	e.mu.RLock()
	list = slices.Concat(list, e.waitsOfSoak(now), e.waitsOfPeers(now), e.waitsOfOperator(now))
	e.mu.RUnlock()
	list = append(list, e.Beyond.Waits()...)
	for i := range list {
		if list[i].On = list[i].Kind.On(); list[i].Kind == TreeBehind && list[i].Error != "" {
			list[i].On = Operator // it is tried again, but somebody has to make room on the disk
		}
	}
	return list
}

// waitsOfWork lists what the daemon has to do, or cannot do.
func (e *Engine) waitsOfWork() (list []Wait) {
	if e.keeper == nil {
		list = append(list, Wait{Kind: NoDaemon, Fault: fault.Unreachable})
	}
	if err := e.frozen.err(); err != nil {
		list = append(list, Wait{Kind: ClockFrozen, Error: err.Error(), Fault: fault.KindOf(err)})
	}
	if since, err := e.progress.Failing(); err != nil {
		list = append(list, Wait{Kind: Failing, Error: err.Error(), Fault: fault.KindOf(err), Since: since})
	}
	if n := e.agenda.Count(); n > 0 && e.keeper != nil { // without a daemon all are to be planned, whether or not anything changed
		list = append(list, Wait{Kind: InWork, Count: n})
	}
	return list
}

// waitsOfSoak lists what plans put off.
func (e *Engine) waitsOfSoak(now time.Time) (list []Wait) {
	soaking := e.agenda.Soaking(now)
	for _, holder := range slices.Sorted(maps.Keys(soaking)) {
		off := soaking[holder]
		list = append(list, Wait{Kind: Soaking, Of: holder, Since: off.Since.UTC(), Until: off.Soaks.UTC()})
	}
	return list
}

// waitsOfPeers lists what servers, parents and delegated CAs elsewhere have to do. The caller holds the engine's mu.
func (e *Engine) waitsOfPeers(now time.Time) (list []Wait) {
	for _, o := range e.peers.Remotes() {
		if !o.Left && e.Federation.Unsent(o.Name) {
			list = append(list, Wait{Kind: ServerBehind, Of: o.Holder, Error: e.Federation.RemoteFailure(o.Name)})
		}
	}
	for _, p := range e.peers.Parents() {
		if !p.Removed && slices.ContainsFunc(e.issued.Of(p.Holder), func(name issued.Name) bool { a := e.issued.Authority(name); return a != nil && a.Awaits() }) {
			list = append(list, Wait{Kind: ParentSilent, Of: p.Holder, Error: e.Federation.ParentFailure(p.Name)})
		}
	}
	for _, c := range e.peers.Children() {
		holder := c.Holder
		if more := e.unasked(holder); !more.Empty() {
			list = append(list, Wait{Kind: ChildSilent, Of: holder, Resources: more, Since: c.Contact})
		}
		if notice := e.peers.Notice(holder); notice != nil && now.Before(notice.Until) {
			if kept := e.unshed(holder, notice); !kept.Empty() {
				list = append(list, Wait{Kind: ChildSheds, Of: holder, Resources: kept, Until: notice.Until.UTC()})
			}
		}
	}
	return list
}

// unasked is what a delegated CA may have certified and has not asked for. If it asked for a part of a class, the rest is not in it.
func (e *Engine) unasked(holder string) inr.Set {
	var granted []inr.Set
	for _, key := range e.peers.Keys(holder) {
		if key.Limit.AS != nil || key.Limit.IPv4 != nil || key.Limit.IPv6 != nil {
			return inr.Set{}
		}
		granted = append(granted, key.Granted)
	}
	return e.ledger.Holding(holder).Minus(inr.Sum(granted...))
}

// unshed is the resources that a delegated CA's organisation lost and that the CA's certificates still name.
func (e *Engine) unshed(holder string, notice *federation.Notice) inr.Set {
	var kept []inr.Set
	for _, key := range e.peers.Keys(holder) {
		authority := key.Authority
		if a := e.issued.Authority(authority); a != nil {
			kept = append(kept, a.Certified.Intersect(notice.Lost))
		}
	}
	return inr.Sum(kept...)
}

// waitsOfOperator lists what an operator has to do. The caller holds the engine's mu.
func (e *Engine) waitsOfOperator(now time.Time) (list []Wait) {
	for _, r := range e.agenda.Refused() {
		list = append(list, Wait{Kind: Quarantined, Of: r.Holder, Error: r.Err.Error(), Fault: fault.KindOf(r.Err), Since: r.Since.UTC(), Until: r.Until.UTC()})
	}
	if e.keeper != nil && e.anchor == nil {
		if of := e.needsAnchor(now); of != "" {
			list = append(list, Wait{Kind: AnchorNeeded, Of: of, Fault: fault.Secret})
		}
	}
	return append(list, e.ends.waits()...)
}

// needsAnchor is the organisation that needs the trust anchor's key: the root for its certificate, or AnchorHolder for the anchor's
// manifest; empty where the key is not needed. The caller holds the engine's mu.
func (e *Engine) needsAnchor(now time.Time) string {
	view := e.snapshot(now)
	root := e.ledger.Root()
	for _, name := range view.Authorities(root) {
		if view.Parent(name) != issued.Anchor {
			continue
		}
		if is := e.issued.Authority(name); is == nil && !view.Entitled(name).Empty() || is != nil && view.Successor(name).IsZero() && !is.Certified.Equal(view.Entitled(name)) {
			return root
		}
	}
	certified := e.active(issued.Name{Holder: root})
	own, below := e.issued.DueAt(issued.Anchor, true), e.issued.DueAt(certified, true)
	switch {
	case !below.IsZero() && below.Before(e.issued.DueAt(certified, false)) && !now.Before(below):
		return root
	case !own.IsZero() && !now.Before(own):
		return issued.AnchorHolder
	}
	return ""
}

// Err is the wait as an error; nil where it ends by itself.
func (w *Wait) Err() error {
	if w.On != Operator {
		return nil
	}
	switch w.Kind {
	case AnchorNeeded:
		return fault.New(fault.Secret, "the work for %s needs the trust anchor's key, which is offline: start the daemon with --anchor-passphrase-file; all else is published", w.Of)
	case Braked:
		return fault.New(fault.Refused, "the brake holds what was delegated to %s and has ended: look with 'cadastre holdings expire --holder %s --dry-run'; all else is published", w.Of, w.Of)
	case NoDaemon:
		return fault.New(fault.Unreachable, "no daemon runs; start it with 'cadastre serve'")
	}
	return fault.New(w.Fault, "%s", w.Error)
}

// WaitOut waits until readers see all that is decided, over RRDP, over rsync and at servers elsewhere. If all else is done and something
// waits for an operator, it fails with that wait's error. It does not wait for CAs elsewhere: see Waits.
func (e *Engine) WaitOut(ctx context.Context) error {
	for {
		if err := e.Federation.WaitSent(ctx); err != nil {
			return err
		}
		e.Beyond.Hasten()
		list, ours := e.Waits(), false
		for i := range list {
			ours = ours || list[i].On == Ourselves || list[i].On == Server
		}
		if !ours {
			for i := range list {
				if err := list[i].Err(); err != nil {
					return err
				}
			}
			return nil
		}
		timer := time.NewTimer(lookAtWaits)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// lookAtWaits is how often WaitOut looks at what remains.
const lookAtWaits = 200 * time.Millisecond
