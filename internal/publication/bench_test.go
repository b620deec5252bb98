package publication

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"runtime"
	"testing"
)

const many = 10_000

// large is a query of 10,000 objects and 32 MB.
func large() []byte {
	q := new(Query)
	object := bytes.Repeat([]byte{0x30, 0x82, 0x09, 0x1f}, 2300/4)
	for i := range many {
		q.PDUs = append(q.PDUs, PDU{Tag: fmt.Sprint(i), URI: fmt.Sprintf("rsync://repository.example.net/repo/publisher/0/%040x.roa", i), Object: object})
	}
	return q.XML()
}

// TestLargeQuery bounds the memory of a large query by its size: what is kept is three quarters of it, being base64.
func TestLargeQuery(t *testing.T) {
	message := large()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	q, err := ParseQuery(message)
	runtime.ReadMemStats(&after)
	if err != nil || len(q.PDUs) != many {
		t.Fatal(err)
	}
	used := after.TotalAlloc - before.TotalAlloc
	t.Logf("%d bytes of message, %d allocated", len(message), used)
	if used > uint64(len(message))*5/4 {
		t.Errorf("to read %d bytes, %d were allocated", len(message), used)
	}
	runtime.KeepAlive(q)
}

func BenchmarkParseLargeQuery(b *testing.B) {
	message := large()
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseQuery(message); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteLargeQuery(b *testing.B) {
	q, err := ParseQuery(large())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(q.XML())))
	b.ReportAllocs()
	for b.Loop() {
		q.XML()
	}
}

// list is a reply of 10,000 objects.
func list() *Reply {
	r := &Reply{IsList: true}
	for i := range many {
		r.List = append(r.List, Listed{fmt.Sprintf("rsync://repository.example.net/repo/publisher/0/%040x.roa", i), sha256.Sum256([]byte(fmt.Sprint(i)))})
	}
	return r
}

func BenchmarkWriteList(b *testing.B) {
	r := list()
	b.SetBytes(int64(len(r.XML())))
	b.ReportAllocs()
	for b.Loop() {
		r.XML()
	}
}

func BenchmarkParseList(b *testing.B) {
	message := list().XML()
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseReply(message); err != nil {
			b.Fatal(err)
		}
	}
}
