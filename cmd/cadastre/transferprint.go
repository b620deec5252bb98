package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"cadastre/ca/kinds"
	"cadastre/holdings"
	"cadastre/moves"
)

// giver and getter name the sides of a transfer for people: a handle here, or one at an installation elsewhere.
func giver(t *holdings.Transfer) string  { return side(t, t.From) }
func getter(t *holdings.Transfer) string { return side(t, t.To) }

func side(t *holdings.Transfer, here string) string {
	if here != "" {
		return here
	}
	return t.Elsewhere + " at " + t.Peer
}

func printBegun(w io.Writer, b *moves.Begun) {
	t := &b.Transfer
	for _, warning := range b.Warnings {
		fmt.Fprintf(w, "warning: %s\n", warning)
	}
	if b.DryRun {
		fmt.Fprintln(w, "nothing was changed; this is what would be:")
	} else {
		fmt.Fprintf(w, "transfer %d is initiated; 'cadastre transfer show %d' tells how it stands\n", t.ID, t.ID)
	}
	fmt.Fprintf(w, "%s from %s to %s: %s\n", t.Kind, giver(t), getter(t), t.Resources)
	for _, leg := range t.Legs[min(1, len(t.Legs)):] {
		fmt.Fprintf(w, "  with what %s has, which becomes %s: %s\n", orDash(leg.From), orDash(leg.To), leg.Resources)
	}
	printed(w, "goes along", b.Carried)
	printed(w, "is lost", b.Lost)
	for _, k := range kinds.Table {
		printed(w, k.Payloads+" that go along", b.CarriedObjects.Of(k))
		printed(w, k.Payloads+" that end", b.LostObjects.Of(k))
	}
	routes := make([]string, 0, len(b.Staged))
	for _, r := range b.Staged {
		routes = append(routes, fmt.Sprintf("%s,%d,AS%d", r.Prefix, r.MaxLength, r.Origin))
	}
	printed(w, "comes with the recipient", routes)
	if t.Bridge > 0 {
		fmt.Fprintf(w, "what goes along stays authorised for %s after the finalisation\n", t.Bridge)
	}
	printAnnouncements(w, b.Announcements, b.DryRun)
	if b.Held != "" && b.DryRun {
		fmt.Fprintf(w, "the brake would hold it: when the transfer is finalised %s\ncode: %s\n", b.Held, b.Code)
	}
}

// shownVRPs is how many of a list are printed for people; -o json has all.
const shownVRPs = 20

func printed[T any](w io.Writer, what string, list []T) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(w, "%s (%d):\n", what, len(list))
	for _, v := range list[:min(shownVRPs, len(list))] {
		fmt.Fprintf(w, "  %v\n", v)
	}
	if more := len(list) - shownVRPs; more > 0 {
		fmt.Fprintf(w, "  … and %d more; -o json has all\n", more)
	}
}

func printTransfers(w io.Writer, list []moves.Status) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tKIND\tFROM\tTO\tSTATE\tON\tUNTIL\tRESOURCES\tWAITS FOR")
	for i := range list {
		s := &list[i]
		until := "-"
		if !s.Until.IsZero() {
			until = when(s.Until)
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, s.Kind, giver(&s.Transfer), getter(&s.Transfer), stateOf(s), orDash(s.On), until,
			shortened(s.Resources.String(), 40), orDash(s.Waits))
	}
	_ = table.Flush()
}

// stateOf is a transfer's state in a word, with what stops it.
func stateOf(s *moves.Status) string {
	state := string(s.State)
	switch {
	case s.State.Over():
	case s.Disputed != "":
		state += ", disputed"
	case s.Held:
		state += ", held"
	}
	return state
}

// printTransfer draws a transfer as a timeline.
func printTransfer(w io.Writer, s *moves.Status, unicode bool) {
	fmt.Fprintf(w, "transfer %d (%s), %s from %s to %s\n", s.ID, s.Ref, s.Kind, giver(&s.Transfer), getter(&s.Transfer))
	fmt.Fprintf(w, "resources  %s\n", s.Resources)
	if s.FromRegistry != s.ToRegistry {
		fmt.Fprintf(w, "registries %s to %s\n", s.FromRegistry, s.ToRegistry)
	}
	fmt.Fprintf(w, "\n%s\n\n", stateLine(s, unicode))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, step := range s.Steps {
		text := ""
		if step.Text != "" {
			text = "\t" + step.Text
		}
		fmt.Fprintf(table, "%s\t%s\tby %s\tdecision %d%s\n", when(step.At), step.What, step.Actor, step.Decision, text)
	}
	_ = table.Flush()
	fmt.Fprintln(w)
	printWaits(w, s)
	printed(w, "the recipient's side authorises", s.Agreed)
}

// printWaits says what a transfer waits for, on whom, and until when.
func printWaits(w io.Writer, s *moves.Status) {
	if s.Odds != "" {
		fmt.Fprintf(w, "the two sides differ: %s\n", s.Odds)
	}
	switch {
	case s.Done():
		fmt.Fprintln(w, "it is over, and waits for nothing")
		return
	case s.Waits == "":
		return
	}
	fmt.Fprintf(w, "it waits for this: %s\n", s.Waits)
	if s.On != "" {
		fmt.Fprintf(w, "  on       %s\n", s.On)
	}
	if s.WaitsForCA() {
		fmt.Fprintf(w, "if that never comes, 'cadastre transfer force %d --dry-run' says what it costs to go on without it\n", s.ID)
	}
	if !s.Until.IsZero() {
		fmt.Fprintf(w, "  until    %s (in %s)\n", when(s.Until), time.Until(s.Until).Round(time.Second))
	}
}

// stateLine is the states of a transfer in a line: filled where it has come to.
func stateLine(s *moves.Status, unicode bool) string {
	full, empty, line := "*", "o", " - "
	if unicode {
		full, empty, line = "●", "○", " ─ "
	}
	type stop struct {
		name    string
		reached bool
	}
	accepted := !s.When(holdings.StepAccepted).IsZero()
	stops := []stop{{"initiated", true}, {"accepted", accepted}, {"seen", !s.Seen.IsZero()}}
	if s.State == holdings.Cancelled {
		stops = append(stops[:1], stop{"cancelled", true})
		if accepted {
			stops = []stop{{"initiated", true}, {"accepted", true}, {"cancelled", true}}
		}
	} else {
		stops = append(stops, stop{"finalised", s.State == holdings.Finalised})
	}
	stops = append(stops, stop{"released", !s.Released.IsZero()})
	words := make([]string, 0, len(stops))
	for _, st := range stops {
		mark := empty
		if st.reached {
			mark = full
		}
		words = append(words, mark+" "+st.name)
	}
	return strings.Join(words, line)
}

// speaksUnicode tells whether the terminal shows more than ASCII, as its locale says.
func speaksUnicode() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToUpper(os.Getenv(name)); locale != "" {
			return strings.Contains(locale, "UTF-8") || strings.Contains(locale, "UTF8")
		}
	}
	return false
}
