package ca

import (
	"crypto"
	"slices"
	"strings"
	"time"

	"cadastre/ca/issued"
	"cadastre/ca/repositories"
	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/object"
	"cadastre/internal/store"
	"cadastre/keys"
	"cadastre/rrdp"
	"cadastre/rrdp/publisher"
)

var addressesKey = []byte("addresses")

// PublishedAt reads for which addresses the objects of a store were issued.
func PublishedAt(st store.Store) (at Addresses, err error) {
	err = st.View(func(r store.Reader) error {
		was, err := readAddresses(r)
		if err == nil {
			at = *was
		}
		return err
	})
	return at, err
}

func readAddresses(r store.Reader) (*Addresses, error) {
	was, err := store.Value[Addresses](r, engineBucket, addressesKey)
	if err == nil && was == nil {
		err = fault.New(fault.Corrupt, "the store does not say for which addresses its objects were issued: it was made by an older version, or is damaged; restore it from a backup")
	}
	return was, err
}

// checkAddresses refuses a policy with other addresses than those that the issued objects name.
func checkAddresses(r store.Reader, p *Policy) error {
	was, err := readAddresses(r)
	if err != nil {
		return err
	}
	for _, a := range []struct{ key, was, now string }{{"rrdp_base", was.RRDPBase, p.RRDPBase}, {"rsync_base", was.RsyncBase, p.RsyncBase}} {
		if a.was != a.now {
			return fault.New(fault.BadInput, "config.toml has %s = %q, but everything that is published names %q: change it back, or have everything issued anew for the new address with 'cadastre address change'", a.key, a.now, a.was)
		}
	}
	return nil
}

// CheckMovable checks whether an installation can change its addresses now; the error says why not. Transfers, key rolls and moves that
// are under way have to end first. What others have signed for the old address cannot be signed anew here.
func (e *Engine) CheckMovable() error {
	for _, p := range e.Federation.Publishers() {
		if p.Objects > 0 {
			return fault.New(fault.Conflict, "the publisher %q has %d objects here that name the old address, and only its own CA can sign them anew: have it move to another server, or remove it with 'cadastre publishers remove %s' and add it again afterwards", p.Handle, p.Objects, p.Handle)
		}
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, t := range e.ledger.Transfers() {
		if !t.Done() {
			return fault.New(fault.Conflict, "transfer %d is under way: let it end or cancel it first ('cadastre transfer list --open')", t.ID)
		}
	}
	for _, o := range e.peers.Remotes() {
		if !o.Left {
			return fault.New(fault.Conflict, "%s publishes at %s: bring it home first with 'cadastre repository local %s'", o.Holder, o.Base, o.Holder)
		}
	}
	for line, roll := range e.rolls {
		if roll.Next != 0 {
			return fault.New(fault.Conflict, "the key of %s is being rolled: wait for its end ('cadastre keys show %s')", line, line.Holder)
		}
	}
	return nil
}

// Readdress prepares a store for the addresses of policy. Nothing else may use the store meanwhile. Ledger, intents, peers, identity and
// the trust anchor's key stay. All other keys are new, each repository begins a new session, and everything has to be issued anew. What
// parents elsewhere had certified is forgotten, since it names the old address.
func Readdress(st store.Store, dir string, policy Policy, anchorPassphrase []byte, by holdings.By) error {
	was, err := PublishedAt(st)
	if err != nil {
		return err
	}
	key, err := openAnchor(dir, &policy, anchorPassphrase)
	if err != nil {
		return err
	}
	_, err = st.Update(store.Any, func(w store.Writer) error {
		anchor, err := store.Value[issued.Authority](w, issued.Authorities, []byte(issued.AnchorHolder))
		if err != nil {
			return err
		}
		ledger, err := holdings.Load(w)
		if err != nil {
			return err
		}
		for _, bucket := range []store.Bucket{issued.Authorities, issued.Products, issued.Revoked, rollBucket} {
			if err := store.DeleteAll(w, bucket, nil); err != nil {
				return err
			}
		}
		if err := keys.Forget(w); err != nil { // they are not destroyed: the directory of before stays, and has them
			return err
		}
		for _, holder := range ledger.Organisations() {
			if o, _ := ledger.Organisation(holder); !o.Kind.IsRegistry() {
				continue
			}
			config := repositories.Config(dir, &policy, holder)
			if err := rrdp.Forget(w, config); err != nil {
				return err
			}
			if err := rrdp.Create(w, config); err != nil {
				return err
			}
		}
		if err := federation.ForgetCertified(w); err != nil {
			return err
		}
		if err := publisher.Rebase(w, was.RsyncBase, policy.RsyncBase); err != nil {
			return err
		}
		if err := reanchor(w, &policy, anchor, key, by.Time); err != nil {
			return err
		}
		return holdings.Note(w, by)
	})
	return err
}

// reanchor makes the trust anchor's certificate anew for the addresses of policy. The numbers of its manifests go on.
func reanchor(w store.Writer, policy *Policy, a *issued.Authority, key crypto.Signer, now time.Time) error {
	a.CertificateURI, a.CertSerial, a.CertExpires = policy.AnchorURI(), object.NewSerial(), now.Add(issued.AnchorLife.Life).UTC().Truncate(time.Second)
	a.ThisUpdate, a.NextUpdate, a.ManifestSerial, a.Shed = time.Time{}, time.Time{}, nil, time.Time{}
	der, err := anchorCertificate(policy, a, key, now)
	if err != nil {
		return err
	}
	if err := w.Put(engineBucket, anchorKey, der); err != nil {
		return err
	}
	if err := store.PutValue(w, engineBucket, addressesKey, policy.Addresses()); err != nil {
		return err
	}
	return store.PutValue(w, issued.Authorities, []byte(issued.AnchorHolder), a)
}

// Peers lists who has to be told of a new address. Each list is sorted.
type Peers struct {
	Children   []string `json:"children"`
	Publishers []string `json:"publishers"`
	Parents    []string `json:"parents"`
}

// Peers lists those elsewhere that were given our addresses.
func (e *Engine) Peers() (Peers, error) {
	p := Peers{Children: []string{}, Publishers: []string{}, Parents: []string{}}
	for _, info := range e.Federation.Publishers() {
		p.Publishers = append(p.Publishers, info.Handle)
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, c := range e.peers.Children() {
		p.Children = append(p.Children, c.Holder)
	}
	for _, q := range e.peers.Parents() {
		if !q.Removed {
			p.Parents = append(p.Parents, q.Name)
		}
	}
	for _, list := range [][]string{p.Children, p.Publishers, p.Parents} {
		slices.SortFunc(list, strings.Compare)
	}
	return p, nil
}
