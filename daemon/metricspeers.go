package daemon

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cadastre/ca"
)

// peerDescs is what there is to watch about CAs and servers elsewhere.
type peerDescs struct {
	children, onNotice, parents, parentsFailing, remotes, remotesFailing, publishers, publishersWithProblems, identityExpiry *prometheus.Desc
}

func newPeerDescs(desc func(name, help string, labels ...string) *prometheus.Desc) peerDescs {
	return peerDescs{
		children:               desc("children", "Organisations whose CA is elsewhere."),
		onNotice:               desc("children_on_notice", "Organisations whose CA is elsewhere and still has to shed what was taken from them."),
		parents:                desc("parents", "CAs elsewhere that certify organisations here."),
		parentsFailing:         desc("parents_failing", "CAs elsewhere that certify organisations here, and did not answer well when they were last asked."),
		remotes:                desc("remote_repositories", "Servers elsewhere where organisations' CAs publish."),
		remotesFailing:         desc("remote_repositories_failing", "Servers elsewhere that did not take what was last sent to them."),
		publishers:             desc("publishers", "CAs elsewhere that publish here."),
		publishersWithProblems: desc("publishers_with_problems", "CAs elsewhere that publish here, and whose objects do not fit their manifests."),
		identityExpiry:         desc("identity_expiry_seconds", "Seconds until the first identity certificate ends, of a peer or ours."),
	}
}

// collect reads how the peers of an engine stand, and its own identity.
func (d *peerDescs) collect(e *ca.Engine, gauge func(*prometheus.Desc, float64)) error {
	children, err := e.Children()
	if err != nil {
		return err
	}
	parents, err := e.Parents("")
	if err != nil {
		return err
	}
	remotes, err := e.Remotes("")
	if err != nil {
		return err
	}
	publishers := e.Federation.Publishers()
	var first time.Time // end of an identity
	ends := func(at time.Time) {
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	identities, err := e.Federation.Identities()
	if err != nil {
		return err
	}
	for _, own := range identities {
		ends(own.Expires)
	}
	var onNotice, parentsFailing, remotesFailing, problems int
	for _, c := range children {
		ends(c.IdentityExpires)
		onNotice += count(!c.Notice.IsZero())
	}
	for _, p := range parents {
		ends(p.IdentityExpires)
		parentsFailing += count(p.Error != "")
	}
	for _, o := range remotes {
		ends(o.IdentityExpires)
		remotesFailing += count(o.Error != "")
	}
	for _, p := range publishers {
		ends(p.IdentityExpires)
		problems += count(len(p.Problems) > 0)
	}
	for _, g := range []struct {
		desc *prometheus.Desc
		n    int
	}{
		{d.children, len(children)}, {d.onNotice, onNotice}, {d.parents, len(parents)}, {d.parentsFailing, parentsFailing},
		{d.remotes, len(remotes)}, {d.remotesFailing, remotesFailing}, {d.publishers, len(publishers)}, {d.publishersWithProblems, problems},
	} {
		gauge(g.desc, float64(g.n))
	}
	if !first.IsZero() {
		gauge(d.identityExpiry, time.Until(first).Seconds())
	}
	return nil
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
