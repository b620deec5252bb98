package daemon

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"cadastre/api"
	"cadastre/internal/fault"
	"cadastre/internal/front"
	"cadastre/internal/relying"
	"cadastre/internal/shares"
	"cadastre/internal/term"
)

// limitsConfig is what those who may talk to the daemon can use of it. A number that is 0 or absent means the default; a
// number below 0 means no limit, where the table in docs/limits.md allows that.
type limitsConfig struct {
	Memory                int         `toml:"memory_mib,omitempty"`              // of the process; below 0: any
	Connections           int         `toml:"connections,omitempty"`             // to listen.https, at one time
	ConnectionsPerNetwork int         `toml:"connections_per_network,omitempty"` // of those, from one /24 of IPv4 or /48 of IPv6
	MessageMemory         int         `toml:"message_memory_mib,omitempty"`      // for messages that come in
	DiskFloor             int         `toml:"disk_floor_mib,omitempty"`          // what guests leave free; below 0: nothing
	ParentClasses         int         `toml:"parent_classes,omitempty"`          // that are taken from one parent elsewhere; below 0: any number
	OperatorMemory        int         `toml:"operator_memory_mib,omitempty"`     // for large requests of operators
	Children              shareConfig `toml:"children,omitempty"`
	Publishers            shareConfig `toml:"publishers,omitempty"`
	Installations         shareConfig `toml:"installations,omitempty"`
	Parents               shareConfig `toml:"parents,omitempty"` // elsewhere
	Servers               shareConfig `toml:"servers,omitempty"` // publication servers elsewhere
	Looks                 looksConfig `toml:"looks,omitempty"`   // at repositories of others
}

// shareConfig is the share of each of a kind. Not every kind has each.
type shareConfig struct {
	Requests  float64 `toml:"requests_per_minute,omitempty"`
	Issuances float64 `toml:"issuances_per_hour,omitempty"`
	Renewals  float64 `toml:"renewals_per_hour,omitempty"`
	CPU       float64 `toml:"cpu_percent,omitempty"` // of one core
	Written   float64 `toml:"written_mib_per_hour,omitempty"`
}

// looksConfig bounds each look at repositories of others.
type looksConfig struct {
	Memory int             `toml:"memory_mib,omitempty"` // of the process
	CPU    term.Term       `toml:"cpu,omitempty"`        // the same
	Cache  int             `toml:"cache_mib,omitempty"`  // that is kept for the next look
	Host   lookShareConfig `toml:"host,omitempty"`       // what one host may take
	Branch lookShareConfig `toml:"branch,omitempty"`     // what all CAs below one that publishes elsewhere may take
	Run    lookShareConfig `toml:"run,omitempty"`        // what all may take
}

type lookShareConfig struct {
	Fetched  int       `toml:"fetched_mib,omitempty"`
	Unpacked int       `toml:"unpacked_mib,omitempty"`
	Objects  int       `toml:"objects,omitempty"`
	CAs      int       `toml:"cas,omitempty"`
	Time     term.Term `toml:"time,omitempty"`
}

// check wants no number below 0: nothing that is hostile is read without a limit.
func (c *looksConfig) check() error {
	numbers := map[string]int64{"memory_mib": int64(c.Memory), "cpu": int64(c.CPU), "cache_mib": int64(c.Cache)}
	for name, s := range map[string]lookShareConfig{"host": c.Host, "branch": c.Branch, "run": c.Run} {
		maps.Copy(numbers, map[string]int64{
			name + ".fetched_mib": int64(s.Fetched), name + ".unpacked_mib": int64(s.Unpacked), name + ".objects": int64(s.Objects), name + ".cas": int64(s.CAs), name + ".time": int64(s.Time),
		})
	}
	for _, name := range slices.Sorted(maps.Keys(numbers)) {
		if numbers[name] < 0 {
			return fault.New(fault.BadInput, "limits.looks.%s is below 0; what is read of others has a limit always: leave it out for the default", name)
		}
	}
	if c.Memory != 0 && c.Memory < fewestLookMemory {
		return fault.New(fault.BadInput, "limits.looks.memory_mib is %d; it must be at least %d, or 0 for the default", c.Memory, fewestLookMemory)
	}
	return nil
}

// fewestLookMemory is what a process needs to look at anything.
const fewestLookMemory = 128

// reading is the limits of each look.
func (c *looksConfig) reading() relying.Limits {
	l := relying.ForDaemon()
	l.Process.Memory = cmp.Or(int64(c.Memory)<<20, l.Process.Memory)
	l.Process.CPU = cmp.Or(time.Duration(c.CPU), l.Process.CPU)
	l.Disk = cmp.Or(int64(c.Cache)<<20, l.Disk)
	for share, set := range map[*relying.Share]lookShareConfig{&l.Host: c.Host, &l.Branch: c.Branch, &l.Run: c.Run} {
		share.Fetched = cmp.Or(int64(set.Fetched)<<20, share.Fetched)
		share.Unpacked = cmp.Or(int64(set.Unpacked)<<20, share.Unpacked)
		share.Objects, share.CAs = cmp.Or(set.Objects, share.Objects), cmp.Or(set.CAs, share.CAs)
		share.Time = cmp.Or(time.Duration(set.Time), share.Time)
	}
	return l
}

// fewestMemory is the least memory for messages, in MiB: networks that are known have three quarters of it, in which the longest message of
// RFC 8181, of 64 MiB, has to fit.
const fewestMemory = 88

// fewestProcess is what the process takes, in MiB, before it has anything to do.
const fewestProcess = 64

func (c *limitsConfig) check() error {
	for _, one := range []struct {
		key           string
		value, fewest int
	}{
		{"memory_mib", max(c.Memory, 0), fewestProcess}, {"connections", c.Connections, 1}, {"connections_per_network", c.ConnectionsPerNetwork, 1}, {"message_memory_mib", c.MessageMemory, fewestMemory},
		{"operator_memory_mib", c.OperatorMemory, api.LargestRequest >> 20},
	} {
		if one.value != 0 && one.value < one.fewest {
			return fault.New(fault.BadInput, "limits.%s is %d; it must be at least %d, or 0 for the default", one.key, one.value, one.fewest)
		}
	}
	if err := c.Looks.check(); err != nil {
		return err
	}
	if room := front.Room(); c.Connections > room {
		return fault.New(fault.BadInput, "limits.connections is %d, and with the limit of open files of this process (ulimit -n) there is room for %d: raise that limit, or lower limits.connections", c.Connections, room)
	}
	return nil
}

// shares makes what peers have a share of.
func (c *limitsConfig) shares(dir string) shares.All {
	budgets := shares.DefaultBudgets()
	for kind, of := range map[shares.Kind]shareConfig{shares.Child: c.Children, shares.Publisher: c.Publishers, shares.Installation: c.Installations, shares.Parent: c.Parents, shares.Server: c.Servers} {
		for resource, set := range map[shares.Resource]struct {
			value float64
			rate  shares.Rate
		}{
			shares.Requests:  {of.Requests, shares.Rate{PerSecond: of.Requests / 60, Burst: max(1, 2*of.Requests)}},
			shares.Issuances: {of.Issuances, shares.PerHour(of.Issuances)},
			shares.Renewals:  {of.Renewals, shares.PerHour(of.Renewals)},
			shares.CPU:       {of.CPU, shares.Rate{PerSecond: of.CPU / 100, Burst: 2 * of.CPU}},
			shares.Written:   {of.Written, shares.PerHour(of.Written * (1 << 20))},
		} {
			switch _, limited := budgets[kind][resource]; {
			case set.value < 0:
				delete(budgets[kind], resource)
			case set.value > 0 && limited:
				budgets[kind][resource] = set.rate
			}
		}
	}
	memory := int64(c.MessageMemory) << 20
	if memory == 0 {
		memory = shares.DefaultMemory
	}
	return shares.All{Ledger: shares.NewLedger(budgets), Memory: shares.NewPool(memory), Disk: shares.NewDisk(dir, int64(c.DiskFloor)<<20)}
}

// operators is the room for large requests of operators.
func (c *limitsConfig) operators() *api.Room { return api.NewRoom(int64(c.OperatorMemory) << 20) }

// front makes the limits of the server that strangers reach.
func (c *limitsConfig) front() front.Limits {
	return front.Limits{Connections: c.Connections, PerNetwork: c.ConnectionsPerNetwork}
}
