package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/transferwire"
	"cadastre/test/internal/brake"
)

// liar is an introduced installation that lies.
type liar struct {
	*identity
	name   string // and its registry's
	url    string // of the installation's door for it
	server *envelope.Trust
	client *http.Client
}

// befriend has the installation know a lying installation, the keeper of a registry of its name.
func (h *installation) befriend(ctx context.Context, name string) (*liar, error) {
	id, err := newIdentity()
	if err != nil {
		return nil, err
	}
	key, err := object.RSA.Generate()
	if err != nil {
		return nil, err
	}
	public, err := object.PublicKeyOf(key)
	if err != nil {
		return nil, err
	}
	tal := object.TAL{URIs: []string{"https://localhost:1/ta/ta.cer"}, Key: public}
	path := h.path(name + ".xml")
	introduction := &transferwire.Introduction{Name: name, ServiceURI: "http://127.0.0.1:1/transfers/", Registries: []string{name}, TrustAnchor: id.certificate, TAL: tal.Text()}
	if err := os.WriteFile(path, introduction.XML(), 0o600); err != nil {
		return nil, err
	}
	if err := h.tell(ctx, "registries", "add", name, "--introduction", path); err != nil {
		return nil, err
	}
	text, err := h.ask(ctx, "registries", "introduce")
	if err != nil {
		return nil, err
	}
	ours, err := transferwire.ParseIntroduction(text)
	if err != nil {
		return nil, err
	}
	trust, err := envelope.ParseTrust(ours.TrustAnchor)
	return &liar{id, name, ours.ServiceURI + hex.EncodeToString(id.signer.KeyID()), trust, from(90)}, err
}

// says sends a report and reads the answer; where there is none but a status, that is returned.
func (l *liar) says(ctx context.Context, report transferwire.Message) (transferwire.Message, int, error) {
	message, err := l.signer.Sign(report.XML(), time.Now())
	if err != nil {
		return nil, 0, err
	}
	a, err := post(ctx, l.client, l.url, transferwire.ContentType, message)
	if err != nil || a.status != http.StatusOK {
		return nil, a.status, err
	}
	opened, err := l.server.Open(a.body, time.Now())
	if err != nil {
		return nil, a.status, err
	}
	reply, err := transferwire.Parse(opened.Content)
	return reply, a.status, err
}

// claim is a report that resources come from its registry, of somebody who has them there, with a route of AS666.
func (l *liar) claim(n int, kind, to, resources string) (*transferwire.Source, error) {
	set, err := inr.Parse(resources)
	if err != nil {
		return nil, err
	}
	route := transferwire.Route{Prefix: netip.MustParsePrefix(resources), Origin: 666}
	route.MaxLength = route.Prefix.Bits()
	s := &transferwire.Source{
		Ref: fmt.Sprintf("%s%010d", l.name, n), State: transferwire.Initiated, Kind: kind, From: l.name + "/x", FromRegistry: l.name, To: to, ToRegistry: "south", Under: "south",
		Soak: time.Second, Legs: []transferwire.Leg{{Kind: "lir", Parts: []transferwire.Part{{Resources: set, Status: "allocated"}}}}, Staged: []transferwire.Route{route},
	}
	if to == "south" {
		s.From = l.name
	}
	return s, nil
}

// claiming has a lying installation hand things over that nobody has.
func claiming(ctx context.Context, s *stage) (string, error) {
	w, err := s.befriend(ctx, "western")
	if err != nil {
		return "", err
	}
	if err := s.tell(ctx, "policy", "set", "south", "--profile", "restricted", "--exchange", "none"); err != nil {
		return "", err
	}
	var errs []error
	var claims []*transferwire.Source
	n := 0
	for _, kind := range []string{"handoff", "move", "takeover", "merger", "transfer"} {
		for _, to := range []string{"south", "south/victim"} {
			n++
			c, err := w.claim(n, kind, to, fmt.Sprintf("1.%d.0.0/16", n))
			if err != nil {
				return "", err
			}
			if to == "south" {
				c.Under = ""
			}
			claims = append(claims, c)
		}
	}
	// space that somebody here has
	c, err := w.claim(99, "handoff", "south/victim", "102.18.0.0/16")
	if err != nil {
		return "", err
	}
	claims = append(claims, c)
	for round := range 3 {
		for _, c := range claims {
			if round == 2 {
				c.State = transferwire.Accepted // as if it had been agreed on
			}
			reply, _, err := w.says(ctx, c)
			if err != nil {
				return "", err
			}
			if r, ok := reply.(*transferwire.Recipient); ok && (r.State == transferwire.Accepted || r.State == transferwire.Finalised) {
				errs = append(errs, fmt.Errorf("a %s of %s to %s is %s", c.Kind, c.Legs[0].Parts[0].Resources, c.To, r.State))
			}
		}
		if err := pause(ctx, 2*time.Second); err != nil {
			return "", err
		}
	}
	vrps, err := s.vrps(ctx)
	if err != nil {
		return "", err
	}
	for _, v := range vrps {
		if strings.HasSuffix(v, ",AS666") {
			errs = append(errs, fmt.Errorf("%s is published", v))
		}
	}
	// the holder of what is claimed is not kept from what it does with it
	if err := s.tell(ctx, "transfer", "initiate", "--from", "north/marula", "--to", "north/boswellia", "102.18.0.0/16", "--dry-run"); err != nil {
		if _, said := exitOf(err); !brake.Holds(err) {
			errs = append(errs, fmt.Errorf("who holds what is claimed may not transfer it: %s", said))
		}
	}
	// the operator's decision counts, and takes away what had come of the claim
	err = s.tell(ctx, "registries", "distrust", "western", "--reason", "it lies")
	if brake.Holds(err) {
		err = s.tell(ctx, "registries", "distrust", "western", "--reason", "it lies", "--code", brake.Code(err))
	}
	if err != nil {
		errs = append(errs, err)
	}
	text, err := s.ask(ctx, "transfer", "list", "--open")
	if err != nil {
		errs = append(errs, err)
	} else if bytes.Contains(text, []byte("western")) {
		errs = append(errs, errors.New("transfers with an installation that is distrusted are still open"))
	}
	if err := s.tell(ctx, "transfer", "initiate", "--from", "north/marula", "--to", "north/boswellia", "102.18.0.0/16", "--dry-run"); err != nil {
		if _, said := exitOf(err); !brake.Holds(err) {
			errs = append(errs, fmt.Errorf("who holds what was claimed may not transfer it: %s", said))
		}
	}
	c, err = w.claim(100, "handoff", "south/victim", "3.0.0.0/16")
	if err != nil {
		return "", err
	}
	reply, _, err := w.says(ctx, c)
	if r, ok := reply.(*transferwire.Recipient); err == nil && ok && r.State != transferwire.Refused && r.State != transferwire.Unknown {
		errs = append(errs, fmt.Errorf("what an installation that is distrusted claims is %s", r.State))
	}
	return fmt.Sprintf("%d claims, each three times", len(claims)), errors.Join(errs...)
}

// branching sends one claim with five hundred legs.
func branching(ctx context.Context, s *stage) (string, error) {
	w, err := s.befriend(ctx, "branching")
	if err != nil {
		return "", err
	}
	c, err := w.claim(500, "handoff", "south/branches", "2.0.0.0/8")
	if err != nil {
		return "", err
	}
	for i := range 500 {
		set, err := inr.Parse(fmt.Sprintf("2.%d.%d.0/24", i/256, i%256))
		if err != nil {
			return "", err
		}
		c.Legs = append(c.Legs, transferwire.Leg{Path: fmt.Sprintf("branch%d", i), Kind: "lir", Parts: []transferwire.Part{{Resources: set, Status: "allocated"}}})
	}
	cpu, began := s.daemon.CPU(), time.Now()
	limited, cancel := context.WithTimeout(ctx, 30*time.Second)
	_, status, err := w.says(limited, c)
	cancel()
	if err != nil {
		return "", fmt.Errorf("after %.0f s: %w", time.Since(began).Seconds(), err)
	}
	if err := pause(ctx, 3*time.Second); err != nil {
		return "", err
	}
	spent := s.daemon.CPU() - cpu
	figures := fmt.Sprintf("%.1f s of CPU, what honest clients cost included; status %d", spent.Seconds(), status)
	if spent > 12*time.Second {
		err = errors.New(figures)
	}
	return figures, err
}

// chattering sends long reports of transfers that nobody knows.
func chattering(ctx context.Context, s *stage) (string, error) {
	w, err := s.befriend(ctx, "chattering")
	if err != nil {
		return "", err
	}
	before := s.size()
	statuses := map[int]int{}
	for n := range 8 {
		word := &transferwire.Recipient{Ref: fmt.Sprintf("unknown%010d", n), State: transferwire.Initiated}
		for i := range 400 { // no compression makes it small
			leg := transferwire.Arrival{Path: fmt.Sprintf("x%d", i), Holder: "x"}
			for range 5 {
				leg.Certificates = append(leg.Certificates, "rsync://evil.example/"+hex.EncodeToString(randomOctets(1000))+".cer")
			}
			word.Legs = append(word.Legs, leg)
		}
		_, status, err := w.says(ctx, word)
		if err != nil && ctx.Err() != nil {
			return "", err
		}
		statuses[status]++
	}
	grew := s.size() - before
	figures := fmt.Sprintf("8 words of 4 MB, statuses %v, DATA grew by %d MB", statuses, grew>>20)
	if grew > 8<<20 {
		return "", errors.New(figures)
	}
	return figures, nil
}
