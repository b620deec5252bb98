package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"cadastre/test/internal/brake"
	"cadastre/test/internal/krill"
	"cadastre/test/internal/process"
)

// holder is an organisation below the registry of an installation, as the CA that it is.
type holder struct {
	h      *installation
	handle string
}

func (h *installation) holder(handle string) *holder { return &holder{h, handle} }

// enrol adds a holder that holds nothing yet.
func (h *installation) enrol(ctx context.Context, handle string) (*holder, error) {
	return h.holder(handle), h.run(ctx, "organisations", "add", handle, "--parent", registry, "--kind", "lir")
}

func (a *holder) ChildRequest(ctx context.Context) ([]byte, error) {
	return a.h.ask(ctx, "parents", "request", a.handle)
}

func (a *holder) PublisherRequest(ctx context.Context) ([]byte, error) {
	return a.h.ask(ctx, "repository", "request", a.handle)
}

func (a *holder) Joins(ctx context.Context, parent, response string) error {
	return a.h.run(ctx, "parents", "add", a.handle, parent, "--response", response)
}

func (a *holder) Leaves(ctx context.Context, parent string) error {
	return a.h.decide(ctx, "parents", "remove", a.handle, parent)
}

func (a *holder) Publishes(ctx context.Context, response string) error {
	return a.h.run(ctx, "repository", "configure", a.handle, "--response", response)
}

// comesHome has it publish with its own installation again.
func (a *holder) comesHome(ctx context.Context) error {
	return a.h.run(ctx, "repository", "local", a.handle)
}

func (a *holder) Authorises(ctx context.Context, vrps ...string) error {
	return a.intend(ctx, "add", vrps)
}

func (a *holder) Ends(ctx context.Context, vrps ...string) error {
	return a.intend(ctx, "remove", vrps)
}

func (a *holder) Attests(ctx context.Context, vaps ...string) error {
	for _, v := range vaps {
		customer, providers, _ := strings.Cut(v, "=>")
		args := append([]string{"aspa", "add", customer}, strings.Split(providers, ",")...)
		if err := a.h.decide(ctx, append(args, "--replace", "--holder", a.handle)...); err != nil {
			return err
		}
	}
	return nil
}

func (a *holder) Retracts(ctx context.Context, customer string) error {
	return a.h.decide(ctx, "aspa", "remove", customer, "--holder", a.handle)
}

func (a *holder) intend(ctx context.Context, verb string, vrps []string) error {
	for _, v := range vrps {
		prefix, maxLength, origin := krill.FieldsOf(v)
		if err := a.h.decide(ctx, "roa", verb, prefix, "AS"+origin, maxLength, "--holder", a.handle); err != nil {
			return err
		}
	}
	return nil
}

func (a *holder) Asks(ctx context.Context) error {
	return a.h.run(ctx, "parents", "refresh", a.handle)
}

func (a *holder) Rolls(ctx context.Context) error {
	return a.h.run(ctx, "keys", "roll", a.handle, "--soak", "1h") // or until it is told
}

func (a *holder) Activates(ctx context.Context) error {
	return a.h.run(ctx, "keys", "activate", a.handle)
}

// Adopts implements parent: the child becomes an organisation below the registry.
func (h *installation) Adopts(ctx context.Context, child, of, request string) ([]byte, error) {
	if _, err := h.enrol(ctx, child); err != nil {
		return nil, err
	}
	if err := h.Grants(ctx, child, of); err != nil {
		return nil, err
	}
	return h.ask(ctx, "children", "add", child, "--request", request)
}

// Grants implements parent.
func (h *installation) Grants(ctx context.Context, child, more string) error {
	err := h.run(ctx, append([]string{"holdings", "delegate", "--to", child}, strings.Fields(more)...)...)
	return errors.Join(err, h.settle(ctx))
}

// Takes implements parent.
func (h *installation) Takes(ctx context.Context, child, less string) error {
	return h.decide(ctx, append([]string{"holdings", "revoke", "--holder", child}, strings.Fields(less)...)...)
}

// Registers implements server.
func (h *installation) Registers(ctx context.Context, publisher, request string) ([]byte, error) {
	return h.ask(ctx, "publishers", "add", publisher, "--request", request, "--repository", registry)
}

// decide runs a command, and once more with its code where the brake holds it: to take something away from an installation this
// small always takes away a large share.
func (h *installation) decide(ctx context.Context, args ...string) error {
	err := h.run(ctx, args...)
	if code := brake.Code(err); code != "" {
		return h.run(ctx, append(args, "--code", code)...)
	}
	return err
}

// Keys implements roller.
func (a *holder) Keys(ctx context.Context) ([]string, error) {
	var shown any
	if err := a.h.askJSON(ctx, &shown, "keys", "show", a.handle); err != nil {
		return nil, err
	}
	return krill.TextsNamed(shown, "ski"), nil
}

// holding waits until parents certify it for resources, each a prefix. What it is entitled to is not enough.
func (a *holder) holding(ctx context.Context, prefixes ...string) error {
	return process.Until(ctx, 30*time.Second, func() error {
		var parents []struct {
			Classes []struct {
				Keys []struct {
					State     string `json:"state"`
					Resources any    `json:"resources"`
				} `json:"keys"`
			} `json:"classes"`
		}
		if err := a.h.askJSON(ctx, &parents, "parents", "list", a.handle); err != nil {
			return err
		}
		var certified strings.Builder
		for _, p := range parents {
			for _, class := range p.Classes {
				for _, key := range class.Keys {
					fmt.Fprintf(&certified, "%v (%s) ", key.Resources, key.State)
				}
			}
		}
		for _, p := range prefixes {
			if !strings.Contains(certified.String(), p) {
				return fmt.Errorf("%s is not certified for %s, but for %q", a.handle, p, certified.String())
			}
		}
		return nil
	})
}
