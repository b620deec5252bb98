package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cadastre/daemon"
)

// What README.md, docs, --help and error messages name has to be there: commands with their flags and arguments, files, keys of
// config.toml, metrics, targets of make, headings.

// root is the folder of the whole project, as tests see it.
const root = "../.."

// documents are README.md and docs by name.
func documents(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, path := range append(paths, root+"/README.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(path, root+"/")] = string(text)
	}
	return all
}

// sources calls fn for every file of Go that is no test.
func sources(t *testing.T, fn func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") && path != root || entry.Name() == "testdata"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		fn(strings.TrimPrefix(path, root+"/"), string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

var (
	quotedWords = regexp.MustCompile(`'[^']*'`)
	codeSpan    = regexp.MustCompile("`([^`\n]+)`")
)

// grammar is all commands, which nothing runs.
var grammar = sync.OnceValue(func() *cobra.Command { return newRoot(&global{}) })

// parses has cobra read a command line, as far as its flags and the number of its arguments. What is named in passing, as
// 'keys roll --abandon' is, may leave out arguments.
func parses(line string, whole bool) error {
	line, _, _ = strings.Cut(strings.TrimSpace(line), "   #")
	line, _, _ = strings.Cut(line, " # ")
	line, _, _ = strings.Cut(line, " | ")
	line, _, _ = strings.Cut(line, " > ")
	words := strings.Fields(quotedWords.ReplaceAllString(line, "words"))[1:]
	if !whole && slices.Contains(words, "…") {
		words = words[:slices.Index(words, "…")]
	}
	found, rest, err := grammar().Find(words)
	if err != nil {
		return err
	}
	switch err := found.ParseFlags(rest); {
	case errors.Is(err, pflag.ErrHelp):
		return nil
	case err != nil && (whole || !strings.Contains(err.Error(), "flag needs an argument")):
		return err
	}
	if args := found.Flags().Args(); whole || found.HasSubCommands() {
		return found.ValidateArgs(args)
	}
	return nil
}

// nounsOf is the first words of commands.
func nounsOf() map[string]bool {
	nouns := map[string]bool{}
	for _, cmd := range grammar().Commands() {
		nouns[cmd.Name()] = true
	}
	return nouns
}

// TestDocumentsParse reads every command that README.md and docs show.
func TestDocumentsParse(t *testing.T) {
	nouns, shown := nounsOf(), 0
	for name, text := range documents(t) {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "    cadastre ") {
				shown++
				if err := parses(line, true); err != nil {
					t.Errorf("%s: %q: %v", name, strings.TrimSpace(line), err)
				}
				continue
			}
			for _, span := range codeSpan.FindAllStringSubmatch(line, -1) {
				command := strings.TrimPrefix(span[1], "cadastre ")
				if noun, rest, several := strings.Cut(command, " "); nouns[noun] && several && rest != "/" {
					if err := parses("cadastre "+command, false); err != nil {
						t.Errorf("%s: `%s`: %v", name, span[1], err)
					}
				}
			}
		}
	}
	if shown < 70 {
		t.Errorf("only %d commands were found", shown)
	}
}

// TestWordsParse reads every command that help and messages name: 'cadastre keys show acme'.
func TestWordsParse(t *testing.T) {
	named := regexp.MustCompile(`'cadastre ([a-z][^'\n]*)'`)
	verb := regexp.MustCompile(`%(?:\.\d+)?[a-z]`)
	count := 0
	sources(t, func(path, text string) {
		text = strings.ReplaceAll(text, "\" +\n", "\"+\n")
		text = regexp.MustCompile(`(?:\\n)?"\+\n\s*"`).ReplaceAllString(text, " ")
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			count++
			line := verb.ReplaceAllString(strings.ReplaceAll(m[1], "'%s'", "X"), "7")
			if err := parses("cadastre "+line, false); err != nil {
				t.Errorf("%s: %s: %v", path, m[0], err)
			}
		}
	})
	nouns := nounsOf()
	eachCommand(grammar(), func(cmd *cobra.Command) {
		text := cmd.Long
		cmd.Flags().VisitAll(func(f *pflag.Flag) { text += "\n" + f.Usage })
		for _, m := range quotedWords.FindAllString(text, -1) {
			command := strings.TrimPrefix(strings.Trim(m, "'"), "cadastre ")
			if noun, _, several := strings.Cut(command, " "); nouns[noun] && several {
				if err := parses("cadastre "+command, false); err != nil {
					t.Errorf("%s: %s: %v", cmd.CommandPath(), m, err)
				}
			}
		}
	})
	if count < 50 {
		t.Errorf("only %d commands were found", count)
	}
}

// flagsOf is the names of all flags of all commands.
func flagsOf() map[string]bool {
	names := map[string]bool{"--help": true, "--version": true}
	eachCommand(grammar(), func(cmd *cobra.Command) {
		add := func(f *pflag.Flag) { names["--"+f.Name] = true }
		cmd.Flags().VisitAll(add)
		cmd.PersistentFlags().VisitAll(add)
	})
	return names
}

// configKeys is the keys of config.toml, each with its section: policy.soak.
func configKeys(typ reflect.Type, prefix string, into map[string]bool) map[string]bool {
	for field := range typ.Fields() {
		key, _, _ := strings.Cut(field.Tag.Get("toml"), ",")
		if key == "" {
			continue
		}
		into[prefix+key] = true
		if field.Type.Kind() == reflect.Struct {
			configKeys(field.Type, prefix+key+".", into)
		}
	}
	return into
}

// TestDocumentsName looks for all that README.md and docs name.
func TestDocumentsName(t *testing.T) {
	flags, keys := flagsOf(), configKeys(reflect.TypeFor[daemon.Config](), "", map[string]bool{})
	makefile, err := os.ReadFile(root + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	sources(t, func(_, text string) { all.WriteString(text) })
	source := all.String()
	var (
		flag    = regexp.MustCompile(`^--[a-z0-9-]+`)
		section = regexp.MustCompile(`^\[([a-z.]+)\]$`)
		key     = regexp.MustCompile(`^(policy|limits|listen|escrow|tls)\.[a-z_.]+$`)
		metric  = regexp.MustCompile(`^cadastre_[a-z_]+$`)
		target  = regexp.MustCompile(`^make ([a-z]+)`)
		file    = regexp.MustCompile(`^[A-Za-z0-9_./-]+\.(go|md|toml|txtar)$`)
		folder  = regexp.MustCompile(`^[a-z/]+$`)
	)
	for name, text := range documents(t) {
		for _, span := range codeSpan.FindAllStringSubmatch(text, -1) {
			word := span[1]
			there := true
			switch {
			case flag.MatchString(word):
				there = flags[flag.FindString(word)] || word == "--enable-aspa" // of Routinator
			case section.MatchString(word):
				there = keys[section.FindStringSubmatch(word)[1]]
			case key.MatchString(word):
				there = keys[word]
			case metric.MatchString(word):
				there = strings.Contains(source, `"`+word+`"`) || strings.Contains(source, `"`+strings.TrimPrefix(word, "cadastre_")+`"`)
			case target.MatchString(word):
				there = strings.Contains(string(makefile), "\n"+target.FindStringSubmatch(word)[1]+":")
			case file.MatchString(word) && strings.Contains(word, "/"), strings.Contains(word, "/") && folder.MatchString(word) && !strings.HasPrefix(word, "/"):
				_, err := os.Stat(filepath.Join(root, word))
				there = err == nil
			}
			if !there {
				t.Errorf("%s names `%s`, which is not there", name, word)
			}
		}
	}
}

// TestDocumentsLink follows the links of README.md and docs to files and to headings.
func TestDocumentsLink(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`)
	all := documents(t)
	for name, text := range all {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, there := all[filepath.Join(filepath.Dir(name), m[1])]
			heading := regexp.MustCompile(`(?im)^#+ ` + strings.ReplaceAll(regexp.QuoteMeta(m[2]), "-", "[ -]") + `$`)
			if !there || m[2] != "" && !heading.MatchString(target) {
				t.Errorf("%s links to %s, which is not there", name, m[0])
			}
		}
	}
}

// TestRooms: README.md names every folder that has code.
func TestRooms(t *testing.T) {
	text, err := os.ReadFile(root + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| package |")
	rooms := map[string]bool{}
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		folder := ""
		for _, span := range codeSpan.FindAllStringSubmatch(cells[1]+cells[2], -1) {
			room := span[1]
			if !strings.Contains(room, "/") && folder != "" {
				room = filepath.Join(folder, room)
			}
			folder = filepath.Dir(room)
			rooms[room] = true
		}
	}
	sources(t, func(path, _ string) {
		for dir := filepath.Dir(path); !rooms[dir]; dir = filepath.Dir(dir) {
			if dir == "." {
				t.Errorf("README.md has no package for %s", path)
				return
			}
		}
	})
}
