package main

import (
	"os"
	"regexp"
	"testing"
)

// TestExamples: the attacks that the documentation and the help name are there.
func TestExamples(t *testing.T) {
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile(`(?:-only |such as )([a-z,-]+)`).FindAllStringSubmatch(string(source), -1)
	if len(examples) < 2 {
		t.Fatalf("%d examples of -only are in main.go", len(examples))
	}
	for _, example := range examples {
		if _, err := choose(example[1]); err != nil {
			t.Error(err)
		}
	}
}
