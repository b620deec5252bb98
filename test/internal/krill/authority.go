package krill

import (
	"context"
	"slices"
	"strings"
)

// CA is one of Krill's CAs.
type CA struct {
	k    *Krill
	Name string
}

// CA is one of its CAs.
func (k *Krill) CA(name string) *CA { return &CA{k, name} }

// Found makes a new CA.
func (k *Krill) Found(ctx context.Context, name string) error {
	_, err := k.c(ctx, "add", "--ca", name)
	return err
}

// request has this CA write a message of RFC 8183.
func (a *CA) request(ctx context.Context, of string) ([]byte, error) {
	return a.k.c(ctx, of, "request", "--ca", a.Name)
}

// run runs a command of krillc for this CA.
func (a *CA) run(ctx context.Context, words string, args ...string) error {
	return a.k.Change(ctx, append(append(strings.Fields(words), "--ca", a.Name), args...)...)
}

// Holds is what it is certified for.
func (a *CA) Holds(ctx context.Context) (string, error) {
	var ca struct {
		Resources struct{ ASN, IPv4, IPv6 string } `json:"resources"`
	}
	if err := a.k.ask(ctx, &ca, "show", "--ca", a.Name); err != nil {
		return "", err
	}
	return strings.Join(strings.Fields(ca.Resources.ASN+" "+ca.Resources.IPv4+" "+ca.Resources.IPv6), " "), nil
}

// ChildRequest is its identity for a parent (RFC 8183, section 5.2.1).
func (a *CA) ChildRequest(ctx context.Context) ([]byte, error) {
	return a.request(ctx, "parents")
}

// PublisherRequest is its identity for a publication server (RFC 8183, section 5.2.3).
func (a *CA) PublisherRequest(ctx context.Context) ([]byte, error) {
	return a.request(ctx, "repo")
}

// Joins hangs it under the parent whose response is in the file.
func (a *CA) Joins(ctx context.Context, parent, response string) error {
	return a.run(ctx, "parents add", "--parent", parent, "--response", response)
}

// Leaves revokes what it has from the parent and forgets it.
func (a *CA) Leaves(ctx context.Context, parent string) error {
	return a.run(ctx, "parents remove", "--parent", parent)
}

// Publishes moves it to the server whose response is in the file.
func (a *CA) Publishes(ctx context.Context, response string) error {
	return a.run(ctx, "repo configure", "--response", response)
}

// Authorises adds VRPs: lines of prefix,maxlength,ASn.
func (a *CA) Authorises(ctx context.Context, vrps ...string) error {
	return a.update(ctx, "--add", vrps)
}

// Ends removes VRPs.
func (a *CA) Ends(ctx context.Context, vrps ...string) error {
	return a.update(ctx, "--remove", vrps)
}

// update changes ROAs, which Krill writes 192.0.2.0/24-24 => 64496.
func (a *CA) update(ctx context.Context, flag string, vrps []string) error {
	var args []string
	for _, v := range vrps {
		prefix, maxLength, origin := FieldsOf(v)
		args = append(args, flag, prefix+"-"+maxLength+" => "+origin)
	}
	return a.run(ctx, "roas update", args...)
}

// Attests says which providers an AS has, in place of what was said before: lines of AS1=>AS2,AS3.
func (a *CA) Attests(ctx context.Context, vaps ...string) error {
	for _, v := range vaps {
		customer, providers, _ := strings.Cut(v, "=>")
		if err := a.run(ctx, "aspas add", "--aspa", customer+" => "+strings.ReplaceAll(providers, ",", ", ")); err != nil {
			return err
		}
	}
	return nil
}

// Retracts says no more which providers an AS has.
func (a *CA) Retracts(ctx context.Context, customer string) error {
	return a.run(ctx, "aspas remove", "--customer", customer)
}

// Asks has it ask its parents now rather than when it would by itself.
func (a *CA) Asks(ctx context.Context) error {
	return a.k.Change(ctx, "bulk", "refresh")
}

// Rolls begins a key roll.
func (a *CA) Rolls(ctx context.Context) error { return a.run(ctx, "keyroll init") }

// Activates has the new key take over from the old (RFC 6489, section 2).
func (a *CA) Activates(ctx context.Context) error { return a.run(ctx, "keyroll activate") }

// Keys is the identifiers of its keys. It is a roller of test/interop by it.
func (a *CA) Keys(ctx context.Context) ([]string, error) {
	var ca any
	if err := a.k.ask(ctx, &ca, "show", "--ca", a.Name); err != nil {
		return nil, err
	}
	return TextsNamed(ca, "key_id"), nil
}

// TextsNamed is every text under a name anywhere in JSON, in order, each once.
func TextsNamed(value any, name string) []string {
	var found []string
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			if text, ok := inner.(string); ok && key == name {
				found = append(found, text)
			}
			found = append(found, TextsNamed(inner, name)...)
		}
	case []any:
		for _, inner := range v {
			found = append(found, TextsNamed(inner, name)...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
