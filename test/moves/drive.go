package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cadastre/test/internal/brake"
)

// drive begins all transfers and some key rolls, does what has to be done by hand, kills the daemon now and then, and waits until
// all is over.
func (s *scene) drive(ctx context.Context) (string, error) {
	begun := time.Now()
	if err := s.disturb(ctx); err != nil {
		return "", err
	}
	kill := s.killer(ctx, 8*s.h.soak)
	all := slices.Clone(s.world.moves)
	for _, m := range all {
		if err := s.begin(ctx, m); err != nil {
			return "", err
		}
		if _, err := kill(); err != nil {
			return "", err
		}
	}
	began := time.Since(begun)
	<-s.settled
	rolls, err := s.rollKeys(ctx)
	if err != nil {
		return "", err
	}
	for deadline := time.Now().Add(10*time.Minute + 30*s.h.soak); ; {
		killsLeft, err := kill()
		if err != nil {
			return "", err
		}
		waits, more, err := s.look(ctx, all)
		if err != nil {
			return "", err
		}
		for _, m := range more {
			all = append(all, m)
			if err := s.begin(ctx, m); err != nil {
				return "", err
			}
		}
		if len(waits)+len(more) == 0 {
			if waits, err = stillRoll(ctx, rolls); err != nil {
				return "", err
			}
		}
		if len(waits)+len(more)+killsLeft == 0 {
			break
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("%d are not done, among them: %s", len(waits), strings.Join(waits[:min(4, len(waits))], "; "))
		}
		if err := pause(ctx, time.Second); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d transfers, begun within %.0f s, and %d key rolls, over after %.0f s; %d times killed", len(all), began.Seconds(), len(rolls), time.Since(begun).Seconds(), s.h.kills), nil
}

// disturb has one reader stay on old data, and another see repositories of different moments.
func (s *scene) disturb(ctx context.Context) error {
	notifications, err := s.notifications(ctx)
	if err != nil {
		return err
	}
	if err := s.ageOld(ctx, notifications); err != nil {
		return err
	}
	mixing, stop := context.WithCancel(ctx)
	s.end = stop
	s.mix(mixing, notifications)
	return nil
}

// killer makes what kills the daemon with -9 when the next of some random moments has come, and tells how many there are left.
func (s *scene) killer(ctx context.Context, span time.Duration) func() (left int, err error) {
	var at []time.Time
	for range s.kills {
		at = append(at, time.Now().Add(s.upTo(span)))
	}
	slices.SortFunc(at, time.Time.Compare)
	return func() (int, error) {
		for len(at) > 0 && time.Now().After(at[0]) {
			at = at[1:]
			if err := s.seen[s.chance.IntN(len(s.seen))].restart(ctx); err != nil {
				return 0, err
			}
		}
		return len(at), nil
	}
}

// begin initiates a transfer, and has the recipient's registry agree where that is another.
func (s *scene) begin(ctx context.Context, m *move) error {
	args := []string{"transfer", "initiate", "--kind", m.kind, "--from", m.from, "--to", m.to, "--soak", s.h.soak.String()}
	if m.under != "" {
		args = append(args, "--under", m.under)
	}
	if m.bridge != "" {
		args = append(args, "--bridge", m.bridge)
	}
	for _, v := range m.staged {
		args = append(args, "--route", fmt.Sprintf("%s,AS%d,%d", v.prefix, v.asn, v.maxLength))
	}
	var answer struct {
		Transfer transfer `json:"transfer"`
	}
	if m.away != nil {
		args = append(args, "--peer", m.away.name)
		if m.under == "" {
			args = append(args, "--under", registryOf(m.to))
		}
	}
	args = append(args, m.resources...)
	err := m.home.askJSON(ctx, &answer, args...)
	if code := brake.Code(err); code != "" { // in a registry this small the transfers of a day take a large share
		err = m.home.askJSON(ctx, &answer, append(args, "--code", code)...)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", m.label, err)
	}
	m.id, m.ref = answer.Transfer.ID, answer.Transfer.Ref
	if m.away != nil {
		return nil // it is approved there when it is known there
	}
	m.approved = true
	if rirOf(m.from) == rirOf(m.to) {
		return nil
	}
	return m.home.run(ctx, "transfer", "approve", fmt.Sprint(m.id))
}

// approve has the recipients' registries agree to what they have come to know.
func (s *scene) approve(ctx context.Context, h *installation, list []transfer, all []*move) error {
	for _, t := range list {
		at := slices.IndexFunc(all, func(m *move) bool { return m.away == h && m.ref == t.Ref && !m.approved })
		if at < 0 {
			continue
		}
		if err := h.run(ctx, "transfer", "approve", fmt.Sprint(t.ID)); err != nil {
			return err
		}
		all[at].approved = true
	}
	return nil
}

func registryOf(handle string) string {
	registry, _, _ := strings.Cut(handle, "/")
	return registry
}

// look sees how transfers stand, does what is due by hand, and names what is not over, and what is to begin now.
func (s *scene) look(ctx context.Context, all []*move) (waits []string, more []*move, err error) {
	shown := 0
	for _, h := range s.seen {
		var list []transfer
		if err := h.askJSON(ctx, &list, "transfer", "list"); err != nil {
			return nil, nil, err
		}
		if err := s.approve(ctx, h, list, all); err != nil {
			return nil, nil, err
		}
		n, w, m, err := s.steer(ctx, h, list, all)
		if err != nil {
			return nil, nil, err
		}
		shown, waits, more = shown+n, append(waits, w...), append(more, m...)
	}
	if shown < len(all) {
		return nil, nil, errors.New("transfers are missing of the lists")
	}
	return waits, more, nil
}

// steer is look for those that begin in one installation; it tells how many these are, too.
func (s *scene) steer(ctx context.Context, h *installation, list []transfer, all []*move) (shown int, waits []string, more []*move, err error) {
	for _, t := range list {
		at := slices.IndexFunc(all, func(m *move) bool { return m.home == h && m.id == t.ID })
		if at < 0 {
			continue
		}
		m := all[at]
		shown++
		if t.State == "finalised" && m.finalised.Load() == 0 {
			m.finalised.Store(time.Now().UnixNano())
		}
		id := fmt.Sprint(t.ID)
		switch {
		case m.cancel && !m.acted && !t.Seen.IsZero():
			err = h.run(ctx, "transfer", "cancel", id, "--reason", "the parties changed their minds")
			m.acted = true
		case m.krill && t.State == "accepted":
			err = s.follow(ctx, m)
		case m.krill && t.State == "finalised" && t.Released.IsZero():
			err = s.mover.Asks(ctx)
		case m.dispute && !m.acted && t.State == "accepted":
			err = h.run(ctx, "transfer", "dispute", id, "--reason", "a third party has claims")
			m.acted = true
		}
		if err != nil {
			return 0, nil, nil, err
		}
		switch {
		case m.dispute && t.Disputed != "" && t.State == "accepted" && !t.Seen.IsZero():
		case !m.dispute && m.cancel == (t.State == "cancelled") && (t.State == "finalised" || t.State == "cancelled") && !t.Released.IsZero():
			if m.next != nil {
				m.next.home = h
				more = append(more, m.next)
				m.next = nil
			}
		default:
			waits = append(waits, fmt.Sprintf("%d, %s, is %s and waits for %s", t.ID, m.label, t.State, t.Waits))
		}
	}
	return shown, waits, more, nil
}

// ageOld has one reader stay on what it has, but for some repositories of which it gets what they have at a random moment
// within the first soak.
func (s *scene) ageOld(ctx context.Context, notifications []string) error {
	for _, n := range notifications {
		if err := s.old.front.hold(ctx, n); err != nil {
			return err
		}
	}
	newer := slices.Clone(notifications)
	s.chance.Shuffle(len(newer), func(i, j int) { newer[i], newer[j] = newer[j], newer[i] })
	newer = newer[:1+s.chance.IntN(len(newer)-1)]
	wait, settled := s.upTo(s.h.soak*2/3), make(chan struct{})
	s.settled = settled
	go func() {
		defer close(settled)
		if pause(ctx, wait) != nil {
			return
		}
		for _, n := range newer {
			_ = s.old.front.hold(ctx, n) // where the daemon is dead just now it stays with the older
		}
	}()
	return nil
}

// mix withholds one repository after the other from a reader, each for less than half a soak.
func (s *scene) mix(ctx context.Context, notifications []string) {
	most := s.h.soak / 2
	for _, n := range notifications {
		random := s.fork()
		go func() {
			for ctx.Err() == nil {
				_ = s.mixed.front.hold(ctx, n) // where the daemon is dead just now there is nothing to withhold
				_ = pause(ctx, time.Duration(random.Int64N(int64(most))))
				s.mixed.front.release(n)
				_ = pause(ctx, time.Duration(random.Int64N(int64(most))))
			}
		}()
	}
}
