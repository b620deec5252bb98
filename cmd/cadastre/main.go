// Command cadastre keeps a registry of Internet number resources and its certification authorities (RPKI). It is the daemon, the client of
// the daemon's API, and a relying party. This package is the command line: it reads flags and files, asks the API, and prints.
// It is large because each command has its flags, its help and its words; nothing is decided here.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"cadastre/daemon"
	"cadastre/internal/fault"
	"cadastre/internal/principal"
	"cadastre/internal/printable"
	"cadastre/internal/relying/sandbox"
)

// global is the flags that every command has.
type global struct {
	data   string // --data
	output string // -o
	actor  string // --actor
	reason string // --reason

	who principal.Principal // the account that runs the command, and for whom
}

func main() {
	sandbox.Main() // does not return in a process that reads repositories
	daemon.LimitMemory(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}

// run runs one command line and returns its exit status.
func run(ctx context.Context, args []string) int {
	g := &global{}
	root := newRoot(g)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	kind := fault.KindOf(err)
	var classified *fault.Error
	if !errors.As(err, &classified) && isUsage(err) {
		kind = fault.BadInput
	}
	if g.output == "json" || wantsJSON(args) {
		printProblem(os.Stderr, kind, err)
	} else {
		fmt.Fprintln(os.Stderr, "cadastre: "+printable.Text(err.Error()))
	}
	return kind.Exit()
}

// problem is an error as JSON, on standard error.
type problem struct {
	Error struct {
		Kind    string `json:"kind"`
		Exit    int    `json:"exit"`
		Meaning string `json:"meaning"` // of the exit status
		Message string `json:"message"`
	} `json:"error"`
}

func printProblem(w io.Writer, kind fault.Kind, err error) {
	var p problem
	p.Error.Kind, p.Error.Exit, p.Error.Meaning, p.Error.Message = kind.String(), kind.Exit(), kind.Meaning(), err.Error()
	_ = writeJSON(w, p)
}

// wantsJSON tells whether a command line asks for JSON, of one that could not be read to its end.
func wantsJSON(args []string) bool {
	for i, arg := range args {
		switch arg {
		case "--":
			return false
		case "-ojson", "-o=json", "--output=json":
			return true
		case "-o", "--output":
			return i+1 < len(args) && args[i+1] == "json"
		}
	}
	return false
}

// isUsage recognises what cobra says about a command line; its errors have no types.
func isUsage(err error) bool {
	for _, words := range []string{"unknown command", "unknown flag", "unknown shorthand", "accepts ", "requires ", "required flag", "invalid argument", "flag needs", "if any flags in the group", "at least one of the flags in the group"} {
		if strings.Contains(err.Error(), words) {
			return true
		}
	}
	return false
}

func newRoot(g *global) *cobra.Command {
	root := &cobra.Command{
		Use:           "cadastre",
		Short:         "The registry of Internet number resources, and the RPKI that proves what it says",
		Long:          "Cadastre keeps who holds which Internet number resources, and publishes the RPKI that follows from it.\n\n" + exitStatuses() + "\n" + environment(),
		Example:       "  cadastre init --data DIR --tree tree.toml --passphrase-file FILE\n  cadastre holdings import --data DIR delegated-afrinic-extended-20230324.gz\n  cadastre roa import --data DIR announcements.csv\n  cadastre serve --data DIR --passphrase-file FILE\n  cadastre vrps --data DIR",
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&g.data, "data", defaultData(), "data directory (or CADASTRE_DATA)")
	root.PersistentFlags().StringVarP(&g.output, "output", "o", "text", "how to print: text or json")
	root.PersistentFlags().StringVar(&g.actor, "actor", "", "on whose behalf you decide; the log of decisions names your account and them")
	root.PersistentFlags().StringVar(&g.reason, "reason", "", "why, for the log of decisions")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if g.output != "text" && g.output != "json" {
			return fault.New(fault.BadInput, "%q is no output; use -o text or -o json", g.output)
		}
		var err error
		g.who, err = principal.Operator(principal.Account(os.Geteuid()), principal.Command).ActingFor(g.actor)
		return err
	}
	root.AddCommand(newInit(g), newServe(g), newHoldings(g), newOrganisations(g), newROA(g), newASPA(g), newRoutes(g), newChildren(g), newParents(g), newPublishers(g), newRepository(g), newRegistries(g), newKeys(g), newIdentity(g), newAddress(g), newPassphrase(g), newPolicy(g), newTransfer(g), newHandoff(g), newEscrow(g), newVRPs(g), newASPAs(g), newStatus(g), newDecisions(g), newTAL(g), newVerify(g), newDoctor(g), newDemo(g))
	return root
}

// newNoun is a command that only has others below it. It refuses words that it does not know, which cobra would take
// for a wish to be helped.
func newNoun(use, short, example string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Example: example, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
}

func exitStatuses() string {
	var b strings.Builder
	b.WriteString("Exit status:\n   0  all is well\n")
	for _, kind := range fault.Kinds() {
		fmt.Fprintf(&b, "  %2d  %s\n", kind.Exit(), kind.Meaning())
	}
	return b.String()
}

// environment is the part of the help that tells which variables of the environment are read.
func environment() string {
	var b strings.Builder
	b.WriteString("Environment:\n")
	for _, v := range [][2]string{
		{"CADASTRE_DATA", "data directory, where --data does not name it"},
		{"CADASTRE_PASSPHRASE", "passphrase of the keys, where --passphrase-file names no file"},
		{"CADASTRE_ANCHOR_PASSPHRASE", "passphrase of the trust anchor's key, where --anchor-passphrase-file names no file"},
		{"CADASTRE_NEW_PASSPHRASE", "new passphrase for 'passphrase change', where --new-passphrase-file names no file"},
	} {
		fmt.Fprintf(&b, "  %-26s  %s\n", v[0], v[1])
	}
	return b.String()
}

// version is what was built: the module's version, the revision that it was built from, and by which Go.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, changed, at := "", "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value[:min(len(s.Value), 12)]
		case "vcs.time":
			at = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				changed = "+changes"
			}
		}
	}
	text := info.Main.Version
	if revision != "" {
		text += fmt.Sprintf(" (revision %s%s of %s)", revision, changed, at)
	}
	return fmt.Sprintf("%s, %s, %s/%s", text, info.GoVersion, runtime.GOOS, runtime.GOARCH)
}

func defaultData() string {
	if dir := os.Getenv("CADASTRE_DATA"); dir != "" {
		return dir
	}
	return "cadastre-data"
}
