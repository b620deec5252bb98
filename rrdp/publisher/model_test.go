package publisher

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cadastre/internal/publication"
)

// model is what should be: publisher -> name -> content.
type model map[string]map[string]string

const modelObjects = 4 // the limit of each publisher

// query takes a query's changes as RFC 8181, section 2.2 tells it, and gives the error codes.
func (m model) query(handle string, pdus []publication.PDU) (codes []string) {
	base, _ := baseOf("north", handle)
	next := maps.Clone(m[handle])
	named := map[string]bool{}
	for _, pdu := range pdus {
		name, inside := strings.CutPrefix(pdu.URI, base)
		switch {
		case !inside || strings.Contains(name, ".."):
			codes = append(codes, publication.PermissionFailure)
		case named[name]:
			codes = append(codes, publication.ConsistencyProblem)
		}
		named[name] = true
	}
	if codes != nil {
		return codes
	}
	for _, pdu := range pdus {
		name := strings.TrimPrefix(pdu.URI, base)
		was, there := m[handle][name]
		switch {
		case !there && pdu.Hash != nil:
			codes = append(codes, publication.NoObjectPresent)
		case there && pdu.Hash == nil:
			codes = append(codes, publication.ObjectAlreadyPresent)
		case there && *pdu.Hash != *hashOf(was):
			codes = append(codes, publication.NoObjectMatchingHash)
		}
		if delete(next, name); !pdu.Withdraw {
			next[name] = string(pdu.Object)
		}
	}
	if codes != nil {
		return codes
	}
	for _, pdu := range pdus {
		name := strings.TrimPrefix(pdu.URI, base)
		clashes := func(other string) bool {
			return strings.HasPrefix(other, name+"/") || strings.HasPrefix(name, other+"/")
		}
		if !pdu.Withdraw && slices.ContainsFunc(slices.Collect(maps.Keys(next)), clashes) {
			codes = append(codes, publication.ConsistencyProblem)
		}
	}
	if len(next) > modelObjects && len(next) > len(m[handle]) {
		codes = append(codes, publication.OtherError)
	}
	if codes == nil {
		m[handle] = next
	}
	return codes
}

// drawQuery is a query that may well fail.
func (m model) drawQuery(t *rapid.T, handle string) []publication.PDU {
	name := rapid.SampledFrom([]string{"a", "b", "a/c", "a/d", "e/f", "e/f/g", "h", "../bob/a"})
	content := rapid.SampledFrom([]string{"1", "2", "3"})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) publication.PDU {
		name := name.Draw(t, "name")
		was, there := m[handle][name]
		hash := hashOf(was)
		if rapid.IntRange(0, 9).Draw(t, "lie") == 0 {
			there = !there
			hash = hashOf(content.Draw(t, "was"))
		}
		pdu := publish(handle, name, content.Draw(t, "content"))
		if there {
			pdu.Hash = hash
			if pdu.Withdraw = rapid.Bool().Draw(t, "withdraw"); pdu.Withdraw {
				pdu.Object = nil
			}
		}
		return pdu
	}), 0, 4).Draw(t, "pdus")
}

// TestModel plays queries, one by one and many in a commit, failing commits, registrations and restarts, and holds what
// the server says and what the repository has against a map.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newTestServer(t, Limits{Objects: modelObjects})
		want := model{}
		handles := []string{"alice", "bob"}
		for _, handle := range handles {
			h.add(t, handle)
			want[handle] = map[string]string{}
		}
		t.Repeat(map[string]func(*rapid.T){
			"query": func(t *rapid.T) {
				handle := rapid.SampledFrom(handles).Draw(t, "handle")
				pdus := want.drawQuery(t, handle)
				wantCodes(t, h.ask(t, handle, publication.Query{PDUs: pdus}), want.query(handle, pdus))
			},
			"group": func(t *rapid.T) { playGroup(t, h, want, handles) },
			"failing commit": func(t *rapid.T) {
				handle := rapid.SampledFrom(handles).Draw(t, "handle")
				h.setFail(errors.New("no"))
				wantCodes(t, h.ask(t, handle, publication.Query{PDUs: want.drawQuery(t, handle)}), []string{publication.OtherError})
				h.setFail(nil)
			},
			"begin anew": func(t *rapid.T) {
				handle := rapid.SampledFrom(handles).Draw(t, "handle")
				if err := h.Remove(context.Background(), handle); err != nil {
					t.Fatal(err)
				}
				h.add(t, handle)
				want[handle] = map[string]string{}
			},
			"restart": func(t *rapid.T) {
				h.Close()
				h.open(t)
			},
			"": func(t *rapid.T) {
				for handle, objects := range want {
					h.wantList(t, handle, objects)
				}
				h.wantConsistent(t, want)
			},
		})
	})
}

// playGroup has several queries committed at once.
func playGroup(t *rapid.T, h *testServer, want model, handles []string) {
	h.holdCommits()
	first := h.start(handles[0], publication.Query{})
	<-h.held
	var replies []func(tester) *publication.Reply
	var codes [][]string
	for i := range rapid.IntRange(2, 5).Draw(t, "queries") {
		handle := rapid.SampledFrom(handles).Draw(t, "handle")
		pdus := want.drawQuery(t, handle)
		codes = append(codes, want.query(handle, pdus))
		replies = append(replies, h.start(handle, publication.Query{PDUs: pdus}))
		h.queued(t, i+1)
	}
	h.release()
	first(t)
	for i, reply := range replies {
		wantCodes(t, reply(t), codes[i])
	}
}

func wantCodes(t tester, reply *publication.Reply, want []string) {
	t.Helper()
	var got []string
	for _, e := range reply.Errors {
		got = append(got, e.Code)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || reply.Success != (want == nil) {
		t.Fatalf("codes %v, want %v: %+v", got, want, reply)
	}
}

// wantConsistent holds the server's totals, and the repository, against the model.
func (h *testServer) wantConsistent(t tester, want model) {
	t.Helper()
	sizes, objects := map[string]int64{}, map[string]int{}
	for o := range h.repositories["north"].Live() {
		handle, name, _ := strings.Cut(strings.TrimPrefix(o.URI, "rsync://rpki.example.net/north/"), "/")
		if content, there := want[handle][name]; !there || o.Hash != *hashOf(content) {
			t.Fatalf("the repository has another %s", o.URI)
		}
		objects[handle]++
		sizes[handle] += int64(o.Size)
	}
	for _, info := range h.Publishers() {
		if info.Objects != len(want[info.Handle]) || objects[info.Handle] != info.Objects || info.Bytes != sizes[info.Handle] {
			t.Fatalf("%+v; the repository has %d objects of %d bytes", info, objects[info.Handle], sizes[info.Handle])
		}
		p := h.find(info.Handle)
		dirs := map[string]int{}
		for name := range want[info.Handle] {
			for dir := range directories(p.Base, p.Base+name) {
				dirs[dir]++
			}
		}
		if !maps.Equal(dirs, p.tree.directories) {
			t.Fatalf("directories %v, want %v", p.tree.directories, dirs)
		}
	}
}
