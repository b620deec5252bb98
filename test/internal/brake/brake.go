// Package brake reads what Cadastre's brake asks for. Proofs that mean what they do repeat a command with its code, as an operator does.
package brake

import (
	"errors"
	"regexp"

	"cadastre/test/internal/process"
)

// status is how the brake ends a command, and code where it says what releases it.
const status = 6

var code = regexp.MustCompile(`--code ([0-9a-f]{8})`)

// Code is the code with which a command that has ended with an error may be repeated; empty where it is not the brake that holds it.
func Code(err error) string {
	var held *process.Exit
	if errors.As(err, &held) && held.Status == status {
		if found := code.FindStringSubmatch(held.Stderr + held.Stdout); found != nil {
			return found[1]
		}
	}
	return ""
}
