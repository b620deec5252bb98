package main

import (
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"cadastre/internal/object"
	"cadastre/internal/publication"
	"cadastre/internal/updown"
)

// authority is an honest delegated CA with one ROA, which publishes with the daemon: a child (RFC 6492) and a publisher
// (RFC 8181).
type authority struct {
	*child
	publisher *publisher

	key      crypto.Signer
	oneTime  crypto.Signer // of the next manifest
	id       object.KeyIdentifier
	issued   string // where its certificate is
	roa      []byte
	number   uint64
	has      map[string][32]byte // what is published, by URI
	roaIs    string              // URI
	manifest string
	crl      string
	vrp      string
	prefix   netip.Prefix
	origin   uint32
}

// newAuthority registers a holder's CA on both sides, has its key certified and publishes for the first time.
func newAuthority(ctx context.Context, h *installation, holder string, number int) (*authority, error) {
	c, err := h.delegate(ctx, "north/"+holder)
	if err != nil {
		return nil, err
	}
	p, err := h.register(ctx, holder)
	if err != nil {
		return nil, err
	}
	a := &authority{child: c, publisher: p, has: map[string][32]byte{}, prefix: netip.MustParsePrefix(blockOf(number)), origin: uint32(37100 + number)}
	a.vrp = fmt.Sprintf("%s,%d,AS%d", a.prefix, a.prefix.Bits(), a.origin)
	if a.key, err = object.RSA.Generate(); err != nil {
		return nil, err
	}
	public, err := object.PublicKeyOf(a.key)
	if err != nil {
		return nil, err
	}
	a.id = public.ID
	a.manifest, a.crl = p.base+a.id.FileName()+".mft", p.base+a.id.FileName()+".crl"
	request, err := issue(a.key, p.base, a.manifest, p.notify)
	if err != nil {
		return nil, err
	}
	body, err := c.ask(ctx, request)
	if err != nil {
		return nil, err
	}
	granted, ok := body.(*updown.IssueResponse)
	if !ok || len(granted.Class.Certificates) != 1 {
		return nil, fmt.Errorf("an issue is answered with %T", body)
	}
	a.issued = granted.Class.Certificates[0].URLs[0]
	return a, a.publishes(ctx)
}

// publishes makes a new manifest and CRL, and the ROA at first, and has them published.
func (a *authority) publishes(ctx context.Context) error {
	now := time.Now().UTC().Truncate(time.Second)
	next := now.Add(24 * time.Hour)
	query := &publication.Query{}
	put := func(uri string, octets []byte) object.File {
		if was, there := a.has[uri]; !there {
			query.PDUs = append(query.PDUs, publication.PDU{URI: uri, Object: octets})
		} else if was != sha256.Sum256(octets) {
			query.PDUs = append(query.PDUs, publication.PDU{URI: uri, Object: octets, Hash: &was})
		}
		return object.File{Name: uri[len(a.publisher.base):], Hash: sha256.Sum256(octets)}
	}
	place := object.Place{Issuer: a.id, CRL: a.crl, Issued: a.issued}
	if a.roa == nil {
		oneTime, err := object.RSA.Generate()
		if err != nil {
			return err
		}
		place.Object = a.publisher.base + "one.roa"
		a.roaIs = place.Object
		roa := object.ROA{Place: place, ASN: a.origin, Prefixes: []object.ROAPrefix{{Prefix: a.prefix, MaxLength: a.prefix.Bits()}}, NotBefore: now.Add(-time.Minute), NotAfter: next}
		if a.roa, _, err = roa.Sign(a.key, oneTime, now); err != nil {
			return err
		}
	}
	crl, err := (&object.CRL{Issuer: a.id, Number: a.number + 1, ThisUpdate: now, NextUpdate: next}).Sign(a.key)
	if err != nil {
		return err
	}
	if err := a.prepares(); err != nil {
		return err
	}
	oneTime := a.oneTime
	a.oneTime = nil
	place.Object = a.manifest
	files := []object.File{put(a.crl, crl), put(a.roaIs, a.roa)}
	if files[0].Name > files[1].Name {
		files[0], files[1] = files[1], files[0]
	}
	manifest, _, err := (&object.Manifest{Place: place, Number: a.number + 1, ThisUpdate: now, NextUpdate: next, Files: files}).Sign(a.key, oneTime, now)
	if err != nil {
		return err
	}
	put(a.manifest, manifest)
	if _, err := a.publisher.ask(ctx, query); err != nil {
		return err
	}
	a.number++
	for _, pdu := range query.PDUs {
		a.has[pdu.URI] = sha256.Sum256(pdu.Object)
	}
	return nil
}

// prepares makes the key of the next manifest. That takes longer than all else that publishing does, and is no work of the daemon's.
func (a *authority) prepares() (err error) {
	if a.oneTime == nil {
		a.oneTime, err = object.RSA.Generate()
	}
	return err
}

// hasLost is an error where the server does not list exactly what it took.
func (a *authority) hasLost(ctx context.Context) error {
	reply, err := a.publisher.ask(ctx, &publication.Query{List: true})
	if err != nil {
		return err
	}
	if len(reply.List) != len(a.has) {
		return fmt.Errorf("the server lists %d objects of the honest publisher's %d", len(reply.List), len(a.has))
	}
	for _, l := range reply.List {
		if a.has[l.URI] != l.Hash {
			return fmt.Errorf("the server lists another %s than it took", l.URI)
		}
	}
	return nil
}

// hasKey is an error where the parent does not list the key that it certified.
func (a *authority) hasKey(ctx context.Context) error {
	classes, err := a.list(ctx)
	if err != nil {
		return err
	}
	for _, class := range classes {
		for _, c := range class.Certificates {
			if c.URLs[0] == a.issued {
				return nil
			}
		}
	}
	return errors.New("the parent does not list the honest child's certificate")
}
