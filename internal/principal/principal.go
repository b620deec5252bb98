// Package principal is who asks for something, or decides it: an operator, the daemon by itself, or a peer. The door that somebody comes by
// makes the principal, and puts it into the context of each request.
package principal

import (
	"context"
	"log/slog"
	"unicode/utf8"

	"cadastre/internal/fault"
	"cadastre/internal/printable"
)

// Door is the way by which a principal comes. Its text stands in the log of decisions.
type Door string

// The doors.
const (
	Socket  Door = "socket"  // the Unix socket of the daemon
	Command Door = "command" // a command that works on the data directory, while no daemon holds it
	Daemon  Door = "daemon"  // nobody asked: a part of the daemon decides by itself
	Peer    Door = "peer"    // a message that a peer signed
)

// Rights is what a principal may do, a set.
type Rights uint8

// The rights.
const (
	Read   Rights = 1 << iota // be told what there is
	Change                    // decide, and change what is kept of peers, keys and deposits
)

// Principal is who asks, or decides.
type Principal struct {
	Name   string // of an operator the account that the kernel names; else the part of the daemon, or the peer
	For    string // on whose behalf an operator says that he acts; empty: his own
	Door   Door
	Rights Rights
}

// Operator is an account of this machine, at the socket or with a command on the data directory. Whoever gets there may do everything: the
// modes of socket and directory decide who does.
func Operator(account string, door Door) Principal {
	return Principal{Name: account, Door: door, Rights: Read | Change}
}

// Part is a part of the daemon that decides by itself. It asks nobody, and needs no rights.
func Part(name string) Principal { return Principal{Name: name, Door: Daemon} }

// OfPeer is a peer whose message led to a decision. What it may say is checked where the message is read.
func OfPeer(name string) Principal { return Principal{Name: name, Door: Peer} }

// String is the text in records of decisions, intents and steps of transfers: the name, and "NAME for WHOM" where it acts for somebody.
// Names of accounts have no spaces.
func (p Principal) String() string {
	if p.For != "" {
		return p.Name + " for " + p.For
	}
	return p.Name
}

// LogValue is the text in logs.
func (p Principal) LogValue() slog.Value { return slog.StringValue(p.String()) }

// longest is how many characters may name on whose behalf somebody acts.
const longest = 256

// ActingFor is the same principal on behalf of somebody; empty: on his own. It fails with BadInput if the name does not print, or is too long.
func (p Principal) ActingFor(whom string) (Principal, error) {
	if ok, odd := printable.IsLine(whom); !ok {
		return p, fault.New(fault.BadInput, "%.100q has a character that does not print, U+%04X: leave it out", whom, odd)
	}
	if n := utf8.RuneCountInString(whom); n > longest {
		return p, fault.New(fault.BadInput, "who it is done for has %d characters, and may have %d: shorten what --actor says", n, longest)
	}
	p.For = whom
	return p, nil
}

// May fails with Forbidden if the principal lacks one of some rights.
func (p Principal) May(needs Rights) error {
	switch missing := needs &^ p.Rights; {
	case missing&Read != 0:
		return fault.New(fault.Forbidden, "%s may not read this: ask an operator", p)
	case missing != 0:
		return fault.New(fault.Forbidden, "%s may read, and change nothing: ask an operator", p)
	}
	return nil
}

type key struct{}

// In is a context in which p asks.
func In(ctx context.Context, p Principal) context.Context { return context.WithValue(ctx, key{}, p) }

// Of is who asks in a context. Nobody, if no door put anybody there: he has no rights.
func Of(ctx context.Context) Principal {
	p, _ := ctx.Value(key{}).(Principal)
	return p
}
