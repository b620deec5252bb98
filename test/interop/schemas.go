package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"cadastre/test/internal/process"
	"cadastre/testdata"
)

// schemas of the protocols, in the folder that prepareSchemas makes.
var schemas = map[string]string{upDown: "up-down.rnc", publication: "publication-4.rnc", setup: "oob-setup.rnc"}

// deviations are what is known to be wrong in messages of others.
var deviations = []struct {
	author, protocol string
	says             *regexp.Regexp // jing's words
	reason           string
}{
	{
		krillWrote, upDown, regexp.MustCompile(`element "description" missing required attribute "xml:lang"`),
		"RFC 6492 s3.6 has a language with every description; Krill writes none",
	},
	{
		krillWrote, upDown, regexp.MustCompile(`value of attribute "resource_set_(as|ipv4|ipv6)" is invalid`),
		"RFC 6492 s3.3.2 has nothing but commas between resources; Krill writes a space after each",
	},
}

// prepareSchemas puts those of ../shared and our own, of the newer publication protocol, into one folder.
func (r *run) prepareSchemas() error {
	theirs, err := filepath.Glob(filepath.Join(r.shared, "vectors", "schemas", "*.rnc"))
	if err != nil || len(theirs) == 0 {
		return errors.Join(err, fmt.Errorf("there are no schemas in %s/vectors/schemas", r.shared))
	}
	dir := filepath.Join(r.dir, "schemas")
	if err := os.CopyFS(r.dir, testdata.Schemas); err != nil {
		return err
	}
	for _, path := range theirs {
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(path)), text, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var jingSays = regexp.MustCompile(`^(\S+?):\d+:\d+: (?:error|fatal): (.*)$`)

// fit has jing read files, whose authors are known, against the schema of a protocol. It returns how many complaints
// were of known deviations, and the others as errors.
func (s *scene) fit(ctx context.Context, protocol string, authors map[string]string) (excused int, _ error) {
	schema := filepath.Join(s.run.dir, "schemas", schemas[protocol])
	stdout, err := process.Soon(ctx, nil, "jing", append([]string{"-c", schema}, slices.Sorted(maps.Keys(authors))...)...)
	if err == nil {
		return 0, nil
	}
	var wrong []error
	for line := range strings.Lines(string(stdout)) {
		said := jingSays.FindStringSubmatch(strings.TrimSpace(line))
		if said == nil {
			return 0, err // about something else than a message
		}
		if isDeviation(authors[said[1]], protocol, said[2]) {
			excused++
		} else {
			wrong = append(wrong, errors.New(strings.TrimSpace(line)))
		}
	}
	if excused == 0 && len(wrong) == 0 {
		return 0, err
	}
	return excused, errors.Join(wrong...)
}

func isDeviation(author, protocol, says string) bool {
	for _, d := range deviations {
		if d.author == author && d.protocol == protocol && d.says.MatchString(says) {
			return true
		}
	}
	return false
}
