package ca

import "context"

// Compact removes from the repositories what no reader can ask for any more, one repository after the other. The engine may run
// meanwhile.
func (e *Engine) Compact(ctx context.Context) error {
	return e.repositories.Compact(ctx, runner{issuing{e}}.Registries())
}
