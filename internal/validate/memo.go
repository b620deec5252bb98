package validate

import (
	"crypto/sha256"
	"sync"
)

// Memo remembers between runs which objects carry good signatures under which issuer's key, so that a repository that is
// walked again costs no signature checks for what did not change. All else is checked each time. It keeps what the last
// run and the run before it used, 32 octets an object. It is safe for use by several goroutines, and a nil Memo
// remembers nothing.
type Memo struct {
	mu          sync.RWMutex
	used, older map[[sha256.Size]byte]struct{}
}

// NewMemo makes an empty memo.
func NewMemo() *Memo { return &Memo{used: map[[sha256.Size]byte]struct{}{}} }

// turn begins a run: what the run before the last used is forgotten.
func (m *Memo) turn() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used, m.older = make(map[[sha256.Size]byte]struct{}, len(m.used)), m.used
}

// once calls verify unless the object is known to be signed by the issuer's key.
func (m *Memo) once(object, issuerKey [sha256.Size]byte, verify func() bool) bool {
	if m == nil {
		return verify()
	}
	var pair [2 * sha256.Size]byte
	copy(pair[:], object[:])
	copy(pair[sha256.Size:], issuerKey[:])
	key := sha256.Sum256(pair[:])

	m.mu.RLock()
	_, used := m.used[key]
	_, older := m.older[key]
	m.mu.RUnlock()
	if !used && !older && !verify() {
		return false
	}
	if !used {
		m.mu.Lock()
		m.used[key] = struct{}{}
		m.mu.Unlock()
	}
	return true
}
