package publisher

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/peer"
	"cadastre/internal/publication"
	"cadastre/internal/shares"
	"cadastre/rrdp"
)

// Bounds of what a reply says of what is wrong.
const (
	maxReports = 20       // errors
	maxFailed  = 64 << 10 // bytes of an object that is sent back in a failed_pdu
)

// query is one that is being answered.
type query struct {
	handle  string
	stamp   peer.Stamp
	of      *publisher // whose query it was when it was committed
	pdus    []publication.PDU
	staged  []*staged // what each PDU puts at its URI, nil for nothing
	size    int       // bytes of the objects
	reports []publication.ReportError
}

// Answer takes the XML of a query that a publisher signed at a time, and returns the XML of the reply. When it returns,
// what the query asks for and the signing time are durable. Whatever is wrong with the query is a reply, with the error
// codes of RFC 8181, section 2.5; whatever is wrong here is other_error, and nothing was changed then.
//
// An error, and no reply, means NotFound for a handle that is not registered, Secret for a message that is older than the
// newest that was taken (RFC 6492, section 3.1.2; equal is taken) or that was taken before and changes something
// (peer.ErrAgain), and Busy when ctx or the daemon ends.
func (s *Server) Answer(ctx context.Context, handle string, content []byte, stamp peer.Stamp) ([]byte, error) {
	p := s.find(handle)
	if p == nil {
		return nil, unknown(handle)
	}
	q := &query{handle: handle, stamp: stamp}
	who := shares.Principal{Kind: shares.Publisher, Name: handle}
	var parsed *publication.Query
	var err error
	s.Shares.Ledger.Charge(who, shares.CPU, shares.Measure(func() {
		if parsed, err = publication.ParseQuery(content); err == nil {
			q.pdus = parsed.PDUs
			q.examine(p, s.limits)
		}
	}).Seconds())
	switch {
	case err != nil:
		q.report(publication.XMLError, nil, "%v", err)
	case len(q.reports) == 0 && q.size > 0:
		q.ask(s.Shares, who)
	}
	switch err := s.queue.submit(ctx, q.stage, q.size); {
	case errors.Is(err, errCommit):
		q.reports = nil
		q.report(publication.OtherError, nil, "the server couldn't store this, and nothing was changed: repeat it later")
	case err != nil:
		return nil, err
	}
	switch {
	case len(q.reports) > 0:
		return (&publication.Reply{Errors: q.reports}).XML(), nil
	case parsed.List:
		return s.listReply(q.of), nil
	}
	return (&publication.Reply{Success: true}).XML(), nil
}

// report notes what is wrong with the query, or with one of its PDUs.
func (q *query) report(code string, pdu *publication.PDU, format string, args ...any) {
	if len(q.reports) == maxReports {
		return
	}
	r := publication.ReportError{Code: code, Text: fmt.Sprintf(format, args...)}
	if pdu != nil {
		r.Tag = pdu.Tag
		if len(pdu.Object) <= maxFailed {
			r.Failed = pdu
		}
	}
	q.reports = append(q.reports, r)
}

// ask has what the query would write to disk counted. Lists and withdrawals are taken in any case.
func (q *query) ask(all shares.All, who shares.Principal) {
	err := all.Disk.Guests()
	if err == nil {
		err = all.Ledger.Spend(who, shares.Written, float64(q.size))
	}
	if err != nil {
		q.report(fault.KindOf(err).Publication(), nil, "%v", err)
	}
}

// examine looks at all that does not depend on what is published, while others are committed: where the PDUs are, how
// large, and whether they are about different URIs.
func (q *query) examine(p *publisher, usual Limits) {
	p.mu.RLock()
	base, limits := p.Base, p.Limits.or(usual)
	p.mu.RUnlock()
	q.staged = make([]*staged, len(q.pdus))
	seen := make(map[string]bool, len(q.pdus))
	for i := range q.pdus {
		pdu := &q.pdus[i]
		switch {
		case !below(base, pdu.URI):
			q.report(publication.PermissionFailure, pdu, "%s may publish below %s alone, and every part of a path is letters, digits, '-', '_' and '.', and does not begin with a dot", q.handle, base)
		case seen[pdu.URI]:
			q.report(publication.ConsistencyProblem, pdu, "the query names %s twice", pdu.URI)
		case pdu.Withdraw:
		case len(pdu.Object) == 0:
			q.report(publication.OtherError, pdu, "there is no object for %s", pdu.URI)
		case len(pdu.Object) > limits.ObjectBytes:
			q.report(publication.OtherError, pdu, "the object for %s has %d bytes, and %d are allowed", pdu.URI, len(pdu.Object), limits.ObjectBytes)
		default:
			q.size += len(pdu.Object)
			q.staged[i] = &staged{entry{sha256.Sum256(pdu.Object), rrdp.FragmentSize(pdu.URI, len(pdu.Object))}, pdu.Object}
		}
		seen[pdu.URI] = true
	}
}

// stage takes the query's part in a group: the signing time whatever becomes of it, and all of its changes or, when there
// is something to report, none.
func (q *query) stage(g *group) error {
	d, err := g.draft(q.handle)
	if err != nil {
		return err
	}
	if q.stamp.Signed.Before(d.state.LastSigned) {
		return fault.New(fault.Secret, "the message was signed at %s, before one of %s that was taken already: if the sender's clock was ahead, 'cadastre publishers update %s --reset-replay'",
			q.stamp.Signed.UTC().Format(time.RFC3339), d.state.LastSigned.UTC().Format(time.RFC3339), q.handle)
	}
	if len(q.pdus) > 0 && d.state.Again(q.stamp) {
		return peer.ErrAgain
	}
	q.of, d.state.Heard = d.publisher, d.state.With(q.stamp)
	if len(q.reports) == 0 {
		q.checkPreconditions(d)
	}
	if len(q.reports) == 0 && len(q.pdus) > 0 {
		q.apply(d, g.server.limits)
	}
	return nil
}

// checkPreconditions holds each PDU's hash against what is there (RFC 8181, section 2.2). URIs differ, so that no PDU
// changes what another finds.
func (q *query) checkPreconditions(d *draft) {
	for i := range q.pdus {
		pdu := &q.pdus[i]
		switch was, there := d.at(pdu.URI); {
		case !there && (pdu.Hash != nil || pdu.Withdraw):
			q.report(publication.NoObjectPresent, pdu, "there is nothing at %s", pdu.URI)
		case there && pdu.Hash == nil:
			q.report(publication.ObjectAlreadyPresent, pdu, "there is an object at %s, with the SHA-256 %x: to replace it, name that", pdu.URI, was.hash)
		case there && *pdu.Hash != was.hash:
			q.report(publication.NoObjectMatchingHash, pdu, "the object at %s has the SHA-256 %x", pdu.URI, was.hash)
		}
	}
}

// apply makes the changes in a draft, and takes them back when they do not fit together or into the limits.
func (q *query) apply(d *draft, usual Limits) {
	now := time.Now()
	d.state.supersede(0, now)
	before := d.state
	var gone int64
	var undo []func()
	for i := range q.pdus {
		if was, there := d.at(q.pdus[i].URI); there {
			gone += int64(was.size)
		}
		undo = append(undo, d.set(q.pdus[i].URI, q.staged[i]))
	}
	for i := range q.pdus {
		if pdu := &q.pdus[i]; !pdu.Withdraw && d.collides(pdu.URI) {
			q.report(publication.ConsistencyProblem, pdu, "%s would be an object and a directory of objects", pdu.URI)
		}
	}
	limits := d.record.Limits.or(usual)
	full, allowed := limits.spend(d.full, now, len(q.pdus))
	switch {
	case !allowed:
		q.report(publication.OtherError, nil, "the limit is %d changes an hour, and the query has %d: spread them", limits.Changes, len(q.pdus))
	case d.state.Objects > limits.Objects && d.state.Objects > before.Objects:
		q.report(publication.OtherError, nil, "there would be %d objects, and %d are allowed", d.state.Objects, limits.Objects)
	case d.state.Bytes > limits.Bytes && d.state.Bytes > before.Bytes:
		q.report(publication.OtherError, nil, "the objects would take %d bytes in a snapshot, and %d are allowed", d.state.Bytes, limits.Bytes)
	case d.state.Bytes+before.kept()+gone > limits.Kept && d.state.Bytes+gone > before.Bytes:
		q.report(publication.OtherError, nil, "the objects, and those that they replaced in the last %d hours, would take %d bytes, and %d are allowed: replace less often", int(rrdp.Retention.Hours()), d.state.Bytes+before.kept()+gone, limits.Kept)
	}
	if len(q.reports) > 0 {
		for _, takeBack := range slices.Backward(undo) {
			takeBack()
		}
		return
	}
	d.state.supersede(gone, now)
	d.full, d.state.LastPublished = full, now.Truncate(time.Second)
}
