package main

import (
	"context"
	"slices"
	"strings"
)

// krillCA is one of Krill's CAs.
type krillCA struct {
	k    *krill
	name string
}

func (k *krill) ca(name string) *krillCA { return &krillCA{k, name} }

// found makes a new CA.
func (k *krill) found(ctx context.Context, name string) error {
	_, err := k.c(ctx, "add", "--ca", name)
	return err
}

// request has this CA write a message of RFC 8183.
func (a *krillCA) request(ctx context.Context, of string) ([]byte, error) {
	return a.k.c(ctx, of, "request", "--ca", a.name)
}

// run runs a command of krillc for this CA.
func (a *krillCA) run(ctx context.Context, words string, args ...string) error {
	return a.k.change(ctx, append(append(strings.Fields(words), "--ca", a.name), args...)...)
}

// holds is what it is certified for.
func (a *krillCA) holds(ctx context.Context) (string, error) {
	var ca struct {
		Resources struct{ ASN, IPv4, IPv6 string } `json:"resources"`
	}
	if err := a.k.ask(ctx, &ca, "show", "--ca", a.name); err != nil {
		return "", err
	}
	return strings.Join(strings.Fields(ca.Resources.ASN+" "+ca.Resources.IPv4+" "+ca.Resources.IPv6), " "), nil
}

func (a *krillCA) childRequest(ctx context.Context) ([]byte, error) {
	return a.request(ctx, "parents")
}

func (a *krillCA) publisherRequest(ctx context.Context) ([]byte, error) {
	return a.request(ctx, "repo")
}

func (a *krillCA) joins(ctx context.Context, parent, response string) error {
	return a.run(ctx, "parents add", "--parent", parent, "--response", response)
}

func (a *krillCA) leaves(ctx context.Context, parent string) error {
	return a.run(ctx, "parents remove", "--parent", parent)
}

func (a *krillCA) publishes(ctx context.Context, response string) error {
	return a.run(ctx, "repo configure", "--response", response)
}

func (a *krillCA) authorises(ctx context.Context, vrps ...string) error {
	return a.update(ctx, "--add", vrps)
}

func (a *krillCA) ends(ctx context.Context, vrps ...string) error {
	return a.update(ctx, "--remove", vrps)
}

// update changes ROAs, which Krill writes 192.0.2.0/24-24 => 64496.
func (a *krillCA) update(ctx context.Context, flag string, vrps []string) error {
	var args []string
	for _, v := range vrps {
		prefix, maxLength, origin := fieldsOf(v)
		args = append(args, flag, prefix+"-"+maxLength+" => "+origin)
	}
	return a.run(ctx, "roas update", args...)
}

func (a *krillCA) asks(ctx context.Context) error {
	return a.k.change(ctx, "bulk", "refresh")
}

func (a *krillCA) rolls(ctx context.Context) error     { return a.run(ctx, "keyroll init") }
func (a *krillCA) activates(ctx context.Context) error { return a.run(ctx, "keyroll activate") }

// keys implements roller.
func (a *krillCA) keys(ctx context.Context) ([]string, error) {
	var ca any
	if err := a.k.ask(ctx, &ca, "show", "--ca", a.name); err != nil {
		return nil, err
	}
	return textsNamed(ca, "key_id"), nil
}

// textsNamed is every text under a name anywhere in JSON, in order, each once.
func textsNamed(value any, name string) []string {
	var found []string
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			if text, ok := inner.(string); ok && key == name {
				found = append(found, text)
			}
			found = append(found, textsNamed(inner, name)...)
		}
	case []any:
		for _, inner := range v {
			found = append(found, textsNamed(inner, name)...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
