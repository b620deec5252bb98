package moves

import (
	"context"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/due"
	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/peer"
	"cadastre/internal/shares"
	"cadastre/internal/transferwire"
	"cadastre/roa"
)

const (
	askFirst    = 10 * time.Second // how often the source asks how far the other side is, while a transfer is young
	askLater    = time.Minute
	young       = 10 * time.Minute
	askSpaced   = 200 * time.Millisecond // at the least, for each transfer that is open with a peer
	callAgain   = time.Hour              // the recipient's side calls again so long after the last exchange
	reportHolds = 5 * time.Minute        // the source finalises only with a report of the other side that is no older than this
)

// afterFailure is how long a peer, and what is to be said about one transfer, rest after a call that failed.
var afterFailure = due.Backoff{First: 10 * time.Second, Most: 10 * time.Minute}

// senders send reports to peers. There is one sender for each peer, and each runs in a goroutine of its own: a peer that does not
// answer delays no other.
type senders struct {
	mu sync.Mutex
	of map[string]*sender
}

type sender struct {
	turn      due.Turn
	failed    string // the error of the last call; empty if it succeeded
	exchanges map[uint64]*exchanged
}

// exchanged is the state of the exchange about one transfer.
type exchanged struct {
	said [sha256.Size]byte // the report that the other side has
	at   time.Time         // when it got it
	turn due.Turn
}

func (c *senders) sender(name string) *sender {
	if c.of == nil {
		c.of = map[string]*sender{}
	}
	if c.of[name] == nil {
		c.of[name] = &sender{exchanges: map[uint64]*exchanged{}}
	}
	return c.of[name]
}

func (c *sender) exchanged(id uint64) *exchanged {
	if c.exchanges[id] == nil {
		c.exchanges[id] = &exchanged{}
	}
	return c.exchanges[id]
}

// failure is the error of the last call to a peer; empty if it succeeded.
func (c *senders) failure(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.of[name]; one != nil {
		return one.failed
	}
	return ""
}

// recall ends the delays after failures, so that a peer is called again at once. It is for when the peer has called us, or its record
// has changed.
func (m *Mover) recall(name string) {
	c := &m.senders
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.sender(name)
	one.turn.Pardon()
	for _, e := range one.exchanges {
		e.turn.Pardon()
	}
	m.poke()
}

// correspond starts the calls to peers that are due, and returns when the next one will be.
func (m *Mover) correspond(ctx context.Context, open []*holdings.Transfer, now time.Time) (time.Time, error) {
	if _, err := m.engine.Federation.Signer(""); err != nil {
		return time.Time{}, nil //nolint:nilerr // before the keys are open nothing is sent
	}
	number, called := map[string]int{}, map[string][]uint64{}
	for _, t := range open {
		if !t.Local() {
			number[t.Peer]++
		}
	}
	var next time.Time
	for _, t := range open {
		if t.Local() || m.unready(t, now) || m.distrusted(t.Peer) {
			continue
		}
		at, err := m.dueAt(t, number[t.Peer], now)
		switch {
		case err != nil:
			return time.Time{}, err
		case !at.After(now):
			called[t.Peer] = append(called[t.Peer], t.ID)
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	for name, ids := range called {
		c := &m.senders
		c.mu.Lock()
		if c.sender(name).turn.Begin(now) {
			m.background.start(func() { m.carry(ctx, name, ids) })
		}
		c.mu.Unlock()
	}
	return next, nil
}

// unready tells whether the other installation is not to be told of an outgoing transfer yet, since the registry here may still object.
func (m *Mover) unready(t *holdings.Transfer, now time.Time) (yes bool) {
	if !t.Outgoing() || t.State != holdings.Initiated {
		return false
	}
	_ = m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		yes = !sourceReady(l, t, now) && t.Parked() == ""
		return nil
	})
	return yes
}

// dueAt is when the other side of a transfer is to be called next. Open is how many transfers are under way with it.
func (m *Mover) dueAt(t *holdings.Transfer, open int, now time.Time) (time.Time, error) {
	report, err := m.report(t.ID)
	if err != nil {
		return time.Time{}, err
	}
	w, err := m.peerReportOf(t.Peer, t.Ref)
	if err != nil {
		return time.Time{}, err
	}
	m.senders.mu.Lock()
	defer m.senders.mu.Unlock()
	c := m.senders.sender(t.Peer)
	e := c.exchanged(t.ID)
	at := now
	switch {
	case w != nil && w.Unsure:
		at = w.Heard.Add(2 * time.Second) // signed in another second, it is newer for certain
	case e.said == sha256.Sum256(report.XML()):
		at = e.at.Add(m.patience(t, w, open, e, now))
	}
	return issued.Later(at, issued.Later(c.turn.Resume(), e.turn.Resume())), nil
}

// patience is how long after the last exchange our side calls again if its report has not changed.
func (m *Mover) patience(t *holdings.Transfer, w *peerReport, open int, e *exchanged, now time.Time) time.Duration {
	wait := askLater
	switch since := heardSince(t, now); {
	case t.Incoming():
		wait = callAgain
	case e.at.Before(since) && (w == nil || w.Heard.Before(since)):
		return 0
	case now.Sub(t.Steps[len(t.Steps)-1].At) < young:
		wait = askFirst
	}
	return max(wait, time.Duration(open)*askSpaced)
}

// carry calls a peer about some transfers, one after the other, until one call fails.
func (m *Mover) carry(ctx context.Context, name string, ids []uint64) {
	defer m.poke()
	for _, id := range ids {
		said, err := m.exchange(ctx, name, id)
		if ctx.Err() != nil {
			break
		}
		if !m.noteCall(name, id, said, err) {
			return
		}
	}
	m.senders.mu.Lock()
	defer m.senders.mu.Unlock()
	m.senders.sender(name).turn.End(time.Now(), nil, afterFailure)
}

// noteCall notes how a call about a transfer ended, and tells whether it went well. One that failed is the last of its turn. Of several
// failures in a row the first is logged.
func (m *Mover) noteCall(name string, id uint64, said [sha256.Size]byte, err error) (well bool) {
	m.senders.mu.Lock()
	defer m.senders.mu.Unlock()
	c := m.senders.sender(name)
	e := c.exchanged(id)
	if err == nil {
		*e = exchanged{said: said, at: time.Now()}
		c.turn.Pardon()
		c.failed = ""
		return true
	}
	if !c.turn.Failed() {
		m.log.Warn("another installation could not be told how a transfer stands; it will be called again", "name", name, "transfer", id, "error", err)
	}
	c.failed = err.Error()
	e.turn.End(time.Now(), err, afterFailure)
	c.turn.End(time.Now(), err, afterFailure)
	return false
}

// exchange sends our report about a transfer, takes the peer's report from the answer, and follows it. It returns the SHA-256 of the
// report that was sent.
func (m *Mover) exchange(ctx context.Context, name string, id uint64) (said [sha256.Size]byte, err error) {
	p, err := m.peer(name)
	if err != nil {
		return said, err
	}
	report, err := m.report(id)
	if err != nil {
		return said, err
	}
	client, err := m.client(p)
	if err != nil {
		return said, err
	}
	text := report.XML()
	reply, err := m.engine.Federation.Call(ctx, name, client, text)
	if err != nil {
		return said, err
	}
	answer, err := transferwire.Parse(reply)
	if err != nil {
		return said, err
	}
	_, ours := report.(*transferwire.Source)
	source, theirs := answer.(*transferwire.Source)
	if ours == theirs || answer.Subject() != report.Subject() {
		return said, fault.New(fault.BadInput, "%s answered about another transfer, or for the wrong side of it", name)
	}
	m.merging.Lock()
	defer m.merging.Unlock()
	if p, err = m.peer(name); err == nil {
		err = p.heard()
	}
	if err != nil {
		return said, err
	}
	if theirs {
		if err := m.checkSource(p, source); err != nil {
			return said, err
		}
	}
	if err := m.hear(name, answer, client.Stamp, false); err != nil {
		return said, err
	}
	err = m.record(report.Subject(), Out, text, client.Sent, client.Self.Certificate())
	if err == nil {
		err = m.record(report.Subject(), In, reply, client.Got, client.Peer.Certificate())
	}
	if err != nil {
		return said, err
	}
	return sha256.Sum256(text), m.follow(ctx, id)
}

// client makes the client for a call to a peer. There our handle is the identifier of our key.
func (m *Mover) client(p *Peer) (*peer.Client, error) {
	_, trust, err := handleOf(p.TrustAnchor)
	if err != nil {
		return nil, err
	}
	return &peer.Client{
		URL: p.ServiceURI, ByKey: true, ContentType: transferwire.ContentType, Peer: trust, Heard: p.replies(),
		Trace: m.Trace, Name: p.Name, MaxReply: maxSigned, HTTP: m.HTTP,
	}, nil
}

// maxSigned has room for the CMS around a message.
const maxSigned = transferwire.MaxMessage + 64<<10

// Doors is the HTTP handler for messages of other installations, at /transfers/HANDLE. It fails with Internal before the keys are open.
// Refused, which may be nil, is called for each message that is not answered.
func (m *Mover) Doors(refused func(handle, why string)) (http.Handler, error) {
	if _, err := m.engine.Federation.Signer(""); err != nil {
		return nil, err
	}
	door := &peer.Door{
		ContentType: transferwire.ContentType, MaxBody: maxSigned, Serial: true, Trace: m.Trace, Log: m.log, Refused: refused,
		Memory: m.engine.Federation.Shares.Memory, Shares: m.engine.Federation.Shares.Ledger, Kind: shares.Installation,
		Find: func(handle string) (*peer.Caller, bool) {
			p, known := m.findPeer(handle)
			if !known {
				return nil, false
			}
			_, trust, err := handleOf(p.TrustAnchor)
			if err != nil {
				return nil, false
			}
			self, err := m.engine.Federation.Signer(p.Name)
			return &peer.Caller{Handle: handle, Trust: trust, Heard: p.calls(), Self: self}, err == nil
		},
		Answer: m.answer, Keep: m.keepAnswered,
	}
	mux := http.NewServeMux()
	door.Mount(mux, "/transfers/")
	return mux, nil
}

// answer takes the report of another installation, follows it, and answers with ours. The signature has been checked before.
func (m *Mover) answer(ctx context.Context, handle string, content []byte, stamp peer.Stamp) ([]byte, error) {
	if m.engine.Frozen() != nil {
		return nil, fault.New(fault.Clock, "nothing is decided here for now, because the clock is in doubt; come again")
	}
	if err := m.engine.Federation.Shares.Disk.Guests(); err != nil {
		return nil, err
	}
	message, err := transferwire.Parse(content)
	if err != nil {
		return nil, err
	}
	m.merging.Lock()
	defer m.merging.Unlock()
	defer func(begun time.Time) {
		who := shares.Principal{Kind: shares.Installation, Name: handle}
		m.engine.Federation.Shares.Ledger.Charge(who, shares.CPU, time.Since(begun).Seconds()) // nothing else is done meanwhile
	}(time.Now())
	p, known := m.findPeer(handle)
	if !known {
		return nil, fault.New(fault.NotFound, "no peer of this handle is registered here")
	}
	if err := p.heard(); err != nil {
		return nil, err
	}
	reply, err := m.replyTo(context.WithoutCancel(ctx), p, message, stamp)
	if err != nil {
		return nil, err
	}
	return reply.XML(), nil
}

// keepAnswered keeps a message and our reply to it as evidence, if the transfer is known here.
func (m *Mover) keepAnswered(caller *peer.Caller, message *envelope.Message, reply, signed []byte) error {
	said, err := transferwire.Parse(reply)
	if err != nil {
		return err
	}
	p, known := m.findPeer(caller.Handle)
	if !known {
		return nil
	}
	_, comes := said.(*transferwire.Recipient)
	if id, err := m.find(p.Name, said.Subject(), comes); err != nil || id == 0 {
		return err
	}
	if err := m.record(said.Subject(), In, message.Content, message.Octets, caller.Trust.Certificate()); err != nil {
		return err
	}
	return m.record(said.Subject(), Out, reply, signed, caller.Self.Certificate())
}

// replyTo takes a report of another installation, follows it, and returns our own report. If the report is about a transfer that comes
// here and is not known yet, the transfer begins. If it cannot begin, nothing is kept.
func (m *Mover) replyTo(ctx context.Context, p *Peer, message transferwire.Message, stamp peer.Stamp) (transferwire.Message, error) {
	source, comes := message.(*transferwire.Source)
	if comes {
		if err := m.checkSource(p, source); err != nil {
			return nil, err
		}
	}
	id, err := m.find(p.Name, message.Subject(), comes)
	switch {
	case err != nil:
		return nil, err
	case id == 0 && comes:
		var none *transferwire.Recipient
		if id, none, err = m.beginIncoming(p, source); err != nil || none != nil {
			return none, err
		}
	case id == 0:
		return nil, fault.New(fault.NotFound, "the transfer %s did not begin here", message.Subject())
	}
	if err := m.hear(p.Name, message, stamp, true); err != nil {
		return nil, err
	}
	m.recall(p.Name)
	if err := m.follow(ctx, id); err != nil {
		return nil, err
	}
	report, err := m.report(id)
	if err != nil {
		return nil, err
	}
	if comes { // if this reply is lost, the source asks again
		m.senders.mu.Lock()
		m.senders.sender(p.Name).exchanged(id).said = sha256.Sum256(report.XML())
		m.senders.sender(p.Name).exchanged(id).at = time.Now()
		m.senders.mu.Unlock()
	}
	return report, nil
}

// find is the number of the transfer with a ref and a peer that comes here, or does not; 0 where there is none.
func (m *Mover) find(name, ref string, comes bool) (id uint64, err error) {
	err = m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		if t := l.TransferByRef(ref); t != nil && t.Peer == name && t.Incoming() == comes {
			id = t.ID
		}
		return nil
	})
	return id, err
}
