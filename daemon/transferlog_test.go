package daemon

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cadastre/holdings"
	"cadastre/internal/inr"
)

// fakeLogs is one log that changes.
type fakeLogs struct {
	log      holdings.TransferLog
	decision uint64
	made     int
	err      error
}

func (f *fakeLogs) LastDecision() uint64 { return f.decision }

func (f *fakeLogs) TransferLog(string) (*holdings.TransferLog, error) {
	f.made++
	log := f.log
	return &log, f.err
}

func TestTransferLogsAreServed(t *testing.T) {
	at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	source := &fakeLogs{log: holdings.TransferLog{Producer: "AFRINIC", Produced: at}, decision: 1}
	logs := newTransferLogs(source, []string{"afrinic", "a/../../evil"})
	get := func(method, path string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		logs.ServeHTTP(w, r)
		return w
	}
	const path = "/transfers/afrinic/transfers_latest.json"
	source.err = errors.New("no disk")
	if w := get("GET", path); w.Code != http.StatusInternalServerError {
		t.Errorf("without a log it says %d", w.Code)
	}
	source.err = nil
	first := get("GET", path)
	tag := first.Header().Get("ETag")
	if first.Code != http.StatusOK || tag == "" || first.Header().Get("Cache-Control") != "max-age=300" || first.Header().Get("Content-Type") != "application/json" ||
		first.Header().Get("Last-Modified") != at.Format(http.TimeFormat) {
		t.Errorf("it says %d with %v", first.Code, first.Header())
	}
	old := get("GET", "/transfers/afrinic/transfers_latest_4.0.json")
	if old.Header().Get("ETag") == tag {
		t.Error("two formats have one tag")
	}
	made := source.made
	for name, headers := range map[string][]string{"tag": {"If-None-Match", tag}, "time": {"If-Modified-Since", at.Format(http.TimeFormat)}} {
		if w := get("GET", path, headers...); w.Code != http.StatusNotModified {
			t.Errorf("the same %s: it says %d", name, w.Code)
		}
	}
	if w := get("HEAD", path); w.Code != http.StatusOK || w.Body.Len() != 0 {
		t.Errorf("HEAD says %d", w.Code)
	}
	if source.made != made {
		t.Error("a log is made anew where nothing was decided")
	}
	// a decision about something else changes nothing; one about a transfer does
	source.decision = 2
	if w := get("GET", path, "If-None-Match", tag); w.Code != http.StatusNotModified {
		t.Errorf("after another decision it says %d", w.Code)
	}
	source.decision, source.log.Produced = 3, at.Add(time.Hour)
	source.log.Transfers = []holdings.LogEntry{{Resources: inr.OfAS(1, 2), SourceRIR: "AFRINIC", RecipientRIR: "AFRINIC", Type: holdings.LoggedTransfer, Transferred: at}}
	changed := get("GET", path, "If-None-Match", tag)
	if changed.Code != http.StatusOK || changed.Header().Get("ETag") == tag || changed.Header().Get("Last-Modified") == first.Header().Get("Last-Modified") {
		t.Errorf("after a transfer it says %d with %v", changed.Code, changed.Header())
	}
	// whatever fails, what was served stays served
	source.decision, source.err = 4, errors.New("no disk")
	if w := get("GET", path); w.Code != http.StatusOK || w.Body.String() != changed.Body.String() {
		t.Errorf("when it fails it says %d", w.Code)
	}
	source.err = nil
	if w := get("GET", "/transfers/lacnic/transfers_latest.json"); w.Code != http.StatusNotFound {
		t.Errorf("of no registry it says %d", w.Code)
	}
	www := t.TempDir()
	if err := logs.write(filepath.Join(www, "www")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(www, "www", "transfers", "afrinic", "transfers_latest.json"))
	if err != nil || !info.ModTime().Equal(at.Add(time.Hour)) {
		t.Errorf("on disk it is %v, %v", info, err)
	}
	if _, err := os.Stat(filepath.Join(www, "evil")); err == nil {
		t.Error("a handle led out of the folder")
	}
}
