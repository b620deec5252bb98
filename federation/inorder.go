package federation

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"cadastre/internal/publication"
)

// queryBytes is the longest text of a query, in octets: half of what servers in use take.
const queryBytes = 16 << 20

// inOrder makes queries of all that is to change at a server. No query has a text longer than most octets. If all fits, it is one
// query, and readers see it at one moment. Otherwise after each query every manifest at the server lists only objects that are there,
// and no VRP is missing that was valid before and is to stay valid. The order is:
//
//   - new objects come first, in each folder its manifest last: no published manifest lists them yet
//   - then objects that are replaced, one folder after the other: manifest, CRL, and certificates that kept their names. Folders that
//     lose an object come after those that only gain, since another folder may have got what they lose
//   - last, objects that no manifest lists any more are withdrawn; before them the manifests of authorities that are gone
//
// A single folder that is longer than most is cut nevertheless.
func inOrder(fresh, replaced, withdrawn []publication.PDU, most int) []*publication.Query {
	all := slices.Concat(fresh, replaced, withdrawn)
	total := 0
	for _, pdu := range all {
		total += textSize(pdu)
	}
	switch {
	case len(all) == 0:
		return nil
	case total <= most:
		return []*publication.Query{{PDUs: all}}
	}
	loses := map[string]bool{}
	for _, pdu := range withdrawn {
		loses[path.Dir(pdu.URI)] = true
	}
	sorted := func(pdus []publication.PDU, order func(a, b string) int) []publication.PDU {
		return slices.SortedFunc(slices.Values(pdus), func(a, b publication.PDU) int { return cmp.Or(order(a.URI, b.URI), cmp.Compare(a.URI, b.URI)) })
	}
	fresh = sorted(fresh, func(a, b string) int {
		return cmp.Or(cmp.Compare(path.Dir(a), path.Dir(b)), cmp.Compare(late(a), late(b)))
	})
	replaced = sorted(replaced, func(a, b string) int {
		a, b = path.Dir(a), path.Dir(b)
		switch {
		case loses[a] == loses[b]:
			return cmp.Compare(a, b)
		case loses[b]:
			return -1
		}
		return 1
	})
	withdrawn = sorted(withdrawn, func(a, b string) int { return cmp.Compare(late(b), late(a)) })
	queries := inParts(fresh, most, false)
	queries = append(queries, inParts(replaced, most, true)...)
	return append(queries, inParts(withdrawn, most, false)...)
}

// late sorts an authority's CRL and manifest behind its other objects.
func late(uri string) int {
	switch {
	case strings.HasSuffix(uri, ".mft"):
		return 2
	case strings.HasSuffix(uri, ".crl"):
		return 1
	}
	return 0
}

// textSize estimates the length of an element of a query: its object in base64, its URI and hash.
func textSize(pdu publication.PDU) int { return (len(pdu.Object)+2)/3*4 + len(pdu.URI) + 160 }

// inParts cuts elements into queries. With whole, elements of one folder stay in one query as long as they fit.
func inParts(pdus []publication.PDU, most int, whole bool) []*publication.Query {
	var queries []*publication.Query
	q, size := &publication.Query{}, 0
	for len(pdus) > 0 {
		n, next := 1, textSize(pdus[0])
		for whole && n < len(pdus) && path.Dir(pdus[n].URI) == path.Dir(pdus[0].URI) && next+textSize(pdus[n]) <= most {
			next += textSize(pdus[n])
			n++
		}
		if size+next > most && len(q.PDUs) > 0 {
			queries, q, size = append(queries, q), &publication.Query{}, 0
		}
		q.PDUs = append(q.PDUs, pdus[:n]...)
		pdus, size = pdus[n:], size+next
	}
	if len(q.PDUs) > 0 {
		queries = append(queries, q)
	}
	return queries
}
