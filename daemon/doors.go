package daemon

import (
	"net/http"
	"sync/atomic"

	"cadastre/internal/peer"
)

// doorway is where peers' messages come in. What is published is served before the keys are opened, but a reply is
// signed: until then peers are asked to come again.
type doorway struct{ doors atomic.Pointer[http.Handler] }

func (d *doorway) mount(mux *http.ServeMux) {
	mux.Handle("/rfc6492/", d)
	mux.Handle("/rfc8181/", d)
	mux.Handle("/transfers/", d)
}

func (d *doorway) open(doors http.Handler) { d.doors.Store(&doors) }

func (d *doorway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if doors := d.doors.Load(); doors != nil {
		(*doors).ServeHTTP(w, r)
		return
	}
	w.Header().Set("Retry-After", "10")
	w.Header().Set("Connection", "close") // what comes is not read
	http.Error(w, "the keys are not opened yet; come again", http.StatusServiceUnavailable)
}

// openDoors has the engine answer peers, once its keys are open; refused is told which messages get no signed reply.
func (d *Directory) openDoors(way *doorway, traceDir string, refused func(handle, why string)) error {
	var tracer *peer.Tracer
	if traceDir != "" {
		var err error
		if tracer, err = peer.NewTracer(traceDir); err != nil {
			return err
		}
	}
	d.Engine.Federation.Trace, d.Mover.Trace = tracer, tracer
	authorities, err := d.Engine.Federation.Doors(tracer, refused)
	if err != nil {
		return err
	}
	transfers, err := d.Mover.Doors(refused)
	if err != nil {
		return err
	}
	doors := http.NewServeMux()
	doors.Handle("/", authorities)
	doors.Handle("/transfers/", transfers)
	way.open(doors)
	return nil
}
