package ca

import (
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"maps"
	"math/big"
	"runtime"
	"slices"
	"sync"
	"time"

	"cadastre/ca/issued"
	"cadastre/ca/kinds"
	"cadastre/ca/plan"
	"cadastre/federation"
	"cadastre/internal/fault"
	"cadastre/internal/object"
	"cadastre/internal/payload"
)

// change is what becomes of one authority in a batch: its record and products, first as they were when the batch was
// signed and, once it is closed, as they will be. A change with gone set ends the authority.
type change struct {
	next      *issued.Records
	key       crypto.Signer // the authority's own
	created   bool
	gone      bool
	certified bool // its certificate is a new one
	shed      bool // it gave one below it less, or withdrew a signed object
	touched   bool // it makes a new CRL and manifest

	added   []issued.Product
	removed []issued.Product
	revoked []issued.Revocation
	files   map[string][]byte // by URI; nil for what is withdrawn
}

// batch is changes that become visible together.
type batch struct {
	now     time.Time
	changes map[issued.Name]*change
}

// batcher makes one batch: it signs, and touches no state.
type batcher struct {
	*batch
	policy *Policy
	mu     sync.Mutex // guards what the tasks add to changes
	tasks  []func() error
}

// signed is a batch whose certificates and ROAs are signed, and whose CRLs and manifests are not. What it was signed
// from may be one batch old when it is closed.
type signed struct {
	*batcher
	oneTime *stock // the keys for its manifests
}

// sign signs the certificates and ROAs that the updates ask for. It can run beside the closing and committing of the
// batch before it.
func (e *Engine) sign(ctx context.Context, updates []plan.Update, now time.Time) (*signed, error) {
	b := &batcher{batch: &batch{now: now, changes: map[issued.Name]*change{}}, policy: &e.policy}
	stock, err := e.oneTimeKeys(ctx, updates)
	if err != nil {
		return nil, err
	}
	for _, u := range updates {
		if u.Create {
			if err := b.create(e, u.Name, stock); err != nil {
				return nil, err
			}
		}
	}
	for _, u := range updates {
		if err := b.update(e, u, stock); err != nil {
			return nil, err
		}
	}
	return &signed{b, stock}, inParallel(b.tasks)
}

// close makes the CRLs and manifests of a signed batch, on top of all that was committed by now. Nothing is visible or
// stored when it returns.
func (s *signed) close(ctx context.Context, e *Engine) (*batch, error) {
	var tasks []func() error
	for _, name := range slices.SortedFunc(maps.Keys(s.changes), issued.Name.Compare) {
		c := s.changes[name]
		if err := c.rebase(e, s.now); err != nil {
			return nil, err
		}
		if !c.touched {
			continue
		}
		if err := s.waitForNewSecond(ctx, c); err != nil {
			return nil, err
		}
		oneTime := s.oneTime.next()
		tasks = append(tasks, func() error { return s.finish(c, oneTime) })
	}
	return s.batch, inParallel(tasks)
}

// rebase puts a change on top of what is kept of its authority now.
func (c *change) rebase(e *Engine, at time.Time) error {
	if c.created {
		return nil
	}
	is, err := e.issued.Read(c.next.Name)
	if err != nil {
		return err
	}
	if is == nil {
		return fault.New(fault.Conflict, "the authority %s ended while it was being worked on", c.next.Name)
	}
	now := is.Authority
	if was := &c.next.Authority; c.certified {
		now.Certified, now.CertificateURI, now.CertSerial, now.CertExpires = was.Certified, was.CertificateURI, was.CertSerial, was.CertExpires
		now.Issuer, now.Subject, now.Certificated, now.Grown, now.Delegated = was.Issuer, was.Subject, was.Certificated, was.Grown, was.Delegated
	}
	if c.shed {
		now.Shed = at
	}
	c.next = &issued.Records{Authority: now, Products: is.Products, Revoked: is.Revoked}
	return nil
}

// stock is keys that were taken from the pool for one batch.
type stock []crypto.Signer

func (s *stock) next() crypto.Signer {
	key := (*s)[0]
	*s = (*s)[1:]
	return key
}

// oneTimeKeys takes from the pool what the updates need.
func (e *Engine) oneTimeKeys(ctx context.Context, updates []plan.Update) (*stock, error) {
	taken, err := e.pool.Take(ctx, plan.KeysFor(updates))
	return (*stock)(&taken), err
}

// holdPool pauses the making of keys for stock while a plan is carried out for which there are enough. It returns how to
// go on.
func (e *Engine) holdPool(waves []plan.Wave) func() {
	n := 0
	for _, w := range waves {
		n += plan.KeysFor(w.Updates)
	}
	if ready, _ := e.pool.Depth(); ready < n {
		return func() {}
	}
	return e.pool.Hold()
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

// change is the change of an authority that exists, or is being made in this batch.
func (b *batcher) change(e *Engine, name issued.Name) (*change, error) {
	if c := b.changes[name]; c != nil {
		return c, nil
	}
	is, err := e.issued.Read(name)
	if err != nil {
		return nil, err
	}
	if is == nil {
		return nil, fault.New(fault.Conflict, "the authority %s is no more", name)
	}
	next := &issued.Records{Authority: is.Authority, Products: is.Products, Revoked: is.Revoked}
	c := &change{next: next, files: map[string][]byte{}}
	b.changes[name] = c
	return c, nil
}

// create begins a new authority: with a key of the stock, or with that which a delegated CA asked to have certified.
func (b *batcher) create(e *Engine, name issued.Name, stock *stock) error {
	next := &issued.Records{Authority: e.newAuthority(name)}
	c := &change{next: next, created: true, files: map[string][]byte{}}
	if next.Delegated == nil {
		c.key = stock.next()
		public, err := object.PublicKeyOf(c.key)
		if err != nil {
			return err
		}
		next.KeyID, next.KeyInfo = public.ID, public.Info
	}
	b.changes[name] = c
	return nil
}

// update adds the tasks of one authority.
func (b *batcher) update(e *Engine, u plan.Update, stock *stock) error {
	c, err := b.change(e, u.Name)
	if err != nil || c.next.Delegated != nil {
		return err
	}
	if u.End {
		b.end(c)
		return nil
	}
	c.touched = true
	if c.key == nil {
		if c.key, err = e.openKey(&c.next.Authority); err != nil {
			return err
		}
	}
	if u.Adopt {
		b.adopt(c, e.receivedFor(u.Name))
	}
	for _, file := range u.Withdraw {
		product := c.next.Products[file]
		if _, is := product.Payload(); is {
			c.shed = true
		}
		b.withdraw(c, product)
	}
	for _, file := range u.Release {
		c.shed = true
		b.release(c, c.next.Products[file])
	}
	for _, name := range u.Revoke {
		if err := b.revoke(e, c, name); err != nil {
			return err
		}
	}
	known := b.now.Add(-b.policy.Soak)
	if e.unsent(&c.next.Authority) {
		known = time.Time{}
	}
	for _, order := range u.Certify {
		child, err := b.change(e, order.Name)
		if err != nil {
			return err
		}
		if !child.created && !order.Resources.Contains(child.next.Certified) {
			c.shed = true
		}
		child.next.Names(order.Resources, b.now, known)
		if err := b.certify(c, child, e.placeAsked(order.Name), b.policy.LifetimeOf(e.kindOf(child.next.Holder))); err != nil {
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
func (b *batcher) withdraw(c *change, p issued.Product) {
	b.release(c, p)
	c.files[b.policy.Place(&c.next.Authority)+p.Name] = nil
}

// release does so with a product whose file is another authority's from now on.
func (b *batcher) release(c *change, p issued.Product) {
	c.removed = append(c.removed, p)
	b.revokeSerial(c, p.Serial, p.Expires)
}

// adopt takes up the certificate that a parent outside the tree issued.
func (b *batcher) adopt(c *change, got *federation.Received) {
	own := &c.next.Authority
	own.Names(got.Resources, b.now, b.now.Add(-b.policy.Soak))
	own.CertificateURI, own.CertSerial, own.CertExpires = got.URI, got.Serial, got.Expires
	own.Issuer, own.Subject, own.Certificated = issued.Outside, got.Subject, b.now
	c.certified = true
}

func (b *batcher) revokeSerial(c *change, serial *big.Int, expires time.Time) {
	if serial != nil && expires.After(b.now) {
		c.revoked = append(c.revoked, issued.Revocation{Serial: serial, At: b.now, Expires: expires})
	}
}

// revoke ends an authority below c: its certificate is revoked, and all that it published withdrawn.
func (b *batcher) revoke(e *Engine, c *change, name issued.Name) error {
	child, err := b.change(e, name)
	if err != nil {
		return err
	}
	b.end(child)
	b.withdraw(c, c.next.Products[child.next.CertificateName()])
	return nil
}

// end withdraws all that an authority published. What a delegated CA published is its own business.
func (b *batcher) end(c *change) {
	c.gone, c.touched = true, false
	if c.next.Delegated != nil || c.next.Awaits() {
		return
	}
	place := b.policy.Place(&c.next.Authority)
	for name := range c.next.Products {
		c.files[place+name] = nil
	}
	c.files[place+c.next.ManifestName()] = nil
	c.files[place+c.next.CRLName()] = nil
}

// certify issues a certificate for what an authority is to name; one that replaces another has its name, and the other is
// revoked. Place is where a delegated CA publishes, as it asked last.
func (b *batcher) certify(c, child *change, place *issued.Place, l issued.Lifetime) error {
	sub := &child.next.Authority
	if place != nil {
		sub.Delegated = place
	}
	name := sub.CertificateName()
	if old, replaces := c.next.Products[name]; replaces {
		if old.Says != sub.Name { // a source of chance that repeats itself; the next key is another
			return fault.New(fault.Internal, "the key that was made for %s is that of %s, whose certificate would be replaced", sub.Name, old.Says)
		}
		b.revokeSerial(c, old.Serial, old.Expires)
	}
	own := &c.next.Authority
	serial, ends := object.NewSerial(), issued.Earlier(b.now.Add(l.Life), own.CertExpires)
	sub.CertSerial, sub.CertExpires = serial, ends
	sub.CertificateURI = b.policy.Place(own) + name
	sub.Issuer, sub.Certificated = own.Name, b.now
	child.certified = true
	certificate := object.Certificate{
		Serial: serial, Issuer: own.KeyID, IssuerName: own.Subject, Key: sub.PublicKey(),
		NotBefore: b.now.Add(-issued.Backdate), NotAfter: ends, Resources: sub.Certified,
		CRL: b.policy.Place(own) + own.CRLName(), Issued: own.CertificateURI,
		Repository: b.policy.Place(sub), Manifest: b.policy.ManifestURI(sub), Notify: b.policy.NotifyOf(sub),
	}
	b.tasks = append(b.tasks, func() error {
		der, err := certificate.Sign(c.key)
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
func (b *batcher) authorise(c *change, says payload.Payload, oneTime crypto.Signer) error {
	kind, err := kinds.Of(says.Kind())
	if err != nil {
		return err
	}
	key, err := object.PublicKeyOf(oneTime)
	if err != nil {
		return err
	}
	own := &c.next.Authority
	name := key.ID.FileName() + kind.Extension // a new name for each issuance (RFC 6481, section 2.2)
	ends := issued.Earlier(b.now.Add(b.policy.ROA.Life), own.CertExpires)
	der, serial, err := kind.Sign(says, kinds.Order{
		Place: b.place(own, name), NotBefore: b.now.Add(-issued.Backdate), NotAfter: ends, Issuer: c.key, OneTime: oneTime, At: b.now,
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

// add notes what a task made.
func (b *batcher) add(c *change, der []byte, p issued.Product) {
	p.Hash = sha256.Sum256(der)
	uri := b.policy.Place(&c.next.Authority) + p.Name
	b.mu.Lock()
	defer b.mu.Unlock()
	c.files[uri] = der
	c.added = append(c.added, p)
}

// waitForNewSecond waits until the authority's next manifest can have a later thisUpdate than the last, which readers
// insist on. Times in signed objects are whole seconds; that begin in the past leaves room for many in one second.
func (b *batcher) waitForNewSecond(ctx context.Context, c *change) error {
	wait := b.thisUpdate(c).Sub(b.now)
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *batcher) thisUpdate(c *change) time.Time {
	at := b.now.Add(-issued.Backdate)
	if last := c.next.ThisUpdate; !last.IsZero() && !at.After(last) {
		at = last.Add(time.Second)
	}
	return at
}

// finish makes an authority's next CRL and manifest, over its products as they will be.
func (b *batcher) finish(c *change, oneTime crypto.Signer) error {
	c.settle(b.now)
	own := &c.next.Authority
	b.replaceManifest(c)
	this := b.thisUpdate(c)
	number := own.Number + 1
	life, _ := b.policy.ManifestLifeOf(own.Name, number)
	next := issued.Earlier(b.now.Add(life), own.CertExpires)

	crl := object.CRL{Issuer: own.KeyID, IssuerName: own.Subject, Number: number, ThisUpdate: this, NextUpdate: next}
	for _, r := range c.next.Revoked {
		crl.Revoked = append(crl.Revoked, object.Revoked{Serial: r.Serial, At: r.At})
	}
	list, err := crl.Sign(c.key)
	if err != nil {
		return err
	}
	place := b.policy.Place(own)
	if err := vetoCRL(place+own.CRLName(), list, &crl); err != nil {
		return err
	}
	manifest := object.Manifest{Place: b.place(own, own.ManifestName()), Number: number, ThisUpdate: this, NextUpdate: next}
	manifest.Files = append(manifest.Files, object.File{Name: own.CRLName(), Hash: sha256.Sum256(list)})
	for _, p := range c.next.Products {
		manifest.Files = append(manifest.Files, object.File{Name: p.Name, Hash: p.Hash})
	}
	slices.SortFunc(manifest.Files, func(a, b object.File) int { return cmp.Compare(a.Name, b.Name) })
	der, serial, err := manifest.Sign(c.key, oneTime, b.now)
	if err != nil {
		return err
	}
	if err := vetoManifest(manifest.Object, der, &manifest); err != nil {
		return err
	}
	c.files[place+own.CRLName()], c.files[place+own.ManifestName()] = list, der
	own.Number, own.ThisUpdate, own.NextUpdate, own.ManifestSerial = number, this, next, serial
	return nil
}

// replaceManifest revokes the EE certificate of the manifest that is being replaced (RFC 9286, section 5.1).
func (b *batcher) replaceManifest(c *change) {
	before := len(c.revoked)
	b.revokeSerial(c, c.next.ManifestSerial, c.next.NextUpdate)
	c.next.Revoked = append(c.next.Revoked, c.revoked[before:]...)
}

// settle computes the products and revocations as they will be. What it starts from is shared and left alone.
func (c *change) settle(now time.Time) {
	products := make(map[string]issued.Product, len(c.next.Products)+len(c.added))
	maps.Copy(products, c.next.Products)
	for _, p := range c.removed {
		delete(products, p.Name)
	}
	for _, p := range c.added {
		products[p.Name] = p
	}
	revoked := make([]issued.Revocation, 0, len(c.next.Revoked)+len(c.revoked)+1)
	for _, r := range slices.Concat(c.next.Revoked, c.revoked) {
		if r.Expires.After(now) {
			revoked = append(revoked, r)
		}
	}
	c.next.Products, c.next.Revoked = products, revoked
	c.next.Objects, c.next.Kinds, c.next.FirstObject = 0, map[payload.Kind]int{}, time.Time{}
	for _, p := range products {
		if said, is := p.Payload(); is {
			c.next.Objects++
			c.next.Kinds[said.Kind()]++
			c.next.FirstObject = issued.Sooner(p.Expires, c.next.FirstObject)
		}
	}
}
