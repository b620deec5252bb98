package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"cadastre/test/internal/localtls"
	"cadastre/test/internal/process"
)

const newest = "rpki-client-newest"

// validator is the newest rpki-client, with a cache of its own below a trust anchor.
type validator struct {
	program string
	tal     string
	tls     *localtls.Authority
	dir     string
}

// newValidator is nil, with the reason, where there is no rpki-client or it cannot be run.
func (r *run) newValidator(h *installation, dir string) (v *validator, why string, err error) {
	program := filepath.Join(r.rpHome, newest)
	if _, err := os.Stat(program); errors.Is(err, fs.ErrNotExist) {
		return nil, "there is no " + program, nil
	}
	v = &validator{program, h.tal(), r.tls, dir}
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "data"), 0o755), os.MkdirAll(filepath.Join(dir, "out"), 0o755)); err != nil { // read by others
		return nil, "", err
	}
	if os.Geteuid() != 0 {
		return v, "", nil
	}
	// as root it becomes a user of its own, which must own what it writes
	own, err := user.Lookup("_rpki-client")
	if err != nil {
		return nil, "there is no user _rpki-client", nil //nolint:nilerr // that is the reason
	}
	uid, err1 := strconv.Atoi(own.Uid)
	gid, err2 := strconv.Atoi(own.Gid)
	err = errors.Join(err1, err2)
	for _, name := range []string{"", "data", "out"} {
		err = errors.Join(err, os.Chown(filepath.Join(dir, name), uid, gid))
	}
	return v, "", err
}

// sound are sums of rpki-client when there was nothing to say against what it found. What CAs of attackers do not publish it counts
// among the manifests.
var sound = []*regexp.Regexp{
	regexp.MustCompile(`(?m)^Route Origin Authorizations: \d+ \(0 failed parse, 0 invalid\)$`),
	regexp.MustCompile(`(?m)^Certificates: \d+ \(0 invalid,`),
}

// look has it look once, and returns the VRPs that it prints, in order.
func (v *validator) look(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	log, err := process.Output(ctx, []string{"SSL_CERT_FILE=" + v.tls.Roots}, "/bin/sh", "-c", `exec "$0" "$@" 2>&1`,
		v.program, "-v", "-j", "-t", v.tal, "-d", filepath.Join(v.dir, "data"), filepath.Join(v.dir, "out"))
	_ = os.WriteFile(filepath.Join(v.dir, "log"), log, 0o644) // for who looks for reasons
	if err != nil {
		return nil, err
	}
	for _, line := range sound {
		if !line.Match(log) {
			return nil, fmt.Errorf("%s finds fault; its log %s/log has no line like %s", newest, v.dir, line)
		}
	}
	text, err := os.ReadFile(filepath.Join(v.dir, "out", "json"))
	if err != nil {
		return nil, err
	}
	var found struct {
		ROAs []struct {
			Prefix    string `json:"prefix"`
			MaxLength int    `json:"maxLength"`
			ASN       uint32 `json:"asn"`
		} `json:"roas"`
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return nil, err
	}
	var out []string
	for _, r := range found.ROAs {
		out = append(out, fmt.Sprintf("%s,%d,AS%d", r.Prefix, r.MaxLength, r.ASN))
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
