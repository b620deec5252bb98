package transferwire

import (
	"encoding/base64"
	"strconv"
	"time"

	"cadastre/internal/wirexml"
)

func begin(name string) *wirexml.Writer {
	w := new(wirexml.Writer)
	w.Tag(name)
	w.Attr("xmlns", namespace)
	w.Attr("version", version)
	return w
}

// XML writes the report.
func (s *Source) XML() []byte {
	w := begin("source")
	w.Attr("ref", s.Ref)
	w.Attr("state", s.State)
	w.Attr("kind", s.Kind)
	w.Attr("from", s.From)
	w.Attr("from_registry", s.FromRegistry)
	w.Attr("to", s.To)
	w.Attr("to_registry", s.ToRegistry)
	w.Optional("under", s.Under)
	w.Attr("soak", seconds(s.Soak))
	if s.Bridge > 0 {
		w.Attr("bridge", seconds(s.Bridge))
	}
	if s.Held {
		w.Attr("held", "true")
	}
	w.Optional("since", moment(s.Since))
	if !s.Original.Empty() {
		w.Attr("original", s.Original.String())
	}
	w.OpenLine()
	sentence(w, "reason", s.Reason)
	sentence(w, "disputed", s.Disputed)
	for _, leg := range s.Legs {
		leg.write(w)
	}
	for _, r := range s.Carried {
		r.write(w, "carried")
	}
	for _, o := range s.Objects {
		w.Tag("object")
		w.Attr("kind", string(o.Kind))
		w.Attr("says", o.Says)
		w.Optional("until", moment(o.Until))
		w.Empty()
	}
	for _, r := range s.Staged {
		r.write(w, "staged")
	}
	for _, c := range s.Certificates {
		w.Tag("certificate")
		w.Attr("uri", c.URI)
		w.Optional("key", base64.StdEncoding.EncodeToString(c.Key))
		w.Optional("signature", base64.StdEncoding.EncodeToString(c.Signature))
		w.Empty()
	}
	w.Close("source")
	return w.Bytes()
}

func (l *Leg) write(w *wirexml.Writer) {
	w.Tag("leg")
	w.Optional("path", l.Path)
	w.Attr("kind", l.Kind)
	w.Optional("name", l.Name)
	w.Optional("country", l.Country)
	w.OpenLine()
	binary(w, "ca", l.CA)
	for _, p := range l.Parts {
		w.Tag("part")
		w.Attr("resources", p.Resources.String())
		w.Attr("status", p.Status)
		w.Optional("until", moment(p.Until))
		w.Optional("country", p.Country)
		w.Empty()
	}
	w.Close("leg")
}

func (r Route) write(w *wirexml.Writer, name string) {
	w.Tag(name)
	w.Attr("prefix", r.Prefix.String())
	w.Attr("max_length", strconv.Itoa(r.MaxLength))
	w.Attr("origin", strconv.FormatUint(uint64(r.Origin), 10))
	w.Optional("until", moment(r.Until))
	w.Empty()
}

// XML writes the report.
func (r *Recipient) XML() []byte {
	w := begin("recipient")
	w.Attr("ref", r.Ref)
	w.Attr("state", r.State)
	w.OpenLine()
	sentence(w, "reason", r.Reason)
	sentence(w, "waits", r.Waits)
	sentence(w, "disputed", r.Disputed)
	sentence(w, "wish", r.Wish)
	for _, leg := range r.Legs {
		w.Tag("leg")
		w.Optional("path", leg.Path)
		w.Attr("holder", leg.Holder)
		w.OpenLine()
		for _, uri := range leg.Certificates {
			w.Tag("certificate")
			w.Attr("uri", uri)
			w.Empty()
		}
		binary(w, "offer", leg.Offer)
		w.Close("leg")
	}
	w.Close("recipient")
	return w.Bytes()
}

// XML writes the introduction.
func (i *Introduction) XML() []byte {
	w := begin("introduction")
	w.Attr("name", i.Name)
	w.Attr("service_uri", i.ServiceURI)
	w.OpenLine()
	for _, handle := range i.Registries {
		w.Tag("registry")
		w.Attr("handle", handle)
		w.Empty()
	}
	binary(w, "bpki_ta", i.TrustAnchor)
	binary(w, "tal", []byte(i.TAL))
	binary(w, "tls_root", []byte(i.TLSRoots))
	w.Close("introduction")
	return w.Bytes()
}

// sentence writes a text for people, if there is one.
func sentence(w *wirexml.Writer, name, text string) {
	if text == "" {
		return
	}
	w.Tag(name)
	w.Open()
	w.Sentence(text, maxText)
	w.Close(name)
}

func binary(w *wirexml.Writer, name string, data []byte) {
	if len(data) == 0 {
		return
	}
	w.Tag(name)
	w.Open()
	w.Base64Lines(data)
	w.Close(name)
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

func moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}
