package ca

import (
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"sync"
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/peer"
	"cadastre/internal/publication"
	"cadastre/internal/store"
	"cadastre/rrdp"
)

const (
	sendAgain  = 10 * time.Second // after a failure, each time twice as late
	sendLatest = 10 * time.Minute
	lookAgain  = 6 * time.Hour // at what a server has, although nothing changed
)

// sendSoon has what is staged for servers elsewhere sent now.
func (e *Engine) sendSoon() {
	select {
	case e.send <- struct{}{}:
	default:
	}
}

// sender is what is known of one server elsewhere.
type sender struct {
	has   map[string][32]byte // what it has, by URI; nil where it is to be asked
	asked time.Time
}

// senders is all that servers elsewhere are known to have. Each is used by one call at a time.
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

// followOutlets sends what is staged for servers elsewhere until ctx ends.
func (e *Engine) followOutlets(ctx context.Context) {
	known := senders{of: map[string]*sender{}}
	(&rounds{
		names: e.outletNames, again: sendAgain, latest: sendLatest, news: e.send,
		due: func(called string, begun time.Time, _ bool) time.Time {
			if e.mirrors.unsent(called) {
				return time.Time{}
			}
			return begun.Add(lookAgain)
		},
		call: func(ctx context.Context, called string) error {
			s := known.get(called)
			err := e.sendTo(ctx, called, s)
			if err != nil {
				s.has = nil
			}
			if e.said.note("outlet "+called, err) && err != nil {
				e.log.Warn("a publication server elsewhere did not take what was sent; it will be tried again", "server", e.outletURI(called), "error", err)
			}
			return err
		},
	}).run(ctx)
}

func (e *Engine) outletNames() []string {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return slices.Sorted(maps.Keys(e.peers.outlets))
}

func (e *Engine) outletURI(called string) string {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if o := e.peers.outlets[called]; o != nil {
		return o.ServiceURI
	}
	return ""
}

// sendTo brings a server elsewhere to what its mirror has, and then notes in the mirror that it is there.
func (e *Engine) sendTo(ctx context.Context, called string, s *sender) error {
	if s.has == nil || time.Since(s.asked) > lookAgain {
		has, err := e.listAt(ctx, called)
		if err != nil {
			return err
		}
		s.has, s.asked = has, time.Now()
	}
	for ctx.Err() == nil {
		queries, err := e.difference(called, s.has)
		if err != nil {
			return err
		}
		if len(queries) == 0 {
			settled, err := e.sent(called, s.has)
			if err != nil || settled {
				return err
			}
			continue // more came meanwhile
		}
		for _, q := range queries {
			if err := e.publishAt(ctx, called, q); err != nil {
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

// difference is the queries that bring a server from what it has to what its mirror has.
func (e *Engine) difference(called string, has map[string][32]byte) ([]*publication.Query, error) {
	mirror := e.mirrors.repository(called)
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

// sent closes the serial of a mirror, unless something came to it that its server does not have, and has its organisation
// planned for again, for what waited for it.
func (e *Engine) sent(called string, has map[string][32]byte) (bool, error) {
	e.writing.Lock()
	defer e.writing.Unlock()
	mirror := e.mirrors.repository(called)
	n := 0
	for o := range mirror.Live() {
		if hash, there := has[o.URI]; !there || hash != o.Hash {
			return false, nil
		}
		n++
	}
	if n != len(has) {
		return false, nil
	}
	if mirror.Staged() {
		b, err := mirror.Prepare(nil, true)
		if err != nil {
			return false, err
		}
		if err := e.commitBatches([]*rrdp.Batch{b}, nil); err != nil {
			return false, err
		}
		e.askSoon() // a key that is done may be revoked only now
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if o := e.peers.outlets[called]; o != nil {
		e.touch(o.Holder)
	}
	e.poke()
	return true, nil
}

// listAt asks a server elsewhere what it has of ours.
func (e *Engine) listAt(ctx context.Context, called string) (map[string][32]byte, error) {
	reply, err := e.askOutlet(ctx, called, &publication.Query{List: true})
	if err != nil {
		return nil, err
	}
	has := make(map[string][32]byte, len(reply.List))
	for _, o := range reply.List {
		has[o.URI] = o.Hash
	}
	return has, nil
}

func (e *Engine) publishAt(ctx context.Context, called string, q *publication.Query) error {
	reply, err := e.askOutlet(ctx, called, q)
	if err == nil && !reply.Success {
		err = fault.New(fault.BadInput, "the publication server answered neither success nor an error")
	}
	return err
}

// askOutlet sends a query to a server elsewhere. An error that it reports is an error.
func (e *Engine) askOutlet(ctx context.Context, called string, q *publication.Query) (*publication.Reply, error) {
	e.mu.RLock()
	o := e.peers.outlets[called]
	e.mu.RUnlock()
	if o == nil {
		return nil, fault.New(fault.NotFound, "nothing is published at %s any more", called)
	}
	trust, err := envelope.ParseTrust(o.TrustAnchor)
	if err != nil {
		return nil, err
	}
	client := peer.Client{URL: o.ServiceURI, ContentType: publication.ContentType, Self: e.signer, Peer: trust, LastSigned: o.LastSigned, Trace: e.Trace, Name: o.PublisherHandle, HTTP: e.Network}
	text, err := client.Call(ctx, q.XML())
	if err != nil {
		return nil, err
	}
	reply, err := publication.ParseReply(text)
	if err != nil {
		return nil, err
	}
	err = e.changePeers(func(w store.Writer) error {
		now := e.peers.outlets[called]
		if now == nil {
			return nil
		}
		next := *now
		next.LastSigned = client.LastSigned
		e.onCommit(func() { e.peers.outlets[called] = &next })
		return put(w, outletBucket, []byte(called), &next)
	})
	if err == nil && len(reply.Errors) > 0 {
		first := reply.Errors[0]
		err = fault.New(fault.BadInput, "the publication server refused: %s %s", first.Code, first.Text)
	}
	return reply, err
}
