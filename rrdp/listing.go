package rrdp

import (
	"encoding/base64"
	"iter"
)

// Listed is one object that is committed, published or not yet.
type Listed struct {
	URI  string
	Hash [32]byte // SHA-256
	Size int      // bytes that it takes in a snapshot; see FragmentSize
}

// Live goes through all that is committed, published or not yet, in the order in which it came. The repository is locked
// meanwhile: the loop must not change it, nor ask it anything.
func (r *Repository) Live() iter.Seq[Listed] {
	return func(yield func(Listed) bool) {
		r.mu.RLock()
		defer r.mu.RUnlock()
		for _, e := range r.index.entries {
			if e.removed == never && !yield(Listed{URI: e.uri, Hash: e.hash, Size: int(e.place.textLen)}) {
				return
			}
		}
	}
}

// FragmentSize is the bytes that an object of so many takes in an uncompressed snapshot: its base64, its URI and the tags.
func FragmentSize(uri string, object int) int {
	return len(opening) + len(uri) + len(openEnd) + base64.StdEncoding.EncodedLen(object) + len(closing)
}

// What Prepare takes, because relying parties take no more.
const (
	MaxObject = maxObject // bytes of an object
	MaxURI    = maxURI    // bytes of a URI
)
