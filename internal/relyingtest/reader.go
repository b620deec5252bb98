// Package relyingtest is a relying party for tests of what publishes: it takes each serial of each repository the moment it is out,
// and looks at the whole with the strict validator. It is for tests alone.
package relyingtest

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"pgregory.net/rapid"

	"cadastre/internal/fault"
	"cadastre/internal/validate"
	"cadastre/rrdp"
)

// Publisher publishes below a trust anchor, as ca.Engine does.
type Publisher interface {
	TAL() (string, error)
	Anchor() ([]byte, error)                   // its certificate, DER
	Repositories() map[string]*rrdp.Repository // by registry
}

// Reader takes each serial of each repository the moment it is out, in the order in which they come, and validates all there is
// after each. What is wrong fails the test. It is a ca.Observer: whoever publishes tells it.
type Reader struct {
	t    rapid.TB
	root string // the registry in whose repository the trust anchor publishes

	mu       sync.Mutex // guards what follows; exported methods take it
	from     Publisher
	restored bool
	files    map[string]map[string][]byte // by repository and URI
	sessions map[string]string
	serials  map[string]uint64
	memo     *validate.Memo
	last     *validate.Result
	wanted   map[string]bool     // by ledger and book since the last decision
	must     map[string]bool     // VRPs that every serial has to have
	numbers  map[string]*big.Int // of the newest manifest, by its URI

	failed  bool
	rest    bool // take serials and do not look at them
	reads   int  // how many serials were looked at
	refused map[fault.Kind]int
	batches int

	AfterBatch func() // is called after each batch, if set; set it before anything is published
}

// FarAway is where CAs elsewhere say that they publish, and do not. What is missing there is not wrong.
const FarAway = "rsync://elsewhere.example/"

// New is a relying party that has fetched nothing yet. The trust anchor publishes in the repository of the root.
func New(t rapid.TB, root string) *Reader {
	return &Reader{
		t: t, root: root, files: map[string]map[string][]byte{}, sessions: map[string]string{}, serials: map[string]uint64{},
		memo: validate.NewMemo(), must: map[string]bool{}, numbers: map[string]*big.Int{}, refused: map[fault.Kind]int{},
	}
}

// Findings implements ca.Observer.
func (r *Reader) Findings(int) {}

// Remaining implements ca.Observer.
func (r *Reader) Remaining(int) {}

// Refused implements ca.Observer: it counts.
func (r *Reader) Refused(kind fault.Kind) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused[kind]++
}

// Refusals is how often it was told that something of a kind was refused; without a kind, that anything was.
func (r *Reader) Refusals(kinds ...fault.Kind) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for kind, times := range r.refused {
		if len(kinds) == 0 || slices.Contains(kinds, kind) {
			n += times
		}
	}
	return n
}

// Pause has the reader take serials without looking at them, or look again.
func (r *Reader) Pause(yes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest = yes
}

// Signed implements ca.Observer.
func (r *Reader) Signed(int, time.Duration) {
	r.mu.Lock()
	r.batches++
	r.mu.Unlock()
	if r.AfterBatch != nil {
		r.AfterBatch()
	}
}

// Published implements ca.Observer: it takes the new serial, and validates all there is.
func (r *Reader) Published(registry string, serial uint64, _ time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fetch(registry) && !r.rest {
		r.look(fmt.Sprintf("serial %d of %s", serial, registry))
	}
}

// fail notes what is wrong, once: the engine goes on, and what is wrong now will be for a while.
func (r *Reader) fail(format string, args ...any) {
	r.t.Helper()
	if !r.rest {
		r.t.Errorf(format, args...)
	}
	r.rest, r.failed = true, true
}

// Forgive has the reader look again after a time in which something was wrong on purpose.
func (r *Reader) Forgive() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest, r.failed = false, false
}

// Follow has the relying party follow who publishes from now on, after a start, and reads what came out while nobody was told, as in
// a crash. After a restored backup, new sessions are no fault.
func (r *Reader) Follow(from Publisher, restored bool) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.from, r.restored = from, restored
	news := false
	for registry := range from.Repositories() {
		news = r.fetch(registry) || news
	}
	if news && !r.rest {
		r.look("the start")
	}
}

// fetch brings a repository to its current serial, and tells whether it is a new one.
func (r *Reader) fetch(registry string) bool {
	view, ok := r.from.Repositories()[registry].View()
	if ok && r.sessions[registry] != "" && r.sessions[registry] != view.Session && !r.restored {
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
		r.ok(err)
		files[o.URI] = der
	}
	for _, uri := range withdrawn {
		delete(files, uri)
	}
	r.files[registry], r.sessions[registry], r.serials[registry] = files, view.Session, view.Serial
	return true
}

// Point implements validate.Source.
func (r *Reader) Point(context.Context, validate.Place) (validate.Point, error) { return r, nil }

// Get implements validate.Point.
func (r *Reader) Get(uri string) ([]byte, bool) {
	for _, files := range r.files {
		if der, ok := files[uri]; ok {
			return der, true
		}
	}
	return nil, false
}

// Read validates everything, although the reader may be at rest, and looks for what must not be.
func (r *Reader) Read(when string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.look(when)
}

func (r *Reader) look(when string) {
	r.t.Helper()
	r.reads++
	tal, err := r.from.TAL()
	r.ok(err)
	locator, _ := validate.ParseTAL([]byte(tal), validate.P256)
	anchor, err := r.from.Anchor()
	r.ok(err)
	r.last = validate.Tree(context.Background(), locator, anchor, r, validate.Options{P256: true, Memo: r.memo})
	if r.unborn() {
		return
	}
	ours := slices.DeleteFunc(slices.Clone(r.last.Findings), func(f validate.Finding) bool { return strings.HasPrefix(f.URI, FarAway) })
	if len(ours) > 0 {
		r.fail("at %s the validator finds %v", when, ours)
	}
	r.olderManifests(when)
	found := r.found()
	for vrp := range r.must {
		if _, ok := slices.BinarySearch(found, vrp); !ok {
			r.fail("at %s a bystander's VRP or ASPA is missing: %s", when, vrp)
		}
	}
	for _, vrp := range found {
		if r.wanted[vrp] {
			r.must[vrp] = true
		}
	}
}

// unborn tells whether the trust anchor has not published yet, as before the first serial of the root's repository.
func (r *Reader) unborn() bool { return len(r.files[r.root]) == 0 }

// olderManifests looks for manifests whose number or time did not grow.
func (r *Reader) olderManifests(when string) {
	for _, a := range r.last.Authorities {
		if last := r.numbers[a.ManifestURI]; last != nil && a.ManifestNumber.Cmp(last) < 0 {
			r.fail("at %s the manifest %s has the number %s after %s", when, a.ManifestURI, a.ManifestNumber, last)
		}
		r.numbers[a.ManifestURI] = a.ManifestNumber
	}
}

// Orphans looks for objects that no valid manifest leads to. Between the serials of two repositories there may be some.
func (r *Reader) Orphans() {
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

// VRPs is what the last reading found, ASPAs too, as 'cadastre vrps' and 'cadastre aspas' print it, sorted.
func (r *Reader) VRPs() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.found()
}

func (r *Reader) found() []string {
	if r.last == nil {
		return nil
	}
	var says []string
	for _, v := range r.last.VRPs {
		says = append(says, v.String())
	}
	for _, v := range r.last.VAPs {
		says = append(says, v.String())
	}
	slices.Sort(says)
	return slices.Compact(says)
}

// Insist has every further serial keep those VRPs and ASPAs that were found since the last decision and are wanted still.
func (r *Reader) Insist(wanted map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wanted = wanted
	maps.DeleteFunc(r.must, func(vrp string, _ bool) bool { return !wanted[vrp] })
}

// Last is the last reading; nil before the first.
func (r *Reader) Last() *validate.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Failed tells whether anything was wrong.
func (r *Reader) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// Reads is how many serials were looked at.
func (r *Reader) Reads() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reads
}

// Batches is how many batches were signed.
func (r *Reader) Batches() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.batches
}

// Number is that of the newest manifest that was seen at a URI.
func (r *Reader) Number(manifestURI string) *big.Int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.numbers[manifestURI]
}

// Publication is what a CA publishes, by its certificate, as it was fetched last.
func (r *Reader) Publication(ctx context.Context, certificate []byte) (*validate.Published, []validate.Finding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return validate.Publication(ctx, certificate, r, validate.Options{P256: true})
}

func (r *Reader) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}
