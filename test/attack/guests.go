package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"cadastre/internal/object"
	"cadastre/internal/publication"
	"cadastre/internal/updown"
)

// manyKeys makes RSA keys from pairs of a few primes: good enough to ask with, and forty times as fast.
func manyKeys(n int) ([]crypto.Signer, error) {
	var primes []*big.Int
	var keys []crypto.Signer
	for len(keys) < n {
		p, err := rand.Prime(rand.Reader, 1024)
		if err != nil {
			return nil, err
		}
		e := big.NewInt(65537)
		one := big.NewInt(1)
		if new(big.Int).GCD(nil, nil, new(big.Int).Sub(p, one), e).Cmp(one) != 0 {
			continue
		}
		for _, q := range primes {
			modulus := new(big.Int).Mul(p, q)
			if modulus.BitLen() != 2048 || len(keys) == n {
				continue
			}
			phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
			key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: modulus, E: 65537}, D: new(big.Int).ModInverse(e, phi), Primes: []*big.Int{p, q}}
			key.Precompute()
			if err := key.Validate(); err == nil {
				keys = append(keys, key)
			}
		}
		primes = append(primes, p)
	}
	return keys, nil
}

// guest is the CA of a holder that means no good, with a place to publish.
func (s *stage) guest(ctx context.Context, holder string) (*child, *publisher, error) {
	c, err := s.delegate(ctx, "north/"+holder)
	if err != nil {
		return nil, nil, err
	}
	p, err := s.register(ctx, holder)
	return c, p, err
}

// leave has the guest gone.
func (s *stage) leave(ctx context.Context, holder string) error {
	return errors.Join(s.tell(ctx, "children", "remove", "north/"+holder), s.tell(ctx, "publishers", "remove", holder))
}

// churning has keys certified and hangs up, again and again: what is decided is signed and published for nobody.
func churning(ctx context.Context, s *stage) (string, error) {
	c, p, err := s.guest(ctx, "mallory")
	if err != nil {
		return "", err
	}
	keys, err := manyKeys(60)
	if err != nil {
		return "", err
	}
	before := s.reader.at()
	crlBefore, err := s.crlSize(ctx)
	if err != nil {
		return "", err
	}
	began, n := time.Now(), 0
	for ; time.Since(began) < 20*time.Second; n++ {
		key := keys[n/2%len(keys)]
		public, err := object.PublicKeyOf(key)
		if err != nil {
			return "", err
		}
		var body updown.Body = &updown.Revoke{Class: "default", SKI: public.ID[:]}
		if n%2 == 0 {
			if body, err = issue(key, p.base, p.base+public.ID.FileName()+".mft", p.notify); err != nil {
				return "", err
			}
		}
		message, err := c.message(body, time.Now())
		if err != nil {
			return "", err
		}
		hangUp, cancel := context.WithTimeout(ctx, 90*time.Millisecond)
		_, _ = post(hangUp, c.client, c.url, c.contentType, message) // what is answered does not matter
		cancel()
		if err := pause(ctx, 100*time.Millisecond-min(time.Since(began)%(100*time.Millisecond), 90*time.Millisecond)); err != nil {
			return "", err
		}
	}
	after := s.reader.at()
	crlAfter, err := s.crlSize(ctx)
	if err != nil {
		return "", err
	}
	figures := fmt.Sprintf("%d requests, %d serials, the registry's CRL from %d to %d octets", n, after-before, crlBefore, crlAfter)
	if crlAfter > crlBefore+2000 {
		err = errors.New("the CRL of the registry grew: " + figures)
	}
	return figures, errors.Join(err, s.leave(ctx, "mallory"))
}

// crlSize is how large the largest CRL in the repository is that honest clients read.
func (s *stage) crlSize(ctx context.Context) (largest int, err error) {
	var whole rrdpFile
	uri, err := s.snapshot(ctx)
	if err != nil {
		return 0, err
	}
	one := newReader(s.installation, func(time.Duration, error) {})
	if err := one.fetch(ctx, uri, "", false, &whole); err != nil {
		return 0, err
	}
	for _, p := range whole.Publish {
		if strings.HasSuffix(p.URI, ".crl") {
			largest = max(largest, len(p.Data)*3/4)
		}
	}
	return largest, nil
}

// places asks for certificates that say to publish where others do, or nowhere.
func places(ctx context.Context, s *stage) (string, error) {
	c, p, err := s.guest(ctx, "trudy")
	if err != nil {
		return "", err
	}
	key, err := object.RSA.Generate()
	if err != nil {
		return "", err
	}
	ours := s.module("north")
	bad := []struct{ repository, manifest, notify string }{
		{ours, ours + "x.mft", p.notify},
		{ours + "north/", ours + "north/x.mft", p.notify},
		{p.base + "../", p.base + "../x.mft", p.notify},
		{"rsync://u:p@x.example/y/", "rsync://u:p@x.example/y/x.mft", ""},
		{"rsync://evil.example/../x/", "rsync://evil.example/../x/x.mft", ""},
		{"rsync://localhost:1/a\x1b[31m/", "rsync://localhost:1/a\x1b[31m/x.mft", ""},
		{s.module("south"), s.module("south") + "x.mft", ""},
	}
	var errs []error
	for _, at := range bad {
		request, err := issue(key, at.repository, at.manifest, at.notify)
		if err != nil {
			return "", err
		}
		body, err := c.ask(ctx, request)
		var wrong *updown.Error
		switch {
		case err == nil:
			errs = append(errs, fmt.Errorf("a certificate that says to publish at %q was issued: %T", at.repository, body))
		case errors.As(err, &wrong) && wrong.Status < 1200:
			errs = append(errs, fmt.Errorf("%q was to be tried again: %w", at.repository, err))
		case errors.As(err, &wrong), errors.Is(err, errTurnedAway):
		default:
			return "", err
		}
	}
	// a place of its own is granted
	request, err := issue(key, p.base, p.base+"x.mft", p.notify)
	if err == nil {
		_, err = c.ask(ctx, request)
	}
	if err != nil {
		errs = append(errs, fmt.Errorf("its own place: %w", err))
	}
	return fmt.Sprintf("%d places", len(bad)), errors.Join(append(errs, s.leave(ctx, "trudy"))...)
}

// again sends messages that were sent before, within the second in which they were signed.
func again(ctx context.Context, s *stage) (string, error) {
	c, p, err := s.guest(ctx, "oscar")
	if err != nil {
		return "", err
	}
	key, err := object.RSA.Generate()
	if err != nil {
		return "", err
	}
	public, err := object.PublicKeyOf(key)
	if err != nil {
		return "", err
	}
	request, err := issue(key, p.base, p.base+"x.mft", p.notify)
	if err != nil {
		return "", err
	}
	var errs []error
	at := time.Now().Add(30 * time.Second) // within the tolerance of clocks, so that all is signed in one second
	issued, err1 := c.message(request, at)
	revoked, err2 := c.message(&updown.Revoke{Class: "default", SKI: public.ID[:]}, at)
	if err := errors.Join(err1, err2); err != nil {
		return "", err
	}
	for _, message := range [][]byte{issued, revoked} {
		if _, err := c.sendsRequest(ctx, message); err != nil {
			return "", err
		}
	}
	if _, err := c.sendsRequest(ctx, issued); !errors.Is(err, errTurnedAway) {
		errs = append(errs, fmt.Errorf("the request for a certificate that was revoked is taken again: %w", orTaken(err)))
	}
	object1, object2 := randomOctets(1000), randomOctets(1000)
	uri, hash := p.base+"x.roa", sha256.Sum256(object1)
	var queries [][]byte
	for _, pdu := range []publication.PDU{{URI: uri, Object: object1}, {URI: uri, Hash: &hash, Withdraw: true}} {
		message, err := p.signer.Sign((&publication.Query{PDUs: []publication.PDU{pdu}}).XML(), at)
		if err != nil {
			return "", err
		}
		if _, err := p.sendsQuery(ctx, message); err != nil {
			return "", err
		}
		queries = append(queries, message)
	}
	if _, err := p.sendsQuery(ctx, queries[0]); !errors.Is(err, errTurnedAway) {
		errs = append(errs, fmt.Errorf("what was withdrawn is published again by the old message: %w", orTaken(err)))
	}
	// two different messages of one second are both taken
	second, err := p.signer.Sign((&publication.Query{PDUs: []publication.PDU{{URI: p.base + "y.roa", Object: object2}}}).XML(), at)
	if err != nil {
		return "", err
	}
	if _, err := p.sendsQuery(ctx, second); err != nil {
		errs = append(errs, fmt.Errorf("another message of the same second: %w", err))
	}
	older, err := p.signer.Sign((&publication.Query{List: true}).XML(), at.Add(-20*time.Second))
	if err != nil {
		return "", err
	}
	if _, err := p.sendsQuery(ctx, older); !errors.Is(err, errTurnedAway) {
		errs = append(errs, fmt.Errorf("a message that is older than one that was answered is taken: %w", orTaken(err)))
	}
	return "", errors.Join(append(errs, s.leave(ctx, "oscar"))...)
}

// orTaken is an error, or that there was none.
func orTaken(err error) error {
	if err == nil {
		return errors.New("without an error")
	}
	return err
}

// renewing asks twice within a second for a certificate of one key, with other places the second time.
func renewing(ctx context.Context, r *run, dir string) (string, error) {
	h, err := r.foundAndServe(ctx, dir, p256) // which signs within a second
	if err != nil {
		return "", err
	}
	c, err := h.delegate(ctx, "north/mallory")
	if err != nil {
		return "", err
	}
	p, err := h.register(ctx, "renewer")
	if err != nil {
		return "", err
	}
	key, err := object.P256.Generate()
	if err != nil {
		return "", err
	}
	for i := range 5 {
		name := fmt.Sprintf("manifest-%d.mft", i)
		request, err := issue(key, p.base, p.base+name, p.notify)
		if err != nil {
			return "", err
		}
		body, err := c.ask(ctx, request)
		if err != nil {
			return "", err
		}
		r, ok := body.(*updown.IssueResponse)
		if !ok || len(r.Class.Certificates) != 1 {
			return "", fmt.Errorf("an issue is answered with %T", body)
		}
		if !bytes.Contains(r.Class.Certificates[0].Certificate, []byte(p.base+name)) {
			return "", fmt.Errorf("the certificate that came for %s does not name it: it is that from before", name)
		}
	}
	return "", nil
}

// versions publishes one large object again and again, until it is refused, for so long, or so often.
func (p *publisher) versions(ctx context.Context, size, most int, during time.Duration) (taken int, refusal, err error) {
	uri := p.base + "large.roa"
	var was *[32]byte
	for began := time.Now(); taken < most && time.Since(began) < during; taken++ {
		octets := randomOctets(size)
		if _, err := p.ask(ctx, &publication.Query{PDUs: []publication.PDU{{URI: uri, Object: octets, Hash: was}}}); err != nil {
			if ctx.Err() != nil {
				return taken, nil, err
			}
			return taken, err, nil
		}
		hash := sha256.Sum256(octets)
		was = &hash
	}
	return taken, nil, nil
}

// large is an object as large as a publisher may have one.
const large = 4 << 20

// replacing has one large object published again and again.
func replacing(ctx context.Context, s *stage) (string, error) {
	p, err := s.register(ctx, "replacer")
	if err != nil {
		return "", err
	}
	before := s.size()
	// as base64 a version takes a third more, and 512 MiB are kept of one publisher
	const most = 512 << 20 / (large / 3 * 4)
	taken, refusal, err := p.versions(ctx, large, most+10, 20*time.Second)
	if err != nil {
		return "", err
	}
	figures := fmt.Sprintf("%d versions of 4 MB taken, DATA from %d to %d MB", taken, before>>20, s.size()>>20)
	if refusal != nil {
		figures += ", then: " + refusal.Error()
	}
	if taken > most {
		err = errors.New(figures)
	}
	return figures, errors.Join(err, s.tell(ctx, "publishers", "remove", "replacer"))
}

// littering has versions of a large object that came and went on the disk. Ten hours later no reader can ask for them.
func littering(ctx context.Context, r *run, dir string) (string, error) {
	h, err := r.foundAndServe(ctx, dir, p256)
	if err != nil {
		return "", err
	}
	clock, err := h.clockOf()
	if err != nil {
		return "", err
	}
	defer clock.close()
	p, err := h.register(ctx, "litterer")
	if err != nil {
		return "", err
	}
	before := h.size()
	taken, _, err := p.versions(ctx, large, 20, 10*time.Second)
	if err != nil {
		return "", err
	}
	full := h.size()
	// what is listed changes with the next serial, and what is listed no more goes when it is tidied up, each ten minutes
	err = errors.Join(pause(ctx, 2*time.Second), clock.pass(5*time.Hour), h.tell(ctx, "roa", "add", "102.16.1.0/24", "AS37100", "24"), pause(ctx, 2*time.Second), clock.pass(5*time.Hour))
	if err != nil {
		return "", err
	}
	figures := func() string {
		return fmt.Sprintf("%d versions of 4 MB taken, DATA from %d to %d MB, and ten hours later %d MB", taken, before>>20, full>>20, h.size()>>20)
	}
	const segment = 64 << 20 // which is written to is not emptied
	for began := time.Now(); h.size() > before+segment+4*large; {
		if time.Since(began) > 25*time.Second {
			return "", errors.New(figures())
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return "", err
		}
	}
	return figures(), nil
}

// spreading publishes where others do, under names that are none.
func spreading(ctx context.Context, s *stage) (string, error) {
	p, err := s.register(ctx, "spreader")
	if err != nil {
		return "", err
	}
	honest := s.authority
	hash := honest.has[honest.manifest]
	bad := []publication.PDU{
		{URI: honest.publisher.base + "x.roa", Object: []byte("x")},
		{URI: honest.manifest, Object: []byte("x"), Hash: &hash},
		{URI: honest.manifest, Hash: &hash, Withdraw: true},
		{URI: p.base + "../kamba/x.roa", Object: []byte("x")},
		{URI: p.base + "./x.roa", Object: []byte("x")},
		{URI: p.base + "a//x.roa", Object: []byte("x")},
		{URI: p.base + "%2e%2e/kamba/x.roa", Object: []byte("x")},
		{URI: p.base, Object: []byte("x")},
		{URI: strings.TrimSuffix(p.base, "/") + "x.roa", Object: []byte("x")},
		{URI: p.base + strings.Repeat("x", 5000) + ".roa", Object: []byte("x")},
		{URI: p.base + "a\tb.roa", Object: []byte("x")},
		{URI: "rsync://evil.example/x/x.roa", Object: []byte("x")},
		{URI: s.url("rrdp/north/notification.xml"), Object: []byte("x")},
	}
	var errs []error
	for _, pdu := range bad {
		if _, err := p.ask(ctx, &publication.Query{PDUs: []publication.PDU{pdu}}); err == nil {
			errs = append(errs, fmt.Errorf("%.100q was taken", pdu.URI))
		} else if ctx.Err() != nil {
			return "", err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return "", err
		}
	}
	errs = append(errs, honest.hasLost(ctx))
	return fmt.Sprintf("%d queries", len(bad)), errors.Join(append(errs, s.tell(ctx, "publishers", "remove", "spreader"))...)
}
