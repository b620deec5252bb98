package ca

import (
	"context"
	"maps"
	"slices"
	"time"

	"cadastre/ca/issue"
	"cadastre/ca/kinds"
	"cadastre/internal/fault"
	"cadastre/internal/object"
	"cadastre/internal/validate"
)

// validation is how the gate checks what we sign: as strictly as it can.
func (e *Engine) validation() validate.Options {
	return validate.Options{P256: e.policy.Algorithm == object.P256}
}

// suites lists the kinds of keys that the gate accepts besides RSA.
func (e *Engine) suites() []validate.Suite {
	if e.policy.Algorithm == object.P256 {
		return []validate.Suite{validate.P256}
	}
	return nil
}

// reading is how objects of others are read: as strictly as a relying party does, not as the gate.
func (e *Engine) reading() []validate.Option {
	return validate.For(validate.RelyingParty, e.suites()...)
}

// check has the gate walk the state as it would be with a batch, and compares the payloads that it finds with those that were meant. The
// caller accepts the verdict once the batch is committed.
func (e *Engine) check(ctx context.Context, b *issue.Batch, would validate.Point) (*validate.Verdict, error) {
	byURI := map[string]*issue.Change{}
	for _, c := range b.Changes {
		if !c.Gone && c.Next.Delegated == nil {
			byURI[c.Next.CertificateURI] = c
		}
	}
	verdict, err := e.loop.gate.Check(ctx, time.Now(), would, slices.Sorted(maps.Keys(byURI)))
	if err != nil {
		return nil, err
	}
	if len(verdict.Findings) > 0 {
		e.Observer.Findings(len(verdict.Findings))
		return nil, fault.New(fault.Invalid, "what would be published is not valid, so it is not published: %s", validate.First(verdict.Findings))
	}
	for uri, c := range byURI {
		for _, kind := range kinds.Table {
			if found, meant := kind.Found(verdict, uri), c.Meant(kind.Name); !slices.Equal(found, meant) {
				return nil, fault.New(fault.Invalid, "what would be published for %s has %d payloads of %ss where %d are meant, so it is not published", c.Next.Name, len(found), kind.Title, len(meant))
			}
		}
	}
	return verdict, nil
}
