package federation

import "sync"

// failures is the last error of each peer that was asked something and did not answer well.
type failures struct {
	mu sync.Mutex
	by map[string]string
}

// note keeps an error, or forgets it when there is none any more; it tells whether that is news.
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
