package relying

import (
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"cadastre/internal/fault"
)

// account is who pays for what is fetched: the host that sends it, and the branch of CAs that it is fetched for.
type account struct {
	host   string // with its port
	branch string // validate.Place.Branch
}

// hostOf is the host and port of a URI.
func hostOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	return u.Host
}

// errBranch is within the errors that say that a branch has had its share: what was not fetched for it may be for another.
var errBranch = errors.New("the branch has had its share")

// accounts is what hosts, branches and all of a run have taken of their shares. It is safe for use by several goroutines.
type accounts struct {
	limits Limits
	start  time.Time

	mu       sync.Mutex
	run      Share
	hosts    map[string]*taken
	branches map[string]*taken
	held     int64
	cut      string // why somebody got less than its share
}

// taken is what one of them has taken, and since when.
type taken struct {
	Share
	since time.Time
}

func newAccounts(limits Limits) *accounts {
	return &accounts{limits: limits, start: time.Now(), hosts: map[string]*taken{}, branches: map[string]*taken{}}
}

func of(m map[string]*taken, name string) *taken {
	t := m[name]
	if t == nil {
		t = &taken{since: time.Now()}
		m[name] = t
	}
	return t
}

func (s Share) plus(o Share) Share {
	return Share{s.Fetched + o.Fetched, s.Unpacked + o.Unpacked, s.Objects + o.Objects, s.Repositories + o.Repositories, s.CAs + o.CAs, s.Time}
}

// half is half of what is left of a limit when others have taken theirs.
func (s Share) half(others Share) Share {
	return Share{
		(s.Fetched - others.Fetched) / 2, (s.Unpacked - others.Unpacked) / 2, (s.Objects - others.Objects) / 2,
		(s.Repositories - others.Repositories) / 2, (s.CAs - others.CAs) / 2, s.Time,
	}
}

func (s Share) minus(o Share) Share {
	return Share{s.Fetched - o.Fetched, s.Unpacked - o.Unpacked, s.Objects - o.Objects, s.Repositories - o.Repositories, s.CAs - o.CAs, s.Time}
}

// beyond says what of a share is more than a limit, or "".
func (s Share) beyond(limit Share) string {
	for _, x := range [...]struct {
		has, most int64
		what      string
	}{
		{s.Fetched, limit.Fetched, "octets fetched"}, {s.Unpacked, limit.Unpacked, "octets unpacked"},
		{int64(s.Objects), int64(limit.Objects), "objects"}, {int64(s.Repositories), int64(limit.Repositories), "repositories"},
		{int64(s.CAs), int64(limit.CAs), "CAs"},
	} {
		if x.has > x.most {
			return fmt.Sprintf("more than %d %s", x.most, x.what)
		}
	}
	return ""
}

// charge takes from the shares of an account, or fails with Invalid where that would be too much of any of them.
func (a *accounts) charge(who account, what Share) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	host, run := of(a.hosts, who.host), a.run.plus(what)
	if said := host.plus(what).beyond(a.limits.Host); said != "" {
		return fault.New(fault.Invalid, "the host %s comes to %s, which is the limit for one host", who.host, said)
	}
	if said := run.beyond(a.limits.Run); said != "" {
		a.cut = "all of it comes to " + said
		return fault.New(fault.Invalid, "%s, which is the limit for one run", a.cut)
	}
	if who.branch != "" {
		branch := of(a.branches, who.branch)
		after := branch.plus(what)
		if said := after.beyond(a.limits.Branch); said != "" {
			return fault.New(fault.Invalid, "the CAs below %s come to %s, which is the limit for one branch: %w", who.branch, said, errBranch)
		}
		if said := after.beyond(a.limits.Run.half(a.run.minus(branch.Share))); said != "" {
			a.cut = fmt.Sprintf("the CAs below %s come to %s, which is half of what others leave", who.branch, said)
			return fault.New(fault.Invalid, "%s: %w", a.cut, errBranch)
		}
		branch.Share = after
	}
	host.Share = host.plus(what)
	a.run = run
	return nil
}

// deadline is when an account has to be done with one repository that it begins now.
func (a *accounts) deadline(who account) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	end := time.Now().Add(a.limits.Repository)
	end = earlier(end, of(a.hosts, who.host).since.Add(a.limits.Host.Time))
	if who.branch != "" {
		end = earlier(end, of(a.branches, who.branch).since.Add(a.limits.Branch.Time))
	}
	return end
}

// hold takes memory for a delta until release gives it back. It is false where there is none left.
func (a *accounts) hold(octets int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held+octets > a.limits.Held {
		return false
	}
	a.held += octets
	return true
}

func (a *accounts) release(octets int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held -= octets
}

// cutShort notes why the run ended before all was read; cutBy is why somebody got less than its share, or "".
func (a *accounts) cutShort(why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cut = why
}

func (a *accounts) cutBy() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cut
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
