package federation

import (
	"context"
	"net"
	"net/url"
	"strings"
	"time"

	"cadastre/ca/issued"
	"cadastre/internal/updown"
)

// checkPlace says why a delegated CA cannot have a certificate that says it publishes at a place: a URI with a user's name in it,
// or one in our own module, where nobody but our CAs and the publishers that are registered here can put anything.
func (f *Federation) checkPlace(place issued.Place) error {
	refused := func(why string) error {
		return &updown.Error{Status: updown.StatusIssueBadRequest, Description: why}
	}
	for _, text := range []string{place.Repository, place.Manifest, place.Notify} {
		u, err := url.Parse(text)
		if text == "" {
			continue
		}
		if err != nil || u.Host == "" || u.User != nil {
			return refused("the subject information access has a URI that is not plain: scheme, host and path alone")
		}
	}
	if !sameServer(place.Repository, f.config.RsyncBase) && !sameServer(place.Manifest, f.config.RsyncBase) {
		return nil
	}
	for _, p := range f.Publishers() {
		if strings.HasPrefix(place.Repository, p.Base) && strings.HasPrefix(place.Manifest, p.Base) {
			return nil
		}
	}
	return refused("the subject information access is in the parent's own repository, at a place that no publisher was given")
}

// sameServer tells whether two rsync URIs are at the same server, however its name and port are written.
func sameServer(a, b string) bool {
	host := func(text string) string {
		u, err := url.Parse(text)
		if err != nil {
			return ""
		}
		port := u.Port()
		if port == "" {
			port = "873"
		}
		return net.JoinHostPort(strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), port)
	}
	return host(a) != "" && host(a) == host(b)
}

// awaitNextSecond waits until a certificate of an authority can be told from the one that it has: both say in whole seconds when
// they were made.
func (f *Federation) awaitNextSecond(ctx context.Context, authority issued.Name) error {
	is := f.host.Authority(authority)
	if is == nil {
		return nil
	}
	timer := time.NewTimer(min(time.Until(is.Certificated.Truncate(time.Second).Add(time.Second)), time.Second))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return &updown.Error{Status: updown.StatusScheduled}
	}
}
