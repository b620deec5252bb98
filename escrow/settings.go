package escrow

import (
	"maps"
	"slices"

	"cadastre/ca"
)

// settingsOf is what a successor has to know of an installation.
func settingsOf(e *ca.Engine) (*Settings, error) {
	p := e.Policy()
	s := &Settings{
		Format: payloadFormat, Installation: e.Installation(), RsyncBase: p.RsyncBase, RRDPBase: p.RRDPBase, AnchorURL: p.AnchorURL,
		ServiceBase: p.ServiceBase, Algorithm: p.Algorithm.Name(), ManifestLife: p.ManifestLife.String(), ManifestSlack: p.ManifestSlack.String(),
		Soak: p.Soak.String(), Notice: p.Notice.String(), Brake: p.Brake, BrakeWindow: p.BrakeWindow.String(),
	}
	var err error
	if s.Identity, err = e.Federation.Identity(); err != nil {
		return nil, err
	}
	if s.Anchor, err = e.Anchor(); err != nil {
		return nil, err
	}
	s.TAL, err = e.TAL()
	return s, err
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
