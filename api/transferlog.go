package api

import (
	"context"
	"encoding/json"

	"cadastre/internal/principal"
)

// TransferLog asks for the public log of transfers, in a format of RIRs' transfer logs: of one RIR, or of all.
type TransferLog struct {
	Registry string `json:"registry,omitempty"`
	Format   string `json:"format"` // "4.0" or "4.1"
}

func (s server) transferLog(mux *router) {
	handle(mux, principal.Read, "/holdings/transfers", func(_ context.Context, q TransferLog) (json.RawMessage, error) {
		log, err := s.engine.TransferLog(q.Registry)
		if err != nil {
			return nil, err
		}
		return log.JSON(q.Format)
	})
}
