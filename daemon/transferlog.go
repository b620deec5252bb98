package daemon

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/roa"
)

// logFiles are the names under which a log is served, and their formats.
var logFiles = map[string]string{"transfers_latest.json": holdings.TransferLog41, "transfers_latest_4.0.json": holdings.TransferLog40}

// logSource is what transfer logs are made of.
type logSource interface {
	TransferLog(rir string) (*holdings.TransferLog, error)
	LastDecision() uint64
}

// transferLogs serves the RIRs' transfer logs, at /transfers/REGISTRY/FILE. A log is made anew when a decision was taken, and
// changes when one concerned its transfers.
type transferLogs struct {
	source logSource
	files  map[string]*transferLogFile // by path
}

type transferLogFile struct {
	rir, format string
	mu          sync.Mutex
	decision    uint64 // as of which the rest is
	text        []byte // nil when it was not made yet
	tag         string
	modified    time.Time
}

func newTransferLogs(source logSource, rirs []string) *transferLogs {
	s := &transferLogs{source: source, files: map[string]*transferLogFile{}}
	for _, rir := range rirs {
		for name, format := range logFiles {
			s.files["/transfers/"+rir+"/"+name] = &transferLogFile{rir: rir, format: format}
		}
	}
	return s
}

// rirs is the handles of the RIRs. One that is added is there at the next start.
func (d *Directory) rirs() (rirs []string, err error) {
	err = d.Engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		rirs = l.Children(l.Root())
		return nil
	})
	return rirs, err
}

func (s *transferLogs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := s.files[r.URL.Path]
	if f == nil {
		http.NotFound(w, r)
		return
	}
	text, tag, modified, err := f.read(s.source)
	if err != nil {
		http.Error(w, "the log can't be read now", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "max-age=300")
	w.Header().Set("ETag", tag)
	http.ServeContent(w, r, "", modified, bytes.NewReader(text))
}

// read is the log as of the newest decision; as it was where that can't be had.
func (f *transferLogFile) read(source logSource) (text []byte, tag string, modified time.Time, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	decision := source.LastDecision()
	if f.text == nil || f.decision != decision {
		err = f.make(source, decision)
	}
	if f.text == nil {
		return nil, "", time.Time{}, err
	}
	return f.text, f.tag, f.modified, nil
}

func (f *transferLogFile) make(source logSource, decision uint64) error {
	log, err := source.TransferLog(f.rir)
	if err != nil {
		return err
	}
	text, err := log.JSON(f.format)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	f.text, f.tag, f.modified, f.decision = text, `"`+hex.EncodeToString(sum[:16])+`"`, log.Produced, decision
	return nil
}

// write leaves the logs in a folder, for somebody else's server. Files bear the time of the log.
func (s *transferLogs) write(www string) error {
	for path, f := range s.files {
		text, _, modified, err := f.read(s.source)
		if err != nil {
			return err
		}
		if path = path[1:]; !filepath.IsLocal(path) {
			continue // a handle with .. in it
		}
		to := filepath.Join(www, filepath.FromSlash(path))
		err = os.MkdirAll(filepath.Dir(to), 0o755)
		if err == nil {
			err = os.WriteFile(to+".new", text, 0o644)
		}
		if err == nil {
			err = os.Chtimes(to+".new", modified, modified)
		}
		if err == nil {
			err = os.Rename(to+".new", to)
		}
		if err != nil {
			return fault.Wrap(err, "couldn't write %s", to)
		}
	}
	return nil
}
