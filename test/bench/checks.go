package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cadastre/internal/pairedkeys"
)

const (
	checkRounds = 2      // how often AFRINIC is built by each of the two programs
	checkKeys   = 25_000 // more than one building takes
)

// checks builds AFRINIC with the program as it is and with one whose store has no checksums, in turns, and looks at what each computes.
// RSA keys are made of primes that others have, too (package internal/pairedkeys): with the search for primes, which costs some twenty times as much
// as all else, the share of the checksums would be smaller.
// What issue 12 added beside, the chain of decisions, costs its part when something is decided, and not when it is issued.
func (b *bench) checks(ctx context.Context) error {
	with, without := filepath.Join(b.work, "cadastre-checksums"), filepath.Join(b.work, "cadastre-nochecksums")
	for program, tags := range map[string]string{with: "paired", without: "paired,nochecksums"} {
		if err := command(ctx, "go", "build", "-tags", tags, "-o", program, "./cmd/cadastre").Run(); err != nil {
			return fmt.Errorf("couldn't build cadastre with the tags %s: %w", tags, err)
		}
	}
	pairs := filepath.Join(b.work, "paired-keys")
	if err := errors.Join(pairedkeys.Prepare(pairs, 2*checkRounds*checkKeys), os.Setenv(pairedkeys.Variable, pairs)); err != nil { // for both programs
		return err
	}
	defer func(as string) { b.program = as }(b.program)
	took := map[string][]time.Duration{}
	for i := range checkRounds {
		for _, program := range []string{with, without} {
			b.program = program
			d, err := b.newDaemon(ctx, fmt.Sprintf("checks-%d-%s", i, filepath.Base(program)), "rsa-2048")
			b.daemon = nil // it serves nothing
			if err != nil {
				return err
			}
			c := command(ctx, program, "--data", d.dir, "serve", "--once", "--passphrase-file", d.passphrase)
			if err := c.Run(); err != nil {
				return fmt.Errorf("building AFRINIC by %s: %w", filepath.Base(program), err)
			}
			took[program] = append(took[program], c.ProcessState.UserTime()+c.ProcessState.SystemTime())
		}
	}
	fmt.Printf("CPU of building AFRINIC, with checksums %v, without %v\n", took[with], took[without])
	whole, bare := slices.Min(took[with]), slices.Min(took[without]) // what others do on the machine only adds
	b.add(figure{
		name: "CPU of building AFRINIC, keys ready, checksums included", value: secs(whole), bound: fmt.Sprintf("the same without: %s", secs(bare)),
		aim: "at most 1.03 times", ok: whole <= bare*103/100,
	})
	return nil
}
