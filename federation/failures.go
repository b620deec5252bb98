package federation

import "sync"

// failures is the last error of each peer that was asked something and did not answer well.
type failures struct {
	mu sync.Mutex
	by map[string]string
}

// note keeps the last error of a peer, or forgets it where err is nil. It tells whether that differs from before.
func (s *failures) note(peer string, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.by[peer]
	if err == nil {
		delete(s.by, peer)
		return was != ""
	}
	if s.by == nil {
		s.by = map[string]string{}
	}
	s.by[peer] = err.Error()
	return was != err.Error()
}

func (s *failures) of(peer string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by[peer]
}
