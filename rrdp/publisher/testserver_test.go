package publisher

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cadastre/internal/envelopetest"
	"cadastre/internal/fault"
	"cadastre/internal/peer"
	"cadastre/internal/publication"
	"cadastre/internal/store"
	"cadastre/rrdp"
)

// memoryDisk is where Linux has a file system in memory: that synced files reach a disk is not what is tested here.
const memoryDisk = "/dev/shm"

// realDisk is where benchmarks of what is waited for have their directories.
var realDisk = os.TempDir()

func TestMain(m *testing.M) {
	if at, err := os.MkdirTemp(memoryDisk, "publisher-"); err == nil {
		defer func() { _ = os.RemoveAll(at) }()
		_ = os.Setenv("TMPDIR", at)
	}
	m.Run()
}

// tester is the part of testing.TB that rapid.T has too.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// identity is a certificate that any publisher of a test may have: nothing here checks a signature.
var identity = sync.OnceValue(func() []byte {
	_, certificate, err := envelopetest.NewIdentity(time.Now())
	if err != nil {
		panic(err)
	}
	return certificate
})

// testServer is a server over real repositories and a real store, and the Committer between them.
type testServer struct {
	*Server
	store        store.Store
	dir          string
	repositories map[string]*rrdp.Repository
	limits       Limits

	mu      sync.Mutex
	commits int           // how often something was committed
	fail    error         // what the next commits fail with, within the transaction
	hold    chan struct{} // commits wait until it is closed
	held    chan struct{} // has one for each that waits
}

var registries = []string{"north", "south"}

func newTestServer(t tester, limits Limits) *testServer { return newTestServerIn(t, limits, "") }

// newTestServerIn is a testServer in a directory of some place; one that is named is a disk that is waited for.
func newTestServerIn(t tester, limits Limits, place string) *testServer {
	t.Helper()
	dir, err := os.MkdirTemp(place, "publisher-")
	if err != nil {
		t.Fatal(err)
	}
	h := &testServer{dir: dir, limits: limits, held: make(chan struct{}, 1000)}
	if h.store, err = store.Open(filepath.Join(dir, "store"), store.Options{Create: true, NoSync: place == ""}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = h.store.Close()
		_ = os.RemoveAll(dir)
	})
	for _, name := range registries {
		if _, err := h.store.Update(store.Any, func(w store.Writer) error { return rrdp.Create(w, h.config(name)) }); err != nil {
			t.Fatal(err)
		}
	}
	h.open(t)
	return h
}

func (h *testServer) config(registry string) rrdp.Config {
	return rrdp.Config{Name: registry, Dir: filepath.Join(h.dir, registry), BaseURI: "https://rrdp.example.net/rrdp/" + registry + "/"}
}

// open is a start of the daemon.
func (h *testServer) open(t tester) {
	t.Helper()
	h.repositories = map[string]*rrdp.Repository{}
	for _, name := range registries {
		r, err := rrdp.Open(h.store, h.config(name))
		if err != nil {
			t.Fatal(err)
		}
		h.repositories[name] = r
	}
	var err error
	if h.Server, err = Open(h.store, h.repositories, baseOf, h, h.limits); err != nil {
		t.Fatal(err)
	}
	server := h.Server
	t.Cleanup(func() {
		h.release() // a test that failed may have left commits held
		server.Close()
	})
}

func baseOf(registry, handle string) (siaBase, notify string) {
	return "rsync://rpki.example.net/" + registry + "/" + handle + "/", "https://rrdp.example.net/rrdp/" + registry + "/notification.xml"
}

// CommitObjects implements Committer.
func (h *testServer) CommitObjects(changes map[string][]rrdp.Change, extra func(store.Writer) error) error {
	h.mu.Lock()
	fail, hold := h.fail, h.hold
	h.mu.Unlock()
	if hold != nil {
		h.held <- struct{}{}
		<-hold
	}
	var batches []*rrdp.Batch
	for registry, of := range changes {
		b, err := h.repositories[registry].Prepare(of, h.repositories[registry].NextSerialAt().IsZero())
		if err != nil {
			fail = errors.Join(fail, err)
			break
		}
		batches = append(batches, b)
	}
	_, err := h.store.Update(store.Any, func(w store.Writer) error {
		if err := extra(w); err != nil {
			return err
		}
		for _, b := range batches {
			if err := b.Write(w); err != nil {
				return err
			}
		}
		return fail
	})
	for _, b := range batches {
		if err != nil {
			b.Abandon()
		} else {
			b.Apply()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.commits++
	}
	return err
}

func (h *testServer) setFail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fail = err
}

func (h *testServer) add(t tester, handle string) {
	t.Helper()
	if _, err := h.Add(context.Background(), Registration{Handle: handle, Registry: "north", TrustAnchor: identity()}); err != nil {
		t.Fatal(err)
	}
}

// at is a time of a message; they all come in the same second unless a test says otherwise.
var at = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// ask sends a query and returns the reply.
func (h *testServer) ask(t tester, handle string, q publication.Query) *publication.Reply {
	t.Helper()
	return h.askAt(t, handle, q, at)
}

func (h *testServer) askAt(t tester, handle string, q publication.Query, signed time.Time) *publication.Reply {
	t.Helper()
	reply, err := h.try(handle, q, signed)
	if err != nil {
		t.Fatalf("%s: %v", handle, err)
	}
	return reply
}

func (h *testServer) try(handle string, q publication.Query, signed time.Time) (*publication.Reply, error) {
	xml, err := h.Answer(context.Background(), handle, q.XML(), newStamp(signed))
	if err != nil {
		return nil, err
	}
	return publication.ParseReply(xml)
}

// stamps counts messages: no two are the same.
var stamps atomic.Uint64

func newStamp(signed time.Time) peer.Stamp {
	s := peer.Stamp{Signed: signed}
	binary.BigEndian.PutUint64(s.Digest[:], stamps.Add(1))
	return s
}

// start asks on a goroutine of its own and returns what waits for the reply.
func (h *testServer) start(handle string, q publication.Query) func(tester) *publication.Reply {
	var reply *publication.Reply
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		reply, err = h.try(handle, q, at)
	}()
	return func(t tester) *publication.Reply {
		t.Helper()
		<-done
		if err != nil {
			t.Fatalf("%s: %v", handle, err)
		}
		return reply
	}
}

// send sends changes, and wants them done.
func (h *testServer) send(t tester, handle string, pdus ...publication.PDU) {
	t.Helper()
	if reply := h.ask(t, handle, publication.Query{PDUs: pdus}); !reply.Success {
		t.Fatalf("%s: %+v", handle, reply.Errors)
	}
}

// list is what a publisher is told that it has: URI -> hash.
func (h *testServer) list(t tester, handle string) map[string][32]byte {
	t.Helper()
	reply := h.ask(t, handle, publication.Query{List: true})
	if !reply.IsList {
		t.Fatalf("%s: %+v is no list", handle, reply)
	}
	all := map[string][32]byte{}
	for _, l := range reply.List {
		all[l.URI] = l.Hash
	}
	if len(all) != len(reply.List) {
		t.Fatalf("%s: the list names a URI twice", handle)
	}
	return all
}

// wantList wants a publisher to have these objects: names below its base -> content.
func (h *testServer) wantList(t tester, handle string, want map[string]string) {
	t.Helper()
	hashes := map[string][32]byte{}
	for name, content := range want {
		hashes[uri(handle, name)] = sha256.Sum256([]byte(content))
	}
	if got := h.list(t, handle); !maps.Equal(got, hashes) {
		t.Fatalf("%s has %d objects and should have %d:\n%v\n%v", handle, len(got), len(want), got, want)
	}
}

func uri(handle, name string) string { return "rsync://rpki.example.net/north/" + handle + "/" + name }

func publish(handle, name, content string) publication.PDU {
	return publication.PDU{Tag: name, URI: uri(handle, name), Object: []byte(content)}
}

func replace(handle, name, was, content string) publication.PDU {
	pdu := publish(handle, name, content)
	pdu.Hash = hashOf(was)
	return pdu
}

func withdraw(handle, name, was string) publication.PDU {
	return publication.PDU{Tag: name, URI: uri(handle, name), Hash: hashOf(was), Withdraw: true}
}

func hashOf(content string) *[32]byte {
	hash := sha256.Sum256([]byte(content))
	return &hash
}

// wantErrors wants these errors and no others: "code tag".
func wantErrors(t tester, reply *publication.Reply, want ...string) {
	t.Helper()
	var got []string
	for _, e := range reply.Errors {
		got = append(got, strings.TrimSpace(e.Code+" "+e.Tag))
		if e.Text == "" {
			t.Fatalf("%s has no text", e.Code)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || reply.Success {
		t.Fatalf("errors %q (success %v), want %q\n%+v", got, reply.Success, want, reply.Errors)
	}
}

func wantKind(t tester, err error, kind fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind {
		t.Fatalf("got %v, want an error of kind %s", err, kind)
	}
}
