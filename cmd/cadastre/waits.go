package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"cadastre/api"
	"cadastre/ca"
)

// waitWords says in a clause what something waits for, on whom, and until when.
func waitWords(w *ca.Wait) string {
	words := map[ca.WaitKind]string{
		ca.NoDaemon:     "no daemon runs, so nothing is signed: start it with 'cadastre serve'",
		ca.ClockFrozen:  "nothing is signed",
		ca.Failing:      "the work fails and is tried again",
		ca.InWork:       atWork(w.Count),
		ca.Unpublished:  w.Of + ": signed, and published with the next serial of its repository",
		ca.Soaking:      w.Of + ": validators are given time to fetch what is above it first (policy.soak)",
		ca.TreeBehind:   w.Of + ": the tree that rsync serves is behind RRDP",
		ca.ServerBehind: w.Of + ": the publication server elsewhere does not have all of it",
		ca.ParentSilent: w.Of + ": a parent elsewhere has not certified its key",
		ca.ChildSilent:  fmt.Sprintf("%s: its CA elsewhere has not asked for a certificate for %s", w.Of, shortened(w.Resources.String(), 60)),
		ca.ChildSheds:   fmt.Sprintf("%s: its CA elsewhere has time to shed %s, which its certificate names meanwhile (policy.notice)", w.Of, shortened(w.Resources.String(), 60)),
		ca.Quarantined:  w.Of + ": it is quarantined, since its work was refused",
		ca.AnchorNeeded: strings.TrimPrefix(w.Of, "#") + ": it needs the trust anchor's key, which is offline: start the daemon with --anchor-passphrase-file",
		ca.Braked:       w.Of + ": what was delegated to it has ended, and the brake holds what follows: look with 'cadastre holdings expire --holder " + w.Of + " --dry-run'",
	}[w.Kind]
	if w.Error != "" {
		words += ": " + w.Error
	}
	if w.Code != "" {
		words += ", code " + w.Code
	}
	switch {
	case w.Until.IsZero():
	case w.Kind == ca.Soaking || w.Kind == ca.ChildSheds || w.Kind == ca.Unpublished || w.Kind == ca.TreeBehind:
		words += ", until " + when(w.Until)
	default:
		words += ", tried again at " + when(w.Until)
	}
	return words
}

// waitLines is at most this many lines of each kind.
const waitLines = 5

// printWaiting prints what is decided and readers do not see yet, a line each, and how many more there are of a kind.
func printWaiting(w io.Writer, list []ca.Wait) {
	printed := map[ca.WaitKind]int{}
	for i := range list {
		if printed[list[i].Kind]++; printed[list[i].Kind] <= waitLines {
			fmt.Fprintf(w, "waits        %s\n", waitWords(&list[i]))
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(printed)) {
		if more := printed[kind] - waitLines; more > 0 {
			fmt.Fprintf(w, "waits        %d more of the kind %q, see 'cadastre status -o json'\n", more, kind)
		}
	}
}

// tellWaits says what is waited for until ctx ends: what is new, when it has been so for a moment.
func (g *global) tellWaits(ctx context.Context, out io.Writer) {
	const lookEvery, countEvery = time.Second, 10 * time.Second
	said := map[string]bool{}
	counted := time.Now()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s, err := ask[api.Nothing, *ca.Status](ctx, g, "/status", api.Nothing{})
		if err != nil {
			continue // whoever waits is told
		}
		var fresh []ca.Wait
		for _, w := range s.Waits {
			key := string(w.Kind) + " " + w.Of
			if w.Kind == ca.InWork && time.Since(counted) >= countEvery {
				counted = time.Now()
				fresh = append(fresh, w)
				continue
			}
			if !said[key] {
				said[key] = true
				fresh = append(fresh, w)
			}
		}
		_ = printText(out, func(w io.Writer) { printWaiting(w, fresh) }) // nobody may read it any more
	}
}

// atWork is that so many organisations are planned and signed for.
func atWork(n int) string {
	if n == 1 {
		return "at work, 1 organisation to go"
	}
	return fmt.Sprintf("at work, %d organisations to go", n)
}
