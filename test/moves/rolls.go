package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// roll is a key roll that goes on while everything moves.
type roll struct {
	home   *installation
	holder string
	was    string // its key before
}

// key is what this program reads of 'cadastre keys show'.
type key struct {
	SKI   string `json:"ski"`
	State string `json:"state"`
}

// rolling is how many of those who give something away have their keys roll, besides registries.
const rolling = 4

// rollKeys begins a key roll of each registry below the root, with no soak but the policy's, and of some of those who give. It
// is for when the reader on old data has what it stays with: new keys are no matter of transfers, and it can't have both.
func (s *scene) rollKeys(ctx context.Context) ([]*roll, error) {
	var rolls []*roll
	begin := func(h *installation, holder, soak string) error {
		keys, err := h.keys(ctx, holder)
		if err != nil || len(keys) == 0 {
			return err
		}
		rolls = append(rolls, &roll{h, holder, keys[0].SKI})
		return h.run(ctx, "keys", "roll", holder, "--soak", soak, "--reason", "while everything moves")
	}
	for _, h := range s.seen {
		now, err := h.status(ctx)
		if err != nil {
			return nil, err
		}
		for _, registry := range slices.Sorted(maps.Keys(now.Repositories)) { // what a seed draws is the same each time
			if registry == "iana" { // its issuer's key is not there every day
				continue
			}
			if err := begin(h, registry, "0s"); err != nil {
				return nil, err
			}
		}
	}
	givers := slices.Clone(s.world.moves)
	s.chance.Shuffle(len(givers), func(i, j int) { givers[i], givers[j] = givers[j], givers[i] })
	for _, m := range givers[:min(rolling, len(givers))] {
		known := slices.ContainsFunc(rolls, func(r *roll) bool { return r.home == m.home && r.holder == m.from })
		if m.krill || known {
			continue
		}
		if err := begin(m.home, m.from, s.h.soak.String()); err != nil {
			return nil, err
		}
	}
	return rolls, nil
}

func (h *installation) keys(ctx context.Context, holder string) (keys []key, err error) {
	return keys, h.askJSON(ctx, &keys, "keys", "show", holder)
}

// stillRoll names the rolls that have not come to their end: one key, and another one. Who has given all away has none.
func stillRoll(ctx context.Context, rolls []*roll) (waits []string, err error) {
	for _, r := range rolls {
		keys, err := r.home.keys(ctx, r.holder)
		if err != nil {
			return nil, err
		}
		if len(keys) > 1 || len(keys) == 1 && (keys[0].State != "active" || keys[0].SKI == r.was) {
			waits = append(waits, fmt.Sprintf("the key roll of %s has come to %v", r.holder, keys))
		}
	}
	return waits, nil
}
