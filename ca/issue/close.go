package issue

import (
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"maps"
	"slices"
	"time"

	"cadastre/ca/issued"
	"cadastre/internal/fault"
	"cadastre/internal/object"
	"cadastre/internal/payload"
	"cadastre/internal/store"
)

// Close makes the CRLs and manifests of a signed batch, on top of all that is committed now. It stores and publishes nothing.
func (s *Signed) Close(ctx context.Context) (*Batch, error) {
	var tasks []func() error
	for _, name := range slices.SortedFunc(maps.Keys(s.Changes), issued.Name.Compare) {
		c := s.Changes[name]
		if err := c.rebase(s.host, s.Now); err != nil {
			return nil, err
		}
		if !c.Touched {
			continue
		}
		if err := s.waitForNewSecond(ctx, c); err != nil {
			return nil, err
		}
		oneTime := s.oneTime.next()
		tasks = append(tasks, func() error { return s.finish(c, oneTime) })
	}
	return s.Batch, inParallel(tasks)
}

// rebase puts a change on top of the records of its authority as they are now.
func (c *Change) rebase(host Host, at time.Time) error {
	if c.Created {
		return nil
	}
	is, err := host.Read(c.Next.Name)
	if err != nil {
		return err
	}
	if is == nil {
		return fault.New(fault.Conflict, "the authority %s ended while it was being worked on", c.Next.Name)
	}
	now := is.Authority
	if was := &c.Next.Authority; c.Certified {
		now.Certified, now.CertificateURI, now.CertSerial, now.CertExpires = was.Certified, was.CertificateURI, was.CertSerial, was.CertExpires
		now.Issuer, now.Subject, now.Certificated, now.Grown, now.Delegated = was.Issuer, was.Subject, was.Certificated, was.Grown, was.Delegated
	}
	if c.Shed {
		now.Shed = at
	}
	c.Next = &issued.Records{Authority: now, Products: is.Products, Revoked: is.Revoked}
	return nil
}

// waitForNewSecond waits until the authority's next manifest can have a later thisUpdate than the last one: relying parties demand that.
// Times in signed objects are whole seconds. Since thisUpdate is in the past (issued.Backdate), there is room for many manifests in a second.
func (b *batcher) waitForNewSecond(ctx context.Context, c *Change) error {
	wait := b.thisUpdate(c).Sub(b.Now)
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

func (b *batcher) thisUpdate(c *Change) time.Time {
	at := b.Now.Add(-issued.Backdate)
	if last := c.Next.ThisUpdate; !last.IsZero() && !at.After(last) {
		at = last.Add(time.Second)
	}
	return at
}

// finish makes an authority's next CRL and manifest, for its products as they will be.
func (b *batcher) finish(c *Change, oneTime crypto.Signer) error {
	c.settle(b.Now)
	own := &c.Next.Authority
	b.replaceManifest(c)
	this := b.thisUpdate(c)
	number := own.Number + 1
	life, _ := b.policy.ManifestLifeOf(own.Name, number)
	next := issued.Earlier(b.Now.Add(life), own.CertExpires)

	crl := object.CRL{Issuer: own.KeyID, IssuerName: own.Subject, Number: number, ThisUpdate: this, NextUpdate: next}
	for _, r := range c.Next.Revoked {
		crl.Revoked = append(crl.Revoked, object.Revoked{Serial: r.Serial, At: r.At})
	}
	list, err := crl.Sign(c.Key)
	if err != nil {
		return err
	}
	place := b.policy.Place(own)
	if err := vetoCRL(place+own.CRLName(), list, &crl); err != nil {
		return err
	}
	manifest := object.Manifest{Place: b.place(own, own.ManifestName()), Number: number, ThisUpdate: this, NextUpdate: next}
	manifest.Files = append(manifest.Files, object.File{Name: own.CRLName(), Hash: sha256.Sum256(list)})
	for _, p := range c.Next.Products {
		manifest.Files = append(manifest.Files, object.File{Name: p.Name, Hash: p.Hash})
	}
	slices.SortFunc(manifest.Files, func(a, b object.File) int { return cmp.Compare(a.Name, b.Name) })
	der, serial, err := manifest.Sign(c.Key, oneTime, b.Now)
	if err != nil {
		return err
	}
	if err := vetoManifest(manifest.Object, der, &manifest); err != nil {
		return err
	}
	c.Files[place+own.CRLName()], c.Files[place+own.ManifestName()] = list, der
	own.Number, own.ThisUpdate, own.NextUpdate, own.ManifestSerial = number, this, next, serial
	return nil
}

// replaceManifest revokes the EE certificate of the manifest that is being replaced (RFC 9286, section 5.1).
func (b *batcher) replaceManifest(c *Change) {
	before := len(c.Revoked)
	b.revokeSerial(c, c.Next.ManifestSerial, c.Next.NextUpdate)
	c.Next.Revoked = append(c.Next.Revoked, c.Revoked[before:]...)
}

// settle computes the products and revocations as they will be. It does not change the records that it starts from, which are shared.
func (c *Change) settle(now time.Time) {
	products := make(map[string]issued.Product, len(c.Next.Products)+len(c.Added))
	maps.Copy(products, c.Next.Products)
	for _, p := range c.Removed {
		delete(products, p.Name)
	}
	for _, p := range c.Added {
		products[p.Name] = p
	}
	revoked := make([]issued.Revocation, 0, len(c.Next.Revoked)+len(c.Revoked)+1)
	for _, r := range slices.Concat(c.Next.Revoked, c.Revoked) {
		if r.Expires.After(now) {
			revoked = append(revoked, r)
		}
	}
	c.Next.Products, c.Next.Revoked = products, revoked
	c.Next.Objects, c.Next.Kinds, c.Next.FirstObject = 0, map[payload.Kind]int{}, time.Time{}
	for _, p := range products {
		if said, is := p.Payload(); is {
			c.Next.Objects++
			c.Next.Kinds[said.Kind()]++
			c.Next.FirstObject = issued.Sooner(p.Expires, c.Next.FirstObject)
		}
	}
}

// Meant lists the payloads of an authority's objects of a kind as text, sorted, without duplicates.
func (c *Change) Meant(kind payload.Kind) []string {
	return payload.Texts(slices.DeleteFunc(c.Next.Payloads(), func(p payload.Payload) bool { return p.Kind() != kind }))
}

// Write puts an authority's new state into the store.
func (c *Change) Write(w store.Writer, now time.Time) error {
	if c.Gone {
		return issued.Erase(w, &c.Next.Authority)
	}
	to := issued.Change{Next: &c.Next.Authority, Added: c.Added, Removed: c.Removed, Revoked: c.Revoked, Closed: c.Touched, Key: c.KeyRef}
	return to.Write(w, now)
}
