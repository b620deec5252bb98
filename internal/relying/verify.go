package relying

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/relying/ccr"
	"cadastre/internal/term"
	"cadastre/internal/validate"
)

// Verify fetches and validates once. That something is wrong with a repository is a finding and no error; the error
// is for what keeps it from validating at all: a TAL that cannot be read, a trust anchor that cannot be had, a cache
// that cannot be used.
func Verify(ctx context.Context, o Options) (*Report, error) {
	r, err := newRun(o)
	if err != nil {
		return nil, err
	}
	defer r.close()
	return r.verify(ctx)
}

// Publication fetches what one CA publishes, whose certificate is believed, and reads its manifest and CRL. Only Cache is
// needed of the options. The error is of kind fault.Unreachable where nothing valid can be had.
func Publication(ctx context.Context, o Options, certificate []byte) (*validate.Published, error) {
	r, err := newFetch(o)
	if err != nil {
		return nil, err
	}
	defer r.close()
	s := newSource(r.options, r.fetcher)
	defer s.close()
	published, findings := validate.Publication(ctx, certificate, s, validate.Options{Now: o.Now, P256: o.P256, Asker: validate.RelyingParty})
	if published == nil {
		return nil, fault.New(fault.Unreachable, "nothing valid can be had of the CA: %s", findings[len(findings)-1].Text)
	}
	return published, nil
}

// run is a relying party at work, with its cache locked.
type run struct {
	options Options
	tal     *validate.TAL
	fetcher *fetcher
	lock    *os.File
}

func newRun(o Options) (*run, error) {
	tal, err := readTAL(o.TAL, o.suite())
	if err != nil {
		return nil, err
	}
	r, err := newFetch(o)
	if r != nil {
		r.tal = tal
	}
	return r, err
}

// newFetch is a run that has no trust anchor.
func newFetch(o Options) (*run, error) {
	if o.RsyncOnly && o.NoRsync {
		return nil, fault.New(fault.BadInput, "rsync alone and no rsync cannot both be asked for: leave one out")
	}
	o.Limits = o.Limits.withDefaults()
	if o.Memo == nil {
		o.Memo = validate.NewMemo()
	}
	if o.Rsync == "" {
		o.Rsync = "rsync"
	}
	if _, err := exec.LookPath(o.Rsync); err != nil && !o.Offline && !o.NoRsync {
		if o.RsyncOnly {
			return nil, fault.New(fault.BadInput, "the program %s is needed and not there: install rsync", o.Rsync)
		}
		o.NoRsync = true
	}
	f, err := newFetcher(o.TLSRoots, o.Limits)
	if err != nil {
		return nil, err
	}
	r := &run{options: o, fetcher: f}
	if err := r.lockCache(); err != nil {
		return nil, err
	}
	return r, r.fitCache()
}

// lockCache makes sure that no other process works on the cache. The lock goes with the process.
func (r *run) lockCache() error {
	if err := r.makeFolders(); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(r.options.Cache, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fault.Wrap(err, "the cache cannot be locked")
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return fault.New(fault.Busy, "the cache %s is in use: wait for the other process or name another folder", r.options.Cache)
	}
	r.lock = file
	return nil
}

// folders of the cache.
var folders = []string{"rrdp", "rsync", "ta", "kept"}

func (r *run) makeFolders() error {
	for _, folder := range folders {
		if err := os.MkdirAll(filepath.Join(r.options.Cache, folder), 0o755); err != nil {
			return fault.Wrap(err, "the cache cannot be made")
		}
	}
	return nil
}

// fitCache empties a cache that is larger than what may be kept. What a run adds is bounded by its share.
func (r *run) fitCache() error {
	size := int64(0)
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(r.options.Cache, folder), func(_ string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if info, gone := d.Info(); gone == nil {
					size += info.Size()
				}
			}
			return nil // what cannot be seen is not counted
		})
		if err != nil {
			return fault.Wrap(err, "the cache cannot be read")
		}
	}
	if size <= r.options.Limits.Disk {
		return nil
	}
	for _, folder := range folders {
		if err := os.RemoveAll(filepath.Join(r.options.Cache, folder)); err != nil {
			return fault.Wrap(err, "the cache is larger than its limit and cannot be removed")
		}
	}
	return r.makeFolders()
}

func (r *run) close() {
	_ = r.lock.Close()
	r.fetcher.client.CloseIdleConnections()
}

func (r *run) verify(ctx context.Context) (*Report, error) {
	start := time.Now()
	s := newSource(r.options, r.fetcher)
	defer s.close()
	der, uri, err := s.trustAnchor(ctx, r.tal)
	if err != nil {
		return nil, err
	}
	report, err := r.walk(ctx, der, s)
	if err != nil {
		return nil, err
	}
	report.TrustAnchor, report.Took = uri, term.Term(time.Since(start))
	report.Repositories = s.repositories()
	report.Findings = append(s.findings, report.Findings...)
	report.Cut = r.fetcher.accounts.cutBy()
	s.finish()
	return report, nil
}

// walk validates all that can be reached from a trust anchor's certificate.
func (r *run) walk(ctx context.Context, der []byte, s *source) (*Report, error) {
	now := r.options.Now
	if now.IsZero() {
		now = time.Now()
	}
	start := time.Now()
	options := validate.Options{
		Now: now, Workers: r.options.Workers, P256: r.options.P256, Memo: r.options.Memo, Asker: validate.RelyingParty,
		MaxDepth: r.options.Limits.Depth, Findings: r.options.Limits.Findings,
	}
	if !r.options.Fresh {
		options.Previous, options.Keep = s.kept.previous, s.kept.keep
	}
	within, cancel := context.WithDeadline(ctx, r.fetcher.accounts.start.Add(r.options.Limits.Run.Time))
	defer cancel()
	result := validate.Tree(within, r.tal, der, s, options)
	if within.Err() != nil {
		r.fetcher.accounts.cutShort("its time was over")
	}
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Unreachable, "the walk was broken off: %w", err)
	}
	report := &Report{
		TAL: r.options.TAL, At: now.UTC(), Walk: term.Term(time.Since(start)),
		VRPs: result.VRPs, VAPs: result.VAPs, Findings: result.Findings, Objects: result.Objects, Earliest: result.Earliest,
		Authorities: result.Authorities,
	}
	if anchor, _ := validate.ParseCertificate(der, r.options.suite()); anchor != nil {
		report.anchorKeys = []ccr.KeyID{anchor.SKI}
	}
	return report, nil
}
