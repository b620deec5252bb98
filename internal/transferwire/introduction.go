package transferwire

import (
	"cadastre/internal/fault"
	"cadastre/internal/wirexml"
)

// Introduction is how an installation introduces itself to another that resources may move to or come from. People carry it.
type Introduction struct {
	Name        string   // what it calls itself
	ServiceURI  string   // where it is sent messages: the caller's key identifier follows, in hexadecimal; http or https
	Registries  []string // the handles of those that it keeps
	TrustAnchor []byte   // the certificate of its identity, DER (RFC 8183)
	TAL         string   // the trust anchor below which it publishes (RFC 8630)
	TLSRoots    string   // PEM: TLS authorities of its repositories that nobody else knows; may be empty
}

const (
	maxIntroduction = 1 << 20
	maxRegistries   = 1000
)

// ParseIntroduction reads an introduction. It fails with BadInput; what it returns shares nothing with message. Whether what
// is in it can be used is for others to see.
func ParseIntroduction(message []byte) (*Introduction, error) {
	if len(message) > maxIntroduction {
		return nil, fault.New(fault.BadInput, "the introduction has %d octets, and none needs more than %d", len(message), maxIntroduction)
	}
	r := wirexml.NewReader(message, limits)
	i, err := readIntroduction(r)
	if err == nil {
		err = r.Done()
	}
	if err != nil {
		return nil, fault.Wrap(err, "the introduction")
	}
	return i, nil
}

func readIntroduction(r *wirexml.Reader) (*Introduction, error) {
	root, err := r.Root(namespace)
	if err != nil {
		return nil, err
	}
	if root.Name != "introduction" {
		return nil, r.Errorf("its root element is <%.40s> and not <introduction>; 'cadastre registries introduce' prints one", root.Name)
	}
	checkVersion(root)
	i := &Introduction{Name: readHandle(root, "name"), ServiceURI: root.URI("service_uri", maxURI, "https://", "http://")}
	if err := root.Err(); err != nil {
		return nil, err
	}
	order := ordered{names: []string{"registry", "bpki_ta", "tal", "tls_root"}, many: []string{"registry"}}
	err = order.each(r, root, func(e *wirexml.Element) (err error) {
		var text []byte
		switch e.Name {
		case "registry":
			h := readHandle(e, "handle")
			if len(i.Registries) == maxRegistries {
				e.Fail("there are more than %d registries", maxRegistries)
			}
			if err = e.Err(); err == nil {
				err = r.End(e)
			}
			i.Registries = append(i.Registries, h)
		case "bpki_ta":
			i.TrustAnchor, err = readBinary(r, e)
		case "tal":
			text, err = readBinary(r, e)
			i.TAL = string(text)
		case "tls_root":
			text, err = readBinary(r, e)
			i.TLSRoots = string(text)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case len(i.Registries) == 0:
		return nil, r.Errorf("it names no <registry>")
	case i.TrustAnchor == nil:
		return nil, r.Errorf("it has no <bpki_ta>")
	case i.TAL == "":
		return nil, r.Errorf("it has no <tal>")
	}
	return i, nil
}
