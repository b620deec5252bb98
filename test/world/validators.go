package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"cadastre/test/internal/process"
)

// validator is one that people run, and how it fetches.
type validator struct {
	name  string
	rsync bool
}

// validators are all of them; the newest rpki-client is the strictest and comes first.
var validators = []validator{
	{name: newest}, {name: "rpki-client-9.7"}, {name: "rpki-client-8.2"}, {name: "fort-1.6.6"}, {name: "fort-1.5.4"},
	{name: "octorpki-1.4.4"}, {name: routinator}, {name: newest, rsync: true}, {name: "fort-1.6.6", rsync: true},
}

const (
	newest     = "rpki-client-newest"
	routinator = "routinator"
)

func (v validator) String() string {
	if v.rsync {
		return v.name + " over rsync"
	}
	return v.name
}

// checkValidators makes sure that all are there, and gives Routinator a front that has it say how it fetches.
func (w *world) checkValidators() error {
	if w.algorithm != rsa {
		return nil
	}
	front := w.path("rp")
	if err := os.MkdirAll(front, 0o755); err != nil { // read by programs that are not root
		return err
	}
	home, err := filepath.Abs(w.rpHome)
	if err != nil {
		return err
	}
	for _, v := range validators {
		program := filepath.Join(home, v.name)
		if _, err := os.Stat(program); err != nil {
			return fmt.Errorf("there is no validator %s: run '%s/rp/install --routinator' as root", program, w.shared)
		}
		if v.rsync || v.name == routinator {
			continue
		}
		if err := os.Symlink(program, filepath.Join(front, v.name)); err != nil {
			return err
		}
	}
	script := fmt.Sprintf("#!/bin/sh\nexec %s --log-repository-issues -v \"$@\"\n", filepath.Join(home, routinator))
	return os.WriteFile(filepath.Join(front, routinator), []byte(script), 0o755) // it is a program
}

// cache is the folder that a validator keeps from one act to the next.
func (w *world) cache(v validator) string {
	return w.path("cache-" + strings.ReplaceAll(v.String(), " ", "-"))
}

// judgeAll has every validator print what it accepts, and compares. Later ones have seen the first act.
func (w *world) judgeAll(ctx context.Context, want []string, later bool) {
	w.check("our own validator finds nothing to say, and prints exactly 'cadastre vrps'", func() (string, error) {
		return w.verify(ctx, want)
	})
	w.check("our own validator over rsync", func() (string, error) { return w.verify(ctx, want, "--rsync") })
	if w.algorithm != rsa {
		return
	}
	for _, v := range validators {
		w.check(v.String()+" prints exactly 'cadastre vrps'", func() (string, error) { return w.ask(ctx, v, want) })
		if v.name == newest {
			w.check(v.String()+" has neither a warning nor an error in its log", func() (string, error) {
				return w.readLog(v, func(log string) (string, error) { return unexpected(log, later) })
			})
		}
		if v == (validator{name: newest}) {
			w.check("its canonical cache representation has our manifests, ROA payloads and trust anchor", func() (string, error) { return w.sameCCR(ctx, v) })
		}
		if later && !v.rsync && (v.name == newest || v.name == routinator) {
			w.check(v.String()+" used deltas and no snapshot of AFRINIC's", func() (string, error) { return w.readLog(v, onlyDeltas) })
		}
	}
}

// ask runs a validator and compares what it prints.
func (w *world) ask(ctx context.Context, v validator, want []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	args := []string{v.name, w.installation.tal(), w.installation.roots(), w.cache(v)}
	if v.rsync {
		args = append(args, "--rsync")
	}
	stdout, err := process.Output(ctx, []string{"RP_HOME=" + w.path("rp")}, filepath.Join(w.shared, "rp", "vrps"), args...)
	if err != nil {
		return "", err
	}
	return same(strings.Fields(string(stdout)), want)
}

// same compares lists that must be the same in order too.
func same(got, want []string) (string, error) {
	if err := compare(got, want); err != nil {
		return "", err
	}
	if !slices.Equal(got, want) {
		return "", errors.New("the lines are the same, but not in the same order or number")
	}
	return thousands(len(want)) + " VRPs", nil
}

// verify has our own relying party look, which must find nothing at all.
func (w *world) verify(ctx context.Context, want []string, flags ...string) (string, error) {
	if flags == nil {
		flags = []string{"--no-rsync"}
	}
	var report struct {
		Findings []finding `json:"findings"`
		VRPs     []vrp     `json:"vrps"`
		Objects  int       `json:"objects"`
	}
	args := append([]string{"verify", w.installation.tal(), "--tls-ca", w.installation.roots(), "--cache", w.path("cache-verify" + strings.Join(flags, ""))}, flags...)
	if err := w.installation.ask(ctx, &report, append(args, w.installation.suite...)...); err != nil {
		return "", err
	}
	for _, f := range report.Findings {
		if !(f.bySnapshot() && strings.Contains(f.URI, "/iana/")) {
			return "", fmt.Errorf("%d findings, among them: %s", len(report.Findings), f)
		}
	}
	got := vrpSet{}
	for _, v := range report.VRPs {
		got[v.String()] = true
	}
	if _, err := same(got.sorted(), want); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s VRPs of %s objects", thousands(len(want)), thousands(report.Objects)), nil
}

// sameCCR compares what we found with what a validator wrote of what it found.
func (w *world) sameCCR(ctx context.Context, v validator) (string, error) {
	_, err := w.installation.run(ctx, "verify", w.installation.tal(), "--tls-ca", w.installation.roots(), "--no-rsync", "--cache", w.path("cache-verify--no-rsync"),
		"--ccr", filepath.Join(w.cache(v), "out", "rpki.ccr"))
	return "", err
}

func (w *world) readLog(v validator, read func(log string) (string, error)) (string, error) {
	log, err := os.ReadFile(filepath.Join(w.cache(v), "log"))
	if err != nil {
		return "", err
	}
	return read(string(log))
}

// usual are the lines that the newest rpki-client logs when all is well. It does not mark its warnings, so that whatever
// else it says is taken for one.
var usual = regexp.MustCompile(`^(` + strings.Join([]string{
	`rpki-client: ta/\S+: pulling from \S+`,
	`rpki-client: \S+: (pulling|loaded) from (network|rsync://\S+)`,
	`rpki-client: \S+: downloading (snapshot|\d+ deltas) \(\S+\)`,
	`rpki-client: \S+: notification file not modified \(\S+\)`,
	`rpki-client: all files parsed: generating output`,
	`Processing time \d+ seconds \(\d+ seconds user, \d+ seconds system\)`,
	`Skiplist entries: 0`,
	`CCR (manifest state|\w+ payloads) hash: \S+`,
	`Route Origin Authorizations: \d+ \(0 failed parse, 0 invalid\)`,
	`AS Provider Attestations: 0 \(0 failed parse, 0 invalid\)`,
	`BGPsec Router Certificates: 0`,
	`Certificates: \d+ \(0 invalid, 0 non-functional, 0 sync deferred\)`,
	`Trust Anchor Locators: 1 \(0 invalid\)`,
	`Manifests: \d+ \(0 failed parse, 0 seqnum gaps\)`,
	`Certificate revocation lists: \d+`,
	`Trust Anchor Keys: 0`,
	`Repositories: \d+`,
	`New files moved into validated cache: \d+`,
	`Cleanup: removed \d+ files, \d+ directories`,
	`Repository cleanup: kept 0 and removed \d+ superfluous files`,
	`VRP Entries: \d+ \(\d+ unique\)`,
	`V[AS]P Entries: 0 \(0 unique(, 0 overflowed)?\)`,
}, "|") + `)$`)

// missed are lines about manifests of which a reader that was away has not seen every number. They are told apart from
// the usual because only a second look may bring them.
var missed = regexp.MustCompile(`^(rpki-client: \S+\.mft: seqnum gap detected #[0-9A-F]+ -> #[0-9A-F]+|Manifests: \d+ \(0 failed parse, \d+ seqnum gaps\))$`)

// unexpected is an error where a log of the newest rpki-client has a line that it should not have.
func unexpected(log string, later bool) (string, error) {
	lines := 0
	for line := range strings.Lines(log) {
		line = strings.TrimRight(line, "\n")
		lines++
		if !usual.MatchString(line) && !(later && missed.MatchString(line)) {
			return "", fmt.Errorf("it says %q", line)
		}
	}
	if lines == 0 {
		return "", errors.New("it is empty")
	}
	return fmt.Sprintf("%d lines", lines), nil
}

// Words of rpki-client and Routinator, with --log-repository-issues, about how they fetch AFRINIC's repository. IANA's is
// another thing: it has six objects, and two deltas of it are larger than its snapshot, so that they are not listed.
var (
	bySnapshot = regexp.MustCompile(`/afrinic/\S+ (downloading snapshot|updating from snapshot)`)
	byDeltas   = regexp.MustCompile(`/afrinic/\S+ (?:downloading (\d+) deltas|Delta update step \(1/(\d+)\))`)
)

// onlyDeltas is how many deltas a validator used, and an error where it used none, or a snapshot.
func onlyDeltas(log string) (string, error) {
	if line := bySnapshot.FindString(log); line != "" {
		return "", fmt.Errorf("its log has %q", line)
	}
	found := byDeltas.FindStringSubmatch(log)
	if found == nil {
		return "", errors.New("its log says nothing of deltas")
	}
	return found[1] + found[2] + " deltas", nil
}
