package ca

import (
	"crypto"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cadastre/ca/issued"
	"cadastre/ca/repositories"
	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/principal"
	"cadastre/internal/store"
	"cadastre/keys"
	"cadastre/rrdp"
)

// anchorFile is the file with the trust anchor's key: the header of a keeper of its own, and the key's Ref. It is not in the store and may
// have a passphrase of its own, so that it can be kept elsewhere. Only the root's certificate and the anchor's own manifest and CRL need
// the key.
type anchorFile struct {
	Keeper json.RawMessage `json:"vault"`
	KeyID  string          `json:"key_id"`
	Held   []byte          `json:"sealed_key"`
}

func anchorPath(dir string) string { return filepath.Join(dir, "anchor.key") }

func openAnchor(dir string, policy *Policy, passphrase []byte) (crypto.Signer, error) {
	f, err := readAnchor(dir)
	if err != nil {
		return nil, err
	}
	keeper, err := policy.Keys.Open(f.Keeper, passphrase, nil)
	if err != nil {
		return nil, fault.Wrap(err, "couldn't open the trust anchor's key")
	}
	return keeper.Find(keys.Ref{Name: f.KeyID, Held: f.Held})
}

func readAnchor(dir string) (*anchorFile, error) {
	text, err := os.ReadFile(anchorPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "the trust anchor's key %s is not there: bring it, or do without its passphrase", anchorPath(dir))
	}
	f := &anchorFile{}
	if err == nil {
		err = json.Unmarshal(text, f)
	}
	if err != nil {
		return nil, fault.New(fault.Corrupt, "the trust anchor's key %s cannot be read (%w): restore it from a backup", anchorPath(dir), err)
	}
	return f, nil
}

// firstRevision is the revision of a store after Init.
const firstRevision store.Revision = 1

// Init makes a new installation in an empty store: the organisations, a keeper of keys, an empty repository for each
// registry, and the trust anchor with its self-signed certificate.
func Init(st store.Store, dir string, policy Policy, tree []holdings.Organisation, passphrase, anchorPassphrase []byte, who principal.Principal) error {
	now := time.Now().UTC().Truncate(time.Second)
	return found(st, dir, policy, tree, passphrase, anchorPassphrase, now, func(w store.Writer) error {
		return holdings.Create(w, tree, who, now)
	})
}

// found makes a new installation. Fill writes its ledger. All changes of the store are one transaction.
func found(st store.Store, dir string, policy Policy, tree []holdings.Organisation, passphrase, anchorPassphrase []byte, now time.Time, fill func(store.Writer) error) error {
	keeper, header, err := policy.Keys.Found(passphrase)
	if err != nil {
		return err
	}
	peersKnow, err := federation.NewIdentity(keeper, now)
	if err != nil {
		return err
	}
	installation := newInstallation()
	anchor, certificate, file, err := newAnchor(&policy, installation, tree, anchorPassphrase, now)
	if err != nil {
		return err
	}
	if err := replaceFile(anchorPath(dir), file); err != nil {
		return err
	}
	_, err = st.Update(store.Any, func(w store.Writer) error {
		if err := fill(w); err != nil {
			return err
		}
		for _, o := range tree {
			if !o.Kind.IsRegistry() {
				continue
			}
			if err := rrdp.Create(w, repositories.Config(dir, &policy, o.Handle)); err != nil {
				return err
			}
		}
		for key, value := range map[string][]byte{
			string(installationKey): []byte(installation), string(keeperKey): header, string(anchorKey): certificate,
			string(brakeSecretKey): newBrakeSecret(),
		} {
			if err := w.Put(engineBucket, []byte(key), value); err != nil {
				return err
			}
		}
		if err := peersKnow.Write(w, engineBucket); err != nil {
			return err
		}
		if err := store.PutValue(w, engineBucket, addressesKey, policy.Addresses()); err != nil {
			return err
		}
		return store.PutValue(w, issued.Authorities, []byte(issued.AnchorHolder), anchor)
	})
	return err
}

// newAnchor makes the trust anchor's key and certificate. The certificate names all resources, so it need not change when holdings below
// it do.
func newAnchor(policy *Policy, installation string, tree []holdings.Organisation, passphrase []byte, now time.Time) (*issued.Authority, []byte, []byte, error) {
	root := slices.IndexFunc(tree, func(o holdings.Organisation) bool { return o.Kind == holdings.Root })
	if root < 0 {
		return nil, nil, nil, fault.New(fault.BadInput, "the tree has no organisation of kind root; name one, such as iana")
	}
	keeper, header, err := policy.Keys.Found(passphrase)
	if err != nil {
		return nil, nil, nil, err
	}
	key, err := keys.One(keeper, policy.Algorithm)
	if err != nil {
		return nil, nil, nil, err
	}
	file, err := json.Marshal(anchorFile{header, key.Ref.Name, key.Ref.Held})
	if err != nil {
		return nil, nil, nil, err
	}
	a := &issued.Authority{
		Name: issued.Anchor, Holder: issued.AnchorHolder, Issuer: issued.Anchor, Repository: tree[root].Handle, Path: issued.PathOf(installation, issued.AnchorHolder),
		KeyID: key.Public.ID, KeyInfo: key.Public.Info, Certified: inr.Everything(), CertificateURI: policy.AnchorURI(),
		CertSerial: object.NewSerial(), CertExpires: now.Add(issued.AnchorLife.Life),
	}
	der, err := anchorCertificate(policy, a, key.Signer, now)
	return a, der, file, err
}

// anchorCertificate is the trust anchor's self-signed certificate, DER.
func anchorCertificate(p *Policy, a *issued.Authority, key crypto.Signer, now time.Time) ([]byte, error) {
	certificate := object.Certificate{
		Serial: a.CertSerial, Issuer: a.KeyID, Key: a.PublicKey(), NotBefore: now.Add(-issued.Backdate), NotAfter: a.CertExpires, Resources: a.Certified,
		Repository: p.Place(a), Manifest: p.Place(a) + a.ManifestName(), Notify: p.Notify(a.Repository),
	}
	return certificate.Sign(key)
}

// Anchor is the trust anchor's certificate, DER, as it is served beside the repositories.
func (e *Engine) Anchor() ([]byte, error) {
	return e.read(engineBucket, anchorKey)
}

// TAL is the trust anchor locator that validators are given (RFC 8630).
func (e *Engine) TAL() (string, error) {
	a, err := e.issued.Read(issued.Anchor)
	if err != nil {
		return "", err
	}
	return object.TAL{URIs: []string{e.policy.AnchorURL, e.policy.AnchorURI()}, Key: a.PublicKey()}.Text(), nil
}
