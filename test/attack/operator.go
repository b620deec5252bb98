package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"cadastre/internal/setup"
	"cadastre/test/internal/brake"
)

// bulking hands the daemon compressed files of millions of rows.
func bulking(ctx context.Context, s *stage) (string, error) {
	const rows = 4_000_000
	files := []struct{ name, head, row string }{
		{"roas.csv.gz", "prefix,origin,maxlength\n", "102.16.0.0/24,AS37100,24\n"},
		{"delegated-north.gz", fmt.Sprintf("2|north|20261101|%d|20040101|20261101|+0000\nnorth|*|asn|*|0|summary\nnorth|*|ipv4|*|%d|summary\nnorth|*|ipv6|*|0|summary\n", rows, rows), "north|ZA|ipv4|102.16.0.0|256|20170301|allocated|baobab\n"},
	}
	var errs []error
	var sizes []string
	for _, f := range files {
		path := s.path(f.name)
		if err := writeRows(path, f.head, f.row, rows); err != nil {
			return "", err
		}
		args := []string{"roa", "import", path}
		if strings.HasPrefix(f.name, "delegated") {
			args = []string{"holdings", "import", path}
		}
		if err := refused(s.tell(ctx, append(args, "--dry-run")...), 2); err != nil {
			errs = append(errs, fmt.Errorf("%s of %d rows: %w", f.name, rows, err))
		}
		if info, err := os.Stat(path); err == nil {
			sizes = append(sizes, fmt.Sprintf("%s of %d kB", f.name, info.Size()>>10))
		}
	}
	return strings.Join(sizes, ", "), errors.Join(errs...)
}

func writeRows(path, head, row string, n int) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	packed := gzip.NewWriter(file)
	buffered := bufio.NewWriterSize(packed, 1<<20)
	_, _ = buffered.WriteString(head) // Flush says what is wrong
	for range n {
		_, _ = buffered.WriteString(row)
	}
	return errors.Join(buffered.Flush(), packed.Close(), file.Close())
}

// nibbling removes ROAs one by one, each far below what the brake holds.
func nibbling(ctx context.Context, r *run, dir string) (string, error) {
	h, err := r.found(ctx, dir, p256)
	if err != nil {
		return "", err
	}
	var rows strings.Builder
	rows.WriteString("prefix,origin,maxlength\n")
	for i := range 250 {
		fmt.Fprintf(&rows, "102.20.%d.0/24,AS37100,\n", i)
	}
	if err := os.WriteFile(h.path("many.csv"), []byte(rows.String()), 0o600); err != nil {
		return "", err
	}
	if err := errors.Join(h.tell(ctx, "roa", "import", h.path("many.csv")), h.serve(ctx), h.settle(ctx)); err != nil {
		return "", err
	}
	removed, kept := 0, ""
	for i := range 40 {
		err := h.tell(ctx, "roa", "remove", fmt.Sprintf("102.20.%d.0/24", i), "AS37100", "24")
		if brake.Holds(err) {
			kept = brake.Code(err)
			break
		} else if err != nil {
			return "", err
		}
		removed++
	}
	figures := fmt.Sprintf("%d of 256 ROAs removed one by one before it was held", removed)
	switch {
	case kept == "" && removed == 40:
		return "", errors.New("40 of 256 ROAs were removed one by one, and the brake, which holds 1 %, held none")
	case removed > 12: // 1 %, or ten where there are few
		return "", errors.New(figures)
	}
	return figures, nil
}

// guessing tries to find the code from what would be lost.
func guessing(ctx context.Context, r *run, dir string) (string, error) {
	codes := map[string]bool{}
	for _, name := range []string{"one", "two"} {
		h, err := r.found(ctx, filepath.Join(dir, name), p256)
		if err != nil {
			return "", err
		}
		err = h.tell(ctx, "holdings", "revoke", "--holder", "north/baobab", "102.16.0.0/16")
		status, said := exitOf(err)
		code := brake.Code(err)
		if code == "" {
			return "", fmt.Errorf("it ended with %d: %.200s", status, said)
		}
		codes[code] = true
	}
	if len(codes) != 2 {
		return "", errors.New("two installations have one code for one plan: it is reckoned from what would be lost alone")
	}
	return "", nil
}

// folders is what init and the high-water mark do with what somebody else put in their way.
func folders(ctx context.Context, r *run, dir string) (string, error) {
	h, err := r.found(ctx, filepath.Join(dir, "installation"), p256)
	if err != nil {
		return "", err
	}
	var errs []error
	// a link in place of the file that the mark is written to
	victim := filepath.Join(dir, "victim")
	link := h.data() + ".highwater.new"
	_ = os.Remove(link)
	if err := errors.Join(os.WriteFile(victim, []byte("mine"), 0o600), os.Symlink(victim, link)); err != nil {
		return "", err
	}
	_ = h.tell(ctx, "serve", "--once", "--passphrase-file", h.path("passphrase")) // it may refuse
	if text, err := os.ReadFile(victim); err != nil || string(text) != "mine" {
		errs = append(errs, fmt.Errorf("what a symbolic link at DIR.highwater.new points to was overwritten: %.60q, %w", text, err))
	}
	_ = os.Remove(link)
	if err := h.tell(ctx, "serve", "--once", "--passphrase-file", h.path("passphrase")); err != nil {
		errs = append(errs, err)
	}
	// a folder into which everybody may write
	open := filepath.Join(dir, "open")
	if err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o777)); err != nil {
		return "", err
	}
	initialise := func(tree, data string) error {
		_, err := h.command(ctx, "init", "--tree", tree, "--passphrase-file", h.path("passphrase"), "--algorithm", p256, "--data", data)
		return err
	}
	if err := refused(initialise(h.path("tree.toml"), open), 2, 4, 8); err != nil {
		errs = append(errs, fmt.Errorf("init in a folder of mode 0777: %w", err))
	}
	// handles that are paths
	for i, handle := range []string{"a/../../../zz/esc", "/etc/esc", "a//b", "a\\u001b[31m", "..", strings.Repeat("x", 400)} {
		path := filepath.Join(dir, fmt.Sprintf("tree-%d.toml", i))
		text := fmt.Sprintf("[[organisation]]\nhandle = \"iana\"\nkind = \"root\"\n\n[[organisation]]\nhandle = \"%s\"\nkind = \"rir\"\nparent = \"iana\"\n", handle)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", err
		}
		if err := refused(initialise(path, filepath.Join(dir, "deep", "er", strconv.Itoa(i), "data")), 2); err != nil {
			errs = append(errs, fmt.Errorf("a registry %.40q: %w", handle, err))
		}
	}
	for _, path := range []string{filepath.Join(dir, "zz"), filepath.Join(dir, "esc"), filepath.Join(dir, "deep", "zz"), "/etc/esc"} {
		if _, err := os.Lstat(path); err == nil {
			errs = append(errs, fmt.Errorf("%s was made", path))
		}
	}
	return "", errors.Join(errs...)
}

// command is ask without the data directory.
func (h *installation) command(ctx context.Context, args ...string) ([]byte, error) {
	return soon(ctx, h.program, args...)
}

// speaking has words from outside with control characters in them, and looks at what is printed.
func speaking(ctx context.Context, r *run, dir string) (string, error) {
	h, err := r.foundAndServe(ctx, dir, p256)
	if err != nil {
		return "", err
	}
	evil := "x\x1b[2J\x1b]0;owned\a\r\ny\u202ez\u0085"
	_ = h.tell(ctx, "organisations", "add", "evil", "--parent", "north", "--name", evil) // it may refuse
	_ = h.tell(ctx, "roa", "add", "102.16.1.0/24", "AS37100", "24", "--reason", evil, "--actor", evil)
	_ = h.tell(ctx, "holdings", "delegate", "--to", "north/evil", "102.41.0.0/24", "--name", evil, "--ground", evil)
	_ = h.tell(ctx, "transfer", "initiate", "--from", "north/baobab", "--to", "north/acacia", "102.16.1.0/24", "--reason", evil)
	_ = h.tell(ctx, "transfer", "dispute", "1", "--reason", evil)
	id, err := newIdentity()
	if err != nil {
		return "", err
	}
	_, _ = h.introduce(ctx, "child", (&setup.ChildRequest{ChildHandle: "child", Tag: evil, TrustAnchor: id.certificate}).XML(), "children", "add", "north/acacia")
	var errs []error
	commands := 0
	for _, words := range []string{
		"organisations add bad --parent north --name " + "x", "status", "holdings list", "roa list", "decisions", "children list", "publishers list", "transfer list", "transfer show 1", "registries list",
		"holdings history 102.16.1.0/24", "policy show",
	} {
		text, err := h.ask(ctx, strings.Fields(words)...)
		_, said := exitOf(err)
		commands++
		if at := strings.IndexFunc(string(text)+said, isControl); at >= 0 {
			errs = append(errs, fmt.Errorf("'%s' prints %q", words, around(string(text)+said, at)))
		}
	}
	log, err := os.ReadFile(h.log())
	if err != nil {
		return "", err
	}
	if at := strings.IndexFunc(string(log), isControl); at >= 0 {
		errs = append(errs, fmt.Errorf("the log has %q", around(string(log), at)))
	}
	return fmt.Sprintf("%d commands and the log", commands), errors.Join(errs...)
}

// isControl tells whether a terminal would do something at a rune, other than begin a line or advance.
func isControl(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == 0x202e || r == 0x2066
}

func around(text string, at int) string { return text[max(0, at-10):min(len(text), at+20)] }

// secrets looks for passphrases where other programs could read them, and at what a crash would leave.
func secrets(ctx context.Context, r *run, dir string) (string, error) {
	h, err := r.found(ctx, dir, p256)
	if err != nil {
		return "", err
	}
	h.env = []string{"CADASTRE_PASSPHRASE=" + passphrase, "CADASTRE_ANCHOR_PASSPHRASE=" + passphrase}
	if err := errors.Join(h.serve(ctx), h.settle(ctx)); err != nil {
		return "", err
	}
	stop := make(chan struct{})
	defer close(stop)
	// a reader of rsync, so that rsyncd has a child
	if _, err := soon(ctx, "rsync", h.module("north")); err != nil {
		return "", err
	}
	var errs []error
	children, err := descendants(h.daemon.PID())
	if err != nil {
		return "", err
	}
	for _, pid := range children {
		for _, name := range []string{"environ", "cmdline"} {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
			if err == nil && strings.Contains(string(text), passphrase) {
				command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
				errs = append(errs, fmt.Errorf("the passphrase is in the %s of %s", name, strings.TrimSpace(string(command))))
			}
		}
	}
	if len(children) == 0 {
		errs = append(errs, errors.New("the daemon has no children: there was nothing to look at"))
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", h.daemon.PID()))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(limits)) {
		if rest, ours := strings.CutPrefix(line, "Max core file size"); ours {
			if fields := strings.Fields(rest); fields[0] != "0" {
				errs = append(errs, fmt.Errorf("a crash would leave a core of up to %s octets", fields[0]))
			}
		}
	}
	log, err := os.ReadFile(h.log())
	if err == nil && strings.Contains(string(log), passphrase) {
		err = errors.New("the passphrase is in the log")
	}
	return fmt.Sprintf("%d children of the daemon", len(children)), errors.Join(append(errs, err)...)
}

// descendants are the processes that a process started, and theirs.
func descendants(pid int) (all []int, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil, err
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		for word := range strings.FieldsSeq(string(text)) {
			child, err := strconv.Atoi(word)
			if err != nil {
				return nil, err
			}
			below, err := descendants(child)
			if err != nil {
				return nil, err
			}
			all = append(append(all, child), below...)
		}
	}
	return all, nil
}

// complaining has the rsync tree fail, and counts what the log says of it.
func complaining(ctx context.Context, r *run, dir string) (string, error) {
	h, err := r.foundAndServe(ctx, dir, p256)
	if err != nil {
		return "", err
	}
	tree := filepath.Join(h.data(), "rsync", "north")
	if err := os.RemoveAll(tree); err != nil { // the folder itself, too: nothing can be made in it
		return "", err
	}
	before := lines(h.log())
	if err := h.tell(ctx, "roa", "add", "102.16.1.0/24", "AS37100", "24"); err != nil {
		return "", err
	}
	if err := pause(ctx, 8*time.Second); err != nil {
		return "", err
	}
	said := lines(h.log()) - before
	figures := fmt.Sprintf("%d lines in 8 s", said)
	switch {
	case said == 0:
		err = errors.New("the log says nothing of a tree that cannot be published")
	case said > 6:
		err = errors.New(figures)
	}
	return figures, err
}

func lines(path string) int {
	file, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer file.Close()
	n := 0
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		n++
	}
	return n
}

// starving takes all connections of a daemon with few file descriptors.
func starving(ctx context.Context, r *run, dir string) (string, error) {
	h, err := r.found(ctx, dir, p256)
	if err != nil {
		return "", err
	}
	h.launch = []string{"prlimit", "--nofile=128"}
	if err := errors.Join(h.serve(ctx), h.settle(ctx)); err != nil {
		return "", err
	}
	var holds []*hold
	defer func() { closeAll(holds) }()
	body := "POST /rfc6492/nobody HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 160 {
		all.Go(func() {
			short, cancel := context.WithTimeout(ctx, 3*time.Second)
			defer cancel()
			held, err := h.holdTLS(short, 2+i%60, "a body", body)
			if err != nil {
				return // it takes no more
			}
			mu.Lock()
			defer mu.Unlock()
			holds = append(holds, held)
		})
	}
	all.Wait()
	var errs []error
	// what is reserved works while strangers wait
	if err := h.tell(ctx, "roa", "add", "102.16.1.0/24", "AS37100", "24"); err != nil {
		errs = append(errs, fmt.Errorf("the operator: %w", err))
	}
	if err := h.settle(ctx); err != nil {
		errs = append(errs, fmt.Errorf("the signer: %w", err))
	}
	if _, err := soon(ctx, "rsync", h.module("north")); err != nil {
		errs = append(errs, fmt.Errorf("rsync: %w", err))
	}
	began := time.Now()
	for {
		a, err := get(ctx, h.tls.Client, h.url("rrdp/north/notification.xml"))
		if err == nil && a.status == 200 {
			break
		}
		if time.Since(began) > heldFor {
			errs = append(errs, fmt.Errorf("RRDP, %.0f s later: %w", time.Since(began).Seconds(), orTaken(err)))
			break
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d connections; RRDP is served after %.0f s", len(holds), time.Since(began).Seconds()), errors.Join(errs...)
}
