package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"cadastre/internal/fault"
)

// TestTable checks that every kind has everything, and that what tells kinds apart does.
func TestTable(t *testing.T) {
	names, exits := map[string]fault.Kind{}, map[int]fault.Kind{}
	kinds := fault.Kinds()
	if kinds[0] != fault.Internal || kinds[len(kinds)-1] != fault.Forbidden {
		t.Fatalf("the kinds are %v", kinds)
	}
	last := 0
	for _, k := range kinds {
		if other, taken := names[k.String()]; taken || k.String() == "" {
			t.Errorf("%d and %d are both called %q", k, other, k)
		}
		if other, taken := exits[k.Exit()]; taken {
			t.Errorf("%s and %s both exit with %d", k, other, k.Exit())
		}
		names[k.String()], exits[k.Exit()] = k, k
		if k.Exit() <= last || k.Exit() > 125 {
			t.Errorf("%s exits with %d: not in order, or not a shell's to give", k, k.Exit())
		}
		last = k.Exit()
		if k.HTTP() < 400 || k.HTTP() > 599 {
			t.Errorf("%s answers with HTTP status %d", k, k.HTTP())
		}
		if k.UpDown() < 1100 || k.UpDown() > 2999 || k.Publication() == "" || k.Meaning() == "" {
			t.Errorf("%s has an empty column", k)
		}
		if fault.Named(k.String()) != k {
			t.Errorf("%q names %s", k, fault.Named(k.String()))
		}
	}
	for _, name := range []string{"", "no such kind"} {
		if got := fault.Named(name); got != fault.Internal {
			t.Errorf("%q names %s", name, got)
		}
	}
}

// TestPublicationCodes keeps to the error codes that RFC 8181, section 2.5 lists.
func TestPublicationCodes(t *testing.T) {
	codes := " xml_error permission_failure bad_cms_signature object_already_present no_object_present no_object_matching_hash consistency_problem other_error "
	for _, k := range fault.Kinds() {
		if !strings.Contains(codes, " "+k.Publication()+" ") {
			t.Errorf("%s becomes %q, which is no error code of RFC 8181", k, k.Publication())
		}
	}
}

// TestUpDownCodes keeps to the status codes that RFC 6492, section 3.6 lists.
func TestUpDownCodes(t *testing.T) {
	codes := map[int]bool{1101: true, 1102: true, 1103: true, 1104: true, 1201: true, 1202: true, 1203: true, 1204: true, 1301: true, 1302: true, 2001: true}
	for _, k := range fault.Kinds() {
		if !codes[k.UpDown()] {
			t.Errorf("%s becomes %d, which is no status code of RFC 6492", k, k.UpDown())
		}
	}
}

func TestKindOf(t *testing.T) {
	classified := fault.New(fault.NotHeld, "192.0.2.0/24 is held by nobody")
	_, missing := os.Open("/nowhere/at/all")
	for _, c := range []struct {
		err  error
		want fault.Kind
	}{
		{nil, fault.Internal},
		{errors.New("what is this"), fault.Internal},
		{context.Canceled, fault.Internal},
		{classified, fault.NotHeld},
		{fmt.Errorf("while importing: %w", classified), fault.NotHeld},
		{fault.Wrap(classified, "while importing"), fault.NotHeld},
		{fault.Wrap(fault.Wrap(classified, "a"), "b"), fault.NotHeld},
		{errors.Join(errors.New("first"), classified), fault.NotHeld},
		{fault.New(fault.Corrupt, "the store is damaged: %w", classified), fault.Corrupt},
		{missing, fault.NotFound},
		{fs.ErrPermission, fault.BadInput},
		{&fs.PathError{Op: "write", Path: "store.db", Err: syscall.ENOSPC}, fault.Storage},
		{fault.Wrap(&fs.PathError{Op: "write", Path: "store.db", Err: syscall.ENOSPC}, "couldn't commit"), fault.Storage},
		{syscall.EDQUOT, fault.Storage},
		{syscall.EIO, fault.Storage},
		{syscall.EROFS, fault.Storage},
		{syscall.EFBIG, fault.Storage},
		{&net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}, fault.Busy},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, fault.Unreachable},
	} {
		if got := fault.KindOf(c.err); got != c.want {
			t.Errorf("%v is of kind %s, not %s", c.err, got, c.want)
		}
	}
}

func TestTexts(t *testing.T) {
	cause := errors.New("the disk is on fire")
	err := fault.New(fault.Storage, "couldn't write %s: %w", "store.db", cause)
	if got := err.Error(); got != "couldn't write store.db: the disk is on fire" {
		t.Errorf("the text is %q", got)
	}
	if !errors.Is(err, cause) || !errors.Is(fault.Wrap(err, "again"), cause) {
		t.Error("the cause is lost")
	}
	if got := fault.Wrap(err, "decision %d", 7).Error(); got != "decision 7: couldn't write store.db: the disk is on fire" {
		t.Errorf("the text is %q", got)
	}
	if fault.Wrap(nil, "nothing") != nil {
		t.Error("nothing became an error")
	}
}

func TestLines(t *testing.T) {
	l := fault.NewLines("roas.csv")
	l.Add(1, nil)
	if l.Err() != nil || l.Count() != 0 {
		t.Fatalf("nothing is wrong, and yet: %v", l.Err())
	}
	l.Add(3, fault.New(fault.NotHeld, "no one holds it"))
	err := l.Err()
	if fault.KindOf(err) != fault.NotHeld || err.Error() != "roas.csv:3: no one holds it\nnothing of roas.csv is taken" {
		t.Errorf("one line: %s %q", fault.KindOf(err), err)
	}
	l.Add(4, fault.New(fault.BadInput, "it is no prefix"))
	if got := fault.KindOf(l.Err()); got != fault.BadInput {
		t.Errorf("two kinds together are %s", got)
	}
	l.Add(5, fault.New(fault.BadInput, "it is no prefix"))
	for line := range 20 {
		l.Add(10+line, fault.New(fault.NotHeld, "no one holds it"))
	}
	text := l.Err().Error()
	if got := strings.Count(text, "\n"); got != 11 || !strings.Contains(text, "\nand 13 more\n") || l.Count() != 23 || fault.KindOf(l.Err()) != fault.BadInput {
		t.Errorf("%d wrong lines, %s: %s", l.Count(), fault.KindOf(l.Err()), text)
	}
}
