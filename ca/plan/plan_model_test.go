package plan

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"

	"cadastre/aspa"
	"cadastre/ca/issued"
	"cadastre/holdings"
	"cadastre/internal/inr"
	"cadastre/internal/object"
	"cadastre/internal/payload"
	"cadastre/roa"
)

// world is what a plan is made from, without any cryptography: a real ledger and a real book, and what plans have issued
// so far. It is a view.
type world struct {
	*holdings.Ledger
	book   *roa.Book
	policy issued.Policy
	now    time.Time
	issued map[issued.Name]*issued.Records
	names  int
	sheets map[string]folders // what each repository has published
	rolls  map[string]Roll    // by organisation

	offline, quarantined map[issued.Name]bool
}

// folders is what one repository shows: the folder of each authority in it.
type folders map[issued.Name]folder

// folder is what an authority's manifest lists. It is not changed once it is published.
type folder struct {
	certificates map[issued.Name]inr.Set // by the authority certified
	roas         map[string]roa.VRP      // by file name
	aspas        map[string]aspa.VAP     // by file name
}

func newWorld(l *holdings.Ledger, b *roa.Book, now time.Time) *world {
	w := &world{Ledger: l, book: b, policy: issued.DefaultPolicy(), now: now, issued: map[issued.Name]*issued.Records{}, sheets: map[string]folders{}, rolls: map[string]Roll{}}
	w.policy.Jitter, w.policy.Soak = 0, 0
	w.issued[issued.Anchor] = &issued.Records{
		Authority: issued.Authority{Name: issued.Anchor, Holder: issued.AnchorHolder, CertSerial: big.NewInt(1), Certified: inr.Everything(), CertExpires: now.Add(issued.AnchorLife.Life), NextUpdate: now.Add(90 * issued.Day)},
		Products:  map[string]issued.Product{},
	}
	w.publish(issued.Anchor)
	return w
}

// active is the authority of an organisation that issues.
func (w *world) active(holder string) issued.Name {
	return issued.Name{Holder: holder, Generation: w.rolls[holder].Active}
}

func (w *world) Parent(authority issued.Name) issued.Name {
	if o, _ := w.Organisation(authority.Holder); o.Parent != "" {
		return w.active(o.Parent)
	}
	return issued.Anchor
}

func (w *world) Kind(authority issued.Name) holdings.Kind {
	o, _ := w.Organisation(authority.Holder)
	return o.Kind
}

func (w *world) Registry(authority issued.Name) string {
	if authority == issued.Anchor {
		return w.Root()
	}
	return w.Ledger.Registry(authority.Holder)
}

func (w *world) Depth(authority issued.Name) int { return w.Ledger.Depth(authority.Holder) }
func (w *world) Moving(authority issued.Name) bool {
	return w.Ledger.Moving(authority.Holder)
}

func (w *world) Entitled(authority issued.Name) inr.Set {
	held := w.Holding(authority.Holder)
	if is := w.issued[authority]; is != nil && !w.Successor(authority).IsZero() {
		return is.Certified.Intersect(held)
	}
	return held
}

func (w *world) Authorised(authority issued.Name, within inr.Set) []payload.Payload {
	if authority != w.active(authority.Holder) {
		return nil
	}
	return w.book.Authorised(authority.Holder, w.Holding(authority.Holder).Intersect(within), w.Leaving(authority.Holder))
}

func (w *world) Authorities(holder string) []issued.Name {
	n := issued.Name{Holder: holder}
	names := map[issued.Name]bool{w.active(holder): true}
	if n.Generation = w.rolls[holder].Next; n.Generation != 0 {
		names[n] = true
	}
	for authority := range w.issued {
		if authority.Holder == holder {
			names[authority] = true
		}
	}
	return slices.SortedFunc(maps.Keys(names), issued.Name.Compare)
}

// have is the authorities of an organisation that there are.
func (w *world) have(holder string) []issued.Name {
	return slices.DeleteFunc(w.Authorities(holder), func(authority issued.Name) bool { return w.issued[authority] == nil })
}

func (w *world) Successor(n issued.Name) issued.Name {
	if w.rolls[n.Holder].Retired(n.Generation) {
		return w.active(n.Holder)
	}
	return issued.Name{}
}

func (w *world) Lingers(authority issued.Name) time.Duration {
	return w.rolls[authority.Holder].Soak
}

// roll begins a key roll of an organisation, where it has a key and none is under way. It tells whether it did.
func (w *world) roll(holder string, soak time.Duration) bool {
	roll := w.rolls[holder]
	if w.issued[w.active(holder)] == nil || roll.Next != 0 {
		return false
	}
	roll.Next, roll.Soak, roll.Staged = roll.Active+1, soak, time.Time{}
	w.rolls[holder] = roll
	return true
}

// turn has the key rolls go on that can, and says when the next may.
func (w *world) turn() (next time.Time) {
	for holder, roll := range w.rolls {
		if on := Advanced(w, &w.policy, issued.Name{Holder: holder}, &roll, w.now); on != nil {
			w.rolls[holder] = *on
		}
		roll = w.rolls[holder]
		next = issued.Sooner(RollDue(w, &w.policy, issued.Name{Holder: holder}, &roll, w.now), next)
	}
	return next
}

func (w *world) Received(issued.Name) *Received { return nil }
func (w *world) Asked(issued.Name) *Request     { return nil }
func (w *world) Holdback(issued.Name) time.Time { return time.Time{} }
func (w *world) Unsent(issued.Name) bool        { return false }

func (w *world) Issued(name issued.Name) *issued.Records { return w.issued[name] }
func (w *world) Offline(name issued.Name) bool           { return w.offline[name] }
func (w *world) InQuarantine(name issued.Name) bool      { return w.quarantined[name] }

// all is every organisation and the trust anchor: the set that a start plans for.
func (w *world) all() []string { return append([]string{issued.AnchorHolder}, w.Organisations()...) }

// create makes the record of a new authority.
func (w *world) create(authority issued.Name) {
	w.names++
	key := object.KeyIdentifier{}
	big.NewInt(int64(w.names)).FillBytes(key[:])
	holder := authority.Holder
	w.issued[authority] = &issued.Records{
		Authority: issued.Authority{Name: authority, Holder: holder, Path: holder, CertSerial: big.NewInt(1), Issuer: w.Parent(authority), Repository: w.Registry(authority), KeyID: key},
		Products:  map[string]issued.Product{},
	}
}

// do carries out one update.
func (w *world) do(u Update) {
	own := w.issued[u.Name]
	for _, name := range u.Withdraw {
		product := own.Products[name]
		if _, is := product.Payload(); is {
			own.Shed = w.now
		}
		delete(own.Products, name)
	}
	for _, name := range u.Revoke {
		delete(own.Products, w.issued[name].CertificateName())
		delete(w.issued, name)
		w.publish(name)
	}
	for _, name := range u.Release {
		delete(own.Products, name)
		own.Shed = w.now
	}
	for _, says := range u.Authorise {
		w.names++
		name := fmt.Sprintf("%d.roa", w.names)
		own.Products[name] = issued.Product{Name: name, Says: says, Expires: issued.Earlier(w.now.Add(w.policy.ROA.Life), own.CertExpires)}
	}
	for _, order := range u.Certify {
		w.certify(own, w.issued[order.Name], order)
	}
	life, _ := w.policy.ManifestLifeOf(u.Name, 0)
	own.NextUpdate = w.now.Add(life)
	own.Number++
	w.publish(u.Name)
}

func (w *world) certify(own, child *issued.Records, order Certify) {
	if order.Resources.Empty() {
		panic(fmt.Sprintf("%s certifies %s for nothing", own.Name, order.Name)) // RFC 6487, section 4.8.10
	}
	if child.Issuer == own.Name && !order.Resources.Contains(child.Certified) {
		own.Shed = w.now
	}
	child.Issuer = own.Name
	child.NoteCertified(order.Resources, w.now, w.now.Add(-w.policy.Soak))
	child.CertExpires = issued.Earlier(w.now.Add(w.policy.LifetimeOf(w.Kind(order.Name)).Life), own.CertExpires)
	name := child.CertificateName()
	own.Products[name] = issued.Product{Name: name, Says: order.Name, Expires: child.CertExpires}
}

// publish shows the folder of an authority as it is now. Readers keep what they had: the maps are new.
func (w *world) publish(name issued.Name) {
	repository := w.Registry(name)
	sheet := maps.Clone(w.sheets[repository])
	if sheet == nil {
		sheet = folders{}
	}
	w.sheets[repository] = sheet
	is := w.issued[name]
	if is == nil {
		delete(sheet, name)
		return
	}
	f := folder{map[issued.Name]inr.Set{}, map[string]roa.VRP{}, map[string]aspa.VAP{}}
	for file, p := range is.Products {
		switch says := p.Says.(type) {
		case issued.Name:
			f.certificates[says] = w.issued[says].Certified
		case roa.VRP:
			f.roas[file] = says
		case aspa.VAP:
			f.aspas[file] = says
		}
	}
	sheet[name] = f
}

// doBatch carries out a batch: new authorities are there for the certificates that others issue to them, as in issue.
func (w *world) doBatch(updates []Update) {
	for _, u := range updates {
		if u.Create {
			w.create(u.Name)
		}
	}
	for _, u := range updates {
		w.do(u)
	}
}

// snapshot is what all repositories show at one time.
func (w *world) snapshot() map[string]folders { return maps.Clone(w.sheets) }

// reading is what a strict relying party makes of a state.
type reading struct {
	vrps     map[roa.VRP]bool
	aspas    map[string]bool // as text
	over     []string        // certificates and ROAs that name more than their issuer has
	missing  []issued.Name   // authorities with a certificate and no folder
	orphaned []issued.Name   // folders that no certificate leads to
}

// read walks from the trust anchor, as RFC 6487 has it: what exceeds its issuer is not valid, nor is anything below.
func (w *world) read(state map[string]folders) reading {
	r := reading{vrps: map[roa.VRP]bool{}, aspas: map[string]bool{}}
	seen := map[issued.Name]bool{}
	var walk func(holder issued.Name, certified inr.Set)
	walk = func(holder issued.Name, certified inr.Set) {
		seen[holder] = true
		f, ok := state[w.Registry(holder)][holder]
		if !ok {
			r.missing = append(r.missing, holder)
			return
		}
		for name, vrp := range f.roas {
			if !certified.ContainsPrefix(vrp.Prefix) {
				r.over = append(r.over, fmt.Sprintf("%s of %s for %s", name, holder, vrp))
				continue
			}
			r.vrps[vrp] = true
		}
		for name, vap := range f.aspas {
			if !certified.Contains(inr.OfAS(vap.Customer, vap.Customer)) {
				r.over = append(r.over, fmt.Sprintf("%s of %s for %s", name, holder, vap))
				continue
			}
			r.aspas[vap.String()] = true
		}
		for child, resources := range f.certificates {
			if !certified.Contains(resources) {
				r.over = append(r.over, fmt.Sprintf("the certificate of %s by %s", child, holder))
				seen[child] = true
				continue
			}
			walk(child, resources)
		}
	}
	walk(issued.Anchor, inr.Everything())
	for _, sheet := range state {
		for name := range sheet {
			if !seen[name] {
				r.orphaned = append(r.orphaned, name)
			}
		}
	}
	return r
}

// vrps is what an organisation has authorised.
func (w *world) vrps(holder string) []roa.VRP {
	return ofType[roa.VRP](w.Authorised(w.active(holder), w.Holding(holder)))
}

// above is the organisation directly above another one.
func (w *world) above(holder string) string { return w.Parent(issued.Name{Holder: holder}).Holder }

// wanted is the VRPs that ledger and book ask for.
func (w *world) wanted() map[roa.VRP]bool {
	vrps := map[roa.VRP]bool{}
	for _, holder := range w.Organisations() {
		for _, v := range w.vrps(holder) {
			vrps[v] = true
		}
	}
	return vrps
}

// wantedASPAs is the ASPAs that ledger and book ask for, as text.
func (w *world) wantedASPAs() map[string]bool {
	aspas := map[string]bool{}
	for _, holder := range w.Organisations() {
		for _, v := range ofType[aspa.VAP](w.Authorised(w.active(holder), w.Holding(holder))) {
			aspas[v.String()] = true
		}
	}
	return aspas
}

// promised is what every reader has to find until a plan is at its end.
type promised struct {
	vrps  map[roa.VRP]bool
	aspas map[string]bool
}

// execute takes a plan to its end, batches of at most limit keys, and says what was wrong on the way: for a reader who
// sees each serial as it comes out, and for one who holds any of the repositories as it was one batch ago.
func (w *world) execute(waves []Wave, limit int) error {
	before := w.snapshot()
	found, after, aspas := w.read(before), w.wanted(), w.wantedASPAs()
	maps.DeleteFunc(found.vrps, func(v roa.VRP, _ bool) bool { return !after[v] })
	maps.DeleteFunc(found.aspas, func(v string, _ bool) bool { return !aspas[v] })
	keep := promised{found.vrps, found.aspas}
	for _, wave := range waves {
		for _, updates := range wave.Chunks(limit) {
			w.doBatch(updates)
			now := w.snapshot()
			if err := w.publishedInOrder(before, now, wave.Step, keep); err != nil {
				return fmt.Errorf("in wave %s %d: %w", wave.Step, wave.Depth, err)
			}
			if err := w.mixed(before, now, keep); err != nil {
				return fmt.Errorf("in wave %s %d, for a reader who is late: %w", wave.Step, wave.Depth, err)
			}
			before = now
		}
	}
	return nil
}

// publishedInOrder looks at the state after each repository that comes out, in the order of publishInOrder.
func (w *world) publishedInOrder(before, now map[string]folders, step Step, keep promised) error {
	state := maps.Clone(before)
	order := slices.SortedFunc(maps.Keys(now), func(a, b string) int { return w.Ledger.Depth(b) - w.Ledger.Depth(a) })
	if step == Shrink {
		slices.Reverse(order)
	}
	for _, repository := range order {
		state[repository] = now[repository]
		r := w.read(state)
		switch {
		case len(r.over) > 0:
			return fmt.Errorf("after %s is out, more than its issuer has is named by %v", repository, r.over)
		case len(r.missing) > 0:
			return fmt.Errorf("after %s is out, there is no folder for %v", repository, r.missing)
		}
		if err := kept(keep, r); err != nil {
			return fmt.Errorf("after %s is out, %w", repository, err)
		}
	}
	if r := w.read(now); len(r.orphaned) > 0 {
		return fmt.Errorf("nothing leads to %v", r.orphaned)
	}
	return nil
}

// mixed looks at every state in which some repositories are as they were and the others as they are.
func (w *world) mixed(before, now map[string]folders, keep promised) error {
	repositories := slices.Sorted(maps.Keys(now))
	for some := range 1 << len(repositories) {
		state := maps.Clone(now)
		var old []string
		for i, repository := range repositories {
			if some&(1<<i) != 0 {
				state[repository] = before[repository]
				old = append(old, repository)
			}
		}
		r := w.read(state)
		if len(r.over) > 0 {
			return fmt.Errorf("with %v as before, more than its issuer has is named by %v", old, r.over)
		}
		if err := kept(keep, r); err != nil {
			return fmt.Errorf("with %v as before, %w", old, err)
		}
	}
	return nil
}

func kept(keep promised, r reading) error {
	for vrp := range keep.vrps {
		if !r.vrps[vrp] {
			return fmt.Errorf("a bystander's VRP is missing: %s", vrp)
		}
	}
	for says := range keep.aspas {
		if !r.aspas[says] {
			return fmt.Errorf("a bystander's ASPA is missing: %s", says)
		}
	}
	return nil
}

// done says what differs between what is issued and what is asked for.
func (w *world) done() error {
	for _, holder := range w.Organisations() {
		is, entitled := w.issued[w.active(holder)], w.Holding(holder)
		switch {
		case is == nil && !entitled.Empty():
			return fmt.Errorf("%s holds %s and has no certificate", holder, entitled)
		case is != nil && !is.Certified.Equal(entitled):
			return fmt.Errorf("%s holds %s, and its certificate names %s", holder, entitled, is.Certified)
		case len(w.have(holder)) > 1:
			return fmt.Errorf("%s goes on with %v", holder, w.have(holder))
		}
	}
	r, want := w.read(w.snapshot()), w.wanted()
	if !maps.Equal(r.vrps, want) {
		return fmt.Errorf("the VRPs are %v, and should be %v", r.vrps, want)
	}
	if want := w.wantedASPAs(); !maps.Equal(r.aspas, want) {
		return fmt.Errorf("the ASPAs are %v, and should be %v", r.aspas, want)
	}
	if again, _ := Make(w, &w.policy, w.all(), w.now); len(again) > 0 {
		return fmt.Errorf("there is still a plan: %+v", again)
	}
	return nil
}

// ofType is those of a list that are of one type.
func ofType[P payload.Payload](list []payload.Payload) []P {
	var out []P
	for _, p := range list {
		if own, is := p.(P); is {
			out = append(out, own)
		}
	}
	return out
}
