// Package federation exchanges messages with CAs and servers elsewhere: delegated CAs below us and parents above us (RFC 6492),
// publishers here and publication servers where we publish (RFC 8181). It keeps the identity that they know us by (RFC 8183), and a
// record of each of them.
//
// It does not decide what an authority issues, or when. What it needs of the engine it asks by the interface Host.
package federation

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/object"
	"cadastre/internal/store"
)

// Peers has the records of CAs and servers elsewhere. A record is replaced, never changed, so a caller may keep one and read it
// without a lock. Only a Tx, and a decision that gives notices, changes Peers. It is safe for concurrent use.
type Peers struct {
	mu       sync.RWMutex
	children map[string]*Child                    // by organisation
	handles  map[string]string                    // organisations by the child's handle
	keys     map[string]map[issued.Name]*ChildKey // by organisation and authority
	keyOwner map[object.KeyIdentifier]issued.Name // authorities by their keys
	notices  map[string]*Notice                   // by organisation
	parents  map[string]*Parent                   // by name
	sources  map[string]string                    // names of parents by source
	remotes  map[string]*Remote                   // by the mirror's name
	knows    map[string]bool                      // by PeerName: who knows the identity that is to replace ours
}

// Load reads what a store has of peers.
func Load(r store.Reader) (*Peers, error) {
	p := &Peers{
		children: map[string]*Child{}, handles: map[string]string{}, keys: map[string]map[issued.Name]*ChildKey{},
		keyOwner: map[object.KeyIdentifier]issued.Name{}, notices: map[string]*Notice{}, parents: map[string]*Parent{},
		sources: map[string]string{}, remotes: map[string]*Remote{}, knows: map[string]bool{},
	}
	return p, cmp.Or(
		store.EachValue(r, childBucket, nil, func(_ string, c *Child) { p.setChild(c) }),
		store.EachValue(r, childKeyBucket, nil, func(_ string, k *ChildKey) { p.setKey(k) }),
		store.EachValue(r, noticeBucket, nil, func(holder string, n *Notice) { p.notices[holder] = n }),
		store.EachValue(r, parentBucket, nil, func(_ string, q *Parent) { p.setParent(q) }),
		store.EachValue(r, remoteBucket, nil, func(name string, o *Remote) { p.remotes[name] = o }),
		store.EachValue(r, knowsBucket, nil, func(peer string, yes *bool) { p.knows[peer] = *yes }),
	)
}

// Child is the delegated CA of an organisation; nil where it has none.
func (p *Peers) Child(holder string) *Child {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.children[holder]
}

// ChildByHandle is the delegated CA that has a handle in messages; nil where there is none.
func (p *Peers) ChildByHandle(handle string) *Child {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.children[p.handles[handle]]
}

// Children is all delegated CAs, by organisation.
func (p *Peers) Children() []*Child {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return sorted(p.children)
}

// Key is a delegated CA's key, by the name of its authority; nil where the key is ours.
func (p *Peers) Key(authority issued.Name) *ChildKey {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.keys[authority.Holder][authority]
}

// Keys is the keys of an organisation's delegated CA, by the names of their authorities.
func (p *Peers) Keys(holder string) []*ChildKey {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if len(p.keys[holder]) == 0 {
		return nil
	}
	return slices.SortedFunc(maps.Values(p.keys[holder]), func(a, b *ChildKey) int { return a.Authority.Compare(b.Authority) })
}

// KeyOwner is the name of the authority that has a delegated CA's key; the zero name where no delegated CA has this key.
func (p *Peers) KeyOwner(key object.KeyIdentifier) issued.Name {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.keyOwner[key]
}

// Notice is the notice that the delegated CA of an organisation has; nil where it has none.
func (p *Peers) Notice(holder string) *Notice {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.notices[holder]
}

// Notices is all notices, by organisation.
func (p *Peers) Notices() []*Notice {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if len(p.notices) == 0 {
		return nil
	}
	return sorted(p.notices)
}

// Parent is the parent elsewhere that has this name here; nil where there is none.
func (p *Peers) Parent(called string) *Parent {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.parents[called]
}

// ParentOf is the parent elsewhere that has a source as a resource class; nil where there is none.
func (p *Peers) ParentOf(source string) *Parent {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.parents[p.sources[source]]
}

// Parents is all parents elsewhere, by name.
func (p *Peers) Parents() []*Parent {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return sorted(p.parents)
}

// HasSources tells whether any parent elsewhere has a resource class for us.
func (p *Peers) HasSources() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.sources) > 0
}

// Received is the certificate that a parent elsewhere issued to an authority; nil where it issued none, or there is no such parent.
func (p *Peers) Received(authority issued.Name) *Received {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if parent := p.parents[p.sources[authority.Source]]; parent != nil {
		return parent.Classes[authority.Source].Keys[authority]
	}
	return nil
}

// Remote is a remote repository, by the name of its mirror; nil where there is none.
func (p *Peers) Remote(called string) *Remote {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.remotes[called]
}

// Remotes is all remote repositories, by the names of their mirrors.
func (p *Peers) Remotes() []*Remote {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return sorted(p.remotes)
}

// RemoteOf is the remote repository where an organisation publishes; nil if it publishes in the repository of its registry.
func (p *Peers) RemoteOf(holder string) *Remote {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, o := range p.remotes {
		if o.Holder == holder && o.Current {
			return o
		}
	}
	return nil
}

// Knows tells whether a peer, by its PeerName, knows the identity that is to replace ours.
func (p *Peers) Knows(peer string) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.knows[peer]
}

func sorted[T any](all map[string]T) []T {
	list := make([]T, 0, len(all))
	for _, key := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[key])
	}
	return list
}

func (p *Peers) setChild(c *Child) { p.children[c.Holder], p.handles[c.Handle] = c, c.Holder }

func (p *Peers) setKey(k *ChildKey) {
	holder := k.Authority.Holder
	if p.keys[holder] == nil {
		p.keys[holder] = map[issued.Name]*ChildKey{}
	}
	p.keys[holder][k.Authority] = k
	p.keyOwner[k.KeyID] = k.Authority
}

func (p *Peers) dropKey(k *ChildKey) {
	holder := k.Authority.Holder
	delete(p.keyOwner, k.KeyID)
	if delete(p.keys[holder], k.Authority); len(p.keys[holder]) == 0 {
		delete(p.keys, holder)
	}
}

func (p *Peers) setParent(q *Parent) {
	p.dropParent(q.Name)
	p.parents[q.Name] = q
	for source := range q.Classes {
		p.sources[source] = q.Name
	}
}

func (p *Peers) dropParent(called string) {
	was := p.parents[called]
	if was == nil {
		return
	}
	delete(p.parents, called)
	for source := range was.Classes {
		delete(p.sources, source)
	}
}

// Tx is one transaction that changes records of peers. A change is in Peers only after the transaction has committed.
type Tx struct {
	store.Writer
	Ledger  *holdings.Ledger // as it is while the transaction goes on
	peers   *Peers
	apply   []func(*Peers)
	after   []func()
	touched []string
}

// Change changes records of peers in one transaction. It returns the organisations that the engine is to plan for. The caller makes
// sure that the ledger does not change meanwhile, and that there is only one such call at a time.
func (p *Peers) Change(st store.Store, ledger *holdings.Ledger, change func(*Tx) error) (touched []string, err error) {
	var tx *Tx
	_, err = st.Update(store.Any, func(w store.Writer) error {
		tx = &Tx{Writer: w, Ledger: ledger, peers: p}
		return change(tx)
	})
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	for _, do := range tx.apply {
		do(p)
	}
	p.mu.Unlock()
	for _, do := range tx.after {
		do()
	}
	return tx.touched, nil
}

// OnCommit has do called once the transaction has committed.
func (tx *Tx) OnCommit(do func()) { tx.after = append(tx.after, do) }

// Touch has the engine plan for an organisation once the transaction has committed.
func (tx *Tx) Touch(holder string) { tx.touched = append(tx.touched, holder) }

func (tx *Tx) put(bucket store.Bucket, key string, value any, apply func(*Peers)) error {
	tx.apply = append(tx.apply, apply)
	return store.PutValue(tx, bucket, []byte(key), value)
}

func (tx *Tx) delete(bucket store.Bucket, key string, apply func(*Peers)) error {
	tx.apply = append(tx.apply, apply)
	return tx.Delete(bucket, []byte(key))
}

// NoteChild keeps the record of a delegated CA.
func (tx *Tx) NoteChild(c *Child) error {
	return tx.put(childBucket, c.Holder, c, func(p *Peers) { p.setChild(c) })
}

// PutChild keeps the record of a delegated CA, and touches its organisation.
func (tx *Tx) PutChild(c *Child) error {
	tx.Touch(c.Holder)
	return tx.NoteChild(c)
}

// DeleteChild removes a delegated CA with all of its keys, and touches its organisation.
func (tx *Tx) DeleteChild(c *Child) error {
	for _, key := range tx.peers.Keys(c.Holder) {
		if err := tx.DeleteKey(key); err != nil {
			return err
		}
	}
	tx.Touch(c.Holder)
	return tx.delete(childBucket, c.Holder, func(p *Peers) {
		delete(p.children, c.Holder)
		delete(p.handles, c.Handle)
	})
}

// PutKey keeps a delegated CA's key, and touches its organisation.
func (tx *Tx) PutKey(k *ChildKey) error {
	tx.Touch(k.Authority.Holder)
	return tx.put(childKeyBucket, k.Authority.String(), k, func(p *Peers) { p.setKey(k) })
}

// DeleteKey removes a delegated CA's key, and touches its organisation.
func (tx *Tx) DeleteKey(k *ChildKey) error {
	tx.Touch(k.Authority.Holder)
	return tx.delete(childKeyBucket, k.Authority.String(), func(p *Peers) { p.dropKey(k) })
}

// PutParent keeps the record of a parent elsewhere. It touches no organisation.
func (tx *Tx) PutParent(q *Parent) error {
	return tx.put(parentBucket, q.Name, q, func(p *Peers) { p.setParent(q) })
}

// DeleteParent removes a parent elsewhere.
func (tx *Tx) DeleteParent(called string) error {
	return tx.delete(parentBucket, called, func(p *Peers) { p.dropParent(called) })
}

// NoteRemote keeps the record of a remote repository.
func (tx *Tx) NoteRemote(o *Remote) error {
	return tx.put(remoteBucket, o.Name, o, func(p *Peers) { p.remotes[o.Name] = o })
}

// PutRemote keeps the record of a remote repository, and touches its organisation.
func (tx *Tx) PutRemote(o *Remote) error {
	tx.Touch(o.Holder)
	return tx.NoteRemote(o)
}

// SetKnows notes whether a peer, by its PeerName, knows the identity that is to replace ours.
func (tx *Tx) SetKnows(peer string, knows bool) error {
	if !knows {
		return tx.delete(knowsBucket, peer, func(p *Peers) { delete(p.knows, peer) })
	}
	return tx.put(knowsBucket, peer, true, func(p *Peers) { p.knows[peer] = true })
}

// ForgetKnows removes all notes of SetKnows.
func (tx *Tx) ForgetKnows() error {
	tx.peers.mu.RLock()
	all := slices.Collect(maps.Keys(tx.peers.knows))
	tx.peers.mu.RUnlock()
	for _, peer := range all {
		if err := tx.SetKnows(peer, false); err != nil {
			return err
		}
	}
	return nil
}

// Notices are part of decisions, which have a transaction of their own. That transaction calls WriteNotices and EraseNotices; once it
// has committed, GiveNotices and EndNotices are called.

// WriteNotices writes notices to the store.
func WriteNotices(w store.Writer, notices []*Notice) error {
	for _, n := range notices {
		if err := store.PutValue(w, noticeBucket, []byte(n.Holder), n); err != nil {
			return err
		}
	}
	return nil
}

// EraseNotices removes notices from the store.
func EraseNotices(w store.Writer, notices []*Notice) error {
	for _, n := range notices {
		if err := w.Delete(noticeBucket, []byte(n.Holder)); err != nil {
			return err
		}
	}
	return nil
}

// GiveNotices takes notices that are written into Peers.
func (p *Peers) GiveNotices(notices []*Notice) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range notices {
		p.notices[n.Holder] = n
	}
}

// EndNotices takes notices that are erased out of Peers.
func (p *Peers) EndNotices(notices []*Notice) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range notices {
		delete(p.notices, n.Holder)
	}
}
