//go:build nochecksums

package store

// checksums tells whether records have checksums. A program with this tag is for 'make bench' alone, which measures what they cost: it
// notices no damage, and what it keeps is damaged to every other.
const checksums = false
