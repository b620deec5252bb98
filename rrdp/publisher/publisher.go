// Package publisher is the publication server of RFC 8181: registered publishers put their objects into the repositories of this installation.
//
// The CMS of a message was checked and opened before (internal/peer), and the reply is signed there. A publisher can change only what is below
// its own base URI, within its limits. What the objects say is not checked. Whether they fit the publisher's manifests is looked at afterwards
// and reported; nothing is refused for it.
//
// Queries that come at the same time are committed together. Each is checked against the state after those before it; if one fails, the others
// go on. The rest is one transaction, with the signing times that protect against replay. So publishers share the cost of one commit, and all
// their changes are in one serial.
//
// RFC 8181 leaves some things open. Here a query that names a URI twice is refused with consistency_problem, and so is
// one that would make a URI both an object and a directory of objects, which no rsync tree can hold. A query that asks for
// more than the limits allow is refused with other_error. A reply names up to twenty errors, in the order of the query's
// elements. A query is checked in three steps: where its URIs are and how large its objects; what is published there; and
// whether all of it fits together and into the limits. A step with errors is the last.
package publisher

import (
	"log/slog"
	"sync"

	"cadastre/internal/fault"
	"cadastre/internal/peer"
	"cadastre/internal/shares"
	"cadastre/internal/store"
	"cadastre/internal/validate"
	"cadastre/rrdp"
)

// Committer commits changes of repositories, by the name of the registry, in one transaction with what extra writes, and has them published. On
// an error nothing has changed. It is called by one goroutine at a time.
type Committer interface {
	CommitObjects(changes map[string][]rrdp.Change, extra func(store.Writer) error) error
}

// Server is the registered publishers and their objects. It is safe for concurrent use.
type Server struct {
	// Set before Run and the first query.
	Log    *slog.Logger     // Open sets one that discards everything
	Suites []validate.Suite // of the manifests that are looked at; RSA when empty
	Shares shares.All       // what publishers may use up

	repositories map[string]*rrdp.Repository
	base         func(registry, handle string) (siaBase, notify string)
	committer    Committer
	limits       Limits
	queue        queue
	lists        lists
	inspections  inspections

	mu         sync.RWMutex
	publishers map[string]*publisher // by handle
}

// Open reads the registered publishers of a store and finds their objects in the repositories. base says where in a
// repository a new publisher may publish, as an rsync URI with a slash at its end, and where its notification file is;
// limits are those of publishers that have none of their own. It fails with Corrupt when a record is damaged or names a
// repository that is not there.
func Open(st store.Store, repositories map[string]*rrdp.Repository, base func(registry, handle string) (siaBase, notify string), commit Committer, limits Limits) (*Server, error) {
	s := &Server{
		Log:          slog.New(slog.DiscardHandler),
		repositories: repositories, base: base, committer: commit, limits: limits.or(defaults),
		inspections: newInspections(),
		publishers:  map[string]*publisher{},
	}
	s.queue.commit = s.commit
	s.lists.kept = map[*publisher]list{}
	if err := st.View(s.load); err != nil {
		return nil, fault.Wrap(err, "couldn't load the publishers")
	}
	s.assign()
	return s, nil
}

// Close refuses what comes from now on and waits until all that came before is committed.
func (s *Server) Close() { s.queue.close() }

// Find is a registered publisher as the door needs it. Handles are case-sensitive.
func (s *Server) Find(handle string) (*peer.Caller, bool) {
	p := s.find(handle)
	if p == nil {
		return nil, false
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	return &peer.Caller{Handle: p.Handle, Trust: p.trust, Heard: p.state.Heard}, true
}

// find is nil for a handle that is not registered.
func (s *Server) find(handle string) *publisher {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.publishers[handle]
}

func unknown(handle string) error {
	return fault.New(fault.NotFound, "there is no publisher %q; 'cadastre publishers list' shows those that are registered", handle)
}
