package arin

import (
	"encoding/xml"
	"errors"
	"net/http"
	"net/netip"
	"slices"

	"cadastre/api/member"
	"cadastre/aspa"
	"cadastre/ca"
	"cadastre/roa"
)

// transaction is what a client wants deleted and added, all of it or nothing.
type transaction struct {
	XMLName xml.Name `xml:"http://www.arin.net/regrws/rpki/v1 rpkiTransaction"`
	Deleted []gone   `xml:"roaSpecDelete>roaHandle"`
	Added   []wanted `xml:"roaSpecAdd>roaSpec"`
	ASPAs   struct {
		Deleted []uint32 `xml:"customerAsId"`
	} `xml:"aspaDelete"`
	ASPAsAdded []wantedASPA `xml:"aspaAdd>aspa"`
}

// gone names a ROA. Whether route objects go with it is not looked at: there are none.
type gone struct {
	Handle string `xml:",chardata"`
}

type wanted struct {
	Handle    string     `xml:"roaHandle,omitempty"`
	AutoLink  bool       `xml:"autoLink"`
	ASN       uint32     `xml:"asNumber"`
	Name      string     `xml:"name"`
	Renewed   bool       `xml:"autoRenewed"`
	Linked    bool       `xml:"autoLinked"`
	Resources []resource `xml:"resources>roaSpecResource"`
}

type resource struct {
	Start     string `xml:"startAddress"`
	Length    int    `xml:"cidrLength"`
	MaxLength *int   `xml:"maxLength,omitempty"`
}

type wantedASPA struct {
	Customer  uint32   `xml:"customerAsId"`
	Providers []uint32 `xml:"providerAsIds>providerAsId"`
}

func (d dialect) transact(r *http.Request, org string) (any, error) {
	var t transaction
	if err := xml.NewDecoder(r.Body).Decode(&t); err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return nil, fails(http.StatusRequestEntityTooLarge, "E_BAD_REQUEST", "the request is longer than %d octets", longest)
		}
		return nil, fails(http.StatusBadRequest, "E_SCHEMA_VALIDATION", "the payload is no rpkiTransaction: %v", err)
	}
	has, err := d.service.Intents(r.Context(), org)
	if err != nil {
		return nil, err
	}
	change, err := t.change(has)
	if err != nil {
		return nil, err
	}
	change.Consent = ca.Consent{Code: r.Header.Get(member.CodeHeader)}
	if len(change.Add)+len(change.Remove)+len(change.SetASPAs)+len(change.RemoveASPAsOf) > 0 {
		if _, err := d.service.Change(r.Context(), org, change); err != nil {
			return nil, err
		}
	}
	return &t, nil
}

// change is what the transaction makes of intents: deletes come before adds. It fills in the handles of new ROAs.
func (t *transaction) change(has *member.Intents) (*member.Change, error) {
	change := &member.Change{IfMatch: has.Tag, Reason: "by ARIN's API"}
	specs, there := specsOf(has), map[roa.VRP]bool{}
	names := map[origin]bool{}
	for _, in := range has.ROAs {
		there[roa.VRP{Prefix: in.Prefix, ASN: in.Origin}] = true
		names[origin{in.Origin, in.Comment}] = true
	}
	for _, g := range t.Deleted {
		at := slices.IndexFunc(specs, func(s *spec) bool { return s.handle() == g.Handle })
		if at < 0 {
			return nil, fails(http.StatusNotFound, "E_OBJECT_NOT_FOUND", "there is no ROA %.64s", g.Handle)
		}
		s := specs[at]
		delete(names, origin{s.asn, s.name})
		for _, v := range s.vrps {
			delete(there, roa.VRP{Prefix: v.Prefix, ASN: v.ASN})
			change.Remove = append(change.Remove, v)
		}
		specs = slices.Delete(specs, at, at+1)
	}
	for i := range t.Added {
		if err := t.Added[i].add(change, there, names); err != nil {
			return nil, err
		}
	}
	again := map[roa.VRP]bool{}
	for _, row := range change.Add {
		again[row.VRP()] = true
	}
	change.Remove = slices.DeleteFunc(change.Remove, func(v roa.VRP) bool { return again[v] }) // it stays, under its new name
	return change, t.changeASPAs(has, change)
}

// add adds a ROA to a change. There is the prefixes and ASes that have a ROA, names are those of ROAs.
func (w *wanted) add(change *member.Change, there map[roa.VRP]bool, names map[origin]bool) error {
	named := origin{w.ASN, w.Name}
	switch {
	case w.Name == "" || len(w.Resources) == 0:
		return invalid("a ROA needs a name and at least one resource")
	case names[named]:
		return invalid("there is a ROA %q of AS%d already", w.Name, w.ASN)
	}
	names[named] = true
	s := spec{asn: w.ASN, name: w.Name}
	for _, res := range w.Resources {
		addr, err := unpadded(res.Start)
		if err != nil || addr.Zone() != "" {
			return invalid("%q is no address", res.Start)
		}
		p := netip.PrefixFrom(addr, res.Length)
		row := roa.Row{Prefix: p, MaxLength: res.Length, Origin: w.ASN, Comment: w.Name}
		if res.MaxLength != nil {
			row.MaxLength = *res.MaxLength
		}
		if err := row.Check(); err != nil {
			return invalid("%s/%d: %v", res.Start, res.Length, err)
		}
		pair := roa.VRP{Prefix: p, ASN: w.ASN}
		if there[pair] {
			return invalid("there is a ROA of AS%d for %s already", w.ASN, p)
		}
		there[pair] = true
		if err := roa.CheckOrigin(row, true); err != nil {
			return err
		}
		s.vrps, change.Add = append(s.vrps, row.VRP()), append(change.Add, row)
	}
	s.vrps = roa.Unique(s.vrps)
	w.Handle, w.Renewed = s.handle(), true
	return nil
}

func (t *transaction) changeASPAs(has *member.Intents, change *member.Change) error {
	there := map[uint32]bool{}
	for _, v := range has.ASPAs {
		there[v.Customer] = true
	}
	for _, customer := range t.ASPAs.Deleted {
		if !there[customer] {
			return fails(http.StatusNotFound, "E_OBJECT_NOT_FOUND", "there is no ASPA of AS%d", customer)
		}
		delete(there, customer)
		change.RemoveASPAsOf = append(change.RemoveASPAsOf, customer)
	}
	for _, w := range t.ASPAsAdded {
		row := aspa.Row{VAP: aspa.VAP{Customer: w.Customer, Providers: w.Providers}}
		if err := row.Check(); err != nil {
			return err
		}
		if there[w.Customer] {
			return invalid("there is an ASPA of AS%d already: delete it in the same transaction", w.Customer)
		}
		there[w.Customer] = true
		change.RemoveASPAsOf = slices.DeleteFunc(change.RemoveASPAsOf, func(c uint32) bool { return c == w.Customer })
		change.SetASPAs = append(change.SetASPAs, row.VAP)
	}
	return nil
}
