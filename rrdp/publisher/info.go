package publisher

import (
	"cmp"
	"slices"
	"time"
)

// Info is what there is to say of a publisher.
type Info struct {
	Handle          string    `json:"handle"`
	Registry        string    `json:"registry"`
	Base            string    `json:"base"`         // sia_base of RFC 8183
	Notification    string    `json:"notification"` // rrdp_notification_uri of RFC 8183
	Added           time.Time `json:"added"`
	IdentityExpires time.Time `json:"identity_expires"`        // notAfter of its trust anchor
	LastSigned      time.Time `json:"last_signed,omitzero"`    // signing time of its newest message
	LastPublished   time.Time `json:"last_published,omitzero"` // when it last changed something
	Objects         int       `json:"objects"`
	Bytes           int64     `json:"bytes"`              // what they take in an uncompressed snapshot
	Kept            int64     `json:"kept"`               // Bytes, with those of what was replaced or withdrawn and is kept for readers
	Limits          Limits    `json:"limits"`             // in force
	Problems        []string  `json:"problems,omitempty"` // how its objects do not fit its manifests
	TrustAnchor     []byte    `json:"-"`                  // publisher_bpki_ta of RFC 8183, DER
}

// Publishers is all that are registered, by handle.
func (s *Server) Publishers() []Info {
	now := time.Now()
	all := s.all()
	infos := make([]Info, len(all))
	for i, p := range all {
		infos[i] = s.info(p, now)
	}
	return infos
}

// Publisher is one that is registered. It fails with NotFound.
func (s *Server) Publisher(handle string) (Info, error) {
	p := s.find(handle)
	if p == nil {
		return Info{}, unknown(handle)
	}
	return s.info(p, time.Now()), nil
}

// all is the registered publishers, by handle.
func (s *Server) all() []*publisher {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*publisher, 0, len(s.publishers))
	for _, p := range s.publishers {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *publisher) int { return cmp.Compare(a.Handle, b.Handle) })
	return all
}

func (s *Server) info(p *publisher, now time.Time) Info {
	p.mu.RLock()
	defer p.mu.RUnlock()
	_, notification := s.base(p.Registry, p.Handle)
	return Info{
		Handle: p.Handle, Registry: p.Registry, Base: p.Base, Notification: notification,
		Added: p.Added, IdentityExpires: p.trust.Expires(), TrustAnchor: p.TrustAnchor,
		LastSigned: p.state.LastSigned, LastPublished: p.state.LastPublished,
		Objects: p.state.Objects, Bytes: p.state.Bytes, Kept: p.state.Bytes + p.state.kept(),
		Limits: p.Limits.or(s.limits), Problems: p.problems(now),
	}
}
