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

// Relying is what a relying party sees below a trust anchor. It reads in a process of its own (see the package sandbox). The
// folder keeps its cache, and one at a time uses it. Roots, in PEM, are trusted for TLS besides our own and the system's.
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

// relyingOptions are those of a relying party with its cache in a folder, which reads in a process of its own, within limits,
// what is served now. Most of its time it waits for others.
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
