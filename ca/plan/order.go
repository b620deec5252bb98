package plan

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"cadastre/ca/issued"
	"cadastre/internal/payload"
)

// When it is known what every authority has to do, some of it is put off, or moved to another step; then the waves are put in order.

// awaitSending puts off the shrinking of a certificate while its authority publishes at a server elsewhere that has not withdrawn what
// rests on the lost resources. The authority is planned for again when that is done.
func (p *planner) awaitSending() {
	busy := map[issued.Name]bool{}
	for key, updates := range p.waves {
		for name := range updates {
			busy[name] = busy[name] || key.step != Refresh
		}
	}
	for key, updates := range p.waves {
		if key.step != Shrink {
			continue
		}
		for _, u := range updates {
			u.Certify = slices.DeleteFunc(u.Certify, func(c Certify) bool {
				is := p.Issued(c.Name)
				return is != nil && is.Base != "" && (busy[c.Name] || p.Unsent(c.Name))
			})
		}
	}
}

// awaitSwitch puts off the shrinking or end of a certificate if its authority takes over, in this plan, certificates of another
// generation; and of the certificates above it. In the next plan what is below shrinks first.
func (p *planner) awaitSwitch() {
	stays := map[issued.Name]bool{}
	for name, u := range p.waves[waveKey{Switch, 0}] {
		if len(u.Certify) == 0 {
			continue
		}
		for is := p.Issued(name); is != nil && !stays[name]; is = p.Issued(name) {
			stays[name] = true
			name = is.Issuer
		}
	}
	left := func(name issued.Name) bool {
		if stays[name] {
			p.again(name, p.now)
		}
		return stays[name]
	}
	for key, updates := range p.waves {
		if key.step != Shrink {
			continue
		}
		for _, u := range updates {
			u.Certify = slices.DeleteFunc(u.Certify, func(c Certify) bool { return left(c.Name) })
			u.Revoke = slices.DeleteFunc(u.Revoke, left)
		}
	}
}

// handOver moves withdrawals to the Withdraw step if another authority issues the same object in the Authorise step: the two may publish in
// different repositories. Objects of a retired authority are withdrawn when its successor has issued all that it is to, and not before.
func (p *planner) handOver() {
	issuers := map[payload.Key]int{} // by what the new objects are about, those who issue one
	for _, updates := range p.waves {
		for _, u := range updates {
			for _, says := range u.Authorise {
				issuers[says.Key()]++
			}
		}
	}
	for name, u := range p.waves[waveKey{Authorise, 0}] {
		next := p.Successor(name)
		if !next.IsZero() && !p.speaks(next) {
			u.Withdraw = nil
			p.again(name, p.now.Add(time.Second))
			continue
		}
		own := map[payload.Key]bool{}
		for _, says := range u.Authorise {
			own[says.Key()] = true
		}
		products, now := p.Issued(u.Name).Products, u.Withdraw[:0:0]
		for _, file := range u.Withdraw {
			if next.IsZero() && !overtaken(products[file], issuers, own) {
				now = append(now, file)
				continue
			}
			late := p.in(Withdraw, 0, u.Name)
			late.Withdraw = append(late.Withdraw, file)
		}
		u.Withdraw = now
	}
}

// overtaken tells whether another authority issues an object with the key of a product's payload, and the product's own authority does not.
func overtaken(product issued.Product, issuers map[payload.Key]int, own map[payload.Key]bool) bool {
	said, is := product.Payload()
	return is && issuers[said.Key()] > 0 && !own[said.Key()]
}

// Refresh comes first: after a long outage nothing else would be valid.
var stepOrder = map[Step]int{Refresh: 0, Grow: 1, Create: 2, Switch: 3, Authorise: 4, Withdraw: 5, Shrink: 6, Renew: 7}

// ordered puts the waves in order, and the updates in each, so that the same view gives the same plan. Updates that need a key that is
// offline are left out, and stay due.
func (p *planner) ordered() []Wave {
	keys := slices.SortedFunc(maps.Keys(p.waves), func(a, b waveKey) int {
		if a.step != b.step {
			return cmp.Compare(stepOrder[a.step], stepOrder[b.step])
		}
		if a.step == Shrink {
			return cmp.Compare(b.depth, a.depth)
		}
		return cmp.Compare(a.depth, b.depth)
	})
	var out []Wave
	for _, key := range keys {
		w := Wave{Step: key.step, Depth: key.depth}
		for _, name := range slices.SortedFunc(maps.Keys(p.waves[key]), issued.Name.Compare) {
			if u := p.waves[key][name]; !p.Offline(name) && (key.step != Shrink && key.step != Authorise || !u.idle()) {
				w.Updates = append(w.Updates, *u)
			}
		}
		if len(w.Updates) > 0 {
			out = append(out, w)
		}
	}
	return out
}

// idle tells whether an update has nothing left to do.
func (u *Update) idle() bool {
	return len(u.Certify)+len(u.Revoke)+len(u.Authorise)+len(u.Withdraw)+len(u.Release) == 0 && !u.Create && !u.Adopt && !u.End
}
