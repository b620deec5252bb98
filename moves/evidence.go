package moves

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"cadastre/ca"
	"cadastre/holdings"
	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/inr"
	"cadastre/internal/relying"
	"cadastre/internal/store"
	"cadastre/roa"
)

// Evidence is what a transfer leaves for those who come later: who decided what, what was said between installations, what
// was certified and published of what moves at each step, and what a relying party saw. All of it is public. The same state
// makes the same octets.
type Evidence struct {
	Format    string              `json:"format"`
	Transfer  holdings.Transfer   `json:"transfer"` // with its timeline, Steps
	Decisions []holdings.Decision `json:"decisions"`
	Facts     []ca.Fact           `json:"facts"`
	Looks     []Sighting          `json:"looks"`
	Messages  []Record            `json:"messages"`
	// Identities are those that messages are signed under, by the SHA-256 of their certificates, hex: our own, and the other
	// installation's, as they were at the time.
	Identities map[string][]byte `json:"identities,omitempty"`
}

// EvidenceFormat is the format of evidence that is written here.
const EvidenceFormat = "cadastre-transfer-evidence-1"

// Sighting is what a relying party of ours saw of what moves when a step depended on it.
type Sighting struct {
	At          time.Time       `json:"at"`
	Before      int             `json:"before"` // the index of the step that it was for
	TrustAnchor string          `json:"trust_anchor"`
	Authorities []SeenAuthority `json:"authorities"`
	VRPs        []string        `json:"vrps"` // within what moves, sorted
}

// SeenAuthority is a CA that was found to be valid for something of what moves, by the manifest that it was found with.
type SeenAuthority struct {
	Certificate string  `json:"certificate"` // its URI
	Manifest    string  `json:"manifest"`    // its URI
	SHA256      string  `json:"sha256"`      // of the manifest, hex
	Resources   inr.Set `json:"resources"`   // of what moves
}

// Record is a message between installations.
type Record struct {
	Direction string    `json:"direction"` // in or out
	At        time.Time `json:"at"`        // when it was first recorded
	SHA256    string    `json:"sha256"`    // hex
	Octets    []byte    `json:"octets"`
	// Signed is the CMS that its author signed (RFC 6492, section 3), and Signer the identity that is proven by; empty in records of
	// before these were kept.
	Signed []byte `json:"signed,omitempty"`
	Signer string `json:"signer,omitempty"`
}

// The directions of messages.
const (
	In  = "in"
	Out = "out"
)

// record keeps a message about a transfer, by the name that both sides have for it, as evidence, with the CMS that it was signed
// in under an identity. The same message again changes nothing.
func (m *Mover) record(ref, direction string, octets, signed, identity []byte) error {
	sum := sha256.Sum256(octets)
	key := append(recordKey(ref), direction...)
	key = append(append(key, 0), sum[:]...)
	known := false
	err := m.engine.Kept(func(r store.Reader) error {
		was, err := r.Get(ca.EvidenceBucket, key)
		known = was != nil
		return err
	})
	if err != nil || known {
		return err
	}
	r := Record{direction, time.Now().UTC(), sha256Hex(octets), octets, signed, sha256Hex(identity)}
	if err := r.proven(identity); err != nil { // an identity that has just been replaced
		r.Signed, r.Signer = nil, ""
	}
	return m.engine.Keep(func(w store.Writer) error {
		if was, err := w.Get(ca.EvidenceBucket, key); was != nil || err != nil { // it came the other way meanwhile
			return err
		}
		if r.Signed != nil {
			if err := w.Put(ca.EvidenceBucket, identityKey(r.Signer), identity); err != nil {
				return err
			}
		}
		return keep(w, key, r)
	})
}

// proven tells whether a message was signed under an identity.
func (r *Record) proven(identity []byte) error {
	trust, err := envelope.ParseTrust(identity)
	if err != nil {
		return err
	}
	message, err := trust.OpenKept(r.Signed)
	if err == nil && !bytes.Equal(message.Content, r.Octets) {
		err = fault.New(fault.Invalid, "what was signed is another message")
	}
	return err
}

// sha256Hex is how evidence names octets.
func sha256Hex(octets []byte) string {
	sum := sha256.Sum256(octets)
	return hex.EncodeToString(sum[:])
}

func identityKey(signer string) []byte { return append([]byte{'i'}, signer...) }

func recordKey(ref string) []byte { return append([]byte{'m'}, ref+"\x00"...) }

func lookKey(transfer uint64) []byte { return binary.BigEndian.AppendUint64([]byte{'l'}, transfer) }

func keep(w store.Writer, key []byte, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return w.Put(ca.EvidenceBucket, key, text)
}

// noteBasis remembers the observation that a transfer is judged by.
func (m *Mover) noteBasis(t *holdings.Transfer, report *relying.Report) {
	m.observed.mu.Lock()
	defer m.observed.mu.Unlock()
	if m.observed.basis == nil {
		m.observed.basis = map[uint64]*relying.Report{}
	}
	m.observed.basis[t.ID] = report
}

// keepLook keeps what a transfer was last judged by, before the step that follows from it. A step that is tried again
// replaces it.
func (m *Mover) keepLook(t *holdings.Transfer) error {
	m.observed.mu.Lock()
	report := m.observed.basis[t.ID]
	m.observed.mu.Unlock()
	if report == nil {
		return nil // all of it is here, and the fact of the step says what was published
	}
	look := Sighting{At: report.At, Before: len(t.Steps), TrustAnchor: report.TrustAnchor, Authorities: []SeenAuthority{}, VRPs: []string{}}
	for _, a := range report.Authorities {
		if of := a.Resources.Intersect(t.Resources); !of.Empty() {
			look.Authorities = append(look.Authorities, SeenAuthority{a.CertificateURI, a.ManifestURI, hex.EncodeToString(a.ManifestHash[:]), of})
		}
	}
	slices.SortFunc(look.Authorities, func(a, b SeenAuthority) int { return cmp.Compare(a.Certificate, b.Certificate) })
	for _, v := range report.VRPs {
		if t.Resources.Overlaps(inr.OfPrefix(v.Prefix)) {
			look.VRPs = append(look.VRPs, v.String())
		}
	}
	slices.Sort(look.VRPs)
	look.VRPs = slices.Compact(look.VRPs)
	return m.engine.Keep(func(w store.Writer) error {
		return keep(w, binary.BigEndian.AppendUint64(lookKey(t.ID), uint64(len(t.Steps))), look)
	})
}

// Evidence is the evidence of a transfer so far. It fails with NotFound.
func (m *Mover) Evidence(id uint64) (*Evidence, error) {
	ev := &Evidence{Format: EvidenceFormat, Decisions: []holdings.Decision{}}
	err := m.engine.Read(func(l *holdings.Ledger, _ *roa.Book) error {
		t, err := find(l, id)
		if err == nil {
			ev.Transfer = *t
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	err = m.engine.Kept(func(r store.Reader) (err error) {
		if ev.Facts, err = kept[ca.Fact](r, ca.FactKey(id, 0)); err != nil {
			return err
		}
		if ev.Looks, err = kept[Sighting](r, lookKey(id)); err != nil {
			return err
		}
		if ev.Messages, err = kept[Record](r, recordKey(ev.Transfer.Ref)); err != nil {
			return err
		}
		for _, message := range ev.Messages {
			if message.Signer != "" && ev.Identities[message.Signer] == nil {
				if ev.Identities == nil {
					ev.Identities = map[string][]byte{}
				}
				identity, err := r.Get(ca.EvidenceBucket, identityKey(message.Signer))
				if err != nil {
					return err
				}
				ev.Identities[message.Signer] = bytes.Clone(identity)
			}
		}
		ev.Decisions, err = decisionsOf(r, &ev.Transfer)
		return err
	})
	slices.SortFunc(ev.Messages, func(a, b Record) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.SHA256, b.SHA256))
	})
	return ev, err
}

// kept is what the evidence has under keys that begin with a prefix, in the order of the keys.
func kept[T any](r store.Reader, prefix []byte) ([]T, error) {
	list := []T{}
	for record, err := range r.Scan(ca.EvidenceBucket, prefix) {
		if err != nil {
			return nil, err
		}
		var v T
		if err := json.Unmarshal(record.Value, &v); err != nil {
			return nil, fault.New(fault.Corrupt, "evidence in the store is damaged (%w): restore it from a backup", err)
		}
		list = append(list, v)
	}
	return list, nil
}

// decisionsOf is the decisions that a transfer's steps were, in order.
func decisionsOf(r store.Reader, t *holdings.Transfer) ([]holdings.Decision, error) {
	list := []holdings.Decision{}
	for _, step := range t.Steps {
		for d, err := range holdings.Decisions(r, step.Decision) {
			if err != nil {
				return nil, err
			}
			list = append(list, d)
			break
		}
	}
	return list, nil
}

// SignedEvidence is evidence with a signature of the installation. The signature is a CMS message of RFC 6492 over a statement
// with the hash of the evidence, without white space between its parts.
type SignedEvidence struct {
	Evidence  json.RawMessage `json:"evidence"`
	Signer    []byte          `json:"signer"`    // the installation's identity, DER: to be compared with what is known of it
	Signature []byte          `json:"signature"` // CMS
}

// statement is what is signed of evidence.
func statement(evidence []byte) ([]byte, error) {
	var text bytes.Buffer
	if err := json.Compact(&text, evidence); err != nil {
		return nil, fault.New(fault.BadInput, "the evidence is no JSON: %w", err)
	}
	return fmt.Appendf(nil, `<transfer-evidence xmlns="https://cadastre.example/transfer-evidence/1" sha256="%x"/>`, sha256.Sum256(text.Bytes())), nil
}

// SignEvidence is the evidence of a transfer so far, signed. It fails with NotFound, and with Unreachable where the keys are not
// open.
func (m *Mover) SignEvidence(id uint64) (*SignedEvidence, error) {
	ev, err := m.Evidence(id)
	if err != nil {
		return nil, err
	}
	signer, err := m.engine.Federation.Signer("")
	if err != nil {
		return nil, fault.New(fault.Unreachable, "no daemon runs that has the keys open to sign with; start it with 'cadastre serve'")
	}
	signed := &SignedEvidence{}
	if signed.Signer, err = m.engine.Federation.Identity(); err != nil {
		return nil, err
	}
	if signed.Evidence, err = json.Marshal(ev); err != nil {
		return nil, err
	}
	content, err := statement(signed.Evidence)
	if err != nil {
		return nil, err
	}
	signed.Signature, err = signer.Sign(content, time.Now())
	return signed, err
}
