package relying

import (
	"context"
	"io"
	"time"
)

// Validators are what a conditional request repeats from the last answer (RFC 9110, section 13.1).
type Validators = validators

// Fetch fetches a file over HTTPS that is no part of a repository, and gives its body, unpacked where the server packed it, to consume. What
// the server sends is hostile: it is at most so many octets, and what takes longer than some time, or stalls, is given up. Redirects are
// followed within one origin alone. It is false, and consume not called, where the server says that nothing changed since the answer with the
// validators in since. Roots is a PEM file of TLS authorities beside the system's, "" for none. A failure on the way is Unreachable; the error
// of consume is returned as it is. A URI that is none is Invalid, and roots that hold no certificate are BadInput.
func Fetch(ctx context.Context, uri, roots string, since Validators, most int64, longest time.Duration, consume func(io.Reader) error) (bool, Validators, error) {
	limits := byHand()
	limits.Host.Fetched, limits.Host.Unpacked = most, most
	limits.Run.Fetched, limits.Run.Unpacked = most, most
	f, err := newFetcher(roots, limits)
	if err != nil {
		return false, Validators{}, err
	}
	defer f.client.CloseIdleConnections()
	ctx, cancel := context.WithTimeoutCause(ctx, longest, errSlow)
	defer cancel()
	return f.get(ctx, account{host: hostOf(uri)}, uri, since, most, consume)
}
