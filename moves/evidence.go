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

// Evidence is the record of a transfer: who decided what, the messages between installations, what of the moved resources was certified
// and published at each step, and what a relying party saw. All of it is public. The same state gives the same octets.
type Evidence struct {
	Format    string              `json:"format"`
	Transfer  holdings.Transfer   `json:"transfer"` // with its timeline, Steps
	Decisions []holdings.Decision `json:"decisions"`
	Facts     []ca.Fact           `json:"facts"`
	Looks     []Observation       `json:"looks"`
	Messages  []Record            `json:"messages"`
	// Identities are the certificates, DER, of the identities that messages were signed under: ours, and those of the other
	// installation. They are found by the SHA-256 of the certificate, hex.
	Identities map[string][]byte `json:"identities,omitempty"`
}

// EvidenceFormat is the format of evidence that is written here.
const EvidenceFormat = "cadastre-transfer-evidence-1"

// Observation is what a relying party of ours saw of the moved resources before a step that depended on it.
type Observation struct {
	At          time.Time       `json:"at"`
	Before      int             `json:"before"` // the index of that step
	TrustAnchor string          `json:"trust_anchor"`
	Authorities []SeenAuthority `json:"authorities"`
	VRPs        []string        `json:"vrps"` // within what moves, sorted
}

// SeenAuthority is a CA that was found to be valid for some of the moved resources, with the manifest that it had then.
type SeenAuthority struct {
	Certificate string  `json:"certificate"` // its URI
	Manifest    string  `json:"manifest"`    // its URI
	SHA256      string  `json:"sha256"`      // of the manifest, hex
	Resources   inr.Set `json:"resources"`   // the CA's part of what moves
}

// Record is a message between installations.
type Record struct {
	Direction string    `json:"direction"` // in or out
	At        time.Time `json:"at"`        // when it was first recorded
	SHA256    string    `json:"sha256"`    // hex
	Octets    []byte    `json:"octets"`
	// Signed is the CMS message as its author signed it (RFC 6492, section 3). Signer is the identity whose signature it has. Both are
	// empty in records of older versions.
	Signed []byte `json:"signed,omitempty"`
	Signer string `json:"signer,omitempty"`
}

// The directions of messages.
const (
	In  = "in"
	Out = "out"
)

// record keeps a message about a transfer as evidence, with the CMS message and the identity that signed it. Ref is the name that both
// installations have for the transfer. The same message again changes nothing.
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
	if err := r.proven(identity); err != nil { // the identity has just been replaced
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

// sha256Hex is the SHA-256 of octets, hex.
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

// noteBasis remembers the observation on which the next step of a transfer rests.
func (m *Mover) noteBasis(t *holdings.Transfer, report *relying.Report) {
	m.observed.mu.Lock()
	defer m.observed.mu.Unlock()
	if m.observed.basis == nil {
		m.observed.basis = map[uint64]*relying.Report{}
	}
	m.observed.basis[t.ID] = report
}

// keepLook keeps the observation of noteBasis as evidence, before the step that rests on it. If the step is tried again, the newer
// observation replaces it.
func (m *Mover) keepLook(t *holdings.Transfer) error {
	m.observed.mu.Lock()
	report := m.observed.basis[t.ID]
	m.observed.mu.Unlock()
	if report == nil {
		return nil // all of it is published here: what the step records says what was published
	}
	look := Observation{At: report.At, Before: len(t.Steps), TrustAnchor: report.TrustAnchor, Authorities: []SeenAuthority{}, VRPs: []string{}}
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
		if ev.Looks, err = kept[Observation](r, lookKey(id)); err != nil {
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

// kept reads the records of evidence whose keys begin with a prefix, in the order of the keys.
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

// decisionsOf lists the decisions of a transfer's steps, in order.
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

// SignedEvidence is evidence with a signature of the installation. The signature is a CMS message as in RFC 6492. Its content is a
// statement with the hash of the evidence; the hash is of the JSON without white space between its parts.
type SignedEvidence struct {
	Evidence  json.RawMessage `json:"evidence"`
	Signer    []byte          `json:"signer"`    // certificate of the installation's identity, DER; compare it with the one you know
	Signature []byte          `json:"signature"` // CMS
}

// statement is the content that is signed for evidence.
func statement(evidence []byte) ([]byte, error) {
	var text bytes.Buffer
	if err := json.Compact(&text, evidence); err != nil {
		return nil, fault.New(fault.BadInput, "the evidence is no JSON: %w", err)
	}
	return fmt.Appendf(nil, `<transfer-evidence xmlns="https://cadastre.example/transfer-evidence/1" sha256="%x"/>`, sha256.Sum256(text.Bytes())), nil
}

// SignEvidence is the evidence of a transfer so far, signed. It fails with NotFound, and with Unreachable where the keys are not open.
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
