// Package fault is the one vocabulary of errors. Every error that a user or a peer can see carries a Kind, and one
// table says what each kind becomes: the exit status of a command, the status of an HTTP answer, the code of an
// RFC 6492 error_response and of an RFC 8181 report_error.
package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"syscall"
)

// Kind says what sort of thing went wrong, and so what a caller may do about it.
type Kind int

// The kinds. Internal is the zero value: an error that nobody classified is our own fault.
const (
	Internal    Kind = iota // a defect or an unexplained failure of ours
	BadInput                // the request or a file is wrong: correct it and repeat
	NotFound                // what was named does not exist
	Conflict                // it exists already, or overlaps what exists
	NotHeld                 // the resource is not held by the one who asks
	Refused                 // a rule or a brake holds it back until the operator confirms
	Secret                  // a passphrase is missing or wrong
	Busy                    // someone else holds the data directory or the port
	Corrupt                 // stored state is damaged, missing or older than it was
	TooNew                  // stored state was written by a newer version
	Storage                 // the disk is full or fails
	Clock                   // the clock cannot be believed
	Invalid                 // a repository or an object does not validate
	Unreachable             // a peer or repository cannot be reached
	Forbidden               // a registry's policy, an operator's decision, or the rights of who asks do not allow it; no code lets it pass
)

// row is what one kind becomes at each border.
type row struct {
	name     string
	exit     int
	http     int
	upDown   int    // RFC 6492, section 3.6
	publish  string // RFC 8181, section 2.5
	operator string // what the exit status means, for --help
}

var table = map[Kind]row{
	Internal:    {"internal", 1, http.StatusInternalServerError, 2001, "other_error", "an unexpected failure"},
	BadInput:    {"bad-input", 2, http.StatusBadRequest, 1103, "xml_error", "the command line or an input file is wrong"},
	NotFound:    {"not-found", 3, http.StatusNotFound, 1201, "no_object_present", "what was named does not exist"},
	Conflict:    {"conflict", 4, http.StatusConflict, 1204, "object_already_present", "it exists already or overlaps"},
	NotHeld:     {"not-held", 5, http.StatusForbidden, 1202, "permission_failure", "the holder does not hold the resource"},
	Refused:     {"refused", 6, http.StatusPreconditionRequired, 1104, "permission_failure", "held by the brake until repeated with its code"},
	Secret:      {"secret", 7, http.StatusUnauthorized, 2001, "bad_cms_signature", "the passphrase is missing or wrong"},
	Busy:        {"busy", 8, http.StatusLocked, 1101, "other_error", "the data directory or the port is in use"},
	Corrupt:     {"corrupt", 9, http.StatusInternalServerError, 2001, "other_error", "stored state is damaged, missing or too old"},
	TooNew:      {"too-new", 10, http.StatusInternalServerError, 2001, "other_error", "the data directory is from a newer version"},
	Storage:     {"storage", 11, http.StatusInsufficientStorage, 2001, "other_error", "the disk is full or fails"},
	Clock:       {"clock", 12, http.StatusServiceUnavailable, 2001, "other_error", "the clock cannot be believed"},
	Invalid:     {"invalid", 13, http.StatusUnprocessableEntity, 1203, "consistency_problem", "a repository or an object does not validate"},
	Unreachable: {"unreachable", 14, http.StatusBadGateway, 2001, "other_error", "a peer or a repository cannot be reached"},
	Forbidden:   {"forbidden", 15, http.StatusForbidden, 1104, "permission_failure", "a registry's policy, or your rights, do not allow it"},
}

// String is the kind's name as it stands in JSON and in metrics.
func (k Kind) String() string { return table[k].name }

// Exit is the exit status of a command that ends with this kind.
func (k Kind) Exit() int { return table[k].exit }

// HTTP is the status code of an answer that carries this kind.
func (k Kind) HTTP() int { return table[k].http }

// UpDown is the error_response status of RFC 6492, section 3.6.
func (k Kind) UpDown() int { return table[k].upDown }

// Publication is the error_code of RFC 8181, section 2.5.
func (k Kind) Publication() string { return table[k].publish }

// Meaning is the half sentence that help texts print beside the exit status.
func (k Kind) Meaning() string { return table[k].operator }

// Kinds lists every kind in the order of its exit status.
func Kinds() []Kind {
	kinds := make([]Kind, len(table))
	for k := range table {
		kinds[k] = k
	}
	return kinds
}

// Named is the kind with this name, Internal where there is none.
func Named(name string) Kind {
	for k, r := range table {
		if r.name == name {
			return k
		}
	}
	return Internal
}

// Error is an error with a kind. Its text is one sentence that names the input and what to do.
type Error struct {
	Kind Kind
	Text string
	Err  error // the cause, may be nil; its text is already part of Text
}

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.Err }

// New makes an error of a kind. The format may use %w once.
func New(kind Kind, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Text: err.Error(), Err: errors.Unwrap(err)}
}

// Wrap puts words before err and keeps its kind.
func Wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: KindOf(err), Text: fmt.Sprintf(format, args...) + ": " + err.Error(), Err: err}
}

// KindOf finds the kind of an error. What the operating system says about disks and ports is understood too.
func KindOf(err error) Kind {
	var e *Error
	var network *net.OpError
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EIO), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EFBIG):
		return Storage
	case errors.Is(err, syscall.EADDRINUSE):
		return Busy
	case errors.Is(err, fs.ErrNotExist):
		return NotFound
	case errors.Is(err, fs.ErrPermission):
		return BadInput
	case errors.As(err, &network):
		return Unreachable
	}
	return Internal
}
