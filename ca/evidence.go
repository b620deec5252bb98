package ca

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/payload"
	"cadastre/internal/store"
	"cadastre/roa"
)

// EvidenceBucket keeps evidence of transfers. The key of a fact is 'f', the number of the transfer and that of the decision, both
// big-endian; it is written in the transaction of the decision. Package moves adds records under other letters.
var EvidenceBucket = store.Declare("evidence", "ca", store.Deposited)

// Fact is what of the moved resources was certified on both sides when a transfer took a step.
type Fact struct {
	Decision    uint64            `json:"decision"`
	Step        holdings.Step     `json:"step"`
	At          time.Time         `json:"at"` // of the decision
	Authorities []AuthorityOfFact `json:"authorities"`
	VRPs        []string          `json:"vrps"` // published VRPs within what moves, sorted
}

// AuthorityOfFact is an authority that was certified for some of the moved resources.
type AuthorityOfFact struct {
	Side      string         `json:"side"` // source or recipient
	Name      string         `json:"name"`
	Resources inr.Set        `json:"resources"` // its part of what moves
	Delegated bool           `json:"delegated,omitempty"`
	Published bool           `json:"published"` // readers could see all that it had signed
	Objects   []ObjectOfFact `json:"objects"`
}

// ObjectOfFact is an object by the hash of its octets.
type ObjectOfFact struct {
	Kind   string `json:"kind"` // certificate, manifest, crl, or the name of a kind of signed objects
	URI    string `json:"uri"`
	SHA256 string `json:"sha256,omitempty"` // hex; empty where it is published elsewhere
	Says   string `json:"says,omitempty"`   // the payload of a signed object, as text
}

// evidenced lists the steps for which a fact is kept.
var evidenced = []holdings.Step{
	holdings.StepInitiated, holdings.StepAccepted, holdings.StepSeen, holdings.StepLost,
	holdings.StepFinalised, holdings.StepCancelled, holdings.StepReleased,
}

// FactKey is the key of a fact in EvidenceBucket; with decision 0 the prefix of the keys of all facts of a transfer.
func FactKey(transfer, decision uint64) []byte {
	key := binary.BigEndian.AppendUint64([]byte{'f'}, transfer)
	if decision != 0 {
		key = binary.BigEndian.AppendUint64(key, decision)
	}
	return key
}

// factsOf makes the facts for the steps that a decision takes, by their keys. The caller holds the engine's mu.
func (e *Engine) factsOf(o *holdings.Outcome) (map[string]*Fact, error) {
	facts := map[string]*Fact{}
	for i := range o.Transfers {
		t := &o.Transfers[i]
		step := t.Steps[len(t.Steps)-1]
		if !slices.Contains(evidenced, step.What) {
			continue
		}
		f := &Fact{Decision: o.Decision.ID, Step: step.What, At: step.At, Authorities: []AuthorityOfFact{}, VRPs: []string{}}
		giving, taking := e.ledger.Involved(t)
		for _, side := range []struct {
			name    string
			holders []string
		}{{"source", giving}, {"recipient", taking}} {
			for _, holder := range side.holders {
				if err := e.factsAbout(f, t, side.name, holder); err != nil {
					return nil, err
				}
			}
		}
		slices.Sort(f.VRPs)
		f.VRPs = slices.Compact(f.VRPs)
		facts[string(FactKey(t.ID, f.Decision))] = f
	}
	return facts, nil
}

// factsAbout adds an organisation's authorities to a fact. Certificates that a registry issued to others are left out.
func (e *Engine) factsAbout(f *Fact, t *holdings.Transfer, side, holder string) error {
	for _, authority := range e.issued.Of(holder) {
		a := e.issued.Authority(authority)
		if a == nil || a.Awaits() || !a.Certified.Overlaps(t.Resources) {
			continue
		}
		about := AuthorityOfFact{
			Side: side, Name: authority.String(), Resources: a.Certified.Intersect(t.Resources), Delegated: a.Delegated != nil, Published: !e.pending(a),
			Objects: []ObjectOfFact{e.objectOfFact("certificate", a.CertificateURI, "")},
		}
		if a.Delegated == nil {
			about.Objects = append(about.Objects, e.objectOfFact("manifest", e.policy.ManifestURI(a), ""), e.objectOfFact("crl", e.policy.Place(a)+a.CRLName(), ""))
			objects, err := e.objectsWithin(authority, t.Resources)
			if err != nil {
				return err
			}
			for _, p := range objects {
				says, _ := p.Payload()
				about.Objects = append(about.Objects, e.objectOfFact(string(says.Kind()), e.policy.Place(a)+p.Name, says.String()))
				if about.Published && says.Kind() == roa.Kind {
					f.VRPs = append(f.VRPs, says.String())
				}
			}
		}
		f.Authorities = append(f.Authorities, about)
	}
	return nil
}

func (e *Engine) objectOfFact(kind, uri, says string) ObjectOfFact {
	o := ObjectOfFact{Kind: kind, URI: uri, Says: says}
	if hash, ok := e.repositories.Hash(uri); ok {
		o.SHA256 = hex.EncodeToString(hash[:])
	}
	return o
}

// objectsWithin lists an authority's signed objects whose payloads rest on resources that overlap a set, sorted by kind and payload. A
// registry's products are not searched: it has no such objects, and very many certificates.
func (e *Engine) objectsWithin(authority issued.Name, s inr.Set) ([]issued.Product, error) {
	a := e.issued.Authority(authority)
	if a.Objects == 0 {
		return nil, nil
	}
	is, err := e.issued.Read(authority)
	if err != nil || is == nil {
		return nil, err
	}
	var objects []issued.Product
	for _, p := range is.Products {
		if says, is := p.Payload(); is && s.Overlaps(says.Resources()) {
			objects = append(objects, p)
		}
	}
	slices.SortFunc(objects, func(a, b issued.Product) int {
		x, _ := a.Payload()
		y, _ := b.Payload()
		return cmp.Or(payload.Compare(x, y), strings.Compare(a.Name, b.Name))
	})
	return objects, nil
}

// writeFacts keeps facts, in the transaction of their decision.
func writeFacts(w store.Writer, facts map[string]*Fact) error {
	for key, f := range facts {
		if err := store.PutValue(w, EvidenceBucket, []byte(key), f); err != nil {
			return err
		}
	}
	return nil
}
