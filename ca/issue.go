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

	"cadastre/federation"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/roa"
)

// change is what becomes of one authority in a batch: its record and products, first as they were when the batch was
// signed and, once it is closed, as they will be. A change with gone set ends the authority.
type change struct {
	next      *issued
	key       crypto.Signer // the authority's own
	created   bool
	gone      bool
	certified bool // its certificate is a new one
	shed      bool // it gave one below it less, or withdrew a ROA
	touched   bool // it makes a new CRL and manifest

	added   []Product
	removed []Product
	revoked []Revocation
	files   map[string][]byte // by URI; nil for what is withdrawn
}

// batch is changes that become visible together.
type batch struct {
	now     time.Time
	changes map[string]*change // by name
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
func (e *Engine) sign(ctx context.Context, updates []update, now time.Time) (*signed, error) {
	b := &batcher{batch: &batch{now: now, changes: map[string]*change{}}, policy: &e.policy}
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
	for _, name := range slices.Sorted(maps.Keys(s.changes)) {
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
	is, err := e.issuedTo(c.next.Name)
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
	c.next = &issued{Authority: now, products: is.products, revoked: is.revoked}
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
func (e *Engine) oneTimeKeys(ctx context.Context, updates []update) (*stock, error) {
	taken, err := e.pool.Take(ctx, keysFor(updates))
	return (*stock)(&taken), err
}

// keysFor is how many new keys updates need: one for each ROA, each manifest and each new authority, but for those whose
// key is elsewhere.
func keysFor(updates []update) int {
	n := 0
	for _, u := range updates {
		if parseName(u.Name).key != "" {
			continue
		}
		n += 1 + len(u.Authorise)
		if u.Create {
			n++
		}
	}
	return n
}

// holdPool pauses the making of keys for stock while a plan is carried out for which there are enough. It returns how to
// go on.
func (e *Engine) holdPool(waves []wave) func() {
	n := 0
	for _, w := range waves {
		n += keysFor(w.Updates)
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
func (b *batcher) change(e *Engine, name string) (*change, error) {
	if c := b.changes[name]; c != nil {
		return c, nil
	}
	is, err := e.issuedTo(name)
	if err != nil {
		return nil, err
	}
	if is == nil {
		return nil, fault.New(fault.Conflict, "the authority %s is no more", name)
	}
	next := &issued{Authority: is.Authority, products: is.products, revoked: is.revoked}
	c := &change{next: next, files: map[string][]byte{}}
	b.changes[name] = c
	return c, nil
}

// create begins a new authority: with a key of the stock, or with that which a delegated CA asked to have certified.
func (b *batcher) create(e *Engine, name string, stock *stock) error {
	next := &issued{Authority: e.newAuthority(name)}
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
func (b *batcher) update(e *Engine, u update, stock *stock) error {
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
		c.shed = c.shed || c.next.products[file].Kind == ROAProduct
		b.withdraw(c, c.next.products[file])
	}
	for _, file := range u.Release {
		c.shed = true
		b.release(c, c.next.products[file])
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
		child.next.names(order.Resources, b.now, known)
		b.certify(c, child, e.placeAsked(order.Name), b.policy.lifetime(e.kindOf(child.next.Holder)))
	}
	for _, vrp := range u.Authorise {
		oneTime := stock.next()
		b.tasks = append(b.tasks, func() error { return b.authorise(c, vrp, oneTime) })
	}
	return nil
}

// withdraw takes a product out of the manifest and puts it on the CRL.
func (b *batcher) withdraw(c *change, p Product) {
	b.release(c, p)
	c.files[b.policy.place(&c.next.Authority)+p.Name] = nil
}

// release does so with a product whose file is another authority's from now on.
func (b *batcher) release(c *change, p Product) {
	c.removed = append(c.removed, p)
	b.revokeSerial(c, p.Serial, p.Expires)
}

// adopt takes up the certificate that a parent outside the tree issued.
func (b *batcher) adopt(c *change, got *federation.Received) {
	own := &c.next.Authority
	own.names(got.Resources, b.now, b.now.Add(-b.policy.Soak))
	own.CertificateURI, own.CertSerial, own.CertExpires = got.URI, got.Serial, got.Expires
	own.Issuer, own.Subject, own.Certificated = outside, got.Subject, b.now
	c.certified = true
}

func (b *batcher) revokeSerial(c *change, serial *big.Int, expires time.Time) {
	if serial != nil && expires.After(b.now) {
		c.revoked = append(c.revoked, Revocation{Serial: serial, At: b.now, Expires: expires})
	}
}

// revoke ends an authority below c: its certificate is revoked, and all that it published withdrawn.
func (b *batcher) revoke(e *Engine, c *change, name string) error {
	child, err := b.change(e, name)
	if err != nil {
		return err
	}
	b.end(child)
	b.withdraw(c, c.next.products[child.next.certificateName()])
	return nil
}

// end withdraws all that an authority published. What a delegated CA published is its own business.
func (b *batcher) end(c *change) {
	c.gone, c.touched = true, false
	if c.next.Delegated != nil || c.next.awaits() {
		return
	}
	place := b.policy.place(&c.next.Authority)
	for name := range c.next.products {
		c.files[place+name] = nil
	}
	c.files[place+c.next.manifestName()] = nil
	c.files[place+c.next.crlName()] = nil
}

// certify issues a certificate for what an authority is to name; one that replaces another has its name, and the other is
// revoked. Place is where a delegated CA publishes, as it asked last.
func (b *batcher) certify(c, child *change, place *federation.Place, l Lifetime) {
	sub := &child.next.Authority
	if place != nil {
		sub.Delegated = place
	}
	name := sub.certificateName()
	if old, replaces := c.next.products[name]; replaces {
		if old.Says != sub.Name { // a source of chance that repeats itself; the next key is another
			b.tasks = append(b.tasks, func() error {
				return fault.New(fault.Internal, "the key that was made for %s is that of %s, whose certificate would be replaced", sub.Name, old.Says)
			})
			return
		}
		b.revokeSerial(c, old.Serial, old.Expires)
	}
	own := &c.next.Authority
	serial, ends := object.NewSerial(), earlier(b.now.Add(l.Life), own.CertExpires)
	sub.CertSerial, sub.CertExpires = serial, ends
	sub.CertificateURI = b.policy.place(own) + name
	sub.Issuer, sub.Certificated = own.Name, b.now
	child.certified = true
	certificate := object.Certificate{
		Serial: serial, Issuer: own.KeyID, IssuerName: own.Subject, Key: sub.publicKey(),
		NotBefore: b.now.Add(-backdate), NotAfter: ends, Resources: sub.Certified,
		CRL: b.policy.place(own) + own.crlName(), Issued: own.CertificateURI,
		Repository: b.policy.place(sub), Manifest: b.policy.manifestURI(sub), Notify: b.policy.notifyOf(sub),
	}
	b.tasks = append(b.tasks, func() error {
		der, err := certificate.Sign(c.key)
		if err != nil {
			return err
		}
		if err := vetoCertificate(sub.CertificateURI, der, &certificate); err != nil {
			return err
		}
		b.add(c, der, Product{Name: name, Kind: CertificateProduct, Serial: serial, Expires: ends, Says: sub.Name})
		return nil
	})
}

// names notes what an authority's certificate names from now on, and what it named before, which readers may hold still: what it
// got until a time, they all know.
func (a *Authority) names(resources inr.Set, now, known time.Time) {
	var grown []Growth
	for _, g := range a.Grown {
		if g.At.After(known) {
			grown = append(grown, Growth{g.At, g.Before.Intersect(resources)})
		}
	}
	if !a.Certified.Empty() && !a.Certified.Contains(resources) {
		grown = append(grown, Growth{now, a.Certified.Intersect(resources)})
	}
	a.Grown = grown
	a.Certified = resources
}

// authorise issues the ROA of one VRP.
func (b *batcher) authorise(c *change, vrp roa.VRP, oneTime crypto.Signer) error {
	key, err := object.PublicKeyOf(oneTime)
	if err != nil {
		return err
	}
	own := &c.next.Authority
	name := key.ID.FileName() + ".roa" // a new name for each issuance (RFC 6481, section 2.2)
	statement := object.ROA{
		Place:     b.place(own, name),
		ASN:       vrp.ASN,
		Prefixes:  []object.ROAPrefix{{Prefix: vrp.Prefix, MaxLength: vrp.MaxLength}},
		NotBefore: b.now.Add(-backdate), NotAfter: earlier(b.now.Add(b.policy.ROA.Life), own.CertExpires),
	}
	der, serial, err := statement.Sign(c.key, oneTime, b.now)
	if err != nil {
		return err
	}
	if err := vetoROA(statement.Object, der, &statement); err != nil {
		return err
	}
	b.add(c, der, Product{Name: name, Kind: ROAProduct, Serial: serial, Expires: statement.NotAfter, Says: vrp.String()})
	return nil
}

func (b *batcher) place(a *Authority, name string) object.Place {
	place := b.policy.place(a)
	return object.Place{Issuer: a.KeyID, IssuerName: a.Subject, CRL: place + a.crlName(), Issued: a.CertificateURI, Object: place + name}
}

// add notes what a task made.
func (b *batcher) add(c *change, der []byte, p Product) {
	p.Hash = sha256.Sum256(der)
	uri := b.policy.place(&c.next.Authority) + p.Name
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
	at := b.now.Add(-backdate)
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
	life, _ := b.policy.manifestLife(own.Name, number)
	next := earlier(b.now.Add(life), own.CertExpires)

	crl := object.CRL{Issuer: own.KeyID, IssuerName: own.Subject, Number: number, ThisUpdate: this, NextUpdate: next}
	for _, r := range c.next.revoked {
		crl.Revoked = append(crl.Revoked, object.Revoked{Serial: r.Serial, At: r.At})
	}
	list, err := crl.Sign(c.key)
	if err != nil {
		return err
	}
	place := b.policy.place(own)
	if err := vetoCRL(place+own.crlName(), list, &crl); err != nil {
		return err
	}
	manifest := object.Manifest{Place: b.place(own, own.manifestName()), Number: number, ThisUpdate: this, NextUpdate: next}
	manifest.Files = append(manifest.Files, object.File{Name: own.crlName(), Hash: sha256.Sum256(list)})
	for _, p := range c.next.products {
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
	c.files[place+own.crlName()], c.files[place+own.manifestName()] = list, der
	own.Number, own.ThisUpdate, own.NextUpdate, own.ManifestSerial = number, this, next, serial
	return nil
}

// replaceManifest revokes the EE certificate of the manifest that is being replaced (RFC 9286, section 5.1).
func (b *batcher) replaceManifest(c *change) {
	before := len(c.revoked)
	b.revokeSerial(c, c.next.ManifestSerial, c.next.NextUpdate)
	c.next.revoked = append(c.next.revoked, c.revoked[before:]...)
}

// settle computes the products and revocations as they will be. What it starts from is shared and left alone.
func (c *change) settle(now time.Time) {
	products := make(map[string]Product, len(c.next.products)+len(c.added))
	maps.Copy(products, c.next.products)
	for _, p := range c.removed {
		delete(products, p.Name)
	}
	for _, p := range c.added {
		products[p.Name] = p
	}
	revoked := make([]Revocation, 0, len(c.next.revoked)+len(c.revoked)+1)
	for _, r := range slices.Concat(c.next.revoked, c.revoked) {
		if r.Expires.After(now) {
			revoked = append(revoked, r)
		}
	}
	c.next.products, c.next.revoked = products, revoked
	c.next.ROAs, c.next.FirstROA = 0, time.Time{}
	for _, p := range products {
		if p.Kind == ROAProduct {
			c.next.ROAs++
			c.next.FirstROA = sooner(p.Expires, c.next.FirstROA)
		}
	}
}
