// Package rsync keeps the objects of a repository as a tree of files and has the rsync program serve it as a daemon, for the
// relying parties that cannot use RRDP (RFC 6481, section 3).
//
// A reader of the tree sees one published serial from the beginning of its transfer to the end. A tree that has been
// visible is not touched for two hours after another has taken its place; to publish, the newest of those that have had
// their two hours is brought forward, or a new one is made, of hard links where that is possible. The daemon is given the real directory and not
// a link to it, because newer rsync programs follow links several times in a transfer.
//
// The repository is what is trusted. Trees are rebuilt from it whenever they are not what they should be, and a URI
// becomes a path only if each part of it is a plain file name.
package rsync

import (
	"strings"
	"time"

	"cadastre/internal/fault"
)

// longestName is what rpki-client and file systems take as a file name, in bytes.
const longestName = 255

// dirTime is the modification time of all directories: constant, so that readers have nothing to update.
var dirTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// relative is the path of a URI below the base of its module. It fails with BadInput when the URI is not below base, or
// has a part that is no plain file name.
func relative(base, uri string) (string, error) {
	path, below := strings.CutPrefix(uri, base)
	if below {
		for part := range strings.SplitSeq(path, "/") {
			below = below && plainName(part)
		}
	}
	if !below {
		return "", fault.New(fault.BadInput, "%q cannot be in the rsync module %q: it must be below it, each part of letters, digits, '-', '_' and '.'", uri, base)
	}
	return path, nil
}

// plainName says whether a name is harmless: no '.' in front, which also rules out "." and "..".
func plainName(name string) bool {
	if name == "" || name[0] == '.' || len(name) > longestName {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}
