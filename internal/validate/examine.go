package validate

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"time"
)

// authority is a CA by its certificate's URI, as it is in the state that would be, or nil if that is not reachable or not
// valid. The CA above it has been checked in an earlier wave, or is as it was accepted, or is read now.
func (v *change) authority(uri string) *authority {
	if ca, settled := v.authorities[uri]; settled {
		return ca
	}
	v.authorities[uri] = nil // certificates that name one another end here
	cert := v.read(uri)
	if cert == nil || cert.Kind != CA {
		return nil
	}
	parent := v.authority(cert.IssuerURI)
	if parent == nil {
		return nil
	}
	name, ok := directlyIn(uri, parent.cert.Repository)
	if !ok {
		return nil
	}
	f := File{name, cert.Sum()}
	var ca *authority
	switch checked, known := v.done[parent.uri], v.gate.known[parent.uri]; {
	case checked != nil:
		ca = v.remembered(checked.memory, f, cert, parent)
	case known.stands(parent):
		if now := v.now.Unix(); now < known.from || now >= known.until {
			v.find(parent.cert.Manifest, "9286-6.3", "the manifest or the CRL is not for now")
		}
		ca = v.remembered(known, f, cert, parent)
	default:
		ca = v.lookUp(parent, f)
	}
	v.authorities[uri] = ca
	return ca
}

func (v *change) find(uri, rule, text string) {
	f := Finding{uri, Error, rule, text}
	if !slices.Contains(v.findings, f) {
		v.findings = append(v.findings, f)
	}
}

// remembered is a CA whose certificate the memory of the CA above holds.
func (v *change) remembered(m *memory, f File, cert *Certificate, parent *authority) *authority {
	r := m.find(fileKey(f))
	if r == nil {
		return nil
	}
	uri := parent.cert.Repository + f.Name
	if now := v.now.Unix(); now < r.from || now > r.until {
		v.find(uri, "6487-7.2", "the certificate is not valid now")
	}
	resources, _ := cert.Resources.under(parent.resources)
	return newAuthority(uri, cert, resources, parent)
}

// lookUp checks a CA's certificate below one that is neither touched nor remembered. Of that one only the manifest, the
// CRL and this certificate are read.
func (v *change) lookUp(parent *authority, f File) *authority {
	p, done := v.opened[parent.uri]
	if !done {
		c := v.check(parent.cert.Manifest)
		p = v.open(c, parent, v.objects, noneTrusted)
		v.opened[parent.uri] = p
		v.findings = append(v.findings, c.findings...)
	}
	if p == nil || !slices.Contains(p.manifest.Files, f) {
		return nil
	}
	der, _ := v.objects.Get(parent.cert.Repository + f.Name)
	e := v.entry(p, f, der, false)
	v.findings = append(v.findings, e.findings...)
	return e.child
}

// examine checks the publication point of one CA: in full what is new or changed, or rests on a CA certificate that
// changed; of the rest, whether it is still there, still within its time, and not revoked.
func (v *change) examine(o *outcome) {
	ca, old := o.ca, v.gate.known[o.ca.uri]
	c := v.check(ca.cert.Manifest)
	defer func() { o.findings = append(c.findings, o.findings...) }()

	same := old.stands(ca)
	sameKey := old != nil && old.key == ca.keySum
	p := v.open(c, ca, v.objects, func(sum [sha256.Size]byte) bool {
		return sameKey && (sum == old.manifest || sum == old.crl)
	})
	if p == nil || !follows(c, old, p) {
		return
	}
	files := p.manifest.Files
	entries := make([]listed, len(files))
	keys := make([][sha256.Size]byte, len(files))
	was := make([]*remembered, len(files)) // what is remembered of each file
	fresh := make([]int, 0, 8)             // those to check in full
	objects := make([][]byte, len(files))
	whole := true
	for i, f := range files {
		uri := ca.cert.Repository + f.Name
		if uri == p.crlURI {
			continue
		}
		keys[i] = fileKey(f)
		was[i] = old.find(keys[i])
		if was[i] != nil && same {
			if sum, ok := v.sum(uri); !ok || sum != f.Hash {
				_, whole = fetch(c, v.objects, uri, f.Hash)
			}
			continue
		}
		der, ok := fetch(c, v.objects, uri, f.Hash)
		objects[i], whole = der, whole && ok
		fresh, o.fresh = append(fresh, i), append(o.fresh, uri)
	}
	if !whole {
		return
	}
	spread(len(fresh), v.workers, func(n int) {
		i := fresh[n]
		entries[i] = v.entry(p, files[i], objects[i], sameKey && was[i] != nil)
	})
	o.memory = v.remember(o, p, old, keys, was, entries, same)
}

// follows checks that a manifest that changed is newer than the accepted one (RFC 9286, section 4.2.1). Under a new name
// the numbers begin again (RFC 9981).
func follows(c *check, old *memory, p *point) bool {
	if old == nil || old.manifest == p.manifestSum || old.claim.manifest != p.ca.cert.Manifest {
		return true
	}
	if compareSerials(p.manifest.Number, old.number) <= 0 {
		return c.fail("9286-4.2.1", "the manifest number %s is not more than %s, the one before", p.manifest.Number.Int(), old.number.Int())
	}
	if !p.manifest.ThisUpdate.After(old.thisUpdate) {
		return c.fail("9286-4.2.1", "the manifest's thisUpdate %s is not after %s, the one before", p.manifest.ThisUpdate.Format(time.RFC3339), old.thisUpdate.Format(time.RFC3339))
	}
	return true
}

// remember makes the memory of a checked publication point and checks what was not checked in full.
func (v *change) remember(o *outcome, p *point, old *memory, keys [][sha256.Size]byte, was []*remembered, entries []listed, same bool) *memory {
	cert := p.ca.cert
	m := &memory{
		certificate: cert.Sum(), key: p.ca.keySum, resources: p.ca.resources, claim: p.claim(),
		manifest: p.manifestSum, number: p.manifest.Number, thisUpdate: p.manifest.ThisUpdate,
		from: max(p.manifest.ThisUpdate.Unix(), p.crl.ThisUpdate.Unix()), until: p.until.Unix(),
		crl: p.crlSum, files: make([]remembered, 0, len(entries)),
	}
	serials := make([]Serial, 1, 1+len(entries))
	serials[0] = p.manifest.EE.Serial
	kept := make(map[string]bool) // URIs of remembered certificates that stay
	for i, e := range entries {
		uri := cert.Repository + p.manifest.Files[i].Name
		if uri == p.crlURI {
			continue
		}
		r := remembered{key: keys[i], vrps: uint32(len(m.vrps))}
		if was[i] != nil && same {
			v.recheck(o, p, uri, was[i])
			r.serial, r.from, r.until, r.count = was[i].serial, was[i].from, was[i].until, was[i].count
			m.vrps = append(m.vrps, old.vrps[was[i].vrps:was[i].vrps+was[i].count]...)
			if vap, is := old.vaps[keys[i]]; is {
				m.setVAP(keys[i], vap)
			}
			if extensionOf(uri) == "cer" {
				kept[uri] = true
			}
		} else {
			o.findings = append(o.findings, e.findings...)
			if !e.ok {
				continue
			}
			r.serial, r.from, r.until = e.serial, e.from.Unix(), e.until.Unix()
			if e.until.IsZero() {
				r.from, r.until = 0, 1<<62
			}
			if e.roa != nil {
				for _, vrp := range e.roa.VRPs() {
					m.vrps = append(m.vrps, pack(vrp))
				}
				r.count = uint32(len(m.vrps)) - r.vrps
			}
			if e.aspa != nil {
				m.setVAP(keys[i], *e.aspa)
			}
			if e.child != nil {
				o.children = append(o.children, e.child)
				m.children = append(m.children, uri)
			}
		}
		if r.serial != (Serial{}) {
			serials = append(serials, r.serial)
		}
		m.files = append(m.files, r)
	}
	if old != nil {
		for _, child := range old.children {
			if kept[child] {
				m.children = append(m.children, child)
			}
		}
	}
	o.findings = append(o.findings, duplicateSerials(cert.Manifest, serials)...)
	slices.SortFunc(m.files, func(a, b remembered) int { return bytes.Compare(a.key[:], b.key[:]) })
	return m
}

// recheck checks of an accepted file what may have changed without it.
func (v *change) recheck(o *outcome, p *point, uri string, r *remembered) {
	now := v.now.Unix()
	switch {
	case now < r.from || now > r.until:
		o.findings = append(o.findings, Finding{uri, Error, "6487-7.2", "the object is not valid now"})
	case r.serial != (Serial{}) && p.crl.Revokes(r.serial):
		o.findings = append(o.findings, Finding{uri, Error, "6487-7.2", "the certificate with the serial number " + r.serial.String() + " is revoked"})
	}
}
