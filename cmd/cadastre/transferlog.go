package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cadastre/api"
	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/roa"
)

func holdingsTransfers(g *global) *cobra.Command {
	q := api.TransferLog{}
	cmd := &cobra.Command{
		Use:   "transfers",
		Short: "Show the public record of transfers; with -o json it is a RIR's transfer log",
		Long: "Shows the transfers that are over and, in 4.1, those between RIRs that are in progress. With -o json it is the file that the daemon serves\n" +
			"at /transfers/REGISTRY/transfers_latest.json (4.1) and transfers_latest_4.0.json; without --registry that of all, as the NRO's.",
		Example: "  cadastre holdings transfers\n  cadastre holdings transfers --registry afrinic --format 4.0 -o json > transfers_latest.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := ask[api.TransferLog, json.RawMessage](cmd.Context(), g, "/holdings/transfers", q)
			if err != nil {
				return err
			}
			log, err := holdings.ParseTransferLog(text)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), text, func(w io.Writer) { printTransferLog(w, log) })
		},
	}
	cmd.Flags().StringVar(&q.Registry, "registry", "", "a RIR; all where none is named")
	cmd.Flags().StringVar(&q.Format, "format", holdings.TransferLog41, "of -o json: 4.0, or 4.1 with what is in progress")
	return cmd
}

func printTransferLog(w io.Writer, log *holdings.TransferLog) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DATE\tTYPE\tFROM\tTO\tRESOURCES")
	for _, e := range log.Transfers {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", e.Transferred.Format(time.RFC3339), e.Type, partyText(e.SourceRIR, e.Source), partyText(e.RecipientRIR, e.Recipient), shortened(e.Resources.String(), 90))
	}
	for _, e := range log.InProgress {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", e.Status, e.Type, partyText(e.SourceRIR, e.Source), partyText(e.RecipientRIR, e.Recipient), shortened(e.Resources.String(), 90))
	}
	_ = table.Flush()
}

func partyText(rir string, p holdings.LogParty) string {
	if p.Name == "" {
		return rir
	}
	return p.Name + ", " + rir
}

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
func (h *installation) rirs() (rirs []string, err error) {
	err = h.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
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
