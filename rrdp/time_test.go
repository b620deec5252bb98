package rrdp

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestPace publishes 450 times, each as soon as it may: at most one serial a second, no four hours with more than a notification
// lists, and Last-Modified rises.
func TestPace(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r, st, cfg := newRepositoryIn(t, dir, true)
		var times []time.Time
		for i := range 450 {
			if next := r.NextSerialAt(); !next.IsZero() {
				time.Sleep(time.Until(next))
			}
			if !r.NextSerialAt().IsZero() {
				t.Fatal("after the wait there is another")
			}
			publish(t, r, st, true, Change{URI: uri("a.roa"), Object: fmt.Append(nil, i)})
			_, _, at := r.Published()
			times = append(times, at)
			if i%50 == 0 {
				r = reopen(t, st, cfg) // the pace survives
			}
		}
		for i, at := range times {
			if i > 0 && at.Sub(times[i-1]) < time.Second {
				t.Fatalf("serial %d came %v after the one before", i+1, at.Sub(times[i-1]))
			}
			if i >= maxDeltas && at.Sub(times[i-maxDeltas]) <= listed {
				t.Fatalf("the %d serials to %d came within %v", maxDeltas+1, i+1, at.Sub(times[i-maxDeltas]))
			}
		}
		if days := times[len(times)-1].Sub(times[0]); days > 8*time.Hour {
			t.Errorf("450 serials took %v", days)
		}
	})
}

// TestClockBack: a clock that goes back by a year neither stops publication nor lets Last-Modified fall.
func TestClockBack(t *testing.T) {
	r, st, cfg := newRepository(t)
	publish(t, r, st, true, Change{URI: uri("a.roa"), Object: []byte("one")})
	ahead := time.Now().Add(365 * 24 * time.Hour).Truncate(time.Second)
	r.index.newest().at, r.index.newest().tat = ahead, ahead
	if next := r.NextSerialAt(); !next.IsZero() {
		t.Errorf("the next serial would be at %v", next)
	}
	publish(t, r, st, true, Change{URI: uri("a.roa"), Object: []byte("two")})
	if _, _, at := r.Published(); !at.After(ahead) {
		t.Errorf("a serial of %v after one of %v", at, ahead)
	}
	get(t, r, cfg.BaseURI+notificationName)
}

// TestRetention follows the files of one serial every ten minutes through a day, over restarts and compactions: a delta is listed
// for four hours, everything that was listed is served for two hours more and no longer, and what is served never
// changes.
func TestRetention(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		_, st, cfg := newRepositoryIn(t, dir, true)
		cfg.segmentSize = 20_000
		r := reopen(t, st, cfg)
		var first []Change // large enough for four hours of deltas
		for i := range 60 {
			first = append(first, Change{URI: uri(fmt.Sprintf("%d.cer", i)), Object: made(2000)})
		}
		publish(t, r, st, true, first...)
		last := map[string]time.Time{} // when a file was listed last
		hash := map[string]string{}
		const every = 10 * time.Minute
		compacted := 0
		for i := range 150 {
			time.Sleep(every)
			publish(t, r, st, true, Change{URI: uri("a.mft"), Object: fmt.Appendf(nil, "%01000d", i)}, Change{URI: uri(fmt.Sprintf("%d.cer", i%60)), Object: made(2000)})
			switch {
			case i%7 == 0:
				r = reopen(t, st, cfg)
			case i%5 == 0:
				if b, err := r.Compact(); err != nil {
					t.Fatal(err)
				} else if b != nil {
					commit(t, st, b)
					compacted++
				}
			}
			now := time.Now()
			n := parse(t, get(t, r, cfg.BaseURI+notificationName))
			for _, ref := range append(references(n.Deltas), n.Snapshot) {
				last[ref.URI] = now
				hash[ref.URI] = ref.Hash
			}
			if oldest := time.Duration(len(n.Deltas)) * every; i > 50 && (oldest < listed || oldest > listed+2*every) {
				t.Fatalf("the deltas go back %v", oldest)
			}
			if i%15 != 14 {
				continue
			}
			for u, at := range last {
				switch gone := now.Sub(at.Add(every)); { // the next notification did not list it
				case gone < unlisted:
					hashed(t, r, xmlReference{URI: u, Hash: hash[u]})
				case ask(r, "GET", u).StatusCode != http.StatusNotFound:
					t.Fatalf("%s is served %v after it was listed", u, now.Sub(at))
				}
			}
		}
		_, disk := r.Bytes()
		if compacted == 0 || disk > 2_000_000 {
			t.Errorf("after %d compactions there are %d bytes", compacted, disk)
		}
		if n := len(r.index.entries); n > 60+1+300 {
			t.Errorf("%d entries are known", n)
		}
	})
}

// TestReaderWithItsOwnClock: a reader that asks with the time of its own last call, not with our Last-Modified, gets each serial, also one
// that was closed before that call and served after it.
func TestReaderWithItsOwnClock(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r, st, cfg := newRepositoryIn(t, dir, true)
		publish(t, r, st, true, Change{URI: uri("a.roa"), Object: []byte("0")})
		notification := cfg.BaseURI + notificationName
		called, had := "", uint64(0)
		call := func() (status int) {
			headers := []string{}
			if called != "" {
				headers = append(headers, "If-Modified-Since", called)
			}
			now := time.Now().UTC()
			resp := ask(r, "GET", notification, headers...)
			if last, err := http.ParseTime(resp.Header.Get("Last-Modified")); err == nil && last.After(now) {
				t.Errorf("at %v Last-Modified is %v", now, last)
			}
			called = now.Format(http.TimeFormat)
			if resp.StatusCode == http.StatusOK {
				_, had, _ = r.Published()
			}
			return resp.StatusCode
		}
		call()
		for i := range 40 {
			time.Sleep(1700 * time.Millisecond)
			b, err := r.Prepare([]Change{{URI: uri("a.roa"), Object: fmt.Append(nil, i)}}, true)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(i) * 100 * time.Millisecond) // the commit takes its time
			call()
			commit(t, st, b)
			time.Sleep(time.Duration(i%7) * 300 * time.Millisecond)
			call()
			if _, now, _ := r.Published(); had != now {
				t.Fatalf("the reader has serial %d, and %d is served", had, now)
			}
			if i%10 == 0 {
				r = reopen(t, st, cfg)
			}
		}
		time.Sleep(3 * time.Second)
		call()
		if status := call(); status != http.StatusNotModified {
			t.Errorf("nothing has changed, and the answer is %d", status)
		}
	})
}
