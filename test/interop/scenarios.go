package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cadastre/test/internal/krill"
	"cadastre/test/internal/process"
)

// scenarios are those of the proof, in its order.
var scenarios = []scenario{
	{1, "Krill's CA is our child and publishes with us", krillBelowUs(true), ""},
	{2, "Krill's CA is our child and publishes at Krill's server", krillBelowUs(false), publication},
	{3, "our CA is a child of Krill's and publishes at Krill's server", weBelowKrill(false), ""},
	{4, "our CA is a child of Krill's and publishes with us", weBelowKrill(true), publication},
	{5, "two of our daemons: each has children in the other, which publish at either", betweenUs, ""},
	{6, "our CA has several parents, one of them Krill's", severalParents, publication},
	{7, "keys are rolled on each side while the other watches", keyRolls, ""},
	{8, "our CA moves from Krill's server to ours", moves, ""},
}

// What the installations hold. No address is in two of them, but for the sixth scenario, whose point that is. What one CA
// holds never touches other blocks of its own, for two that touch would be printed as one range.
const (
	weHold     = "196.10.0.0/15 2c0f:ea00::/31 AS37100-AS37199"
	othersHold = "102.16.0.0/15 2c0f:ec00::/31 AS37200-AS37299"
)

// A holder of ours that has nothing to do with anyone: what it has must be there throughout.
const (
	bystander      = "bystander"
	bystanderHolds = "196.11.0.0/24"
	bystanderVRP   = "196.11.0.0/24,24,AS37199"
)

// begin starts what a scenario needs, and returns it: Krill, and an installation with a bystander.
func (s *scene) begin(ctx context.Context) (k *krill.Krill, h *installation, want wanted, _ error) {
	err := s.steps(ctx,
		do("Krill starts, and its CA is certified for everything", func(ctx context.Context) (err error) {
			k, err = krill.Start(ctx, s.rpHome, s.path("krill"), s.tls)
			s.krill = k
			return err
		}),
		do("Cadastre starts, with a registry and a holder", func(ctx context.Context) (err error) {
			h, err = s.installation(ctx, ours, weHold)
			return err
		}),
	)
	return k, h, wanted{ours: {bystanderVRP}}, err
}

// installation starts an installation of ours with its bystander.
func (s *scene) installation(ctx context.Context, name, holds string) (*installation, error) {
	h, err := s.startInstallation(ctx, name, holds)
	if err != nil || name != ours {
		return h, err
	}
	b, err := h.enrol(ctx, bystander)
	if err != nil {
		return nil, err
	}
	if err := h.Grants(ctx, bystander, bystanderHolds); err != nil {
		return nil, err
	}
	return h, b.Authorises(ctx, bystanderVRP)
}

// holding waits until one of Krill's CAs is certified for resources, each a prefix.
func holding(ctx context.Context, a *krill.CA, prefixes ...string) error {
	return process.Until(ctx, 30*time.Second, func() error {
		held, err := a.Holds(ctx)
		if err != nil {
			return err
		}
		for _, p := range prefixes {
			if !strings.Contains(held, p) {
				return fmt.Errorf("%s holds %s, and not %s", a.Name, held, p)
			}
		}
		return nil
	})
}

// steady is a step whose deed may not be seen: at every look of the newest rpki-client, from the deed until what is
// awaited has come, and once more, it prints exactly what is wanted.
func (s *scene) steady(what string, want wanted, deed func(ctx context.Context) error, come func(ctx context.Context) error) step {
	return step{what, func(ctx context.Context) (string, error) {
		if err := deed(ctx); err != nil {
			return "", err
		}
		looks := 0
		look := func() error {
			looks++
			return s.look(ctx, newest, want)
		}
		for deadline := time.Now().Add(time.Minute); ; {
			if err := look(); err != nil {
				return "", fmt.Errorf("at look %d: %w", looks, err)
			}
			err := come(ctx)
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				return "", fmt.Errorf("after a minute: %w", err)
			}
		}
		return fmt.Sprintf("%s at each of %d looks", want, looks+1), look()
	}}
}
