package publisher

import (
	"bytes"
	"context"
	"crypto/sha256"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cadastre/internal/object"
	"cadastre/internal/validate"
)

// manifestOf makes a manifest of files, by name and content.
func manifestOf(t *testing.T, from time.Time, files map[string]string) string {
	t.Helper()
	issuer, err := object.P256.Generate()
	if err != nil {
		t.Fatal(err)
	}
	oneTime, err := object.P256.Generate()
	if err != nil {
		t.Fatal(err)
	}
	m := object.Manifest{
		Place:  object.Place{CRL: uri("alice", "ca.crl"), Issued: "rsync://rpki.example.net/north/alice.cer", Object: uri("alice", "ca.mft")},
		Number: 1, ThisUpdate: from, NextUpdate: from.Add(24 * time.Hour),
	}
	for name, content := range files {
		m.Files = append(m.Files, object.File{Name: name, Hash: sha256.Sum256([]byte(content))})
	}
	der, _, err := m.Sign(issuer, oneTime, from)
	if err != nil {
		t.Fatal(err)
	}
	return string(der)
}

// journal is a log that a test reads.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// take is what was written since the last take.
func (j *journal) take() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	defer j.text.Reset()
	return j.text.String()
}

// TestProblems: what breaks its own manifest is accepted, and reported once when it comes and once when it goes; time alone
// makes problems too.
func TestProblems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestServer(t, Limits{})
		log := &journal{}
		start := func() (stop func()) {
			h.Log, h.Suites = slog.New(slog.NewTextHandler(log, nil)), []validate.Suite{validate.P256}
			ctx, cancel := context.WithCancel(context.Background())
			go h.Run(ctx)
			synctest.Wait()
			return cancel
		}
		stop := start()
		want := func(problem, logged string) {
			t.Helper()
			time.Sleep(3 * time.Second)
			synctest.Wait()
			info, err := h.Publisher("alice")
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(info.Problems, "; "); problem == "" && got != "" || !strings.Contains(got, problem) {
				t.Fatalf("the problems are %q, want %q", got, problem)
			}
			if got := log.take(); logged == "" && got != "" || !strings.Contains(got, logged) || strings.Count(got, "\n") > 1 {
				t.Fatalf("logged %q, want %q", got, logged)
			}
		}
		const fits, broken = "fits together again", "does not fit together"
		h.add(t, "alice")
		good := manifestOf(t, time.Now(), map[string]string{"ca.crl": "crl", "a.roa": "one"})
		h.send(t, "alice", publish("alice", "ca.mft", good), publish("alice", "ca.crl", "crl"), publish("alice", "a.roa", "one"))
		want("", "")
		h.send(t, "alice", replace("alice", "a.roa", "one", "two"))
		want("a.roa is not the one", broken)
		stop()
		h.open(t)
		stop = start()
		want("a.roa is not the one", broken) // a restart finds it again
		h.send(t, "alice", withdraw("alice", "a.roa", "two"))
		want("a.roa is on the manifest beside it and is not there", broken)
		h.send(t, "alice", publish("alice", "a.roa", "one"))
		want("", fits)
		h.send(t, "alice", publish("alice", "other/a.roa", "unlisted"))
		want("", "")
		time.Sleep(24 * time.Hour)
		want("ca.mft ended at", broken)
		h.send(t, "alice", replace("alice", "ca.mft", good, "no manifest"))
		want("ca.mft cannot be read", broken)
		h.send(t, "alice", withdraw("alice", "ca.mft", "no manifest"))
		want("", fits)
		early := manifestOf(t, time.Now().Add(time.Hour), map[string]string{"ca.crl": "crl"})
		h.send(t, "alice", publish("alice", "ca.mft", early))
		want("ca.mft begins at", broken)
		time.Sleep(time.Hour)
		want("", fits)
		many := map[string]string{}
		for _, c := range "abcdefghij" {
			many[string(c)+".roa"] = string(c)
		}
		h.send(t, "alice", replace("alice", "ca.mft", early, manifestOf(t, time.Now(), many)))
		want("and 5 more", broken)
		if err := h.Remove(context.Background(), "alice"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		if got := log.take(); got != "" {
			t.Errorf("of a publisher that is gone it is said: %s", got)
		}
		stop()
		synctest.Wait()
	})
}
