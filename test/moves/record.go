package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// logEntry is what this program reads of an entry of a transfer log, of its IPv4 part.
type logEntry struct {
	IPv4 struct {
		Moved []struct {
			First string `json:"start_address"`
			Last  string `json:"end_address"`
		} `json:"transfer_set"`
	} `json:"ip4nets"`
	Source    string `json:"source_rir"`
	Recipient string `json:"recipient_rir"`
	Type      string `json:"type"`
	Date      string `json:"transfer_date"`
}

// logged tells whether each move that came to its end is in the log that the daemon serves of the registries that it was
// between, and no other.
func (s *scene) logged(ctx context.Context) (string, error) {
	logs := map[string][]logEntry{}
	for _, rir := range []string{"afrinic", "lacnic"} {
		text, err := s.tls.Fetch(ctx, fmt.Sprintf("https://localhost:%d/transfers/%s/transfers_latest.json", s.h.https, rir))
		if err != nil {
			return "", err
		}
		var log struct {
			Transfers []logEntry `json:"transfers"`
		}
		if err := json.Unmarshal(text, &log); err != nil {
			return "", fmt.Errorf("the log of %s cannot be read: %w", rir, err)
		}
		logs[rir] = log.Transfers
	}
	found := 0
	for _, m := range s.world.moves {
		at := slices.IndexFunc(m.area, func(p netip.Prefix) bool { return p.Addr().Is4() })
		if at < 0 {
			continue
		}
		from, to := rirOf(m.from), rirOf(m.to)
		is := slices.ContainsFunc(logs[from], func(e logEntry) bool { return e.moves(m.area[at], from, to) })
		if want := !m.cancel && !m.dispute; is != want {
			return "", fmt.Errorf("%s, number %d: it is in the log of %s: %v, want %v", m.label, m.id, from, is, want)
		}
		if is {
			found++
		}
	}
	return fmt.Sprintf("%d of those with IPv4 addresses", found), nil
}

// rirOf is the RIR that a holder is below.
func rirOf(handle string) string {
	if registry := registryOf(handle); registry != nir {
		return registry
	}
	return "lacnic"
}

// moves tells whether an entry is of a move of addresses from one RIR to another.
func (e *logEntry) moves(p netip.Prefix, from, to string) bool {
	if !strings.EqualFold(e.Source, from) || !strings.EqualFold(e.Recipient, to) || e.Date == "" {
		return false
	}
	for _, r := range e.IPv4.Moved {
		first, err1 := netip.ParseAddr(plain(r.First))
		last, err2 := netip.ParseAddr(plain(r.Last))
		if err1 == nil && err2 == nil && first.Compare(p.Addr()) <= 0 && p.Addr().Compare(last) <= 0 {
			return true
		}
	}
	return false
}

// plain takes the zeros off that some registries put before numbers: 041.000.000.001.
func plain(address string) string {
	words := strings.Split(address, ".")
	for i, w := range words {
		if words[i] = strings.TrimLeft(w, "0"); words[i] == "" {
			words[i] = "0"
		}
	}
	return strings.Join(words, ".")
}

// evidence has the evidence of every transfer written, and verified by the certificate that our peers have.
func (s *scene) evidence(ctx context.Context) (string, error) {
	signer, err := s.file(s.h.ask(ctx, "escrow", "signer"))("signer.pem")
	if err != nil {
		return "", err
	}
	n := 0
	for _, m := range s.world.moves {
		path, err := s.file(s.h.ask(ctx, "transfer", "evidence", fmt.Sprint(m.id)))(fmt.Sprintf("evidence-%d.json", m.id))
		if err != nil {
			return "", err
		}
		if err := s.h.run(ctx, "transfer", "evidence", "--verify", path, "--signer", signer); err != nil {
			return "", fmt.Errorf("number %d: %w", m.id, err)
		}
		n++
	}
	if n == 0 {
		return "", errors.New("there is none")
	}
	return fmt.Sprintf("%d transfers", n), nil
}
