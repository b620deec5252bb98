package routes

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"cadastre/internal/due"
	"cadastre/internal/fault"
	"cadastre/internal/relying"
	"cadastre/internal/term"
)

// Imported is the name of the source that an operator imports by hand.
const Imported = "import"

// The limits of what a source sends.
const (
	mostFetched = 4 << 30 // octets
	longest     = 30 * time.Minute
)

// usualBackoff is how long to wait after a source could not be read.
var usualBackoff = due.Backoff{First: 5 * time.Minute, Most: 4 * time.Hour}

// Config says where announcements come from.
type Config struct {
	Dir     string        // where the last good tables are kept; made when it is needed
	Sources []string      // URLs (https) and absolute paths of files
	Every   time.Duration // how often each is read
	Oldest  time.Duration // tables that are older are not used
	Peers   int           // what fewer peers see is not used, where the number is known
	Log     *slog.Logger
}

// Default is the configuration without a source.
func Default(dir string, log *slog.Logger) Config {
	return Config{Dir: dir, Every: time.Hour, Oldest: 7 * 24 * time.Hour, Peers: 5, Log: log}
}

// SourceStatus is how a source of announcements stands.
type SourceStatus struct {
	Name  string    `json:"name"`            // URL, path, or "import"
	Time  time.Time `json:"time,omitzero"`   // of the announcements that are kept; zero: there are none
	Read  time.Time `json:"read,omitzero"`   // when it was last read, or was found unchanged
	V4    int       `json:"ipv4"`            // announcements of IPv4
	V6    int       `json:"ipv6"`            // announcements of IPv6
	Left  int       `json:"left,omitempty"`  // what has no single origin AS
	Used  bool      `json:"used"`            // false: there are none, or they are too old
	Error string    `json:"error,omitempty"` // why the last reading failed

	Validators relying.Validators `json:"validators,omitzero"` // of the server's last answer
	Modified   time.Time          `json:"modified,omitzero"`   // of the file
}

// Keeper reads sources on a schedule and keeps the last good table of each, on disk and in memory. A source that fails, or of which less than
// half is left, leaves what was there. A nil Keeper has none.
type Keeper struct {
	config Config
	roots  string // PEM file of TLS authorities beside the system's, for tests

	news    due.Signal // a source was forgotten
	mu      sync.Mutex
	loaded  bool
	sources map[string]*SourceStatus
	tables  map[string]*Table // as they were read
	used    string            // names of the sources that are in merged
	merged  *Table
}

// NewKeeper makes a keeper. It reads nothing until it is asked.
func NewKeeper(c Config) *Keeper {
	return &Keeper{config: c, news: due.NewSignal(), sources: map[string]*SourceStatus{}, tables: map[string]*Table{}}
}

func (k *Keeper) statusPath() string { return filepath.Join(k.config.Dir, "sources.json") }

func (k *Keeper) tablePath(name string) string {
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(k.config.Dir, hex.EncodeToString(sum[:8])+".routes")
}

// names is the sources that there are: those of the configuration, and what was imported.
func (k *Keeper) names() []string { return append(slices.Clone(k.config.Sources), Imported) }

// load reads what is kept on disk, once. What can't be read counts as never read. The caller holds mu.
func (k *Keeper) load() {
	if k.loaded {
		return
	}
	k.loaded = true
	if text, err := os.ReadFile(k.statusPath()); err == nil {
		var list []*SourceStatus
		if err := json.Unmarshal(text, &list); err != nil {
			k.config.Log.Warn("the record of the sources of announcements can't be read, and they are read anew", "file", k.statusPath(), "error", err)
		}
		for _, s := range list {
			if s != nil && slices.Contains(k.names(), s.Name) {
				k.sources[s.Name] = s
			}
		}
	}
	for name, s := range k.sources {
		if s.Time.IsZero() {
			continue
		}
		file, err := os.Open(k.tablePath(name))
		if err == nil {
			k.tables[name], err = Read(file.Name(), bufio.NewReader(file), s.Time)
			_ = file.Close() // it was only read
		}
		if err != nil {
			k.config.Log.Warn("announcements that were kept can't be read; their source is read anew", "source", name, "error", err)
			delete(k.sources, name)
		}
	}
}

// Load reads what is kept on disk, so that who asks first need not wait for it.
func (k *Keeper) Load() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.load()
}

// Now is what is announced, as far as it is known and not too old at a time. Why says why there is nothing, where that is so.
func (k *Keeper) Now(at time.Time) (t *Table, why string) {
	if k == nil {
		return nil, nothingKnown
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.load()
	var used []string
	var newest time.Time
	for _, name := range k.names() {
		s := k.sources[name]
		if s == nil || k.tables[name] == nil {
			continue
		}
		if s.Time.After(newest) {
			newest = s.Time
		}
		if k.fresh(s, at) {
			used = append(used, name)
		}
	}
	key := strings.Join(used, "\n")
	if key != k.used || k.merged == nil && key != "" {
		var tables []*Table
		for _, name := range used {
			tables = append(tables, k.tables[name])
		}
		k.used, k.merged = key, Merge(tables...).visible(k.config.Peers)
	}
	switch {
	case k.merged.Len() > 0:
		return k.merged, ""
	case newest.IsZero():
		return nil, nothingKnown
	}
	return nil, fmt.Sprintf("the newest announcements that are known are of %s, which is more than %s ago: they are not used ('cadastre routes status')",
		newest.UTC().Format(time.RFC3339), term.Text(k.config.Oldest))
}

const nothingKnown = "it is not known what is announced: name sources in [routes] of config.toml, or use 'cadastre routes import'"

// fresh tells whether what a source said is not too old.
func (k *Keeper) fresh(s *SourceStatus, at time.Time) bool {
	return !s.Time.IsZero() && at.Sub(s.Time) <= k.config.Oldest
}

// Status lists the sources, those of the configuration first.
func (k *Keeper) Status(at time.Time) []SourceStatus {
	if k == nil {
		return []SourceStatus{}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.load()
	list := []SourceStatus{}
	for _, name := range k.names() {
		s := k.sources[name]
		switch {
		case s != nil:
			one := *s
			one.Used = k.tables[name] != nil && k.fresh(s, at)
			list = append(list, one)
		case name != Imported:
			list = append(list, SourceStatus{Name: name})
		}
	}
	return list
}

// Import takes a table in place of what was imported before.
func (k *Keeper) Import(t *Table) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.load()
	return k.take(Imported, t, &SourceStatus{})
}

// Forget removes what is kept of a source. One of the configuration is read anew, and believed whatever it says. It fails with NotFound.
func (k *Keeper) Forget(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.load()
	if k.sources[name] == nil {
		return fault.New(fault.NotFound, "there is no source of announcements %s that something is kept of; 'cadastre routes status' shows them", name)
	}
	delete(k.sources, name)
	delete(k.tables, name)
	k.merged, k.used = nil, ""
	if err := os.Remove(k.tablePath(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap(err, "couldn't remove what is kept of %s", name)
	}
	k.news.Send()
	return k.writeStatus()
}

// take keeps a new table of a source, on disk first. The caller holds mu.
func (k *Keeper) take(name string, t *Table, s *SourceStatus) error {
	if now := time.Now().UTC(); t.Time.After(now) {
		t.Time = now // else it would never be too old
	}
	t = t.after(k.tables[name])
	if err := os.MkdirAll(k.config.Dir, 0o700); err != nil {
		return fault.Wrap(err, "couldn't make %s", k.config.Dir)
	}
	if err := replace(k.tablePath(name), t.Write); err != nil {
		return err
	}
	s.Name, s.Time, s.Left, s.Error = name, t.Time, t.Left, ""
	s.V4, s.V6 = t.Counts()
	s.Read = time.Now().UTC()
	k.sources[name], k.tables[name] = s, t
	k.merged, k.used = nil, ""
	return k.writeStatus()
}

// writeStatus writes how the sources stand. The caller holds mu.
func (k *Keeper) writeStatus() error {
	if err := os.MkdirAll(k.config.Dir, 0o700); err != nil {
		return fault.Wrap(err, "couldn't make %s", k.config.Dir)
	}
	list := slices.SortedFunc(maps.Values(k.sources), func(a, b *SourceStatus) int { return cmp.Compare(a.Name, b.Name) })
	return replace(k.statusPath(), func(out io.Writer) error { return json.NewEncoder(out).Encode(list) })
}

// replace writes a file beside another, and puts it in its place.
func replace(path string, write func(io.Writer) error) error {
	next := path + ".new"
	file, err := os.OpenFile(next, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err == nil {
		err = write(file)
		err = errors.Join(err, file.Sync(), file.Close())
	}
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		_ = os.Remove(next) // it is of no use
		return fault.Wrap(err, "couldn't write %s", path)
	}
	return nil
}

// Run reads each source when it is due, until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	k.Load()
	(&due.Poller{
		Names: func() []string { return k.config.Sources }, Backoff: usualBackoff, Call: k.Refresh, News: k.news,
		Due: func(name string, begun time.Time, _ bool) time.Time {
			k.mu.Lock()
			defer k.mu.Unlock()
			switch s := k.sources[name]; {
			case s == nil || s.Read.After(time.Now()):
				return time.Now() // it was never read, is forgotten, or the clock was wrong
			case s.Read.After(begun):
				return s.Read.Add(k.config.Every)
			}
			return begun.Add(k.config.Every)
		},
	}).Run(ctx)
}

// Refresh reads a source now. If it fails what was there stays, and the source's status says why.
func (k *Keeper) Refresh(ctx context.Context, name string) error {
	k.mu.Lock()
	k.load()
	was := SourceStatus{Name: name}
	if s := k.sources[name]; s != nil {
		was = *s
	}
	k.mu.Unlock()
	t, now, err := k.read(ctx, was)
	k.mu.Lock()
	defer k.mu.Unlock()
	switch old := k.tables[name]; {
	case err != nil:
	case t == nil: // unchanged
		was.Read, was.Error = time.Now().UTC(), ""
		k.sources[name] = &was
		return k.writeStatus()
	case t.Len()*2 < old.Len():
		err = fault.New(fault.Invalid, "it has %d announcements, and had %d: less than half is not believed; use 'cadastre routes forget %s' if it is true", t.Len(), old.Len(), name)
	default:
		err = k.take(name, t, &now)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	k.config.Log.Warn("a source of announcements can't be read; what it said last is kept, and it is tried again", "source", name, "error", err)
	was.Error = err.Error()
	k.sources[name] = &was
	return errors.Join(err, k.writeStatus())
}

// read reads a source. The table is nil where nothing changed.
func (k *Keeper) read(ctx context.Context, was SourceStatus) (t *Table, now SourceStatus, err error) {
	if !strings.HasPrefix(was.Name, "https://") {
		file, err := os.Open(was.Name)
		if err != nil {
			return nil, now, fault.Wrap(err, "couldn't read the announcements")
		}
		defer func() { _ = file.Close() }() // it is only read
		info, err := file.Stat()
		if err != nil {
			return nil, now, fault.Wrap(err, "couldn't read the announcements")
		}
		now.Modified = info.ModTime().UTC()
		if now.Modified.Equal(was.Modified) {
			return nil, was, nil
		}
		t, err = Read(was.Name, file, now.Modified)
		return t, now, err
	}
	began := time.Now().UTC().Truncate(time.Second)
	changed, validators, err := relying.Fetch(ctx, was.Name, k.roots, was.Validators, mostFetched, longest, func(in io.Reader) error {
		t, err = Read(was.Name, in, began)
		return err
	})
	if err != nil || !changed {
		return nil, was, err
	}
	now.Validators = validators
	return t, now, nil
}
