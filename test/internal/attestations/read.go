// Package attestations reads the ASPAs that a validator found, as shared/rp/vrps leaves them in the validator's cache.
package attestations

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Read reads the ASPAs that rpki-client or Routinator found, each as "AS1=>AS2,AS3", and tells whether the validator knows them at all: FORT
// does not, and there is no file then.
func Read(path string) (lines []string, known bool, _ error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	var found []struct {
		ASID      any   `json:"customer_asid"` // rpki-client: a number
		Customer  any   `json:"customer"`      // Routinator: "AS1"
		Providers []any `json:"providers"`
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return nil, false, fmt.Errorf("%s: %w", path, err)
	}
	name := func(as any) string {
		if n, isNumber := as.(float64); isNumber {
			return fmt.Sprintf("AS%.0f", n)
		}
		return fmt.Sprint(as)
	}
	for _, a := range found {
		customer := a.ASID
		if customer == nil {
			customer = a.Customer
		}
		var providers []string
		for _, p := range a.Providers {
			providers = append(providers, name(p))
		}
		lines = append(lines, name(customer)+"=>"+strings.Join(providers, ","))
	}
	return lines, true, nil
}
