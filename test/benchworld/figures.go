package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cadastre/holdings"
	"cadastre/internal/pairedkeys"
	"cadastre/roa"
	"cadastre/test/internal/process"
)

// Aims for all of the world.
const (
	holdingsCPU = 20 * time.Second
	roasCPU     = 30 * time.Second
	importPeak  = 500e6
)

// imports takes the registries' files, and then the announcements, a tenth of them first.
func (r *run) imports(ctx context.Context) error {
	cpu := ownCPU()
	for _, path := range r.files {
		f, err := os.Open(path)
		if err == nil {
			_, err = holdings.ReadFile(filepath.Base(path), f)
			_ = f.Close()
		}
		if err != nil {
			return err
		}
	}
	reading := ownCPU() - cpu
	open, err := r.cadastre(ctx, "status")
	if err != nil {
		return err
	}
	used, err := r.cadastre(ctx, append([]string{"holdings", "import"}, r.files...)...)
	if err != nil {
		return err
	}
	took := used.cpu - open.cpu
	r.add(figure{
		"holdings import of all registries", secs(took), "reading the files: " + secs(reading), "at most " + secs(r.ofShare(holdingsCPU)), took <= r.ofShare(holdingsCPU),
	})
	r.add(figure{"  memory", mb(used.peak), "-", "at most " + mb(importPeak), used.peak <= importPeak})
	return r.importROAs(ctx)
}

func (r *run) importROAs(ctx context.Context) error {
	text, err := os.ReadFile(r.rows)
	if err != nil {
		return err
	}
	cpu := ownCPU()
	if _, err := roa.ReadFile("rows", bytes.NewReader(text)); err != nil {
		return err
	}
	reading := ownCPU() - cpu
	lines := slices.Collect(strings.Lines(string(text)))
	first := len(lines) / 10
	var used [2]usage
	var open [2]usage // what it takes to open the data directory, which each command does without a daemon
	for i, part := range [][]string{lines[:first], lines[first:]} {
		path := filepath.Join(r.work, fmt.Sprintf("part-%d.csv", i))
		if err := os.WriteFile(path, []byte(strings.Join(part, "")), 0o600); err != nil {
			return err
		}
		if open[i], err = r.cadastre(ctx, "status"); err != nil {
			return err
		}
		if used[i], err = r.cadastre(ctx, "roa", "import", "--only-held", path); err != nil {
			return err
		}
	}
	all := used[0].cpu - open[0].cpu + used[1].cpu - open[1].cpu
	r.add(figure{
		fmt.Sprintf("roa import of %d lines", len(lines)), secs(all), fmt.Sprintf("reading them: %s; to open the ledger %s more", secs(reading), secs(open[0].cpu)),
		fmt.Sprintf("at most %s", secs(r.ofShare(roasCPU))), all <= r.ofShare(roasCPU),
	})
	r.add(figure{"  memory", mb(used[1].peak), "the ledger opened: " + mb(open[1].peak), "at most " + mb(importPeak), used[1].peak <= importPeak})
	few, many := perLine(used[0].cpu-open[0].cpu, first), perLine(used[1].cpu-open[1].cpu, len(lines)-first)
	r.add(figure{"  a line of the last nine tenths", many.String(), fmt.Sprintf("of the first tenth: %s", few), "at most 1.5 times", many <= few*3/2})
	return nil
}

func perLine(d time.Duration, lines int) time.Duration {
	return (d / time.Duration(max(lines, 1))).Round(10 * time.Nanosecond)
}

// build signs and publishes all of it. The primes of its keys are made before.
func (r *run) build(ctx context.Context) error {
	if err := pairedkeys.Prepare(r.pairs, int(1.1*r.share*1e6)+1000); err != nil {
		return err
	}
	used, err := r.cadastre(ctx, "serve", "--once")
	if err != nil {
		return err
	}
	roas, authorities, objects, err := r.published()
	if err != nil {
		return err
	}
	// a ROA and a manifest are two signatures each; a CRL, and the certificate of each authority but the trust anchor, are one
	n := 2*roas + 4*authorities - 1
	const some = 2000
	signing, err := signatures(some)
	if err != nil {
		return err
	}
	bound := signing * time.Duration(n) / some
	making, err := r.pairing(some)
	if err != nil {
		return err
	}
	building := used.cpu - making*time.Duration(roas+2*authorities)/some
	r.add(figure{
		fmt.Sprintf("building %d authorities, %d ROAs, keys ready", authorities, roas), secs(building), fmt.Sprintf("%d signatures alone: %s", n, secs(bound)), "at most 1.25 times", building <= bound*5/4,
	})
	r.add(figure{"  memory", mb(used.peak), "-", "at most 1200 MB", used.peak <= 1200e6})
	r.add(figure{"  written", mb(used.written), "the objects: " + mb(objects), "at most 4 times", used.written <= 4*objects})
	disk := size(filepath.Join(r.data, "store.db"))
	err = filepath.WalkDir(filepath.Join(r.data, "rrdp"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			disk += size(path)
		}
		return err
	})
	r.add(figure{"  on disk", mb(disk), "the objects: " + mb(objects), "at most 2.5 times", disk*2 <= objects*5})
	return err
}

// published counts what is in the rsync trees.
func (r *run) published() (roas, authorities int, bytes int64, err error) {
	trees, err := filepath.Glob(filepath.Join(r.data, "rsync", "*", "current"))
	if err != nil {
		return 0, 0, 0, err
	}
	for _, tree := range trees {
		if tree, err = filepath.EvalSymlinks(tree); err != nil {
			return 0, 0, 0, err
		}
		err := filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			switch filepath.Ext(path) {
			case ".roa":
				roas++
			case ".mft":
				authorities++
			}
			bytes += size(path)
			return nil
		})
		if err != nil {
			return 0, 0, 0, err
		}
	}
	return roas, authorities, bytes, nil
}

// signatures is the CPU of n RSA signatures.
func signatures(n int) (time.Duration, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return 0, err
	}
	digest := sha256.Sum256([]byte("bench"))
	cpu := ownCPU()
	for range n {
		if _, err := key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
			return 0, err
		}
	}
	return ownCPU() - cpu, nil
}

// pairing is the CPU of n keys of primes that are there.
func (r *run) pairing(n int) (time.Duration, error) {
	cpu := ownCPU()
	for range n {
		if _, err := pairedkeys.NextOf(r.pairs); err != nil {
			return 0, err
		}
	}
	return ownCPU() - cpu, nil
}

// ask has a daemon serve it, and times the questions of operators by the clock, the start of the command included.
func (r *run) ask(ctx context.Context) error {
	text, err := os.ReadFile(r.rows)
	if err != nil {
		return err
	}
	prefix, _, _ := strings.Cut(string(text), ",")
	begun := time.Now()
	daemon, err := process.StartLogged(filepath.Join(r.work, "daemon.log"), r.environment(), r.program, "--data", r.data, "serve")
	if err != nil {
		return err
	}
	defer daemon.Stop()
	if err := daemon.Answers(ctx, 10*time.Minute, filepath.Join(r.data, "cadastre.sock")); err != nil {
		return err
	}
	if _, err := r.cadastre(ctx, "status"); err != nil {
		return err
	}
	started := time.Since(begun)
	r.add(figure{"restart, until it takes decisions (clock)", secs(started), "-", "at most 10.0 s", started <= 10*time.Second})
	used, err := r.cadastre(ctx, "holdings", "history", prefix)
	if err != nil {
		return err
	}
	holder := holderIn(used.out)
	if holder == "" {
		return fmt.Errorf("nobody has %s: %s", prefix, used.out)
	}
	for _, question := range [][]string{{"status"}, {"holdings", "history", prefix}, {"roa", "list", "--holder", holder}, {"holdings", "list", prefix}} {
		var took []time.Duration
		for range 5 {
			begun := time.Now()
			if _, err := r.cadastre(ctx, question...); err != nil {
				return err
			}
			took = append(took, time.Since(begun))
		}
		slices.Sort(took)
		median := took[len(took)/2]
		r.add(figure{strings.Join(question, " ") + " (clock)", median.Round(time.Millisecond).String(), "-", "at most 50ms", median <= 50*time.Millisecond})
	}
	return nil
}

// holderIn is the last holder that a history names, which is the most specific one.
func holderIn(text []byte) (holder string) {
	for line := range strings.Lines(string(text)) {
		if name, rest, found := strings.Cut(strings.TrimSpace(line), ": "); found && strings.Contains(name, "/") && strings.Contains(rest, " by ") {
			holder = name
		}
	}
	return holder
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
