package ca

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/validate"
)

// reader is a relying party that takes each serial of each repository the moment it is out, in the order in which they
// come, and looks at the whole with the strict validator. It is the engine's Observer.
type reader struct {
	house  *house
	engine *Engine

	mu       sync.Mutex                   // guards what follows, and is held by the methods that others call
	files    map[string]map[string][]byte // by repository and URI
	sessions map[string]string
	serials  map[string]uint64
	memo     *validate.Memo
	last     *validate.Result
	wanted   map[string]bool     // by ledger and book since the last decision
	must     map[string]bool     // VRPs that every serial has to have
	numbers  map[string]*big.Int // of the newest manifest, by its URI

	failed  bool
	signed  func() // is called after each batch, if set
	rest    bool   // take serials and do not look at them
	reads   int    // how many serials were looked at
	refused map[fault.Kind]int
	batches int
}

// farAway is where CAs elsewhere say that they publish, and do not.
const farAway = "rsync://elsewhere.example/"

func newReader(h *house, e *Engine) *reader {
	return &reader{
		house: h, engine: e, files: map[string]map[string][]byte{}, sessions: map[string]string{}, serials: map[string]uint64{},
		memo: validate.NewMemo(), must: map[string]bool{}, numbers: map[string]*big.Int{}, refused: map[fault.Kind]int{},
	}
}

// Signed and the following implement Observer.
func (r *reader) Findings(int)  {}
func (r *reader) Remaining(int) {}

func (r *reader) Refused(kind fault.Kind) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused[kind]++
}

// refusals is how often the engine said that something of a kind was refused.
func (r *reader) refusals(kind fault.Kind) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused[kind]
}

// pause has the reader take serials without looking at them, or look again.
func (r *reader) pause(yes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest = yes
}

func (r *reader) Signed(int, time.Duration) {
	if r.batches++; r.signed != nil {
		r.signed()
	}
}

func (r *reader) Published(registry string, serial uint64, _ time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fetch(registry) && !r.rest {
		r.look(fmt.Sprintf("serial %d of %s", serial, registry))
	}
}

// fail notes what is wrong, once: the engine goes on, and what is wrong now will be for a while.
func (r *reader) fail(format string, args ...any) {
	r.house.Helper()
	if !r.rest {
		r.house.Errorf(format, args...)
	}
	r.rest, r.failed = true, true
}

// forgive has the reader look again after a time in which something was wrong on purpose.
func (r *reader) forgive() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest, r.failed = false, false
}

// catchUp reads what came out while nobody was told, as in a crash.
func (r *reader) catchUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	news := false
	for _, registry := range r.engine.publicationOrder() {
		news = r.fetch(registry) || news
	}
	if news && !r.rest {
		r.look("the start")
	}
}

// fetch brings a repository to its current serial, and tells whether it is a new one.
func (r *reader) fetch(registry string) bool {
	view, ok := r.engine.repositories[registry].View()
	if ok && r.sessions[registry] != "" && r.sessions[registry] != view.Session && !r.house.restored {
		r.fail("%s has begun a new session for no reason", registry)
	}
	if !ok || r.sessions[registry] == view.Session && r.serials[registry] == view.Serial {
		return false
	}
	files, old := r.files[registry], r.serials[registry]
	changed, withdrawn, ok := view.Since(old)
	if !ok || r.sessions[registry] != view.Session {
		files, changed, withdrawn = map[string][]byte{}, slices.Collect(view.All()), nil
	}
	for _, o := range changed {
		der, err := view.Read(o)
		must(r.house, err)
		files[o.URI] = der
	}
	for _, uri := range withdrawn {
		delete(files, uri)
	}
	r.files[registry], r.sessions[registry], r.serials[registry] = files, view.Session, view.Serial
	return true
}

// Point implements validate.Source, and Get validate.Point.
func (r *reader) Point(context.Context, validate.Place) (validate.Point, error) { return r, nil }

func (r *reader) Get(uri string) ([]byte, bool) {
	der, ok := r.files[r.engine.moduleOf(uri)][uri]
	return der, ok
}

// read validates everything, although the reader may be at rest, and looks for what must not be.
func (r *reader) read(when string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.look(when)
}

func (r *reader) look(when string) {
	r.house.Helper()
	r.reads++
	tal, err := r.engine.TAL()
	must(r.house, err)
	locator, _ := validate.ParseTAL([]byte(tal), validate.P256)
	anchor, err := r.engine.Anchor()
	must(r.house, err)
	r.last = validate.Tree(context.Background(), locator, anchor, r, validate.Options{P256: true, Memo: r.memo})
	if r.unborn() {
		return
	}
	ours := slices.DeleteFunc(slices.Clone(r.last.Findings), func(f validate.Finding) bool { return strings.HasPrefix(f.URI, farAway) })
	if len(ours) > 0 {
		r.fail("at %s the validator finds %v", when, ours)
	}
	r.olderManifests(when)
	found := r.found()
	for vrp := range r.must {
		if _, ok := slices.BinarySearch(found, vrp); !ok {
			r.fail("at %s a bystander's VRP is missing: %s", when, vrp)
		}
	}
	for _, vrp := range found {
		if r.wanted[vrp] {
			r.must[vrp] = true
		}
	}
}

// unborn tells whether the trust anchor has not published yet, as before the first serial of the root's repository.
func (r *reader) unborn() bool { return len(r.files[r.engine.ledger.Root()]) == 0 }

// olderManifests looks for manifests whose number or time did not grow.
func (r *reader) olderManifests(when string) {
	for _, a := range r.last.Authorities {
		if last := r.numbers[a.ManifestURI]; last != nil && a.ManifestNumber.Cmp(last) < 0 {
			r.fail("at %s the manifest %s has the number %s after %s", when, a.ManifestURI, a.ManifestNumber, last)
		}
		r.numbers[a.ManifestURI] = a.ManifestNumber
	}
}

// orphans looks for objects that no valid manifest leads to. Between the serials of two repositories there may be some.
func (r *reader) orphans() {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, files := range r.files {
		n += len(files)
	}
	if valid := r.last.Objects - 1; n != valid { // the trust anchor's certificate is in no repository
		r.fail("%d objects are published and %d are valid", n, valid)
	}
}

// vrps is what the last reading found, as 'cadastre vrps' prints it.
func (r *reader) vrps() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.found()
}

func (r *reader) found() []string {
	if r.last == nil {
		return nil
	}
	return textOf(r.last.VRPs)
}

// insist has every further serial keep those VRPs that were found since the last decision and are wanted still.
func (r *reader) insist(wanted map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wanted = wanted
	maps.DeleteFunc(r.must, func(vrp string, _ bool) bool { return !wanted[vrp] })
}
