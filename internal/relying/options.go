// Package relying is a relying party for any RPKI repository: it reads a trust anchor locator, fetches what the
// certificates point to over RRDP (RFC 8182) or rsync, keeps it in a cache, has internal/validate walk it, and reports
// VRPs and findings. Verify does that once; Follow keeps on doing it, one RRDP serial after the other.
//
// It trusts the TAL, and the TLS authorities about which server it talks to. It trusts nothing that a repository sends: sizes and
// times are bounded, every hash is checked, no reference may leave the origin of the notification (RFC 9674), and what
// one repository publishes counts only for the CAs that name this repository. The cached objects of an RRDP
// repository have checksums. If they do not fit, they are removed and fetched again. What is read from the cache is validated as
// if it had come from the network.
package relying

import (
	"time"

	"cadastre/internal/validate"
)

// Options say what to verify and how. Only TAL and Cache are needed.
type Options struct {
	TAL   string // path of the trust anchor locator (RFC 8630)
	Cache string // folder of the cache, made if it does not exist; one process at a time uses it

	TLSRoots  string // path of a PEM file with authorities to trust besides the system's; "" for none
	RsyncOnly bool   // leave RRDP alone
	NoRsync   bool   // leave rsync alone; so it is, too, where there is no rsync program
	Offline   bool   // validate what is cached and use no network
	Rsync     string // the rsync program; "" looks for "rsync"

	Now     time.Time      // the time to validate at; zero is the present
	Workers int            // goroutines that validate; 0 is one for each core
	P256    bool           // take ECDSA P-256 signatures too
	Memo    *validate.Memo `json:"-"` // remembers verified signatures between runs; may be nil

	Fresh bool // what is served now is what counts: earlier manifests are not remembered (RFC 9286, section 6.6)
	Only  bool // the cache is for this trust anchor alone: what a run did not use is removed from it

	Limits Limits
}

// suite is the algorithms that keys may be of.
func (o Options) suite() validate.Suite {
	if o.P256 {
		return validate.P256
	}
	return validate.RSA
}
