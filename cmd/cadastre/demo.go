package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/ca"
	"cadastre/daemon"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/relying"
	"cadastre/internal/relying/sandbox"
	"cadastre/testdata"
)

func newDemo(g *global) *cobra.Command {
	var httpsPort, rsyncPort int
	var once bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Make a small registry, serve it on localhost, and show how validators read it",
		Long: "Makes a demonstration in the data directory, unless one is there already: IANA, two registries, an NIR, LIRs and an end user,\n" +
			"with ROAs. It then serves it on localhost, has a relying party of its own walk it, and prints what validators need.",
		Example: "  cadastre demo --data demo-data\n  cadastre demo --data demo-data --https-port 9443 --rsync-port 9873",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := &demonstration{global: g, cmd: cmd, start: time.Now()}
			return d.run(httpsPort, rsyncPort, once)
		},
	}
	cmd.Flags().IntVar(&httpsPort, "https-port", 8443, "port of RRDP")
	cmd.Flags().IntVar(&rsyncPort, "rsync-port", 8873, "port of rsync")
	cmd.Flags().BoolVar(&once, "once", false, "end after showing it, rather than go on serving")
	return cmd
}

type demonstration struct {
	*global
	cmd   *cobra.Command
	start time.Time
	new   bool
}

func (d *demonstration) passphraseFile() string { return filepath.Join(d.data, "passphrase") }

func (d *demonstration) run(httpsPort, rsyncPort int, once bool) error {
	if _, err := os.Stat(daemon.StorePath(d.data)); errors.Is(err, fs.ErrNotExist) {
		if err := d.make(httpsPort, rsyncPort); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancel(d.cmd.Context())
	defer stop()
	var shown error
	err := d.serve(ctx, &serveOptions{secrets: secretFlags{file: d.passphraseFile()}, ready: func(h *daemon.Directory) {
		if shown = d.show(ctx, h); once || shown != nil {
			stop()
		}
	}})
	return errors.Join(shown, err)
}

// make makes the registry. The passphrase beside it protects nothing, which a demonstration may.
func (d *demonstration) make(httpsPort, rsyncPort int) error {
	d.new = true
	tree, err := os.CreateTemp("", "cadastre-tree-*.toml")
	if err != nil {
		return fault.Wrap(err, "couldn't write the demonstration's tree")
	}
	defer func() { _ = os.Remove(tree.Name()) }()
	text, err := testdata.Demonstration.ReadFile("demonstration/tree.toml")
	if err == nil {
		_, err = tree.Write(text)
	}
	if err = errors.Join(err, tree.Close()); err != nil {
		return fault.Wrap(err, "couldn't write the demonstration's tree")
	}
	if err := os.Setenv("CADASTRE_PASSPHRASE", "demonstration"); err != nil {
		return err
	}
	if err := d.initialise(d.cmd, &initOptions{tree: tree.Name(), host: "localhost", httpsPort: httpsPort, rsyncPort: rsyncPort, algorithm: "rsa-2048"}); err != nil {
		return err
	}
	if err := os.WriteFile(d.passphraseFile(), []byte("demonstration\n"), 0o600); err != nil {
		return fault.Wrap(err, "couldn't write the demonstration's passphrase")
	}
	return d.fill()
}

// fill imports the registries' files and the intents, and delegates on to an end user.
func (d *demonstration) fill() error {
	ctx := d.cmd.Context()
	var files []api.Upload
	for _, name := range []string{"delegated-north", "delegated-south"} {
		data, err := testdata.Demonstration.ReadFile("demonstration/" + name)
		if err != nil {
			return err
		}
		files = append(files, api.Upload{Name: name, Data: data})
	}
	if _, err := ask[api.HoldingsImport, *ca.Effect](ctx, d.global, "/holdings/import", api.HoldingsImport{Why: d.why(), Files: files}); err != nil {
		return err
	}
	block, err := inr.Parse("102.16.8.0/24, 2c0f:ea00:8::/48")
	if err != nil {
		return err
	}
	delegate := api.HoldingsDelegate{Why: d.why(), From: "north/baobab", To: "corner-shop", Name: "Corner Shop", Resources: block, Status: holdings.Assigned, Ground: "contract 17"}
	if _, err := ask[api.HoldingsDelegate, *ca.Effect](ctx, d.global, "/holdings/delegate", delegate); err != nil {
		return err
	}
	data, err := testdata.Demonstration.ReadFile("demonstration/roas.csv")
	if err != nil {
		return err
	}
	intents := api.ROAImport{Why: d.why(), Files: []api.Upload{{Name: "roas.csv", Data: data}}}
	_, err = ask[api.ROAImport, *ca.Effect](ctx, d.global, "/roas/import", intents)
	return err
}

// show has our own relying party walk what is served, and prints what others need.
func (d *demonstration) show(ctx context.Context, h *daemon.Directory) error {
	tal, err := h.Engine.TAL()
	if err != nil {
		return err
	}
	talPath, caPath := filepath.Join(d.data, "cadastre.tal"), filepath.Join(d.data, "tls", "ca.pem")
	if err := os.WriteFile(talPath, []byte(tal), 0o644); err != nil {
		return fault.Wrap(err, "couldn't write the trust anchor locator")
	}
	report, err := sandbox.Verify(ctx, relying.Options{TAL: talPath, Cache: filepath.Join(d.data, "verify-cache"), TLSRoots: caPath, NoRsync: true, Limits: relying.ForDaemon()})
	if err != nil {
		return err
	}
	meant, err := h.Engine.VRPs()
	if err != nil {
		return err
	}
	out := d.cmd.OutOrStdout()
	if err := report.Err(); err != nil || len(report.VRPs) != len(meant) {
		text, _ := json.Marshal(report.Findings)
		return fault.New(fault.Invalid, "the demonstration does not validate: %d VRPs of %d, %s", len(report.VRPs), len(meant), text)
	}
	made := ""
	if d.new {
		made = fmt.Sprintf(", made in %s", time.Since(d.start).Round(100*time.Millisecond))
	}
	fmt.Fprintf(out, "\nA demonstration registry%s: %d certification authorities, %d objects, %d VRPs.\n'cadastre verify' walked it from the trust anchor: %d findings.\n\n", made, len(report.Authorities), report.Objects, len(report.VRPs), len(report.Findings))
	for _, line := range meant {
		fmt.Fprintf(out, "  %s\n", line)
	}
	fmt.Fprintf(out, "\nTrust anchor locator, in %s:\n\n%s\n", talPath, indent(tal))
	fmt.Fprintln(out, "Served:")
	for _, name := range []string{"iana", "north", "south", "isles"} {
		fmt.Fprintf(out, "  %s%s/notification.xml\n", h.Config.RRDPBase, name)
	}
	if _, err := exec.LookPath("rsync"); err != nil {
		fmt.Fprintln(out, "  rsync is not on this machine, so it is not served; apt-get install rsync brings it")
	} else {
		fmt.Fprintf(out, "  %s\n", h.Config.RsyncBase)
	}
	absolute, err := filepath.Abs(d.data)
	if err != nil {
		return err
	}
	printValidators(out, absolute)
	fmt.Fprintln(out, "\nTry, in another terminal:")
	for _, words := range []string{"roa add 102.16.4.0/22 AS37100", "holdings return --holder corner-shop 102.16.8.0/24 --dry-run", "status"} {
		fmt.Fprintf(out, "  %s --data %s %s\n", os.Args[0], d.data, words)
	}
	fmt.Fprintln(out, "\nServing until interrupted.")
	return nil
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ") + "\n"
}

// printValidators prints the command lines of three validators, ready to paste.
func printValidators(out interface{ Write([]byte) (int, error) }, dir string) {
	fmt.Fprintf(out, `
Validators, ready to paste:

  # rpki-client (as root it works as _rpki-client, which must own what it writes)
  mkdir -p /tmp/rpki-cache /tmp/rpki-out && cp %[1]s/cadastre.tal %[1]s/tls/ca.pem /tmp/ && { [ "$(id -u)" != 0 ] || chown _rpki-client /tmp/rpki-cache /tmp/rpki-out; }
  SSL_CERT_FILE=/tmp/ca.pem rpki-client -v -j -t /tmp/cadastre.tal -d /tmp/rpki-cache /tmp/rpki-out && jq .roas /tmp/rpki-out/json

  # Routinator
  mkdir -p /tmp/routinator-tals && cp %[1]s/cadastre.tal /tmp/routinator-tals/
  routinator --no-rir-tals --extra-tals-dir /tmp/routinator-tals -r /tmp/routinator-cache --allow-dubious-hosts --rrdp-root-cert %[1]s/tls/ca.pem vrps

  # FORT
  mkdir -p /tmp/fort-tal /tmp/fort-ca /tmp/fort-cache && cp %[1]s/cadastre.tal /tmp/fort-tal/ && cp %[1]s/tls/ca.pem /tmp/fort-ca/ && openssl rehash /tmp/fort-ca
  fort --mode=standalone --tal=/tmp/fort-tal --local-repository=/tmp/fort-cache --http.ca-path=/tmp/fort-ca --output.roa=-
`, dir)
}
