package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/envelopetest"
	"cadastre/internal/publication"
)

// callers is how many knock.
const callers = 10_000

// knock is a call that is refused.
type knock struct {
	method, url string
	body        []byte
}

// knocks has strangers and peers that misbehave call at the whole daemon, each on an HTTPS connection of its own, and looks at
// what that costs it, beside as many calls that come to no door.
func (b *bench) knocks(ctx context.Context, d *daemon, c *crowd) error {
	key, certificate, err := envelopetest.NewIdentity(time.Now())
	if err != nil {
		return err
	}
	stranger, err := envelope.NewSigner(key, certificate)
	if err != nil {
		return err
	}
	query := (&publication.Query{List: true}).XML()
	forged, err := stranger.Sign(query, time.Now())
	if err != nil {
		return err
	}
	replayed, err := c.signer.Sign(query, time.Now().Add(-30*time.Minute))
	if err != nil {
		return err
	}
	base := fmt.Sprintf("https://localhost:%d/", d.port)
	nobody := make([]knock, callers) // who is answered by no door at all
	refused := make([]knock, callers)
	for i := range refused {
		known := c.members[i%crowdSize].uri
		nobody[i] = knock{http.MethodPost, base + "nothing", forged}
		switch i % 10 {
		case 5:
			refused[i] = knock{http.MethodGet, known, nil}
		case 6:
			refused[i] = knock{http.MethodPost, known, bytes.Repeat([]byte("?"), 1000)}
		case 7:
			refused[i] = knock{http.MethodPost, base + "rfc8181/" + strings.Repeat("x", 300), forged}
		case 8:
			refused[i] = knock{http.MethodPost, known, forged}
		case 9:
			refused[i] = knock{http.MethodPost, known, replayed}
		default:
			refused[i] = knock{http.MethodPost, fmt.Sprintf("%s%s/stranger-%d", base, []string{"rfc6492", "rfc8181"}[i%2], i), forged}
		}
	}
	client := insecureClient(true)
	for _, warm := range [][]knock{nobody, refused} {
		if err := knockAll(ctx, client, warm[:callers/5]); err != nil {
			return err
		}
	}
	if err := d.quiet(ctx); err != nil {
		return err
	}
	before, cpu := d.process.Memory(), d.process.CPU()
	highest, watched := d.highest(ctx)
	defer watched()
	if err := knockAll(ctx, client, nobody); err != nil {
		return err
	}
	idle := d.process.CPU() - cpu
	cpu = d.process.CPU()
	if err := knockAll(ctx, client, refused); err != nil {
		return err
	}
	busy := d.process.CPU() - cpu
	watched()
	each := (busy - idle) / callers
	b.add(figure{
		name: fmt.Sprintf("a refused caller, of %d at the whole daemon", callers), value: fmt.Sprintf("%.3f ms of CPU in the door", each.Seconds()*1000),
		bound: fmt.Sprintf("TLS and HTTP before the door: %.3f ms", (idle/callers).Seconds()*1000), aim: "under 0.1 ms", ok: each < 100*time.Microsecond,
	})
	signed, err := c.signer.Sign(query, time.Now())
	if err != nil {
		return err
	}
	broken := bytes.Clone(signed) // of the peer's own, but for the last octet, which is of the signature
	broken[len(broken)-1] ^= 1
	if err := b.refusals(ctx, d, []refusal{
		{"an unknown handle", func(int) knock { return knock{http.MethodPost, base + "rfc6492/nobody", forged} }, 100 * time.Microsecond},
		{"a bad signature", func(i int) knock { return knock{http.MethodPost, c.members[i%crowdSize].uri, broken} }, 200 * time.Microsecond},
	}); err != nil {
		return err
	}
	b.add(figure{
		name: fmt.Sprintf("memory while %d callers knock", callers), value: fmt.Sprintf("%.1f MB at the most", float64(*highest)/1e6),
		bound: fmt.Sprintf("before: %.1f MB", float64(before)/1e6), aim: "at most 10 % more", ok: *highest <= before+before/10,
	})
	return nil
}

// refusal is a call that is refused, and what that may cost.
type refusal struct {
	name string
	of   func(i int) knock
	aim  time.Duration
}

// refusals is what refused calls cost the daemon, HTTP and TLS included, on connections that are kept.
func (b *bench) refusals(ctx context.Context, d *daemon, all []refusal) error {
	client := insecureClient(false)
	defer client.CloseIdleConnections()
	for _, one := range all {
		knocks := make([]knock, callers/2)
		for i := range knocks {
			knocks[i] = one.of(i)
		}
		if err := knockAll(ctx, client, knocks[:atOnce]); err != nil { // connects
			return err
		}
		if err := d.quiet(ctx); err != nil {
			return err
		}
		cpu := d.process.CPU()
		if err := knockAll(ctx, client, knocks); err != nil {
			return err
		}
		each := (d.process.CPU() - cpu) / time.Duration(len(knocks))
		b.add(figure{
			name: "a refused call with " + one.name, value: fmt.Sprintf("%.3f ms of CPU", each.Seconds()*1000),
			bound: "HTTP and TLS included, on a connection that is kept", aim: fmt.Sprintf("under %.1f ms", one.aim.Seconds()*1000), ok: each < one.aim,
		})
	}
	return nil
}

// highest watches the daemon's memory until end is called, and then is the most that it had.
func (d *daemon) highest(ctx context.Context) (most *uint64, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	most = new(uint64)
	var watching sync.WaitGroup
	watching.Go(func() {
		for ticker := time.NewTicker(20 * time.Millisecond); ; {
			*most = max(*most, d.process.Memory())
			select {
			case <-ticker.C:
			case <-ctx.Done():
				ticker.Stop()
				return
			}
		}
	})
	return most, func() {
		cancel()
		watching.Wait()
	}
}

// knockAll makes calls of which each must be refused.
func knockAll(ctx context.Context, client *http.Client, knocks []knock) error {
	return crowded(atOnce, len(knocks), func(i int) error {
		k := knocks[i]
		request, err := http.NewRequestWithContext(ctx, k.method, k.url, bytes.NewReader(k.body))
		if err != nil {
			return err
		}
		answer, err := client.Do(request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
		if err == nil && answer.StatusCode < http.StatusBadRequest {
			err = fmt.Errorf("%s %s is answered with %s: %.100s", k.method, k.url, answer.Status, text)
		}
		return err
	})
}
