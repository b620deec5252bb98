package relying

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"

	"cadastre/internal/fault"
	"cadastre/internal/validate"
)

// readTAL reads the trust anchor locator at path.
func readTAL(path string, suite validate.Suite) (*validate.TAL, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.Wrap(err, "the trust anchor locator cannot be read")
	}
	tal, findings := validate.ParseTAL(data, suite)
	if tal == nil {
		for _, f := range findings {
			if f.Severity == validate.Error {
				return nil, fault.New(fault.BadInput, "%s is no trust anchor locator: %s", path, f.Text)
			}
		}
		return nil, fault.New(fault.BadInput, "%s is no trust anchor locator", path)
	}
	return tal, nil
}

// trustAnchor fetches the certificate that the TAL points to, from the first of its URIs that gives one with the TAL's
// key (RFC 8630, section 3), and else takes the first that is in the cache. It fails with Unreachable where there is none.
func (s *source) trustAnchor(ctx context.Context, tal *validate.TAL) ([]byte, string, error) {
	var last error
	for _, uri := range tal.URIs {
		overRsync := strings.HasPrefix(uri, "rsync://")
		if s.options.Offline || overRsync && s.options.NoRsync || !overRsync && s.options.RsyncOnly {
			continue
		}
		der, err := s.fetchAnchor(ctx, uri, overRsync)
		if err == nil && !hasKey(der, tal.SPKI) {
			err = fault.New(fault.Invalid, "%s has not the key of the trust anchor locator", uri)
		}
		if err != nil {
			s.find(uri, validate.Error, "8630-3", "%v", err)
			last = err
			continue
		}
		return der, uri, writeFile(s.anchorFile(uri), der)
	}
	for _, uri := range tal.URIs {
		der, err := os.ReadFile(s.anchorFile(uri))
		if err != nil || !hasKey(der, tal.SPKI) {
			continue
		}
		if !s.options.Offline {
			s.find(uri, validate.Warning, ruleStale, "the trust anchor's certificate in the cache is used")
		}
		return der, uri, nil
	}
	if last == nil {
		last = fault.New(fault.NotFound, "it is not cached, and no URI of it may be used")
	}
	return nil, "", fault.New(fault.Unreachable, "the trust anchor's certificate cannot be had: %w", last)
}

func (s *source) fetchAnchor(ctx context.Context, uri string, overRsync bool) ([]byte, error) {
	who := account{host: hostOf(uri)}
	ctx, cancel := context.WithDeadlineCause(ctx, s.fetcher.accounts.deadline(who), errSlow)
	defer cancel()
	if overRsync {
		return s.rsync.file(ctx, who, uri)
	}
	return s.fetcher.small(ctx, who, uri, int64(s.options.Limits.Object))
}

// hasKey tells whether a certificate holds a key. Whether it is a valid trust anchor is for the validator to say: here it
// is about which of several URIs to believe. The key's DER says its own length, so that it stands in the certificate as
// a whole or not at all.
func hasKey(der, spki []byte) bool { return bytes.Contains(der, spki) }

func (s *source) anchorFile(uri string) string {
	return filepath.Join(s.cache, "ta", Folder(uri)+".cer")
}
