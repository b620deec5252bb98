package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// checkRounds is how often AFRINIC is built by each of the two programs.
const checkRounds = 3

// checks builds AFRINIC with the program as it is and with one whose store has no checksums, in turns, and looks at what each computes.
// Keys and signatures are of P-256: with those of RSA, which cost some twenty times as much, the share of all else would be smaller.
// What issue 12 added beside, the chain of decisions, costs its part when something is decided, and not when it is issued.
func (b *bench) checks(ctx context.Context) error {
	without := filepath.Join(b.work, "cadastre-nochecksums")
	if err := command(ctx, "go", "build", "-tags", "nochecksums", "-o", without, "./cmd/cadastre").Run(); err != nil {
		return fmt.Errorf("couldn't build cadastre without checksums: %w", err)
	}
	with := b.program
	defer func() { b.program = with }()
	took := map[string][]time.Duration{}
	for i := range checkRounds {
		for _, program := range []string{with, without} {
			b.program = program
			d, err := b.newDaemon(ctx, fmt.Sprintf("checks-%d-%s", i, filepath.Base(program)), "p-256")
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
		name: "CPU of building AFRINIC, checksums included", value: secs(whole), bound: fmt.Sprintf("the same without: %s", secs(bare)),
		aim: "at most 1.03 times", ok: whole <= bare*103/100,
	})
	return nil
}
