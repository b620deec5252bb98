package plan

import (
	"slices"

	"cadastre/ca/issued"
)

// BatchKeys is about how many new keys go into one batch.
const BatchKeys = 192

// Chunks cuts a wave into batches of about limit new keys. A certificate and the new authority that it is for are in the same batch, and a
// batch has at most one part of each issuer's certificates.
func (w *Wave) Chunks(limit int) [][]Update {
	switch w.Step {
	case Create:
	case Switch:
		return [][]Update{w.Updates} // a file must pass from one authority to the other in one batch
	default:
		return cut(w.Updates, limit)
	}
	own := map[issued.Name]Update{}
	var out [][]Update
	for _, u := range w.Updates {
		if u.Create {
			own[u.Name] = u
		}
		if u.Adopt {
			out = append(out, cut([]Update{u}, limit)...)
		}
	}
	for _, u := range w.Updates {
		if u.Create || u.Adopt { // what adopts its certificate certifies nobody yet
			continue
		}
		for rest := u.Certify; len(rest) > 0; {
			part := Update{Name: u.Name}
			chunk := []Update{}
			var more []Update
			for work := 0; len(rest) > 0 && work < limit; rest = rest[1:] {
				child := own[rest[0].Name]
				first, later := child.split(limit)
				if later != nil {
					more = append(more, *later)
				}
				first.Create = true
				work += 2 + len(first.Authorise)
				part.Certify = append(part.Certify, rest[0])
				chunk = append(chunk, first)
			}
			out = append(out, append([]Update{part}, chunk...))
			for _, u := range more {
				u.Create = false
				out = append(out, cut([]Update{u}, limit)...)
			}
		}
	}
	return out
}

// cut makes batches of about limit keys; a single large update is cut too.
func cut(updates []Update, limit int) [][]Update {
	var out [][]Update
	var chunk []Update
	work := 0
	for _, u := range updates {
		for {
			part, rest := u.split(limit)
			chunk = append(chunk, part)
			if work += part.Work(); work >= limit {
				out, chunk, work = append(out, chunk), nil, 0
			}
			if rest == nil {
				break
			}
			u = *rest
		}
	}
	if len(chunk) > 0 {
		out = append(out, chunk)
	}
	return out
}

// Work is about how many objects have to be signed for an update, besides its CRL.
func (u *Update) Work() int { return 1 + len(u.Authorise) + len(u.Certify) }

// split takes at most n new signed objects and n certificates off an update. What is withdrawn is in the last part, after what replaces
// it.
func (u Update) split(n int) (Update, *Update) {
	if len(u.Authorise) <= n && len(u.Certify) <= n {
		return u, nil
	}
	part := Update{Name: u.Name, Adopt: u.Adopt, Authorise: u.Authorise[:min(n, len(u.Authorise))], Certify: u.Certify[:min(n, len(u.Certify))]}
	u.Adopt = false
	u.Authorise, u.Certify = u.Authorise[len(part.Authorise):], u.Certify[len(part.Certify):]
	return part, &u
}

// Needs tells whether a batch is about an authority that the batch before it creates. Then it cannot be signed before that batch is
// committed.
func Needs(batch, before []Update) bool {
	made := map[issued.Name]bool{}
	for _, u := range before {
		made[u.Name] = u.Create
	}
	return slices.ContainsFunc(batch, func(u Update) bool { return made[u.Name] && !u.Create })
}

// Parts cuts a batch into the smallest batches that can be committed alone: a certificate with the new authority that it is for, or all
// that one authority does with its signed objects.
func Parts(updates []Update) [][]Update {
	made := map[issued.Name]Update{}
	for _, u := range updates {
		if u.Create {
			made[u.Name] = u
		}
	}
	var out [][]Update
	for _, u := range updates {
		for _, c := range u.Certify {
			part := []Update{{Name: u.Name, Certify: []Certify{c}}}
			if child, ok := made[c.Name]; ok {
				part = append(part, child)
			}
			out = append(out, part)
		}
		for _, name := range u.Revoke {
			out = append(out, []Update{{Name: u.Name, Revoke: []issued.Name{name}}})
		}
		if own := u; !u.Create && (len(u.Authorise)+len(u.Withdraw) > 0 || len(u.Certify)+len(u.Revoke) == 0) {
			own.Certify, own.Revoke = nil, nil
			out = append(out, []Update{own})
		}
	}
	return out
}

// About is the organisation whose work a part is.
func About(part []Update) string {
	switch u := part[0]; {
	case len(u.Certify) > 0:
		return u.Certify[0].Name.Holder
	case len(u.Revoke) > 0:
		return u.Revoke[0].Holder
	default:
		return u.Name.Holder
	}
}

// Bare tells whether a part only renews a manifest and CRL.
func Bare(part []Update) bool {
	u := part[0]
	return u.idle()
}

// KeysFor is how many new keys updates need: own, one for each new authority whose key is here, and oneTime, one for each signed object and
// each manifest.
func KeysFor(updates []Update) (own, oneTime int) {
	for _, u := range updates {
		if u.Name.Key != "" {
			continue
		}
		oneTime += 1 + len(u.Authorise)
		if u.Create {
			own++
		}
	}
	return own, oneTime
}

// Concerns lists the organisations for which an update does something. That is its own, unless it only certifies or revokes others.
func (u *Update) Concerns() []string {
	var holders []string
	if u.Create || u.Adopt || u.End || len(u.Authorise)+len(u.Withdraw)+len(u.Release) > 0 || len(u.Certify)+len(u.Revoke) == 0 {
		holders = append(holders, u.Name.Holder)
	}
	for _, c := range u.Certify {
		holders = append(holders, c.Name.Holder)
	}
	for _, name := range u.Revoke {
		holders = append(holders, name.Holder)
	}
	return holders
}
