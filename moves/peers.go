package moves

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"cadastre/holdings"
	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/peer"
	"cadastre/internal/store"
	"cadastre/internal/transferwire"
	"cadastre/roa"
)

// peerBucket keeps the other installations that resources move to and come from, as JSON by name.
var peerBucket = store.Declare("registry-peer", "moves", store.Deposited)

// Peer is another installation that resources may move to or come from.
type Peer struct {
	Name        string    `json:"name"` // our name for it
	ServiceURI  string    `json:"service_uri"`
	Registries  []string  `json:"registries"` // that it keeps
	TrustAnchor []byte    `json:"trust_anchor"`
	TAL         string    `json:"tal"`
	TLSRoots    string    `json:"tls_roots,omitempty"`
	Added       time.Time `json:"added"`
	// Called and Answered are the signing times of its newest call and of its newest reply. Older ones are refused.
	Called   time.Time `json:"called,omitzero"`
	Answered time.Time `json:"answered,omitzero"`
	// Distrusted is since when an operator distrusts it, zero where it is trusted. DistrustedFor is the reason.
	Distrusted    time.Time `json:"distrusted,omitzero"`
	DistrustedFor string    `json:"distrusted_for,omitempty"`
	// CalledSeen and AnsweredSeen are digests of the calls and replies with these signing times: none is taken twice.
	CalledSeen   []peer.Digest `json:"called_seen,omitempty"`
	AnsweredSeen []peer.Digest `json:"answered_seen,omitempty"`
}

// calls and replies are what was heard of a peer, as values of package peer.
func (p *Peer) calls() peer.Heard   { return peer.Heard{LastSigned: p.Called, Seen: p.CalledSeen} }
func (p *Peer) replies() peer.Heard { return peer.Heard{LastSigned: p.Answered, Seen: p.AnsweredSeen} }

// note keeps that a call of a peer has come, or a reply.
func (p *Peer) note(stamp peer.Stamp, called bool) {
	if called {
		h := p.calls().With(stamp)
		p.Called, p.CalledSeen = h.LastSigned, h.Seen
	} else {
		h := p.replies().With(stamp)
		p.Answered, p.AnsweredSeen = h.LastSigned, h.Seen
	}
}

func (p *Peer) forget() {
	p.Called, p.Answered, p.CalledSeen, p.AnsweredSeen = time.Time{}, time.Time{}, nil, nil
}

// PeerStatus is the status of a peer, for people.
type PeerStatus struct {
	Peer
	Handle          string    `json:"handle"` // what it calls itself in its messages to us
	IdentityExpires time.Time `json:"identity_expires"`
	Contact         time.Time `json:"contact,omitzero"` // its newest message
	Open            int       `json:"open"`             // transfers with it that are under way
	Error           string    `json:"error,omitempty"`  // of the last call
}

// contacts is all peers. A record is replaced, never changed.
type contacts struct {
	mu     sync.Mutex // held while a record is changed in the store, too
	loaded bool
	byName map[string]*Peer
	byKey  map[string]*Peer // by the handle in their messages
}

var peerPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// handleOf is the handle, in messages, of an installation with an identity. It is made of the identity's key, so both sides know it.
func handleOf(identity []byte) (string, *envelope.Trust, error) {
	trust, err := envelope.ParseTrust(identity)
	if err != nil {
		return "", nil, err
	}
	return hex.EncodeToString(trust.KeyID()), trust, nil
}

// load reads the peers from the store the first time. The caller holds c.mu.
func (c *contacts) load(look func(func(store.Reader) error) error) error {
	if c.loaded {
		return nil
	}
	byName, byKey := map[string]*Peer{}, map[string]*Peer{}
	err := look(func(r store.Reader) error {
		for record, err := range r.Scan(peerBucket, nil) {
			if err != nil {
				return err
			}
			p := &Peer{}
			if err := json.Unmarshal(record.Value, p); err != nil {
				return fault.New(fault.Corrupt, "the record of the registry %s is damaged (%w): restore the store from a backup", record.Key, err)
			}
			handle, _, err := handleOf(p.TrustAnchor)
			if err != nil {
				return err
			}
			byName[p.Name], byKey[handle] = p, p
		}
		return nil
	})
	if err == nil {
		c.byName, c.byKey, c.loaded = byName, byKey, true
	}
	return err
}

// peer is the record of a peer, by its name. It fails with NotFound.
func (m *Mover) peer(name string) (*Peer, error) {
	m.contacts.mu.Lock()
	defer m.contacts.mu.Unlock()
	if err := m.contacts.load(m.engine.Kept); err != nil {
		return nil, err
	}
	if p := m.contacts.byName[name]; p != nil {
		return p, nil
	}
	return nil, fault.New(fault.NotFound, "no installation %q is known; 'cadastre registries list' shows those that are", name)
}

// findPeer finds a peer by its handle in messages.
func (m *Mover) findPeer(handle string) (*Peer, bool) {
	m.contacts.mu.Lock()
	defer m.contacts.mu.Unlock()
	if m.contacts.load(m.engine.Kept) != nil {
		return nil, false
	}
	p := m.contacts.byKey[handle]
	return p, p != nil
}

// changePeer replaces a peer's record, in one transaction with what also writes. The change is durable before anybody sees it. Change
// gets a copy of the record, nil where there is none, and returns the new one; nil removes it.
func (m *Mover) changePeer(name string, change func(was *Peer) (*Peer, error), also ...func(store.Writer) error) error {
	c := &m.contacts
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.load(m.engine.Kept); err != nil {
		return err
	}
	var was *Peer
	old := c.byName[name]
	if old != nil {
		p := *old
		was = &p
	}
	next, err := change(was)
	if err != nil {
		return err
	}
	handle := ""
	if next != nil {
		if handle, _, err = handleOf(next.TrustAnchor); err != nil {
			return err
		}
		if other := c.byKey[handle]; other != nil && other.Name != name {
			return fault.New(fault.Conflict, "that installation is known already, as %s; use 'cadastre registries update %s'", other.Name, other.Name)
		}
	}
	err = m.engine.Keep(func(w store.Writer) error {
		for _, do := range also {
			if err := do(w); err != nil {
				return err
			}
		}
		if next == nil {
			return w.Delete(peerBucket, []byte(name))
		}
		text, err := json.Marshal(next)
		if err != nil {
			return err
		}
		return w.Put(peerBucket, []byte(name), text)
	})
	if err != nil {
		return fault.Wrap(err, "couldn't record what is known of %s", name)
	}
	maps.DeleteFunc(c.byKey, func(_ string, p *Peer) bool { return p == old })
	if delete(c.byName, name); next != nil {
		c.byName[name], c.byKey[handle] = next, next
	}
	return nil
}

// Introduce makes our introduction to other installations. Tal is empty for our own trust anchor. If registries here are certified below
// another one, it is the TAL of that: others look there for what we publish. Roots are certificates of TLS authorities, in PEM, that
// others do not know, besides the one that 'cadastre init' made.
func (m *Mover) Introduce(tal, roots string) ([]byte, error) {
	identity, err := m.engine.Federation.Introduction()
	if err != nil {
		return nil, err
	}
	own, err := m.engine.Federation.PrivateTLS()
	if err != nil {
		return nil, err
	}
	if tal == "" {
		tal, err = m.engine.TAL()
	} else {
		err = m.engine.CheckTAL(tal)
	}
	if err != nil {
		return nil, err
	}
	if roots != "" {
		if err := checkRoots(roots); err != nil {
			return nil, err
		}
	}
	i := transferwire.Introduction{ServiceURI: m.engine.Federation.ServiceBase() + "transfers/", TrustAnchor: identity, TAL: tal, TLSRoots: own + roots}
	err = m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		i.Registries, i.Name = registriesHere(l), l.Root()
		return nil
	})
	if err == nil && len(i.Registries) == 0 {
		err = fault.New(fault.NotFound, "there is no registry here that resources could move to or come from; add one with 'cadastre organisations add'")
	}
	if err != nil {
		return nil, err
	}
	if len(i.Registries) == 1 {
		i.Name = i.Registries[0]
	}
	return i.XML(), nil
}

// peerNames lists the names of the installations that are known, sorted.
func (m *Mover) peerNames() []string {
	m.contacts.mu.Lock()
	defer m.contacts.mu.Unlock()
	if m.contacts.load(m.engine.Kept) != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(m.contacts.byName))
}

// registriesHere lists the handles of the RIRs and NIRs of the ledger, sorted.
func registriesHere(l *holdings.Ledger) []string {
	var list []string
	for _, h := range l.Organisations() {
		if o, _ := l.Organisation(h); o.Kind == holdings.RIR || o.Kind == holdings.NIR {
			list = append(list, h)
		}
	}
	return list
}

// AddPeer adds another installation by its introduction, and returns the name that it has here. Without a name it is the one in the
// introduction.
func (m *Mover) AddPeer(by holdings.By, name string, introduction []byte) (string, error) {
	i, err := m.readIntroduction(introduction)
	if err != nil {
		return "", err
	}
	if name == "" {
		name = strings.ReplaceAll(i.Name, ".", "-")
	}
	if !peerPattern.MatchString(name) {
		return "", fault.New(fault.BadInput, "%q is no name for an installation: use up to 40 small letters, digits and -", name)
	}
	err = m.changePeer(name, func(was *Peer) (*Peer, error) {
		if was != nil {
			return nil, fault.New(fault.Conflict, "%s is known already; choose another name, or use 'cadastre registries update %s'", name, name)
		}
		if err := m.checkRegistries(name, i); err != nil {
			return nil, err
		}
		return introduced(&Peer{Name: name, Added: by.Time.UTC()}, i), nil
	})
	if err == nil {
		m.log.Info("another installation is known", "name", name, "registries", i.Registries, "actor", by.Who, "reason", by.Reason)
	}
	return name, err
}

// UpdatePeer takes a new introduction of an installation that is known.
func (m *Mover) UpdatePeer(by holdings.By, name string, introduction []byte) error {
	i, err := m.readIntroduction(introduction)
	if err != nil {
		return err
	}
	err = m.changeKnown(name, func(p *Peer) error {
		if err := m.checkRegistries(name, i); err != nil {
			return err
		}
		introduced(p, i)
		return nil
	})
	if err == nil {
		m.log.Info("another installation is known anew", "name", name, "registries", i.Registries, "actor", by.Who, "reason", by.Reason)
		m.recall(name)
	}
	return err
}

// ResetPeer forgets when an installation signed its newest messages. It is for one whose clock was ahead: its messages are taken again.
func (m *Mover) ResetPeer(by holdings.By, name string) error {
	err := m.changeKnown(name, func(p *Peer) error {
		p.forget()
		return nil
	})
	if err == nil {
		m.recall(name)
		m.log.Info("older messages of another installation are taken again", "name", name, "actor", by.Who, "reason", by.Reason)
	}
	return err
}

func (m *Mover) changeKnown(name string, change func(*Peer) error, also ...func(store.Writer) error) error {
	return m.changePeer(name, func(p *Peer) (*Peer, error) {
		if p == nil {
			return nil, fault.New(fault.NotFound, "no installation %q is known; 'cadastre registries list' shows those that are", name)
		}
		return p, change(p)
	}, also...)
}

// RemovePeer removes an installation. It fails with Conflict while transfers with it are open, since they could never end.
func (m *Mover) RemovePeer(by holdings.By, name string) error {
	err := m.changePeer(name, func(p *Peer) (*Peer, error) {
		if p == nil {
			return nil, fault.New(fault.NotFound, "no installation %q is known; 'cadastre registries list' shows those that are", name)
		}
		open, err := m.openWith(name)
		if err == nil && len(open) > 0 {
			err = fault.New(fault.Conflict, "transfer %d with %s is not over; cancel or finish it first", open[0], name)
		}
		return nil, err
	})
	if err == nil {
		m.log.Info("another installation is not known any more", "name", name, "actor", by.Who, "reason", by.Reason)
	}
	return err
}

// openWith lists the transfers with a peer that are not done.
func (m *Mover) openWith(name string) (open []uint64, err error) {
	err = m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		for _, t := range l.Unrest() {
			if t.Peer == name {
				open = append(open, t.ID)
			}
		}
		return nil
	})
	return open, err
}

// Peers lists the installations that are known, by name.
func (m *Mover) Peers() ([]PeerStatus, error) {
	m.contacts.mu.Lock()
	err := m.contacts.load(m.engine.Kept)
	known := maps.Clone(m.contacts.byName)
	m.contacts.mu.Unlock()
	if err != nil {
		return nil, err
	}
	list := []PeerStatus{}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		s, err := m.peerStatus(known[name])
		if err != nil {
			return nil, err
		}
		list = append(list, *s)
	}
	return list, nil
}

// ShowPeer is the status of an installation. It fails with NotFound.
func (m *Mover) ShowPeer(name string) (*PeerStatus, error) {
	p, err := m.peer(name)
	if err != nil {
		return nil, err
	}
	return m.peerStatus(p)
}

func (m *Mover) peerStatus(p *Peer) (*PeerStatus, error) {
	handle, trust, err := handleOf(p.TrustAnchor)
	if err != nil {
		return nil, err
	}
	open, err := m.openWith(p.Name)
	if err != nil {
		return nil, err
	}
	s := &PeerStatus{Peer: *p, Handle: handle, IdentityExpires: trust.Expires(), Contact: p.Called, Open: len(open), Error: m.senders.failure(p.Name)}
	if p.Answered.After(s.Contact) {
		s.Contact = p.Answered
	}
	return s, nil
}

func introduced(p *Peer, i *transferwire.Introduction) *Peer {
	if string(p.TrustAnchor) != string(i.TrustAnchor) {
		p.forget()
	}
	p.ServiceURI, p.Registries, p.TrustAnchor, p.TAL, p.TLSRoots = i.ServiceURI, i.Registries, i.TrustAnchor, i.TAL, i.TLSRoots
	if !strings.HasSuffix(p.ServiceURI, "/") {
		p.ServiceURI += "/"
	}
	return p
}

// readIntroduction reads an introduction, and checks all that can be checked without the installation.
func (m *Mover) readIntroduction(text []byte) (*transferwire.Introduction, error) {
	i, err := transferwire.ParseIntroduction(text)
	if err != nil {
		return nil, err
	}
	handle, _, err := handleOf(i.TrustAnchor)
	if err != nil {
		return nil, err
	}
	own, err := m.engine.Federation.Identity()
	if err != nil {
		return nil, err
	}
	if ours, _, err := handleOf(own); err != nil || ours == handle {
		return nil, fault.New(fault.BadInput, "this is our own introduction; the other installation has to take it, and to send its own")
	}
	if i.TLSRoots != "" {
		if err := checkRoots(i.TLSRoots); err != nil {
			return nil, err
		}
	}
	return i, m.engine.CheckTAL(i.TAL)
}

// checkRoots checks that text is certificates in PEM.
func checkRoots(text string) error {
	n := 0
	for rest := []byte(text); ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil || block.Type != "CERTIFICATE" {
			return fault.New(fault.BadInput, "the TLS authorities have a %s that is no certificate", block.Type)
		}
	}
	if n == 0 {
		return fault.New(fault.BadInput, "the TLS authorities are no certificates in PEM")
	}
	return nil
}

// checkRegistries refuses an introduction with a registry whose name is in use, since policies go by this name. The caller holds
// contacts.mu.
func (m *Mover) checkRegistries(name string, i *transferwire.Introduction) error {
	for _, p := range m.contacts.byName {
		for _, handle := range i.Registries {
			if p.Name != name && slices.Contains(p.Registries, handle) {
				return fault.New(fault.Conflict, "the registry %s is kept by %s already; one of the two introductions is wrong", handle, p.Name)
			}
		}
	}
	return m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		here := registriesHere(l)
		for _, handle := range i.Registries {
			if slices.Contains(here, handle) {
				return fault.New(fault.Conflict, "there is a registry %s here too, and a transfer could not tell one from the other", handle)
			}
		}
		return nil
	})
}
