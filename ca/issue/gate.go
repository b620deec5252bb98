package issue

import (
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"time"

	"cadastre/ca/issued"
	"cadastre/ca/kinds"
	"cadastre/internal/fault"
	"cadastre/internal/validate"
)

// Committed is what is committed, as the gate reads it. It is safe for concurrent use.
type Committed interface {
	Get(uri string) ([]byte, bool)                     // the newest object
	Hash(uri string) ([sha256.Size]byte, bool)         // its SHA-256
	Border(uri string) *issued.Authority               // as issued.Index.Border
	Authority(authority issued.Name) *issued.Authority // nil where there is none
	Taken(a *issued.Authority) ([]byte, bool)          // the certificate from a parent elsewhere that an authority goes by
}

// Gate has the strict validator walk what would be published, before it is committed. One goroutine uses it.
type Gate struct {
	validator *validate.Gate
	committed Committed
}

// NewGate makes a gate below a trust anchor, with its certificate, DER.
func NewGate(anchor *validate.TAL, certificate []byte, options validate.Options, committed Committed) *Gate {
	return &Gate{validate.NewGate(anchor, certificate, options), committed}
}

// Acquaint has the gate read all that is committed, at the time of the last commit, below the certificates at some URIs. From then on it
// looks at changes only. The findings do not keep it from that.
func (g *Gate) Acquaint(ctx context.Context, last time.Time, roots []string) ([]validate.Finding, error) {
	verdict, err := g.validator.Check(ctx, last, candidate{Committed: g.committed}, roots)
	if err != nil {
		return nil, err
	}
	verdict.Accept()
	return verdict.Findings, nil
}

// Check walks the state as it would be with a batch, and compares the payloads that it finds with those that were meant. If there are
// findings it fails with Invalid, and returns how many. Accept has to be called once the batch is committed.
func (g *Gate) Check(ctx context.Context, b *Batch) (accept func(), findings int, err error) {
	would, byURI := g.with(b), map[string]*Change{}
	for _, c := range b.Changes {
		if !c.Gone && c.Next.Delegated == nil {
			byURI[c.Next.CertificateURI] = c
		}
	}
	verdict, err := g.validator.Check(ctx, time.Now(), would, slices.Sorted(maps.Keys(byURI)))
	if err != nil {
		return nil, 0, err
	}
	if n := len(verdict.Findings); n > 0 {
		return nil, n, fault.New(fault.Invalid, "what would be published is not valid, so it is not published: %s", validate.First(verdict.Findings))
	}
	for uri, c := range byURI {
		for _, kind := range kinds.Table {
			if found, meant := kind.Found(verdict, uri), c.Meant(kind.Name); !slices.Equal(found, meant) {
				return nil, 0, fault.New(fault.Invalid, "what would be published for %s has %d payloads of %ss where %d are meant, so it is not published", c.Next.Name, len(found), kind.Title, len(meant))
			}
		}
	}
	return verdict.Accept, 0, nil
}

// candidate is the state as it would be with a batch: what the batch changes, on top of what is committed.
type candidate struct {
	Committed
	files   map[string][]byte
	changed map[string]*issued.Authority // by the URI of its certificate
	moved   map[string]bool              // URIs at which an authority's certificate is not any more
}

func (g *Gate) with(b *Batch) candidate {
	would := candidate{g.committed, b.Files(), map[string]*issued.Authority{}, map[string]bool{}}
	for name, c := range b.Changes {
		if was := g.committed.Authority(name); was != nil && was.CertificateURI != "" && (c.Gone || was.CertificateURI != c.Next.CertificateURI) {
			would.moved[was.CertificateURI] = true
		}
		if !c.Gone {
			would.changed[c.Next.CertificateURI] = &c.Next.Authority
		}
	}
	return would
}

// Files has the objects of a batch by their URIs; nil for what is withdrawn.
func (b *Batch) Files() map[string][]byte {
	files := map[string][]byte{}
	for _, c := range b.Changes {
		maps.Copy(files, c.Files)
	}
	return files
}

func (c candidate) Get(uri string) ([]byte, bool) {
	if der, changes := c.files[uri]; changes {
		return der, der != nil
	}
	return c.Committed.Get(uri)
}

func (c candidate) Hash(uri string) ([sha256.Size]byte, bool) {
	if der, changes := c.files[uri]; changes {
		return sha256.Sum256(der), der != nil
	}
	return c.Committed.Hash(uri)
}

// Root is the certificate, by its URI, that a parent elsewhere issued to an authority of ours.
func (c candidate) Root(uri string) ([]byte, bool) {
	a := c.changed[uri]
	if a == nil || a.Issuer != issued.Outside {
		if c.moved[uri] {
			return nil, false
		}
		a = c.Border(uri)
	}
	if a == nil || a.Issuer != issued.Outside {
		return nil, false
	}
	return c.Taken(a)
}

// Foreign tells whether the certificate at a URI is that of a delegated CA.
func (c candidate) Foreign(uri string) bool {
	a := c.changed[uri]
	if a == nil {
		a = c.Border(uri)
	}
	return a != nil && a.Delegated != nil
}
