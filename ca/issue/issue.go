// Package issue makes objects from the updates of a plan: it signs certificates and signed objects, and then a CRL and a manifest for each
// authority. It takes no decisions and stores nothing: the result is a Batch that the caller checks and commits.
package issue

import (
	"context"
	"crypto"
	"crypto/sha256"
	"math/big"
	"runtime"
	"sync"
	"time"

	"cadastre/ca/issued"
	"cadastre/ca/kinds"
	"cadastre/ca/plan"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/payload"
	"cadastre/keys"
)

// Host is what issuing needs of the engine: records and keys. It is safe for concurrent use.
type Host interface {
	New(authority issued.Name) issued.Authority             // the record of a new authority: its issuer and where it publishes
	Read(authority issued.Name) (*issued.Records, error)    // nil where there is none
	Kind(holder string) holdings.Kind                       // of an organisation
	Place(authority issued.Name) *issued.Place              // where a delegated CA asked to publish; nil where the key is ours
	Received(authority issued.Name) *Received               // the certificate from a parent elsewhere; nil where there is none
	Unsent(authority *issued.Authority) bool                // it publishes at a server elsewhere that does not have all of it
	Key(authority *issued.Authority) (crypto.Signer, error) // its long-lived key
	OneTimeKeys(ctx context.Context, n int) ([]crypto.Signer, error)
	MakeKeys(ctx context.Context, n int) ([]keys.Key, error) // new long-lived keys
	DestroyKeys([]keys.Ref)                                  // of MakeKeys, which no record names
}

// Received is a certificate that a parent elsewhere issued to an authority of ours.
type Received struct {
	URI       string
	Resources inr.Set
	Subject   []byte // DER
	Serial    *big.Int
	Expires   time.Time
}

// Change is the change of one authority in a batch: its record and products. They are as they were when the batch was signed and, after
// Close, as they will be. A change with Gone set ends the authority.
type Change struct {
	Next      *issued.Records
	Key       crypto.Signer // the authority's own
	KeyRef    *keys.Ref     // of a key that was made for the authority in this batch; nil for none
	Created   bool
	Gone      bool
	Certified bool // its certificate is a new one
	Shed      bool // it issued a smaller certificate, or withdrew a signed object
	Touched   bool // it makes a new CRL and manifest

	Added   []issued.Product
	Removed []issued.Product
	Revoked []issued.Revocation
	Files   map[string][]byte // by URI; nil for what is withdrawn
}

// Batch is changes that become visible together.
type Batch struct {
	Now     time.Time
	Changes map[issued.Name]*Change
	made    []keys.Ref // long-lived keys that were made for it and that Discard destroys
}

// Commits is called before the batch is written: from then on records may name its keys, and Discard destroys none.
func (b *Batch) Commits() { b.made = nil }

// batcher makes one batch. It signs, and changes no state.
type batcher struct {
	*Batch
	host   Host
	policy *issued.Policy
	mu     sync.Mutex // guards what the tasks add to changes
	tasks  []func() error
}

// Signed is a batch whose certificates and signed objects are made, and whose CRLs and manifests are not. When it is closed, one more batch
// may have been committed than when it was signed.
type Signed struct {
	*batcher
	oneTime *stock[crypto.Signer] // the keys for its manifests
}

// Discard destroys the keys of authorities that the batch would have made, unless it is committed.
func (s *Signed) Discard() { s.host.DestroyKeys(s.made) }

// Sign signs the certificates and signed objects that the updates ask for. It may run while the batch before it is closed and committed.
func Sign(ctx context.Context, host Host, policy *issued.Policy, updates []plan.Update, now time.Time) (*Signed, error) {
	b := &batcher{Batch: &Batch{Now: now, Changes: map[issued.Name]*Change{}}, host: host, policy: policy}
	ownKeys, manyOneTime := plan.KeysFor(updates)
	made, err := host.MakeKeys(ctx, ownKeys)
	if err != nil {
		return nil, err
	}
	for _, key := range made {
		b.made = append(b.made, key.Ref)
	}
	s := &Signed{batcher: b}
	if s.oneTime, err = b.sign(ctx, updates, (*stock[keys.Key])(&made), manyOneTime); err != nil {
		s.Discard()
		return nil, err
	}
	return s, nil
}

// sign makes the Changes of the updates, and returns the one-time keys that are left for Close.
func (b *batcher) sign(ctx context.Context, updates []plan.Update, own *stock[keys.Key], manyOneTime int) (*stock[crypto.Signer], error) {
	taken, err := b.host.OneTimeKeys(ctx, manyOneTime)
	if err != nil {
		return nil, err
	}
	oneTime := (*stock[crypto.Signer])(&taken)
	for _, u := range updates {
		if u.Create {
			b.create(u.Name, own)
		}
	}
	for _, u := range updates {
		if err := b.update(u, oneTime); err != nil {
			return nil, err
		}
	}
	return oneTime, inParallel(b.tasks)
}

// stock is the keys for one batch.
type stock[K any] []K

func (s *stock[K]) next() K {
	key := (*s)[0]
	*s = (*s)[1:]
	return key
}

// inParallel runs tasks on all cores and returns the first error.
func inParallel(tasks []func() error) error {
	var wg sync.WaitGroup
	queue := make(chan func() error)
	failed := make(chan error, len(tasks))
	for range min(runtime.GOMAXPROCS(0), len(tasks)) {
		wg.Go(func() {
			for task := range queue {
				if err := task(); err != nil {
					failed <- err
				}
			}
		})
	}
	for _, task := range tasks {
		if len(failed) > 0 {
			break
		}
		queue <- task
	}
	close(queue)
	wg.Wait()
	close(failed)
	return <-failed
}

// change is the Change of an authority that exists, or is created in this batch.
func (b *batcher) change(name issued.Name) (*Change, error) {
	if c := b.Changes[name]; c != nil {
		return c, nil
	}
	is, err := b.host.Read(name)
	if err != nil {
		return nil, err
	}
	if is == nil {
		return nil, fault.New(fault.Conflict, "the authority %s is no more", name)
	}
	next := &issued.Records{Authority: is.Authority, Products: is.Products, Revoked: is.Revoked}
	c := &Change{Next: next, Files: map[string][]byte{}}
	b.Changes[name] = c
	return c, nil
}

// create begins the Change of a new authority, with a key of the stock or, for a delegated CA, the key that it asked to have certified.
func (b *batcher) create(name issued.Name, stock *stock[keys.Key]) {
	next := &issued.Records{Authority: b.host.New(name)}
	c := &Change{Next: next, Created: true, Files: map[string][]byte{}}
	if next.Delegated == nil {
		made := stock.next()
		c.Key, c.KeyRef = made.Signer, &made.Ref
		next.KeyID, next.KeyInfo = made.Public.ID, made.Public.Info
	}
	b.Changes[name] = c
}

// update adds the tasks of one authority.
func (b *batcher) update(u plan.Update, stock *stock[crypto.Signer]) error {
	c, err := b.change(u.Name)
	if err != nil || c.Next.Delegated != nil {
		return err
	}
	if u.End {
		b.end(c)
		return nil
	}
	c.Touched = true
	if c.Key == nil {
		if c.Key, err = b.host.Key(&c.Next.Authority); err != nil {
			return err
		}
	}
	if u.Adopt {
		b.adopt(c, b.host.Received(u.Name))
	}
	for _, file := range u.Withdraw {
		product := c.Next.Products[file]
		if _, is := product.Payload(); is {
			c.Shed = true
		}
		b.withdraw(c, product)
	}
	for _, file := range u.Release {
		c.Shed = true
		b.release(c, c.Next.Products[file])
	}
	for _, name := range u.Revoke {
		if err := b.revoke(c, name); err != nil {
			return err
		}
	}
	known := b.Now.Add(-b.policy.Soak)
	if b.host.Unsent(&c.Next.Authority) {
		known = time.Time{}
	}
	for _, order := range u.Certify {
		child, err := b.change(order.Name)
		if err != nil {
			return err
		}
		if !child.Created && !order.Resources.Contains(child.Next.Certified) {
			c.Shed = true
		}
		child.Next.NoteCertified(order.Resources, b.Now, known)
		if err := b.certify(c, child, b.host.Place(order.Name), b.policy.LifetimeOf(b.host.Kind(child.Next.Holder))); err != nil {
			return err
		}
	}
	for _, says := range u.Authorise {
		oneTime := stock.next()
		b.tasks = append(b.tasks, func() error { return b.authorise(c, says, oneTime) })
	}
	return nil
}

// withdraw takes a product out of the manifest and puts it on the CRL.
func (b *batcher) withdraw(c *Change, p issued.Product) {
	b.release(c, p)
	c.Files[b.policy.Place(&c.Next.Authority)+p.Name] = nil
}

// release does the same, but leaves the file: another authority of the same folder writes it from now on.
func (b *batcher) release(c *Change, p issued.Product) {
	c.Removed = append(c.Removed, p)
	b.revokeSerial(c, p.Serial, p.Expires)
}

// adopt has an authority go by the certificate that a parent elsewhere issued.
func (b *batcher) adopt(c *Change, got *Received) {
	own := &c.Next.Authority
	own.NoteCertified(got.Resources, b.Now, b.Now.Add(-b.policy.Soak))
	own.CertificateURI, own.CertSerial, own.CertExpires = got.URI, got.Serial, got.Expires
	own.Issuer, own.Subject, own.Certificated = issued.Outside, got.Subject, b.Now
	c.Certified = true
}

func (b *batcher) revokeSerial(c *Change, serial *big.Int, expires time.Time) {
	if serial != nil && expires.After(b.Now) {
		c.Revoked = append(c.Revoked, issued.Revocation{Serial: serial, At: b.Now, Expires: expires})
	}
}

// revoke ends an authority below c: its certificate is revoked, and all that it published is withdrawn.
func (b *batcher) revoke(c *Change, name issued.Name) error {
	child, err := b.change(name)
	if err != nil {
		return err
	}
	b.end(child)
	b.withdraw(c, c.Next.Products[child.Next.CertificateName()])
	return nil
}

// end withdraws all that an authority published. What a delegated CA published is not withdrawn.
func (b *batcher) end(c *Change) {
	c.Gone, c.Touched = true, false
	if c.Next.Delegated != nil || c.Next.Awaits() {
		return
	}
	place := b.policy.Place(&c.Next.Authority)
	for name := range c.Next.Products {
		c.Files[place+name] = nil
	}
	c.Files[place+c.Next.ManifestName()] = nil
	c.Files[place+c.Next.CRLName()] = nil
}

// certify issues a certificate to an authority. If it replaces another one it has the same file name, and the other is revoked. Place is where
// a delegated CA publishes, by its last request.
func (b *batcher) certify(c, child *Change, place *issued.Place, l issued.Lifetime) error {
	sub := &child.Next.Authority
	if place != nil {
		sub.Delegated = place
	}
	name := sub.CertificateName()
	if old, replaces := c.Next.Products[name]; replaces {
		if old.Says != sub.Name { // two keys with one identifier: the source of randomness repeats itself
			return fault.New(fault.Internal, "the key that was made for %s is that of %s, whose certificate would be replaced", sub.Name, old.Says)
		}
		b.revokeSerial(c, old.Serial, old.Expires)
	}
	own := &c.Next.Authority
	serial, ends := object.NewSerial(), issued.Earlier(b.Now.Add(l.Life), own.CertExpires)
	sub.CertSerial, sub.CertExpires = serial, ends
	sub.CertificateURI = b.policy.Place(own) + name
	sub.Issuer, sub.Certificated = own.Name, b.Now
	child.Certified = true
	certificate := object.Certificate{
		Serial: serial, Issuer: own.KeyID, IssuerName: own.Subject, Key: sub.PublicKey(),
		NotBefore: b.Now.Add(-issued.Backdate), NotAfter: ends, Resources: sub.Certified,
		CRL: b.policy.Place(own) + own.CRLName(), Issued: own.CertificateURI,
		Repository: b.policy.Place(sub), Manifest: b.policy.ManifestURI(sub), Notify: b.policy.NotifyOf(sub),
	}
	b.tasks = append(b.tasks, func() error {
		der, err := certificate.Sign(c.Key)
		if err != nil {
			return err
		}
		if err := vetoCertificate(sub.CertificateURI, der, &certificate); err != nil {
			return err
		}
		b.add(c, der, issued.Product{Name: name, Serial: serial, Expires: ends, Says: sub.Name})
		return nil
	})
	return nil
}

// authorise issues the signed object of a payload.
func (b *batcher) authorise(c *Change, says payload.Payload, oneTime crypto.Signer) error {
	kind, err := kinds.Of(says.Kind())
	if err != nil {
		return err
	}
	key, err := object.PublicKeyOf(oneTime)
	if err != nil {
		return err
	}
	own := &c.Next.Authority
	name := key.ID.FileName() + kind.Extension // a new name for each issuance (RFC 6481, section 2.2)
	ends := issued.Earlier(b.Now.Add(b.policy.ROA.Life), own.CertExpires)
	der, serial, err := kind.Sign(says, kinds.Order{
		Place: b.place(own, name), NotBefore: b.Now.Add(-issued.Backdate), NotAfter: ends, Issuer: c.Key, OneTime: oneTime, At: b.Now,
	})
	if err != nil {
		return err
	}
	b.add(c, der, issued.Product{Name: name, Serial: serial, Expires: ends, Says: says})
	return nil
}

func (b *batcher) place(a *issued.Authority, name string) object.Place {
	place := b.policy.Place(a)
	return object.Place{Issuer: a.KeyID, IssuerName: a.Subject, CRL: place + a.CRLName(), Issued: a.CertificateURI, Object: place + name}
}

// add adds the product of a task to a change.
func (b *batcher) add(c *Change, der []byte, p issued.Product) {
	p.Hash = sha256.Sum256(der)
	uri := b.policy.Place(&c.Next.Authority) + p.Name
	b.mu.Lock()
	defer b.mu.Unlock()
	c.Files[uri] = der
	c.Added = append(c.Added, p)
}
