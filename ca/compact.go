package ca

import (
	"context"

	"cadastre/rrdp"
)

// Compact removes from the repositories what no reader can ask for any more, one repository after the other. The engine may run
// meanwhile.
func (e *Engine) Compact(ctx context.Context) error {
	e.writing.Lock()
	defer e.writing.Unlock()
	for _, registry := range e.bottomUp() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if e.repositories[registry].Damage() != nil {
			continue
		}
		b, err := e.repositories[registry].Compact()
		if err != nil {
			return err
		}
		if b == nil {
			continue
		}
		if err := e.commitBatches([]*rrdp.Batch{b}, nil); err != nil {
			return err
		}
	}
	return nil
}
