// Package roa keeps the intents of holders for route origin authorizations (RFC 9582), and computes which VRPs they authorise. Its Book has
// the intents for all other kinds of signed objects, too.
//
// An intent is kept as long as its holder wants it, also when the holder loses the resources. What is authorised is computed from intent and
// holding each time: all of it, the part that is still held, or nothing. In the last case the intent is parked, and comes back with the
// resources. So intents can never authorise more than what the holder's certificate names.
package roa

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"cadastre/internal/inr"
)

// Intent says that its holder lets Origin announce Prefix, and more specific prefixes up to MaxLength. Holder, Prefix, MaxLength and Origin
// together identify it.
type Intent struct {
	Holder    string       `json:"holder"` // handle
	Prefix    netip.Prefix `json:"prefix"` // masked
	MaxLength int          `json:"max_length"`
	Origin    uint32       `json:"origin"` // AS number; 0 disavows the prefix (RFC 6483, section 4)
	Comment   string       `json:"comment,omitempty"`
	Actor     string       `json:"actor"`
	Added     time.Time    `json:"added"`
	Until     time.Time    `json:"until,omitzero"`     // when it ends by itself; zero: never
	Transfer  uint64       `json:"transfer,omitempty"` // the transfer that brought it, 0 for none; if that is cancelled the intent is removed
}

// String is the intent as a VRP, with its holder.
func (in Intent) String() string { return fmt.Sprintf("%s for %s", in.VRP(), in.Holder) }

// VRP is what the intent authorises while all of its prefix is held.
func (in Intent) VRP() VRP { return VRP{in.Prefix, in.MaxLength, in.Origin} }

// Owner is the holder.
func (in Intent) Owner() string { return in.Holder }

// Ends is when it ends by itself; zero: never.
func (in Intent) Ends() time.Time { return in.Until }

// BroughtBy is the transfer that brought it; 0: none did.
func (in Intent) BroughtBy() uint64 { return in.Transfer }

// Compare orders the intents of a holder by prefix, length, maxLength and origin.
func (in Intent) Compare(other Intent) int { return in.VRP().Compare(other.VRP()) }

// Key is the holder, 0, then numbers that sort as Compare does.
func (in Intent) Key() []byte {
	key := append([]byte(in.Holder), 0, byte(in.Prefix.Addr().BitLen()))
	key = append(key, in.Prefix.Addr().AsSlice()...)
	key = append(key, byte(in.Prefix.Bits()), byte(in.MaxLength)) // both are at most 128
	return binary.BigEndian.AppendUint32(key, in.Origin)
}

// Authorised lists what an intent authorises while its holder has holding. If the whole prefix is held that is one VRP. If a part is lost,
// it is the fewest prefixes that cover the rest, each with the intent's maxLength, or its own length if that is longer: so announcements
// within the rest stay valid. If nothing is held the intent is parked.
func Authorised(in Intent, holding inr.Set) (vrps []VRP, parked bool) {
	if holding.ContainsPrefix(in.Prefix) {
		return []VRP{in.VRP()}, false
	}
	for _, p := range inr.OfPrefix(in.Prefix).Intersect(holding).Prefixes() {
		vrps = append(vrps, VRP{p, max(in.MaxLength, p.Bits()), in.Origin})
	}
	return vrps, len(vrps) == 0
}

// Ahead lists what an intent authorises in advance while a part of its prefix is about to leave: the VRPs that it will authorise after that.
// It is empty if all of the prefix leaves, or nothing of it.
func Ahead(in Intent, holding, leaving inr.Set) []VRP {
	prefix := inr.OfPrefix(in.Prefix)
	if !prefix.Overlaps(leaving) || leaving.Contains(prefix) {
		return nil
	}
	vrps, _ := Authorised(in, holding.Minus(leaving))
	return vrps
}
