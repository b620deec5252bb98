package plan

import (
	"slices"
	"testing"
	"time"

	"cadastre/ca/issued"
	"cadastre/internal/inr"
)

// TestBeforeNarrows: what a certificate lost and has again within a soak of other growth is not what all readers have.
func TestBeforeNarrows(t *testing.T) {
	all, gained, lost := resources(t, "41.0.0.0/16"), resources(t, "45.0.0.0/16"), resources(t, "41.0.128.0/17")
	soak := 30 * time.Minute
	a := &issued.Authority{Certified: all}
	for minute, resources := range []inr.Set{all.Union(gained), all.Union(gained).Minus(lost), all.Union(gained)} {
		now := noon.Add(time.Duration(minute) * time.Minute)
		a.NoteCertified(resources, now, now.Add(-soak))
	}
	if len(a.Grown) != 2 || a.Grown[0].Before.Overlaps(lost) || a.Grown[1].Before.Overlaps(lost) {
		t.Errorf("it grew like this: %v", a.Grown)
	}
}

// abroad is a world in which a parent outside the tree certifies lacnic.
type abroad struct{ *world }

func (a abroad) Parent(name issued.Name) issued.Name {
	if name == issued.Parse("lacnic") {
		return issued.Outside
	}
	return a.world.Parent(name)
}

func (a abroad) Received(name issued.Name) *Received {
	if is := a.issued[name]; name == issued.Parse("lacnic") {
		return &Received{Resources: is.Certified, Serial: is.CertSerial}
	}
	return nil
}

// TestGrowthFromOutsideSoaks: what a parent outside the tree adds is passed on when no reader has its repository from before.
func TestGrowthFromOutsideSoaks(t *testing.T) {
	v := furnished(t)
	v.policy.Soak = 30 * time.Minute
	v.give("lacnic", "179.0.0.0/16")
	v.give("nic.br", "179.0.0.0/17")
	is := v.issued[issued.Parse("lacnic")]
	is.Issuer = issued.Outside
	is.NoteCertified(v.Holding("lacnic"), v.now, v.now.Add(-v.policy.Soak))
	waves, later := Make(abroad{v.world}, &v.policy, []string{"lacnic", "nic.br"}, v.now)
	if len(waves) > 0 || !later["nic.br"].At.Equal(v.now.Add(v.policy.Soak)) {
		t.Errorf("within the soak the plan is %v, and is to be made again at %s", outline(waves), later["nic.br"].At)
	}
	v.now = v.now.Add(v.policy.Soak)
	if waves, _ = Make(abroad{v.world}, &v.policy, []string{"lacnic", "nic.br"}, v.now); len(waves) == 0 || waves[0].Updates[0].Certify[0].Name != issued.Parse("nic.br") {
		t.Errorf("after the soak the plan is %v", outline(waves))
	}
}

// stuck is a world in which the server that an authority publishes at does not take what it signs.
type stuck struct {
	*world
	at issued.Name
}

func (s stuck) Unsent(name issued.Name) bool { return name == s.at }

// TestGrowthThatIsNotSeenIsNotBuiltOn: while the server that a certificate is published at has not taken it, nobody has it,
// however long ago it was signed.
func TestGrowthThatIsNotSeenIsNotBuiltOn(t *testing.T) {
	v := furnished(t)
	v.policy.Soak = 30 * time.Minute
	v.give("lacnic", "179.0.0.0/16")
	v.give("nic.br", "179.0.0.0/17")
	is, set := v.issued[issued.Parse("lacnic")], []string{"lacnic", "nic.br"}
	is.NoteCertified(v.Holding("lacnic"), v.now, v.now.Add(-v.policy.Soak))
	v.now = v.now.Add(24 * time.Hour)
	waves, later := Make(stuck{v.world, is.Issuer}, &v.policy, set, v.now)
	for _, w := range waves {
		for _, u := range w.Updates {
			if len(u.Certify) > 0 {
				t.Errorf("%s certifies %v, and its own certificate is nowhere", u.Name, u.Certify)
			}
		}
	}
	if at := later["nic.br"].At; at.IsZero() || at.After(v.now.Add(time.Minute)) {
		t.Errorf("it is planned again at %s", at)
	}
	is.NoteCertified(is.Certified, v.now, time.Time{})
	if len(is.Grown) != 1 {
		t.Errorf("a renewal forgot what nobody has: %v", is.Grown)
	}
	if waves, _ = Make(v, &v.policy, set, v.now); len(waves) == 0 || !slices.ContainsFunc(waves, func(w Wave) bool { return w.Step == Grow }) {
		t.Errorf("when it has arrived the plan is %v", outline(waves))
	}
}
