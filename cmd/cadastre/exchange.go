package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/internal/fault"
)

// maxExchanged bounds a file of RFC 8183; real ones have a few thousand octets.
const maxExchanged = 1 << 20

// readExchanged reads a message of RFC 8183 from a file, or from standard input where the path is "-".
func readExchanged(cmd *cobra.Command, path string) (string, error) {
	from := cmd.InOrStdin()
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return "", fault.New(fault.BadInput, "couldn't read %s: %w", path, err)
		}
		defer file.Close() //nolint:errcheck // it was only read
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, maxExchanged+1))
	switch {
	case err != nil:
		return "", fault.New(fault.BadInput, "couldn't read %s: %w", path, err)
	case len(text) == 0:
		return "", fault.New(fault.BadInput, "%s is empty; it must be the XML file that the peer sent", path)
	case len(text) > maxExchanged:
		return "", fault.New(fault.BadInput, "%s is longer than %d octets; it is no XML file of a peer", path, maxExchanged)
	}
	return string(text), nil
}

// printXML prints a message of RFC 8183 as it is, so that it can go into a file or a pipe.
func (g *global) printXML(cmd *cobra.Command, message api.XML) error {
	return g.print(cmd.OutOrStdout(), message, func(w io.Writer) { fmt.Fprint(w, message.XML) })
}

// say prints one sentence about what was done.
func (g *global) say(cmd *cobra.Command, format string, args ...any) error {
	said := api.Text{Text: fmt.Sprintf(format, args...)}
	return g.print(cmd.OutOrStdout(), said, func(w io.Writer) { fmt.Fprintln(w, said.Text) })
}

// updateFlags are those of commands that replace what is known of a peer.
type updateFlags struct {
	request string
	reset   bool
}

func (u *updateFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&u.request, "request", "", "file with a new request, whose identity replaces the old one; - reads standard input")
	cmd.Flags().BoolVar(&u.reset, "reset-replay", false, "forget when its newest message was signed: its clock was ahead and has been put right")
	cmd.MarkFlagsOneRequired("request", "reset-replay")
	cmd.MarkFlagsMutuallyExclusive("request", "reset-replay")
}

func (u *updateFlags) read(cmd *cobra.Command) (update api.Update, err error) {
	if update.ResetReplay = u.reset; !u.reset {
		update.Request, err = readExchanged(cmd, u.request)
	}
	return update, err
}

// when is a moment for people, "never" where it has not come.
func when(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.UTC().Format(time.RFC3339)
}

// orDash keeps a column of a table from being empty.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
