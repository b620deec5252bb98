package relying

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"cadastre/internal/fault"
)

// rsyncer copies rsync modules into the cache with the rsync program. The copy is of the module's root, since one
// connection for all CAs of a server costs it less than one for each.
type rsyncer struct {
	program string
	dir     string
	limits  Limits
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
func (r *rsyncer) folder(module string) string { return filepath.Join(r.dir, cacheName(module)) }

// copied tells whether a module was ever copied to its end. The file that says so is beside the copy.
func (r *rsyncer) copied(module string) bool {
	_, err := os.Stat(r.folder(module) + ".copied")
	return err == nil
}

// module copies a module, or with offline only looks at the copy that is there. The result reads from the copy, which
// may be an old one, or none, where the error is not nil.
func (r *rsyncer) module(ctx context.Context, module string, offline bool) (moduleCopy, error) {
	m := moduleCopy{module, r.folder(module)}
	if offline {
		if !r.copied(module) {
			return m, fault.New(fault.NotFound, "nothing is cached of %s", module)
		}
		return m, nil
	}
	if err := os.MkdirAll(m.folder, 0o755); err != nil {
		return m, fault.Wrap(err, "the cache cannot be written")
	}
	err := r.run(ctx, "--recursive", "--delete", "--prune-empty-dirs",
		"--include=*/", "--include=*.cer", "--include=*.crl", "--include=*.mft", "--include=*.roa", "--include=*.asa",
		"--include=*.gbr", "--include=*.tak", "--include=*.spl", "--exclude=*", "--", module, m.folder+"/")
	if err != nil {
		return m, err
	}
	return m, writeFile(m.folder+".copied", []byte(module+"\n"))
}

// file fetches one file, such as a trust anchor's certificate.
func (r *rsyncer) file(ctx context.Context, uri string) ([]byte, error) {
	if _, _, ok := splitModule(uri); !ok {
		return nil, fault.New(fault.Invalid, "%.120q is no rsync URI of a file", uri)
	}
	folder, err := os.MkdirTemp("", "cadastre-rsync-")
	if err != nil {
		return nil, fault.Wrap(err, "no folder can be made to fetch %s into", uri)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "file")
	if err := r.run(ctx, "--", uri, path); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	return data, fault.Wrap(err, "%s was not fetched", uri)
}

// run runs rsync with the options that all calls share. A file of the same size and modification time is taken as
// unchanged, as all relying parties do; RFC 9589 has repositories set the time so that this holds. Links and devices are not copied: without --links and
// --devices rsync leaves them out.
func (r *rsyncer) run(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, r.limits.Repository)
	defer cancel()
	shared := []string{
		"--no-motd", "--times", "--omit-dir-times",
		"--contimeout=" + strconv.Itoa(max(1, int(r.limits.Connect.Seconds()))),
		"--timeout=" + strconv.Itoa(max(1, int(r.limits.Stall.Seconds()))),
		"--max-size=" + strconv.Itoa(r.limits.Object),
	}
	command := exec.CommandContext(ctx, r.program, append(shared, args...)...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	if err := command.Run(); err != nil {
		source := args[len(args)-2]
		if said := strings.TrimSpace(stderr.String()); said != "" {
			first, _, _ := strings.Cut(said, "\n")
			return fault.New(fault.Unreachable, "%s cannot be copied: %w: %.200s", source, err, first)
		}
		return fault.New(fault.Unreachable, "%s cannot be copied: %w", source, err)
	}
	return nil
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
