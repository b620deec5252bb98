package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"time"

	"cadastre/api"
	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/principal"
	"cadastre/internal/store"
	"cadastre/roa"
	"cadastre/rrdp"
)

// samples of one ROA added, one a second. 120 serials may follow each other so, and a build of ten minutes has used half of
// them.
const samples = 50

// change times one ROA from the request to the notification that is served, in the repository of AFRINIC, and a
// restart with no change.
func (b *bench) change(ctx context.Context) error {
	d := b.daemon
	if d == nil {
		var err error
		if d, err = b.newDaemon(ctx, "cold", "rsa-2048"); err != nil {
			return err
		}
		if err := d.start(ctx); err != nil {
			return err
		}
		if err := d.cadastre(ctx, "status", "--wait"); err != nil {
			return err
		}
		d.stop()
	}
	restarts, err := b.restart(ctx, d)
	if err != nil {
		return err
	}
	defer d.stop()
	b.add(figure{name: "restart with no change -> serving, median of 5", value: ms(median(restarts)), bound: "-", aim: "under 1 s", ok: median(restarts) < time.Second})
	if err := d.cadastre(ctx, "status", "--wait"); err != nil {
		return err
	}
	client := d.api()
	if err := waitForPool(ctx, client); err != nil {
		return err
	}
	var took, bound []time.Duration
	for i := range samples {
		one, err := addOne(ctx, d, client, i)
		if err != nil {
			return err
		}
		took = append(took, one)
		work, err := signaturesOfOne()
		if err != nil {
			return err
		}
		bound = append(bound, work)
		time.Sleep(1100*time.Millisecond - one%time.Second) // one serial a second is the most
	}
	b.add(figure{
		name: "one ROA added -> in the served notification", value: fmt.Sprintf("median %s, p99 %s", ms(median(took)), ms(quantile(took, 0.99))),
		bound: "its 5 RSA signatures: " + ms(median(bound)), aim: "median < 100 ms, p99 < 300 ms",
		ok: median(took) < 100*time.Millisecond && quantile(took, 0.99) < 300*time.Millisecond,
	})
	return nil
}

func (b *bench) restart(ctx context.Context, d *daemon) ([]time.Duration, error) {
	var all []time.Duration
	for range 5 {
		d.stop()
		start := time.Now()
		if err := d.launch(); err != nil {
			return nil, err
		}
		for {
			if _, err := d.notification(ctx); err == nil {
				break
			}
			if ctx.Err() != nil || time.Since(start) > time.Minute {
				return nil, fmt.Errorf("the daemon does not serve after a restart; see %s.log", d.dir)
			}
			time.Sleep(5 * time.Millisecond)
		}
		all = append(all, time.Since(start))
		if err := d.answers(ctx); err != nil { // what served was not this daemon, but an earlier one
			return nil, err
		}
	}
	return all, nil
}

// waitForPool waits until the pool has the keys for all samples: what is measured is a daemon with time to spare.
func waitForPool(ctx context.Context, client *api.Client) error {
	for {
		status, err := api.Call[api.Nothing, *ca.Status](ctx, client, "/status", api.Nothing{})
		if err != nil || status.PoolReady >= 3*samples {
			return err
		}
		time.Sleep(time.Second)
	}
}

// addOne adds a ROA for a piece of 41.0.0.0/11, which one AFRINIC holder has had since 2007, and watches the
// notification as validators do, over a connection that is kept.
func addOne(ctx context.Context, d *daemon, client *api.Client, i int) (time.Duration, error) {
	before, err := d.notification(ctx)
	if err != nil {
		return 0, err
	}
	words := []string{fmt.Sprintf("41.%d.%d.0/24", 16+i/100, i%100), "AS36994"}
	start := time.Now()
	if _, err := api.Call[api.ROAChange, *ca.Effect](ctx, client, "/roas/add", api.ROAChange{Intents: [][]string{words}}); err != nil {
		return 0, err
	}
	for {
		serial, err := d.notification(ctx)
		if err != nil {
			return 0, err
		}
		if serial > before {
			return time.Since(start), nil
		}
		if time.Since(start) > time.Minute {
			return 0, fmt.Errorf("the ROA for %s is not published after a minute", words[0])
		}
		time.Sleep(time.Millisecond)
	}
}

// signaturesOfOne times what one ROA needs of RSA: two signatures for it, two for the manifest, one for the CRL.
func signaturesOfOne() (time.Duration, error) {
	digest := sha256.Sum256([]byte("bench"))
	start := time.Now()
	for range 5 {
		if _, err := benchKey().Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

var oneKey *rsa.PrivateKey

func benchKey() *rsa.PrivateKey {
	if oneKey == nil {
		oneKey, _ = rsa.GenerateKey(rand.Reader, 2048)
		_, _ = oneKey.Sign(rand.Reader, make([]byte, 32), crypto.SHA256)
	}
	return oneKey
}

// bytes counts what is written for one ROA, in repositories of three sizes that made-up bytes fill.
func (b *bench) bytes(ctx context.Context) error {
	var written, delta []int64
	for _, size := range []int{1_000, 10_000, 100_000} {
		w, d, err := b.bytesAt(ctx, size)
		if err != nil {
			return err
		}
		written, delta = append(written, w), append(delta, d)
	}
	b.add(figure{
		name: "bytes written for one ROA at 1k, 10k, 100k objects", value: fmt.Sprintf("%d, %d, %d", written[0], written[1], written[2]),
		bound: fmt.Sprintf("its delta: %d, %d, %d bytes", delta[0], delta[1], delta[2]), aim: "last at most 1.2 times first", ok: written[2]*10 <= written[0]*12,
	})
	return nil
}

func (b *bench) bytesAt(ctx context.Context, size int) (written, delta int64, err error) {
	e, st, err := b.inProcess(fmt.Sprintf("bytes-%d", size), object.RSA, false)
	if err != nil {
		return 0, 0, err
	}
	defer st.Close()
	if err := e.Unseal(ctx, []byte("of the benches"), []byte("of the benches"), 40); err != nil {
		return 0, 0, err
	}
	if err := prepareOneHolder(ctx, e); err != nil {
		return 0, 0, err
	}
	repository := e.Repositories()["afrinic"]
	if err := madeUp(st, repository, size); err != nil {
		return 0, 0, err
	}
	const changes = 12
	for i := range changes {
		if i == 2 { // the first ones settle what grows once
			written = -writtenSoFar()
		}
		if err := addIntent(ctx, e, i); err != nil {
			return 0, 0, err
		}
		time.Sleep(1100 * time.Millisecond)
	}
	written = (written + writtenSoFar()) / (changes - 2)
	delta, err = deltaSize(repository)
	return written, delta, err
}

// madeUp fills a repository with objects of random bytes, 1,870 each, as real ones are on average.
func madeUp(st store.Store, repository *rrdp.Repository, size int) error {
	var changes []rrdp.Change
	for i := range size {
		body := make([]byte, 1870)
		_, _ = rand.Read(body)
		changes = append(changes, rrdp.Change{URI: fmt.Sprintf("rsync://localhost/afrinic/made-up/%06d.roa", i), Object: body})
		if len(changes) == 2000 || i == size-1 {
			batch, err := repository.Prepare(changes, i == size-1)
			if err != nil {
				return err
			}
			if _, err := st.Update(store.Any, batch.Write); err != nil {
				return err
			}
			batch.Apply()
			changes = changes[:0]
		}
	}
	return nil
}

// writtenSoFar is the bytes that this process gave to write calls.
func writtenSoFar() int64 {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0
	}
	var read, written int64
	_, _ = fmt.Sscanf(string(text), "rchar: %d\nwchar: %d", &read, &written)
	return written
}

// prepareOneHolder makes one holder with a certificate below AFRINIC.
func prepareOneHolder(ctx context.Context, e *ca.Engine) error {
	by := holdings.By{Who: principal.Principal{Name: "bench"}, Reason: "bench", Time: time.Now()}
	block, err := inr.Parse("41.0.0.0/8")
	if err != nil {
		return err
	}
	if _, err := e.Delegate(by, holdings.Delegation{To: "afrinic", Resources: block, Status: holdings.Allocated, Ground: "bench"}, ca.Consent{}); err != nil {
		return err
	}
	if _, err := e.Enrol(by, holdings.Organisation{Handle: "holder", Parent: "afrinic", Kind: holdings.LIR}); err != nil {
		return err
	}
	if _, err := e.Delegate(by, holdings.Delegation{To: "holder", Resources: block, Status: holdings.Allocated, Ground: "bench"}, ca.Consent{}); err != nil {
		return err
	}
	return e.Settle(ctx)
}

func addIntent(ctx context.Context, e *ca.Engine, i int) error {
	row, err := roa.ParseRow(fmt.Sprintf("41.0.%d.0/24", i), "AS36994")
	if err != nil {
		return err
	}
	if _, err := e.AddIntents([]roa.Row{row}, roa.Options{By: holdings.By{Who: principal.Principal{Name: "bench"}, Time: time.Now()}}, ca.Consent{}); err != nil {
		return err
	}
	return e.Settle(ctx)
}

// deltaSize asks the repository, as a reader would, for its newest delta.
func deltaSize(repository *rrdp.Repository) (int64, error) {
	get := func(uri string) []byte {
		w := httptest.NewRecorder()
		repository.ServeHTTP(w, httptest.NewRequest(http.MethodGet, uri, nil))
		return w.Body.Bytes()
	}
	notification := get("https://localhost/rrdp/afrinic/notification.xml")
	found := deltaPattern.FindSubmatch(notification)
	if found == nil {
		return 0, fmt.Errorf("the notification lists no delta: %.200s", notification)
	}
	return int64(len(get(string(found[1])))), nil
}

var deltaPattern = regexp.MustCompile(`<delta serial="[0-9]+" uri="([^"]+)"`)
