package validate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"sync"
	"time"

	"cadastre/internal/fault"
)

// Gate checks changes of a repository before they are published. It remembers what was accepted, about 100 octets for each object. So it only
// has to check what changed, and to compare the hashes in manifests that changed.
//
// What a Gate does not remember it checks in full: after a start, the first change below a CA costs one walk of that CA and all below it. A
// Check of the trust anchor's own certificate URI walks everything, and Accept then remembers it.
//
// One Check may run at a time, up to its Accept; it spreads its work over Options.Workers goroutines.
type Gate struct {
	tal   *TAL
	ta    []byte
	opt   Options
	known map[string]*memory // by certificate URI
	roots map[string]bool    // those of known that a parent elsewhere issued
	live  *claims
}

// NewGate makes a gate below a trust anchor. Ta is its certificate, DER, which is used if the state that is checked does not have it. The
// fields Now, Memo, Previous, Keep, Findings and Asker of opt are not used: for a gate what an RFC forbids is an error.
func NewGate(tal *TAL, ta []byte, opt Options) *Gate {
	opt.Memo, opt.Asker = nil, Issuer
	return &Gate{tal: tal, ta: ta, opt: opt, known: map[string]*memory{}, roots: map[string]bool{}, live: newClaims()}
}

// Verdict is the result of a Check.
type Verdict struct {
	Findings []Finding        // empty if the state may be published: a warning is a finding too
	VRPs     map[string][]VRP // sorted, by certificate URI: of each touched CA that is reachable, and each other that was checked
	VAPs     map[string][]VAP // of the same CAs, one for each ASPA, sorted by customer

	accept func()
}

// Accept makes the gate remember what was checked. It is called when the state that was checked is committed. If the verdict has findings it
// does nothing.
func (v *Verdict) Accept() {
	if len(v.Findings) == 0 {
		v.accept()
	}
}

// hasher is a Point that knows the SHA-256 of an object without reading it. A gate then does not read what it knows.
type hasher interface {
	Hash(uri string) (sum [sha256.Size]byte, ok bool)
}

// borders is a Point that is part of a larger tree. Root returns the certificate, by its URI, that a parent elsewhere issued to a CA of ours.
// We do not see what is above it, so only its form and its validity are checked, and what it lists is taken as held. Foreign tells whether the
// CA of a certificate is a delegated CA: its publication point is not checked.
type borders interface {
	Root(uri string) (der []byte, ok bool)
	Foreign(uri string) bool
}

// Check validates the state as it would be. Objects is the whole of it. Touched lists, by the URIs of their certificates, the CAs whose
// certificate or publication point differs from what was last accepted, new ones included. A CA that is not reachable any more need not be
// listed. An ancestor whose manifest differs is checked even if it is not listed.
//
// Objects is read by several goroutines. The error is not nil only if ctx ended; what is wrong with the state is in the verdict's findings.
// The gate does not change before Verdict.Accept.
func (g *Gate) Check(ctx context.Context, now time.Time, objects Point, touched []string) (*Verdict, error) {
	opt := g.opt
	opt.Now = now
	v := &change{gate: g, rules: opt.rules(), ctx: ctx, objects: objects, done: map[string]*outcome{}, opened: map[string]*point{}, authorities: map[string]*authority{}}
	if !v.anchored() {
		return v.verdict(), nil
	}
	v.plan(touched)
	for depth := 0; depth < len(v.waves); depth++ {
		if err := ctx.Err(); err != nil {
			return nil, fault.New(fault.Busy, "the check of a change was stopped: %w", err)
		}
		v.wave(depth)
	}
	return v.verdict(), nil
}

// change is the state of one Check. CAs are checked in waves, the highest first, since what a CA may do depends on the CA above it. CAs of one
// wave do not depend on each other.
type change struct {
	rules
	gate     *Gate
	ctx      context.Context
	objects  Point
	findings []Finding

	waves       []map[string]bool     // by depth: certificate URIs of CAs to check
	done        map[string]*outcome   // CAs that were checked, by certificate URI
	authorities map[string]*authority // CAs that are valid in the state that would be
	opened      map[string]*point     // publication points that are neither touched nor remembered; nil if they fail
}

// outcome is the result of the check of one CA.
type outcome struct {
	ca       *authority
	memory   *memory // nil if the publication point failed
	children []*authority
	fresh    []string // URIs of the files that were checked in full
	findings []Finding
}

// anchored checks the trust anchor's certificate: the state's own, or the one that the gate was made with.
func (v *change) anchored() bool {
	uri := v.gate.tal.RsyncURI()
	der, ok := v.objects.Get(uri)
	if !ok {
		der = v.gate.ta
	}
	c := v.check(uri)
	root := v.anchor(c, v.gate.tal, der)
	v.findings = append(v.findings, c.findings...)
	if root != nil {
		v.authorities[uri] = root
	}
	return root != nil
}

// plan puts each touched CA into the wave of its depth.
func (v *change) plan(touched []string) {
	v.waves = make([]map[string]bool, v.maxDepth+1)
	for i := range v.waves {
		v.waves[i] = map[string]bool{}
	}
	for _, uri := range touched {
		chain := v.chain(uri)
		for i, above := range chain {
			depth := len(chain) - 1 - i
			if depth <= v.maxDepth && (above == uri || v.differs(above)) {
				v.waves[depth][above] = true
			}
		}
	}
}

// chain lists the certificate URIs from one up to the trust anchor, or to a certificate that a parent elsewhere issued, by what the
// certificates themselves say. It is nil if they do not lead there: if such certificates are reachable, the check from above finds what is wrong.
func (v *change) chain(uri string) []string {
	root := v.gate.tal.RsyncURI()
	var chain []string
	for len(chain) <= v.maxDepth {
		chain = append(chain, uri)
		if uri == root || v.root(uri) != nil {
			return chain
		}
		cert := v.read(uri)
		if cert == nil {
			return nil
		}
		uri = cert.IssuerURI
	}
	return nil
}

// root is the CA of a certificate that a parent elsewhere issued to a CA of ours; nil where the certificate is none of these.
func (v *change) root(uri string) *authority {
	if ca, settled := v.authorities[uri]; settled && ca != nil && ca.depth == 0 {
		return ca
	}
	b, ok := v.objects.(borders)
	if !ok {
		return nil
	}
	der, ok := b.Root(uri)
	if !ok {
		return nil
	}
	c := v.check(uri)
	c.asker = RelyingParty // its issuer answers for its form
	cert := parseCertificate(c, der)
	if cert == nil || cert.Kind != CA {
		return nil
	}
	c = v.check(uri)
	v.current(c, cert)
	v.findings = append(v.findings, c.findings...)
	v.authorities[uri] = newAuthority(uri, cert, cert.Resources.Set, nil)
	return v.authorities[uri]
}

// foreign tells whether the CA of a certificate is a delegated CA.
func (v *change) foreign(uri string) bool {
	b, ok := v.objects.(borders)
	return ok && b.Foreign(uri)
}

// read parses a certificate of the state, and drops the findings.
func (v *change) read(uri string) *Certificate {
	der, ok := v.objects.Get(uri)
	if !ok {
		return nil
	}
	return parseCertificate(v.check(uri), der)
}

// differs tells whether a remembered CA has another certificate or manifest in the state than was accepted.
func (v *change) differs(uri string) bool {
	m := v.gate.known[uri]
	if m == nil {
		return false
	}
	if sum, ok := v.sum(uri); ok && sum != m.certificate {
		return true
	}
	sum, ok := v.sum(m.claim.manifest)
	return !ok || sum != m.manifest
}

// sum is the hash of an object of the state.
func (v *change) sum(uri string) ([sha256.Size]byte, bool) {
	if h, ok := v.objects.(hasher); ok {
		return h.Hash(uri)
	}
	der, ok := v.objects.Get(uri)
	return sha256.Sum256(der), ok
}

// wave checks the CAs of one depth, and puts what hangs below them and must be checked too into the next.
func (v *change) wave(depth int) {
	uris := slices.Sorted(maps.Keys(v.waves[depth]))
	outcomes := make([]*outcome, 0, len(uris))
	for _, uri := range uris {
		if ca := v.authority(uri); ca != nil {
			outcomes = append(outcomes, &outcome{ca: ca})
		}
	}
	var next sync.WaitGroup
	turns := make(chan struct{}, v.workers)
	for _, o := range outcomes {
		turns <- struct{}{}
		next.Go(func() {
			v.examine(o)
			<-turns
		})
	}
	next.Wait()
	for _, o := range outcomes {
		v.done[o.ca.uri] = o
		v.findings = append(v.findings, o.findings...)
		for _, child := range o.children {
			v.authorities[child.uri] = child
			if v.foreign(child.uri) || v.gate.known[child.uri].stands(child) {
				continue
			}
			v.waves[child.depth][child.uri] = true // entry refuses what is too deep
		}
	}
}

// verdict sums up the check. What the accepted CAs do not list any more is forgotten, with all below it.
func (v *change) verdict() *Verdict {
	g := v.gate
	gone := map[string]bool{}
	out := &Verdict{VRPs: map[string][]VRP{}, VAPs: map[string][]VAP{}}
	for uri, o := range v.done {
		if o.memory == nil {
			continue
		}
		out.VRPs[uri] = o.memory.payloads()
		out.VAPs[uri] = slices.SortedFunc(maps.Values(o.memory.vaps), func(a, b VAP) int { return cmp.Compare(a.Customer, b.Customer) })
		for child := range g.known[uri].lost(o.memory) {
			g.below(child, gone)
		}
	}
	for uri := range g.roots { // no CA lists these
		if b, ok := v.objects.(borders); ok {
			if _, ok := b.Root(uri); !ok {
				g.below(uri, gone)
			}
		}
	}
	for uri := range v.done {
		delete(gone, uri)
	}
	out.Findings = slices.Concat(v.findings, v.shared(gone), v.folders(gone))
	out.accept = func() {
		for uri := range gone {
			g.forget(uri)
		}
		for uri := range v.done {
			g.forget(uri)
		}
		for uri, o := range v.done {
			g.known[uri] = o.memory
			if o.ca.depth == 0 && uri != g.tal.RsyncURI() {
				g.roots[uri] = true
			}
			g.live.claim(uri, o.memory.claim)
		}
	}
	return out
}

// below adds a CA and all remembered below it to a set.
func (g *Gate) below(uri string, set map[string]bool) {
	m := g.known[uri]
	if m == nil || set[uri] {
		return
	}
	set[uri] = true
	for _, child := range m.children {
		g.below(child, set)
	}
}

func (g *Gate) forget(uri string) {
	if m := g.known[uri]; m != nil {
		g.live.release(uri, m.claim)
		delete(g.known, uri)
		delete(g.roots, uri)
	}
}

// shared finds what checked CAs share with one another or with remembered ones that stay.
func (v *change) shared(gone map[string]bool) []Finding {
	fresh := newClaims()
	var found []Finding
	for _, uri := range slices.Sorted(maps.Keys(v.done)) {
		if m := v.done[uri].memory; m != nil {
			found = append(found, fresh.claim(uri, m.claim)...)
			found = append(found, v.gate.live.others(uri, m.claim, func(holder string) bool {
				return gone[holder] || v.done[holder] != nil
			})...)
		}
	}
	return found
}
