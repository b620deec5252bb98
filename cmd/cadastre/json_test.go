package main

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"cadastre/api"
	"cadastre/aspa"
	"cadastre/ca"
	"cadastre/daemon"
	"cadastre/escrow"
	"cadastre/federation"
	"cadastre/holdings"
	"cadastre/internal/relying"
	"cadastre/moves"
	"cadastre/roa"
	"cadastre/rrdp/publisher"
)

// TestJSONNames looks at every field that commands print: its name is in snake_case, and a length of time is a term.Term, which
// is printed as commands read it. The public record of transfers keeps the
// names that the NRO gave it, and is printed as it is served.
func TestJSONNames(t *testing.T) {
	snake := regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)
	seen := map[reflect.Type]bool{}
	var look func(reflect.Type, string)
	look = func(typ reflect.Type, path string) {
		if seen[typ] || typ.Implements(reflect.TypeFor[json.Marshaler]()) || !strings.Contains(typ.PkgPath()+"cadastre", "cadastre") {
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
				if field.Type == reflect.TypeFor[time.Duration]() {
					t.Errorf("%s.%s is a number of nanoseconds in JSON; make it a term.Term", typ, field.Name)
				}
				look(field.Type, path+"."+field.Name)
			}
		default: // has no fields
		}
	}
	for _, v := range []any{
		ca.Status{}, ca.Effect{}, ca.Peers{}, ca.Addresses{}, federation.IdentityStatus{}, ca.KeyStatus{}, ca.PassphraseChange{}, api.ROAIntent{}, api.ASPAIntent{}, aspa.VAP{}, api.Holding{}, api.Text{}, api.XML{},
		holdings.Decision{}, holdings.Delegation{}, holdings.Organisation{}, holdings.Policy{}, holdings.Transfer{}, moves.HandoffPlan{}, moves.PeerStatus{},
		publisher.Info{}, roa.VRP{}, relying.Report{}, relying.Step{}, escrow.Sum{}, restoredAs{}, madeAs{}, daemon.Readdressed{}, addressStatus{}, verified{}, problem{},
	} {
		look(reflect.TypeOf(v), reflect.TypeOf(v).String())
	}
}
