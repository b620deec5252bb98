package ca

import (
	"math/big"
	"time"

	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/peer"
	"cadastre/internal/store"
	"cadastre/internal/updown"
)

// What is kept of CAs and servers that are not ours, and of what they asked for or gave.
var (
	// organisation -> Child
	childBucket = store.Declare("child", "ca", store.Deposited)
	// authority -> ChildKey
	childKeyBucket = store.Declare("child-key", "ca", store.Deposited)
	// organisation -> Notice
	noticeBucket = store.Declare("notice", "ca", store.Deposited)
	// parent's name -> Parent
	parentBucket = store.Declare("parent", "ca", store.Deposited)
	// mirror -> Outlet
	outletBucket = store.Declare("outlet", "ca", store.Archived)
	// line of authorities -> Roll
	rollBucket = store.Declare("roll", "ca", store.Withheld("how far keys are rolled that the successor doesn't have"))
)

// Child is a delegated CA: that of an organisation of the ledger, which has its keys elsewhere and asks for certificates by
// RFC 6492.
type Child struct {
	Holder      string    `json:"holder"`
	Handle      string    `json:"handle"`       // in messages and in its service URI (RFC 8183, section 5.2.2)
	TrustAnchor []byte    `json:"trust_anchor"` // of its BPKI
	peer.Heard            // of its messages
	Added       time.Time `json:"added"`
	Contact     time.Time `json:"contact,omitzero"` // its last message
	Valid       time.Time `json:"valid,omitzero"`   // when a manifest and a CRL of it were last seen to be valid
}

// ChildKey is a key that a delegated CA asked to have certified, and is to be until it is revoked.
type ChildKey struct {
	Authority string
	KeyID     object.KeyIdentifier
	KeyInfo   []byte
	Place     Delegated
	Limit     updown.Limit
	Granted   inr.Set   // what it could have when it asked last, as far as it wanted it
	Asked     time.Time // whole seconds
}

// Notice is the time that a delegated CA has to shed what its organisation lost, before its certificates shrink.
type Notice struct {
	Holder string
	Lost   inr.Set
	Until  time.Time
}

// Parent is a CA that is not in the tree, under which an organisation of ours has an authority for each resource class.
type Parent struct {
	Name         string            `json:"name"` // ours for it; one in the installation
	Holder       string            `json:"holder"`
	ServiceURI   string            `json:"service_uri"`
	ParentHandle string            `json:"parent_handle"`
	ChildHandle  string            `json:"child_handle"`
	TrustAnchor  []byte            `json:"trust_anchor"` // of its BPKI
	peer.Heard                     // of its replies
	Classes      map[string]*Class `json:"classes"`          // by source
	Refresh      time.Time         `json:"refresh,omitzero"` // when it was last asked, and answered
	Removed      bool              `json:"removed,omitempty"`
}

// Class is a resource class of a parent (RFC 6492, section 1.1).
type Class struct {
	Name     string               `json:"name"`              // the parent's word
	Entitled inr.Set              `json:"entitled"`          // what it said last
	Missing  time.Time            `json:"missing,omitzero"`  // since when it does not say it any more
	Issuer   []byte               `json:"issuer,omitempty"`  // its certificate
	Keys     map[string]*Received `json:"received"`          // by authority: what it certified
	Created  map[string][]byte    `json:"created,omitempty"` // by authority: key identifiers of ours that it knows or will know
}

// Received is a certificate that a parent outside the tree issued to an authority of ours.
type Received struct {
	URI         string    `json:"uri"`
	Certificate []byte    `json:"certificate"`
	Resources   inr.Set   `json:"resources"`
	Subject     []byte    `json:"subject"` // DER
	Serial      *big.Int  `json:"serial"`
	Expires     time.Time `json:"expires"`
	Taken       []byte    `json:"taken,omitempty"` // the one before, while this is not yet taken up
	Gone        bool      `json:"gone,omitempty"`  // the parent's repository has it no more
}

// Outlet is a publication server that is not ours, where the authorities of an organisation publish (RFC 8181).
type Outlet struct {
	Name            string `json:"name"` // of its mirror
	Holder          string `json:"holder"`
	ServiceURI      string `json:"service_uri"`
	PublisherHandle string `json:"publisher_handle"`
	Base            string `json:"sia_base"`
	Notify          string `json:"rrdp_notification_uri,omitempty"`
	TrustAnchor     []byte `json:"trust_anchor"`
	peer.Heard             // of its replies
	Current         bool   `json:"current"`        // new authorities publish there; else it is being left
	Left            bool   `json:"left,omitempty"` // and nothing of ours is there any more
}

// Roll is how far a line of authorities has come in a key roll (RFC 6489), or in a move to another publication server,
// which is one with another place.
type Roll struct {
	Active   int           `json:"active"`            // the generation that issues
	Next     int           `json:"next,omitempty"`    // the one that will; 0 where none is coming
	Last     int           `json:"last,omitempty"`    // the highest that was to be next and was given up
	Soak     time.Duration `json:"soak,omitempty"`    // how long Next is published before it issues
	Staged   time.Time     `json:"staged,omitzero"`   // when Next was published
	Switched time.Time     `json:"switched,omitzero"` // when Active began to issue
}

// retired tells whether a generation neither issues nor will.
func (r Roll) retired(generation int) bool {
	return generation != r.Active && (r.Next == 0 || generation != r.Next)
}

// peers is all of them. The engine's mu guards it; a record is replaced, never changed.
type peers struct {
	children map[string]*Child               // by organisation
	handles  map[string]string               // organisations by the child's handle
	keys     map[string]map[string]*ChildKey // by organisation and authority
	keyOwner map[object.KeyIdentifier]string // authorities by their keys
	notices  map[string]*Notice              // by organisation
	parents  map[string]*Parent              // by name
	classes  map[string]string               // names of parents by source
	outlets  map[string]*Outlet              // by name of the mirror
	rolls    map[string]*Roll                // by line
	knows    map[string]bool                 // by peerName: who knows the identity that is to replace ours
}

func loadPeers(r store.Reader) (*peers, error) {
	p := &peers{
		children: map[string]*Child{}, handles: map[string]string{}, keys: map[string]map[string]*ChildKey{},
		keyOwner: map[object.KeyIdentifier]string{}, notices: map[string]*Notice{}, parents: map[string]*Parent{},
		classes: map[string]string{}, outlets: map[string]*Outlet{}, rolls: map[string]*Roll{}, knows: map[string]bool{},
	}
	for _, load := range []error{
		each(r, childBucket, nil, func(_ string, c *Child) { p.setChild(c) }),
		each(r, childKeyBucket, nil, func(_ string, k *ChildKey) { p.setKey(k) }),
		each(r, noticeBucket, nil, func(holder string, n *Notice) { p.notices[holder] = n }),
		each(r, parentBucket, nil, func(_ string, q *Parent) { p.setParent(q) }),
		each(r, outletBucket, nil, func(name string, o *Outlet) { p.outlets[name] = o }),
		each(r, knowsBucket, nil, func(peer string, yes *bool) { p.knows[peer] = *yes }),
		each(r, rollBucket, nil, func(line string, l *Roll) { p.rolls[line] = l }),
	} {
		if load != nil {
			return nil, load
		}
	}
	return p, nil
}

func (p *peers) setChild(c *Child) {
	p.children[c.Holder], p.handles[c.Handle] = c, c.Holder
}

func (p *peers) dropChild(c *Child) {
	delete(p.children, c.Holder)
	delete(p.handles, c.Handle)
}

func (p *peers) setKey(k *ChildKey) {
	holder := parseName(k.Authority).holder
	if p.keys[holder] == nil {
		p.keys[holder] = map[string]*ChildKey{}
	}
	p.keys[holder][k.Authority] = k
	p.keyOwner[k.KeyID] = k.Authority
}

func (p *peers) dropKey(k *ChildKey) {
	holder := parseName(k.Authority).holder
	delete(p.keyOwner, k.KeyID)
	if delete(p.keys[holder], k.Authority); len(p.keys[holder]) == 0 {
		delete(p.keys, holder)
	}
}

func (p *peers) key(authority string) *ChildKey {
	return p.keys[parseName(authority).holder][authority]
}

func (p *peers) setParent(q *Parent) {
	p.parents[q.Name] = q
	for source := range q.Classes {
		p.classes[source] = q.Name
	}
}

func (p *peers) dropParent(q *Parent) {
	delete(p.parents, q.Name)
	for source := range q.Classes {
		delete(p.classes, source)
	}
}

// received is what a parent outside the tree certified for an authority; nil where it did not, or has no such parent.
func (p *peers) received(authority string) *Received {
	source := parseName(authority).source
	if parent := p.parents[p.classes[source]]; parent != nil {
		return parent.Classes[source].Keys[authority]
	}
	return nil
}

// outlet is where an organisation publishes; nil for the repository of its registry.
func (p *peers) outlet(holder string) *Outlet {
	for _, o := range p.outlets {
		if o.Holder == holder && o.Current {
			return o
		}
	}
	return nil
}

// roll is how far a line of authorities has come; the zero Roll where it never had one.
func (p *peers) roll(line string) Roll {
	if r := p.rolls[line]; r != nil {
		return *r
	}
	return Roll{}
}
