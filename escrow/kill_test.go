package escrow

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cadastre/ca"
	"cadastre/internal/store"
)

// depositing names the data directory, the folder and the recipient for the process that TestKill kills.
const depositing = "CADASTRE_TEST_DEPOSITING"

func TestMain(m *testing.M) {
	if words := strings.Fields(os.Getenv(depositing)); len(words) == 3 {
		panic(depositForEver(words[0], words[1], words[2]))
	}
	os.Exit(m.Run())
}

// depositForEver changes something and makes a deposit, again and again.
func depositForEver(data, folder, recipient string) error {
	st, err := store.Open(filepath.Join(data, "store"), store.Options{})
	if err != nil {
		return err
	}
	e, err := ca.Open(st, data, testPolicy(), slog.New(slog.DiscardHandler))
	if err == nil {
		err = e.OpenIdentity(secret)
	}
	for n := 0; err == nil; n++ {
		_, err = st.Update(store.Any, func(w store.Writer) error {
			return w.Put(named("notice"), fmt.Append(nil, rand.IntN(50)), fmt.Appendf(nil, "{%q:%d}", strings.Repeat("x", 2000), n))
		})
		if err == nil {
			_, err = Deposit(context.Background(), e, Options{Folder: folder, Recipient: recipient, Full: n%7 == 3})
		}
		if n == 0 {
			fmt.Println("begun") // what follows is killed
		}
	}
	return err
}

// TestKill kills what makes deposits, again and again: the chain is always whole, and leads to a state that was.
func TestKill(t *testing.T) {
	h := newTestInstallation(t)
	must(t, h.store.Close())
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 12 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), depositing+"="+h.data+" "+h.folder+" "+h.recipient)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		if _, err := out.Read(make([]byte, 6)); err != nil {
			t.Fatalf("round %d: it made no deposit: %v", round, err)
		}
		time.Sleep(time.Duration(random.IntN(60_000)) * time.Microsecond) // any moment will do
		must(t, cmd.Process.Kill())
		_ = cmd.Wait()
		if _, err := Verify(h.folder, h.signer); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		h.read(h.folder)
	}
	st, err := store.Open(filepath.Join(h.data, "store"), store.Options{NoSync: true})
	must(t, err)
	h.store = st
	h.open(secret)
	h.deposit(false)
	same(t, h.read(h.folder), h.inStore())
}
