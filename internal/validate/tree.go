package validate

import (
	"context"
	"crypto/sha256"
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
	// publication point fails as a whole (RFC 9286, section 6.6). It may be nil.
	Previous func(manifestURI string) Point
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
	Findings    []Finding         // in the order of the tree
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
	pool     *pool

	mu     sync.Mutex
	visits map[visited]int
}

// visited is a CA in the sense of RFC 6487: a key and where it publishes.
type visited struct {
	ski      [20]byte
	manifest string
}

// Tree validates all that hangs below a trust anchor. ta is the bytes of its certificate. An object that is wrong is
// reported and left out; a publication point that cannot be used as a whole (RFC 9286, section 6.6) is reported once, and
// contributes nothing. If ctx ends, what was not reached is reported as such.
func Tree(ctx context.Context, tal *TAL, ta []byte, src Source, opt Options) *Result {
	w := &walk{rules: opt.rules(), ctx: ctx, source: src, previous: opt.Previous, pool: newPool(), visits: map[visited]int{}}
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
	defer func() { n.findings = append(n.findings, c.findings...) }()
	if err := w.ctx.Err(); err != nil {
		c.fail("stopped", "the validation was stopped before it came here: %v", err)
		return
	}
	if !w.admit(n.ca) {
		c.fail("limit-visits", "the key and manifest are certified more than %d times; the others are not followed", maxVisits)
		return
	}
	var files [][]byte
	objects, err := w.source.Point(w.ctx, n.ca.cert.Notify, n.ca.cert.Repository)
	if err != nil {
		c.fail("9286-6.6", "the publication point cannot be fetched: %v", err)
	} else {
		n.point, files = w.load(c, n.ca, objects)
	}
	if n.point == nil && w.previous != nil {
		if objects := w.previous(n.ca.cert.Manifest); objects != nil {
			again := w.check(n.ca.cert.Manifest)
			n.point, files = w.load(again, n.ca, objects)
			n.previous = n.point != nil
			c.take(again)
		}
	}
	if n.point == nil {
		return
	}
	n.listed = make([]listed, len(files))
	n.below = make([]*node, len(files))
	spread(len(files), w.workers, func(i int) {
		e := w.entry(n.point, n.point.manifest.Files[i], files[i], false)
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

// load opens a publication point and gets every file that its manifest lists, in its order.
func (w *walk) load(c *check, ca *authority, objects Point) (*point, [][]byte) {
	p := w.open(c, ca, objects, noneTrusted)
	if p == nil {
		return nil, nil
	}
	files := make([][]byte, len(p.manifest.Files))
	whole := true
	for i, f := range p.manifest.Files {
		uri := ca.cert.Repository + f.Name
		if uri == p.crlURI {
			continue
		}
		der, ok := fetch(c, objects, uri, f.Hash)
		files[i], whole = der, whole && ok
	}
	if !whole {
		return nil, nil
	}
	return p, files
}
