package validate

import (
	"crypto/sha256"
	"sync"
)

// Memo remembers between runs which objects have valid signatures under which issuer's key. When a repository is walked again, signatures of
// objects that did not change are not checked again; all else is. It keeps what the last two runs used, 32 octets for each object. It is
// safe for concurrent use, and a nil Memo remembers nothing.
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
