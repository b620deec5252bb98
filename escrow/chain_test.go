package escrow

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cadastre/internal/fault"
)

func (h *testInstallation) broken(says string) {
	h.Helper()
	_, err := Verify(h.folder, h.signer)
	if fault.KindOf(err) != fault.Corrupt || !strings.Contains(err.Error(), says) {
		h.Errorf("it is refused as (%s) %v, and not because %q", fault.KindOf(err), err, says)
	}
}

// TestReplaced puts deposits that are good by themselves in the places of others.
func TestReplaced(t *testing.T) {
	h := newTestInstallation(t)
	first := h.deposit(false)
	kept, err := os.ReadFile(indexPath(h.data, h.folder))
	must(t, err)
	second := h.deposit(false)
	third := h.deposit(false)

	// a second history of the same signer, from the same first deposit
	folder := h.folder
	h.folder = filepath.Join(filepath.Dir(folder), "fork")
	must(t, os.Mkdir(h.folder, 0o755))
	text, err := os.ReadFile(first.File)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(h.folder, filepath.Base(first.File)), text, 0o600))
	must(t, os.WriteFile(indexPath(h.data, h.folder), kept, 0o600))
	other := h.deposit(true)
	h.folder = folder
	if other.Number != 2 {
		t.Fatalf("the fork goes on with deposit %d", other.Number)
	}
	text, err = os.ReadFile(other.File)
	must(t, err)
	there := filepath.Join(folder, filepath.Base(other.File))
	must(t, os.WriteFile(there, text, 0o600))
	h.broken("deposit 2 is there twice")
	must(t, os.Remove(second.File))
	h.broken("it follows another deposit 2 than the one that is there")
	must(t, os.Remove(third.File))
	if _, err := Verify(folder, h.signer); err != nil {
		t.Errorf("the fork alone: %v", err)
	}
}

// TestRemember tells a chain from what it has been.
func TestRemember(t *testing.T) {
	h := newTestInstallation(t)
	mark := filepath.Join(t.TempDir(), "mark")
	verify := func() error {
		r, err := Verify(h.folder, h.signer)
		must(t, err)
		return r.Remember(mark)
	}
	h.deposit(false)
	must(t, verify())
	h.deposit(false)
	must(t, verify())
	must(t, verify())
	last := h.deposit(true)
	must(t, os.Rename(last.File, last.File+".away"))
	must(t, verify())
	must(t, os.Rename(last.File+".away", last.File))
	must(t, verify())
	// old ones may go
	files, err := list(h.folder)
	must(t, err)
	for _, f := range files[:2] {
		must(t, os.Remove(filepath.Join(h.folder, f.name())))
	}
	must(t, verify())

	other := newTestInstallation(t)
	other.deposit(false)
	r, err := Verify(other.folder, other.signer)
	must(t, err)
	if err := r.Remember(mark); fault.KindOf(err) != fault.Corrupt || !strings.Contains(err.Error(), "remembers one of") {
		t.Errorf("another's chain: %v", err)
	}
	must(t, os.WriteFile(mark, []byte(`{"installation":"`+r.Installation+`","number":1,"sha256":"`+Hash{7}.String()+`"}`), 0o600))
	if err := r.Remember(mark); fault.KindOf(err) != fault.Corrupt || !strings.Contains(err.Error(), "deposit 1 is another") {
		t.Errorf("another deposit 1: %v", err)
	}
	must(t, os.WriteFile(mark, []byte(`{`), 0o600))
	if err := r.Remember(mark); fault.KindOf(err) != fault.Corrupt {
		t.Errorf("a mark that is damaged: %v", err)
	}
	now := r.Last().Time
	if r.Fresh(now.Add(time.Hour), time.Hour) != nil || r.Fresh(now.Add(9e15), 0) != nil || fault.KindOf(r.Fresh(now.Add(time.Hour+1), time.Hour)) != fault.Corrupt ||
		fault.KindOf(r.Fresh(now.Add(-time.Hour), 0)) != fault.Clock {
		t.Error("the age of the newest deposit is not told")
	}
}
