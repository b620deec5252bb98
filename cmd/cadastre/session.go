package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"cadastre/api"
	"cadastre/daemon"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/printable"
)

// client talks to the daemon of the data directory, or, when none holds it, to the directory itself. The caller need
// not know which: where a request needs more than is open without a daemon, prepare opens it; it may be nil.
func (g *global) client(prepare func(*daemon.Directory) error) (*api.Client, func(), error) {
	for deadline := time.Now().Add(startingFor); ; {
		if connection, err := net.Dial("unix", daemon.SocketPath(g.data)); err == nil {
			_ = connection.Close()
			transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", daemon.SocketPath(g.data))
			}}
			return &api.Client{HTTP: &http.Client{Transport: transport}, For: g.actor}, transport.CloseIdleConnections, nil
		}
		d, err := daemon.Open(g.data, warnings())
		if err == nil && prepare != nil {
			if err := prepare(d); err != nil {
				d.Close()
				return nil, nil, err
			}
		}
		if err == nil {
			handler := api.New(d.Engine, d.Mover, d.Path, api.NewRoom(0))
			return &api.Client{HTTP: &http.Client{Transport: api.InProcess(handler, g.who)}, For: g.actor}, d.Close, nil
		}
		if fault.KindOf(err) != fault.Busy || time.Now().After(deadline) {
			return nil, nil, err
		}
	}
}

// warnings is the log of a command that does the daemon's work: it tells what is wrong, on standard error.
func warnings() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// startingFor is how long a daemon that holds the data directory may take until it answers. Each try to open the
// directory waits for its lock, so that trying again needs no pause.
const startingFor = 10 * time.Second

// why is why a request is made.
func (g *global) why() api.Why { return api.Why{Reason: g.reason} }

// by is who decides what a command does to the data directory by itself.
func (g *global) by() holdings.By {
	return holdings.By{Who: g.who, Reason: g.reason, Time: time.Now()}
}

// ask sends one request to wherever the data directory is held.
func ask[Request, Answer any](ctx context.Context, g *global, path string, request Request) (Answer, error) {
	return askWith[Request, Answer](ctx, g, path, request, nil)
}

// askWith is ask where a request needs more of the directory than is open without a daemon.
func askWith[Request, Answer any](ctx context.Context, g *global, path string, request Request, prepare func(*daemon.Directory) error) (Answer, error) {
	client, done, err := g.client(prepare)
	if err != nil {
		var none Answer
		return none, err
	}
	defer done()
	answer, err := api.Call[Request, Answer](ctx, client, path, request)
	if g.output == "text" {
		printable.Clean(&answer) // names, reasons and what peers say; JSON has escapes of its own
	}
	return answer, err
}

// print writes an answer as JSON, or as text by the function given.
func (g *global) print(out io.Writer, answer any, text func(io.Writer)) error {
	if g.output == "json" {
		return writeJSON(out, answer)
	}
	return printText(out, text)
}

// printText prints what is text whatever the output is to be: all of it passes the sanitiser.
func printText(out io.Writer, text func(io.Writer)) error {
	var b bytes.Buffer
	text(&b)
	_, err := io.WriteString(out, printable.Text(b.String()))
	return err
}

// readUploads reads the files that a command names.
func readUploads(cmd *cobra.Command, paths []string) ([]api.Upload, error) {
	var out []api.Upload
	for _, path := range paths {
		var data []byte
		var err error
		if path == "-" {
			data, err = io.ReadAll(cmd.InOrStdin())
		} else {
			data, err = os.ReadFile(path)
		}
		if err != nil {
			return nil, fault.New(fault.BadInput, "couldn't read %s: %w", path, err)
		}
		out = append(out, api.Upload{Name: filepath.Base(path), Data: data})
	}
	return out, nil
}

// passphrase is that of a file, of an environment variable, or what is typed.
func passphrase(file, variable, what string, confirm bool) ([]byte, error) {
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fault.New(fault.Secret, "couldn't read the passphrase of the %s: %w", what, err)
		}
		return firstLine(text), nil
	}
	if text := os.Getenv(variable); text != "" {
		return []byte(text), nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, fault.New(fault.Secret, "no passphrase for the %s: name a file with it, or set %s", what, variable)
	}
	fmt.Fprintf(os.Stderr, "Passphrase of the %s: ", what)
	text, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(os.Stderr)
	if err != nil || !confirm {
		return text, err
	}
	fmt.Fprint(os.Stderr, "The same again: ")
	again, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(os.Stderr)
	if err == nil && string(again) != string(text) {
		return nil, fault.New(fault.Secret, "the two passphrases differ; try again")
	}
	return text, err
}

func firstLine(text []byte) []byte {
	for i, c := range text {
		if c == '\n' || c == '\r' {
			return text[:i]
		}
	}
	return text
}
