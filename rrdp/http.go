package rrdp

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cadastre/internal/fault"
)

// What caches may keep. A notification is good for one minute (RFC 8182 leaves it open, the publication BCP does not);
// a file with a serial in its name never changes. Of an error nothing is kept.
const (
	cacheNotification = "max-age=60"
	cacheFile         = "public, max-age=31536000, immutable"
	cacheError        = "no-store"
)

// ServeHTTP answers GET and HEAD for the notification, for the files that it lists, and for each file that it lists no more until two hours
// after the first notification without it. It takes conditional and range requests, and answers compressed if the client prefers that. The
// request's path is the whole one, as in BaseURI. A query is refused with 400: no reader sends one, and each would be a copy of its own in a cache.
func (r *Repository) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	name, ours := strings.CutPrefix(req.URL.Path, r.path)
	switch {
	case req.Method != http.MethodGet && req.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "there is nothing here but to read")
	case req.URL.RawQuery != "" || req.URL.ForceQuery:
		refuse(w, http.StatusBadRequest, "a query is not understood here")
	case !ours:
		refuse(w, http.StatusNotFound, "there is no such file")
	default:
		r.serve(w, req, name)
	}
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Cache-Control", cacheError)
	http.Error(w, text, status)
}

func (r *Repository) serve(w http.ResponseWriter, req *http.Request, name string) {
	f := r.front.Load()
	if f == nil {
		refuse(w, http.StatusNotFound, "nothing is published yet")
		return
	}
	packed := prefersGzip(req.Header.Values("Accept-Encoding"))
	if name == notificationName {
		body := f.notification
		if packed {
			body = f.packed
		}
		reply(w, req, answer{body: bytes.NewReader(body), size: int64(len(body)), tag: f.tag, packed: packed, at: f.modified(time.Now()), cache: cacheNotification})
		return
	}
	file := f.files[name]
	if file == nil || !file.servedAt(time.Now()) {
		refuse(w, http.StatusNotFound, "there is no such file, or no more")
		return
	}
	size, known := r.size(file, packed)
	s := &stream{length: size}
	if !known || wantsBody(req) {
		d, err := r.document(f, file, packed)
		if err != nil {
			refuse(w, fault.KindOf(err).HTTP(), "the file cannot be given now")
			return
		}
		s = d.open()
	} else {
		s.late = func() (*document, error) { return r.document(f, file, packed) }
	}
	tag := hexHash(file.sum.hash)
	reply(w, req, answer{body: s, size: s.length, tag: tag, packed: packed, at: file.at, cache: cacheFile})
	if s.err != nil {
		// the length is announced and cannot be kept: the client must not take this for the whole
		panic(http.ErrAbortHandler)
	}
}

// wantsBody tells whether a request is for the file itself: one with a precondition seldom is, and HEAD never.
func wantsBody(req *http.Request) bool {
	return req.Method == http.MethodGet && req.Header.Get("If-None-Match") == "" && req.Header.Get("If-Modified-Since") == ""
}

// size is that of one form of a file, where it is known without the file's document. Of a repository that is quarantined none is: each
// file is held against its hash before anything is said of it.
func (r *Repository) size(file *published, packed bool) (int64, bool) {
	switch {
	case r.damage != nil:
		return 0, false
	case !packed:
		return file.sum.size, true
	}
	return r.opened.size(form{file.name, packed})
}

// answer is a representation that is ready to be sent.
type answer struct {
	body   io.ReadSeeker
	size   int64
	tag    string // identifies the uncompressed bytes
	packed bool
	at     time.Time
	cache  string
}

// reply leaves preconditions and ranges (RFC 9110, sections 13 and 14) to net/http.
func reply(w http.ResponseWriter, req *http.Request, a answer) {
	h := w.Header()
	h.Set("Content-Type", "application/xml")
	h.Set("Cache-Control", a.cache)
	h.Set("Vary", "Accept-Encoding")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.FormatInt(a.size, 10)) // net/http does not for what is encoded
	if a.packed {
		// a strong validator names bytes, not meaning: the compressed ones have their own
		h.Set("Content-Encoding", "gzip")
		h.Set("ETag", `"`+a.tag+`-gzip"`)
	} else {
		h.Set("ETag", `"`+a.tag+`"`)
	}
	http.ServeContent(w, req, "", a.at, a.body)
}

// document is the pieces of a file that was announced, in one form. It fails with NotFound when the session has ended
// meanwhile, and with Corrupt rather than give other bytes.
func (r *Repository) document(f *front, file *published, packed bool) (*document, error) {
	if r.damage == nil {
		if d := r.opened.get(form{file.name, packed}); d != nil {
			return d, nil
		}
	}
	d, err := r.assemble(f, file, packed)
	if err == nil && r.damage == nil {
		r.opened.put(form{file.name, packed}, d, r.front.Load().files)
	}
	return d, err
}

func (r *Repository) assemble(f *front, file *published, packed bool) (*document, error) {
	r.mu.RLock()
	if r.index.session != f.session {
		r.mu.RUnlock()
		return nil, fault.New(fault.NotFound, "the session %s has ended", f.session)
	}
	var s *sheet
	if file.kind == "snapshot" {
		s = r.index.snapshot(file.serial)
	} else {
		s = r.index.delta(file.serial)
	}
	r.mu.RUnlock()
	d := s.plain()
	if d.size() != file.sum.size {
		return nil, fault.New(fault.Corrupt, "the %s of serial %d would have %d bytes and was announced with %d", file.kind, file.serial, d.size(), file.sum.size)
	}
	if r.damage != nil {
		if err := s.announced(file.sum); err != nil {
			return nil, fault.New(fault.Corrupt, "the %s of serial %d is damaged: %w", file.kind, file.serial, err)
		}
	}
	if packed {
		d = s.gzip(file.sum)
	}
	return d, nil
}

// prefersGzip reads Accept-Encoding (RFC 9110, section 12.5.3): whether gzip is acceptable and no worse than identity.
func prefersGzip(headers []string) bool {
	gzip, other, identity := -1.0, -1.0, -1.0
	for coding := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		name, parameters, _ := strings.Cut(coding, ";")
		q := quality(parameters)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "gzip", "x-gzip":
			gzip = q
		case "*":
			other = q
		case "identity":
			identity = q
		}
	}
	if gzip < 0 {
		gzip = other
	}
	return gzip > 0 && gzip >= identity
}

// quality reads the weight among the parameters of a coding; one that cannot be read forbids it.
func quality(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, ok := strings.Cut(strings.TrimSpace(p), "=")
		if ok && strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil || !(q >= 0 && q <= 1) {
				return 0
			}
			return q
		}
	}
	return 1
}
