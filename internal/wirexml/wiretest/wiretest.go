// Package wiretest is what the tests of messages share: the samples and schemas of ../shared/vectors, which may
// be absent, and jing, which validates with RELAX NG. The program does not use it.
package wiretest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Path is where a sample or schema lies, as the tests of a package in internal/ see it. The test is skipped where
// ../shared/vectors is absent.
func Path(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join("../../../shared/vectors", name)
	if _, err := os.Stat("../../../shared/vectors"); errors.Is(err, os.ErrNotExist) {
		t.Skip("../shared/vectors is not here")
	}
	return path
}

// Vector reads a sample.
func Vector(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(Path(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Glob lists samples.
func Glob(t testing.TB, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(Path(t, pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no sample is called %s: %v", pattern, err)
	}
	for i, path := range paths {
		paths[i], _ = filepath.Rel("../../../shared/vectors", path)
	}
	return paths
}

// Complaints validates messages, all well-formed, with the schema in a file (.rnc or .rng) and returns jing's first
// complaint about each that is not valid. The test is skipped where jing is not installed.
func Complaints(t testing.TB, schema string, messages map[string][]byte) map[string]string {
	t.Helper()
	jing, err := exec.LookPath("jing")
	if err != nil {
		t.Skip("jing is not installed")
	}
	var args []string
	if strings.HasSuffix(schema, ".rnc") {
		args = append(args, "-c")
	}
	args = append(args, schema)
	dir := t.TempDir()
	names := make(map[string]string)
	for name, message := range messages {
		path := filepath.Join(dir, strings.NewReplacer("/", "_", " ", "_").Replace(name)+".xml")
		if err := os.WriteFile(path, message, 0o600); err != nil {
			t.Fatal(err)
		}
		names[path] = name
		args = append(args, path)
	}
	out, err := exec.Command(jing, args...).Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	complaints := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		path, what, _ := strings.Cut(line, ".xml:")
		name, ours := names[path+".xml"]
		if !ours {
			t.Fatalf("jing says: %s", out)
		}
		if complaints[name] == "" {
			complaints[name] = what
		}
	}
	return complaints
}

// Content is the eContent of a CMS SignedData, in DER, BER or the base64 of either, without any check: the octet
// strings in the first explicit [0] that begins with one.
func Content(t testing.TB, cms []byte) []byte {
	t.Helper()
	if text := bytes.Join(bytes.Fields(cms), nil); bytes.HasPrefix(text, []byte("MI")) {
		der, err := base64.StdEncoding.DecodeString(string(text))
		if err != nil {
			t.Fatal(err)
		}
		cms = der
	}
	var content []byte
	octets(cms, &content)
	if content == nil {
		t.Fatal("there is no content in the CMS")
	}
	return content
}

// octets gathers the first octet string in ber, and returns what follows after one element. It does not check
// that the bytes are BER: samples are.
func octets(ber []byte, content *[]byte) (rest []byte) {
	if len(ber) < 2 {
		return nil
	}
	tag, length, body := ber[0], int(ber[1]), ber[2:]
	indefinite := length == 0x80
	if length > 0x80 {
		size := length & 0x7f
		length = 0
		for _, b := range body[:size] {
			length = length<<8 | int(b)
		}
		body = body[size:]
	}
	if indefinite {
		length = len(body)
	}
	inside, rest := body[:length], body[length:]
	switch {
	case tag == 0x04:
		*content = append(*content, inside...)
	case tag&0x20 != 0:
		for len(inside) > 0 && (*content == nil || tag == 0x24) {
			if indefinite && inside[0] == 0 && inside[1] == 0 {
				inside = inside[2:]
				break
			}
			inside = octets(inside, content)
		}
		if indefinite {
			rest = inside
		}
	}
	return rest
}
