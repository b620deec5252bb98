package ca

import (
	"cadastre/holdings"
	"cadastre/internal/store"
)

// History tells who held something in the past and holds it now, and by which decisions.
func (e *Engine) History(q holdings.HistoryQuery) ([]holdings.Tenure, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	var out []holdings.Tenure
	err := e.store.View(func(r store.Reader) (err error) {
		out, err = e.ledger.History(r, q)
		return err
	})
	return out, err
}

// TransferLog is the public log of the transfers of a RIR; without a RIR, of all.
func (e *Engine) TransferLog(rir string) (*holdings.TransferLog, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	var out *holdings.TransferLog
	err := e.store.View(func(r store.Reader) error {
		founding, err := holdings.ReadDecision(r, 1)
		if err != nil {
			return err
		}
		out, err = e.ledger.TransferLog(rir, founding.Time)
		return err
	})
	return out, err
}

// Decisions lists the decisions from a number on, and says in words what each did.
func (e *Engine) Decisions(from uint64) ([]holdings.Told, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	out := []holdings.Told{}
	err := e.store.View(func(r store.Reader) error {
		for d, err := range holdings.Decisions(r, from) {
			if err != nil {
				return err
			}
			told, err := e.ledger.Tell(r, d)
			if err != nil {
				return err
			}
			out = append(out, told)
		}
		return nil
	})
	return out, err
}

// LastDecision is the number of the newest decision.
func (e *Engine) LastDecision() uint64 {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.ledger.LastDecision()
}
