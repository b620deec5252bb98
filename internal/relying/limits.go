package relying

import "time"

// Limits bound what a run can cost, whatever repositories do. A zero field means its default, which is for who runs
// 'cadastre verify' by hand; ForDaemon is for what a daemon looks at by itself. Process has no defaults: it counts only where a
// process is started for reading (package sandbox).
type Limits struct {
	Object     int           // octets of one object; 8,000,000
	Objects    int           // objects in one repository; 2,000,000
	File       int64         // octets of one snapshot or delta, unpacked; 2 GiB
	Notice     int64         // octets of one notification, unpacked; 8 MiB
	Held       int64         // octets of deltas in memory at one time, before a snapshot is preferred; 1 GiB
	Deltas     int           // deltas to apply before a snapshot is preferred; 300
	Depth      int           // CAs below one another; 12
	Findings   int           // findings of the walk that are told one by one; 50,000
	Connect    time.Duration // until a connection stands; 15 s
	Stall      time.Duration // without a single octet; 30 s
	Repository time.Duration // for all that one repository sends in one run; 15 min
	Disk       int64         // octets of the cache that are kept from run to run; 64 GiB

	Host   Share // what one host, by name and port, may take
	Branch Share // what one branch may take: the highest CA whose host is none of those of the CAs above it, and all CAs below
	Run    Share // what all hosts and branches together may take; a branch gets at most half of what the others leave

	Process Process
}

// Share is what somebody may take in one run.
type Share struct {
	Fetched      int64         // octets that are sent, packed
	Unpacked     int64         // octets of that, unpacked
	Objects      int           // objects, whether anything names them or not
	Repositories int           // RRDP repositories and rsync modules
	CAs          int           // whose publication points are read
	Time         time.Duration // from the first request
}

// Process bounds a process that reads repositories for a daemon (see the package sandbox). Zero is no bound, but for Answer
// and Grace. The rsync that it starts has the same bounds, but for the size of files, which is that of one object.
type Process struct {
	Memory   int64         // octets of data (RLIMIT_DATA)
	CPU      time.Duration // RLIMIT_CPU
	Files    int           // that are open (RLIMIT_NOFILE)
	FileSize int64         // octets of one file (RLIMIT_FSIZE)
	Nice     int           // its nice value (setpriority); 0: as it is
	Answer   int64         // octets of what it hands back
	Grace    time.Duration // after the time of the run, until it is killed
}

const (
	mebi = 1 << 20
	gibi = 1 << 30
)

// byHand is the defaults: room for the largest registry there is, ten times over.
func byHand() Limits {
	return Limits{
		Object: 8_000_000, Objects: 2_000_000, File: 2 * gibi, Notice: 8 * mebi, Held: gibi, Deltas: 300, Depth: 12, Findings: 50_000,
		Connect: 15 * time.Second, Stall: 30 * time.Second, Repository: 15 * time.Minute, Disk: 64 * gibi,
		Host:   Share{Fetched: 2 * gibi, Unpacked: 4 * gibi, Objects: 2_000_000, Repositories: 1000, CAs: 200_000, Time: 30 * time.Minute},
		Branch: Share{Fetched: gibi, Unpacked: 2 * gibi, Objects: 500_000, Repositories: 500, CAs: 100_000, Time: 30 * time.Minute},
		Run:    Share{Fetched: 8 * gibi, Unpacked: 16 * gibi, Objects: 4_000_000, Repositories: 5000, CAs: 500_000, Time: 3 * time.Hour},
	}
}

// ForDaemon is what a daemon's own looks may cost by default: enough for the largest registry there is, and for the CAs of members.
func ForDaemon() Limits {
	l := byHand()
	l.File, l.Held, l.Findings = gibi, 32*mebi, 2000
	l.Repository, l.Disk = 5*time.Minute, gibi
	l.Host = Share{Fetched: 256 * mebi, Unpacked: gibi, Objects: 300_000, Repositories: 100, CAs: 50_000, Time: 10 * time.Minute}
	l.Branch = Share{Fetched: 64 * mebi, Unpacked: 256 * mebi, Objects: 50_000, Repositories: 20, CAs: 5000, Time: 10 * time.Minute}
	l.Run = Share{Fetched: 512 * mebi, Unpacked: 3 * gibi / 2, Objects: 500_000, Repositories: 300, CAs: 100_000, Time: 30 * time.Minute}
	l.Process = Process{
		Memory: gibi, CPU: 20 * time.Minute, Files: 1024, FileSize: gibi, Nice: 10, Answer: 64 * mebi, Grace: time.Minute,
	}
	return l
}

// withDefaults is the limits with every zero field at its default.
func (l Limits) withDefaults() Limits {
	d := byHand()
	l.Object, l.Objects, l.Deltas = or(l.Object, d.Object), or(l.Objects, d.Objects), or(l.Deltas, d.Deltas)
	l.File, l.Notice, l.Held, l.Disk = or(l.File, d.File), or(l.Notice, d.Notice), or(l.Held, d.Held), or(l.Disk, d.Disk)
	l.Depth, l.Findings = or(l.Depth, d.Depth), or(l.Findings, d.Findings)
	l.Connect, l.Stall, l.Repository = or(l.Connect, d.Connect), or(l.Stall, d.Stall), or(l.Repository, d.Repository)
	l.Host, l.Branch, l.Run = l.Host.or(d.Host), l.Branch.or(d.Branch), l.Run.or(d.Run)
	return l
}

func (s Share) or(d Share) Share {
	return Share{
		or(s.Fetched, d.Fetched), or(s.Unpacked, d.Unpacked), or(s.Objects, d.Objects), or(s.Repositories, d.Repositories),
		or(s.CAs, d.CAs), or(s.Time, d.Time),
	}
}

func or[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}
