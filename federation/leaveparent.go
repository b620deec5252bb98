package federation

import (
	"context"
	"errors"
	"slices"

	"cadastre/ca/issued"
	"cadastre/internal/updown"
)

// gone is a key that a parent is to revoke: its authority is gone, or has nothing left but its manifest and CRL. These two stay until
// the parent has revoked the certificate that leads to them.
type gone struct {
	source, class string
	authority     issued.Name
	ski           []byte
}

func (f *Federation) goneOf(called string) []gone {
	p := f.Peers.Parent(called)
	if p == nil {
		return nil
	}
	var list []gone
	for source, class := range p.Classes {
		for authority, ski := range class.Created {
			if f.host.IsDone(authority) {
				list = append(list, gone{source, class.Name, authority, ski})
			}
		}
	}
	return list
}

// GivesUp tells whether some of a set of organisations have keys that their parents are to revoke.
func (f *Federation) GivesUp(set []string) bool {
	return slices.ContainsFunc(f.Peers.Parents(), func(p *Parent) bool {
		return slices.Contains(set, p.Holder) && len(f.goneOf(p.Name)) > 0
	})
}

// revokeAt asks a parent to revoke a key's certificate (RFC 6492, section 3.5). If the parent does not know the key, that is no error.
func (f *Federation) revokeAt(ctx context.Context, called string, g gone) error {
	_, err := f.askParent(ctx, called, &updown.Revoke{Class: g.class, SKI: g.ski})
	var wrong *updown.Error
	if errors.As(err, &wrong) && (wrong.Status == updown.StatusRevokeNoClass || wrong.Status == updown.StatusRevokeNoKey) {
		err = nil
	}
	if err != nil {
		return err
	}
	return f.changeParent("", called, func(p *Parent) {
		delete(p.Classes[g.source].Created, g.authority)
		delete(p.Classes[g.source].Keys, g.authority)
	})
}

// forgetParent drops a parent that an operator removed, once none of our keys is left with it.
func (f *Federation) forgetParent(called string) error {
	return f.host.Change(func(tx *Tx) error {
		p := f.Peers.Parent(called)
		if p == nil {
			return nil
		}
		if !p.Removed {
			return nil
		}
		for _, class := range p.Classes {
			if len(class.Created) > 0 {
				return nil
			}
		}
		return tx.DeleteParent(called)
	})
}
