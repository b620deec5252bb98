package ccr

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Difference is one thing that two caches do not agree about, in a sentence.
type Difference struct {
	Aspect string `json:"aspect"` // "manifest", "roa", "aspa" or "trust anchor"
	Where  string `json:"where"`  // a manifest's URI, a VRP, an ASPA payload or a key identifier
	Text   string `json:"text"`
}

func (d Difference) String() string { return d.Aspect + " " + d.Where + ": " + d.Text }

// Compare lists what differs between our cache and theirs: manifests by their URI, VRPs, ASPA payloads and trust anchors. States that
// one of them does not speak of are not compared. No difference means that ManifestHash, ROAHash, ASPAHash and TrustAnchorHash
// agree too.
func Compare(ours, theirs *Cache) []Difference {
	var found []Difference
	if ours.Manifests != nil && theirs.Manifests != nil && ours.ManifestHash() != theirs.ManifestHash() {
		manifests := compareManifests(ours.Manifests, theirs.Manifests)
		if len(manifests) == 0 { // two manifests of one URI, which no valid cache has
			manifests = []Difference{{"manifest", "", "the states have different hashes"}}
		}
		found = append(found, manifests...)
	}
	if ours.ROAs != nil && theirs.ROAs != nil && ours.ROAHash() != theirs.ROAHash() {
		found = append(found, compareSets("roa", ours.ROAs, theirs.ROAs, compareVRP, func(v VRP) string {
			return fmt.Sprintf("%s,%d,AS%d", v.Prefix, v.MaxLength, v.ASN)
		})...)
	}
	if ours.ASPAs != nil && theirs.ASPAs != nil && ours.ASPAHash() != theirs.ASPAHash() {
		found = append(found, compareSets("aspa", ours.ASPAs, theirs.ASPAs, compareASPA, func(a ASPA) string {
			return fmt.Sprintf("AS%d => %v", a.Customer, a.Providers)
		})...)
	}
	if ours.TrustAnchors != nil && theirs.TrustAnchors != nil && ours.TrustAnchorHash() != theirs.TrustAnchorHash() {
		found = append(found, compareSets("trust anchor", ours.TrustAnchors, theirs.TrustAnchors, compareKeyID, keyText)...)
	}
	return found
}

func keyText(k KeyID) string { return hex.EncodeToString(k[:]) }

// compareSets lists what is in one set alone.
func compareSets[T any](aspect string, ours, theirs []T, compare func(a, b T) int, text func(T) string) []Difference {
	var found []Difference
	a, b := canonical(ours, compare), canonical(theirs, compare)
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && compare(a[0], b[0]) < 0:
			found = append(found, Difference{aspect, text(a[0]), "only we have it"})
			a = a[1:]
		case len(a) == 0 || compare(a[0], b[0]) > 0:
			found = append(found, Difference{aspect, text(b[0]), "only they have it"})
			b = b[1:]
		default:
			a, b = a[1:], b[1:]
		}
	}
	return found
}

// compareManifests pairs manifests by their URI and says what is different about each pair.
func compareManifests(ours, theirs []Manifest) []Difference {
	var found []Difference
	left := make(map[string]Manifest, len(theirs))
	for _, m := range theirs {
		left[m.Location] = m
	}
	for _, m := range ours {
		other, ok := left[m.Location]
		if !ok {
			found = append(found, Difference{"manifest", m.Location, "only we have it"})
			continue
		}
		delete(left, m.Location)
		if text := manifestDifference(m, other); text != "" {
			found = append(found, Difference{"manifest", m.Location, text})
		}
	}
	for uri := range left {
		found = append(found, Difference{"manifest", uri, "only they have it"})
	}
	slices.SortFunc(found, func(a, b Difference) int { return strings.Compare(a.Where, b.Where) })
	return found
}

// manifestDifference is the first thing that differs between two manifests of one URI, in the order of its weight.
func manifestDifference(ours, theirs Manifest) string {
	switch {
	case ours.Number.Cmp(theirs.Number) != 0:
		return fmt.Sprintf("ours is number %s, theirs %s", ours.Number, theirs.Number)
	case !ours.ThisUpdate.Equal(theirs.ThisUpdate):
		return fmt.Sprintf("our thisUpdate is %s, theirs %s", stamp(ours), stamp(theirs))
	case ours.Hash != theirs.Hash || ours.Size != theirs.Size:
		return fmt.Sprintf("our hash is %x in %d bytes, theirs %x in %d", ours.Hash, ours.Size, theirs.Hash, theirs.Size)
	case ours.AKI != theirs.AKI:
		return fmt.Sprintf("our issuer's key is %x, theirs %x", ours.AKI, theirs.AKI)
	}
	if keys := compareSets("", ours.Subordinates, theirs.Subordinates, compareKeyID, keyText); len(keys) > 0 {
		return fmt.Sprintf("%d subordinate keys differ, the first is %s: %s", len(keys), keys[0].Where, keys[0].Text)
	}
	return ""
}

func stamp(m Manifest) string { return m.ThisUpdate.UTC().Format("2006-01-02T15:04:05Z") }
