package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"cadastre/test/internal/krill"
	"cadastre/test/internal/process"
)

// keyRolls has children on both sides, and rolls the keys of each child and of each parent. At no look may a VRP be
// missing.
func keyRolls(ctx context.Context, s *scene) error {
	k, h, want, err := s.begin(ctx)
	if err != nil {
		return err
	}
	const (
		below = "kc"
		above = "branch"
		one   = "196.10.0.0/22,24,AS37100"
		two   = "62.10.0.0/22,24,AS37150"
	)
	kc, branch := k.CA(below), h.holder(above)
	want = want.and(ours, one).and(krillAnchor, two)
	err = s.steps(ctx,
		do("Krill's CA becomes our child", func(ctx context.Context) error {
			if err := k.Found(ctx, below); err != nil {
				return err
			}
			if err := s.publish(ctx, kc, h, below); err != nil {
				return err
			}
			if err := s.hang(ctx, kc, h, below, "cadastre", "196.10.0.0/20"); err != nil {
				return err
			}
			return errors.Join(holding(ctx, kc, "196.10.0.0/20"), kc.Authorises(ctx, one))
		}),
		do("our CA becomes a child of Krill's", func(ctx context.Context) error {
			if _, err := h.enrol(ctx, above); err != nil {
				return err
			}
			if err := s.publish(ctx, branch, k, above); err != nil {
				return err
			}
			if err := s.hang(ctx, branch, k, above, "krill", "62.10.0.0/16"); err != nil {
				return err
			}
			return errors.Join(branch.holding(ctx, "62.10.0.0/16"), branch.Authorises(ctx, two))
		}),
		s.seen("their ROAs are accepted", want),
	)
	if err != nil {
		return err
	}
	for _, r := range []struct {
		what    string
		who     roller
		watcher authority
		hasty   bool
	}{
		{"Krill's CA, below us", kc, nil, true},
		{"our CA, below Krill's", branch, nil, false},
		{"Krill's CA above ours", k.CA(krill.Testbed), branch, false},
		{"our registry, above Krill's CA", h.holder(registry), kc, false},
	} {
		if err := s.roll(ctx, r.what, r.who, r.watcher, r.hasty, want); err != nil {
			return err
		}
	}
	return s.steps(ctx, s.agreed(want)...)
}

// roller is an authority that says which keys it has.
type roller interface {
	authority
	// Keys is the identifiers of its keys: those that sign, and those that are to.
	Keys(ctx context.Context) ([]string, error)
}

// roll rolls one authority's key, and has its child watch. Krill is hasty: it has its parent revoke the old key before it
// publishes what the new one signs, so that for a moment nothing of it is there.
func (s *scene) roll(ctx context.Context, what string, who roller, watcher authority, hasty bool, want wanted) error {
	var old []string
	number := func(n int, and func(now []string) bool) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			now, err := who.Keys(ctx)
			if err == nil && (len(now) != n || !and(now)) {
				err = fmt.Errorf("its keys were %s and are %s", old, now)
			}
			return err
		}
	}
	watch := func(ctx context.Context) error {
		if watcher == nil {
			return nil
		}
		return watcher.Asks(ctx)
	}
	begin := func(ctx context.Context) (err error) {
		if old, err = who.Keys(ctx); err != nil {
			return err
		}
		return errors.Join(who.Rolls(ctx), watch(ctx))
	}
	begun := func(ctx context.Context) error { return number(len(old)+1, func([]string) bool { return true })(ctx) }
	finish := func(ctx context.Context) error { return errors.Join(who.Activates(ctx), watch(ctx)) }
	finished := func(ctx context.Context) error {
		return number(len(old), func(now []string) bool { return strings.Join(now, " ") != strings.Join(old, " ") })(ctx)
	}
	last := s.steady(what+", signs with the new key, and the old is revoked", want, finish, finished)
	if hasty {
		last.proof = func(ctx context.Context) (string, error) {
			if err := errors.Join(finish(ctx), process.Until(ctx, time.Minute, func() error { return finished(ctx) })); err != nil {
				return "", err
			}
			return s.awaits(ctx, want)
		}
	}
	return s.steps(ctx, s.steady(what+", gets a new key beside its old", want, begin, begun), last)
}

// moves has a CA that publishes at Krill's come home. At no look may a VRP be missing, and nothing stays behind.
func moves(ctx context.Context, s *scene) error {
	k, h, want, err := s.begin(ctx)
	if err != nil {
		return err
	}
	const (
		name   = "branch"
		theirs = "62.10.0.0/22,24,AS37150"
		own    = "196.10.0.0/22,24,AS37151"
	)
	branch := h.holder(name)
	want = want.and(krillAnchor, theirs).and(ours, own)
	err = s.steps(ctx,
		do("our CA, with a class below us and one below Krill's, publishes at Krill's server", func(ctx context.Context) error {
			if _, err := h.enrol(ctx, name); err != nil {
				return err
			}
			if err := h.Grants(ctx, name, "196.10.0.0/20"); err != nil {
				return err
			}
			if err := s.publish(ctx, branch, k, name); err != nil {
				return err
			}
			if err := s.hang(ctx, branch, k, name, "krill", "62.10.0.0/16"); err != nil {
				return err
			}
			return errors.Join(branch.holding(ctx, "62.10.0.0/16"), branch.Authorises(ctx, theirs, own))
		}),
		s.seen("its ROAs are accepted", want),
		do("all that it has is at Krill's", func(ctx context.Context) error {
			return process.Until(ctx, 30*time.Second, func() error {
				n, err := k.Published(ctx, name)
				if err == nil && n < 6 {
					err = fmt.Errorf("there are %d objects, and should be two CRLs, two manifests and two ROAs", n)
				}
				return err
			})
		}),
		s.steady("it moves to ours, and leaves nothing behind", want, branch.comesHome, func(ctx context.Context) error {
			n, err := k.Published(ctx, name)
			if err == nil && n > 0 {
				err = fmt.Errorf("%d objects are still at Krill's", n)
			}
			return err
		}),
	)
	if err != nil {
		return err
	}
	return s.steps(ctx, s.agreed(want)...)
}
