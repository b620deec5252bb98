package main

import (
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/daemon"
	"cadastre/escrow"
	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/term"
)

func newEscrow(g *global) *cobra.Command {
	cmd := newNoun("escrow", "Make, verify and restore deposits for a successor", "  cadastre escrow deposit --full\n  cadastre escrow verify /var/escrow/north --signer north.pem")
	cmd.Long = "Deposits have what a successor needs to carry on when this registry fails: ledger, intents, history, peers, and what is published; no\n" +
		"private key. They are signed by this installation, each names the one before it, and only the successor can decrypt them. With [escrow]\n" +
		"in config.toml the daemon makes a full one each day and an incremental one each hour."
	cmd.AddCommand(escrowKeygen(g), escrowSigner(g), escrowDeposit(g), escrowVerify(g), escrowRestore(g))
	return cmd
}

func escrowKeygen(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "keygen FILE",
		Short: "For a successor: make the key pair that deposits are encrypted to",
		Long: "Writes the secret to a new file that only you can read, in the form of the program age, and prints the recipient, which goes to the registry\n" +
			"whose deposits you are to have. Without the file no deposit can be read: keep it, and a copy of it, where nobody else has it.",
		Example: "  cadastre escrow keygen successor.age",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			recipient, err := escrow.NewIdentity(args[0], time.Now())
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), map[string]string{"recipient": recipient, "identity_file": args[0]}, func(w io.Writer) { fmt.Fprintln(w, recipient) })
		},
	}
}

func escrowSigner(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "signer",
		Short:   "Print the certificate that deposits are verified by, for the successor",
		Example: "  cadastre escrow signer > north.pem",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			certificate, err := ask[api.Nothing, api.Certificate](cmd.Context(), g, "/escrow/signer", api.Nothing{})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), certificate, func(w io.Writer) {
				_ = pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.DER})
			})
		},
	}
}

func escrowDeposit(g *global) *cobra.Command {
	q, s := api.EscrowDeposit{}, secretFlags{}
	cmd := &cobra.Command{
		Use:   "deposit",
		Short: "Make a deposit now",
		Long: "Makes the next deposit in the folder: what has changed since the one before, or everything, when that one is not there as it was made, or\n" +
			"with --full. Folder and recipient are those of [escrow] in config.toml unless others are named. A daemon that runs makes it; without one\n" +
			"the passphrase of the keys is needed to sign it.",
		Example: "  cadastre escrow deposit\n  cadastre escrow deposit --full --to /var/escrow/north --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := g.toDeposit(&q); err != nil {
				return err
			}
			d, err := askWith[api.EscrowDeposit, *escrow.Deposited](cmd.Context(), g, "/escrow/deposit", q, func(h *daemon.Directory) error {
				keys, err := passphrase(s.file, "CADASTRE_PASSPHRASE", "keys", false)
				if err != nil {
					return err
				}
				return h.Engine.OpenIdentity(keys)
			})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), d, func(w io.Writer) {
				fmt.Fprintf(w, "%s: %d records, %d deleted, %d objects, %d bytes encrypted\n", d.File, d.Puts, d.Deletes, d.Objects, d.Size)
			})
		},
	}
	cmd.Flags().StringVar(&q.Folder, "to", "", "the folder that deposits go to (default: dir of [escrow])")
	cmd.Flags().StringVar(&q.Recipient, "recipient", "", "the successor's, as 'escrow keygen' printed it (default: recipient of [escrow])")
	cmd.Flags().BoolVar(&q.Full, "full", false, "everything, and not only what has changed")
	cmd.Flags().StringVar(&s.file, "passphrase-file", "", "without a daemon: file with the passphrase of the keys (else CADASTRE_PASSPHRASE, else it is asked for)")
	return cmd
}

// toDeposit fills in what the configuration says.
func (g *global) toDeposit(q *api.EscrowDeposit) error {
	c, err := daemon.ReadConfig(g.data)
	if err != nil {
		return err
	}
	if q.Folder == "" {
		q.Folder = c.Escrow.Dir
	}
	if q.Recipient == "" {
		q.Recipient = c.Escrow.Recipient
	}
	if q.Folder == "" || q.Recipient == "" {
		return fault.New(fault.BadInput, "name the folder with --to and the successor with --recipient, or set both under [escrow] in %s", daemon.ConfigPath(g.data))
	}
	if q.Folder, err = filepath.Abs(q.Folder); err != nil {
		return err
	}
	return escrow.CheckRecipient(q.Recipient)
}

// readSigner reads the certificate that a chain of deposits is verified by.
func readSigner(path string) (*envelope.Trust, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.BadInput, "couldn't read the signer's certificate: %w", err)
	}
	trust, err := escrow.ParseSigner(text)
	return trust, fault.Wrap(err, "%s", path)
}

// verified is what escrow verify prints.
type verified struct {
	*escrow.Report
	Age string `json:"age"` // of the newest deposit
}

func escrowVerify(g *global) *cobra.Command {
	var signer, identity, mark string
	var most term.Term
	cmd := &cobra.Command{
		Use:   "verify DIR",
		Short: "Check that the deposits in a folder are one chain of one signer without a gap",
		Long: "Checks every signature, hash and number, and says what is there. With --identity it decrypts the newest full deposit and those after it,\n" +
			"and checks what they lead to by the rules of the ledger. A chain that is whole, but older than it has been, is noticed with --max-age,\n" +
			"and for certain with --mark. Old deposits may be removed, up to a full one.",
		Example: "  cadastre escrow verify /var/escrow/north --signer north.pem --max-age 2h --mark north.mark\n  cadastre escrow verify /var/escrow/north --signer north.pem --identity successor.age -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			trust, err := readSigner(signer)
			if err != nil {
				return err
			}
			r, err := escrow.Verify(args[0], trust)
			if err != nil {
				return err
			}
			if identity != "" {
				id, err := escrow.ReadIdentity(identity)
				if err != nil {
					return err
				}
				if _, err := r.Load(id, nil); err != nil {
					return err
				}
			}
			if err := r.Fresh(time.Now(), most.Duration()); err != nil {
				return err
			}
			if mark != "" {
				if err := r.Remember(mark); err != nil {
					return err
				}
			}
			v := verified{r, time.Since(r.Last().Time).Round(time.Second).String()}
			return g.print(cmd.OutOrStdout(), v, func(w io.Writer) { printVerified(w, &v) })
		},
	}
	cmd.Flags().StringVar(&signer, "signer", "", "the certificate of the registry that made them, as its 'escrow signer' prints it")
	cmd.Flags().StringVar(&identity, "identity", "", "the file of 'escrow keygen', to look into the deposits too")
	cmd.Flags().StringVar(&mark, "mark", "", "a file that remembers how far the chain has come, so that an older one is noticed")
	cmd.Flags().Var(&most, "max-age", "how old the newest deposit may be, such as 2h (default: any age)")
	cmd.Flags().Lookup("max-age").DefValue = ""
	_ = cmd.MarkFlagRequired("signer")
	return cmd
}

func printVerified(w io.Writer, v *verified) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DEPOSIT\tKIND\tTIME\tRECORDS\tDELETED\tOBJECTS\tBYTES")
	for _, m := range v.Deposits {
		fmt.Fprintf(table, "%d\t%s\t%s\t%d\t%d\t%d\t%d\n", m.Number, m.Kind, when(m.Time), m.Puts, m.Deletes, m.Objects, m.Size)
	}
	_ = table.Flush()
	s := v.Last().State
	fmt.Fprintf(w, "the chain of %s is whole; its newest deposit is %s old and leads to %d organisations, %d delegations, %d intents, %d decisions, %d delegated CAs\n",
		v.Installation, v.Age, s.Organisations, s.Delegations, s.Intents, s.Decisions, s.Children)
	if v.Decrypted > 0 {
		fmt.Fprintf(w, "decrypted from deposit %d on: it keeps the rules of the ledger\n", v.Decrypted)
	}
}
