package main

import (
	"context"
	"errors"

	"cadastre/test/internal/krill"
)

const others = "others" // the name of the trust anchor of a second installation

// betweenUs has two installations, each with two children in the other: one that publishes at its parent's, one at home.
func betweenUs(ctx context.Context, s *scene) error {
	var here, there *installation
	want := wanted{ours: {bystanderVRP}}
	err := s.steps(ctx, do("two daemons start", func(ctx context.Context) (err error) {
		var err2 error
		here, err = s.installation(ctx, ours, weHold)
		there, err2 = s.installation(ctx, others, othersHold)
		return errors.Join(err, err2)
	}))
	if err != nil {
		return err
	}
	for _, c := range []struct {
		name, resources, vrp string
		in, under, at        *installation
		anchor               string
	}{
		{"one", "196.10.0.0/20 AS37101", "196.10.0.0/22,24,AS37101", there, here, here, ours},
		{"two", "2c0f:ea00::/32 AS37102", "2c0f:ea00::/32,48,AS37102", there, here, there, ours},
		{"three", "102.16.0.0/20 AS37201", "102.16.0.0/22,24,AS37201", here, there, there, others},
		{"four", "2c0f:ec00::/32 AS37202", "2c0f:ec00::/32,48,AS37202", here, there, here, others},
	} {
		a, place := c.in.holder(c.name), "at home"
		if c.at == c.under {
			place = "with its parent"
		}
		want = want.and(c.anchor, c.vrp)
		err := s.steps(ctx,
			do("a CA in "+c.in.name+" becomes a child in "+c.under.name+" and publishes "+place, func(ctx context.Context) error {
				if _, err := c.in.enrol(ctx, c.name); err != nil {
					return err
				}
				if c.at != c.in {
					if err := s.publish(ctx, a, c.at, c.name); err != nil {
						return err
					}
				}
				if err := s.hang(ctx, a, c.under, c.name, c.name+"-upstream", c.resources); err != nil {
					return err
				}
				return a.holding(ctx, krill.ParseResources(c.resources)[0])
			}),
			do("it makes a ROA", func(ctx context.Context) error { return a.Authorises(ctx, c.vrp) }),
			s.seen("it is accepted", want),
		)
		if err != nil {
			return err
		}
	}
	return s.steps(ctx, s.agreed(want)...)
}

// severalParents has a CA with a class below Krill's, one below a second installation, and one below its own registry. What one
// of them takes away stays where another still holds it.
func severalParents(ctx context.Context, s *scene) error {
	k, h, want, err := s.begin(ctx)
	if err != nil {
		return err
	}
	const (
		name     = "branch"
		fromHome = "196.10.0.0/22,24,AS37150"
		fromKC   = "62.10.0.0/22,24,AS37150"
		fromB    = "102.16.0.0/22,24,AS37150"
		moving   = "102.17.0.0/20,20,AS37151"
	)
	branch := h.holder(name)
	var there *installation
	all := want.and(ours, fromHome).and(krillAnchor, fromKC).and(others, fromB)
	err = s.steps(ctx,
		do("a second installation starts", func(ctx context.Context) (err error) {
			there, err = s.installation(ctx, others, othersHold)
			return err
		}),
		do("our CA holds something of its own registry", func(ctx context.Context) error {
			if _, err := h.enrol(ctx, name); err != nil {
				return err
			}
			return h.Grants(ctx, name, "196.10.0.0/20")
		}),
		do("it becomes a child of Krill's too", func(ctx context.Context) error {
			if err := s.hang(ctx, branch, k, name, "krill", "62.10.0.0/16 102.17.0.0/20"); err != nil {
				return err
			}
			return branch.holding(ctx, "62.10.0.0/16")
		}),
		do("and of the second installation", func(ctx context.Context) error {
			if err := s.hang(ctx, branch, there, name, "others", "102.16.0.0/20"); err != nil {
				return err
			}
			return branch.holding(ctx, "102.16.0.0/20")
		}),
		do("it makes ROAs in what it has of each", func(ctx context.Context) error {
			return branch.Authorises(ctx, fromHome, fromKC, fromB, moving)
		}),
		s.seen("each is accepted below its own trust anchor", all.and(krillAnchor, moving)),
		do("what it has of Krill it gets of the second installation as well", func(ctx context.Context) error {
			if err := there.Grants(ctx, name, "102.17.0.0/20"); err != nil {
				return err
			}
			return branch.Asks(ctx)
		}),
		s.seen("the ROA in it stands twice", all.and(krillAnchor, moving).and(others, moving)),
		do("Krill takes it back", func(ctx context.Context) error {
			if err := k.Takes(ctx, name, "102.17.0.0/20"); err != nil {
				return err
			}
			return branch.Asks(ctx)
		}),
		s.seen("it stands below the second installation, and nothing else has changed", all.and(others, moving)),
	)
	if err != nil {
		return err
	}
	return s.steps(ctx, s.agreed(all.and(others, moving))...)
}
