package rrdp

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// front is what clients see of one serial: its notification and the files that can be asked for. It does not change.
type front struct {
	session      string
	serial       uint64
	at           time.Time // when its serial was closed
	shown        time.Time // a whole second after it was first served: the notification's Last-Modified
	objects      int
	snapshot     *published
	notification []byte
	packed       []byte                // its gzip form
	tag          string                // hash of the notification, in hex
	files        map[string]*published // by name
}

// published is a snapshot or a delta that is announced now, or was before.
type published struct {
	name   string
	kind   string // "snapshot" or "delta"
	serial uint64
	sum    sum
	at     time.Time // when its serial was closed
	until  time.Time // when it stops being served, zero as long as it is listed
}

func (p *published) servedAt(now time.Time) bool { return p.until.IsZero() || now.Before(p.until) }

const notificationName = "notification.xml"

// show replaces what is served. A reader may ask "If-Modified-Since" with the time of its own last call, as FORT does, not with the
// Last-Modified that it was given. So Last-Modified is later than every call that was answered with the notification before. The time
// at which the serial was closed is not: writing and syncing come between. A reader that called meanwhile would be told "not modified"
// until the serial after.
func (r *Repository) show() {
	f := newFront(r.cfg, r.index)
	if f != nil {
		f.shown = time.Now().Truncate(time.Second).Add(2 * time.Second) // the second that has begun may end before the next line
		if before := r.front.Load(); before != nil && !f.shown.After(before.shown) {
			f.shown = before.shown.Add(time.Second) // the clock was put back
		}
	}
	r.front.Store(f)
}

// modified is the notification's Last-Modified; zero, for none, while that time is to come (RFC 9110, section 8.8.2.1). Until then each
// call is answered in full.
func (f *front) modified(now time.Time) time.Time {
	if now.Before(f.shown) {
		return time.Time{}
	}
	return f.shown
}

// newFront computes what is served from the index; nil before the first serial. How long a file is served follows from
// the times of the serials alone, and so is the same after a restart.
func newFront(cfg Config, x *index) *front {
	last := x.newest()
	if last == nil {
		return nil
	}
	f := &front{session: x.session, serial: last.number, at: last.at, files: map[string]*published{}}
	var deltas []*published
	for i, s := range x.serials {
		var until time.Time
		if i+1 < len(x.serials) {
			until = x.serials[i+1].at.Add(unlisted)
		}
		f.snapshot = f.add(x, "snapshot", s, s.snapshot, until)
		if s.first > s.number {
			continue // its delta was never listed
		}
		if d := f.add(x, "delta", s, s.delta, x.deltaUntil(s.number)); d.until.IsZero() {
			deltas = append(deltas, d)
		}
	}
	for _, e := range x.entries {
		if e.at(f.serial) {
			f.objects++
		}
	}
	f.write(cfg.BaseURI, deltas)
	return f
}

// add notes a file, unless its time was over when this serial was closed.
func (f *front) add(x *index, kind string, s *serial, of sum, until time.Time) *published {
	p := &published{kind: kind, serial: s.number, sum: of, at: s.at, until: until}
	if p.servedAt(f.at) {
		p.name = fileName(x, kind, s.number)
		f.files[p.name] = p
	}
	return p
}

// deltaUntil is when a delta that was listed stops being served: some time after the first notification without it, zero
// if there is none yet.
func (x *index) deltaUntil(number uint64) time.Time {
	i := sort.Search(len(x.serials), func(i int) bool { return x.serials[i].first > number })
	if i == len(x.serials) {
		return time.Time{}
	}
	return x.serials[i].at.Add(unlisted)
}

// fileName is a name that nobody can ask for before it is announced, so that no cache on the way remembers that it was
// not there.
func fileName(x *index, kind string, number uint64) string {
	mac := hmac.New(sha256.New, x.secret[:])
	_, _ = fmt.Fprintf(mac, "%s %s %d", x.session, kind, number) // a hash takes everything
	return kind + "-" + strconv.FormatUint(number, 10) + "-" + hex.EncodeToString(mac.Sum(nil)[:16]) + ".xml"
}

// write makes the notification (RFC 8182, section 3.5.1): the snapshot, then the deltas, newest first.
func (f *front) write(base string, deltas []*published) {
	var b strings.Builder
	b.WriteString(head("notification", f.session, f.serial))
	fmt.Fprintf(&b, "<snapshot uri=\"%s%s\" hash=\"%x\"/>\n", base, f.snapshot.name, f.snapshot.sum.hash)
	for _, d := range slices.Backward(deltas) {
		fmt.Fprintf(&b, "<delta serial=\"%d\" uri=\"%s%s\" hash=\"%x\"/>\n", d.serial, base, d.name, d.sum.hash)
	}
	b.WriteString("</notification>\n")
	f.notification = []byte(b.String())
	f.tag = fmt.Sprintf("%x", sha256.Sum256(f.notification))

	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(f.notification) // a buffer takes everything
	_ = w.Close()
	f.packed = packed.Bytes()
}
