package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cadastre/internal/fault"
)

// eachCommand calls fn for every command that is ours, the root included.
func eachCommand(cmd *cobra.Command, fn func(*cobra.Command)) {
	fn(cmd)
	for _, below := range cmd.Commands() {
		eachCommand(below, fn)
	}
}

func TestHelp(t *testing.T) {
	eachCommand(newRoot(&global{}), func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: its short help is %q; it must be a half sentence", path, cmd.Short)
		}
		if !strings.Contains(cmd.Example, "  "+path) {
			t.Errorf("%s: no example shows it", path)
		}
		for line := range strings.Lines(cmd.Example) {
			if !strings.HasPrefix(line, "  cadastre ") {
				t.Errorf("%s: the example %q is not to be pasted", path, line)
			}
		}
		for _, name := range []string{"data", "output", "actor", "reason"} {
			if cmd.InheritedFlags().Lookup(name) == nil && cmd.PersistentFlags().Lookup(name) == nil {
				t.Errorf("%s has no --%s", path, name)
			}
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s: --%s is not explained", path, f.Name)
			}
		})
	})
}

// TestExamplesParse has cobra read every example.
func TestExamplesParse(t *testing.T) {
	eachCommand(newRoot(&global{}), func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Example) {
			if err := parses(line, true); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		}
	})
}

// TestScriptsCover checks that every verb and every exit status is in a script.
func TestScriptsCover(t *testing.T) {
	var all strings.Builder
	err := filepath.WalkDir("testdata", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".txtar") {
			var text []byte
			text, err = os.ReadFile(path)
			all.Write(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	eachCommand(newRoot(&global{}), func(cmd *cobra.Command) {
		if !cmd.HasSubCommands() && !strings.Contains(all.String(), "exec "+cmd.CommandPath()) {
			t.Errorf("no script runs '%s'", cmd.CommandPath())
		}
	})
	for _, kind := range fault.Kinds() {
		if kind == fault.Internal {
			continue
		}
		if !regexp.MustCompile(`(?m)^(\[\S+\] )?(refused|exits) ` + strconv.Itoa(kind.Exit()) + ` cadastre `).MatchString(all.String()) {
			t.Errorf("no script ends with %d: %s", kind.Exit(), kind.Meaning())
		}
	}
}
