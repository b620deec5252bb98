package relying

import (
	"context"
	"fmt"
	"io"
	"os"

	"cadastre/internal/fault"
	"cadastre/internal/relying/rrdpxml"
)

// repository is one RRDP repository: what is cached of it, and how to bring that up to date (RFC 8182, section 3.4).
// One goroutine at a time changes it; between changes any number may Get.
type repository struct {
	dir     string
	fetcher *fetcher
	limits  Limits
	state   cached
	objects pack // by rsync URI
	who     account
}

// openRepository loads what is cached in dir of the repository. Where nothing is cached
// there is no error. What is damaged is removed, and the error, Corrupt, says so. With any error the repository can be
// used, and is empty.
func openRepository(dir, notify string, f *fetcher) (*repository, error) {
	r := &repository{dir: dir, fetcher: f, limits: f.limits, who: account{host: hostOf(notify)}}
	var err error
	r.state, r.objects, err = loadState(dir, notify)
	if err == nil {
		return r, nil
	}
	r.state, r.objects = cached{Notify: notify}, pack{at: map[string]place{}}
	if fault.KindOf(err) == fault.NotFound {
		return r, nil
	}
	if gone := os.RemoveAll(dir); gone != nil {
		return r, fault.Wrap(gone, "the damaged cache cannot be removed")
	}
	return r, err
}

// Get is the object at an rsync URI.
func (r *repository) Get(uri string) ([]byte, bool) {
	return r.objects.Get(uri)
}

// present tells whether there is any state of the repository.
func (r *repository) present() bool { return r.state.Serial > 0 }

// news is a notification and how to get to what it announces.
type news struct {
	*rrdpxml.Notification
	since validators
	chain []rrdpxml.Delta // to apply, oldest first; none with jump "" means that nothing is new
	jump  string          // why only the snapshot will do; "" where the deltas do
}

// poll asks for the notification. It is nil where the server says that it has not changed.
func (r *repository) poll(ctx context.Context) (*news, error) {
	var n *rrdpxml.Notification
	fresh, since, err := r.fetcher.get(ctx, r.who, r.state.Notify, r.state.Since, r.limits.Notice, func(in io.Reader) (err error) {
		n, err = rrdpxml.ReadNotification(in, rrdpxml.Limits{Object: r.limits.Object, Objects: int(r.limits.Notice) / 64})
		return err
	})
	if err != nil || !fresh {
		return nil, err
	}
	if err := r.checkOrigins(n); err != nil {
		return nil, err
	}
	found := &news{Notification: n, since: since}
	found.chain, found.jump = r.route(n)
	return found, nil
}

// checkOrigins refuses references to another origin than the notification's (RFC 9674, section 3).
func (r *repository) checkOrigins(n *rrdpxml.Notification) error {
	refuse := func(uri string) error {
		return fault.New(fault.Invalid, "the notification of serial %d points to %s, which is not its own origin", n.Serial, uri)
	}
	if !sameOrigin(n.Snapshot.URI, r.state.Notify) {
		return refuse(n.Snapshot.URI)
	}
	for _, d := range n.Deltas {
		if !sameOrigin(d.URI, r.state.Notify) {
			return refuse(d.URI)
		}
	}
	return nil
}

// route decides between deltas and snapshot (RFC 8182, section 3.4.1; RFC 9697, section 3).
func (r *repository) route(n *rrdpxml.Notification) ([]rrdpxml.Delta, string) {
	s := r.state
	switch {
	case !r.present():
		return nil, "nothing was cached"
	case n.Session != s.Session:
		return nil, fmt.Sprintf("the session changed from %s to %s", s.Session, n.Session)
	case n.Serial < s.Serial:
		return nil, fmt.Sprintf("the serial went back from %d to %d", s.Serial, n.Serial)
	}
	for _, d := range n.Deltas {
		if before, known := s.Deltas[d.Serial]; known && before != d.Hash {
			return nil, fmt.Sprintf("the delta of serial %d is another one than before", d.Serial)
		}
	}
	chain, whole := n.Chain(s.Serial)
	switch {
	case !whole:
		return nil, fmt.Sprintf("no unbroken chain of deltas leads from serial %d to %d", s.Serial, n.Serial)
	case len(chain) > r.limits.Deltas:
		return nil, fmt.Sprintf("%d deltas are more than %d", len(chain), r.limits.Deltas)
	}
	return chain, ""
}
