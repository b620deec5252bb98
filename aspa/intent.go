// Package aspa keeps the intents of holders for Autonomous System Provider Authorizations (draft-ietf-sidrops-aspa-profile), and computes
// which of them are authorised. They are part of the book of intents, roa.Book.
//
// A holder has one intent for each customer AS, with all its providers, and one ASPA is issued for it. Relying parties merge several ASPAs of
// one customer AS, so with one object it is plain what they see.
package aspa

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"cadastre/holdings"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/intents"
	"cadastre/internal/store"
)

// Bucket keeps the intents as JSON by Intent.Key.
var Bucket = store.Declare("aspa-intent", "aspa", store.Deposited)

func init() { holdings.Audit('a', Bucket) }

// VAP is a validated ASPA payload: what a validator must find. Providers are ascending, each once; 0 alone says that the customer
// AS has none.
type VAP struct {
	Customer  uint32   `json:"customer_asid"`
	Providers []uint32 `json:"providers"`
}

// String is "ASn => ASn, ASn", as Krill writes it too.
func (v VAP) String() string {
	out := append(strconv.AppendUint([]byte("AS"), uint64(v.Customer), 10), " => "...)
	for i, p := range v.Providers {
		if i > 0 {
			out = append(out, ", "...)
		}
		out = strconv.AppendUint(append(out, "AS"...), uint64(p), 10)
	}
	return string(out)
}

// Compare orders payloads by customer, then by providers.
func (v VAP) Compare(w VAP) int {
	return cmp.Or(cmp.Compare(v.Customer, w.Customer), slices.Compare(v.Providers, w.Providers))
}

// ParseVAP reads what String writes. It fails with BadInput.
func ParseVAP(text string) (VAP, error) {
	row, _, err := parseArrow(text)
	if err == nil {
		err = row.Check()
	}
	return row.VAP, err
}

// Unique sorts payloads by Compare and drops those that are there twice.
func Unique(all []VAP) []VAP {
	slices.SortFunc(all, VAP.Compare)
	return slices.CompactFunc(all, func(a, b VAP) bool { return a.Compare(b) == 0 })
}

// Intent says that the holder of a customer AS authorises its providers. Holder and Customer identify it.
type Intent struct {
	Holder string `json:"holder"` // handle
	VAP
	Comment  string    `json:"comment,omitempty"`
	Actor    string    `json:"actor"`
	Added    time.Time `json:"added"`
	Until    time.Time `json:"until,omitzero"`     // when it ends by itself; zero: never
	Transfer uint64    `json:"transfer,omitempty"` // the transfer that brought it, 0 for none; if that is cancelled the intent is removed
}

// Owner is the holder.
func (in Intent) Owner() string { return in.Holder }

// Ends is when it ends by itself; zero: never.
func (in Intent) Ends() time.Time { return in.Until }

// BroughtBy is the transfer that brought it; 0: none did.
func (in Intent) BroughtBy() uint64 { return in.Transfer }

// Compare orders the intents of a holder by customer.
func (in Intent) Compare(other Intent) int { return cmp.Compare(in.Customer, other.Customer) }

// Key is the holder, 0, and the customer, big-endian.
func (in Intent) Key() []byte {
	return binary.BigEndian.AppendUint32(append([]byte(in.Holder), 0), in.Customer)
}

// Logged is the intent as the log of decisions has it.
func (in Intent) Logged(removed bool) holdings.IntentChange {
	return holdings.IntentChange{
		Holder: in.Holder, Removed: removed, Comment: in.Comment,
		ASPA: &holdings.ASPA{Customer: in.Customer, Providers: in.Providers, Until: in.Until},
	}
}

// Authorised tells whether an intent is authorised while its holder has holding. If not it is parked, and comes back with the AS number.
func Authorised(in Intent, holding inr.Set) bool {
	return holding.Contains(inr.OfAS(in.Customer, in.Customer))
}

// AllAuthorised lists the payloads of one holder's intents that are authorised while it has holding, in order.
func AllAuthorised(all []Intent, holding inr.Set) []VAP {
	var vaps []VAP
	for _, in := range all {
		if Authorised(in, holding) {
			vaps = append(vaps, in.VAP)
		}
	}
	return vaps
}

// Row is an ASPA as it was typed or read from a file, before its holder is known.
type Row struct {
	VAP     // providers in any order; none, in a row to remove: all of them
	Comment string
	Until   time.Time // when it is to end by itself; zero: never
	Line    int       // in its file, 0 when it came from none
}

// Check says what is wrong with a row by itself, and puts its providers in order. It fails with BadInput.
func (r *Row) Check() error {
	r.Providers = slices.Clone(r.Providers)
	slices.Sort(r.Providers)
	r.Providers = slices.Compact(r.Providers)
	if r.Customer == 0 {
		return fault.New(fault.BadInput, "AS0 can't be a customer; nobody holds it")
	}
	if len(r.Providers) == 0 {
		return fault.New(fault.BadInput, "it names no provider of AS%d; write AS0 if it has none", r.Customer)
	}
	if slices.Contains(r.Providers, r.Customer) {
		return fault.New(fault.BadInput, "AS%d can't be a provider of itself", r.Customer)
	}
	if len(r.Providers) > 1 && r.Providers[0] == 0 {
		return fault.New(fault.BadInput, "AS0 says that AS%d has no provider, and can't stand beside AS%d", r.Customer, r.Providers[1])
	}
	for _, p := range r.Providers {
		if p == 0 {
			continue
		}
		if why := holdings.Specials(inr.OfAS(p, p)); len(why) > 0 {
			return fault.New(fault.BadInput, "AS%d can't be a provider: it is %s (%s)", p, why[0].Name, why[0].RFC)
		}
	}
	return nil
}

// File is what a file wants added and removed.
type File = intents.File[Row]

// Book is the intents of all holders.
type Book struct{ *intents.Book[Intent] }

// Change is a change of intents.
type Change = intents.Change[Intent]

// Stands tells whether a holder that has holding authorises any providers of a customer.
func (b Book) Stands(holder string, customer uint32, holding inr.Set) bool {
	in, there := b.Find(Intent{Holder: holder, VAP: VAP{Customer: customer}})
	return there && Authorised(in, holding)
}

// Load reads the book. It fails with Corrupt.
func Load(r store.Reader) (Book, error) {
	b, err := intents.Load[Intent](r, Bucket)
	return Book{b}, err
}

// words cuts a text at commas, semicolons and spaces.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t,;", r) })
}

// ParseRow reads an ASPA from its words: the customer AS, and its providers. It fails with BadInput.
func ParseRow(customer string, providers ...string) (row Row, err error) {
	if row.Customer, err = inr.ParseAS(customer); err != nil {
		return row, err
	}
	for _, text := range providers {
		for _, word := range words(text) {
			p, err := inr.ParseAS(word)
			if err != nil {
				return row, err
			}
			row.Providers = append(row.Providers, p)
		}
	}
	return row, nil
}
