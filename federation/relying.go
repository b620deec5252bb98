package federation

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"strings"

	"cadastre/internal/fault"
	"cadastre/internal/relying"
	"cadastre/internal/relying/sandbox"
	"cadastre/internal/validate"
)

// Relying has a relying party look at what is published below a trust anchor. The relying party runs in a process of its own (package
// sandbox). Its cache is in dir, which only one call may use at a time. Roots, in PEM, are trusted for TLS besides our own authority
// and those of the system.
func (f *Federation) Relying(ctx context.Context, dir, tal string, roots ...string) (*relying.Report, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Wrap(err, "couldn't make %s", dir)
	}
	options := f.relyingOptions(filepath.Join(dir, "cache"))
	options.TAL = filepath.Join(dir, "ta.tal")
	if theirs := strings.TrimSpace(strings.Join(roots, "\n")); theirs != "" {
		own, err := f.PrivateTLS()
		if err != nil {
			return nil, err
		}
		options.TLSRoots = filepath.Join(dir, "roots.pem")
		if err := os.WriteFile(options.TLSRoots, []byte(own+theirs+"\n"), 0o600); err != nil {
			return nil, fault.Wrap(err, "couldn't write %s", options.TLSRoots)
		}
	}
	if err := os.WriteFile(options.TAL, []byte(tal), 0o600); err != nil {
		return nil, fault.Wrap(err, "couldn't write %s", options.TAL)
	}
	return sandbox.Verify(ctx, options)
}

func (f *Federation) lookDir(called string) string {
	return filepath.Join(f.dir, "watch", relying.Folder("parent/"+called))
}

// lookAtParent is what the CA of a certificate publishes, as a relying party sees it.
func (f *Federation) lookAtParent(ctx context.Context, called string, issuer []byte) (*validate.Published, error) {
	dir := f.lookDir(called)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Wrap(err, "couldn't make %s", dir)
	}
	return sandbox.Publication(ctx, f.relyingOptions(dir), issuer)
}

// relyingOptions are those of a relying party with its cache in a folder. It reads what is served now, within limits. It has many
// workers, since it mostly waits for servers.
func (f *Federation) relyingOptions(cache string) relying.Options {
	options := relying.Options{
		Cache: cache, P256: f.config.P256, Fresh: true, Only: true, Workers: 16, Limits: cmp.Or(f.Reading, relying.ForDaemon()),
	}
	if roots := filepath.Join(f.dir, "tls", "ca.pem"); fileExists(roots) {
		options.TLSRoots = roots // our own, of a trial
	}
	return options
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
