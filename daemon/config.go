package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"cadastre/ca"
	"cadastre/escrow"
	"cadastre/internal/fault"
	"cadastre/internal/object"
	"cadastre/internal/term"
)

// Config is config.toml of a data directory: what relying parties and peers see of us, where we listen, and policy.
type Config struct {
	RRDPBase    string `toml:"rrdp_base"`
	RsyncBase   string `toml:"rsync_base"`
	AnchorURL   string `toml:"anchor_url"`
	ServiceBase string `toml:"service_base"` // empty: the host of rrdp_base

	Listen listenConfig `toml:"listen"`
	TLS    tlsConfig    `toml:"tls"`
	Policy policyConfig `toml:"policy"`
	Routes routesConfig `toml:"routes,omitempty"`
	Escrow escrowConfig `toml:"escrow"`
	Limits limitsConfig `toml:"limits,omitempty"`

	policy ca.Policy // of the engine, as Check made it
}

type listenConfig struct {
	HTTPS   string `toml:"https"`
	Rsync   string `toml:"rsync"`   // empty: no rsync
	Metrics string `toml:"metrics"` // empty: no metrics
}

type tlsConfig struct {
	Certificate string `toml:"certificate"` // PEM chain, a relative path is below the data directory; empty: one of our own making
	Key         string `toml:"key"`
}

type policyConfig struct {
	Algorithm     string    `toml:"algorithm"`
	ManifestLife  term.Term `toml:"manifest_life"`
	ManifestSlack term.Term `toml:"manifest_slack"`
	Soak          term.Term `toml:"soak"`   // absent: ca.DefaultPolicy has it
	Notice        term.Term `toml:"notice"` // the same
	BrakePercent  float64   `toml:"brake_percent"`
	BrakeWindow   term.Term `toml:"brake_window"` // absent: ca.DefaultPolicy has it
	Pool          int       `toml:"pool"`
}

// escrowConfig has the daemon make deposits for a successor; both are empty where it makes none.
type escrowConfig struct {
	Dir       string `toml:"dir"`       // absolute path
	Recipient string `toml:"recipient"` // age1…, as the successor's 'escrow keygen' printed it
}

// defaultPool is how many one-time keys are kept ready: what some 600 changes need, half a minute of two cores.
const defaultPool = 1500

// NewConfig is the configuration of a new data directory that is known as host, at ports that others reach it at.
func NewConfig(host string, httpsPort, rsyncPort int) *Config {
	policy := ca.DefaultPolicy()
	https, rsync := hostPort(host, httpsPort, 443), hostPort(host, rsyncPort, 873)
	c := &Config{
		RRDPBase: "https://" + https + "/rrdp/", RsyncBase: "rsync://" + rsync + "/", AnchorURL: "https://" + https + "/ta/ta.cer", ServiceBase: "https://" + https + "/",
		Listen: listenConfig{HTTPS: ListenOn(host, httpsPort), Rsync: ListenOn(host, rsyncPort)},
		Policy: policyConfig{
			Algorithm: policy.Algorithm.Name(), ManifestLife: term.Term(policy.ManifestLife), ManifestSlack: term.Term(policy.ManifestSlack),
			Soak: term.Term(policy.Soak), Notice: term.Term(policy.Notice), BrakePercent: policy.Brake * 100, BrakeWindow: term.Term(policy.BrakeWindow), Pool: defaultPool,
		},
	}
	c.Routes.setDefaults()
	return c
}

// host is that of the certificate that RRDP is served with.
func (c *Config) host() string {
	u, err := url.Parse(c.RRDPBase)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func hostPort(host string, port, usual int) string {
	if port == usual {
		return host
	}
	return net.JoinHostPort(host, fmt.Sprint(port))
}

// ListenOn is the address to listen on for a host: it keeps a demonstration on loopback and has everything else listen on all addresses.
func ListenOn(host string, port int) string {
	ip := net.ParseIP(host)
	switch {
	case host == "localhost":
		host = "127.0.0.1"
	case ip == nil || !ip.IsLoopback():
		host = ""
	}
	return net.JoinHostPort(host, fmt.Sprint(port))
}

// PortOf is the port that a URI names, or the usual one of its scheme.
func PortOf(u *url.URL, usual int) int {
	if port, err := strconv.Atoi(u.Port()); err == nil {
		return port
	}
	return usual
}

// ConfigPath is the file with the configuration of a data directory.
func ConfigPath(dir string) string { return filepath.Join(dir, "config.toml") }

func (c *Config) write(dir string) error {
	var b bytes.Buffer
	b.WriteString("# Cadastre, written by 'cadastre init'. Everything published names rrdp_base and rsync_base: when you change one, nothing\n" +
		"# starts until 'cadastre address change' has issued everything anew for it. anchor_url is in the TAL alone: give out the\n" +
		"# new one ('cadastre tal') after a change. service_base is in what children and publishers were given: 'children response'\n" +
		"# and 'publishers response' print it anew. [listen] may change at any time. The daemon reads this file when it starts.\n\n")
	if err := toml.NewEncoder(&b).Encode(c); err != nil {
		return err
	}
	return os.WriteFile(ConfigPath(dir), b.Bytes(), 0o600)
}

// ReadConfig reads and checks the configuration of a data directory.
func ReadConfig(dir string) (*Config, error) {
	path := ConfigPath(dir)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "%s is not there: %s is no data directory; make one with 'cadastre init'", path, dir)
	}
	if err != nil {
		return nil, fault.Wrap(err, "couldn't read the configuration")
	}
	absent := ca.DefaultPolicy() // what older versions did not write
	c := &Config{Policy: policyConfig{Soak: term.Term(absent.Soak), Notice: term.Term(absent.Notice), BrakeWindow: term.Term(absent.BrakeWindow)}}
	c.Routes.setDefaults()
	meta, err := toml.Decode(string(text), c)
	if err != nil {
		return nil, fault.New(fault.BadInput, "%s: %w", path, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fault.New(fault.BadInput, "%s has a key %q that means nothing; remove it", path, unknown[0].String())
	}
	for _, file := range []*string{&c.TLS.Certificate, &c.TLS.Key} {
		if *file != "" && !filepath.IsAbs(*file) {
			*file = filepath.Join(dir, *file) // whatever the working directory is
		}
	}
	c.Routes.below(dir)
	if err := c.Check(); err != nil {
		return nil, fault.Wrap(err, "%s", path)
	}
	return c, nil
}

// TakePolicy gives the configuration the policy that was deposited, and checks it.
func (c *Config) TakePolicy(s *escrow.State) error {
	c.Policy.Algorithm, c.Policy.BrakePercent = s.Algorithm, s.Brake*100
	for _, d := range []struct {
		text string
		into *term.Term
	}{
		{s.ManifestLife, &c.Policy.ManifestLife}, {s.ManifestSlack, &c.Policy.ManifestSlack}, {s.Soak, &c.Policy.Soak}, {s.Notice, &c.Policy.Notice}, {s.BrakeWindow, &c.Policy.BrakeWindow},
	} {
		if err := d.into.UnmarshalText([]byte(d.text)); err != nil {
			return fault.New(fault.Corrupt, "the duration %q that was deposited cannot be read", d.text)
		}
	}
	return c.Check()
}

// Check makes the policy of the configuration, or says what is wrong with it.
func (c *Config) Check() error {
	if u, err := url.Parse(c.RRDPBase); c.ServiceBase == "" && err == nil {
		c.ServiceBase = "https://" + u.Host + "/"
	}
	for _, base := range []struct{ key, value, scheme string }{
		{"rrdp_base", c.RRDPBase, "https"}, {"rsync_base", c.RsyncBase, "rsync"}, {"anchor_url", c.AnchorURL + "/", "https"}, {"service_base", c.ServiceBase, "https"},
	} {
		u, err := url.Parse(base.value)
		if err != nil || u.Scheme != base.scheme || u.Hostname() == "" || !strings.HasSuffix(base.value, "/") {
			return fault.New(fault.BadInput, "%s is %q; it must be an %s URI with a host that ends in a slash", base.key, base.value, base.scheme)
		}
	}
	p := ca.DefaultPolicy()
	p.RRDPBase, p.RsyncBase, p.AnchorURL, p.ServiceBase = c.RRDPBase, c.RsyncBase, c.AnchorURL, c.ServiceBase
	if p.Algorithm = object.AlgorithmNamed(c.Policy.Algorithm); p.Algorithm == nil {
		return fault.New(fault.BadInput, "policy.algorithm is %q; use rsa-2048 (or p-256 for trials that no relying party follows by default)", c.Policy.Algorithm)
	}
	p.ManifestLife, p.ManifestSlack = time.Duration(c.Policy.ManifestLife), time.Duration(c.Policy.ManifestSlack)
	if p.ManifestSlack <= 0 || p.ManifestLife <= p.ManifestSlack {
		return fault.New(fault.BadInput, "policy.manifest_life must be longer than policy.manifest_slack, and both more than nothing")
	}
	p.Soak, p.Notice = time.Duration(c.Policy.Soak), time.Duration(c.Policy.Notice)
	if p.Soak < 0 || p.Notice < 0 {
		return fault.New(fault.BadInput, "policy.soak and policy.notice can't be less than nothing")
	}
	if c.Policy.BrakeWindow < 0 {
		return fault.New(fault.BadInput, "policy.brake_window is %s; it can't be less than 0s", time.Duration(c.Policy.BrakeWindow))
	}
	if c.Policy.BrakePercent <= 0 || c.Policy.BrakePercent > 100 {
		return fault.New(fault.BadInput, "policy.brake_percent is %g; it must be more than 0 and at most 100", c.Policy.BrakePercent)
	}
	switch {
	case c.Escrow.Dir == "" && c.Escrow.Recipient == "":
	case !filepath.IsAbs(c.Escrow.Dir):
		return fault.New(fault.BadInput, "escrow.dir is %q; it must be the absolute path of the folder that deposits go to", c.Escrow.Dir)
	default:
		if err := escrow.CheckRecipient(c.Escrow.Recipient); err != nil {
			return fault.Wrap(err, "escrow.recipient")
		}
	}
	if err := c.Routes.check(); err != nil {
		return err
	}
	if err := c.Limits.check(); err != nil {
		return err
	}
	if c.Limits.ParentClasses != 0 {
		p.ParentClasses = max(c.Limits.ParentClasses, 0)
	}
	p.Brake, p.BrakeWindow = c.Policy.BrakePercent/100, time.Duration(c.Policy.BrakeWindow)
	c.policy = p
	return nil
}
