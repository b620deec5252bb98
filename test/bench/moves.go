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
	"sync/atomic"
	"time"

	"cadastre/ca"
	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/principal"
	"cadastre/internal/store"
	"cadastre/moves"
	"cadastre/roa"
)

const twoRegistries = tree + "\n[[organisation]]\nhandle = \"lacnic\"\nkind = \"rir\"\nparent = \"iana\"\n"

// scene is an engine with a mover, in process.
type scene struct {
	engine *ca.Engine
	store  store.Store
	mover  *moves.Mover
	signed *signings
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
	if err := ca.Init(st, dir, policy, organisations, []byte("of the benches"), []byte("of the benches"), principal.Principal{Name: "bench"}); err != nil {
		return nil, err
	}
	e, err := ca.Open(st, dir, policy, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	s := &scene{engine: e, store: st, mover: moves.New(e, dir, slog.New(slog.DiscardHandler)), signed: &signings{Observer: e.Observer}, keys: pool}
	e.Observer = s.signed
	if err := s.fill(holders); err != nil {
		return nil, err
	}
	if err := e.Unseal(ctx, []byte("of the benches"), []byte("of the benches"), pool); err != nil {
		return nil, err
	}
	return s, e.Settle(ctx)
}

// block is the /20 of a holder.
func block(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(32 + i>>12), byte(i >> 4), byte(i << 4), 0}), 20)
}

func (s *scene) fill(holders int) error {
	by := holdings.By{Who: principal.Principal{Name: "bench"}, Reason: "bench", Time: time.Now()}
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
	_, err := s.engine.AddIntents(rows, roa.Options{By: holdings.By{Who: principal.Principal{Name: "bench"}, Time: time.Now()}}, ca.Consent{Unbraked: true})
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
	if _, err := s.mover.StartHandoff(holdings.By{Who: principal.Principal{Name: "bench"}, Reason: "bench", Time: time.Now()}, q); err != nil {
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
// snapshot (RFC 8182). Changes of nothing else are measured beside it: a ROA of the registry, which takes one of each, and a ROA
// of a holder, which takes a serial alone. What these cost more in a larger registry is not the transfer's.
func (b *bench) transfers(ctx context.Context) error {
	var of []cost
	for _, holders := range []int{b.largest / 100, b.largest / 10, b.largest} {
		c, err := b.transferAt(ctx, holders)
		if err != nil {
			return err
		}
		of = append(of, c)
		fmt.Printf("  %d holders: CPU %s; %d new manifests of the registry of %s each, %d serials of %s each; written %d bytes, of it %d for these manifests\n",
			holders, ms(c.cpu), c.manifests, ms(c.registryROA-c.holderROA), c.serials, ms(c.holderROA), c.written, c.manifestBytes)
	}
	own := func(i int) time.Duration { return of[i].cpu - of[i].standing() + of[0].standing() }
	bytes := func(i int) int64 { return of[i].written - of[i].manifestBytes }
	b.add(figure{
		name: "CPU of one transfer at 100, 1k, 10k holders", value: fmt.Sprintf("%s, %s, %s", ms(own(0)), ms(own(1)), ms(own(2))),
		bound: fmt.Sprintf("the registry's manifests and serials: %s, %s, %s", ms(of[0].standing()), ms(of[1].standing()), ms(of[2].standing())),
		aim:   "last at most 1.5 times first", ok: own(2)*10 <= own(0)*15,
	})
	b.add(figure{
		name: "bytes written for one transfer, likewise", value: fmt.Sprintf("%d, %d, %d", bytes(0), bytes(1), bytes(2)),
		bound: fmt.Sprintf("the registry's manifests: %d, %d, %d", of[0].manifestBytes, of[1].manifestBytes, of[2].manifestBytes),
		aim:   "last at most 1.3 times first", ok: bytes(2)*10 <= bytes(0)*13,
	})
	b.add(figure{
		name: "objects signed for one transfer, likewise", value: fmt.Sprintf("%d, %d, %d", of[0].objects, of[1].objects, of[2].objects),
		bound: "-", aim: "the same", ok: of[0].objects == of[1].objects && of[1].objects == of[2].objects,
	})
	return nil
}

// cost is what one transfer takes, and what of it is for the manifests and the serials of the registry.
type cost struct {
	cpu                    time.Duration
	registryROA, holderROA time.Duration // CPU of a change of one ROA: with a new manifest of the registry, and without
	written, manifestBytes int64
	manifests, serials     int64
	objects                int64
}

// standing is what the registry's own manifests and serials take in a transfer.
func (c cost) standing() time.Duration {
	return time.Duration(c.manifests)*(c.registryROA-c.holderROA) + time.Duration(c.serials)*c.holderROA
}

// transferAt takes the mean of a few transfers of a holder's /24 to another, with a ROA of its own.
func (b *bench) transferAt(ctx context.Context, holders int) (c cost, err error) {
	const keys, warm, measured = 16, 3, 10
	s, err := b.newScene(ctx, fmt.Sprintf("transfer-%d", holders), object.P256, holders, keys)
	if err != nil {
		return c, err
	}
	defer s.store.Close()
	for i := range warm + measured {
		moved, size, err := s.costOf(ctx, func() error { return s.oneTransfer(ctx, 2*i, holders) })
		if err != nil {
			return c, err
		}
		registry, _, err := s.costOf(ctx, func() error { return s.oneROA(ctx, "afrinic", fmt.Sprintf("47.255.%d.0/24", i)) })
		if err != nil {
			return c, err
		}
		quiet := block(i).Addr().As4()
		quiet[2]++ // its second /24, which no transfer moves
		holder, _, err := s.costOf(ctx, func() error {
			return s.oneROA(ctx, fmt.Sprintf("afrinic/h%05d", i), netip.AddrFrom4(quiet).String()+"/24")
		})
		if err != nil {
			return c, err
		}
		if i < warm {
			continue
		}
		c.cpu, c.registryROA, c.holderROA = c.cpu+moved.cpu/measured, c.registryROA+registry.cpu/measured, c.holderROA+holder.cpu/measured
		c.written, c.manifestBytes = c.written+moved.written/measured, c.manifestBytes+moved.manifests*size/measured
		c.manifests, c.serials, c.objects = moved.manifests, moved.serials, moved.objects
	}
	return c, nil
}

// signings counts what an engine signs.
type signings struct {
	ca.Observer
	objects atomic.Int64
}

func (s *signings) Signed(objects int, took time.Duration) {
	s.objects.Add(int64(objects))
	s.Observer.Signed(objects, took)
}

// costOf is what something takes, and how many bytes are written of a manifest of the registry.
func (s *scene) costOf(ctx context.Context, do func() error) (c cost, size int64, err error) {
	if err := s.waitFull(ctx); err != nil {
		return c, 0, err
	}
	time.Sleep(1100 * time.Millisecond) // one serial a second
	before, size, err := s.manifest()
	if err != nil {
		return c, 0, err
	}
	_, serial, _ := s.engine.Repositories()["afrinic"].Published()
	signed := s.signed.objects.Load()
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // to mark a heap is no work of a transfer, and comes when it likes
	used, wrote := cpuTime(), writtenSoFar()
	if err := do(); err != nil {
		return c, 0, err
	}
	c.cpu, c.written = cpuTime()-used, writtenSoFar()-wrote
	c.objects = s.signed.objects.Load() - signed
	after, _, err := s.manifest()
	_, last, _ := s.engine.Repositories()["afrinic"].Published()
	c.manifests, c.serials = after-before, int64(last-serial)
	return c, size, err
}

// oneROA adds an intent of a holder, and has it published.
func (s *scene) oneROA(ctx context.Context, holder, prefix string) error {
	row, err := roa.ParseRow(prefix, "AS3000")
	if err != nil {
		return err
	}
	if _, err := s.engine.AddIntents([]roa.Row{row}, roa.Options{Holder: holder, By: holdings.By{Who: principal.Principal{Name: "bench"}, Time: time.Now()}}, ca.Consent{Unbraked: true}); err != nil {
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
	if _, err := s.mover.Initiate(holdings.By{Who: principal.Principal{Name: "bench"}, Reason: "bench", Time: time.Now()}, moves.Request{
		Kind: holdings.Market, From: fmt.Sprintf("afrinic/h%05d", from), To: fmt.Sprintf("afrinic/h%05d", to), Resources: inr.OfPrefix(piece), Routes: []roa.Row{row},
	}, ca.Consent{}); err != nil {
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
	var own issued.Authority
	err = s.store.View(func(r store.Reader) error {
		authorities, _ := store.Named("authority")
		record, err := r.Get(authorities, []byte("afrinic"))
		if err != nil {
			return err
		}
		return json.Unmarshal(record, &own)
	})
	if err != nil {
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
