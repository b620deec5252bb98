package ca

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // key identifiers are made so
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/store"
	"cadastre/keys"
)

// identityName is under what the record of the installation's identity is kept, and nextIdentity under what that of the one
// which is to replace it.
const (
	identityName = "identity"
	nextIdentity = "next identity"
)

// identity is what the installation is known by to its peers, as their parent, child, publication server and publisher
// (RFC 8183, section 5.1). It is not part of the RPKI.
type identity struct {
	Certificate []byte `json:"certificate"`
	Sealed      []byte `json:"sealed_key"`
	SealedAs    string `json:"sealed_as,omitempty"` // the name under which the key is sealed; identityName where there is none
}

// newIdentity makes an identity whose key is sealed under a name that no other has.
func newIdentity(vault *keys.Vault, now time.Time) (*identity, error) {
	key, certificate, err := envelope.NewIdentity(now)
	if err != nil {
		return nil, err
	}
	id := &identity{Certificate: certificate, SealedAs: identityName + " " + fingerprint(certificate)}
	id.Sealed, err = vault.Seal(id.SealedAs, key)
	return id, err
}

// fingerprint tells identities apart.
func fingerprint(certificate []byte) string {
	sum := sha1.Sum(certificate) //nolint:gosec // it names, and proves nothing
	return hex.EncodeToString(sum[:8])
}

func readIdentity(r store.Reader, called string) (*identity, error) {
	return store.Value[identity](r, engineBucket, []byte(called))
}

// Identity is the certificate of the installation's identity, DER: what its peers and its successor know it by.
func (e *Engine) Identity() ([]byte, error) {
	id, _, err := e.identities()
	if err != nil {
		return nil, err
	}
	return id.Certificate, nil
}

// OpenIdentity opens the key of the installation's identity and no other, for one who has something to Sign and nothing to
// issue. A wrong passphrase is of kind Secret.
func (e *Engine) OpenIdentity(passphrase []byte) error {
	var err error
	if e.vault, err = e.openVault(passphrase); err != nil {
		return err
	}
	return e.openIdentity()
}

// Sign signs content, XML, as the installation. It fails with Secret while the keys are not open.
func (e *Engine) Sign(content []byte, at time.Time) ([]byte, error) {
	e.mu.RLock()
	signer := e.signer
	e.mu.RUnlock()
	if signer == nil {
		return nil, fault.New(fault.Secret, "nothing can be signed while the keys are not open: name a file with their passphrase, or wait until the daemon has opened them")
	}
	return signer.Sign(content, at)
}

// identities is the one that is in use, and the one that is to replace it, nil where there is none.
func (e *Engine) identities() (now, next *identity, err error) {
	err = e.store.View(func(r store.Reader) error {
		if now, err = readIdentity(r, identityName); err == nil {
			next, err = readIdentity(r, nextIdentity)
		}
		return err
	})
	if err == nil && now == nil {
		err = fault.New(fault.NotFound, "this installation has no identity for its peers yet; start 'cadastre serve' once")
	}
	return now, next, err
}

// introduction is the identity that files for peers have: the next, where there is one.
func (e *Engine) introduction() (*identity, error) {
	now, next, err := e.identities()
	if next != nil {
		now = next
	}
	return now, err
}

// openIdentity makes ready to sign messages to peers. An installation that is older than they are gets an identity.
func (e *Engine) openIdentity() error {
	now, next, err := e.identities()
	if fault.KindOf(err) == fault.NotFound && err != nil {
		if now, err = newIdentity(e.vault, time.Now()); err != nil {
			return err
		}
		_, err = e.store.Update(store.Any, func(w store.Writer) error { return store.PutValue(w, engineBucket, []byte(identityName), now) })
	}
	if err != nil {
		return err
	}
	if e.signer, err = e.signerOf(now); err == nil && next != nil {
		e.nextSigner, err = e.signerOf(next)
	}
	return err
}

func (e *Engine) signerOf(id *identity) (*envelope.Signer, error) {
	name := id.SealedAs
	if name == "" {
		name = identityName
	}
	key, err := e.vault.Open(name, id.Sealed)
	if err != nil {
		return nil, err
	}
	return envelope.NewSigner(key, id.Certificate)
}

// signers is what messages to a peer may be signed with: first as it is thought to know us, then, where an identity is being
// replaced, as the other.
func (e *Engine) signers(peer string) []*envelope.Signer {
	e.mu.RLock()
	defer e.mu.RUnlock()
	switch {
	case e.nextSigner == nil:
		return []*envelope.Signer{e.signer}
	case e.peers.Knows(peer):
		return []*envelope.Signer{e.nextSigner, e.signer}
	}
	return []*envelope.Signer{e.signer, e.nextSigner}
}

// met notes that a peer got to know us by a file that was just made for it. It is used within changePeers.
func (e *Engine) met(w *federation.Tx, peer string) error {
	if next, err := readIdentity(w, nextIdentity); err != nil || next == nil {
		return err
	}
	return w.SetKnows(peer, true)
}

// RenewIdentity makes an identity that is to replace the one in use (RFC 8183, section 5.1). From then on files for peers
// have it, and messages are signed with the old one until each peer knows the new.
func (e *Engine) RenewIdentity(by holdings.By) error {
	if e.vault == nil {
		return fault.New(fault.Unreachable, "no daemon runs, and the key of an identity is sealed by it; start 'cadastre serve'")
	}
	made, err := newIdentity(e.vault, time.Now())
	if err != nil {
		return err
	}
	signer, err := e.signerOf(made)
	if err != nil {
		return err
	}
	err = e.changePeers(func(w *federation.Tx) error {
		if next, err := readIdentity(w, nextIdentity); err != nil || next != nil {
			return cmp.Or[error](err, fault.New(fault.Conflict, "a new identity waits already; see who knows it with 'cadastre identity show', and end with 'cadastre identity activate --all'"))
		}
		w.OnCommit(func() { e.nextSigner = signer })
		return store.PutValue(w, engineBucket, []byte(nextIdentity), made)
	})
	if err == nil {
		e.log.Info("a new identity is made", "identity", fingerprint(made.Certificate), "actor", by.Actor, "reason", by.Reason)
	}
	return err
}

// ActivateIdentity has replies to some children and publishers be signed with the new identity from now on, each named as
// child/HANDLE or publisher/HANDLE.
func (e *Engine) ActivateIdentity(by holdings.By, peers []string) error {
	all, err := e.peersThatKnow()
	if err != nil {
		return err
	}
	var named []string
	for _, peer := range peers {
		kind, of, _ := strings.Cut(peer, "/")
		if kind == "child" {
			of = holdings.Fold(of)
		}
		named = append(named, federation.PeerName(kind, of))
		if _, there := all[federation.PeerName(kind, of)]; !there || kind != "child" && kind != "publisher" {
			return fault.New(fault.NotFound, "%q is no child/HANDLE nor publisher/HANDLE of those that 'cadastre identity show' lists; parents, servers and registries elsewhere are found out by themselves", peer)
		}
	}
	err = e.changePeers(func(w *federation.Tx) error {
		if err := e.mustHaveNext(w); err != nil {
			return err
		}
		for _, peer := range named {
			if err := w.SetKnows(peer, true); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		e.log.Info("peers are answered with the new identity", "peers", strings.Join(named, " "), "actor", by.Actor, "reason", by.Reason)
	}
	return err
}

func (e *Engine) mustHaveNext(w store.Writer) error {
	if next, err := readIdentity(w, nextIdentity); err != nil || next == nil {
		return cmp.Or[error](err, fault.New(fault.NotFound, "no new identity waits; make one with 'cadastre identity renew'"))
	}
	return nil
}

// ReplaceIdentity has the new identity be the only one. Parents and servers elsewhere that do not know it yet would not
// hear us any more: that is refused unless it is forced.
func (e *Engine) ReplaceIdentity(by holdings.By, force bool) error {
	all, err := e.peersThatKnow()
	if err != nil {
		return err
	}
	var deaf []string
	for peer, knows := range all {
		if kind, _, _ := strings.Cut(peer, "/"); !knows && (kind == "parent" || kind == "server" || kind == "registry") {
			deaf = append(deaf, peer)
		}
	}
	slices.Sort(deaf)
	err = e.changePeers(func(w *federation.Tx) error {
		if err := e.mustHaveNext(w); err != nil {
			return err
		}
		if len(deaf) > 0 && !force {
			return fault.New(fault.Conflict, "%s would not hear us any more: give each the new request, or leave it behind with --force", strings.Join(deaf, ", "))
		}
		next, err := readIdentity(w, nextIdentity)
		if err != nil {
			return err
		}
		if err := w.ForgetKnows(); err != nil {
			return err
		}
		w.OnCommit(func() {
			if e.nextSigner != nil {
				e.signer, e.nextSigner = e.nextSigner, nil
			}
		})
		if err := w.Delete(engineBucket, []byte(nextIdentity)); err != nil {
			return err
		}
		return store.PutValue(w, engineBucket, []byte(identityName), next)
	})
	if err == nil {
		e.log.Info("the identity is replaced", "actor", by.Actor, "reason", by.Reason)
	}
	return err
}

// peersThatKnow lists all peers, and which of them know the next identity. Servers go by the organisation that publishes there.
func (e *Engine) peersThatKnow() (map[string]bool, error) {
	publishers, err := e.Publishers()
	if err != nil {
		return nil, err
	}
	var registries []string
	if e.Registries != nil {
		registries = e.Registries()
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	all := map[string]bool{}
	for _, name := range registries {
		all[federation.PeerName("registry", name)] = e.peers.Knows(federation.PeerName("registry", name))
	}
	for _, c := range e.peers.Children() {
		all[federation.PeerName("child", c.Holder)] = e.peers.Knows(federation.PeerName("child", c.Holder))
	}
	for _, p := range publishers {
		all[federation.PeerName("publisher", p.Handle)] = e.peers.Knows(federation.PeerName("publisher", p.Handle))
	}
	for _, p := range e.peers.Parents() {
		all[federation.PeerName("parent", p.Name)] = e.peers.Knows(federation.PeerName("parent", p.Name))
	}
	for _, o := range e.peers.Remotes() {
		if o.Left {
			continue
		}
		knows, more := all[federation.PeerName("server", o.Holder)]
		all[federation.PeerName("server", o.Holder)] = e.peers.Knows(federation.PeerName("server", o.Name)) && (knows || !more)
	}
	return all, nil
}

// IdentityStatus is an identity of the installation, and the peers that know it.
type IdentityStatus struct {
	Identity string    `json:"identity"` // the beginning of its certificate's SHA-1, hex
	State    string    `json:"state"`    // active, or next
	Expires  time.Time `json:"expires"`
	Peers    []string  `json:"peers"` // child/…, publisher/…, parent/…, server/…, registry/…
}

// Identities lists the identity that is in use, and the one that is to replace it.
func (e *Engine) Identities() ([]IdentityStatus, error) {
	now, next, err := e.identities()
	if err != nil {
		return nil, err
	}
	all, err := e.peersThatKnow()
	if err != nil {
		return nil, err
	}
	list := []IdentityStatus{{fingerprint(now.Certificate), "active", identityEnd(now.Certificate), []string{}}}
	if next != nil {
		list = append(list, IdentityStatus{fingerprint(next.Certificate), "next", identityEnd(next.Certificate), []string{}})
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

// endsSoon is how long before its end an identity is warned of: there are people to be asked for a new one.
const endsSoon = 90 * day

// warnOfIdentities says which identities near their end, ours and those of peers.
func (e *Engine) warnOfIdentities(now time.Time) {
	warn := func(whose string, certificate []byte, how string) {
		if ends := identityEnd(certificate); !ends.IsZero() && ends.Sub(now) < endsSoon {
			e.log.Warn("an identity nears its end", "of", whose, "ends", ends.Format(time.RFC3339), "days", int(ends.Sub(now)/day), "what_to_do", how)
		}
	}
	if own, next, err := e.identities(); err == nil && next == nil {
		warn("this installation", own.Certificate, "make a new one with 'cadastre identity renew'")
	} else if err == nil {
		warn("this installation", own.Certificate, "have all peers know the new one, and end with 'cadastre identity activate --all'")
	}
	publishers, err := e.Publishers()
	if err != nil {
		return
	}
	for _, p := range publishers {
		warn(federation.PeerName("publisher", p.Handle), p.TrustAnchor, "ask it for a new publisher_request, for 'cadastre publishers update'")
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, c := range e.peers.Children() {
		warn(federation.PeerName("child", c.Holder), c.TrustAnchor, "ask it for a new child_request, for 'cadastre children update'")
	}
	for _, p := range e.peers.Parents() {
		warn(federation.PeerName("parent", p.Name), p.TrustAnchor, "ask it for a new parent_response, for 'cadastre parents update'")
	}
	for _, o := range e.peers.Remotes() {
		if !o.Left {
			warn(federation.PeerName("server", o.Holder), o.TrustAnchor, "ask it for a new repository_response, for 'cadastre repository configure'")
		}
	}
}
