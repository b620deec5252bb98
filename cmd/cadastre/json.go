package main

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"time"

	"cadastre/internal/term"
)

// What commands print as JSON has one style: names in snake_case, numbers as numbers, times as RFC 3339 has them, and lengths of
// time as they are written in commands ("4h0m0s", "30d").

// writeJSON prints an answer.
func writeJSON(out io.Writer, answer any) error {
	value := answer
	if hasDuration(reflect.TypeOf(answer), map[reflect.Type]bool{}) {
		text, err := json.Marshal(answer)
		if err != nil {
			return err
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		var tree any
		if err := decoder.Decode(&tree); err != nil {
			return err
		}
		value = withTerms(tree, reflect.ValueOf(answer))
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

var (
	durationType  = reflect.TypeFor[time.Duration]()
	marshalerType = reflect.TypeFor[json.Marshaler]()
)

// hasDuration tells whether values of a type lead to a time.Duration, which encoding/json writes as nanoseconds.
func hasDuration(t reflect.Type, seen map[reflect.Type]bool) bool {
	switch {
	case t == durationType:
		return true
	case t == nil || seen[t] || t.Implements(marshalerType):
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return hasDuration(t.Elem(), seen)
	case reflect.Struct:
		for field := range t.Fields() {
			if hasDuration(field.Type, seen) {
				return true
			}
		}
	default: // leads nowhere
	}
	return false
}

// withTerms is what was decoded of a value's JSON, with every length of time as text.
func withTerms(tree any, v reflect.Value) any {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return tree
		}
		v = v.Elem()
	}
	if v.Type() == durationType {
		return term.Text(time.Duration(v.Int()))
	}
	switch node := tree.(type) {
	case []any:
		if v.Kind() == reflect.Slice || v.Kind() == reflect.Array {
			for i := range min(len(node), v.Len()) {
				node[i] = withTerms(node[i], v.Index(i))
			}
		}
	case map[string]any:
		switch v.Kind() {
		case reflect.Map:
			if v.Type().Key().Kind() == reflect.String {
				for entries := v.MapRange(); entries.Next(); {
					if name := entries.Key().String(); node[name] != nil {
						node[name] = withTerms(node[name], entries.Value())
					}
				}
			}
		case reflect.Struct:
			fieldsWithTerms(node, v)
		default: // a Marshaler made it
		}
	}
	return tree
}

func fieldsWithTerms(node map[string]any, v reflect.Value) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			withTerms(node, v.Field(i))
		case !field.IsExported():
		default:
			if name == "" {
				name = field.Name
			}
			if was, there := node[name]; there {
				node[name] = withTerms(was, v.Field(i))
			}
		}
	}
}
