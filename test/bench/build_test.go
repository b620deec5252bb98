package main

import (
	"testing"

	"cadastre/internal/object"
)

// BenchmarkBuild builds AFRINIC with P-256 keys, which cost next to nothing: what is left is our own work.
//
//	go test -bench Build -benchtime 1x -cpuprofile cpu.prof ./test/bench
func BenchmarkBuild(b *testing.B) {
	for b.Loop() {
		run := &bench{shared: "../../../shared", rows: 2 * allROAs, work: b.TempDir()}
		e, st, err := run.inProcess("build", object.P256, true)
		if err != nil {
			b.Skipf("the real registries are not there: %v", err)
		}
		if err := e.Unseal(b.Context(), []byte("of the benches"), []byte("of the benches"), 1500); err != nil {
			b.Fatal(err)
		}
		if err := e.Settle(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := st.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
