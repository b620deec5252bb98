package validate

import (
	"encoding/json"
	"slices"
	"strconv"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// MaxProviders is how many providers all ASPAs of one customer AS may name together. Where they name more, none of them is
// used (draft-ietf-sidrops-aspa-profile, section 6.3, which suggests 4,000 to 10,000).
const MaxProviders = 10_000

// ASPA is an Autonomous System Provider Authorization (draft-ietf-sidrops-aspa-profile-30).
type ASPA struct {
	SignedObject
	VAP
}

// VAP is a validated ASPA payload: the providers of a customer AS, ascending, each once. Provider 0 alone says that the
// customer has no provider.
type VAP struct {
	Customer  uint32
	Providers []uint32
}

// String is "ASn => ASn, ASn".
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

// MarshalJSON writes the fields that relying parties' JSON has.
func (v VAP) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Customer  uint32   `json:"customer_asid"`
		Providers []uint32 `json:"providers"`
	}{v.Customer, v.Providers})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (v *VAP) UnmarshalJSON(text []byte) error {
	var as struct {
		Customer  uint32   `json:"customer_asid"`
		Providers []uint32 `json:"providers"`
	}
	err := json.Unmarshal(text, &as)
	v.Customer, v.Providers = as.Customer, as.Providers
	return err
}

// ParseASPA reads an ASPA and checks all that can be seen in it alone, its signature included. The ASPA is nil if any
// finding is an error.
func ParseASPA(der []byte, options ...Option) (*ASPA, []Finding) {
	c := alone(options)
	a := parseASPA(c, der)
	if a == nil || !a.bySigner(c) {
		return nil, c.findings
	}
	return a, c.findings
}

//	ASProviderAttestation ::= SEQUENCE {                     -- draft-ietf-sidrops-aspa-profile, section 3
//	  version [0]   INTEGER DEFAULT 0,
//	  customerASID  CAS,                                     -- INTEGER (1..4294967295)
//	  providers     SEQUENCE (SIZE(1..MAX)) OF ASID }        -- INTEGER (0..4294967295)

// parseASPA gives nil if it found an error. It checks no signature.
func parseASPA(c *check, der []byte) *ASPA {
	a := new(ASPA)
	var ok bool
	if a.SignedObject, ok = parseSignedObject(c, der); !ok {
		return nil
	}
	if string(a.contentType) != oidASPA {
		c.fail("6488-3", "the content is no ASPA: its type is %x", a.contentType)
		return nil
	}
	if !a.parse(c, a.content) {
		return nil
	}
	ee := &a.EE.Resources
	switch {
	case ee.HasIP:
		c.fail("aspa-4", "the ASPA's EE certificate has IP addresses, which it must not have")
	case ee.InheritAS:
		c.fail("aspa-4", "the ASPA's EE certificate inherits AS numbers, but it must name the customer AS")
	case len(ee.Set.AS) != 1 || ee.Set.AS[0].First != a.Customer || ee.Set.AS[0].Last != a.Customer:
		c.fail("aspa-4", "the ASPA's EE certificate does not name the customer AS%d and no other", a.Customer)
	}
	if c.failed {
		return nil
	}
	return a
}

func (v *VAP) parse(c *check, content []byte) bool {
	in, ok := inside(content, asn1.SEQUENCE)
	if !ok {
		return c.fail("aspa-3", "the ASPA's content is no DER SEQUENCE, or bytes follow it")
	}
	var explicit cryptobyte.String
	version, ok := uint64(0), in.ReadASN1(&explicit, tag0Explicit)
	if ok {
		version, ok = small(&explicit, 1)
	}
	if !ok || version != 1 || !explicit.Empty() {
		return c.fail("aspa-3.1", "the ASPA's version is not 1, written out")
	}
	customer, ok := small(&in, 1<<32-1)
	if !ok || customer == 0 {
		return c.fail("aspa-3.2", "the ASPA's customer AS is no DER integer from 1 to 4294967295")
	}
	v.Customer = uint32(customer)
	list, ok := inside(in, asn1.SEQUENCE)
	if !ok || list.Empty() {
		return c.fail("aspa-3.3", "the ASPA has no list of at least one provider, or bytes follow it")
	}
	for !list.Empty() {
		provider, ok := small(&list, 1<<32-1)
		if !ok {
			return c.fail("aspa-3.3", "a provider of the ASPA is no DER integer from 0 to 4294967295")
		}
		n := len(v.Providers)
		switch {
		case provider == customer:
			return c.fail("aspa-3.3", "the customer AS%d is a provider of itself", customer)
		case n > 0 && v.Providers[0] == 0:
			return c.fail("aspa-3.3", "the ASPA names AS 0 beside other providers")
		case n > 0 && uint32(provider) == v.Providers[n-1]:
			return c.fail("aspa-3.3", "the provider AS%d is in the ASPA twice", provider)
		case n > 0 && uint32(provider) < v.Providers[n-1]:
			return c.fail("aspa-3.3", "the provider AS%d is not in ascending order", provider)
		}
		v.Providers = append(v.Providers, uint32(provider))
	}
	if len(v.Providers) > MaxProviders {
		return c.fail("aspa-6.3", "the ASPA of AS%d names %d providers; more than %d are not used", customer, len(v.Providers), MaxProviders)
	}
	return true
}

// MergeVAPs gives one payload for each customer, ascending: the providers of all its ASPAs together. AS 0 counts only
// where no ASPA names another provider. Customers whose ASPAs name too many are left out and listed.
func MergeVAPs(all []VAP) (merged []VAP, tooMany []uint32) {
	byCustomer := map[uint32][]uint32{}
	for _, v := range all {
		byCustomer[v.Customer] = append(byCustomer[v.Customer], v.Providers...)
	}
	for customer, providers := range byCustomer {
		slices.Sort(providers)
		providers = slices.Compact(providers)
		if len(providers) > 1 && providers[0] == 0 {
			providers = providers[1:]
		}
		if len(providers) > MaxProviders {
			tooMany = append(tooMany, customer)
			continue
		}
		merged = append(merged, VAP{customer, providers})
	}
	slices.SortFunc(merged, func(a, b VAP) int { return int(int64(a.Customer) - int64(b.Customer)) })
	slices.Sort(tooMany)
	return merged, tooMany
}
