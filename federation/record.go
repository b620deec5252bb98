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

// Child is the delegated CA of an organisation of the ledger. Its keys are elsewhere, and it asks for certificates by RFC 6492.
type Child struct {
	Holder      string    `json:"holder"`
	Handle      string    `json:"handle"`       // in messages and in its service URI (RFC 8183, section 5.2.2)
	TrustAnchor []byte    `json:"trust_anchor"` // of its BPKI
	peer.Heard            // of its messages
	Added       time.Time `json:"added"`
	Contact     time.Time `json:"contact,omitzero"` // its last message
	Valid       time.Time `json:"valid,omitzero"`   // when a manifest and a CRL of it were last seen to be valid
}

// ChildKey is a key that a delegated CA asked to have certified. It is certified until the CA has it revoked.
type ChildKey struct {
	Authority issued.Name
	KeyID     object.KeyIdentifier
	KeyInfo   []byte // SubjectPublicKeyInfo, DER
	Place     issued.Place
	Limit     updown.Limit
	Granted   inr.Set   // what it could have when it asked last, within Limit
	Asked     time.Time // whole seconds
}

// Notice gives a delegated CA time before its certificates shrink: until then it can withdraw what rests on the resources that its
// organisation lost.
type Notice struct {
	Holder string
	Lost   inr.Set
	Until  time.Time
}

// Parent is a CA elsewhere that certifies an organisation of ours. The organisation has an authority for each of its resource classes.
type Parent struct {
	Name         string            `json:"name"` // our name for it, unique in the installation
	Holder       string            `json:"holder"`
	ServiceURI   string            `json:"service_uri"`
	ParentHandle string            `json:"parent_handle"`
	ChildHandle  string            `json:"child_handle"`
	TrustAnchor  []byte            `json:"trust_anchor"` // of its BPKI
	peer.Heard                     // of its replies
	Classes      map[string]*Class `json:"classes"`           // by source
	Refresh      time.Time         `json:"refresh,omitzero"`  // its last answer
	Removed      bool              `json:"removed,omitempty"` // by an operator; the record goes when no key of ours is left there
}

// Class is a resource class of a parent (RFC 6492, section 1.1).
type Class struct {
	Name     string                    `json:"name"`              // the parent's name for it
	Entitled inr.Set                   `json:"entitled"`          // the resources that the parent listed last
	Missing  time.Time                 `json:"missing,omitzero"`  // since when the parent does not list it any more
	Issuer   []byte                    `json:"issuer,omitempty"`  // the parent's certificate in this class, DER
	Keys     map[issued.Name]*Received `json:"received"`          // by authority: the certificate that the parent issued
	Created  map[issued.Name][]byte    `json:"created,omitempty"` // by authority: identifiers of our keys, asked for or still to be
}

// Received is a certificate that a parent elsewhere issued to an authority of ours.
type Received struct {
	URI         string    `json:"uri"`
	Certificate []byte    `json:"certificate"`
	Resources   inr.Set   `json:"resources"`
	Subject     []byte    `json:"subject"` // DER
	Serial      *big.Int  `json:"serial"`
	Expires     time.Time `json:"expires"`
	Taken       []byte    `json:"taken,omitempty"` // the certificate before, while the authority still goes by it
	Gone        bool      `json:"gone,omitempty"`  // it is not in the parent's repository any more
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
	Current         bool   `json:"current"`        // new authorities publish there; else the organisation is moving away
	Left            bool   `json:"left,omitempty"` // it has moved away: nothing of ours is there any more
}

// PeerName is the name of a peer that no other has, of whatever kind: a child goes by its organisation, a publisher by its handle, a
// parent and another installation by our name for it, and a server by the name of its mirror.
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

// ForgetCertified removes from the records of parents elsewhere what they had certified. It is for a change of address and
// for a restore from a deposit, after which everything is issued anew.
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
