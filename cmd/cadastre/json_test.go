package main

import (
	"bytes"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"cadastre/api"
	"cadastre/aspa"
	"cadastre/ca"
	"cadastre/escrow"
	"cadastre/holdings"
	"cadastre/internal/relying"
	"cadastre/moves"
	"cadastre/roa"
	"cadastre/rrdp/publisher"
)

func TestJSONDurations(t *testing.T) {
	type inner struct {
		Pace time.Duration `json:"pace"`
	}
	type outer struct {
		inner
		Soak  time.Duration            `json:"soak,omitempty"`
		By    map[string]time.Duration `json:"by"`
		List  []*inner                 `json:"list"`
		Big   uint64                   `json:"big"`
		Until time.Time                `json:"until,omitzero"`
	}
	var b bytes.Buffer
	if err := writeJSON(&b, &outer{inner: inner{time.Minute}, By: map[string]time.Duration{"a": 48 * time.Hour}, List: []*inner{nil, {90 * time.Minute}}, Big: 1<<63 + 1}); err != nil {
		t.Fatal(err)
	}
	want := `{"big":9223372036854775809,"by":{"a":"2d"},"list":[null,{"pace":"1h30m0s"}],"pace":"1m0s"}`
	if got := regexp.MustCompile(`\s`).ReplaceAllString(b.String(), ""); got != want {
		t.Errorf("printed %s, not %s", got, want)
	}
}

// TestJSONNames looks at every field that commands print: its name is in snake_case. The public record of transfers keeps the
// names that the NRO gave it, and is printed as it is served.
func TestJSONNames(t *testing.T) {
	snake := regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)
	seen := map[reflect.Type]bool{}
	var look func(reflect.Type, string)
	look = func(typ reflect.Type, path string) {
		if seen[typ] || typ.Implements(marshalerType) || !strings.Contains(typ.PkgPath()+"cadastre", "cadastre") {
			return
		}
		seen[typ] = true
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			look(typ.Elem(), path)
		case reflect.Struct:
			if typ.PkgPath() == "time" || typ.PkgPath() == "net/netip" {
				return
			}
			for field := range typ.Fields() {
				name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
				switch {
				case !field.IsExported() && !field.Anonymous || name == "-":
					continue
				case name == "" && field.Anonymous:
				case !snake.MatchString(name):
					t.Errorf("%s.%s is called %q in JSON", typ, field.Name, name)
				}
				look(field.Type, path+"."+field.Name)
			}
		default: // has no fields
		}
	}
	for _, v := range []any{
		ca.Status{}, ca.Effect{}, ca.Peers{}, ca.Addresses{}, ca.IdentityStatus{}, ca.KeyStatus{}, ca.PassphraseChange{}, api.ROAIntent{}, api.ASPAIntent{}, aspa.VAP{}, api.Holding{}, api.Text{}, api.XML{},
		holdings.Decision{}, holdings.Delegation{}, holdings.Organisation{}, holdings.Policy{}, holdings.Transfer{}, moves.HandoffPlan{}, moves.PeerStatus{},
		publisher.Info{}, roa.VRP{}, relying.Report{}, relying.Step{}, escrow.Sum{}, restoredAs{}, madeAs{}, readdressed{}, addressStatus{}, verified{}, problem{},
	} {
		look(reflect.TypeOf(v), reflect.TypeOf(v).String())
	}
}
