package publisher

import (
	"maps"
	"slices"
	"sync"

	"cadastre/internal/publication"
)

// lists keeps replies to list queries until their publishers' objects change, as far as they fit in its budget.
type lists struct {
	mu    sync.Mutex
	kept  map[*publisher]list
	bytes int
}

// list is the reply for one version of a publisher's objects.
type list struct {
	version uint64
	xml     []byte
}

// listBudget is the bytes of all lists that are kept: enough for some 400,000 objects.
const listBudget = 64 << 20

// get is nil where no list of this version is kept.
func (l *lists) get(p *publisher, version uint64) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if kept := l.kept[p]; kept.version == version {
		return kept.xml
	}
	return nil
}

// keep makes room by dropping others, whichever.
func (l *lists) keep(p *publisher, next list) {
	l.forget(p)
	l.mu.Lock()
	defer l.mu.Unlock()
	for other, kept := range l.kept {
		if l.bytes+len(next.xml) <= listBudget {
			break
		}
		l.bytes -= len(kept.xml)
		delete(l.kept, other)
	}
	if l.bytes+len(next.xml) <= listBudget {
		l.bytes += len(next.xml)
		l.kept[p] = next
	}
}

func (l *lists) forget(p *publisher) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes -= len(l.kept[p].xml)
	delete(l.kept, p)
}

// listReply is the reply to a list query (RFC 8181, section 2.3). It must not be changed.
func (s *Server) listReply(p *publisher) []byte {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if xml := s.lists.get(p, p.version); xml != nil {
		return xml
	}
	reply := publication.Reply{IsList: true, List: make([]publication.Listed, 0, len(p.tree.objects))}
	for _, uri := range slices.Sorted(maps.Keys(p.tree.objects)) {
		reply.List = append(reply.List, publication.Listed{URI: uri, Hash: p.tree.objects[uri].hash})
	}
	next := list{p.version, reply.XML()}
	s.lists.keep(p, next)
	return next.xml
}
