package daemon

import (
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/term"
	"cadastre/routes"
)

// routesConfig says where to read what is announced in BGP.
type routesConfig struct {
	Sources []string  `toml:"sources,omitempty"`      // https URLs and files; a relative path is below the data directory
	Every   term.Term `toml:"every,omitempty"`        // how often each is read
	Oldest  term.Term `toml:"oldest,omitempty"`       // what is older is not used
	Peers   int       `toml:"fewest_peers,omitempty"` // what fewer peers see is not used
}

// setDefaults is for what the file does not say.
func (c *routesConfig) setDefaults() {
	usual := routes.Default("", nil)
	*c = routesConfig{Every: term.Term(usual.Every), Oldest: term.Term(usual.Oldest), Peers: usual.Peers}
}

// below makes relative paths those of a data directory.
func (c *routesConfig) below(dir string) {
	for i, source := range c.Sources {
		if source != "" && !strings.Contains(source, "://") && !filepath.IsAbs(source) {
			c.Sources[i] = filepath.Join(dir, source)
		}
	}
}

func (c *routesConfig) check() error {
	seen := map[string]bool{}
	for _, source := range c.Sources {
		u, err := url.Parse(source)
		switch {
		case seen[source]:
			return fault.New(fault.BadInput, "routes.sources has %q twice; remove one", source)
		case filepath.IsAbs(source):
		case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil:
			return fault.New(fault.BadInput, "routes.sources has %q; a source is an https URL without a password, or a file", source)
		}
		seen[source] = true
	}
	if c.Every < term.Term(time.Minute) || c.Oldest < c.Every {
		return fault.New(fault.BadInput, "routes.every is %s and routes.oldest %s; the first must be 1m at least, and the second no shorter than it", term.Text(time.Duration(c.Every)), term.Text(time.Duration(c.Oldest)))
	}
	if c.Peers < 0 {
		return fault.New(fault.BadInput, "routes.fewest_peers is %d; it can't be less than 0", c.Peers)
	}
	return nil
}

func (c *routesConfig) keeper(dir string, log *slog.Logger) routes.Config {
	k := routes.Default(filepath.Join(dir, "routes"), log)
	k.Sources, k.Every, k.Oldest, k.Peers = c.Sources, time.Duration(c.Every), time.Duration(c.Oldest), c.Peers
	return k
}
