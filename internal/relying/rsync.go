package relying

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cadastre/internal/fault"
)

// rsyncer copies rsync modules into the cache with the rsync program. The copy is of the module's root, since one
// connection for all CAs of a server costs it less than one for each.
type rsyncer struct {
	program  string
	dir      string
	limits   Limits
	accounts *accounts
}

// splitModule splits rsync://host/module/path into rsync://host/module/ and path. It is false where uri has no module
// or a path that could lead out of a folder.
func splitModule(uri string) (module, path string, ok bool) {
	rest, ok := strings.CutPrefix(uri, "rsync://")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) < 3 || strings.HasPrefix(parts[0], "-") {
		return "", "", false
	}
	for i, part := range parts {
		last := i == len(parts)-1 // may be empty: a folder
		if part == "." || part == ".." || part == "" && !last || strings.ContainsAny(part, "\x00\\") {
			return "", "", false
		}
	}
	return "rsync://" + parts[0] + "/" + parts[1] + "/", strings.Join(parts[2:], "/"), true
}

// folder is where the copy of a module is.
func (r *rsyncer) folder(module string) string { return filepath.Join(r.dir, Folder(module)) }

// copied tells whether a module was ever copied to its end. The file that says so is beside the copy.
func (r *rsyncer) copied(module string) bool {
	_, err := os.Stat(r.folder(module) + ".copied")
	return err == nil
}

// module copies a module, or with offline only looks at the copy that is there. The result reads from the copy, which
// may be an old one, or none, where the error is not nil.
func (r *rsyncer) module(ctx context.Context, who account, module string, offline bool) (moduleCopy, error) {
	m := moduleCopy{module, r.folder(module)}
	if offline {
		if !r.copied(module) {
			return m, fault.New(fault.NotFound, "nothing is cached of %s", module)
		}
		return m, nil
	}
	if err := r.accounts.charge(who, Share{Repositories: 1}); err != nil {
		return m, err
	}
	if err := os.MkdirAll(m.folder, 0o755); err != nil {
		return m, fault.Wrap(err, "the cache cannot be written")
	}
	err := r.run(ctx, who, "--recursive", "--delete", "--prune-empty-dirs",
		"--include=*/", "--include=*.cer", "--include=*.crl", "--include=*.mft", "--include=*.roa", "--include=*.asa",
		"--include=*.gbr", "--include=*.tak", "--include=*.spl", "--exclude=*", "--", module, m.folder+"/")
	if err != nil {
		return m, err
	}
	return m, writeFile(m.folder+".copied", []byte(module+"\n"))
}

// file fetches one file, such as a trust anchor's certificate.
func (r *rsyncer) file(ctx context.Context, who account, uri string) ([]byte, error) {
	if _, _, ok := splitModule(uri); !ok {
		return nil, fault.New(fault.Invalid, "%.120q is no rsync URI of a file", uri)
	}
	folder, err := os.MkdirTemp(r.dir, "file-")
	if err != nil {
		return nil, fault.Wrap(err, "no folder can be made to fetch %s into", uri)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "file")
	if err := r.run(ctx, who, "--", uri, path); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	return data, fault.Wrap(err, "%s was not fetched", uri)
}

// run runs rsync with the options that all calls share. A file of the same size and modification time is taken as
// unchanged, as all relying parties do; RFC 9589 has repositories set the time so that this holds. Links and devices are not
// copied: without --links and --devices rsync leaves them out. rsync gets nothing in its environment. It prints the
// length of each file before it fetches it: once that is more than the account has left, rsync is ended.
func (r *rsyncer) run(ctx context.Context, who account, args ...string) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ctx, cancel := context.WithDeadlineCause(ctx, r.accounts.deadline(who), errSlow)
	defer cancel()
	shared := []string{
		"--no-motd", "--times", "--omit-dir-times", "--outbuf=L", "--out-format=%l",
		"--contimeout=" + strconv.Itoa(max(1, int(r.limits.Connect.Seconds()))),
		"--timeout=" + strconv.Itoa(max(1, int(r.limits.Stall.Seconds()))),
		"--max-size=" + strconv.Itoa(r.limits.Object),
	}
	command := exec.CommandContext(ctx, r.program, append(shared, args...)...)
	command.Env = []string{}
	command.WaitDelay = 5 * time.Second
	stderr := &firstOctets{most: 4 << 10}
	command.Stderr = stderr
	command.Stdout = &lengths{charge: func(octets int64) error {
		err := r.accounts.charge(who, Share{Fetched: octets, Unpacked: octets, Objects: 1})
		if err != nil {
			stop(err)
		}
		return err
	}}
	err := command.Start()
	if err == nil {
		// No file is longer than an object may be, whatever the server sends in the place of what it announced.
		size := uint64(r.limits.Object)
		_ = unix.Prlimit(command.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: size}, nil)
		err = command.Wait()
	}
	if err == nil {
		return nil
	}
	source := args[len(args)-2]
	if cause := context.Cause(ctx); cause != nil {
		return fault.New(fault.Unreachable, "%s cannot be copied: %w", source, cause)
	}
	if said := strings.TrimSpace(stderr.kept.String()); said != "" {
		first, _, _ := strings.Cut(said, "\n")
		return fault.New(fault.Unreachable, "%s cannot be copied: %w: %.200s", source, err, first)
	}
	return fault.New(fault.Unreachable, "%s cannot be copied: %w", source, err)
}

// firstOctets keeps the first of what is written to it.
type firstOctets struct {
	kept bytes.Buffer
	most int
}

func (f *firstOctets) Write(p []byte) (int, error) {
	if left := f.most - f.kept.Len(); left > 0 {
		f.kept.Write(p[:min(left, len(p))])
	}
	return len(p), nil
}

// lengths reads lines of a number each, and charges it. Other lines, such as those that name what was deleted, count for nothing.
type lengths struct {
	line   int64
	words  bool // the line is no number
	charge func(octets int64) error
}

func (l *lengths) Write(p []byte) (int, error) {
	for _, b := range p {
		switch {
		case b == '\n':
			octets, words := l.line, l.words
			l.line, l.words = 0, false
			if words {
				continue
			}
			if err := l.charge(octets); err != nil {
				return 0, err
			}
		case b >= '0' && b <= '9':
			if l.line < 1<<50 {
				l.line = 10*l.line + int64(b-'0')
			}
		case b != ',': // between thousands
			l.words = true
		}
	}
	return len(p), nil
}

// moduleCopy is the copy of one rsync module.
type moduleCopy struct{ module, folder string }

// Get is the object at an rsync URI of this module.
func (m moduleCopy) Get(uri string) ([]byte, bool) {
	module, path, ok := splitModule(uri)
	if !ok || module != m.module {
		return nil, false
	}
	data, err := os.ReadFile(filepath.Join(m.folder, filepath.FromSlash(path)))
	return data, err == nil
}
