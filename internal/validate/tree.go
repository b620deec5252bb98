package validate

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/big"
	"runtime"
	"sync"
	"time"

	"cadastre/internal/inr"
)

// Options says how a repository is validated. The zero Options is the present time, all cores, RSA alone.
type Options struct {
	Now      time.Time // zero for the present
	Workers  int       // 0 for one a core
	P256     bool      // take ECDSA on P-256 with SHA-256 too, as rpki-client does with -x
	Asker    Asker     // who asks, which settles how bad a deviation is
	Memo     *Memo     // remembers good signatures between runs; may be nil
	MaxDepth int       // certificates below the trust anchor, 0 for 12

	// Previous gives the objects of a CA as they were when its manifest last validated, or nil. They are used where a
	// publication point fails as a whole (RFC 9286, section 6.6), and where its manifest is not newer than theirs (section
	// 4.2.1). Keep is called with those that are to be the previous ones of the next run: the manifest and all that it lists.
	// Either may be nil.
	Previous func(manifestURI string) Point
	Keep     func(manifestURI string, uris []string, objects Point)

	Findings int // how many findings of the walk are told; the rest are counted. 0 for all
}

func (o Options) rules() rules {
	r := rules{now: o.Now, asker: o.Asker, memo: o.Memo, workers: o.Workers, maxDepth: o.MaxDepth}
	if r.now.IsZero() {
		r.now = time.Now()
	}
	if r.workers <= 0 {
		r.workers = runtime.GOMAXPROCS(0)
	}
	if r.maxDepth <= 0 {
		r.maxDepth = defaultDepth
	}
	if o.P256 {
		r.suite = P256
	}
	return r
}

// Result is what a walk from a trust anchor came to.
type Result struct {
	VRPs        []VRP             // sorted, each once
	VAPs        []VAP             // by customer, one for each
	Findings    []Finding         // in the order of the tree; those about several CAs at the end
	Authorities []AuthorityResult // those whose publication point is valid, in the order of the tree
	Objects     int               // objects that are valid: certificates, CRLs, manifests and signed objects
	Earliest    time.Time         // when the first of all notAfter and nextUpdate passes; zero if nothing is valid
}

// AuthorityResult is one CA whose certificate and publication point are valid.
type AuthorityResult struct {
	CertificateURI string
	Repository     string // caRepository
	Notify         string // RRDP notification, or ""
	ManifestURI    string
	CRLURI         string
	Depth          int // 0 for the trust anchor
	SKI            [20]byte
	AKI            [20]byte // of the manifest's EE certificate, which is SKI
	Resources      inr.Set  // what it stands for, inherited ones included
	ManifestHash   [sha256.Size]byte
	ManifestSize   int // octets
	ManifestNumber *big.Int
	ThisUpdate     time.Time // of the manifest
	NextUpdate     time.Time // of the manifest
	Until          time.Time // when the first of its certificate, manifest and CRL ends
	Previous       bool      // what Options.Previous gave was used
	Subordinates   [][20]byte
	VRPs           []VRP // as in its ROAs
	ROAs           []ROAPayload
	VAPs           []VAP // as in its ASPAs
}

// Errors is how many findings are errors.
func (r *Result) Errors() int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == Error {
			n++
		}
	}
	return n
}

// node is a CA of the walk with what was found below it.
type node struct {
	ca       *authority
	findings []Finding
	point    *point // nil if the publication point failed
	previous bool
	listed   []listed
	below    []*node // by the index of listed; nil where there is no CA
}

// walk is one run of Tree.
type walk struct {
	rules
	ctx      context.Context
	source   Source
	previous func(string) Point
	keep     func(string, []string, Point)
	pool     *pool
	told     told

	mu     sync.Mutex
	visits map[visited]int
}

// visited is a CA in the sense of RFC 6487: a key and where it publishes.
type visited struct {
	ski      [20]byte
	manifest string
}

// Tree validates all that hangs below a trust anchor. ta is the bytes of its certificate. An object that is wrong is
// reported and left out. A publication point that cannot be used as a whole (RFC 9286, section 6.6) is reported; what
// Options.Previous has of it is used instead, or nothing. If ctx ends, what was not reached is reported as such.
func Tree(ctx context.Context, tal *TAL, ta []byte, src Source, opt Options) *Result {
	w := &walk{rules: opt.rules(), ctx: ctx, source: src, previous: opt.Previous, keep: opt.Keep, told: told{most: opt.Findings}, pool: newPool(), visits: map[visited]int{}}
	w.memo.turn()
	uri := tal.RsyncURI()
	c := w.check(uri)
	root := w.anchor(c, tal, ta)
	if c.uri == "" && len(tal.URIs) > 0 {
		for i := range c.findings {
			c.findings[i].URI = tal.URIs[0]
		}
	}
	if root == nil {
		return &Result{Findings: c.findings}
	}
	top := &node{ca: root, findings: c.findings}
	w.pool.add(func() { w.visit(top) })
	w.pool.run(w.workers)
	return w.assemble(top)
}

// visit validates the publication point of one CA and hands on the CAs that it finds.
func (w *walk) visit(n *node) {
	c := w.check(n.ca.cert.Manifest)
	defer func() { n.findings = append(n.findings, w.told.some(c.findings)...) }()
	if err := w.ctx.Err(); err != nil {
		c.fail("stopped", "the validation was stopped before it came here: %v", err)
		return
	}
	if !w.admit(n.ca) {
		c.fail("limit-visits", "the key and manifest are certified more than %d times; the others are not followed", maxVisits)
		return
	}
	var files [][]byte
	var before Point
	if w.previous != nil {
		before = w.previous(n.ca.cert.Manifest)
	}
	objects, err := w.source.Point(w.ctx, n.ca.place())
	if err != nil {
		c.fail("9286-6.6", "the publication point cannot be fetched: %v", err)
	} else {
		n.point, files = w.load(c, n.ca, objects)
	}
	if before != nil && (n.point == nil || w.older(c, n.point, before)) {
		again := w.check(n.ca.cert.Manifest)
		if point, kept := w.load(again, n.ca, before); point != nil {
			c.warn("9286-6.6", "the objects of the manifest %s of %s are used, the last that was good", point.manifest.Number, point.manifest.ThisUpdate.Format(time.RFC3339))
			n.point, n.previous, files, objects = point, true, kept, before
		}
	}
	if n.point == nil {
		return
	}
	if w.keep != nil && !n.previous {
		w.keep(n.ca.cert.Manifest, n.point.uris(), objects)
	}
	n.listed = make([]listed, len(files))
	n.below = make([]*node, len(files))
	spread(len(files), w.workers, func(i int) {
		f := n.point.manifest.Files[i]
		der := files[i]
		if uri := n.ca.cert.Repository + f.Name; der == nil && uri != n.point.crlURI {
			der, _ = objects.Get(uri)
			if sha256.Sum256(der) != f.Hash {
				return // it was there a moment ago
			}
		}
		e := w.entry(n.point, f, der, false)
		e.findings = w.told.some(e.findings)
		if e.child != nil {
			below := &node{ca: e.child}
			n.below[i] = below
			w.pool.add(func() { w.visit(below) })
		}
		n.listed[i] = e
	})
}

// admit counts the visits of one key at one manifest, so that certificates that cross cannot make the walk endless.
func (w *walk) admit(ca *authority) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := visited{ca.cert.SKI, ca.cert.Manifest}
	w.visits[v]++
	return w.visits[v] <= maxVisits
}

// older tells whether a manifest is another than the previous one and not newer (RFC 9286, section 4.2.1).
func (w *walk) older(c *check, p *point, before Point) bool {
	der, ok := before.Get(p.ca.cert.Manifest)
	if !ok || sha256.Sum256(der) == p.manifestSum {
		return false
	}
	m := parseManifest(w.check(""), der)
	switch {
	case m == nil:
		return false
	case compareSerials(p.manifest.Number, m.Number) <= 0:
		c.fail("9286-4.2.1", "the manifest number %s is not more than %s, which was seen before", p.manifest.Number, m.Number)
	case p.manifest.ThisUpdate.Before(m.ThisUpdate): // two within one second are tolerated
		c.fail("9286-4.2.1", "the manifest's thisUpdate %s is before %s, which was seen before", p.manifest.ThisUpdate.Format(time.RFC3339), m.ThisUpdate.Format(time.RFC3339))
	default:
		return false
	}
	return true
}

// uris is the manifest and all that it lists.
func (p *point) uris() []string {
	uris := make([]string, 1, 1+len(p.manifest.Files))
	uris[0] = p.ca.cert.Manifest
	for _, f := range p.manifest.Files {
		uris = append(uris, p.ca.cert.Repository+f.Name)
	}
	return uris
}

// told counts findings, so that no more than a given number of them are kept.
type told struct {
	most int // 0 for no bound
	mu   sync.Mutex
	n    int
}

// some gives the findings that may still be told. In place of the first one beyond the limit it gives one that says that the rest is
// not told.
func (t *told) some(findings []Finding) []Finding {
	if t.most == 0 || len(findings) == 0 {
		return findings
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	left := t.most - t.n
	t.n += len(findings)
	if len(findings) <= left {
		return findings
	}
	if left < 0 {
		return nil
	}
	first := findings[left]
	return append(findings[:left:left], Finding{first.URI, first.Severity, "limit-findings", fmt.Sprintf("more than %d things were found, and the rest is not told", t.most)})
}

// maxLoaded is how many octets of one publication point are kept in memory between their hashes and their parsing. What is
// beyond is read twice.
const maxLoaded = 4 << 20

// load opens a publication point and checks that every file that its manifest lists is there. It gives the bytes of these, in
// the order of the manifest; nil for the CRL, and for what is beyond maxLoaded.
func (w *walk) load(c *check, ca *authority, objects Point) (*point, [][]byte) {
	p := w.open(c, ca, objects, noneTrusted)
	if p == nil {
		return nil, nil
	}
	files := make([][]byte, len(p.manifest.Files))
	whole := true
	loaded := 0
	for i, f := range p.manifest.Files {
		uri := ca.cert.Repository + f.Name
		if uri == p.crlURI {
			continue
		}
		der, ok := fetch(c, objects, uri, f.Hash)
		if whole = whole && ok; loaded+len(der) <= maxLoaded {
			loaded += len(der)
			files[i] = der
		}
	}
	if !whole {
		return nil, nil
	}
	return p, files
}
