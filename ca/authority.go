package ca

import (
	"cadastre/ca/issued"
	"cadastre/internal/store"
)

// engineBucket keeps single values: the installation's name, addresses and identity, the header of its keeper of keys, the anchor's
// certificate, the brake's secret, the time and the step of the newest commit.
var engineBucket = store.Declare("engine", "ca", store.Withheld("the keeper of keys and the identity's key; what of the rest a successor needs is in Settings"))

// Policy is what an operator decides about the certification authorities.
type Policy = issued.Policy

// DefaultPolicy is what init writes.
func DefaultPolicy() Policy { return issued.DefaultPolicy() }

// Addresses is where an installation publishes.
type Addresses = issued.Addresses
