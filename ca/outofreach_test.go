package ca

import (
	"context"
	"iter"
	"log/slog"
	"sync/atomic"
	"testing"

	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// remote is a store whose reads can fail, as one across a network can.
type remote struct {
	store.Store
	fails atomic.Int64 // the read that fails, counted down; 0 for none; a start reads in two goroutines
}

func (s *remote) read() error {
	if s.fails.Add(-1) == 0 {
		return fault.New(fault.Unreachable, "the store is out of reach")
	}
	return nil
}

func (s *remote) View(fn func(store.Reader) error) error {
	return s.Store.View(func(r store.Reader) error { return fn(remoteReader{r, s}) })
}

func (s *remote) Update(expect store.Revision, fn func(store.Writer) error) (store.Revision, error) {
	return s.Store.Update(expect, func(w store.Writer) error { return fn(remoteWriter{w, remoteReader{w, s}}) })
}

type remoteReader struct {
	store.Reader
	from *remote
}

func (r remoteReader) Get(bucket store.Bucket, key []byte) ([]byte, error) {
	if err := r.from.read(); err != nil {
		return nil, err
	}
	return r.Reader.Get(bucket, key)
}

func (r remoteReader) Scan(bucket store.Bucket, prefix []byte) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for record, err := range r.Reader.Scan(bucket, prefix) {
			if err == nil {
				err = r.from.read()
			}
			if err != nil {
				yield(store.Record{}, err)
				return
			}
			if !yield(record, nil) {
				return
			}
		}
	}
}

type remoteWriter struct {
	store.Writer
	reads remoteReader
}

func (w remoteWriter) Get(bucket store.Bucket, key []byte) ([]byte, error) {
	return w.reads.Get(bucket, key)
}

func (w remoteWriter) Scan(bucket store.Bucket, prefix []byte) iter.Seq2[store.Record, error] {
	return w.reads.Scan(bucket, prefix)
}

// TestStoreOutOfReach has each read of a start fail in turn: none is taken for a record that is not there. Then reads fail
// while a change is issued: nothing wrong is published, and all of it is done when the store is back.
func TestStoreOutOfReach(t *testing.T) {
	t.Parallel()
	inTestRegistry(t, forest, func(h *testRegistry) {
		peopled(h)
		s := &remote{Store: h.store}
		reads := 0
		for failed := true; failed; reads++ {
			s.fails.Store(int64(reads + 1))
			_, err := Open(s, h.dir, h.policy, slog.New(slog.DiscardHandler))
			if failed = err != nil; failed && fault.KindOf(err) != fault.Unreachable {
				h.Fatalf("read %d fails, and the start says (%s) %v", reads+1, fault.KindOf(err), err)
			}
			if !failed && s.fails.Load() < 1 {
				h.Fatalf("read %d failed, and the start went on", reads+1)
			}
		}
		if reads < 50 {
			h.Errorf("a start had only %d reads", reads)
		}
		h.store = s
		s.fails.Store(0)
		for read := 1; read < 40; read += 3 {
			h.reopen()
			h.take("isp", "41.0.0.0/19")
			s.fails.Store(int64(read))
			if err := h.engine.Settle(context.Background()); err != nil && fault.KindOf(err) != fault.Unreachable {
				h.Errorf("read %d fails, and issuing says (%s) %v", read, fault.KindOf(err), err)
			}
			s.fails.Store(0)
			h.settle()
			h.give("isp", "41.0.0.0/19")
			h.settle()
		}
	})
}
