package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"cadastre/test/internal/attestations"
	"cadastre/test/internal/process"
)

// validators are those that judge. The newest rpki-client is the strictest, and the one that is asked until it sees what
// is awaited; the others then have to agree with it.
var validators = []string{newest, "routinator", "fort-1.6.6"}

const (
	newest      = "rpki-client-newest"
	krillAnchor = "Krill's" // the name of the trust anchor of Krill's
)

// anchors is the TAL files of the scene's installations by name.
func (s *scene) anchors() map[string]string {
	out := map[string]string{}
	if s.krill != nil {
		out[krillAnchor] = s.krill.TAL()
	}
	for _, h := range s.installations {
		out[h.name] = h.tal()
	}
	return out
}

// awaits has the newest rpki-client look, for up to a minute, until it prints exactly what is wanted under every trust
// anchor of the scene.
func (s *scene) awaits(ctx context.Context, want wanted) (string, error) {
	begun := time.Now()
	err := process.Until(ctx, time.Minute, func() error { return s.look(ctx, newest, want) })
	return fmt.Sprintf("%s, seen after %.1f s", want, time.Since(begun).Seconds()), err
}

// seen is the step in which what is wanted is awaited.
func (s *scene) seen(what string, want wanted) step {
	return step{what, func(ctx context.Context) (string, error) { return s.awaits(ctx, want) }}
}

// agreed is the last step of a scenario: all validators print exactly what is wanted, and the newest rpki-client found
// nothing invalid under any trust anchor.
func (s *scene) agreed(want wanted) []step {
	steps := []step{
		s.seen("in the end: "+newest, want),
		do("it finds nothing invalid, stale or missing", func(ctx context.Context) error {
			return process.Until(ctx, time.Minute, func() error { // a child that has to shed takes a moment
				if err := s.look(ctx, newest, want); err != nil {
					return err
				}
				return s.soundIn()
			})
		}),
	}
	for _, v := range validators[1:] {
		steps = append(steps, do("in the end: "+v, func(ctx context.Context) error { return s.look(ctx, v, want) }))
	}
	return steps
}

// look has a validator look once under each trust anchor, and compares.
func (s *scene) look(ctx context.Context, validator string, want wanted) error {
	for anchor, tal := range s.anchors() {
		stdout, err := process.Soon(ctx, []string{"RP_HOME=" + s.rpHome}, filepath.Join(s.shared, "rp", "vrps"), validator, tal, s.tls.Roots, s.cache(validator, anchor))
		if err != nil {
			return fmt.Errorf("%w; its log is %s/log", err, s.cache(validator, anchor))
		}
		got, wants := strings.Fields(string(stdout)), slices.Sorted(slices.Values(want[anchor]))
		if vaps, known, err := attestations.Read(filepath.Join(s.cache(validator, anchor), "aspas")); err != nil {
			return err
		} else if got = append(got, vaps...); !known {
			wants = slices.DeleteFunc(wants, isVAP)
		}
		slices.Sort(got)
		if !slices.Equal(got, wants) {
			return fmt.Errorf("under the trust anchor that is %s it prints %q and not %q", anchor, got, wants)
		}
	}
	return nil
}

// isVAP tells a line of AS1=>AS2,AS3 from one of prefix,maxlength,ASn.
func isVAP(line string) bool { return strings.Contains(line, "=>") }

// cache is the folder that a validator keeps for a trust anchor throughout a scenario, so that it comes to use deltas.
func (s *scene) cache(validator, anchor string) string {
	return s.path("cache-" + validator + "-" + strings.Trim(anchor, "'s"))
}

func (w wanted) String() string {
	vrps, vaps := 0, 0
	for _, lines := range w {
		for _, line := range lines {
			if isVAP(line) {
				vaps++
			} else {
				vrps++
			}
		}
	}
	text := fmt.Sprintf("%d VRPs", vrps)
	if vrps == 1 {
		text = "1 VRP"
	}
	if vaps > 0 {
		text += fmt.Sprintf(", %d VAP", vaps)
	}
	return text
}

// sound are the sums of the newest rpki-client when there was nothing to say against what it found.
var sound = []*regexp.Regexp{
	regexp.MustCompile(`(?m)^Route Origin Authorizations: \d+ \(0 failed parse, 0 invalid\)$`),
	regexp.MustCompile(`(?m)^AS Provider Attestations: \d+ \(0 failed parse, 0 invalid\)$`),
	regexp.MustCompile(`(?m)^Certificates: \d+ \(0 invalid, 0 non-functional, 0 sync deferred\)$`),
	regexp.MustCompile(`(?m)^Manifests: \d+ \(0 failed parse, \d+ seqnum gaps\)$`),
	regexp.MustCompile(`(?m)^Trust Anchor Locators: 1 \(0 invalid\)$`),
}

// soundIn reads the logs of the last look.
func (s *scene) soundIn() error {
	for anchor := range s.anchors() {
		path := filepath.Join(s.cache(newest, anchor), "log")
		log, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, line := range sound {
			if !line.Match(log) {
				return fmt.Errorf("%s has no line like %s", path, line)
			}
		}
	}
	return nil
}
