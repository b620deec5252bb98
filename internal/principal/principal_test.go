package principal_test

import (
	"bytes"
	"log/slog"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"cadastre/internal/fault"
	"cadastre/internal/principal"
)

// TestText keeps the text of records: what was written must be read the same for ever.
func TestText(t *testing.T) {
	ann := principal.Operator("ann", principal.Socket)
	forBob, err := ann.ActingFor("Bob of acme")
	if err != nil {
		t.Fatal(err)
	}
	for want, p := range map[string]principal.Principal{
		"ann":                 ann,
		"ann for Bob of acme": forBob,
		"clock":               principal.Part("clock"),
		"parent apnic":        principal.OfPeer("parent apnic"),
		"":                    principal.Of(t.Context()),
	} {
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "actor", p)
		if p.String() != want || !strings.Contains(log.String(), `"actor":"`+want+`"`) {
			t.Errorf("%+v is %q, and in the log %s; not %q", p, p, &log, want)
		}
	}
	if got := principal.Of(principal.In(t.Context(), forBob)); got != forBob {
		t.Errorf("%+v", got)
	}
}

func TestMay(t *testing.T) {
	for _, c := range []struct {
		has, needs principal.Rights
		may        bool
	}{
		{0, principal.Read, false},
		{principal.Read, principal.Read, true},
		{principal.Read, principal.Change, false},
		{principal.Change, principal.Read, false},
		{principal.Read | principal.Change, principal.Read | principal.Change, true},
	} {
		err := principal.Principal{Name: "ann", Rights: c.has}.May(c.needs)
		if (err == nil) != c.may || err != nil && fault.KindOf(err) != fault.Forbidden {
			t.Errorf("with %d, %d is asked for: %v", c.has, c.needs, err)
		}
	}
}

// TestUIDOf has the kernel name this process, at the other end of a socket.
func TestUIDOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	caller, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = caller.Close() }()
	called, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = called.Close() }()
	if uid, err := principal.UIDOf(called); err != nil || uid != os.Geteuid() {
		t.Errorf("%d, %v", uid, err)
	}
	if u, err := user.Current(); err == nil && principal.Account(os.Geteuid()) != u.Username {
		t.Errorf("%s is named %s", u.Username, principal.Account(os.Geteuid()))
	}
	if got := principal.Account(1987654321); got != "uid 1987654321" {
		t.Errorf("an account without a name is %q", got)
	}
}
