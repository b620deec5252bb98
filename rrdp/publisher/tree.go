package publisher

import (
	"crypto/sha256"
	"iter"
	"strings"
	"time"

	"cadastre/rrdp"
)

// longestName is what rpki-client and file systems take as a file name, in bytes.
const longestName = 255

// below tells whether a URI is strictly below a base, as the path of a plain file: in normal form, so that two URIs are the
// same object if and only if they are the same string. No part is empty or begins with a dot, and there is nothing but
// letters, digits, '-', '_' and '.'.
func below(base, uri string) bool {
	path, ok := strings.CutPrefix(uri, base)
	if !ok || len(uri) > rrdp.MaxURI {
		return false
	}
	for name := range strings.SplitSeq(path, "/") {
		if !plainName(name) {
			return false
		}
	}
	return true
}

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

// directory is a URI without its last name; the slash stays.
func directory(uri string) string { return uri[:strings.LastIndexByte(uri, '/')+1] }

// directories goes through the directories between an object and its publisher's base, each with the slash at its end.
func directories(base, uri string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for dir := directory(uri); len(dir) > len(base); dir = directory(dir[:len(dir)-1]) {
			if !yield(dir) {
				return
			}
		}
	}
}

// entry is what is known of an object without reading it.
type entry struct {
	hash [sha256.Size]byte
	size int // bytes in an uncompressed snapshot
}

// tree is the objects of one publisher that are committed. What they are is in the repository; this is how they are found
// by publisher, and what preconditions are held against.
type tree struct {
	objects     map[string]entry     // by URI
	directories map[string]int       // how many objects lie below each, those of its own directories too
	manifests   map[string]*manifest // by URI, those that have been looked at and those that have not
}

// manifest is what was found when a manifest was looked at.
type manifest struct {
	suspect  bool // something beside it has changed since, or it has
	problems problems

	thisUpdate, nextUpdate time.Time // zero when it could not be read
}

func newTree() tree {
	return tree{objects: map[string]entry{}, directories: map[string]int{}, manifests: map[string]*manifest{}}
}

// add puts an object in that was not there.
func (t *tree) add(base, uri string, o entry) {
	t.objects[uri] = o
	for dir := range directories(base, uri) {
		t.directories[dir]++
	}
	if strings.HasSuffix(uri, ".mft") {
		t.manifests[uri] = &manifest{suspect: true}
	}
}

// bytes is what all objects take in an uncompressed snapshot.
func (t *tree) bytes() int64 {
	var n int64
	for _, o := range t.objects {
		n += int64(o.size)
	}
	return n
}
