// Package ripe speaks RIPE NCC's RPKI Management API, for scripts that do: ROAs, ASPAs, announcements and history of the organisation that the
// caller's key is for. Keys are the members' API tokens, in the header ncc-api-authorization or in the query (key).
//
// Where the public page of RIPE NCC and what its service does differ, clients see the public form: a foreign prefix is 403, and a bad key 401
// without a body.
package ripe

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"cadastre/api/member"
	"cadastre/ca"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/printable"
	"cadastre/roa"
	"cadastre/routes"
)

// longest is how many octets a request may have.
const longest = 1_000_000

// New makes the handler; paths begin at its root.
func New(service member.Service, keys member.Keys) http.Handler {
	d := dialect{service, keys}
	mux := http.NewServeMux()
	for pattern, answer := range map[string]func(*call) error{
		"GET /resources":               d.resources,
		"GET /announcements":           d.announcements,
		"GET /announcements/extended":  d.extended,
		"POST /announcements/affected": d.affected,
		"GET /roas":                    d.roas,
		"POST /roas/affecting":         d.affecting,
		"POST /roas/stage":             d.stage,
		"POST /roas/publish":           d.publish,
		"GET /aspa":                    d.aspas,
		"PUT /aspa":                    d.setASPAs,
		"POST /alerts/suppress":        d.suppress(false),
		"POST /alerts/unsuppress":      d.suppress(true),
		"GET /history":                 d.history,
	} {
		mux.HandleFunc(pattern, d.serve(answer))
	}
	return mux
}

type dialect struct {
	service member.Service
	keys    member.Keys
}

// call is one request of a member.
type call struct {
	*http.Request
	w   http.ResponseWriter
	org string
}

// problem is an error with a status of this dialect.
type problem struct {
	status int
	text   string
}

func (p *problem) Error() string { return p.text }

func bad(format string, args ...any) error {
	return &problem{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

func (d dialect) serve(answer func(*call) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("ncc-api-authorization")
		if key == "" {
			key = r.URL.Query().Get("key")
		}
		asked, org, err := d.keys.Ask(r, key)
		if fault.KindOf(err) == fault.Secret {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if err == nil {
			asked.Body = http.MaxBytesReader(w, asked.Body, longest)
			err = answer(&call{asked, w, org})
		}
		if err != nil {
			status, text := statusOf(err)
			reply(w, status, map[string]string{"error": printable.Line(text)})
		}
	}
}

func statusOf(err error) (status int, text string) {
	var p *problem
	switch {
	case errors.As(err, &p):
		return p.status, p.text
	case errors.Is(err, member.Stale):
		return http.StatusPreconditionFailed, err.Error()
	}
	switch kind := fault.KindOf(err); kind {
	case fault.BadInput, fault.Conflict, fault.Refused:
		return http.StatusBadRequest, err.Error()
	case fault.Internal, fault.Corrupt, fault.TooNew:
		return http.StatusServiceUnavailable, member.Unavailable
	default:
		return kind.HTTP(), err.Error()
	}
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (c *call) ok(body any) error {
	reply(c.w, http.StatusOK, body)
	return nil
}

// read reads the body.
func (c *call) read(into any) error {
	err := json.NewDecoder(c.Body).Decode(into)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &problem{http.StatusRequestEntityTooLarge, fmt.Sprintf("the request is longer than %d octets", longest)}
	case err != nil:
		return bad("Bad request for '%s' with error 'Invalid Json'", c.URL.Path)
	}
	return nil
}

// tag is the entity tag that a change is for, of the header or the body; empty where there is none.
func (c *call) tag(inBody string) (string, error) {
	inHeader, inBody := strings.Trim(c.Header.Get("If-Match"), `"`), strings.Trim(inBody, `"`)
	if inHeader != "" && inBody != "" && inHeader != inBody {
		return "", bad("the header If-Match and the field ifMatch differ")
	}
	return inHeader + strings.TrimPrefix(inBody, inHeader), nil
}

func (c *call) consent() ca.Consent { return ca.Consent{Code: c.Header.Get(member.CodeHeader)} }

// asn is an AS number on the wire.
type asn uint32

func (a asn) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "AS%d", uint32(a)), nil }

func (a *asn) UnmarshalText(text []byte) error {
	n, err := inr.ParseAS(string(text))
	*a = asn(n)
	return err
}

// wireROA is a ROA on the wire.
type wireROA struct {
	ASN       asn          `json:"asn"`
	Prefix    netip.Prefix `json:"prefix"`
	MaxLength *length      `json:"maximalLength"`
}

// length is a number that may be quoted.
type length int

func (l *length) UnmarshalJSON(text []byte) error {
	return json.Unmarshal([]byte(strings.Trim(string(text), `"`)), (*int)(l))
}

func wireOf(v roa.VRP) wireROA {
	n := length(v.MaxLength)
	return wireROA{asn(v.ASN), v.Prefix, &n}
}

func (r wireROA) vrp() (roa.VRP, error) {
	if r.MaxLength == nil {
		return roa.VRP{}, bad("the ROA for %s has no maximalLength", r.Prefix)
	}
	row := roa.Row{Prefix: r.Prefix, MaxLength: int(*r.MaxLength), Origin: uint32(r.ASN)}
	return row.VRP(), row.Check()
}

func vrps(list []wireROA) ([]roa.VRP, error) {
	out := []roa.VRP{}
	for _, r := range list {
		v, err := r.vrp()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return roa.Unique(out), nil
}

func (d dialect) resources(c *call) error {
	holding, err := d.service.Holding(c.Context(), c.org)
	if err != nil {
		return err
	}
	list := []string{}
	for _, p := range holding.Prefixes() {
		list = append(list, p.String())
	}
	for _, r := range holding.AS {
		list = append(list, r.String())
	}
	return c.ok(map[string][]string{"resources": list})
}

// announcement is an announcement on the wire.
type announcement struct {
	ASN        asn          `json:"asn"`
	Prefix     netip.Prefix `json:"prefix"`
	Visibility int          `json:"visibility"`
	State      string       `json:"currentState"`
	Suppressed bool         `json:"suppressed"`
	Verified   bool         `json:"verified"`
}

var states = map[roa.Validity]string{roa.Valid: "VALID", roa.InvalidAS: "INVALID_ASN", roa.InvalidLength: "INVALID_LENGTH", roa.NotFound: "UNKNOWN"}

func (d dialect) announced(c *call) ([]announcement, *member.Announced, error) {
	holding, err := d.service.Holding(c.Context(), c.org)
	if err != nil {
		return nil, nil, err
	}
	known, err := d.service.Announced(c.Context(), c.org)
	if err != nil {
		return nil, nil, err
	}
	inside, outside := []announcement{}, []announcement{}
	for _, a := range known.List {
		shown := announcement{asn(a.Origin), a.Prefix, a.Peers, states[a.State], a.Ignored, holding.ContainsPrefix(a.Prefix)}
		if shown.Verified {
			inside = append(inside, shown)
		} else {
			outside = append(outside, shown)
		}
	}
	return append(inside, outside...), known, nil
}

func (d dialect) announcements(c *call) error {
	list, _, err := d.announced(c)
	if err != nil {
		return err
	}
	return c.ok(list)
}

func (d dialect) extended(c *call) error {
	holding, err := d.service.Holding(c.Context(), c.org)
	if err != nil {
		return err
	}
	list, known, err := d.announced(c)
	if err != nil {
		return err
	}
	body := map[string]any{}
	if !known.Time.IsZero() {
		body["lastUpdated"] = known.Time.UTC().Format(time.RFC3339)
	}
	switch {
	case len(list) > 0:
		body["announcements"] = list
	case !holding.HasIP():
		body["emptyAnnouncementsReason"] = "no-ca-resources"
	case known.Time.IsZero():
		body["emptyAnnouncementsReason"] = "no-ris-updates"
	default:
		body["emptyAnnouncementsReason"] = "no-overlap-with-ris"
	}
	return c.ok(body)
}

func (d dialect) affected(c *call) error {
	var r wireROA
	if err := c.read(&r); err != nil {
		return err
	}
	v, err := r.vrp()
	if err != nil {
		return err
	}
	all, _, err := d.announced(c)
	if err != nil {
		return err
	}
	var alone roa.Table
	alone.Add(v)
	list := []announcement{}
	for _, a := range all {
		if state := alone.Validity(routes.Announcement{Prefix: a.Prefix, Origin: uint32(a.ASN)}); state != roa.NotFound {
			a.State = states[state]
			list = append(list, a)
		}
	}
	return c.ok(list)
}

func (d dialect) suppress(again bool) func(*call) error {
	return func(c *call) error {
		var body []struct {
			ASN    asn          `json:"asn"`
			Prefix netip.Prefix `json:"prefix"`
		}
		if err := c.read(&body); err != nil {
			return err
		}
		var list []routes.Announcement
		for _, a := range body {
			if !a.Prefix.IsValid() {
				return bad("an announcement has no prefix")
			}
			list = append(list, routes.Announcement{Prefix: a.Prefix.Masked(), Origin: uint32(a.ASN)})
		}
		if err := d.service.Ignore(c.Context(), c.org, list, again); err != nil {
			return err
		}
		c.w.Header().Set("Location", "../announcements")
		c.w.WriteHeader(http.StatusCreated)
		return nil
	}
}

func (d dialect) history(c *call) error {
	told, err := d.service.History(c.Context(), c.org)
	if err != nil {
		return err
	}
	list := []map[string]any{}
	for _, t := range told {
		list = append(list, map[string]any{
			"time": t.Time.UTC().Format(time.RFC3339), "principal": t.Actor, "commandType": "UpdateRoaConfigurationCommand", "commandGroup": "USER",
			"summary": printable.Line(strings.Join(t.Did, "; ")),
		})
	}
	return c.ok(list)
}
