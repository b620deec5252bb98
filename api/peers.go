package api

import "cadastre/internal/fault"

// XML is a message of RFC 8183, as it passes from one operator to another.
type XML struct {
	XML string `json:"xml" printable:"text"`
}

func xmlOf(message []byte, err error) (XML, error) { return XML{string(message)}, err }

// known fails with NotFound where there is no organisation of this name.
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

// Update is the part of a request that replaces a peer's identity by that of a new request of RFC 8183, or forgets when the peer signed its
// newest message, after its clock was ahead.
type Update struct {
	Request     string `json:"request,omitempty" printable:"text"`
	ResetReplay bool   `json:"reset_replay,omitempty"`
}

// check checks that exactly one of the two is asked for.
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
