package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// log is what one daemon logs.
type log struct {
	of, path string
	loud     *regexp.Regexp // lines that say that something is wrong
	calm     int            // lines to read at least, for an empty log proves nothing
}

var (
	loudKrill        = regexp.MustCompile(`\[(WARN|ERROR)\]|panicked`)
	loudInstallation = regexp.MustCompile(`level=(WARN|ERROR)|^panic:|DATA RACE`)
	loudRsync        = regexp.MustCompile(`rsync error|failed`)
)

// logs is those of every daemon of the scene.
func (s *scene) logs() []log {
	var out []log
	if s.krill != nil {
		out = append(out, log{"Krill", s.krill.Path("krill.log"), loudKrill, 5}, log{"Krill's rsync daemon", s.krill.Path("rsyncd.log"), loudRsync, 0})
	}
	for _, h := range s.installations {
		out = append(out, log{"Cadastre, " + h.name, h.path("serve.log"), loudInstallation, 1})
	}
	return out
}

// harmless is every line of warning that belongs to a proof that holds.
var harmless = []struct {
	line   *regexp.Regexp
	reason string
}{
	{regexp.MustCompile(`msg="a parent outside the tree took resources away"`), "a parent did, or was left: that is what the scenario had it do"},
}

// readLogs finds what the daemons complained of.
func (s *scene) readLogs(context.Context) (string, error) {
	var wrong []error
	var lines, excused int
	for _, l := range s.logs() {
		text, err := os.ReadFile(l.path)
		if err != nil {
			return "", err
		}
		own := 0
		for line := range strings.Lines(string(text)) {
			own++
			switch line = strings.TrimRight(line, "\n"); {
			case !l.loud.MatchString(line):
			case isHarmless(line):
				excused++
			default:
				wrong = append(wrong, fmt.Errorf("%s says %q", l.of, line))
			}
		}
		if own < l.calm {
			wrong = append(wrong, fmt.Errorf("%s has logged %d lines: something is amiss with its log", l.of, own))
		}
		lines += own
	}
	return fmt.Sprintf("%d lines, %d of them warnings that are expected", lines, excused), errors.Join(wrong...)
}

func isHarmless(line string) bool {
	for _, h := range harmless {
		if h.line.MatchString(line) {
			return true
		}
	}
	return false
}
