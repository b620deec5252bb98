package shares

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"cadastre/internal/fault"
)

// TestBudget: in any stretch of time no more is taken than the burst and what came meanwhile.
func TestBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := Rate{PerSecond: float64(rapid.IntRange(1, 50).Draw(t, "per second")), Burst: float64(rapid.IntRange(1, 50).Draw(t, "burst"))}
		var b budget
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		var taken []time.Time
		for range rapid.IntRange(1, 200).Draw(t, "calls") {
			now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "ms")) * time.Millisecond)
			if b.take(rate, 1, now) {
				taken = append(taken, now)
			}
		}
		for i := range taken {
			for j := i; j < len(taken); j++ {
				if most := rate.Burst + taken[j].Sub(taken[i]).Seconds()*rate.PerSecond + 1e-6; float64(j-i+1) > most {
					t.Fatalf("%d were taken in %s at %+v", j-i+1, taken[j].Sub(taken[i]), rate)
				}
			}
		}
		if !b.take(rate, 1, now.Add(time.Minute)) {
			t.Fatal("nothing came in a minute")
		}
	})
}

func isBusy(t *testing.T, err error) {
	t.Helper()
	if fault.KindOf(err) != fault.Busy {
		t.Errorf("the error is %v", err)
	}
}

func TestLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLedger(Budgets{Child: {Issuances: PerHour(60), CPU: {PerSecond: 0.1, Burst: 1}}})
		acme, shop := Principal{Child, "acme"}, Principal{Child, "shop"}
		for range 60 {
			if err := l.Spend(acme, Issuances, 1); err != nil {
				t.Fatal(err)
			}
		}
		err := l.Spend(acme, Issuances, 1)
		isBusy(t, err)
		if want := "the child acme has used up its share of issuances; come again in 1m0s"; err.Error() != want {
			t.Errorf("it says %q", err)
		}
		for _, err := range []error{l.Spend(shop, Issuances, 60), l.Spend(acme, Renewals, 1000), l.Spend(Principal{Publisher, "acme"}, Issuances, 1000)} {
			if err != nil {
				t.Errorf("another is refused: %v", err)
			}
		}
		isBusy(t, l.Spend(Principal{Child, "large"}, Issuances, 61))
		time.Sleep(time.Minute)
		if err := l.Spend(acme, Issuances, 1); err != nil {
			t.Error(err)
		}

		// what is known only afterwards is owed
		l.Charge(acme, CPU, 3)
		isBusy(t, l.Owing(acme, CPU))
		time.Sleep(19 * time.Second)
		isBusy(t, l.Owing(acme, CPU))
		time.Sleep(2 * time.Second)
		if err := l.Owing(acme, CPU); err != nil {
			t.Error(err)
		}

		uses := l.Uses()
		if len(uses) != 2 || uses[0].Resource != Issuances || uses[0].Used != 121 || uses[0].Refused != 2 || uses[0].Highest < 0.9 {
			t.Errorf("%+v", uses)
		}
		var none *Ledger
		none.Charge(acme, CPU, 1000)
		if none.Owing(acme, CPU) != nil || none.Spend(acme, Issuances, 1000) != nil || none.Uses() != nil {
			t.Error("no ledger has a limit")
		}
	})
}

// TestLedgerForgets: who has used nothing lately takes no memory.
func TestLedgerForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLedger(Budgets{Child: {Requests: {PerSecond: 1, Burst: 1}}})
		for i := range 50 * fewestSwept {
			if err := l.Spend(Principal{Child, fmt.Sprint(i)}, Requests, 1); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if len(l.used) > 2*fewestSwept {
			t.Errorf("%d are remembered", len(l.used))
		}
	})
}

func network(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)
}

// TestPool: the largest gives way, by network, then by handle, then by message; a small one always finds room.
func TestPool(t *testing.T) {
	p := NewPool(4000) // 1000 for strangers
	var gone atomic.Int64
	open := func(o Owner, n int64) (*Holding, error) {
		h := p.Open(o, func() { gone.Add(1) })
		return h, h.Grow(n)
	}
	must := func(h *Holding, err error) *Holding {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	alone := must(open(Owner{Network: network(1), Handle: "a"}, 3000)) // nobody else is there
	must(open(Owner{Network: network(2), Handle: "b"}, 500))
	if err := alone.Grow(1); !errors.Is(err, ErrDisplaced) || gone.Load() != 1 {
		t.Fatalf("the largest stays: %v", err)
	}
	small := must(open(Owner{Network: network(2), Handle: "c"}, 100))
	var many []*Holding
	for i := range 90 {
		many = append(many, must(open(Owner{Network: network(100 + i), Handle: "c"}, 10)))
	}
	if stats := p.Stats(); stats.Strangers > 1000 || stats.Displaced < 2 {
		t.Errorf("%+v", stats)
	}
	if err := small.Grow(10); err != nil && !errors.Is(err, ErrDisplaced) {
		t.Error(err)
	}
	// the handle of one network that has the most gives way to another of the same network
	p = NewPool(4000)
	var greedy []*Holding
	for range 9 {
		greedy = append(greedy, must(open(Owner{Network: network(1), Handle: "a"}, 110)))
	}
	modest := must(open(Owner{Network: network(1), Handle: "b"}, 100))
	if err := modest.Whole(); err != nil {
		t.Errorf("the smaller gave way: %v", err)
	}
	left := 0
	for _, h := range greedy {
		if h.Whole() == nil {
			left++
		}
	}
	if left != 8 {
		t.Errorf("%d of 9 are left", left)
	}

	// who is known has a part of its own, divided by handle, and what has come whole stays
	big := must(open(Owner{Network: network(1), Handle: "a", Known: true}, 2900))
	must(open(Owner{Network: network(9), Handle: "z", Known: true}, 200))
	if err := big.Grow(1); !errors.Is(err, ErrDisplaced) {
		t.Errorf("the larger of two stays: %v", err)
	}
	whole := must(open(Owner{Network: network(1), Handle: "a", Known: true}, 2700))
	if err := whole.Whole(); err != nil {
		t.Fatal(err)
	}
	if _, err := open(Owner{Network: network(9), Handle: "y", Known: true}, 500); !errors.Is(err, ErrDisplaced) {
		t.Errorf("there is room beside a message that has come whole: %v", err)
	}
	for h := range p.held {
		h.Close()
		h.Close()
	}
	if stats := p.Stats(); stats.Strangers != 0 || stats.Known != 0 {
		t.Errorf("%+v", stats)
	}
	_ = many
}

// TestPoolBounds: whatever comes and goes, neither side has more than its part, or one lone message, and what was given back is gone.
func TestPoolBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := NewPool(1000)
		var all []*Holding
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch pick := rapid.IntRange(0, 3).Draw(t, "what"); {
			case pick == 0 || len(all) == 0:
				o := Owner{network(rapid.IntRange(0, 3).Draw(t, "network")), rapid.StringMatching("[a-c]").Draw(t, "handle"), rapid.Bool().Draw(t, "known")}
				all = append(all, p.Open(o, func() {}))
			case pick == 1:
				all[rapid.IntRange(0, len(all)-1).Draw(t, "which")].Close()
			default:
				_ = all[rapid.IntRange(0, len(all)-1).Draw(t, "which")].Grow(int64(rapid.IntRange(1, 300).Draw(t, "bytes")))
			}
			var sums, counts [2]int64
			for h := range p.held {
				sums[h.side()] += h.bytes
				if h.bytes > 0 {
					counts[h.side()]++
				}
			}
			if sums != p.bytes || sums[known] > 750 || sums[strangers] > 250 && (counts[strangers] > 1 || sums[strangers] > 750) {
				t.Fatalf("%v are held by %v, and counted as %v", sums, counts, p.bytes)
			}
		}
	})
}

// TestCrowd: ninety callers that use up their rate keep hardly anyone out, and memory is the same for any number.
func TestCrowd(t *testing.T) {
	c, now := NewCrowd(Rate{PerSecond: 1, Burst: 5}, 2), time.Now()
	for i := range 90 {
		for range 100 {
			c.Enter(Caller{network(i), "acme"}, now)
		}
	}
	out := 0
	for i := range 1000 {
		if at, refused := c.Enter(Caller{network(1000 + i), "acme"}, now); refused == "" {
			c.Leave(at)
		} else {
			out++
		}
	}
	if out > 20 {
		t.Errorf("%d of 1000 others are kept out", out)
	}
	// what one caller may do is exact where no other happens to be counted in both of its slots
	c = NewCrowd(Rate{PerSecond: 1, Burst: 5}, 2)
	one := Caller{network(5000), "shop"}
	first, _ := c.Enter(one, now)
	second, _ := c.Enter(one, now)
	if _, refused := c.Enter(one, now); refused != "busy" {
		t.Errorf("a third at once is %q", refused)
	}
	c.Leave(first)
	c.Leave(second)
	for range 2 {
		if at, refused := c.Enter(one, now); refused != "" {
			t.Errorf("after the others it is %q", refused)
		} else {
			c.Leave(at)
		}
	}
	if _, refused := c.Enter(one, now); refused != "rate" {
		t.Errorf("the sixth is %q", refused)
	}
}

func TestDisk(t *testing.T) {
	dir := t.TempDir()
	if err := NewDisk(dir, 1).Guests(); err != nil {
		t.Errorf("with a floor of one byte: %v", err)
	}
	full := NewDisk(dir, 1<<62)
	err := full.Guests()
	if fault.KindOf(err) != fault.Storage || !strings.Contains(err.Error(), "limits.disk_floor_mib") {
		t.Errorf("the error is %v", err)
	}
	if stats := full.Stats(); stats.Refused != 1 || stats.Free <= 0 || stats.Floor != 1<<62 {
		t.Errorf("%+v", stats)
	}
	var none *Disk
	for _, d := range []*Disk{none, NewDisk(dir, -1), NewDisk(dir+"/nowhere", 1<<62)} {
		if err := d.Guests(); err != nil {
			t.Error(err)
		}
	}
}

func TestMeasure(t *testing.T) {
	took := Measure(func() {
		for begun := threadTime(); threadTime()-begun < 5*time.Millisecond; { //nolint:revive // it uses up time
		}
	})
	if took < 5*time.Millisecond {
		t.Errorf("5 ms of work took %s", took)
	}
}
