package issued

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"cadastre/holdings"
	"cadastre/internal/object"
	"cadastre/keys"
)

// Policy is what an operator decides about the certification authorities: how long things live, where they are
// published, and how much may go at once. Each field is a setting by itself.
type Policy struct {
	Algorithm object.Algorithm
	Keys      keys.Driver // what long-lived keys are with

	RsyncBase string // "rsync://host/": a module for each registry follows
	RRDPBase  string // "https://host/rrdp/": a folder for each registry follows
	AnchorURL string // "https://host/ta/ta.cer"
	// ServiceBase is where peers send their messages, "https://host/": "rfc6492/" or "rfc8181/" and their handle follow.
	ServiceBase string

	ManifestLife  time.Duration // from now to the nextUpdate of manifest and CRL
	ManifestSlack time.Duration // what is left of it when they are made anew: so long may a failure last without harm
	Jitter        time.Duration // up to this much is added to ManifestLife, so that not all fall due at once
	Grid          time.Duration // manifests are made anew at whole multiples of it, so that few serials carry many

	AnchorManifestLife, AnchorManifestSlack time.Duration // the same for the trust anchor, which may be offline

	Root, Registry, Holder, ROA Lifetime

	Soak   time.Duration // the time in which relying parties are expected to fetch what was published
	Notice time.Duration // the time that a delegated CA has to withdraw what rests on lost resources

	ParentClasses int // resource classes that are taken from one parent outside the tree; each makes authorities, 0: no limit

	Silence time.Duration // a delegated CA with no valid manifest for so long has its certificates revoked

	Brake       float64       // the share of VRPs, ASPAs, holders, addresses or AS numbers that may be taken away within BrakeWindow without a code
	BrakeWindow time.Duration // for how long a loss is weighed together with later decisions
}

// Lifetime is how long a certificate lives, and how long before its end it is made anew.
type Lifetime struct{ Life, Lead time.Duration }

const (
	// Day is 24 hours.
	Day  = 24 * time.Hour
	year = 365 * Day
)

// AnchorLife is the life of the trust anchor's own certificate. Relying parties hold its key, not its certificate.
var AnchorLife = Lifetime{Life: 20 * year, Lead: 10 * year}

// DefaultPolicy is the policy that 'cadastre init' writes. When a certificate is made anew, its rest is at least as long as the longest life
// of what is below it, so renewals are rarely cut short by the issuer's end.
func DefaultPolicy() Policy {
	return Policy{
		Algorithm:     object.RSA,
		Keys:          keys.Software,
		ManifestLife:  48 * time.Hour,
		ManifestSlack: 24 * time.Hour,
		Jitter:        6 * time.Hour,
		Grid:          10 * time.Minute,

		AnchorManifestLife: 90 * Day, AnchorManifestSlack: 45 * Day,

		Root:     Lifetime{10 * year, 5 * year},
		Registry: Lifetime{4 * year, 2 * year},
		Holder:   Lifetime{548 * Day, 183 * Day},
		ROA:      Lifetime{year, 91 * Day},
		Soak:     30 * time.Minute,
		Notice:   24 * time.Hour,
		Silence:  90 * Day,

		ParentClasses: 16,

		Brake: 0.01, BrakeWindow: Day,
	}
}

// Backdate is how far in the past the validity of signed objects begins, for readers whose clocks are behind.
const Backdate = 5 * time.Minute

// LifetimeOf is that of an organisation's certificate.
func (p *Policy) LifetimeOf(kind holdings.Kind) Lifetime {
	switch kind {
	case holdings.Root:
		return p.Root
	case holdings.RIR, holdings.NIR:
		return p.Registry
	default:
		return p.Holder
	}
}

// ManifestLifeOf is how long the manifest numbered n of an authority lives, and how much is left when it is made anew. Up to Jitter is added
// to the life, a different amount for each.
func (p *Policy) ManifestLifeOf(authority Name, n uint64) (life, slack time.Duration) {
	if authority == Anchor {
		return p.AnchorManifestLife, p.AnchorManifestSlack
	}
	if p.Jitter <= 0 {
		return p.ManifestLife, p.ManifestSlack
	}
	h := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(authority.String()), n))
	jitter := time.Duration(binary.BigEndian.Uint64(h[:8]) % uint64(p.Jitter))
	return p.ManifestLife + jitter.Truncate(time.Second), p.ManifestSlack
}

// PathOf is the folder of an authority or publisher below its registry's module. It is opaque and never changes.
func PathOf(installation, name string) string {
	h := sha256.Sum256([]byte(installation + "/" + name))
	return hex.EncodeToString(h[:8])
}

// Place is the rsync URI of an authority's folder.
func (p *Policy) Place(a *Authority) string {
	switch {
	case a.Delegated != nil:
		return a.Delegated.Repository
	case a.Base != "":
		return a.Base + a.Path + "/"
	}
	return p.RsyncBase + a.Repository + "/" + a.Path + "/"
}

// ManifestURI is where an authority's manifest is.
func (p *Policy) ManifestURI(a *Authority) string {
	if a.Delegated != nil {
		return a.Delegated.Manifest
	}
	return p.Place(a) + a.ManifestName()
}

// NotifyOf is the notification file of the repository that an authority publishes in.
func (p *Policy) NotifyOf(a *Authority) string {
	switch {
	case a.Delegated != nil:
		return a.Delegated.Notify
	case a.Base != "":
		return a.Notify
	}
	return p.Notify(a.Repository)
}

// Notify is the notification file of a registry's repository.
func (p *Policy) Notify(registry string) string { return p.RRDPBase + registry + "/notification.xml" }

// AnchorURI is the trust anchor's certificate over rsync.
func (p *Policy) AnchorURI() string { return p.RsyncBase + "ta/ta.cer" }

// ManifestDue is when an authority's manifest and CRL are to be made anew. It is zero, which means never, if they end with the authority's
// certificate, which has to be renewed first; and if the authority has none, since its key is elsewhere or it has no certificate yet.
func (p *Policy) ManifestDue(a *Authority) time.Time {
	if a.NextUpdate.IsZero() || !a.NextUpdate.Before(a.CertExpires) {
		return time.Time{}
	}
	_, slack := p.ManifestLifeOf(a.Name, a.Number)
	return a.NextUpdate.Add(-slack).Truncate(p.Grid)
}

// DueAt is when something that ends at expires is to be made anew: when its lead begins. It is zero, which means never, if a new one would
// not last noticeably longer, since the issuer's certificate ends before: then that has to be renewed first.
func (l Lifetime) DueAt(expires, issuerExpires time.Time) time.Time {
	if issuerExpires.Sub(expires) < Day {
		return time.Time{}
	}
	return expires.Add(-l.Lead)
}

// Sooner is the earlier of two times, of which either may be zero for never.
func Sooner(a, b time.Time) time.Time {
	switch {
	case a.IsZero():
		return b
	case b.IsZero():
		return a
	}
	return Earlier(a, b)
}

// Earlier is the earlier of two times.
func Earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Later is the later of two times.
func Later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Addresses is where an installation publishes. Every certificate, CRL and signed object names them, so the store remembers
// for which addresses its objects were issued.
type Addresses struct {
	RRDPBase  string `json:"rrdp_base"`
	RsyncBase string `json:"rsync_base"`
}

// Addresses is the policy's part about where the installation publishes.
func (p *Policy) Addresses() Addresses { return Addresses{p.RRDPBase, p.RsyncBase} }
