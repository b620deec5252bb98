package federation

import (
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"cadastre/internal/due"
	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/peer"
	"cadastre/internal/publication"
	"cadastre/internal/shares"
	"cadastre/rrdp"
)

const (
	sendAgain  = 10 * time.Second // after a failure; the delay doubles with each further one
	sendLatest = 10 * time.Minute // the longest of these delays
	lookAgain  = 6 * time.Hour    // after so long a server is asked what it has, even if nothing changed
)

// SendSoon has what is staged for servers elsewhere sent now.
func (f *Federation) SendSoon() { f.send.Send() }

// sender is what is known of one server elsewhere.
type sender struct {
	has   map[string][32]byte // SHA-256 of what it has, by URI; nil if the server has to be asked
	asked time.Time           // when it was asked
}

// senders has a sender for each server elsewhere. Only one call at a time uses one of them.
type senders struct {
	mu sync.Mutex
	of map[string]*sender
}

func (s *senders) get(called string) *sender {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[called] == nil {
		s.of[called] = &sender{}
	}
	return s.of[called]
}

// FollowRemotes sends what is staged for servers elsewhere until ctx ends.
func (f *Federation) FollowRemotes(ctx context.Context) {
	known := senders{of: map[string]*sender{}}
	(&due.Poller{
		Names: f.remoteNames, Backoff: due.Backoff{First: sendAgain, Most: sendLatest}, News: f.send,
		Due: func(called string, begun time.Time, _ bool) time.Time {
			if f.mirrors.unsent(called) {
				return time.Time{}
			}
			return begun.Add(lookAgain)
		},
		Call: func(ctx context.Context, called string) error {
			s := known.get(called)
			err := f.sendTo(ctx, called, s)
			if err != nil {
				s.has = nil
			}
			defer f.sending.Beat()
			if f.failures.note("remote "+called, err) && err != nil {
				f.log.Warn("a publication server elsewhere did not take what was sent; it will be tried again", "server", f.remoteURI(called), "error", err)
			}
			return err
		},
	}).Run(ctx)
}

// SendStaged sends what is staged for servers elsewhere, with one try each. It is for a caller that does not use Run, as serve --once.
func (f *Federation) SendStaged(ctx context.Context) error {
	var failed error
	for _, called := range f.remoteNames() {
		if !f.mirrors.unsent(called) {
			continue
		}
		err := f.sendTo(ctx, called, &sender{})
		f.failures.note("remote "+called, err)
		failed = errors.Join(failed, fault.Wrap(err, "the publication server %s does not have what was signed", f.remoteURI(called)))
	}
	return failed
}

// remoteNames lists the mirrors of servers elsewhere that have, or are to have, objects of ours.
func (f *Federation) remoteNames() []string {
	var names []string
	for _, o := range f.Peers.Remotes() {
		if !o.Left {
			names = append(names, o.Name)
		}
	}
	return names
}

func (f *Federation) remoteURI(called string) string {
	if o := f.Peers.Remote(called); o != nil {
		return o.ServiceURI
	}
	return ""
}

// sendTo sends a server elsewhere what it lacks of its mirror, and then closes the mirror's serial. It goes by what the server had when
// it was last asked. If the server refuses that, it is asked again what it has: it may have lost objects, or be another server.
func (f *Federation) sendTo(ctx context.Context, called string, s *sender) error {
	if s.has != nil && time.Since(s.asked) <= lookAgain {
		err := f.bringTo(ctx, called, s)
		if err == nil || fault.KindOf(err) == fault.Unreachable {
			return err
		}
	}
	has, err := f.listAt(ctx, called)
	if err != nil {
		return err
	}
	s.has, s.asked = has, time.Now()
	return f.bringTo(ctx, called, s)
}

// bringTo sends a server elsewhere the difference between what it is known to have and what its mirror has.
func (f *Federation) bringTo(ctx context.Context, called string, s *sender) error {
	for ctx.Err() == nil {
		queries, err := f.difference(called, s.has)
		if err != nil {
			return err
		}
		if len(queries) == 0 {
			settled, err := f.closeSent(called, s.has)
			if err != nil || settled {
				return err
			}
			continue // more came meanwhile
		}
		for _, q := range queries {
			if err := f.publishAt(ctx, called, q); err != nil {
				return err
			}
			for _, pdu := range q.PDUs {
				if pdu.Withdraw {
					delete(s.has, pdu.URI)
				} else {
					s.has[pdu.URI] = sha256.Sum256(pdu.Object) // the mirror may have another by now
				}
			}
		}
	}
	return ctx.Err()
}

// difference makes the queries after which a server has what its mirror has.
func (f *Federation) difference(called string, has map[string][32]byte) ([]*publication.Query, error) {
	mirror := f.mirrors.repository(called)
	if mirror == nil {
		return nil, fault.New(fault.NotFound, "nothing is published at %s any more", called)
	}
	var fresh, replaced, withdrawn []publication.PDU
	live := map[string]bool{}
	var want []string
	for o := range mirror.Live() {
		live[o.URI] = true
		if hash, there := has[o.URI]; !there || hash != o.Hash {
			want = append(want, o.URI)
		}
	}
	for _, uri := range slices.Sorted(slices.Values(want)) {
		object, ok := mirror.Get(uri)
		if !ok {
			return nil, fault.New(fault.Corrupt, "the object for %s is not there", uri)
		}
		pdu := publication.PDU{URI: uri, Object: object}
		if hash, there := has[uri]; there {
			pdu.Hash = &hash
			replaced = append(replaced, pdu)
		} else {
			fresh = append(fresh, pdu)
		}
	}
	for _, uri := range slices.Sorted(maps.Keys(has)) {
		if hash := has[uri]; !live[uri] {
			withdrawn = append(withdrawn, publication.PDU{URI: uri, Hash: &hash, Withdraw: true})
		}
	}
	return inOrder(fresh, replaced, withdrawn, queryBytes), nil
}

// closeSent closes the serial of a mirror, unless something was committed to it that its server does not have. Then the engine plans
// for its organisation again, since parts of a plan may have waited for the server.
func (f *Federation) closeSent(called string, has map[string][32]byte) (bool, error) {
	mirror := f.mirrors.repository(called)
	there := func() bool {
		n := 0
		for o := range mirror.Live() {
			if hash, there := has[o.URI]; !there || hash != o.Hash {
				return false
			}
			n++
		}
		return n == len(has)
	}
	staged := mirror.Staged()
	closed, err := f.host.CloseMirror(mirror, there)
	if !closed || err != nil {
		return false, err
	}
	if staged {
		f.AskSoon() // a key that is done may be revoked only now
	}
	return true, f.host.Change(func(tx *Tx) error {
		o := f.Peers.Remote(called)
		if o == nil {
			return nil
		}
		if !o.Current && len(has) == 0 && !f.host.PublishesAt(called) {
			left := *o
			left.Left = true
			return tx.PutRemote(&left)
		}
		tx.Touch(o.Holder)
		return nil
	})
}

// sentWithin is how long WaitSent waits for servers elsewhere.
const sentWithin = 30 * time.Second

// WaitSent returns when all decisions so far are published, here and at servers elsewhere. It fails with Unreachable if such a server
// did not take what was sent, or does not answer within half a minute.
func (f *Federation) WaitSent(ctx context.Context) error {
	timer := time.NewTimer(sentWithin)
	defer timer.Stop()
	for {
		beat := f.sending.Next()
		if err := f.host.WaitIdle(ctx); err != nil {
			return err
		}
		called, why := f.unsentAt()
		switch {
		case called == "":
			return nil
		case why != "":
			return fault.New(fault.Unreachable, "all is decided and published here, and the server of %s elsewhere does not have it yet: %s", called, why)
		}
		select {
		case <-beat:
		case <-timer.C:
			return fault.New(fault.Unreachable, "all is decided and published here, and the server of %s elsewhere did not answer within %s; it will be asked again", called, sentWithin)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// unsentAt finds an organisation whose server elsewhere does not have all of it yet, and the last error of that server. Servers without
// an error come first, so why is empty as long as there is one of them.
func (f *Federation) unsentAt() (holder, why string) {
	for _, o := range f.Peers.Remotes() {
		if o.Left || !f.Unsent(o.Name) {
			continue
		}
		if failed := f.RemoteFailure(o.Name); holder == "" || failed == "" {
			holder, why = o.Holder, failed
		}
	}
	return holder, why
}

// listAt asks a server elsewhere what it has of ours.
func (f *Federation) listAt(ctx context.Context, called string) (map[string][32]byte, error) {
	reply, err := f.askRemote(ctx, called, &publication.Query{List: true})
	if err != nil {
		return nil, err
	}
	has := make(map[string][32]byte, len(reply.List))
	for _, o := range reply.List {
		has[o.URI] = o.Hash
	}
	return has, nil
}

func (f *Federation) publishAt(ctx context.Context, called string, q *publication.Query) error {
	reply, err := f.askRemote(ctx, called, q)
	if err == nil && !reply.Success {
		err = fault.New(fault.BadInput, "the publication server answered neither success nor an error")
	}
	return err
}

// longestReply is how many octets the reply of a server elsewhere may have: 4 MiB, 1 KiB for each object that a list of ours can name
// (RFC 8181, section 2.3), and the query, which its errors may repeat (section 2.5).
func (f *Federation) longestReply(called string, query int) int64 {
	longest := int64(maxUpDown + 2*query)
	if mirror := f.mirrors.repository(called); mirror != nil {
		longest += int64(mirror.Objects()) << 10
	}
	return min(longest, maxPublication)
}

// askRemote sends a query to a server elsewhere. A report_error in the reply becomes an error.
func (f *Federation) askRemote(ctx context.Context, called string, q *publication.Query) (*publication.Reply, error) {
	o := f.Peers.Remote(called)
	if o == nil {
		return nil, fault.New(fault.NotFound, "nothing is published at %s any more", called)
	}
	trust, err := envelope.ParseTrust(o.TrustAnchor)
	if err != nil {
		return nil, err
	}
	query := q.XML()
	client := peer.Client{URL: o.ServiceURI, ContentType: publication.ContentType, Peer: trust, Heard: o.Heard, Trace: f.Trace, Name: o.PublisherHandle, HTTP: f.Network}
	client.Who, client.MaxReply = shares.Principal{Kind: shares.Server, Name: called}, f.longestReply(called, len(query))
	text, err := f.callPeer(ctx, PeerName("server", called), &client, query)
	if err != nil {
		return nil, err
	}
	var reply *publication.Reply
	took := shares.Measure(func() { reply, err = publication.ParseReply(text) })
	f.Shares.Ledger.Charge(client.Who, shares.CPU, took.Seconds())
	if err != nil {
		return nil, err
	}
	err = f.host.Change(func(tx *Tx) error {
		now := f.Peers.Remote(called)
		if now == nil {
			return nil
		}
		next := *now
		next.Heard = client.Heard
		return tx.NoteRemote(&next)
	})
	if err == nil && len(reply.Errors) > 0 {
		first := reply.Errors[0]
		err = fault.New(fault.BadInput, "the publication server refused: %s %s", first.Code, first.Text)
	}
	return reply, err
}

// Unsent tells whether something of a mirror, by its name, has not reached the server.
func (f *Federation) Unsent(mirror string) bool { return f.mirrors.unsent(mirror) }

// Mirror is the mirror of a remote repository, by its name: what is to be published there. It is nil where there is none.
func (f *Federation) Mirror(name string) *rrdp.Repository { return f.mirrors.repository(name) }

// MirrorOf is the name of the mirror in which a URI lies, empty where there is none.
func (f *Federation) MirrorOf(uri string) string { return f.mirrors.of(uri) }

// RemoteFailure is the error of the last call on a remote repository, by its mirror's name; empty if it succeeded.
func (f *Federation) RemoteFailure(mirror string) string { return f.failures.of("remote " + mirror) }

// ParentFailure is the error of the last call on a parent; empty if it succeeded.
func (f *Federation) ParentFailure(called string) string { return f.failures.of("parent " + called) }
