// Package brake reads what Cadastre's brake asks for. Proofs that mean what they do repeat a command with its code, as an operator does.
package brake

import (
	"errors"
	"regexp"

	"cadastre/test/internal/process"
)

// status is how the brake ends a command, and code where it says what releases it.
const status = 6

var code = regexp.MustCompile(`--code ([0-9a-f]{8,})`)

// Holds tells whether a command has ended with an error because the brake holds it.
func Holds(err error) bool { return held(err) != nil }

func held(err error) *process.Exit {
	var exit *process.Exit
	if errors.As(err, &exit) && exit.Status == status {
		return exit
	}
	return nil
}

// Code is the code with which a command that has ended with an error may be repeated; empty where it is not the brake that holds it.
func Code(err error) string {
	if exit := held(err); exit != nil {
		if found := code.FindStringSubmatch(exit.Stderr + exit.Stdout); found != nil {
			return found[1]
		}
	}
	return ""
}
