package moves

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/peer"
	"cadastre/internal/store"
	"cadastre/internal/transferwire"
)

// reportBucket keeps the newest report of the other side about each transfer, by peer, 0 and ref.
var reportBucket = store.Declare("transfer-word", "moves", store.Deposited)

// peerReport is the newest report of the other side about a transfer.
type peerReport struct {
	Signed time.Time `json:"signed"` // by the clock of the other side
	Heard  time.Time `json:"heard"`  // by ours
	XML    []byte    `json:"xml"`
	// Called tells whether it came with a call of the other side; otherwise it came as the answer to our call. Unsure tells that another
	// report was signed in the same second and came the other way. Nobody knows then which is newer, so the other side is asked again.
	Called bool `json:"called,omitempty"`
	Unsure bool `json:"unsure,omitempty"`

	message transferwire.Message
}

func reportKey(peer, ref string) string { return peer + "\x00" + ref }

// peerReportOf is the newest report of a peer about a transfer; nil where there is none.
func (m *Mover) peerReportOf(peer, ref string) (*peerReport, error) {
	key := reportKey(peer, ref)
	m.mu.Lock()
	defer m.mu.Unlock()
	if w, known := m.reports[key]; known {
		return w, nil
	}
	var w *peerReport
	err := m.engine.Kept(func(r store.Reader) error {
		text, err := r.Get(reportBucket, []byte(key))
		if text == nil || err != nil {
			return err
		}
		w = &peerReport{}
		return json.Unmarshal(slices.Clone(text), w)
	})
	if err == nil && w != nil {
		w.message, err = transferwire.Parse(w.XML)
	}
	if err != nil {
		return nil, fault.New(fault.Corrupt, "what %s said of transfer %s is damaged (%w): restore the store from a backup", peer, ref, err)
	}
	m.reports[key] = w
	return w, nil
}

// hear keeps a peer's report about a transfer that is known here, and when it was signed. The report is durable before anything follows
// from it. Called tells whether it came with a call of the peer, or as the answer to ours. A report older than the one before changes
// nothing. It fails with Refused where the peer has used up its allowance.
func (m *Mover) hear(name string, message transferwire.Message, stamp peer.Stamp, called bool) error {
	ref, signed := message.Subject(), stamp.Signed
	was, err := m.peerReportOf(name, ref)
	if err != nil {
		return err
	}
	w := &peerReport{Signed: signed.UTC(), Heard: time.Now().UTC(), XML: message.XML(), Called: called, message: message}
	stale := was != nil && signed.Before(was.Signed)
	again := was != nil && bytes.Equal(was.XML, w.XML)
	w.Unsure = was != nil && signed.Equal(was.Signed) && (was.Called != called || was.Unsure) && !again
	if !stale && !again {
		if err := m.allowances.spend(name, len(w.XML), w.Heard); err != nil {
			return err
		}
	}
	err = m.changeKnown(name, func(p *Peer) error {
		if called && p.calls().Again(stamp) {
			return peer.ErrAgain
		}
		p.note(stamp, called)
		return nil
	}, func(s store.Writer) error {
		if stale || again && was.Called == w.Called && was.Unsure == w.Unsure {
			return nil // the record in the store stays as it is
		}
		text, err := json.Marshal(w)
		if err != nil {
			return err
		}
		return s.Put(reportBucket, []byte(reportKey(name, ref)), text)
	})
	if err != nil || stale {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reports[reportKey(name, ref)] = w
	return nil
}

// source is the newest report of the source of a transfer that comes here; nil where there is none.
func (w *peerReport) source() *transferwire.Source {
	if w == nil {
		return nil
	}
	s, _ := w.message.(*transferwire.Source)
	return s
}

// recipient is the newest report of the recipient's side of a transfer that goes elsewhere; nil where there is none.
func (w *peerReport) recipient() *transferwire.Recipient {
	if w == nil {
		return nil
	}
	r, _ := w.message.(*transferwire.Recipient)
	return r
}
