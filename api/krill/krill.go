// Package krill speaks Krill's API for what a member authorises: the list of CAs, ROAs ("routes") and ASPAs. A CA is the organisation that the
// caller's key is for. Keys are the members' API tokens, as bearer tokens. BGPsec is answered with Krill's error for what is not implemented; all
// other paths are unknown.
package krill

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"cadastre/api/member"
	"cadastre/aspa"
	"cadastre/ca"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/printable"
	"cadastre/roa"
)

// longest is how many octets a request may have.
const longest = 256 << 10

// New makes the handler; paths begin at its root.
func New(service member.Service, keys member.Keys) http.Handler {
	d := dialect{service, keys}
	mux := http.NewServeMux()
	for pattern, answer := range map[string]func(*http.Request, string) (any, error){
		"GET /api/v1/authorized":       func(*http.Request, string) (any, error) { return nil, nil },
		"GET /api/v1/cas":              d.list,
		"GET /api/v1/cas/{ca}/routes":  d.routes,
		"POST /api/v1/cas/{ca}/routes": d.setRoutes,
		"GET /api/v1/cas/{ca}/aspas":   d.aspas,
		"POST /api/v1/cas/{ca}/aspas":  d.setASPAs,
		"GET /api/v1/cas/{ca}/bgpsec":  notHere,
		"POST /api/v1/cas/{ca}/bgpsec": notHere,
	} {
		mux.HandleFunc(pattern, d.serve(answer))
	}
	return mux
}

type dialect struct {
	service member.Service
	keys    member.Keys
}

// problem is an error of Krill's.
type problem struct {
	Label string            `json:"label"`
	Msg   string            `json:"msg"`
	Args  map[string]string `json:"args"`
	Delta *deltaError       `json:"delta_error,omitempty"`

	status int
}

func (p *problem) Error() string { return p.Msg }

func fails(status int, label, format string, args ...any) error {
	return &problem{status: status, Label: label, Msg: printable.Line(fmt.Sprintf(format, args...)), Args: map[string]string{}}
}

func notHere(*http.Request, string) (any, error) {
	return nil, fails(http.StatusNotImplemented, "sys-not-implemented", "BGPsec router certificates are not issued here")
}

func (d dialect) serve(answer func(*http.Request, string) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := d.answer(w, r, answer)
		status := http.StatusOK
		if err != nil {
			p := problemOf(err)
			if status, body = p.status, p; status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", "Bearer")
			}
		}
		if body == nil {
			w.Header().Set("Content-Type", "text/plain")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
}

func (d dialect) answer(w http.ResponseWriter, r *http.Request, answer func(*http.Request, string) (any, error)) (any, error) {
	key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	asked, org, err := d.keys.Ask(r, key)
	if err != nil {
		return nil, err
	}
	if name := r.PathValue("ca"); name != "" && !strings.EqualFold(name, org) {
		return nil, fails(http.StatusNotFound, "ca-unknown", "CA '%s' is unknown", name)
	}
	asked.Body = http.MaxBytesReader(w, asked.Body, longest)
	return answer(asked, org)
}

func problemOf(err error) *problem {
	if p, is := errors.AsType[*problem](err); is {
		return p
	}
	status, label := http.StatusBadRequest, "general-error"
	switch kind := fault.KindOf(err); kind {
	case fault.Secret:
		return &problem{status: http.StatusUnauthorized, Label: "api-invalid-credentials", Msg: "the token is not known", Args: map[string]string{}}
	case fault.Forbidden:
		status, label = http.StatusForbidden, "api-insufficient-rights"
	case fault.NotFound:
		status, label = http.StatusNotFound, "ca-unknown"
	case fault.BadInput, fault.Conflict, fault.NotHeld, fault.Refused:
	default:
		return &problem{status: http.StatusServiceUnavailable, Label: label, Msg: member.Unavailable, Args: map[string]string{}}
	}
	return &problem{status: status, Label: label, Msg: printable.Line(err.Error()), Args: map[string]string{}}
}

func read(r *http.Request, into any) error {
	err := json.NewDecoder(r.Body).Decode(into)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return fails(http.StatusRequestEntityTooLarge, "api-post-body-exceeds-limit", "the body is longer than %d octets", longest)
	case err != nil:
		return fails(http.StatusBadRequest, "api-json", "the body can't be read: %v", err)
	}
	return nil
}

func (d dialect) list(_ *http.Request, org string) (any, error) {
	return map[string][]map[string]string{"cas": {{"handle": org}}}, nil
}

// asn is an AS number: read as a number or as text, with or without AS.
type asn uint32

func (a *asn) UnmarshalJSON(text []byte) error {
	n, err := inr.ParseAS(strings.Trim(string(text), `"`))
	*a = asn(n)
	return err
}

type payload struct {
	ASN       asn          `json:"asn"`
	Prefix    netip.Prefix `json:"prefix"`
	MaxLength *int         `json:"max_length,omitempty"`
	Comment   *string      `json:"comment,omitempty"`
}

func payloadOf(in roa.Intent) payload {
	p := payload{ASN: asn(in.Origin), Prefix: in.Prefix, MaxLength: &in.MaxLength}
	if in.Comment != "" {
		p.Comment = &in.Comment
	}
	return p
}

// vrp is what it authorises.
func (p payload) vrp() roa.VRP {
	v := roa.VRP{Prefix: p.Prefix, MaxLength: p.Prefix.Bits(), ASN: uint32(p.ASN)}
	if p.MaxLength != nil {
		v.MaxLength = *p.MaxLength
	}
	return v
}

type deltaError struct {
	Duplicates    []payload `json:"duplicates"`
	NotHeld       []payload `json:"notheld"`
	Unknowns      []payload `json:"unknowns"`
	InvalidLength []payload `json:"invalid_length"`
}

func (d dialect) routes(r *http.Request, org string) (any, error) {
	has, err := d.service.Intents(r.Context(), org)
	if err != nil {
		return nil, err
	}
	type shown struct {
		payload
		Objects []struct{} `json:"roa_objects"`
	}
	list := []shown{}
	for _, in := range has.ROAs {
		list = append(list, shown{payloadOf(in.Intent), []struct{}{}})
	}
	return list, nil
}

func (d dialect) setRoutes(r *http.Request, org string) (any, error) {
	var body struct{ Added, Removed []payload }
	if err := read(r, &body); err != nil {
		return nil, err
	}
	holding, err := d.service.Holding(r.Context(), org)
	if err != nil {
		return nil, err
	}
	has, err := d.service.Intents(r.Context(), org)
	if err != nil {
		return nil, err
	}
	there := map[roa.VRP]bool{}
	for _, in := range has.ROAs {
		there[in.VRP()] = true
	}
	wrong := deltaError{[]payload{}, []payload{}, []payload{}, []payload{}}
	change := &member.Change{IfMatch: has.Tag, Reason: "by Krill's API", Consent: ca.Consent{Code: r.Header.Get(member.CodeHeader)}}
	for _, p := range body.Removed {
		if !there[p.vrp()] {
			wrong.Unknowns = append(wrong.Unknowns, p)
		}
		delete(there, p.vrp())
		change.Remove = append(change.Remove, p.vrp())
	}
	for _, p := range body.Added {
		v := p.vrp()
		switch {
		case !p.Prefix.IsValid() || p.Prefix != p.Prefix.Masked() || p.Prefix.Addr().Is4In6():
			return nil, fails(http.StatusBadRequest, "api-json", "%s is no prefix", p.Prefix)
		case v.MaxLength < v.Prefix.Bits() || v.MaxLength > v.Prefix.Addr().BitLen():
			wrong.InvalidLength = append(wrong.InvalidLength, p)
		case there[v]:
			wrong.Duplicates = append(wrong.Duplicates, p)
		case !holding.ContainsPrefix(p.Prefix):
			wrong.NotHeld = append(wrong.NotHeld, p)
		}
		there[v] = true
		row := roa.Row{Prefix: v.Prefix, MaxLength: v.MaxLength, Origin: v.ASN}
		if err := roa.CheckOrigin(row, true); err != nil {
			return nil, err
		}
		if p.Comment != nil {
			row.Comment = *p.Comment
		}
		if ok := printable.IsName(row.Comment); !ok {
			return nil, fails(http.StatusBadRequest, "api-json", "the comment %q has a character that does not print", row.Comment)
		}
		change.Add = append(change.Add, row)
	}
	if len(wrong.Duplicates)+len(wrong.NotHeld)+len(wrong.Unknowns)+len(wrong.InvalidLength) > 0 {
		return nil, &problem{status: http.StatusBadRequest, Label: "ca-roa-delta-error", Msg: "Delta rejected, see included json", Args: map[string]string{}, Delta: &wrong}
	}
	if len(change.Add)+len(change.Remove) == 0 {
		return nil, nil
	}
	_, err = d.service.Change(r.Context(), org, change)
	return nil, err
}

func (d dialect) aspas(r *http.Request, org string) (any, error) {
	has, err := d.service.Intents(r.Context(), org)
	if err != nil {
		return nil, err
	}
	type shown struct {
		Customer  string   `json:"customer"`
		Providers []string `json:"providers"`
	}
	list := []shown{}
	for _, v := range has.ASPAs {
		s := shown{fmt.Sprintf("AS%d", v.Customer), []string{}}
		for _, p := range v.Providers {
			s.Providers = append(s.Providers, fmt.Sprintf("AS%d", p))
		}
		list = append(list, s)
	}
	return list, nil
}

func (d dialect) setASPAs(r *http.Request, org string) (any, error) {
	var body struct {
		Set []struct {
			Customer  asn
			Providers []asn
		} `json:"add_or_replace"`
		Remove []asn `json:"remove"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	change := &member.Change{Reason: "by Krill's API", Consent: ca.Consent{Code: r.Header.Get(member.CodeHeader)}}
	for _, a := range body.Set {
		row := aspa.Row{VAP: aspa.VAP{Customer: uint32(a.Customer)}}
		for _, p := range a.Providers {
			row.Providers = append(row.Providers, uint32(p))
		}
		if err := row.Check(); err != nil {
			return nil, err
		}
		change.SetASPAs = append(change.SetASPAs, row.VAP)
	}
	for _, a := range body.Remove {
		change.RemoveASPAsOf = append(change.RemoveASPAsOf, uint32(a))
	}
	_, err := d.service.Change(r.Context(), org, change)
	return nil, err
}
