package ca

import (
	"cadastre/internal/object"
	"cadastre/internal/validate"
)

// validation is how the gate checks what we sign: as strictly as it can.
func (e *Engine) validation() validate.Options {
	return validate.Options{P256: e.policy.Algorithm == object.P256}
}

// suites lists the kinds of keys that the gate accepts besides RSA.
func (e *Engine) suites() []validate.Suite {
	if e.policy.Algorithm == object.P256 {
		return []validate.Suite{validate.P256}
	}
	return nil
}

// reading is how objects of others are read: as strictly as a relying party does, not as the gate.
func (e *Engine) reading() []validate.Option {
	return validate.For(validate.RelyingParty, e.suites()...)
}
