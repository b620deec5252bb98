package ca

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/object"
)

// Policy is what an operator decides about the certification authorities: how long things live, where they are
// published, and how much may go at once.
type Policy struct {
	Algorithm object.Algorithm

	RsyncBase string // "rsync://host/": a module for each registry follows
	RRDPBase  string // "https://host/rrdp/": a folder for each registry follows
	AnchorURL string // "https://host/ta/ta.cer"
	// ServiceBase is where peers send their messages, "https://host/": "rfc6492/" or "rfc8181/" and their handle follow.
	ServiceBase string

	ManifestLife  time.Duration // from now to the nextUpdate of manifest and CRL
	ManifestSlack time.Duration // what is left of it when they are made anew: how long a failure may last unharmed
	Jitter        time.Duration // up to this much is added to ManifestLife, so that not all fall due at once
	Grid          time.Duration // manifests are made anew at whole multiples of it, so that few serials carry many

	AnchorManifestLife, AnchorManifestSlack time.Duration // the same for the trust anchor, which may be offline

	Root, Registry, Holder, ROA Lifetime

	Soak   time.Duration // what one repository says is built on, or taken back, in another this much later
	Notice time.Duration // how long a delegated CA has to shed what its organisation lost

	ParentClasses int // resource classes that are taken from one parent outside the tree; each makes authorities, 0: no limit

	Silence time.Duration // a delegated CA with no valid manifest for so long has its certificates revoked

	Brake       float64       // the share of VRPs, holders or addresses that may be taken away within BrakeWindow without a code
	BrakeWindow time.Duration // how long what was taken away counts with what is decided then
}

// Lifetime is how long a certificate lives, and how long before its end it is made anew.
type Lifetime struct{ Life, Lead time.Duration }

const (
	day  = 24 * time.Hour
	year = 365 * day
)

// anchorLife is the life of the trust anchor's own certificate. Relying parties hold its key, not its certificate.
var anchorLife = Lifetime{Life: 20 * year, Lead: 10 * year}

// DefaultPolicy is what init writes. Each level lives at least as long, when it is made anew, as what is below it
// lives at the longest, so that a renewal is rarely cut short by the issuer's own end.
func DefaultPolicy() Policy {
	return Policy{
		Algorithm:     object.RSA,
		ManifestLife:  48 * time.Hour,
		ManifestSlack: 24 * time.Hour,
		Jitter:        6 * time.Hour,
		Grid:          10 * time.Minute,

		AnchorManifestLife: 90 * day, AnchorManifestSlack: 45 * day,

		Root:     Lifetime{10 * year, 5 * year},
		Registry: Lifetime{4 * year, 2 * year},
		Holder:   Lifetime{548 * day, 183 * day},
		ROA:      Lifetime{year, 91 * day},
		Soak:     30 * time.Minute,
		Notice:   24 * time.Hour,
		Silence:  90 * day,

		ParentClasses: 16,

		Brake: 0.01, BrakeWindow: day,
	}
}

// backdate is how far in the past what is signed begins, for readers whose clocks are slow.
const backdate = 5 * time.Minute

// lifetime is that of an organisation's certificate.
func (p *Policy) lifetime(kind holdings.Kind) Lifetime {
	switch kind {
	case holdings.Root:
		return p.Root
	case holdings.RIR, holdings.NIR:
		return p.Registry
	default:
		return p.Holder
	}
}

// manifestLife is how long the manifest numbered n of an authority lives: a little more or less for each.
func (p *Policy) manifestLife(authority issued.Name, n uint64) (life, slack time.Duration) {
	if authority == issued.Anchor {
		return p.AnchorManifestLife, p.AnchorManifestSlack
	}
	if p.Jitter <= 0 {
		return p.ManifestLife, p.ManifestSlack
	}
	h := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(authority.String()), n))
	jitter := time.Duration(binary.BigEndian.Uint64(h[:8]) % uint64(p.Jitter))
	return p.ManifestLife + jitter.Truncate(time.Second), p.ManifestSlack
}

// pathOf is the folder of something below its registry's module: opaque, and the same for good.
func pathOf(installation, name string) string {
	h := sha256.Sum256([]byte(installation + "/" + name))
	return hex.EncodeToString(h[:8])
}
