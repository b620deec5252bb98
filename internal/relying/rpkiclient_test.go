package relying

import (
	"cmp"
	"encoding/base64"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"cadastre/internal/object"
)

// TestAgainstRPKIClient has the newest rpki-client read the same repository and compares the canonical cache
// representation that it writes with ours: other authors' code for every byte of it.
func TestAgainstRPKIClient(t *testing.T) {
	program := cmp.Or(os.Getenv("RP_HOME"), "/opt/rp") + "/rpki-client-newest"
	if _, err := os.Stat(program); err != nil {
		t.Skip("rpki-client is not installed: see ../shared/rp/install")
	}
	w := newWorldAt(t, "rsync://localhost/repo/", object.RSA)
	w.roas("10.0.0.0/16", "10.1.0.0/16", "10.1.0.0/17")
	w.publish()
	folder := t.TempDir()
	for _, name := range []string{"cache", "out"} {
		must(t, os.Mkdir(filepath.Join(folder, name), 0o755))
		giveToRPKIClient(t, filepath.Join(folder, name))
	}
	for _, readable := range []string{folder, w.cache, filepath.Dir(folder)} {
		must(t, os.Chmod(readable, 0o755))
	}
	command := exec.Command(program, "-v", "-j", "-t", w.cache+"/ta.tal", "-d", folder+"/cache", folder+"/out")
	command.Env = append(os.Environ(), "SSL_CERT_FILE="+w.cache+"/roots.pem")
	said, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("rpki-client: %v\n%s", err, said)
	}
	theirs, err := os.ReadFile(folder + "/out/rpki.ccr")
	must(t, err)
	r := w.verify(w.options(), "10.0.0.0/16", "10.1.0.0/16", "10.1.0.0/17")
	clean(t, r)
	differences, err := CompareCCR(r, theirs)
	must(t, err)
	if len(differences) > 0 {
		t.Errorf("rpki-client accepts something else: %v\n%s", differences, said)
	}
	for name, hash := range map[string][32]byte{"manifest state": r.CCR().ManifestHash(), "ROA payload": r.CCR().ROAHash()} {
		if text := base64.StdEncoding.EncodeToString(hash[:]); !strings.Contains(string(said), text) {
			t.Errorf("rpki-client does not print our hash of the %s, %s:\n%s", name, text, said)
		}
	}
}

// giveToRPKIClient gives a folder to the user that rpki-client becomes when root runs it.
func giveToRPKIClient(t *testing.T, folder string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	u, err := user.Lookup("_rpki-client")
	if err != nil {
		t.Skip("root cannot run rpki-client without its user: ", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	must(t, err)
	gid, err := strconv.Atoi(u.Gid)
	must(t, err)
	must(t, os.Chown(folder, uid, gid))
}
