package main

import (
	"os"
	"testing"
)

// TestEachSeedHasItsMoves: whatever seed, there is a holder for each move. With some, the first share has none for all.
func TestEachSeedHasItsMoves(t *testing.T) {
	if _, err := os.Stat("../../../shared/data"); err != nil {
		t.Skip("the real registries are not here:", err)
	}
	for _, seed := range []uint64{1, 26897} {
		for name, how := range map[string]func(*run, []*holder) *chooser{"moves": (*run).chooseMoves, "between": (*run).chooseBetween} {
			r := newRun(options{seed: seed, holders: 120, moves: 50, withKrill: true})
			r.shared, r.dir = "../../../shared", t.TempDir()
			s := &scene{run: r, world: &world{}}
			said, err := s.choose(func(list []*holder) *chooser { return how(r, list) })
			if err != nil {
				t.Errorf("seed %d, %s: %v", seed, name, err)
			}
			t.Log(said)
		}
	}
}
