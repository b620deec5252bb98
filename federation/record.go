package federation

import (
	"maps"
	"math/big"
	"time"

	"cadastre/ca/issued"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/peer"
	"cadastre/internal/store"
	"cadastre/internal/updown"
)

var (
	// organisation -> Child
	childBucket = store.Declare("child", "federation", store.Deposited)
	// authority -> ChildKey
	childKeyBucket = store.Declare("child-key", "federation", store.Deposited)
	// organisation -> Notice
	noticeBucket = store.Declare("notice", "federation", store.Deposited)
	// parent's name -> Parent
	parentBucket = store.Declare("parent", "federation", store.Deposited)
	// mirror's name -> Remote
	remoteBucket = store.Declare("outlet", "federation", store.Archived)
	// PeerName -> true
	knowsBucket = store.Declare("knows-next", "federation", store.Withheld("peers that know an identity that the successor does not have"))
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
	Authority issued.Name
	KeyID     object.KeyIdentifier
	KeyInfo   []byte // SubjectPublicKeyInfo, DER
	Place     issued.Place
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
	Name     string                    `json:"name"`              // the parent's word
	Entitled inr.Set                   `json:"entitled"`          // what it said last
	Missing  time.Time                 `json:"missing,omitzero"`  // since when it does not say it any more
	Issuer   []byte                    `json:"issuer,omitempty"`  // its certificate
	Keys     map[issued.Name]*Received `json:"received"`          // by authority: what it certified
	Created  map[issued.Name][]byte    `json:"created,omitempty"` // by authority: key identifiers of ours that it knows or will know
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

// Remote is a remote repository: a publication server that is not ours, where the authorities of an organisation publish
// (RFC 8181).
type Remote struct {
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

// PeerName names a peer among all: a child by its organisation, a publisher by its handle, a parent and another installation by
// our name for it, and a server by the name of its mirror.
func PeerName(kind, of string) string { return kind + "/" + of }

// Clone is a copy of a parent's record whose classes may be changed.
func (p *Parent) Clone() *Parent {
	c := *p
	c.Classes = make(map[string]*Class, len(p.Classes))
	for source, class := range p.Classes {
		k := *class
		k.Keys, k.Created = maps.Clone(class.Keys), maps.Clone(class.Created)
		c.Classes[source] = &k
	}
	return &c
}

// ForgetCertified takes from the records of parents elsewhere what they had certified, for a store in which everything is
// to be issued anew.
func ForgetCertified(w store.Writer) error {
	var parents []*Parent
	err := store.EachValue(w, parentBucket, nil, func(_ string, p *Parent) { parents = append(parents, p) })
	if err != nil {
		return err
	}
	for _, p := range parents {
		p.Refresh = time.Time{}
		for _, class := range p.Classes {
			class.Keys, class.Created = nil, nil
		}
		if err := store.PutValue(w, parentBucket, []byte(p.Name), p); err != nil {
			return err
		}
	}
	return nil
}
