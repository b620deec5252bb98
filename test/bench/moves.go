package main

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/store"
	"cadastre/moves"
	"cadastre/roa"
)

const twoRegistries = tree + "\n[[organisation]]\nhandle = \"lacnic\"\nkind = \"rir\"\nparent = \"iana\"\n"

// scene is an engine with a mover, in process.
type scene struct {
	engine *ca.Engine
	store  *store.Bolt
	mover  *moves.Mover
	keys   int // that were in the pool when it was full
}

// newScene makes AFRINIC with so many holders of three ROAs each, and LACNIC with nothing, and publishes all that. Its pool
// has as many keys as are named when it returns.
func (b *bench) newScene(ctx context.Context, name string, algorithm object.Algorithm, holders, pool int) (*scene, error) {
	dir := filepath.Join(b.work, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	policy := ca.DefaultPolicy()
	policy.Algorithm, policy.Soak = algorithm, 0
	policy.RRDPBase, policy.RsyncBase, policy.AnchorURL = "https://localhost/rrdp/", "rsync://localhost/", "https://localhost/ta/ta.cer"
	st, err := store.Open(filepath.Join(dir, "store.db"), store.Options{Create: true, NoSync: algorithm != object.RSA})
	if err != nil {
		return nil, err
	}
	organisations, err := holdings.ParseTree([]byte(twoRegistries))
	if err != nil {
		return nil, err
	}
	if err := ca.Init(st, dir, policy, organisations, []byte("bench"), []byte("bench"), "bench"); err != nil {
		return nil, err
	}
	e, err := ca.Open(st, dir, policy, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	s := &scene{engine: e, store: st, mover: moves.New(e, dir, slog.New(slog.DiscardHandler)), keys: pool}
	if err := s.fill(holders); err != nil {
		return nil, err
	}
	if err := e.Unseal(ctx, []byte("bench"), []byte("bench"), pool); err != nil {
		return nil, err
	}
	return s, e.Settle(ctx)
}

// block is the /20 of a holder.
func block(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(32 + i>>12), byte(i >> 4), byte(i << 4), 0}), 20)
}

func (s *scene) fill(holders int) error {
	by := holdings.By{Actor: "bench", Reason: "bench", Time: time.Now()}
	give := func(to string, what netip.Prefix) error {
		_, err := s.engine.Delegate(by, holdings.Delegation{To: to, Resources: inr.OfPrefix(what), Status: holdings.Allocated, Ground: "bench"}, ca.Consent{Unbraked: true})
		return err
	}
	if err := errors.Join(give("afrinic", netip.MustParsePrefix("32.0.0.0/4")), give("lacnic", netip.MustParsePrefix("64.0.0.0/8"))); err != nil {
		return err
	}
	var rows []roa.Row
	for i := range holders {
		handle, own := fmt.Sprintf("afrinic/h%05d", i), block(i)
		if _, err := s.engine.DelegateNew(by, holdings.Organisation{Handle: handle, Parent: "afrinic", Kind: holdings.LIR},
			holdings.Delegation{To: handle, Resources: inr.OfPrefix(own), Status: holdings.Allocated, Ground: "bench"}, ca.Consent{Unbraked: true}); err != nil {
			return err
		}
		for origin := range 3 {
			row, err := roa.ParseRow(own.String(), fmt.Sprintf("AS%d", 200000+3*i+origin))
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
	}
	_, err := s.engine.AddIntents(rows, roa.Options{Actor: "bench", Time: time.Now()}, ca.Consent{Unbraked: true})
	return err
}

// rest carries all transfers to their end.
func (s *scene) rest(ctx context.Context) error {
	for {
		wait, err := s.mover.Step(ctx)
		if err != nil {
			return err
		}
		if err := s.engine.Settle(ctx); err != nil {
			return err
		}
		open, err := s.mover.List(true)
		if err != nil || len(open) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(wait, 20*time.Millisecond)):
		}
	}
}

// waitFull waits until the pool is full.
func (s *scene) waitFull(ctx context.Context) error {
	for {
		status, err := s.engine.Status()
		if err != nil || status.PoolReady >= s.keys {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// moves measures a handoff beside the RSA work that it needs, and one transfer in registries of three sizes.
func (b *bench) moves(ctx context.Context) error {
	if b.holders > 0 {
		if err := b.handoff(ctx); err != nil {
			return err
		}
	}
	if b.largest == 0 {
		return nil
	}
	return b.transfers(ctx)
}

// handoff hands a registry over. What it needs for each holder is a key and a certificate, a manifest and a CRL, and its ROAs:
// those keys are made alone and those signatures alone, in the same run.
func (b *bench) handoff(ctx context.Context) error {
	needed := b.holders * 5
	s, err := b.newScene(ctx, "handoff", object.RSA, b.holders, 64)
	if err != nil {
		return err
	}
	defer s.store.Close()
	if err := s.waitFull(ctx); err != nil {
		return err
	}
	q := moves.HandoffRequest{Registry: "afrinic", To: "lacnic", Batch: 200}
	plan, err := s.mover.PlanHandoff(q)
	if err != nil {
		return err
	}
	q.Code = plan.Code
	signatures := b.holders * (1 + 1 + 2 + 2*3)
	before, beforeCPU, err := workAlone(needed, signatures)
	if err != nil {
		return err
	}
	runtime.GC()
	cpu, start := cpuTime(), time.Now()
	if _, err := s.mover.StartHandoff(holdings.By{Actor: "bench", Reason: "bench", Time: time.Now()}, q); err != nil {
		return err
	}
	if err := s.rest(ctx); err != nil {
		return err
	}
	took := time.Since(start)
	cpu = cpuTime() - cpu
	after, afterCPU, err := workAlone(needed, signatures)
	if err != nil {
		return err
	}
	bound, boundCPU := (before+after)/2, (beforeCPU+afterCPU)/2
	status, err := s.engine.Status()
	if err != nil {
		return err
	}
	if n := status.Repositories["afrinic"].Objects; n != 0 {
		return fmt.Errorf("AFRINIC has %d objects after its handoff", n)
	}
	b.add(figure{
		name: fmt.Sprintf("handoff of %d holders of 3 ROAs, no keys in stock", b.holders), value: secs(took),
		bound: fmt.Sprintf("%d keys and %d signatures alone: %s", needed, signatures, secs(bound)), aim: "at most 1.3 times", ok: took <= bound*13/10,
	})
	fmt.Printf("  ratio %.2f, of CPU time %.2f (%s beside %s)\n", took.Seconds()/bound.Seconds(), cpu.Seconds()/boundCPU.Seconds(), secs(cpu), secs(boundCPU))
	return nil
}

// workAlone is what some RSA keys and signatures take alone, of time and of CPU time, reckoned from a share of them.
func workAlone(keys, signatures int) (took, cpu time.Duration, err error) {
	for _, work := range []struct {
		n, share int
		fn       func(int) (time.Duration, error)
	}{{keys, 300, keysAlone}, {signatures, 6000, signaturesAlone}} {
		used := cpuTime()
		one, err := work.fn(work.share)
		if err != nil {
			return 0, 0, err
		}
		took += one * time.Duration(work.n) / time.Duration(work.share)
		cpu += (cpuTime() - used) * time.Duration(work.n) / time.Duration(work.share)
	}
	return took, cpu, nil
}

// transfers measures one transfer inside a registry of a hundred, a thousand and ten thousand holders. What grows with a registry,
// whoever changes what in it, is its manifest, which names each certificate that it issued (RFC 9286), and the hash of its
// snapshot (RFC 8182): a change of nothing else is measured beside it, as often as the transfer has the manifest made anew.
func (b *bench) transfers(ctx context.Context) error {
	var of []cost
	for _, holders := range []int{b.largest / 100, b.largest / 10, b.largest} {
		c, err := b.transferAt(ctx, holders)
		if err != nil {
			return err
		}
		of = append(of, c)
		fmt.Printf("  %d holders: CPU %s, of it %s for %d new manifests of the registry; written %d bytes, of it %d for these\n",
			holders, ms(c.cpu), ms(c.manifestCPU), c.manifests, c.written, c.manifestBytes)
	}
	own := func(i int) time.Duration { return of[i].cpu - of[i].manifestCPU }
	bytes := func(i int) int64 { return of[i].written - of[i].manifestBytes }
	b.add(figure{
		name: "CPU of one transfer at 100, 1k, 10k holders", value: fmt.Sprintf("%s, %s, %s", ms(own(0)), ms(own(1)), ms(own(2))),
		bound: fmt.Sprintf("the registry's manifests: %s, %s, %s", ms(of[0].manifestCPU), ms(of[1].manifestCPU), ms(of[2].manifestCPU)),
		aim:   "last at most 1.5 times first", ok: own(2)*10 <= own(0)*15,
	})
	b.add(figure{
		name: "bytes written for one transfer, likewise", value: fmt.Sprintf("%d, %d, %d", bytes(0), bytes(1), bytes(2)),
		bound: fmt.Sprintf("the registry's manifests: %d, %d, %d", of[0].manifestBytes, of[1].manifestBytes, of[2].manifestBytes),
		aim:   "last at most 1.3 times first", ok: bytes(2)*10 <= bytes(0)*13,
	})
	return nil
}

// cost is what one transfer takes, and what of it is for the manifests of the registry.
type cost struct {
	cpu, manifestCPU       time.Duration
	written, manifestBytes int64
	manifests              int64
}

// transferAt takes the mean of a few transfers of a holder's /24 to another, with a ROA of its own.
func (b *bench) transferAt(ctx context.Context, holders int) (c cost, err error) {
	const keys, warm, measured = 16, 3, 10
	s, err := b.newScene(ctx, fmt.Sprintf("transfer-%d", holders), object.P256, holders, keys)
	if err != nil {
		return c, err
	}
	defer s.store.Close()
	one := func(do func() error) (cpu time.Duration, written, manifests, size int64, err error) {
		if err := s.waitFull(ctx); err != nil {
			return 0, 0, 0, 0, err
		}
		time.Sleep(1100 * time.Millisecond) // one serial a second
		before, size, err := s.manifest()
		if err != nil {
			return 0, 0, 0, 0, err
		}
		runtime.GC()
		defer debug.SetGCPercent(debug.SetGCPercent(-1)) // to mark a heap is no work of a transfer, and comes when it likes
		used, wrote := cpuTime(), writtenSoFar()
		if err := do(); err != nil {
			return 0, 0, 0, 0, err
		}
		used, wrote = cpuTime()-used, writtenSoFar()-wrote
		after, _, err := s.manifest()
		return used, wrote, after - before, size, err
	}
	var control time.Duration
	for i := range warm + measured {
		cpu, written, manifests, size, err := one(func() error { return s.oneTransfer(ctx, 2*i, holders) })
		if err != nil {
			return c, err
		}
		alone, _, made, _, err := one(func() error { return s.oneManifest(ctx, i) })
		if err != nil {
			return c, err
		}
		if i >= warm {
			c.cpu, c.written, c.manifests, c.manifestBytes = c.cpu+cpu, c.written+written, c.manifests+manifests, c.manifestBytes+manifests*size
			control += alone / time.Duration(max(made, 1))
		}
	}
	c.cpu, c.written, c.manifestBytes, c.manifests = c.cpu/measured, c.written/measured, c.manifestBytes/measured, c.manifests/measured
	c.manifestCPU = control / measured * time.Duration(c.manifests)
	return c, nil
}

// oneManifest changes a ROA of the registry itself, so that its manifest is made anew and nothing else.
func (s *scene) oneManifest(ctx context.Context, i int) error {
	row, err := roa.ParseRow(fmt.Sprintf("47.255.%d.0/24", i), "AS3000")
	if err != nil {
		return err
	}
	if _, err := s.engine.AddIntents([]roa.Row{row}, roa.Options{Holder: "afrinic", Actor: "bench", Time: time.Now()}, ca.Consent{Unbraked: true}); err != nil {
		return err
	}
	return s.engine.Settle(ctx)
}

func (s *scene) oneTransfer(ctx context.Context, i, holders int) error {
	from, to := i*7%holders, (i*7+3)%holders
	piece := netip.PrefixFrom(block(from).Addr(), 24)
	row, err := roa.ParseRow(piece.String(), "AS3000")
	if err != nil {
		return err
	}
	if _, err := s.mover.Initiate(holdings.By{Actor: "bench", Reason: "bench", Time: time.Now()}, moves.Request{
		Kind: holdings.Market, From: fmt.Sprintf("afrinic/h%05d", from), To: fmt.Sprintf("afrinic/h%05d", to), Resources: inr.OfPrefix(piece), Routes: []roa.Row{row},
	}, false); err != nil {
		return err
	}
	return s.rest(ctx)
}

// manifest is the number of AFRINIC's own manifest, which names each certificate that it issued, and how many bytes are written
// of one: as text, and deflated.
func (s *scene) manifest() (number, size int64, err error) {
	repository := s.engine.Repositories()["afrinic"]
	var der []byte
	for o := range repository.Live() {
		if strings.HasSuffix(o.URI, ".mft") {
			if one, ok := repository.Get(o.URI); ok && len(one) > len(der) {
				der = one
			}
		}
	}
	var own ca.Authority
	if err := s.store.View(func(r store.Reader) error { return json.Unmarshal(r.Get("authority", []byte("afrinic")), &own) }); err != nil {
		return 0, 0, err
	}
	text := base64.StdEncoding.EncodeToString(der)
	var deflated bytes.Buffer
	w, err := flate.NewWriter(&deflated, flate.DefaultCompression)
	if err != nil {
		return 0, 0, err
	}
	_, err = w.Write([]byte(text))
	err = errors.Join(err, w.Close())
	return int64(own.Number), int64(len(text) + deflated.Len()), err
}

// keysAlone times the making of RSA keys on all cores.
func keysAlone(n int) (time.Duration, error) {
	cores := runtime.GOMAXPROCS(0)
	errs := make(chan error, cores)
	var wg sync.WaitGroup
	start := time.Now()
	for range cores {
		wg.Go(func() {
			for range n / cores {
				if _, err := rsa.GenerateKey(rand.Reader, 2048); err != nil {
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
