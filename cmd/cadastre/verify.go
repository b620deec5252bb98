package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"cadastre/internal/fault"
	"cadastre/internal/relying"
	"cadastre/internal/term"
	"cadastre/internal/validate"
)

func newVerify(g *global) *cobra.Command {
	o := relying.Options{}
	var ccrFile, at string
	var vrps, aspas bool
	var follow term.Term
	cmd := &cobra.Command{
		Use:   "verify TAL",
		Short: "Fetch and validate a repository as a relying party does",
		Long: "Fetches what a trust anchor locator leads to, over RRDP or rsync, and validates it, with code that shares nothing with the issuing\n" +
			"side. It works for any repository: what an RFC forbids and every validator in use takes is a warning. Where a repository serves an\n" +
			"older state than it did, or not all of it, what was valid last stays valid for as long as its manifest (RFC 9286, section 6.6); the\n" +
			"cache keeps it. With --ccr it compares what it found with the canonical cache representation that another validator wrote. With\n" +
			"--follow it goes on, and validates after every single serial, as it is served.",
		Example: "  cadastre verify cadastre.tal --tls-ca ca.pem\n  cadastre verify cadastre.tal --vrps > vrps.csv\n  cadastre verify cadastre.tal --aspas\n  cadastre verify cadastre.tal --offline --ccr out/rpki.ccr\n  cadastre verify cadastre.tal --follow 1s -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.TAL = args[0]
			if at != "" {
				when, err := parseDate("--at", at)
				if err != nil {
					return err
				}
				o.Now = when
			}
			if o.Cache == "" {
				base, err := os.UserCacheDir()
				if err != nil {
					return fault.New(fault.BadInput, "couldn't find a folder for the cache (%w); name one with --cache", err)
				}
				o.Cache = filepath.Join(base, "cadastre")
			}
			if follow > 0 {
				return g.follow(cmd, o, follow.Duration())
			}
			report, err := relying.Verify(cmd.Context(), o)
			if err != nil {
				return err
			}
			if err := g.printReport(cmd.OutOrStdout(), report, vrps, aspas); err != nil {
				return err
			}
			if ccrFile != "" {
				if err := g.compareCCR(cmd.OutOrStdout(), report, ccrFile); err != nil {
					return err
				}
			}
			return report.Err()
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Cache, "cache", "", "folder of the cache (default: cadastre in your cache folder)")
	flags.StringVar(&o.TLSRoots, "tls-ca", "", "PEM file of a TLS authority to trust besides the system's")
	flags.BoolVar(&o.RsyncOnly, "rsync", false, "fetch over rsync alone")
	flags.BoolVar(&o.NoRsync, "no-rsync", false, "do not fall back to rsync")
	flags.BoolVar(&o.Offline, "offline", false, "validate what is cached")
	flags.BoolVar(&o.P256, "p256", false, "take ECDSA P-256 signatures too")
	flags.IntVar(&o.Workers, "workers", 0, "goroutines that validate; 0 is one for each core")
	flags.StringVar(&at, "at", "", "validate as of this time")
	flags.BoolVar(&vrps, "vrps", false, "print the VRPs and nothing else")
	flags.BoolVar(&aspas, "aspas", false, "print the validated ASPA payloads and nothing else")
	cmd.MarkFlagsMutuallyExclusive("vrps", "aspas")
	flags.StringVar(&ccrFile, "ccr", "", "compare with this canonical cache representation")
	flags.Var(&follow, "follow", "go on, asking for news this often")
	flags.Lookup("follow").DefValue = ""
	return cmd
}

func (g *global) printReport(out io.Writer, report *relying.Report, vrps, aspas bool) error {
	write := report.WriteText
	if vrps && g.output == "text" {
		write = report.WriteVRPs
	}
	if aspas && g.output == "text" {
		write = report.WriteVAPs
	}
	var err error
	printErr := g.print(out, report, func(w io.Writer) { err = write(w) })
	if printErr != nil {
		return printErr
	}
	return err
}

func (g *global) compareCCR(out io.Writer, report *relying.Report, path string) error {
	theirs, err := os.ReadFile(path)
	if err != nil {
		return fault.New(fault.BadInput, "couldn't read %s: %w", path, err)
	}
	differences, err := relying.CompareCCR(report, theirs)
	if err != nil {
		return err
	}
	if len(differences) == 0 {
		return printText(out, func(w io.Writer) {
			fmt.Fprintf(w, "%s says the same: manifests, ROA and ASPA payloads and trust anchors have equal hashes\n", path)
		})
	}
	err = printText(out, func(w io.Writer) {
		for _, d := range differences {
			fmt.Fprintln(w, d)
		}
	})
	if err != nil {
		return err
	}
	return fault.New(fault.Invalid, "%s differs from what we found in %d places", path, len(differences))
}

// follow prints a step for every serial.
func (g *global) follow(cmd *cobra.Command, o relying.Options, every time.Duration) error {
	o.Memo = validate.NewMemo()
	out := cmd.OutOrStdout()
	return relying.Follow(cmd.Context(), o, every, func(s relying.Step) {
		_ = g.print(out, s, func(w io.Writer) {
			fmt.Fprintf(w, "%s serial %d of %s: %d VRPs, %d gained, %d lost, %d findings\n", s.At.UTC().Format(time.RFC3339), s.Serial, s.Repository, s.VRPs, len(s.Gained), len(s.Lost), len(s.Findings))
			if s.Jump != "" {
				fmt.Fprintf(w, "  jump: %s\n", s.Jump)
			}
			for _, f := range s.Findings {
				fmt.Fprintf(w, "  %s\n", f)
			}
		})
	})
}
