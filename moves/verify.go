package moves

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"cadastre/holdings"
	"cadastre/internal/envelope"
	"cadastre/internal/fault"
	"cadastre/internal/transferwire"
)

// Verdict is what VerifyEvidence found to be proven.
type Verdict struct {
	Signer   string    `json:"signer"`    // identifier of the identity's key, hex
	SignedAt time.Time `json:"signed_at"` // by the clock of the signer
	SHA256   string    `json:"sha256"`    // of the evidence, hex
	Objects  int       `json:"objects"`   // published objects that it names by hash
	Proven   int       `json:"proven"`    // messages with the signature of their author
	Unproven int       `json:"unproven"`  // messages without
	Peers    []Author  `json:"peers"`     // who signed the messages of the other installation
	Evidence Evidence  `json:"evidence"`
}

// Author is an identity that messages are signed under.
type Author struct {
	SHA256   string `json:"sha256"` // of its certificate, hex
	Messages int    `json:"messages"`
}

// VerifyEvidence checks that an installation signed evidence, and that the evidence is consistent: messages have their hashes and are
// what their authors signed, and each step is in its decision. With identities of peers, messages of the other installation have to be
// signed under one of them; without, Verdict.Peers says under which they are. It fails with BadInput where the text is no evidence,
// Secret where it is not signed by this identity, and Invalid where it is not what was signed, or is not consistent.
func VerifyEvidence(text, identity []byte, peers ...[]byte) (*Verdict, error) {
	var signed SignedEvidence
	if err := json.Unmarshal(text, &signed); err != nil {
		return nil, fault.New(fault.BadInput, "it is no evidence of a transfer: %w", err)
	}
	trust, err := envelope.ParseTrust(identity)
	if err != nil {
		return nil, err
	}
	message, err := trust.OpenKept(signed.Signature)
	if err != nil {
		return nil, err
	}
	said, err := statement(signed.Evidence)
	switch {
	case err != nil:
		return nil, err
	case !bytes.Equal(said, message.Content):
		return nil, fault.New(fault.Invalid, "the evidence was changed after it was signed: its hash is another")
	}
	v := &Verdict{Signer: sha256Hex(trust.Certificate()), SignedAt: message.SigningTime, SHA256: hashIn(said), Peers: []Author{}}
	if err := json.Unmarshal(signed.Evidence, &v.Evidence); err != nil {
		return nil, fault.New(fault.BadInput, "the evidence can't be read: %w", err)
	}
	if err := v.check(); err != nil {
		return nil, err
	}
	return v, v.prove(peers)
}

// prove checks the signatures of messages.
func (v *Verdict) prove(peers [][]byte) error {
	wanted := map[string]bool{}
	for _, peer := range peers {
		wanted[sha256Hex(peer)] = true
	}
	for i, r := range v.Evidence.Messages {
		if r.Signed == nil {
			if len(peers) > 0 && r.Direction == In {
				return fault.New(fault.Invalid, "message %d came from the other installation, and what that signed was not kept", i+1)
			}
			v.Unproven++
			continue
		}
		identity := v.Evidence.Identities[r.Signer]
		if sha256Hex(identity) != r.Signer {
			return fault.New(fault.Invalid, "the identity of message %d is not the one with the hash %s", i+1, r.Signer)
		}
		if err := r.proven(identity); err != nil {
			return fault.New(fault.Invalid, "message %d is not what its author signed: %w", i+1, err)
		}
		v.Proven++
		if r.Direction == Out {
			continue
		}
		if r.Signer == v.Signer {
			return fault.New(fault.Invalid, "message %d came from the other installation and is signed under the identity that signed the evidence", i+1)
		}
		if len(peers) > 0 && !wanted[r.Signer] {
			return fault.New(fault.Invalid, "message %d came from the other installation and is signed under another identity, %s", i+1, r.Signer)
		}
		v.wrote(r.Signer)
	}
	return nil
}

// wrote counts a message of the other installation, by the identity that signed it.
func (v *Verdict) wrote(signer string) {
	i := slices.IndexFunc(v.Peers, func(a Author) bool { return a.SHA256 == signer })
	if i < 0 {
		i = len(v.Peers)
		v.Peers = append(v.Peers, Author{SHA256: signer})
	}
	v.Peers[i].Messages++
}

// hashIn is the hash in a statement.
func hashIn(statement []byte) string {
	_, rest, _ := bytes.Cut(statement, []byte(`sha256="`))
	hash, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(hash)
}

// check checks that evidence is consistent; the error says where it is not.
func (v *Verdict) check() error {
	ev := &v.Evidence
	if ev.Format != EvidenceFormat {
		return fault.New(fault.BadInput, "its format is %q; this version reads %s", ev.Format, EvidenceFormat)
	}
	for i, r := range ev.Messages {
		if sha256Hex(r.Octets) != r.SHA256 {
			return fault.New(fault.Invalid, "message %d of the evidence is not the one with the hash %s", i+1, r.SHA256)
		}
		switch message, err := transferwire.Parse(r.Octets); {
		case err != nil:
			return fault.New(fault.Invalid, "message %d of the evidence can't be read: %w", i+1, err)
		case message.Subject() != ev.Transfer.Ref:
			return fault.New(fault.Invalid, "message %d of the evidence is about another transfer, %s", i+1, message.Subject())
		}
	}
	for i, step := range ev.Transfer.Steps {
		if i >= len(ev.Decisions) || !decided(&ev.Decisions[i], ev.Transfer.ID, step) {
			return fault.New(fault.Invalid, "step %d of the timeline, %s, is not that of decision %d", i+1, step.What, step.Decision)
		}
	}
	for _, f := range ev.Facts {
		if !slices.ContainsFunc(ev.Transfer.Steps, func(s holdings.TransferStep) bool {
			return s.Decision == f.Decision && s.What == f.Step && s.At.Equal(f.At)
		}) {
			return fault.New(fault.Invalid, "the facts of decision %d are of no step of the timeline", f.Decision)
		}
		for _, a := range f.Authorities {
			for _, o := range a.Objects {
				if o.SHA256 != "" {
					v.Objects++
				}
			}
		}
	}
	return nil
}

// decided tells whether a decision was a step of a transfer.
func decided(d *holdings.Decision, transfer uint64, step holdings.TransferStep) bool {
	return d.ID == step.Decision && d.Actor == step.Actor && d.Time.UTC().Truncate(time.Second).Equal(step.At) &&
		slices.ContainsFunc(d.Changes, func(c holdings.Change) bool {
			return c.What == holdings.Moved && c.Transfer == transfer && c.Step == step.What
		})
}
