package setup

import (
	"regexp"
	"strconv"
	"strings"

	"cadastre/internal/wirexml"
)

// authority is a host, by name or address, and perhaps a port. A user's name or password before it is refused.
var authority = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:([0-9]{1,5}))?$`)

// part is a module or a folder of a sia_base: it needs no unescaping, and does not lead out of where it is.
var part = regexp.MustCompile(`^[A-Za-z0-9_~-][A-Za-z0-9._~+,=@:-]{0,254}$`)

// readBase reads a sia_base: an rsync URI of a host, a module, and perhaps folders below it. The URIs of all that is published begin with it
// and stand in certificates, so every relying party has to read it as the same place.
//
// Tolerated: a sia_base without a slash at its end, which APNIC writes. The slash is added.
func readBase(root *wirexml.Element) string {
	base := root.URI("sia_base", maxURI, "rsync://")
	if !strings.HasSuffix(base, "/") {
		base += "/"
	}
	if !isBase(base) {
		root.Fail("its sia_base is %.120q; it has to be rsync://HOST/MODULE/ with folders below the module or none, without a user's name, and without empty parts, parts that begin with a dot, or escapes", base)
	}
	return base
}

func isBase(base string) bool {
	host, path, _ := strings.Cut(strings.TrimPrefix(base, "rsync://"), "/")
	found := authority.FindStringSubmatch(host)
	if found == nil {
		return false
	}
	if port, err := strconv.Atoi(found[4]); found[4] != "" && (err != nil || port < 1 || port > 65535) {
		return false
	}
	parts := strings.Split(strings.TrimSuffix(path, "/"), "/")
	for _, one := range parts {
		if !part.MatchString(one) {
			return false
		}
	}
	return len(parts) <= 32
}

// SamePlace tells whether two rsync URIs with a slash at their ends are one place, or one is below the other.
func SamePlace(a, b string) bool {
	a, b = usual(a), usual(b)
	return strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
}

// usual is host and path of an rsync URI, with the host in small letters, without port 873 and without a dot at its end.
func usual(uri string) string {
	host, path, _ := strings.Cut(strings.TrimPrefix(uri, "rsync://"), "/")
	return strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(host), ":873"), ".") + "/" + path
}
