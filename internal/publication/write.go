package publication

import (
	"encoding/base64"

	"cadastre/internal/wirexml"
)

// around is how many bytes a PDU takes besides its URI, tag, hash and object. It is a little more than that needs.
const around = 64

// XML writes the query. All its PDUs have a tag, as the schema wants, even if it is empty.
func (q *Query) XML() []byte {
	size := 2 * around
	for i := range q.PDUs {
		size += q.PDUs[i].size()
	}
	w := wirexml.NewWriter(size)
	begin(w, "query")
	if q.List {
		w.Tag("list")
		w.Empty()
	} else {
		for i := range q.PDUs {
			q.PDUs[i].write(w)
		}
	}
	w.Close("msg")
	return w.Bytes()
}

func begin(w *wirexml.Writer, kind string) {
	w.Tag("msg")
	w.Attr("xmlns", namespace)
	w.Attr("version", version)
	w.Attr("type", kind)
	w.OpenLine()
}

// size is about how many bytes write writes, so that the message need not be moved as it grows.
func (p *PDU) size() int {
	return around + len(p.URI) + len(p.Tag) + 2*len(p.Hash) + base64.StdEncoding.EncodedLen(len(p.Object))
}

func (p *PDU) write(w *wirexml.Writer) {
	name := "publish"
	if p.Withdraw {
		name = "withdraw"
	}
	w.Tag(name)
	w.Attr("tag", p.Tag)
	w.Attr("uri", p.URI)
	if p.Hash != nil {
		w.Hex("hash", p.Hash[:])
	}
	if p.Withdraw {
		w.Empty()
		return
	}
	w.Open()
	w.Base64(p.Object)
	w.Close(name)
}

// XML writes the reply: success, or the errors if there are any, or else the list.
func (r *Reply) XML() []byte {
	size := 2 * around
	for i := range r.List {
		size += around + len(r.List[i].URI) + 2*len(r.List[i].Hash)
	}
	w := wirexml.NewWriter(size)
	begin(w, "reply")
	switch {
	case r.Success:
		w.Tag("success")
		w.Empty()
	case len(r.Errors) > 0:
		for i := range r.Errors {
			r.Errors[i].write(w)
		}
	default:
		for i := range r.List {
			w.Tag("list")
			w.Attr("uri", r.List[i].URI)
			w.Hex("hash", r.List[i].Hash[:])
			w.Empty()
		}
	}
	w.Close("msg")
	return w.Bytes()
}

// write writes no error_text that is empty, because rpki-rs cannot read one.
func (e *ReportError) write(w *wirexml.Writer) {
	w.Tag("report_error")
	w.Optional("tag", e.Tag)
	w.Attr("error_code", e.Code)
	w.OpenLine()
	if e.Text != "" {
		w.Tag("error_text")
		w.Open()
		w.Sentence(e.Text, maxErrorText)
		w.Close("error_text")
	}
	if e.Failed != nil {
		w.Tag("failed_pdu")
		w.OpenLine()
		e.Failed.write(w)
		w.Close("failed_pdu")
	}
	w.Close("report_error")
}
