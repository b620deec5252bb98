package api

import "cadastre/internal/fault"

// XML is a message of RFC 8183, as it passes from one operator to another.
type XML struct {
	XML string `json:"xml" printable:"text"`
}

func xmlOf(message []byte, err error) (XML, error) { return XML{string(message)}, err }

// known fails with NotFound where an organisation is named that there is not.
func (s server) known(holder string) error {
	if holder == "" {
		return nil
	}
	_, ok, err := s.engine.Organisation(holder)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "there is no organisation %q", holder)
	}
	return err
}

// Update asks to replace what is known of a peer: its identity by that of a new request, or, where its clock was ahead
// and has been put right, the signing time of its newest message by none.
type Update struct {
	Request     string `json:"request,omitempty" printable:"text"`
	ResetReplay bool   `json:"reset_replay,omitempty"`
}

// check wants one of the two.
func (u Update) check() error {
	if (u.Request == "") != u.ResetReplay {
		return fault.New(fault.BadInput, "an update takes either a request with the new identity or that replay be reset")
	}
	return nil
}

// Holder names an organisation.
type Holder struct {
	Holder string `json:"holder"`
}
