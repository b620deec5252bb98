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

// checkPlace checks the publication point that a delegated CA asks for. It refuses a URI with a user's name in it, and a URI at our own
// rsync server that is not below the folder of a publisher registered here: nobody else can publish there.
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

// awaitNextSecond waits until the second in which an authority's certificate was made is over, one second at most. Times of
// certificates are whole seconds, so a newer one can then be told from the one before.
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
