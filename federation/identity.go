package federation

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // key identifiers are made so
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"cadastre/holdings"
	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/object"
	"cadastre/internal/store"
	"cadastre/keys"
)

// The keys of two records: the installation's identity, and the one that is to replace it.
const (
	identityName = "identity"
	nextIdentity = "next identity"
)

// Identity is the certificate and key with which the installation signs messages to its peers, as their parent, child, publication
// server and publisher (RFC 8183, section 5.1). It is not part of the RPKI.
type Identity struct {
	Certificate []byte `json:"certificate"`
	Held        []byte `json:"sealed_key"`
	Name        string `json:"sealed_as,omitempty"` // of the key's Ref; identityName if empty
}

// NewIdentity makes an identity with a key of its own.
func NewIdentity(keeper keys.Keeper, now time.Time) (*Identity, error) {
	key, err := keys.One(keeper, object.RSA)
	if err != nil {
		return nil, err
	}
	certificate, err := envelope.CertifyIdentity(key.Signer, now)
	if err != nil {
		return nil, err
	}
	return &Identity{Certificate: certificate, Held: key.Ref.Held, Name: key.Ref.Name}, nil
}

func (id *Identity) ref() keys.Ref {
	return keys.Ref{Name: cmp.Or(id.Name, identityName), Held: id.Held}
}

// Write keeps the identity of a new installation, in the bucket of its single values.
func (id *Identity) Write(w store.Writer, single store.Bucket) error {
	return store.PutValue(w, single, []byte(identityName), id)
}

// fingerprint tells identities apart.
func fingerprint(certificate []byte) string {
	sum := sha1.Sum(certificate) //nolint:gosec // it names, and proves nothing
	return hex.EncodeToString(sum[:8])
}

func (f *Federation) readIdentity(r store.Reader, called string) (*Identity, error) {
	return store.Value[Identity](r, f.config.Single, []byte(called))
}

// Identity is the certificate of the installation's identity, DER.
func (f *Federation) Identity() ([]byte, error) {
	id, _, err := f.identities()
	if err != nil {
		return nil, err
	}
	return id.Certificate, nil
}

// Sign signs content, XML, as the installation. It fails with Secret while the keys are not open.
func (f *Federation) Sign(content []byte, at time.Time) ([]byte, error) {
	f.mu.RLock()
	signer := f.signer
	f.mu.RUnlock()
	if signer == nil {
		return nil, fault.New(fault.Secret, "nothing can be signed while the keys are not open: name a file with their passphrase, or wait until the daemon has opened them")
	}
	return signer.Sign(content, at)
}

// identities reads the identity in use, and the one that is to replace it; next is nil where there is none.
func (f *Federation) identities() (now, next *Identity, err error) {
	err = f.store.View(func(r store.Reader) error {
		if now, err = f.readIdentity(r, identityName); err == nil {
			next, err = f.readIdentity(r, nextIdentity)
		}
		return err
	})
	if err == nil && now == nil {
		err = fault.New(fault.NotFound, "this installation has no identity for its peers yet; start 'cadastre serve' once")
	}
	return now, next, err
}

// introduction is the identity that goes into files for peers: the next, where there is one.
func (f *Federation) introduction() (*Identity, error) {
	now, next, err := f.identities()
	if next != nil {
		now = next
	}
	return now, err
}

// OpenIdentity opens the keys that messages to peers are signed with. An installation without an identity gets one.
func (f *Federation) OpenIdentity(keeper keys.Keeper) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keeper = keeper
	now, next, err := f.identities()
	if fault.KindOf(err) == fault.NotFound && err != nil {
		if now, err = NewIdentity(keeper, time.Now()); err != nil {
			return err
		}
		_, err = f.store.Update(store.Any, func(w store.Writer) error { return now.Write(w, f.config.Single) })
	}
	if err != nil {
		return err
	}
	if f.signer, err = signerOf(keeper, now); err == nil && next != nil {
		f.nextSigner, err = signerOf(keeper, next)
	}
	return err
}

func signerOf(keeper keys.Keeper, id *Identity) (*envelope.Signer, error) {
	key, err := keeper.Find(id.ref())
	if err != nil {
		return nil, err
	}
	return envelope.NewSigner(key, id.Certificate)
}

// opened is the keeper of the keys; nil while they are not open.
func (f *Federation) opened() keys.Keeper {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.keeper
}

// signers lists what messages to a peer may be signed with: the identity that the peer is thought to know comes first. The other
// follows while an identity is being replaced.
func (f *Federation) signers(peer string) []*envelope.Signer {
	f.mu.RLock()
	defer f.mu.RUnlock()
	switch {
	case f.nextSigner == nil:
		return []*envelope.Signer{f.signer}
	case f.Peers.Knows(peer):
		return []*envelope.Signer{f.nextSigner, f.signer}
	}
	return []*envelope.Signer{f.signer, f.nextSigner}
}

// noteMet notes that a new peer knows the next identity, where there is one: the file made for the peer has that. It is used within
// Change.
func (f *Federation) noteMet(tx *Tx, peer string) error {
	if next, err := f.readIdentity(tx, nextIdentity); err != nil || next == nil {
		return err
	}
	return tx.SetKnows(peer, true)
}

// RenewIdentity makes an identity that is to replace the one in use (RFC 8183, section 5.1). From then on files for peers have the
// new one. Messages to a peer are signed with the old one until that peer knows the new one.
func (f *Federation) RenewIdentity(by holdings.By) error {
	keeper := f.opened()
	if keeper == nil {
		return fault.New(fault.Unreachable, "no daemon runs, and the key of an identity is made by it; start 'cadastre serve'")
	}
	made, err := NewIdentity(keeper, time.Now())
	if err != nil {
		return err
	}
	signer, err := signerOf(keeper, made)
	if err != nil {
		return err
	}
	written := false // once it is, a record may name the key, whatever comes after
	err = f.host.Change(func(tx *Tx) error {
		if next, err := f.readIdentity(tx, nextIdentity); err != nil || next != nil {
			return cmp.Or[error](err, fault.New(fault.Conflict, "a new identity waits already; see who knows it with 'cadastre identity show', and end with 'cadastre identity activate --all'"))
		}
		tx.OnCommit(func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.nextSigner = signer
		})
		written = true
		return store.PutValue(tx, f.config.Single, []byte(nextIdentity), made)
	})
	if !written {
		if failed := keeper.Destroy(made.ref()); failed != nil {
			f.log.Warn("couldn't destroy a key that was made for an identity and is not needed", "key", made.Name, "error", failed)
		}
	}
	if err == nil {
		f.log.Info("a new identity is made", "identity", fingerprint(made.Certificate), "actor", by.Who, "reason", by.Reason)
	}
	return err
}

// ActivateIdentity signs replies to some children and publishers with the new identity from now on. Each is named as child/HANDLE or
// publisher/HANDLE.
func (f *Federation) ActivateIdentity(by holdings.By, peers []string) error {
	all := f.peersThatKnow()
	var named []string
	for _, peer := range peers {
		kind, of, _ := strings.Cut(peer, "/")
		if kind == "child" {
			of = holdings.Fold(of)
		}
		named = append(named, PeerName(kind, of))
		if _, there := all[PeerName(kind, of)]; !there || kind != "child" && kind != "publisher" {
			return fault.New(fault.NotFound, "%q is no child/HANDLE nor publisher/HANDLE of those that 'cadastre identity show' lists; parents, servers and registries elsewhere are found out by themselves", peer)
		}
	}
	err := f.host.Change(func(tx *Tx) error {
		if err := f.mustHaveNext(tx); err != nil {
			return err
		}
		for _, peer := range named {
			if err := tx.SetKnows(peer, true); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		f.log.Info("peers are answered with the new identity", "peers", strings.Join(named, " "), "actor", by.Who, "reason", by.Reason)
	}
	return err
}

func (f *Federation) mustHaveNext(tx *Tx) error {
	if next, err := f.readIdentity(tx, nextIdentity); err != nil || next == nil {
		return cmp.Or[error](err, fault.New(fault.NotFound, "no new identity waits; make one with 'cadastre identity renew'"))
	}
	return nil
}

// ReplaceIdentity makes the new identity the only one. A parent, server or installation elsewhere that does not know it yet would
// refuse our messages, so it fails with Conflict while there is one, unless force is set.
func (f *Federation) ReplaceIdentity(by holdings.By, force bool) error {
	all := f.peersThatKnow()
	var deaf []string
	for peer, knows := range all {
		if kind, _, _ := strings.Cut(peer, "/"); !knows && (kind == "parent" || kind == "server" || kind == "registry") {
			deaf = append(deaf, peer)
		}
	}
	slices.Sort(deaf)
	err := f.host.Change(func(tx *Tx) error {
		if err := f.mustHaveNext(tx); err != nil {
			return err
		}
		if len(deaf) > 0 && !force {
			return fault.New(fault.Conflict, "%s would not hear us any more: give each the new request, or leave it behind with --force", strings.Join(deaf, ", "))
		}
		next, err := f.readIdentity(tx, nextIdentity)
		if err != nil {
			return err
		}
		if err := tx.ForgetKnows(); err != nil {
			return err
		}
		tx.OnCommit(func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.nextSigner != nil {
				f.signer, f.nextSigner = f.nextSigner, nil
			}
		})
		was, err := f.readIdentity(tx, identityName)
		if err != nil {
			return err
		}
		if was != nil {
			if err := keys.DeactivateRef(tx, was.ref()); err != nil {
				return err
			}
		}
		if err := tx.Delete(f.config.Single, []byte(nextIdentity)); err != nil {
			return err
		}
		return store.PutValue(tx, f.config.Single, []byte(identityName), next)
	})
	if err == nil {
		f.log.Info("the identity is replaced", "actor", by.Who, "reason", by.Reason)
	}
	return err
}

// peersThatKnow lists all peers, and tells of each whether it knows the next identity. A server is named by the organisation that
// publishes there.
func (f *Federation) peersThatKnow() map[string]bool {
	var registries []string
	if f.Registries != nil {
		registries = f.Registries()
	}
	all := map[string]bool{}
	for _, name := range registries {
		all[PeerName("registry", name)] = f.Peers.Knows(PeerName("registry", name))
	}
	for _, c := range f.Peers.Children() {
		all[PeerName("child", c.Holder)] = f.Peers.Knows(PeerName("child", c.Holder))
	}
	for _, p := range f.Publishers() {
		all[PeerName("publisher", p.Handle)] = f.Peers.Knows(PeerName("publisher", p.Handle))
	}
	for _, p := range f.Peers.Parents() {
		all[PeerName("parent", p.Name)] = f.Peers.Knows(PeerName("parent", p.Name))
	}
	for _, o := range f.Peers.Remotes() {
		if o.Left {
			continue
		}
		knows, more := all[PeerName("server", o.Holder)]
		all[PeerName("server", o.Holder)] = f.Peers.Knows(PeerName("server", o.Name)) && (knows || !more)
	}
	return all
}

// IdentityStatus is an identity of the installation, and the peers that know it.
type IdentityStatus struct {
	Identity string    `json:"identity"` // the beginning of its certificate's SHA-1, hex
	State    string    `json:"state"`    // active, or next
	Expires  time.Time `json:"expires"`
	Peers    []string  `json:"peers"` // child/…, publisher/…, parent/…, server/…, registry/…
}

// Identities lists the identity that is in use, and the one that is to replace it.
func (f *Federation) Identities() ([]IdentityStatus, error) {
	now, next, err := f.identities()
	if err != nil {
		return nil, err
	}
	all := f.peersThatKnow()
	list := []IdentityStatus{{fingerprint(now.Certificate), "active", Ends(now.Certificate), []string{}}}
	if next != nil {
		list = append(list, IdentityStatus{fingerprint(next.Certificate), "next", Ends(next.Certificate), []string{}})
	}
	for _, peer := range slices.Sorted(maps.Keys(all)) {
		at := &list[0]
		if all[peer] && next != nil {
			at = &list[1]
		}
		at.Peers = append(at.Peers, peer)
	}
	return list, nil
}

const day = 24 * time.Hour

// endsSoon is how long before its end an identity is warned of. It is long because people have to be asked for a new one.
const endsSoon = 90 * day

// warnOfIdentities logs a warning for each identity, of ours and of peers, that nears its end.
func (f *Federation) warnOfIdentities(now time.Time) {
	warn := func(whose string, certificate []byte, how string) {
		if ends := Ends(certificate); !ends.IsZero() && ends.Sub(now) < endsSoon {
			f.log.Warn("an identity nears its end", "of", whose, "ends", ends.Format(time.RFC3339), "days", int(ends.Sub(now)/day), "what_to_do", how)
		}
	}
	if own, next, err := f.identities(); err == nil && next == nil {
		warn("this installation", own.Certificate, "make a new one with 'cadastre identity renew'")
	} else if err == nil {
		warn("this installation", own.Certificate, "have all peers know the new one, and end with 'cadastre identity activate --all'")
	}
	for _, p := range f.Publishers() {
		warn(PeerName("publisher", p.Handle), p.TrustAnchor, "ask it for a new publisher_request, for 'cadastre publishers update'")
	}
	for _, c := range f.Peers.Children() {
		warn(PeerName("child", c.Holder), c.TrustAnchor, "ask it for a new child_request, for 'cadastre children update'")
	}
	for _, p := range f.Peers.Parents() {
		warn(PeerName("parent", p.Name), p.TrustAnchor, "ask it for a new parent_response, for 'cadastre parents update'")
	}
	for _, o := range f.Peers.Remotes() {
		if !o.Left {
			warn(PeerName("server", o.Holder), o.TrustAnchor, "ask it for a new repository_response, for 'cadastre repository configure'")
		}
	}
}

// Ends is when the certificate of an identity ends; zero where it cannot be read.
func Ends(certificate []byte) time.Time {
	trust, err := envelope.ParseTrust(certificate)
	if err != nil {
		return time.Time{}
	}
	return trust.Expires().UTC()
}
