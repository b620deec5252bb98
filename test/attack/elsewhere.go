package main

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/setup"
	"cadastre/internal/updown"
	"cadastre/internal/validate"
)

// serveHTTP serves on a port of loopback until end is called.
func serveHTTP(handler http.Handler) (url string, end func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String() + "/", func() { _ = server.Close() }, nil
}

// parent is a CA elsewhere that certifies one of the installation's organisations.
type parent struct {
	*identity
	key    crypto.Signer
	id     object.KeyIdentifier
	issuer []byte // its own certificate
	child  *envelope.Trust
	reply  atomic.Pointer[func(message []byte) []byte]
	calls  atomic.Int64
}

const (
	parentHandle = "mother"
	childHandle  = "daughter"
	parentAt     = "rsync://parent.example/repo/"
)

// newParent makes a parent with a certificate for everything.
func newParent() (*parent, error) {
	id, err := newIdentity()
	if err != nil {
		return nil, err
	}
	p := &parent{identity: id}
	if p.key, err = object.P256.Generate(); err != nil {
		return nil, err
	}
	public, err := object.PublicKeyOf(p.key)
	if err != nil {
		return nil, err
	}
	p.id = public.ID
	all, err := inr.Parse("0.0.0.0/0, ::/0, AS0-AS4294967295")
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	p.issuer, err = (&object.Certificate{
		Serial: object.NewSerial(), Issuer: public.ID, Key: public, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0), Resources: all,
		Repository: parentAt, Manifest: parentAt + "x.mft",
	}).Sign(p.key)
	return p, err
}

func (p *parent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.calls.Add(1)
	message, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.Header().Set("Content-Type", updown.ContentType)
	_, _ = w.Write((*p.reply.Load())(message))
}

// certifies has it list so many classes, of one name and a number, and certify whatever it is asked for; it signs its replies so
// long ago.
func (p *parent) certifies(name string, classes int, ago time.Duration) {
	body := &updown.ListResponse{}
	for i := range classes {
		block, err := inr.Parse(fmt.Sprintf("45.%d.%d.0/24", i/256, i%256))
		if err != nil {
			panic(err) // it is written here
		}
		body.Classes = append(body.Classes, updown.Class{
			Name: fmt.Sprintf("%s%d", name, i), CertURLs: []string{parentAt + "mother.cer"}, Resources: block,
			NotAfter: time.Now().UTC().Truncate(time.Second).AddDate(0, 6, 0), Issuer: p.issuer,
		})
	}
	p.replies(func(message []byte) []byte {
		var answer updown.Body = body
		if opened, err := p.child.Open(message, time.Now()); err == nil {
			if m, err := updown.Parse(opened.Content); err == nil {
				if wanted, ok := m.Body.(*updown.Issue); ok {
					answer = p.issue(body, wanted)
				}
			}
		}
		text, err := (&updown.Message{Sender: parentHandle, Recipient: childHandle, Body: answer}).XML()
		if err != nil {
			return nil
		}
		signed, err := p.signer.Sign(text, time.Now().Add(-ago))
		if err != nil {
			return nil
		}
		return signed
	})
}

func (p *parent) replies(with func(message []byte) []byte) { p.reply.Store(&with) }

// issue certifies what was asked for, in full.
func (p *parent) issue(list *updown.ListResponse, q *updown.Issue) updown.Body {
	request, _ := validate.ParseRequest(q.Request, validate.P256, validate.RSA)
	for _, class := range list.Classes {
		if class.Name != q.Class || request == nil {
			continue
		}
		id := object.KeyIdentifier(request.Key.ID())
		uri := parentAt + id.FileName() + ".cer"
		certificate, err := (&object.Certificate{
			Serial: object.NewSerial(), Issuer: p.id, Key: object.PublicKey{Info: request.KeyInfo, ID: id}, NotBefore: time.Now().UTC().Truncate(time.Second).Add(-time.Minute),
			NotAfter: class.NotAfter, Resources: class.Resources, CRL: parentAt + "x.crl", Issued: parentAt + "mother.cer",
			Repository: request.Repository, Manifest: request.Manifest, Notify: request.Notify,
		}).Sign(p.key)
		if err != nil {
			break
		}
		class.Certificates = []updown.Issued{{URLs: []string{uri}, Certificate: certificate}}
		return &updown.IssueResponse{Class: class}
	}
	return &updown.Error{Status: updown.StatusIssueNoClass}
}

// adopt has an organisation of the installation be certified by the parent.
func (h *installation) adopt(ctx context.Context, holder, name, url string, p *parent) error {
	text, err := h.ask(ctx, "parents", "request", holder)
	if err != nil {
		return err
	}
	request, err := setup.ParseChildRequest(text)
	if err != nil {
		return err
	}
	if p.child, err = envelope.ParseTrust(request.TrustAnchor); err != nil {
		return err
	}
	path := h.path("parent-" + name + ".xml")
	response := &setup.ParentResponse{ServiceURI: url, ChildHandle: childHandle, ParentHandle: parentHandle, TrustAnchor: p.certificate}
	if err := os.WriteFile(path, response.XML(), 0o600); err != nil {
		return err
	}
	return h.tell(ctx, "parents", "add", holder, name, "--response", path)
}

// multiplying is a parent with four hundred resource classes.
func multiplying(ctx context.Context, r *run, dir string) (string, error) {
	h, err := r.foundAndServe(ctx, dir, p256)
	if err != nil {
		return "", err
	}
	p, err := newParent()
	if err != nil {
		return "", err
	}
	url, end, err := serveHTTP(p)
	if err != nil {
		return "", err
	}
	defer end()
	before, err := h.status(ctx)
	if err != nil {
		return "", err
	}
	p.certifies("class", 400, 0)
	if err := h.adopt(ctx, "north/acacia", "mother", url, p); err != nil {
		return "", err
	}
	limited, cancel := context.WithTimeout(ctx, 15*time.Second)
	_ = h.tell(limited, "parents", "refresh", "north/acacia") // that it is refused may be said
	cancel()
	if err := pause(ctx, 2*time.Second); err != nil {
		return "", err
	}
	after, err := h.status(ctx)
	if err != nil {
		return "", err
	}
	figures := fmt.Sprintf("authorities from %d to %d, %d calls", before.Authorities, after.Authorities, p.calls.Load())
	if p.calls.Load() == 0 {
		err = errors.New("the parent was not asked")
	}
	if after.Authorities > before.Authorities+40 {
		err = errors.New(figures)
	}
	return figures, errors.Join(err, h.tell(ctx, "roa", "add", "102.17.1.0/24", "AS37101", "24"))
}

// stale is a parent whose replies were signed twenty hours ago, and others that are none.
func stale(ctx context.Context, r *run, dir string) (string, error) {
	h, err := r.foundAndServe(ctx, dir, p256)
	if err != nil {
		return "", err
	}
	p, err := newParent()
	if err != nil {
		return "", err
	}
	url, end, err := serveHTTP(p)
	if err != nil {
		return "", err
	}
	defer end()
	p.certifies("old", 1, 20*time.Hour)
	if err := h.adopt(ctx, "north/acacia", "mother", url, p); err != nil {
		return "", err
	}
	var errs []error
	taken := func(name string) (bool, error) {
		text, err := h.ask(ctx, "parents", "list", "north/acacia", "-o", "json")
		return bytes.Contains(text, []byte(name+"0")), err
	}
	if err := h.daemon.ForgetPeak(); err != nil {
		return "", err
	}
	quiet := h.daemon.Memory()
	refresh := func(name, what string) error {
		began, calls := time.Now(), p.calls.Load()
		if err := h.tell(ctx, "parents", "refresh", "north/acacia"); err == nil {
			errs = append(errs, fmt.Errorf("%s: nothing was said of it", what))
		}
		if took := time.Since(began); took > 30*time.Second {
			errs = append(errs, fmt.Errorf("%s: it was waited for %.0f s", what, took.Seconds()))
		}
		if p.calls.Load() == calls {
			return errors.New("the parent was not asked")
		}
		got, err := taken(name)
		if got {
			errs = append(errs, fmt.Errorf("%s: what it says is taken", what))
		}
		return err
	}
	if err := refresh("old", "a reply that was signed 20 hours ago"); err != nil {
		return "", err
	}
	p.replies(func([]byte) []byte { return make([]byte, 96<<20) })
	if err := refresh("endless", "a reply of 96 MB"); err != nil {
		return "", err
	}
	figures := fmt.Sprintf("a reply of 96 MB took the daemon from %d to %d MB", quiet>>20, h.daemon.PeakMemory()>>20)
	if h.daemon.PeakMemory() > quiet+memoryFloor/2 { // a message of RFC 6492 has 4 MiB
		errs = append(errs, errors.New(figures))
	}
	stranger, err := newIdentity()
	if err != nil {
		return "", err
	}
	own := p.identity
	p.identity = stranger
	p.certifies("foreign", 1, 0)
	if err := refresh("foreign", "a reply that somebody else signed"); err != nil {
		return "", err
	}
	p.identity = own
	p.certifies("true", 1, 0)
	if err := h.tell(ctx, "parents", "refresh", "north/acacia"); err != nil {
		errs = append(errs, err)
	}
	if got, err := taken("true"); err != nil || !got {
		errs = append(errs, errors.Join(errors.New("a reply as it should be is not taken"), err))
	}
	return figures, errors.Join(errs...)
}

// misplacing is a publication server that gives an organisation a place that is none, or not its own.
func misplacing(ctx context.Context, r *run, dir string) (string, error) {
	h, err := r.foundAndServe(ctx, dir, p256)
	if err != nil {
		return "", err
	}
	id, err := newIdentity()
	if err != nil {
		return "", err
	}
	var errs []error
	bad := []string{
		"rsync://evil.example/../x/", "rsync://evil.example/x/../../y/", "rsync://evil.example/x/./", "rsync://evil.example/x//y/", "rsync://evil.example/", "rsync://u:p@evil.example/x/",
		"rsync://evil.example/%2e%2e/x/", "rsync://evil.example/x/?y/", "rsync://evil.example/a\x1b[31m/", h.module("north"), h.module("north") + "north/", h.module("south") + "x/",
		strings.Replace(h.module("north"), "localhost", "LOCALHOST", 1) + "x/",
	}
	for i, base := range bad {
		path := h.path(fmt.Sprintf("repository-%d.xml", i))
		response := &setup.RepositoryResponse{ServiceURI: "http://127.0.0.1:1/", PublisherHandle: "x", SIABase: base, TrustAnchor: id.certificate}
		if err := os.WriteFile(path, response.XML(), 0o600); err != nil {
			return "", err
		}
		if err := refused(h.tell(ctx, "repository", "configure", "north/acacia", "--response", path), 2); err != nil {
			errs = append(errs, fmt.Errorf("a sia_base of %q: %w", base, err))
		}
	}
	// it is not stuck: neither with a key roll, nor with publishing here
	if err := h.tell(ctx, "keys", "roll", "north/acacia"); err != nil {
		errs = append(errs, err)
	}
	// whose operator was wrong about a server gets away from it
	path := h.path("repository-gone.xml")
	response := &setup.RepositoryResponse{ServiceURI: "http://127.0.0.1:1/", PublisherHandle: "x", SIABase: "rsync://gone.example/x/", TrustAnchor: id.certificate}
	if err := os.WriteFile(path, response.XML(), 0o600); err != nil {
		return "", err
	}
	if err := h.tell(ctx, "repository", "configure", "north/marula", "--response", path); err != nil {
		return "", err
	}
	if err := h.tell(ctx, "repository", "local", "north/marula"); err != nil {
		errs = append(errs, fmt.Errorf("away from a server that is not there: %w", err))
	}
	return fmt.Sprintf("%d places", len(bad)), errors.Join(errs...)
}
