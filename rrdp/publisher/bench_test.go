package publisher

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/envelopetest"
	"cadastre/internal/publication"
)

// made is an object of the size of a ROA.
func made() []byte {
	object := make([]byte, 1900)
	_, _ = rand.Read(object)
	return object
}

// member is a publisher of a benchmark with what it has.
type member struct {
	handle  string
	objects []publication.PDU
}

func (m *member) publish(name string) publication.PDU {
	return publication.PDU{URI: uri(m.handle, name), Object: made()}
}

// change is a query that replaces an object.
func (m *member) change(i int) []byte {
	pdu := m.objects[i%len(m.objects)]
	pdu.Hash = hashOf(string(pdu.Object))
	pdu.Object = made()
	m.objects[i%len(m.objects)] = pdu
	return (&publication.Query{PDUs: []publication.PDU{pdu}}).XML()
}

// settle adds publishers of so many objects each.
func (h *testServer) settle(b *testing.B, publishers, objects int) []*member {
	members := make([]*member, publishers)
	for i := range members {
		m := &member{handle: fmt.Sprint("p", i)}
		h.add(b, m.handle)
		for j := range objects {
			m.objects = append(m.objects, m.publish(fmt.Sprintf("0123456789abcdef%024x.roa", j)))
		}
		h.send(b, m.handle, m.objects...)
		members[i] = m
	}
	return members
}

// BenchmarkPublish: 1,000 publishers of 20 objects each change one object each at once, with all that is written to the disk,
// and without what CMS costs.
func BenchmarkPublish(b *testing.B) {
	h := newTestServerIn(b, Limits{Changes: 1 << 30}, realDisk)
	members := h.settle(b, 1000, 20)
	commits, rounds := h.commits, 0
	var failed atomic.Int64
	for b.Loop() {
		rounds++
		b.StopTimer()
		queries := make([][]byte, len(members))
		for i, m := range members {
			queries[i] = m.change(rounds)
		}
		b.StartTimer()
		var all sync.WaitGroup
		for i, m := range members {
			all.Go(func() {
				reply, err := h.Answer(context.Background(), m.handle, queries[i], newStamp(at))
				if err != nil || len(reply) > 500 {
					failed.Add(1)
				}
			})
		}
		all.Wait()
	}
	if failed.Load() > 0 {
		b.Errorf("%d queries failed", failed.Load())
	}
	b.ReportMetric(float64(rounds*len(members))/b.Elapsed().Seconds(), "objects/s")
	b.ReportMetric(float64(h.commits-commits)/float64(rounds), "commits/round")
}

// BenchmarkPublishAlone is one publisher that changes one object after another.
func BenchmarkPublishAlone(b *testing.B) {
	h := newTestServerIn(b, Limits{Changes: 1 << 30}, realDisk)
	m := h.settle(b, 1, 20)[0]
	i := 0
	for b.Loop() {
		i++
		if _, err := h.Answer(context.Background(), m.handle, m.change(i), newStamp(at)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkList is a list query over 10,000 objects that did not change, with the check of its signature and the signing of
// the reply.
func BenchmarkList(b *testing.B) {
	h := newTestServer(b, Limits{})
	m := h.settle(b, 1, 10_000)[0]
	key, certificate, err := envelopetest.NewIdentity(time.Now())
	if err != nil {
		b.Fatal(err)
	}
	signer, err := envelope.NewSigner(key, certificate)
	if err != nil {
		b.Fatal(err)
	}
	trust, err := envelope.ParseTrust(certificate)
	if err != nil {
		b.Fatal(err)
	}
	sent, err := signer.Sign((&publication.Query{List: true}).XML(), time.Now())
	if err != nil {
		b.Fatal(err)
	}
	size := 0
	for b.Loop() {
		message, err := trust.Open(sent, time.Now())
		if err != nil {
			b.Fatal(err)
		}
		reply, err := h.Answer(context.Background(), m.handle, message.Content, newStamp(at))
		if err != nil {
			b.Fatal(err)
		}
		if reply, err = signer.Sign(reply, time.Now()); err != nil {
			b.Fatal(err)
		}
		size = len(reply)
	}
	b.ReportMetric(float64(size), "B/reply")
}

// BenchmarkListAnew makes the reply to a list query over 10,000 objects of which something has changed, without signatures.
func BenchmarkListAnew(b *testing.B) {
	h := newTestServer(b, Limits{})
	p := h.find(h.settle(b, 1, 10_000)[0].handle)
	for b.Loop() {
		h.lists.forget(p)
		h.listReply(p)
	}
}
