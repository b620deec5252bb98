package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cadastre/api"
	"cadastre/internal/publication"
)

// What publishes, as issue 4 has it, and as little of it as Krill can take within minutes.
const (
	crowdSize      = 1_000
	crowdObjects   = 20
	crowdRounds    = 5
	krillCrowdSize = 100
	bigObjects     = 10_000
	listQueries    = 60 // a publisher may send 100 at once
)

// peers times the publication server of a whole daemon over HTTPS, and looks at what it costs to turn callers away.
func (b *bench) peers(ctx context.Context) error {
	d, err := b.emptyDaemon(ctx, "peers", "p-256") // no stock of RSA keys is made beside; messages are signed with RSA all the same
	if err != nil {
		return err
	}
	if err := d.start(ctx); err != nil {
		return err
	}
	defer d.stop()
	if err := d.cadastre(ctx, "status", "--wait"); err != nil {
		return err
	}
	c, err := newCrowd()
	if err != nil {
		return err
	}
	client := d.api()
	err = c.join(crowdSize+1, func(handle string, request []byte) ([]byte, error) {
		response, err := api.Call[api.PublishersAdd, api.XML](ctx, client, "/publishers/add", api.PublishersAdd{Handle: handle, Repository: "afrinic", Request: string(request)})
		return []byte(response.XML), err
	})
	if err != nil {
		return err
	}
	many, big := c.members[:crowdSize], c.members[crowdSize]
	ours, err := c.speed(ctx, many, crowdRounds)
	if err != nil {
		return err
	}
	cpu := d.process.CPU()
	if _, err := c.round(ctx, many, func(m *member) *publication.Query { return m.changes(crowdRounds) }); err != nil {
		return err
	}
	five, err := signaturesOfOne()
	if err != nil {
		return err
	}
	fmt.Printf("  CPU of the daemon for each of them: %s, of which the signature of the reply is %s\n", ms((d.process.CPU()-cpu)/crowdSize), ms(five/5))
	if err := errors.Join(b.list(ctx, d, c, big), b.knocks(ctx, d, c)); err != nil {
		return err
	}
	theirs, failed := b.krillSpeed(ctx)
	bound := "Krill: not measured"
	if failed == nil {
		bound = fmt.Sprintf("Krill, only %d such publishers: %.1f/s", krillCrowdSize, theirs)
	}
	b.add(figure{
		name: fmt.Sprintf("%d publishers of %d objects, one changed each", crowdSize, crowdObjects), value: fmt.Sprintf("%.0f objects/s", ours),
		bound: bound, aim: "at least 20 times", ok: failed == nil && ours >= 20*theirs,
	})
	if failed == nil {
		fmt.Printf("  ratio %.0f, to the best of Krill's rounds with 1, 4 and 32 callers at once; both at one serial a second. Its work for a change grows with what it has: %d objects, and ours has %d\n",
			ours/theirs, krillCrowdSize*crowdObjects, crowdSize*crowdObjects)
	}
	return failed
}

// speed is how many objects a second a server takes when each of its publishers changes one: the median of some rounds.
func (c *crowd) speed(ctx context.Context, members []*member, rounds int) (float64, error) {
	if _, err := c.round(ctx, members, func(m *member) *publication.Query { return m.adds(crowdObjects) }); err != nil {
		return 0, err
	}
	var took []time.Duration
	for i := range rounds {
		one, err := c.changed(ctx, members, i)
		if err != nil {
			return 0, err
		}
		took = append(took, one)
	}
	return float64(len(members)) / median(took).Seconds(), nil
}

// changed is a round in which each publisher changes one object, and how long it took; it ends when its serial is out.
func (c *crowd) changed(ctx context.Context, members []*member, i int) (time.Duration, error) {
	took, err := c.round(ctx, members, func(m *member) *publication.Query { return m.changes(i) })
	if err != nil {
		return 0, err
	}
	select {
	case <-time.After(2 * time.Second):
		return took, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// quiet waits until the daemon has nothing more to do after what was published, such as to write the tree for rsync.
func (d *daemon) quiet(ctx context.Context) error {
	for range 120 {
		before := d.process.CPU()
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		if d.process.CPU()-before < 20*time.Millisecond {
			return nil
		}
	}
	return errors.New("the daemon goes on to work for two minutes after the last query")
}

// list is what a list query costs the daemon, over many objects that do not change.
func (b *bench) list(ctx context.Context, d *daemon, c *crowd, big *member) error {
	for len(big.objects) < bigObjects {
		if _, err := c.round(ctx, []*member{big}, func(m *member) *publication.Query { return m.adds(bigObjects / 5) }); err != nil {
			return err
		}
	}
	messages := make([][]byte, listQueries)
	for i := range messages { // no two are signed in the same second, or they would be one message
		var err error
		if messages[i], err = c.signer.Sign((&publication.Query{List: true}).XML(), time.Now().Add(time.Duration(i)*time.Second)); err != nil {
			return err
		}
	}
	reply, err := c.post(ctx, big.uri, messages[0]) // the first puts it together
	if err != nil {
		return err
	}
	opened, err := big.server.Open(reply, time.Now())
	if err != nil {
		return err
	}
	if listed, err := publication.ParseReply(opened.Content); err != nil || len(listed.List) != bigObjects {
		return fmt.Errorf("the list is of other objects: %w", err)
	}
	five, err := signaturesOfOne()
	if err != nil {
		return err
	}
	if err := d.quiet(ctx); err != nil {
		return err
	}
	cpu := d.process.CPU()
	for _, message := range messages {
		if _, err := c.post(ctx, big.uri, message); err != nil {
			return err
		}
	}
	each := (d.process.CPU() - cpu) / listQueries
	b.add(figure{
		name: fmt.Sprintf("a list query over %d unchanged objects", bigObjects), value: ms(each) + " of CPU",
		bound: fmt.Sprintf("a signature: %s; the reply has %.1f MB", ms(five/5), float64(len(reply))/1e6), aim: "under 5 ms of CPU", ok: each < 5*time.Millisecond,
	})
	return nil
}
