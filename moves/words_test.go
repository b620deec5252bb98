package moves

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
	"time"

	"cadastre/holdings"
)

// TestEveryNeedHasWords: what a transfer can wait for has a sentence of its own, and several are put into one.
func TestEveryNeedHasWords(t *testing.T) {
	needs, said := 0, map[string]holdings.Need{}
	for _, file := range []string{"words.go", "../holdings/waiting.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !strings.HasPrefix(strings.ToLower(spec.Names[0].Name), "need") {
				return true
			}
			text, _ := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			need := holdings.Need(text)
			say := inWords[need]
			if say == nil {
				t.Errorf("nobody can say %s", need)
				return true
			}
			words := say(holdings.Waiting{For: need, Of: "lacnic", Says: "because of " + text})
			if other, twice := said[words]; twice || words == "" {
				t.Errorf("%s and %s are both %q", need, other, words)
			}
			needs++
			said[words] = need
			return true
		})
	}
	if needs < 40 || needs != len(inWords) {
		t.Errorf("%d needs were found, and %d have words", needs, len(inWords))
	}
	soon := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	what, on, until := put([]holdings.Waiting{
		{For: holdings.NeedObjection, Of: "north", On: holdings.Party{Kind: holdings.OfRegistry, Name: "north"}, Until: soon.Add(time.Hour)},
		{For: holdings.NeedApproval, Of: "south", On: holdings.Party{Kind: holdings.OfRegistry, Name: "south"}, Until: soon},
	})
	if want := "that north objects or consents; its silence is consent, and that south approves it ('cadastre transfer approve')"; what != want || on != "north, south" || !until.Equal(soon) {
		t.Errorf("it waits for %q, on %q, until %s", what, on, until)
	}
}
