package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/ca"
)

func newPassphrase(g *global) *cobra.Command {
	cmd := newNoun("passphrase", "Change the passphrases that protect the private keys", "  cadastre passphrase change --passphrase-file OLD --new-passphrase-file NEW")
	cmd.AddCommand(passphraseChange(g))
	return cmd
}

func passphraseChange(g *global) *cobra.Command {
	var secrets secretFlags
	var newFile string
	var anchorOnly bool
	cmd := &cobra.Command{
		Use:   "change",
		Short: "Change the passphrase of the keys, or only of the trust anchor's key",
		Long: "Changes the passphrase of the keys, and that of the trust anchor's key too where it is the same and anchor.key is there. With --anchor it\n" +
			"changes that of the trust anchor's key alone. A new passphrase has at least 10 characters. Keys stay the same; copies of store.db and\n" +
			"anchor.key that were made before still open with the old passphrase. A daemon that runs goes on, and needs the new one at its next\n" +
			"start. If the command is cut short, give it again.",
		Example: "  cadastre passphrase change --passphrase-file OLD --new-passphrase-file NEW\n  cadastre passphrase change --anchor --anchor-passphrase-file OLD --new-passphrase-file NEW -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, variable, what := secrets.file, "CADASTRE_PASSPHRASE", "keys"
			if anchorOnly {
				file, variable, what = secrets.anchorFile, "CADASTRE_ANCHOR_PASSPHRASE", "trust anchor's key"
			}
			old, err := passphrase(file, variable, what, false)
			if err != nil {
				return err
			}
			next, err := passphrase(newFile, "CADASTRE_NEW_PASSPHRASE", what+", the new one", true)
			if err != nil {
				return err
			}
			done, err := ask[api.PassphraseChange, ca.PassphraseChange](cmd.Context(), g, "/passphrase/change", api.PassphraseChange{Why: g.why(), Old: old, New: next, AnchorOnly: anchorOnly})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), done, func(w io.Writer) {
				if done.Keys {
					fmt.Fprintln(w, "the keys have the new passphrase")
				}
				if done.Anchor {
					fmt.Fprintln(w, "the trust anchor's key has the new passphrase")
				} else {
					fmt.Fprintln(w, "the trust anchor's key keeps its own passphrase")
				}
			})
		},
	}
	secrets.add(cmd)
	cmd.Flags().StringVar(&newFile, "new-passphrase-file", "", "file with the new passphrase (else CADASTRE_NEW_PASSPHRASE, else it is asked for)")
	cmd.Flags().BoolVar(&anchorOnly, "anchor", false, "change the passphrase of the trust anchor's key alone")
	return cmd
}
