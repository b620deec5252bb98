// Package repositories has the repositories that an installation publishes in: one of each registry, and a mirror of each publication
// server elsewhere. All that is committed to them goes through a Set, one transaction after the other.
package repositories

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"cadastre/ca/issued"
	"cadastre/internal/fault"
	"cadastre/internal/store"
	"cadastre/rrdp"
)

// Set is the repositories of an installation. It is safe for concurrent use.
type Set struct {
	store     store.Store
	dir       string
	policy    *issued.Policy
	own       map[string]*rrdp.Repository // by registry; changed by Add alone, when nothing else uses the set
	elsewhere Mirrors                     // set by Mirror before anything is committed

	// writing is held while batches are prepared, written and applied, one after the other. It is taken under no other lock. Mirrors, the caller
	// of CloseMirror, and what is written beside a batch are asked while it is held.
	writing sync.Mutex
}

// Mirrors has the mirrors of publication servers elsewhere. A mirror is a repository that no reader sees: what is to be published there.
type Mirrors interface {
	Mirror(name string) *rrdp.Repository // nil where there is none of this name
	MirrorOf(uri string) string          // the name of the mirror in which a URI lies; empty where there is none
}

// Config is the configuration of a registry's repository, in a data directory.
func Config(dir string, policy *issued.Policy, registry string) rrdp.Config {
	return rrdp.Config{Name: registry, Dir: filepath.Join(dir, "rrdp", registry), BaseURI: policy.RRDPBase + registry + "/"}
}

// Open opens the repositories of registries. It mends what is damaged, as far as that can be done.
func Open(st store.Store, dir string, policy *issued.Policy, registries []string, log *slog.Logger) (*Set, error) {
	s := &Set{store: st, dir: dir, policy: policy, own: map[string]*rrdp.Repository{}}
	for _, registry := range registries {
		repository, err := rrdp.OpenMended(st, Config(dir, policy, registry), log)
		if err != nil {
			return nil, err
		}
		s.own[registry] = repository
	}
	return s, nil
}

// Mirror tells the set where the mirrors are.
func (s *Set) Mirror(elsewhere Mirrors) { s.elsewhere = elsewhere }

// Create writes the records of a new registry's repository. Add opens it after the transaction.
func (s *Set) Create(w store.Writer, registry string) error {
	return rrdp.Create(w, Config(s.dir, s.policy, registry))
}

// Add opens the repository of a new registry. Nothing else may use the set meanwhile.
func (s *Set) Add(registry string) error {
	repository, err := rrdp.Open(s.store, Config(s.dir, s.policy, registry))
	if err == nil {
		s.own[registry] = repository
	}
	return err
}

// Own has the repository of each registry. Who keeps it sees those that Add adds. It must not be changed.
func (s *Set) Own() map[string]*rrdp.Repository { return s.own }

// Named is the repository of a registry, or the mirror with this name; nil where there is none.
func (s *Set) Named(name string) *rrdp.Repository {
	if own := s.own[name]; own != nil {
		return own
	}
	return s.elsewhere.Mirror(name)
}

// moduleOf is the name of the repository in which a URI lies.
func (s *Set) moduleOf(uri string) string {
	if below, ours := strings.CutPrefix(uri, s.policy.RsyncBase); ours {
		module, _, _ := strings.Cut(below, "/")
		return module
	}
	return s.elsewhere.MirrorOf(uri)
}

// At is the repository in which a URI lies; nil where there is none.
func (s *Set) At(uri string) *rrdp.Repository { return s.Named(s.moduleOf(uri)) }

// Get is the newest committed object at a URI.
func (s *Set) Get(uri string) ([]byte, bool) {
	if repository := s.At(uri); repository != nil {
		return repository.Get(uri)
	}
	return nil, false
}

// Hash is the SHA-256 of the newest committed object at a URI.
func (s *Set) Hash(uri string) ([sha256.Size]byte, bool) {
	if repository := s.At(uri); repository != nil {
		return repository.Hash(uri)
	}
	return [sha256.Size]byte{}, false
}

// Staged lists the registries whose repositories have something committed and not yet published.
func (s *Set) Staged() []string {
	var out []string
	for name, repository := range s.own {
		if repository.Staged() {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// NextSerial is the earliest time at which a repository that has something staged may have a serial, the zero time where that is now; false
// where nothing is staged.
func (s *Set) NextSerial() (at time.Time, staged bool) {
	for i, registry := range s.Staged() {
		if next := s.own[registry].NextSerialAt(); i == 0 || next.Before(at) {
			at = next
		}
		staged = true
	}
	return at, staged
}

// MayClose tells whether a change of some registries' repositories can close the serial in its own transaction: it changes one, nothing is
// staged in any other, and that one may have a serial now.
func (s *Set) MayClose(changes map[string]bool) bool {
	registries := maps.Clone(changes)
	for _, registry := range s.Staged() {
		registries[registry] = true
	}
	if len(registries) != 1 {
		return false
	}
	for registry := range registries {
		return !s.own[registry].NextSerialAt().After(time.Now())
	}
	return false
}

// Commit commits changes of repositories, by their names, in one transaction with what extra writes; extra may be nil. With closing set, and
// if the changes lie in one registry's repository, the same transaction closes its serial.
func (s *Set) Commit(changes map[string][]rrdp.Change, closing bool, extra func(store.Writer) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	prepared, err := s.prepare(changes, closing)
	if err != nil {
		return err
	}
	return s.commit(prepared, extra)
}

// CommitFiles does what Commit does for objects by their URIs; nil withdraws.
func (s *Set) CommitFiles(files map[string][]byte, closing bool, extra func(store.Writer) error) error {
	changes := map[string][]rrdp.Change{}
	for _, uri := range slices.Sorted(maps.Keys(files)) {
		module := s.moduleOf(uri)
		changes[module] = append(changes[module], rrdp.Change{URI: uri, Object: files[uri]})
	}
	return s.Commit(changes, closing, extra)
}

func (s *Set) prepare(changes map[string][]rrdp.Change, closing bool) ([]*rrdp.Batch, error) {
	var prepared []*rrdp.Batch
	for _, module := range slices.Sorted(maps.Keys(changes)) {
		repository := s.Named(module)
		if repository == nil {
			return nil, fault.New(fault.Internal, "there is no repository for %q", module)
		}
		own := s.own[module] != nil // the serial of a mirror is closed later, when the server has all of it
		p, err := repository.Prepare(changes[module], closing && own && len(changes) == 1)
		if err != nil {
			for _, p := range prepared {
				p.Abandon()
			}
			return nil, fault.Wrap(err, "couldn't write the objects of %s", module)
		}
		prepared = append(prepared, p)
	}
	return prepared, nil
}

// commit commits prepared batches in one transaction, with what extra writes. On an error all of them are abandoned. The caller holds the lock.
func (s *Set) commit(prepared []*rrdp.Batch, extra func(store.Writer) error) error {
	_, err := s.store.Update(store.Any, func(w store.Writer) error {
		for _, p := range prepared {
			if err := p.Write(w); err != nil {
				return err
			}
		}
		if extra == nil {
			return nil
		}
		return extra(w)
	})
	for _, p := range prepared {
		if err != nil {
			p.Abandon()
		} else {
			p.Apply()
		}
	}
	return err
}

// Close closes the serial of a registry's repository.
func (s *Set) Close(registry string) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.close(s.own[registry])
}

func (s *Set) close(repository *rrdp.Repository) error {
	b, err := repository.Prepare(nil, true)
	if err != nil {
		return err
	}
	return s.commit([]*rrdp.Batch{b}, nil)
}

// CloseMirror closes the serial of a mirror if so returns true and something is staged in it. Closed is what so returned.
func (s *Set) CloseMirror(mirror *rrdp.Repository, so func() bool) (closed bool, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if !so() {
		return false, nil
	}
	if !mirror.Staged() {
		return true, nil
	}
	if err := s.close(mirror); err != nil {
		return false, err
	}
	return true, nil
}

// Compact removes from the repositories of registries, one after the other, what no reader can ask for any more.
func (s *Set) Compact(ctx context.Context, registries []string) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	for _, registry := range registries {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if s.own[registry].Damage() != nil {
			continue
		}
		b, err := s.own[registry].Compact()
		if err != nil {
			return err
		}
		if b == nil {
			continue
		}
		if err := s.commit([]*rrdp.Batch{b}, nil); err != nil {
			return err
		}
	}
	return nil
}

// Restart begins a new session of each registry's repository, in one transaction with what extra writes.
func (s *Set) Restart(extra func(store.Writer) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	var sessions []*rrdp.Batch
	for _, registry := range slices.Sorted(maps.Keys(s.own)) {
		session, err := s.own[registry].NewSession()
		if err != nil {
			return err
		}
		sessions = append(sessions, session)
	}
	return s.commit(sessions, extra)
}
