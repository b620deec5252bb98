package main

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/internal/fault"
	"cadastre/moves"
)

func transferEvidence(g *global) *cobra.Command {
	var verify, signer string
	var peers []string
	cmd := &cobra.Command{
		Use:   "evidence ID | --verify FILE --signer CERTIFICATE",
		Short: "Print the signed evidence of a transfer, or verify it",
		Long: "Prints, as JSON, what a transfer leaves as evidence, signed by the installation: its decisions, the messages between installations, the\n" +
			"certificates, manifests, CRLs, ROAs and ASPAs of both sides at each step by URI and SHA-256, the timeline, and what relying parties saw.\n" +
			"The same state makes the same evidence.\n\n" +
			"With --verify it proves who signed such a file, when, and that it agrees with itself; that needs no data directory. The signer is the\n" +
			"identity certificate of the installation, as RFC 8183 files have it: DER, PEM or base64. The one in the file proves nothing by itself.\n" +
			"Messages are in it as their authors signed them: with --peer, those of the other installation have to be signed under that identity. One\n" +
			"that got a new identity meanwhile has two: repeat --peer.",
		Example: "  cadastre transfer evidence 7 > evidence.json\n  cadastre transfer evidence --verify evidence.json --signer identity.cer --peer other.cer",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case verify != "" && len(args) == 0:
				return g.verifyEvidence(cmd, verify, signer, peers)
			case verify != "" || len(args) == 0:
				return fault.New(fault.BadInput, "name the number of a transfer, or a file with --verify")
			}
			id, err := transferID(args[0])
			if err != nil {
				return err
			}
			signed, err := ask[api.TransferShow, *moves.SignedEvidence](cmd.Context(), g, "/transfers/evidence", api.TransferShow{ID: id})
			if err != nil {
				return err
			}
			return writeJSON(cmd.OutOrStdout(), signed)
		},
	}
	cmd.Flags().StringVar(&verify, "verify", "", "file with evidence to verify")
	cmd.Flags().StringVar(&signer, "signer", "", "file with the identity certificate of who must have signed it")
	cmd.Flags().StringArrayVar(&peers, "peer", nil, "file with an identity certificate of the other installation, where there is one; may be repeated")
	cmd.MarkFlagsRequiredTogether("verify", "signer")
	return cmd
}

func (g *global) verifyEvidence(cmd *cobra.Command, file, signer string, peers []string) error {
	identity, err := readCertificate(signer)
	if err != nil {
		return err
	}
	others := make([][]byte, len(peers))
	for i, peer := range peers {
		if others[i], err = readCertificate(peer); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fault.New(fault.BadInput, "couldn't read %s: %w", file, err)
	}
	verdict, err := moves.VerifyEvidence(text, identity, others...)
	if err != nil {
		return fault.Wrap(err, "%s", file)
	}
	return g.print(cmd.OutOrStdout(), verdict, func(w io.Writer) { printVerdict(w, verdict, len(peers) > 0) })
}

// readCertificate reads a certificate in DER, PEM or base64, as DER.
func readCertificate(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.BadInput, "couldn't read %s: %w", path, err)
	}
	if block, _ := pem.Decode(text); block != nil {
		return block.Bytes, nil
	}
	if der, err := base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(text), nil))); err == nil {
		return der, nil
	}
	return text, nil
}

func printVerdict(w io.Writer, v *moves.Verdict, peerGiven bool) {
	ev := &v.Evidence
	fmt.Fprintf(w, "signed     %s by the identity whose certificate has SHA-256 %s\n", when(v.SignedAt), v.Signer)
	fmt.Fprintf(w, "evidence   SHA-256 %s, as signed\n", v.SHA256)
	fmt.Fprintf(w, "decisions  %d, one for each step of the timeline\n", len(ev.Decisions))
	fmt.Fprintf(w, "messages   %d, with the hashes that they are named by\n", len(ev.Messages))
	if v.Proven > 0 {
		fmt.Fprintf(w, "           %d of them as their authors signed them\n", v.Proven)
	}
	if v.Unproven > 0 {
		fmt.Fprintf(w, "           %d of them not proven: what their authors signed was not kept\n", v.Unproven)
	}
	for _, peer := range v.Peers {
		how := "the file alone says that this is the other installation; --peer proves it"
		if peerGiven {
			how = "as was given"
		}
		fmt.Fprintf(w, "           %d of the other installation's by the identity whose certificate has SHA-256 %s: %s\n", peer.Messages, peer.SHA256, how)
	}
	fmt.Fprintf(w, "objects    %d, named by URI and SHA-256\n\n", v.Objects)
	status := &moves.Status{Transfer: ev.Transfer}
	printTransfer(w, status, speaksUnicode())
	for _, f := range ev.Facts {
		printed(w, fmt.Sprintf("published when %s, %s", f.Step, when(f.At)), f.VRPs)
	}
	for _, l := range ev.Looks {
		printed(w, fmt.Sprintf("seen by a relying party below %s, %s", l.TrustAnchor, when(l.At)), l.VRPs)
	}
}
