package ca

import (
	"slices"

	"cadastre/ca/issued"
	"cadastre/ca/kinds"
	"cadastre/internal/payload"
	"cadastre/internal/store"
	"cadastre/roa"
	"cadastre/rrdp"
)

// visible tells what readers find in the current serials, ours and those at servers elsewhere. It remembers what it was asked, and is used
// for one answer.
type visible struct {
	engine *Engine
	uris   map[*rrdp.Repository]map[string]bool
	chain  map[issued.Name]bool       // by authority: whether readers find its certificate and those above it
	said   map[string]map[string]bool // by holder: the payloads that readers find
}

func (e *Engine) visible() *visible {
	return &visible{engine: e, uris: map[*rrdp.Repository]map[string]bool{}, chain: map[issued.Name]bool{}, said: map[string]map[string]bool{}}
}

// at tells whether a URI is in the current serial of its repository.
func (s *visible) at(uri string) bool {
	repository := s.engine.repositories.At(uri)
	if repository == nil {
		return false
	}
	uris, looked := s.uris[repository]
	if !looked {
		uris = map[string]bool{}
		for u := range repository.All() {
			uris[u] = true
		}
		s.uris[repository] = uris
	}
	return uris[uri]
}

// authority tells whether readers find an authority: its certificate and those above it.
func (s *visible) authority(name issued.Name) bool {
	if found, looked := s.chain[name]; looked {
		return found
	}
	a := s.engine.issued.Authority(name)
	found := a != nil && !a.Awaits() && (name == issued.Anchor || a.Issuer == issued.Outside || s.at(a.CertificateURI) && s.authority(a.Issuer))
	s.chain[name] = found
	return found
}

// says lists the payloads of an authority's objects of a kind that readers find.
func (s *visible) says(is *issued.Records, kind payload.Kind) []string {
	if !s.authority(is.Name) {
		return nil
	}
	place := s.engine.policy.Place(&is.Authority)
	var says []string
	for file, p := range is.Products {
		if said, is := p.Payload(); is && said.Kind() == kind && s.at(place+file) {
			says = append(says, said.String())
		}
	}
	return says
}

// PublishedVRPs lists the VRPs that a validator finds now. What is committed, and in no serial yet, is not in it.
func (e *Engine) PublishedVRPs() ([]string, error) { return e.publishedSays(roa.Kind) }

// publishedSays lists the payloads of all objects of a kind that readers find.
func (e *Engine) publishedSays(kind payload.Kind) ([]string, error) {
	s, says := e.visible(), []string{}
	err := e.store.View(func(r store.Reader) error {
		var names []issued.Name
		if err := store.EachValue(r, issued.Authorities, nil, func(_ string, a *issued.Authority) { names = append(names, a.Name) }); err != nil {
			return err
		}
		for _, name := range names {
			is, err := issued.Read(r, name)
			if err != nil {
				return err
			}
			says = append(says, s.says(is, kind)...)
		}
		return nil
	})
	slices.Sort(says)
	return slices.Compact(says), err
}

// pends tells whether readers do not find all of stands yet: the payloads, as text, that a holder's intents authorise.
func (s *visible) pends(r store.Reader, holder string, stands []string) (bool, error) {
	found := s.said[holder]
	if found == nil {
		found = map[string]bool{}
		for _, authority := range s.engine.issued.Of(holder) {
			is, err := issued.Read(r, authority)
			if err != nil {
				return false, err
			}
			if is == nil {
				continue
			}
			for _, kind := range kinds.Table {
				for _, says := range s.says(is, kind.Name) {
					found[says] = true
				}
			}
		}
		s.said[holder] = found
	}
	return slices.ContainsFunc(stands, func(says string) bool { return !found[says] }), nil
}

// WaitsOf returns a function that tells what an organisation waits for: a wait of its own, else of the nearest organisation above it, else
// of the whole installation; nil where there is none.
func (e *Engine) WaitsOf() func(holder string) *Wait {
	list := e.Waits()
	find := func(of string) *Wait {
		if i := slices.IndexFunc(list, func(w Wait) bool { return w.Of == of }); i >= 0 {
			return &list[i]
		}
		return nil
	}
	return func(holder string) *Wait {
		e.mu.RLock()
		defer e.mu.RUnlock()
		for at := holder; at != issued.AnchorHolder; at = e.above(at) {
			if w := find(at); w != nil {
				return w
			}
		}
		return find("")
	}
}
