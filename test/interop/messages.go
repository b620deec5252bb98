package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cadastre/test/internal/krill"
	"cadastre/test/internal/process"
)

// message is one message of a protocol, as XML in a file.
type message struct {
	protocol string // a key of schemas
	author   string // krillWrote or weWrote
	path     string // of the XML
}

const (
	krillWrote = "Krill"
	weWrote    = "Cadastre"
)

const (
	upDown      = "RFC 6492"
	publication = "RFC 8181"
	setup       = "RFC 8183"
)

// readMessages reads everything that the daemons said to each other, and every file that was carried between them,
// against the schemas.
func (s *scene) readMessages(ctx context.Context) (string, error) {
	messages, err := s.setupMessages()
	if err != nil {
		return "", err
	}
	for _, h := range s.installations {
		traced, err := h.messages(s.krill == nil)
		if err != nil {
			return "", err
		}
		messages = append(messages, traced...)
	}
	if s.krill != nil {
		logged, err := krillMessages(ctx, s.krill, s.path("krill-xml"))
		if err != nil {
			return "", err
		}
		messages = append(messages, logged...)
	}
	var figures []string
	for _, protocol := range []string{setup, upDown, publication} {
		paths := map[string]string{} // author by path
		for _, m := range messages {
			if m.protocol == protocol {
				paths[m.path] = m.author
			}
		}
		if len(paths) == 0 && protocol == s.silent {
			continue
		}
		if len(paths) == 0 {
			err = errors.Join(err, fmt.Errorf("there are no messages of %s, and should be", protocol))
			continue
		}
		excused, fault := s.fit(ctx, protocol, paths)
		err = errors.Join(err, fault)
		figure := fmt.Sprintf("%d of %s", len(paths), protocol)
		if excused > 0 {
			figure += fmt.Sprintf(" (%d known deviations)", excused)
		}
		figures = append(figures, figure)
	}
	return strings.Join(figures, ", "), err
}

// setupMessages is the files of RFC 8183 that were carried by hand. Both programs wrote some: no deviation is known.
func (s *scene) setupMessages() ([]message, error) {
	paths, err := filepath.Glob(s.path("setup", "*.xml"))
	var out []message
	for _, path := range paths {
		out = append(out, message{setup, "", path})
	}
	return out, err
}

// messages is what the daemon traced: TIME-SEQ-in-PROTOCOL-HANDLE.xml, or out. What came in another program wrote, unless
// there are none but ours.
func (h *installation) messages(alone bool) ([]message, error) {
	paths, err := filepath.Glob(filepath.Join(h.path("trace"), "*.xml"))
	if err != nil {
		return nil, err
	}
	var out []message
	for _, path := range paths {
		m := message{author: weWrote, path: path}
		name := filepath.Base(path)
		switch {
		case strings.Contains(name, "rfc6492") || strings.Contains(name, "updown"):
			m.protocol = upDown
		case strings.Contains(name, "rfc8181") || strings.Contains(name, "publication"):
			m.protocol = publication
		default:
			return nil, fmt.Errorf("the trace has %s, whose protocol is not in its name", name)
		}
		if strings.Contains(name, "-in-") && !alone {
			m.author = krillWrote
		}
		out = append(out, m)
	}
	return out, nil
}

// krillMessages is what Krill kept, taken out of its CMS by OpenSSL, which verifies the signature on the way: of ours, too.
//
//	6492/CA/{rcvd,sent}/PEER/TIME.{rcvd,sent,repl,err}
//	8181/CA/{rcvd,sent}/TIME.{rcvd,sent,repl,err}
func krillMessages(ctx context.Context, k *krill.Krill, xml string) ([]message, error) {
	if err := os.MkdirAll(xml, 0o755); err != nil {
		return nil, err
	}
	var out []message
	for folder, protocol := range map[string]string{"6492": upDown, "8181": publication} {
		kept := os.DirFS(k.Path(folder))
		err := fs.WalkDir(kept, ".", func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && path == "." {
				return nil // it had nothing to say in this protocol
			}
			if err != nil || entry.IsDir() {
				return err
			}
			if filepath.Ext(path) == ".err" {
				says, err := fs.ReadFile(kept, path)
				return errors.Join(err, fmt.Errorf("Krill kept an error, %s: %s", path, says)) //nolint:staticcheck // it is a name
			}
			m := message{protocol, authorOf(path), filepath.Join(xml, folder+"-"+strings.ReplaceAll(path, "/", "-")+".xml")}
			out = append(out, m)
			_, err = process.Soon(ctx, nil, "openssl", "cms", "-verify", "-noverify", "-inform", "DER", "-in", k.Path(folder, path), "-out", m.path)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// authorOf is who wrote a message that Krill kept: Krill what it sent, and its replies to what it received.
func authorOf(path string) string {
	switch extension := filepath.Ext(path); {
	case extension == ".sent", extension == ".repl" && strings.Contains(path, "/rcvd/"):
		return krillWrote
	default:
		return weWrote
	}
}
