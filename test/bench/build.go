package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/object"
	"cadastre/internal/principal"
	"cadastre/internal/store"
	"cadastre/roa"
)

const (
	tree = "[[organisation]]\nhandle = \"iana\"\nkind = \"root\"\n\n[[organisation]]\nhandle = \"afrinic\"\nkind = \"rir\"\nparent = \"iana\"\n"

	registry2023  = "data/registries/delegated-afrinic-extended-20230324.gz"
	announcements = "data/announcements/afrinic-202606.csv.gz"
)

// inProcess makes an engine over a new store, with AFRINIC of 2023 and the announcements in it when full is set.
func (b *bench) inProcess(name string, algorithm object.Algorithm, full bool) (*ca.Engine, store.Store, error) {
	dir := filepath.Join(b.work, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	policy := ca.DefaultPolicy()
	policy.Algorithm = algorithm
	policy.RRDPBase, policy.RsyncBase, policy.AnchorURL = "https://localhost/rrdp/", "rsync://localhost/", "https://localhost/ta/ta.cer"
	st, err := store.Open(filepath.Join(dir, "store.db"), store.Options{Create: true})
	if err != nil {
		return nil, nil, err
	}
	organisations, err := holdings.ParseTree([]byte(tree))
	if err != nil {
		return nil, nil, err
	}
	if err := ca.Init(st, dir, policy, organisations, []byte("of the benches"), []byte("of the benches"), principal.Principal{Name: "bench"}); err != nil {
		return nil, nil, err
	}
	e, err := ca.Open(st, dir, policy, slog.New(slog.DiscardHandler))
	if err != nil || !full {
		return e, st, err
	}
	return e, st, b.fill(e)
}

func (b *bench) fill(e *ca.Engine) error {
	f, err := os.Open(filepath.Join(b.shared, registry2023))
	if err != nil {
		return err
	}
	defer f.Close()
	file, err := holdings.ReadFile(registry2023, f)
	if err != nil {
		return err
	}
	by := holdings.By{Who: principal.Principal{Name: "bench"}, Reason: "bench", Time: time.Now()}
	if _, err := e.Import(by, []*holdings.File{file}, holdings.ImportOptions{}, ca.Consent{}); err != nil {
		return err
	}
	g, err := os.Open(filepath.Join(b.shared, announcements))
	if err != nil {
		return err
	}
	defer g.Close()
	rows, err := roa.ParseCSV(announcements, g)
	if err != nil {
		return err
	}
	rows = rows[:min(b.rows, len(rows))]
	_, err = e.AddIntents(rows, roa.Options{OnlyHeld: true, By: holdings.By{Who: principal.Principal{Name: "bench"}, Time: time.Now()}}, ca.Consent{})
	return err
}

// What AFRINIC of 2023 takes: a key for each ROA, two for each authority, and one for each batch.
const (
	authorities = 2_484
	allROAs     = 17_098
	batches     = 400
)

// warm fills a pool with all keys that AFRINIC needs, which is the bound of the cold build, and then builds it from
// that pool, beside making as many signatures and nothing else.
func (b *bench) warm(ctx context.Context) error {
	e, st, err := b.inProcess("warm", object.RSA, true)
	if err != nil {
		return err
	}
	defer st.Close()
	pool, cancel := context.WithCancel(ctx)
	defer cancel()
	intents, err := e.Status()
	if err != nil {
		return err
	}
	b.roas = intents.Intents
	keysNeeded := b.roas + 2*authorities + batches
	start := time.Now()
	if err := e.Unseal(pool, []byte("of the benches"), []byte("of the benches"), keysNeeded); err != nil {
		return err
	}
	for ready := 0; ready < keysNeeded; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		status, err := e.Status()
		if err != nil {
			return err
		}
		ready = status.PoolReady
	}
	b.keysAlone = time.Since(start)
	fmt.Printf("%d RSA keys alone, both cores: %s\n", keysNeeded, secs(b.keysAlone))

	cpu := cpuTime()
	before, err := signaturesAlone(8000)
	if err != nil {
		return err
	}
	signing := cpuTime() - cpu
	runtime.GC()
	cpu = cpuTime()
	start = time.Now()
	if err := e.Settle(ctx); err != nil {
		return err
	}
	took := time.Since(start)
	cpu = cpuTime() - cpu
	after, err := signaturesAlone(8000)
	if err != nil {
		return err
	}
	status, err := e.Status()
	if err != nil {
		return err
	}
	n := b.signaturesOf(keysNeeded - status.PoolReady)
	bound := time.Duration(float64(before+after) / 2 / 8000 * float64(n))
	b.add(figure{
		name: "building AFRINIC, pool warm", value: secs(took), bound: fmt.Sprintf("%d signatures alone: %s", n, secs(bound)),
		aim: "at most 1.2 times", ok: took <= bound*12/10,
	})
	fmt.Printf("  ratio %.2f, of CPU time %.2f; %d objects\n", took.Seconds()/bound.Seconds(), cpu.Seconds()*8000/(signing.Seconds()*float64(n)), status.Repositories["afrinic"].Objects)
	return nil
}

// signaturesOf is how many signatures were made with so many keys: a ROA and a manifest are two for one key, each
// manifest comes with a CRL, and each authority but the trust anchor has a certificate.
func (b *bench) signaturesOf(used int) int {
	oneTime := used - (authorities - 1)
	manifests := oneTime - b.roas
	return 2*oneTime + manifests + authorities - 1
}

// cpuTime is what this process has used of all cores.
func cpuTime() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// signaturesAlone times n RSA signatures on all cores.
func signaturesAlone(n int) (time.Duration, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return 0, err
	}
	digest := sha256.Sum256([]byte("bench"))
	cores := runtime.GOMAXPROCS(0)
	errs := make(chan error, cores)
	var wg sync.WaitGroup
	start := time.Now()
	for range cores {
		wg.Go(func() {
			for range n / cores {
				if _, err := key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return time.Since(start), <-errs
}

// cold builds AFRINIC as an operator would, with the daemon and an empty pool, and looks at its memory.
func (b *bench) cold(ctx context.Context) error {
	d, err := b.newDaemon(ctx, "cold", "rsa-2048")
	if err != nil {
		return err
	}
	start := time.Now()
	if err := d.start(ctx); err != nil {
		return err
	}
	defer d.stop()
	if err := d.cadastre(ctx, "status", "--wait"); err != nil {
		return err
	}
	took, peak := time.Since(start), d.process.PeakMemory()
	b.add(figure{
		name: "building AFRINIC from nothing, keys cold", value: secs(took), bound: fmt.Sprintf("%d RSA keys alone: %s", b.roas+2*authorities+batches, secs(b.keysAlone)),
		aim: "at most 1.2 times", ok: took <= b.keysAlone*12/10,
	})
	fmt.Printf("  ratio %.2f\n", took.Seconds()/b.keysAlone.Seconds())
	b.add(figure{name: "peak memory building AFRINIC", value: fmt.Sprintf("%d MB", peak>>20), bound: "-", aim: "under 300 MB", ok: peak < 300<<20})
	return nil
}
