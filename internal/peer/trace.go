package peer

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/handles"
)

// Tracer writes every message in the clear, as it was before it was signed or after it was opened, to a file of its own:
// TIME-NUMBER-in-PROTOCOL-HANDLE.xml for what came, -out- for what went. Names sort as messages passed. A nil Tracer
// writes nothing.
type Tracer struct {
	dir    string
	number atomic.Uint64
}

// NewTracer traces to a directory, which it makes if need be.
func NewTracer(dir string) (*Tracer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Wrap(err, "couldn't make the directory %s for traces", dir)
	}
	return &Tracer{dir: dir}, nil
}

const (
	in  = "in"
	out = "out"
)

// write writes one message. That it could not is said in the log, and keeps no message from being answered.
func (t *Tracer) write(direction, contentType, handle string, content []byte) {
	if t == nil {
		return
	}
	name := fmt.Sprintf("%s-%06d-%s-%s-%s.xml", time.Now().UTC().Format("20060102T150405.000000Z"), t.number.Add(1), direction, protocol(contentType), fileName(handle))
	if err := os.WriteFile(filepath.Join(t.dir, name), content, 0o600); err != nil {
		slog.Warn("couldn't trace a message", "file", name, "error", err)
	}
}

// protocol is the last word of a content type, such as "updown" or "publication".
func protocol(contentType string) string {
	return contentType[strings.LastIndexAny(contentType, "-/")+1:]
}

// fileName is a handle, or a client's name, as part of a file's name.
func fileName(handle string) string {
	clean := strings.Map(func(r rune) rune {
		if r < 0x80 && handles.IsWirePart(string(r)) {
			return r
		}
		return '_'
	}, handle)
	return clean[:min(len(clean), 100)]
}
