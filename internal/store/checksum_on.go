//go:build !nochecksums

package store

// checksums tells whether records have checksums.
const checksums = true
