// Package arin speaks the RPKI calls of ARIN's Reg-RWS, for scripts that do: lists of ROAs and ASPAs, and transactions that change both. Keys are the
// members' API tokens, in the header Authorization: ApiKey KEY or in the query (apikey).
//
// A ROA of ARIN's has a name and several prefixes. It is the intents of one AS that have its name as their comment; an intent without a comment
// is a ROA by itself. Its handle follows from what it says, so that a ROA that is changed has another.
package arin

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"cadastre/api/member"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/printable"
	"cadastre/roa"
)

const (
	longest = 1_000_000 // octets of a request
	rpki    = "http://www.arin.net/regrws/rpki/v1"
)

// New makes the handler; paths begin at its root.
func New(service member.Service, keys member.Keys) http.Handler {
	d := dialect{service, keys}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /rest/roa/{org}", d.serve(d.roas))
	mux.HandleFunc("GET /rest/aspa/{org}", d.serve(d.aspas))
	mux.HandleFunc("POST /rest/rpki/{org}", d.serve(d.transact))
	return mux
}

type dialect struct {
	service member.Service
	keys    member.Keys
}

// problem is an error of Reg-RWS.
type problem struct {
	XMLName    xml.Name `xml:"http://www.arin.net/regrws/core/v1 error"`
	Additional struct{} `xml:"additionalInfo"`
	Code       string   `xml:"code"`
	Components struct{} `xml:"components"`
	Message    string   `xml:"message"`

	status int
}

func (p *problem) Error() string { return p.Message }

func fails(status int, code, format string, args ...any) error {
	return &problem{status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) error {
	return fails(http.StatusBadRequest, "E_ENTITY_VALIDATION", format, args...)
}

func (d dialect) serve(answer func(r *http.Request, org string) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := d.answer(w, r, answer)
		status := http.StatusOK
		if err != nil {
			p := problemOf(err)
			p.Message = printable.Line(p.Message)
			body, status = p, p.status
		}
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		_ = xml.NewEncoder(w).Encode(body)
	}
}

func (d dialect) answer(w http.ResponseWriter, r *http.Request, answer func(r *http.Request, org string) (any, error)) (any, error) {
	key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "ApiKey ")
	if key == "" {
		key = r.URL.Query().Get("apikey")
	}
	asked, org, err := d.keys.Ask(r, key)
	if fault.KindOf(err) == fault.Secret {
		return nil, fails(http.StatusBadRequest, "E_AUTHENTICATION", "the API key is not known")
	} else if err != nil {
		return nil, err
	}
	if !strings.EqualFold(r.PathValue("org"), org) {
		return nil, fails(http.StatusUnauthorized, "E_AUTHENTICATION", "the API key has no authority for this organisation")
	}
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); kind != "application/xml" && !strings.HasPrefix(r.URL.Path, "/rest/roa/") {
		return nil, fails(http.StatusUnsupportedMediaType, "E_UNSUPPORTED_MEDIA_TYPE", "send the header Content-Type: application/xml")
	}
	asked.Body = http.MaxBytesReader(w, asked.Body, longest)
	return answer(asked, org)
}

func problemOf(err error) *problem {
	if p, is := errors.AsType[*problem](err); is {
		return p
	}
	status, code := http.StatusBadRequest, "E_ENTITY_VALIDATION"
	switch kind := fault.KindOf(err); {
	case errors.Is(err, member.Stale):
		status, code = http.StatusServiceUnavailable, "E_OUTAGE"
	case kind == fault.NotFound:
		status, code = http.StatusNotFound, "E_OBJECT_NOT_FOUND"
	case kind == fault.Forbidden:
		status, code = http.StatusForbidden, "E_AUTHENTICATION"
	case kind == fault.BadInput, kind == fault.Conflict, kind == fault.NotHeld, kind == fault.Refused:
	default:
		return &problem{status: http.StatusServiceUnavailable, Code: "E_OUTAGE", Message: member.Unavailable}
	}
	return &problem{status: status, Code: code, Message: err.Error()}
}

// spec is a ROA of ARIN's.
type spec struct {
	asn         uint32
	name        string
	vrps        []roa.VRP // sorted
	first, last time.Time // when it was asked for, and when it ends; zero: not known, never
}

// handle is 32 hexadecimal digits.
func (s spec) handle() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %q %v", s.asn, s.name, s.vrps))
	return hex.EncodeToString(sum[:16])
}

// specsOf is the ROAs that intents are, in the order of the first intent of each.
func specsOf(has *member.Intents) []*spec {
	var list []*spec
	named := map[origin]*spec{}
	for _, in := range has.ROAs {
		key := origin{in.Origin, in.Comment}
		s := named[key]
		if s == nil || in.Comment == "" {
			s = &spec{asn: in.Origin, name: in.Comment, first: in.Added, last: in.Until}
			named[key], list = s, append(list, s)
		}
		s.vrps = append(s.vrps, in.VRP())
	}
	return list
}

// origin tells ROAs with names apart.
type origin struct {
	asn  uint32
	name string
}

type shownROA struct {
	XMLName   xml.Name        `xml:"http://www.arin.net/regrws/core/v1 roaSpec"`
	Namespace string          `xml:"xmlns:rpki,attr"`
	Handle    string          `xml:"rpki:roaHandle"`
	ASN       uint32          `xml:"rpki:asNumber"`
	Name      string          `xml:"rpki:name"`
	Before    string          `xml:"rpki:notValidBefore,omitempty"`
	After     string          `xml:"rpki:notValidAfter,omitempty"`
	Renewed   bool            `xml:"rpki:autoRenewed"`
	Resources []shownResource `xml:"rpki:resources"`
}

type shownResource struct {
	Start     string `xml:"rpki:startAddress"`
	End       string `xml:"rpki:endAddress"`
	Length    int    `xml:"rpki:cidrLength"`
	Version   int    `xml:"rpki:ipVersion"`
	MaxLength int    `xml:"rpki:maxLength"`
	Linked    bool   `xml:"rpki:autoLinked"`
}

type collection struct {
	XMLName xml.Name `xml:"http://www.arin.net/regrws/core/v1 collection"`
	List    []any
}

// padded is an address as ARIN writes it: each number of IPv4 with three digits.
func padded(a netip.Addr) string {
	if !a.Is4() {
		return a.StringExpanded()
	}
	b := a.As4()
	return fmt.Sprintf("%03d.%03d.%03d.%03d", b[0], b[1], b[2], b[3])
}

// unpadded reads an address that may be padded.
func unpadded(text string) (netip.Addr, error) {
	if parts := strings.Split(text, "."); len(parts) == 4 {
		for i, part := range parts {
			if part = strings.TrimLeft(part, "0"); part == "" {
				part = "0"
			}
			parts[i] = part
		}
		text = strings.Join(parts, ".")
	}
	return netip.ParseAddr(text)
}

func (d dialect) roas(r *http.Request, org string) (any, error) {
	has, err := d.service.Intents(r.Context(), org)
	if err != nil {
		return nil, err
	}
	var all collection
	for _, s := range specsOf(has) {
		shown := shownROA{Namespace: rpki, Handle: s.handle(), ASN: s.asn, Name: s.name, Renewed: s.last.IsZero()}
		if !s.first.IsZero() {
			shown.Before = s.first.Format(time.RFC3339)
		}
		if !s.last.IsZero() {
			shown.After = s.last.Format(time.RFC3339)
		}
		for _, v := range s.vrps {
			version := 6
			if v.Prefix.Addr().Is4() {
				version = 4
			}
			shown.Resources = append(shown.Resources, shownResource{padded(v.Prefix.Addr()), padded(inr.RangeOf(v.Prefix).Last), v.Prefix.Bits(), version, v.MaxLength, false})
		}
		all.List = append(all.List, shown)
	}
	return all, nil
}

type shownASPA struct {
	XMLName   xml.Name `xml:"http://www.arin.net/regrws/core/v1 aspa"`
	Namespace string   `xml:"xmlns:rpki,attr"`
	Customer  uint32   `xml:"rpki:customerAsId"`
	Providers []uint32 `xml:"rpki:providerAsIds>rpki:providerAsId"`
}

func (d dialect) aspas(r *http.Request, org string) (any, error) {
	has, err := d.service.Intents(r.Context(), org)
	if err != nil {
		return nil, err
	}
	var all collection
	for _, v := range has.ASPAs {
		all.List = append(all.List, shownASPA{Namespace: rpki, Customer: v.Customer, Providers: v.Providers})
	}
	return all, nil
}
