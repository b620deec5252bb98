package store_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"cadastre/internal/store"
)

const crashPath = "CADASTRE_TEST_STORE" // set in the child process that is to be killed

// TestCrash kills a process that writes, at random moments. Whatever it had acknowledged is there afterwards, and what
// it had not is there as a whole or not at all.
func TestCrash(t *testing.T) {
	if path := os.Getenv(crashPath); path != "" {
		writeUntilKilled(path)
	}
	path := filepath.Join(t.TempDir(), "store")
	st, err := store.Open(path, store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	for round := range 5 {
		acknowledged := killWriter(t, path)
		st, err := store.Open(path, store.Options{})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if st.Revision() < acknowledged || st.Revision() > acknowledged+1 {
			t.Errorf("round %d: revision %d was acknowledged, and it is at %d", round, acknowledged, st.Revision())
		}
		err = st.View(func(r store.Reader) error {
			n := 0
			for record, err := range r.Scan(bucketOf("values"), nil) {
				if err != nil {
					return err
				}
				n++
				if v := string(record.Value); v != fmt.Sprint(st.Revision()) {
					t.Errorf("round %d: a value is of revision %s, and the state is at %d", round, v, st.Revision())
				}
			}
			if n != valuesEach && st.Revision() > 0 {
				t.Errorf("round %d: it has %d values", round, n)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

const valuesEach = 50

func writeUntilKilled(path string) {
	st, err := store.Open(path, store.Options{})
	for err == nil {
		var at store.Revision
		at, err = st.Update(store.Any, func(w store.Writer) error {
			for i := range valuesEach {
				if err := w.Put(bucketOf("values"), fmt.Append(nil, i), fmt.Append(nil, w.Revision())); err != nil {
					return err
				}
			}
			return nil
		})
		fmt.Println("done", at)
	}
	fmt.Println(err)
	os.Exit(1)
}

// killWriter runs a writer for a while, kills it, and gives the last revision that it acknowledged.
func killWriter(t *testing.T, path string) (last store.Revision) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrash$")
	cmd.Env = append(os.Environ(), crashPath+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var end *time.Timer
	for lines.Scan() {
		if _, err := fmt.Sscanf(lines.Text(), "done %d", &last); err != nil {
			t.Errorf("the writer says %q", lines.Text())
		}
		if end == nil { // the moment is counted from when it writes
			end = time.AfterFunc(time.Duration(20+rand.IntN(200))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		}
	}
	_ = cmd.Wait()
	if last == 0 {
		t.Error("it was killed before it wrote anything")
	}
	return last
}
