// Package aspa keeps the intents of holders for Autonomous System Provider Authorizations (draft-ietf-sidrops-aspa-profile), and computes
// which of them are authorised. They are Objects (intents.Objects) of the book of intents, roa.Book.
//
// A holder has one intent for each customer AS, with all its providers, and one ASPA is issued for it. Relying parties merge several ASPAs of
// one customer AS, so with one object it is plain what they see.
package aspa

import (
	"cmp"
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

// intentBucket keeps the intents.
var intentBucket = store.Declare("aspa-intent", "aspa", store.Deposited)

func init() {
	intents.Declare[VAP](Kind, intentBucket)
	holdings.Audit('a', intentBucket)
}

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

// Intent says that the holder of a customer AS authorises its providers. Holder and Customer identify it.
type Intent struct {
	intents.Terms
	VAP
}

// IntentOf is an intent of the book as one of this kind; ok tells whether it is one.
func IntentOf(in intents.Object) (_ Intent, ok bool) {
	v, ok := in.Says.(VAP)
	return Intent{in.Terms, v}, ok
}

// Object is the intent as the book has it.
func (in Intent) Object() intents.Object { return intents.Object{Terms: in.Terms, Says: in.VAP} }

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

// find is the intent of a holder for a customer AS, and whether there is one.
func find(b intents.Objects, holder string, customer uint32) (Intent, bool) {
	in, there := b.Find(Intent{intents.Terms{Holder: holder}, VAP{Customer: customer}}.Object())
	if !there {
		return Intent{}, false
	}
	return IntentOf(in)
}

// words cuts a text at commas, semicolons and spaces.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t,;", r) })
}

// ParseRow reads an ASPA from its parts: the customer AS, and its providers. It fails with BadInput.
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
