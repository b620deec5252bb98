package ca

import (
	"cadastre/ca/issued"
	"cadastre/internal/store"
)

// engineBucket keeps single values: installation, vault, anchor's certificate, clock.
var engineBucket = store.Declare("engine", "ca", store.Withheld("the vault and the sealed key of the identity; what of the rest a successor needs is in Settings"))

// place is where an authority's folder is.
func (p *Policy) place(a *issued.Authority) string {
	switch {
	case a.Delegated != nil:
		return a.Delegated.Repository
	case a.Base != "":
		return a.Base + a.Path + "/"
	}
	return p.RsyncBase + a.Repository + "/" + a.Path + "/"
}

// manifestURI is where an authority's manifest is.
func (p *Policy) manifestURI(a *issued.Authority) string {
	if a.Delegated != nil {
		return a.Delegated.Manifest
	}
	return p.place(a) + a.ManifestName()
}

// notifyOf is the notification file of the repository that an authority publishes in.
func (p *Policy) notifyOf(a *issued.Authority) string {
	switch {
	case a.Delegated != nil:
		return a.Delegated.Notify
	case a.Base != "":
		return a.Notify
	}
	return p.notify(a.Repository)
}

// notify is the notification file of a registry's repository.
func (p *Policy) notify(registry string) string { return p.RRDPBase + registry + "/notification.xml" }

// anchorURI is the trust anchor's certificate over rsync.
func (p *Policy) anchorURI() string { return p.RsyncBase + "ta/ta.cer" }
