package ca

import (
	"cmp"
	"context"
	"crypto/sha256"
	"maps"
	"path"
	"slices"
	"strings"
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
	queryBytes = 16 << 20      // of objects in one query: half of what servers in use take
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
	has    map[string][32]byte // what it has, by URI; nil where it is to be asked
	asked  time.Time
	next   time.Time
	failed time.Duration
	busy   bool
}

// followOutlets sends what is staged for servers elsewhere until ctx ends, to each by itself, so that one that hangs delays
// nothing.
func (e *Engine) followOutlets(ctx context.Context) {
	senders := map[string]*sender{}
	var mu sync.Mutex
	for ctx.Err() == nil {
		wait := time.Minute
		mu.Lock()
		for _, o := range e.outletsNow() {
			s := senders[o.Name]
			if s == nil {
				s = &sender{}
				senders[o.Name] = s
			}
			now := time.Now()
			switch until := s.next.Sub(now); {
			case s.busy || !e.mirrors.unsent(o.Name) && now.Sub(s.asked) < lookAgain:
			case until > 0:
				wait = min(wait, until)
			default:
				s.busy = true
				go func() {
					err := e.sendTo(ctx, o.Name, s)
					if e.said.note("outlet "+o.Name, err) && err != nil {
						e.log.Warn("a publication server elsewhere did not take what was sent; it will be tried again", "server", o.ServiceURI, "organisation", o.Holder, "error", err)
					}
					mu.Lock()
					defer mu.Unlock()
					s.busy = false
					s.next = time.Time{}
					if err == nil {
						s.failed = 0
					} else {
						s.failed = min(max(sendAgain, 2*s.failed), sendLatest)
						s.next, s.has = time.Now().Add(s.failed), nil
					}
					e.sendSoon()
				}()
			}
		}
		mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-e.send:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

func (e *Engine) outletsNow() []*Outlet {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return slices.Collect(maps.Values(e.peers.outlets))
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

// difference is the queries that bring a server from what it has to what its mirror has. All that changes is in one where
// it fits. Else it goes in an order in which each step is safe: what is new, then for each authority what is replaced
// together with its manifest and CRL, then what goes.
func (e *Engine) difference(called string, has map[string][32]byte) ([]*publication.Query, error) {
	mirror := e.mirrors.repository(called)
	if mirror == nil {
		return nil, fault.New(fault.NotFound, "nothing is published at %s any more", called)
	}
	var fresh, replaced, withdrawn []publication.PDU
	live, size := map[string]bool{}, 0
	var want []string
	for o := range mirror.Live() {
		live[o.URI] = true
		if hash, there := has[o.URI]; !there || hash != o.Hash {
			want = append(want, o.URI)
			size += o.Size
		}
	}
	slices.SortFunc(want, func(a, b string) int {
		return cmp.Or(cmp.Compare(path.Dir(a), path.Dir(b)), cmp.Compare(late(a), late(b)), cmp.Compare(a, b))
	})
	for _, uri := range want {
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
	all := slices.Concat(fresh, replaced, withdrawn)
	if len(all) == 0 {
		return nil, nil
	}
	if size <= queryBytes {
		return []*publication.Query{{PDUs: all}}, nil
	}
	queries := inParts(fresh)
	queries = append(queries, inParts(replaced)...)
	return append(queries, inParts(withdrawn)...), nil
}

// late puts an authority's CRL and manifest behind its other objects.
func late(uri string) int {
	switch {
	case strings.HasSuffix(uri, ".mft"):
		return 2
	case strings.HasSuffix(uri, ".crl"):
		return 1
	}
	return 0
}

// inParts cuts elements into queries that a server takes; what is in one folder stays together as far as it can.
func inParts(pdus []publication.PDU) []*publication.Query {
	var queries []*publication.Query
	q, size := &publication.Query{}, 0
	for i, pdu := range pdus {
		if i > 0 && size+len(pdu.Object) > queryBytes && len(q.PDUs) > 0 {
			queries, q, size = append(queries, q), &publication.Query{}, 0
		}
		q.PDUs = append(q.PDUs, pdu)
		size += len(pdu.Object)
	}
	if len(q.PDUs) > 0 {
		queries = append(queries, q)
	}
	return queries
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
	client := peer.Client{URL: o.ServiceURI, ContentType: publication.ContentType, Self: e.signer, Peer: trust, LastSigned: o.LastSigned, Trace: e.Trace, Name: o.PublisherHandle}
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
