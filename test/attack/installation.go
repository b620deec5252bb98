package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"cadastre/test/internal/localtls"
	"cadastre/test/internal/process"
)

// installation is one installation of Cadastre: a data directory and its daemon.
type installation struct {
	program string
	dir     string
	tls     *localtls.Authority
	https   int      // port
	rsync   int      // port
	metrics int      // port
	launch  []string // what the daemon is started by, such as prlimit and its flags
	flags   []string // of serve
	env     []string
	daemon  *process.Child
}

const (
	tree = "[[organisation]]\nhandle = \"iana\"\nkind = \"root\"\n\n" +
		"[[organisation]]\nhandle = \"north\"\nkind = \"rir\"\nparent = \"iana\"\n\n" +
		"[[organisation]]\nhandle = \"south\"\nkind = \"rir\"\nparent = \"iana\"\n"
	passphrase = "of the attacked" // looked for where it must not be
	p256       = "p-256"           // keys that cost nothing, where no validator of others looks
	rsa2048    = "rsa-2048"
)

// holders are those below north, each with a /16 of its own and an AS number: holder i has 102.(16+i).0.0/16 and AS37100+i. The
// last are attackers, who have no ROAs: each has shares of its own.
var holders = []string{"baobab", "acacia", "marula", "kamba", "mallory", "boswellia", "sausage", "fever", "eve", "oscar", "trudy"}

func blockOf(i int) string { return fmt.Sprintf("102.%d.0.0/16", 16+i) }

// registryFile is the delegated-extended file of north.
func registryFile() string {
	var b strings.Builder
	n := len(holders)
	fmt.Fprintf(&b, "2|north|20261101|%d|20040101|20261101|+0000\nnorth|*|asn|*|%d|summary\nnorth|*|ipv4|*|%d|summary\nnorth|*|ipv6|*|0|summary\n", 2*n, n, n)
	for i, name := range holders {
		fmt.Fprintf(&b, "north|ZA|asn|%d|1|20100301|allocated|%s\nnorth|ZA|ipv4|102.%d.0.0|65536|20170301|allocated|%s\n", 37100+i, name, 16+i, name)
	}
	return b.String()
}

// found makes an installation with the registries north and south, north's holders, and a ROA of each that is not elsewhere.
func (r *run) found(ctx context.Context, dir, algorithm string) (*installation, error) {
	h := &installation{program: r.cadastre, dir: dir, tls: r.tls}
	ports, err := process.FreePorts(3)
	if err != nil {
		return nil, err
	}
	h.https, h.rsync, h.metrics = ports[0], ports[1], ports[2]
	r.installations = append(r.installations, h)
	var roas strings.Builder
	roas.WriteString("prefix,origin,maxlength\n")
	for i, name := range holders {
		if !slices.Contains([]string{"kamba", "mallory", "eve", "oscar", "trudy"}, name) {
			fmt.Fprintf(&roas, "%s,AS%d,\n", blockOf(i), 37100+i)
		}
	}
	err = errors.Join(
		os.MkdirAll(dir, 0o755), // read by programs that are not root
		os.WriteFile(h.path("passphrase"), []byte(passphrase+"\n"), 0o600),
		os.WriteFile(h.path("tree.toml"), []byte(tree), 0o600),
		os.WriteFile(h.path("delegated-north"), []byte(registryFile()), 0o600),
		os.WriteFile(h.path("roas.csv"), []byte(roas.String()), 0o600),
	)
	if err != nil {
		return nil, err
	}
	err = h.tell(ctx, "init", "--tree", h.path("tree.toml"), "--passphrase-file", h.path("passphrase"), "--algorithm", algorithm,
		"--https-port", strconv.Itoa(h.https), "--rsync-port", strconv.Itoa(h.rsync), "--metrics", fmt.Sprintf("127.0.0.1:%d", h.metrics))
	if err != nil {
		return nil, err
	}
	if err := h.configure(); err != nil {
		return nil, err
	}
	for _, args := range [][]string{
		{"holdings", "delegate", "--to", "south", "190.96.0.0/12"},
		{"holdings", "import", h.path("delegated-north")},
		{"roa", "import", h.path("roas.csv")},
	} {
		if err := h.tell(ctx, args...); err != nil {
			return nil, err
		}
	}
	tal, err := h.ask(ctx, "tal")
	if err != nil {
		return nil, err
	}
	return h, os.WriteFile(h.tal(), tal, 0o644) // for programs that are not root
}

// configure changes what init wrote: the TLS certificate that all daemons of the run have, and what takes hours.
func (h *installation) configure() error {
	certificate, key, err := h.tls.Give(h.path("tls"))
	if err != nil {
		return err
	}
	return process.Configure(h.data(), map[string]any{"certificate": certificate, "key": key}, map[string]any{"notice": "5s", "soak": "5s", "pool": 64})
}

// foundAndServe makes an installation and starts its daemon.
func (r *run) foundAndServe(ctx context.Context, dir, algorithm string) (*installation, error) {
	h, err := r.found(ctx, dir, algorithm)
	if err == nil {
		err = h.serve(ctx)
	}
	if err == nil {
		err = h.settle(ctx)
	}
	return h, err
}

// serve starts the daemon and waits until it serves.
func (h *installation) serve(ctx context.Context) (err error) {
	words := append([]string{}, h.launch...)
	words = append(words, h.program, "serve", "--data", h.data(), "--passphrase-file", h.path("passphrase"))
	words = append(words, h.flags...)
	if h.daemon, err = process.StartLogged(h.log(), h.env, words[0], words[1:]...); err != nil {
		return err
	}
	// a command would work on the data directory itself as long as the daemon does not have it
	err = h.daemon.Answers(ctx, time.Minute, filepath.Join(h.data(), "cadastre.sock"))
	if err != nil {
		return fmt.Errorf("the daemon does not serve: %w; it says: %s", err, h.lastWords())
	}
	return nil
}

func (h *installation) path(name string) string { return filepath.Join(h.dir, name) }
func (h *installation) data() string            { return h.path("data") }
func (h *installation) tal() string             { return h.path("cadastre.tal") }
func (h *installation) log() string             { return h.path("serve.log") }
func (h *installation) end()                    { h.daemon.End() }

// url is where the daemon serves a path.
func (h *installation) url(path string) string {
	return fmt.Sprintf("https://localhost:%d/%s", h.https, path)
}

// module is the rsync URI below which a registry publishes.
func (h *installation) module(registry string) string {
	return fmt.Sprintf("rsync://localhost:%d/%s/", h.rsync, registry)
}

// ask runs one command on the data directory, or through its daemon, and returns what it prints.
func (h *installation) ask(ctx context.Context, args ...string) ([]byte, error) {
	return process.Soon(ctx, nil, h.program, append(args, "--data", h.data())...)
}

// tell is ask where nothing that is printed matters.
func (h *installation) tell(ctx context.Context, args ...string) error {
	_, err := h.ask(ctx, args...)
	return err
}

// askJSON runs a command and reads its answer as JSON.
func (h *installation) askJSON(ctx context.Context, answer any, args ...string) error {
	return process.JSON(ctx, nil, answer, h.program, append(args, "-o", "json", "--data", h.data())...)
}

// settle waits until every decision so far is published.
func (h *installation) settle(ctx context.Context) error { return h.tell(ctx, "status", "--wait") }

// vrps is what 'cadastre vrps' says that every validator must print.
func (h *installation) vrps(ctx context.Context) ([]string, error) {
	text, err := h.ask(ctx, "vrps")
	return strings.Fields(string(text)), err
}

// status is what this program reads of 'cadastre status'.
type status struct {
	Frozen       string `json:"frozen"`
	Authorities  int    `json:"authorities"`
	Repositories map[string]struct {
		Serial  uint64 `json:"serial"`
		Objects int    `json:"objects"`
	} `json:"repositories"`
}

func (h *installation) status(ctx context.Context) (s status, err error) {
	return s, h.askJSON(ctx, &s, "status")
}

// exitOf is how a command ended, and what it said.
func exitOf(err error) (status int, said string) {
	var failed *process.Exit
	switch {
	case err == nil:
		return 0, ""
	case errors.As(err, &failed):
		return failed.Status, failed.Stderr + failed.Stdout
	}
	return -1, err.Error()
}

// refused is an error unless a command ended with one of some statuses and one clear sentence.
func refused(err error, statuses ...int) error {
	status, said := exitOf(err)
	for _, s := range statuses {
		if s == status {
			if strings.Contains(said, "panic") || strings.Contains(said, "goroutine ") {
				return fmt.Errorf("it ended with %d and a trace: %.200s", status, said)
			}
			return nil
		}
	}
	return fmt.Errorf("it ended with %d and not with one of %v: %.300s", status, statuses, said)
}

// lastWords is the end of the daemon's log.
func (h *installation) lastWords() string {
	text, err := os.ReadFile(h.log())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " | ")
}

// size is how many octets the files of the data directory take on the disk, each once under whatever names.
func (h *installation) size() (total int64) {
	counted := map[uint64]bool{}
	_ = filepath.WalkDir(h.data(), func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // it was removed meanwhile
		}
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() {
			return nil //nolint:nilerr // the same
		}
		if file, ok := info.Sys().(*syscall.Stat_t); ok && !counted[file.Ino] {
			counted[file.Ino] = true
			total += file.Blocks * 512
		}
		return nil
	})
	return total
}

// soon runs a program whose end is not far.
func soon(ctx context.Context, name string, args ...string) ([]byte, error) {
	return process.Soon(ctx, nil, name, args...)
}
