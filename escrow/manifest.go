package escrow

import (
	"strconv"
	"time"

	"cadastre/internal/fault"
	"cadastre/internal/wirexml"
)

// Manifest is what a deposit says about itself, signed and not encrypted.
type Manifest struct {
	Number       uint64    `json:"number"` // from 1
	Kind         Kind      `json:"kind"`
	Time         time.Time `json:"time"` // whole seconds; the state is of this time
	Installation string    `json:"installation"`
	Previous     Hash      `json:"previous,omitzero"` // of the file of the deposit before; zero for the first
	Payload      Hash      `json:"payload"`           // of what is encrypted, as it stands in the file
	Size         int64     `json:"size"`              // of that, in bytes

	Puts    int `json:"puts"`    // records that are new or other; in a full deposit all
	Deletes int `json:"deletes"` // records that are no more
	Objects int `json:"objects"` // published, in a full deposit
	State   Sum `json:"state"`
}

// Sum is how much there is in the whole state that a deposit leads to.
type Sum struct {
	Organisations int `json:"organisations"`
	Delegations   int `json:"delegations"` // in force
	Intents       int `json:"intents"`
	Decisions     int `json:"decisions"`
	Children      int `json:"children"` // delegated CAs
	// Log is the hash of the newest decision (holdings.HeadAt), which answers for all before it.
	Log Hash `json:"log,omitzero"`
}

const (
	namespace   = "urn:cadastre:escrow:1"
	version     = "1"
	maxManifest = 64 << 10
	maxText     = 256 // of an attribute, in bytes
)

// xml writes the manifest.
func (m *Manifest) xml() []byte {
	w := wirexml.NewWriter(1024)
	w.Tag("deposit")
	w.Attr("xmlns", namespace)
	w.Attr("version", version)
	w.Attr("number", strconv.FormatUint(m.Number, 10))
	w.Attr("kind", string(m.Kind))
	w.Attr("time", m.Time.UTC().Format(time.RFC3339))
	w.Attr("installation", m.Installation)
	if m.Previous != (Hash{}) {
		w.Attr("previous", m.Previous.String())
	}
	w.OpenLine()
	w.Tag("payload")
	w.Attr("sha256", m.Payload.String())
	w.Attr("size", strconv.FormatInt(m.Size, 10))
	counts(w, "puts", m.Puts, "deletes", m.Deletes, "objects", m.Objects)
	w.Empty()
	w.Tag("state")
	counts(w, "organisations", m.State.Organisations, "delegations", m.State.Delegations, "intents", m.State.Intents, "decisions", m.State.Decisions, "children", m.State.Children)
	if m.State.Log != (Hash{}) {
		w.Attr("log", m.State.Log.String())
	}
	w.Empty()
	w.Close("deposit")
	return w.Bytes()
}

// counts writes attributes, each a name and a number.
func counts(w *wirexml.Writer, namesAndCounts ...any) {
	for i := 0; i+1 < len(namesAndCounts); i += 2 {
		w.Attr(namesAndCounts[i].(string), strconv.Itoa(namesAndCounts[i+1].(int)))
	}
}

// parseManifest reads a manifest whose signature was checked. It fails with BadInput, and TooNew.
func parseManifest(text []byte) (*Manifest, error) {
	if len(text) > maxManifest {
		return nil, fault.New(fault.BadInput, "its manifest has %d octets, more than %d", len(text), maxManifest)
	}
	r := wirexml.NewReader(text, wirexml.Limits{Tag: 16 * maxText, Text: maxText})
	m, err := readManifest(r)
	if err != nil {
		return nil, fault.Wrap(err, "its manifest cannot be read")
	}
	return m, nil
}

func readManifest(r *wirexml.Reader) (*Manifest, error) {
	root, err := r.Root(namespace)
	if err != nil {
		return nil, err
	}
	if v := root.Token("version", maxText); v != version && v != "" {
		return nil, fault.New(fault.TooNew, "it is of version %q and this program knows %s: use the newer program", v, version)
	}
	m := &Manifest{Number: uint64(count(root, "number")), Kind: Kind(root.Token("kind", maxText)), Installation: root.Token("installation", maxText)}
	if m.Kind != Full && m.Kind != Incremental {
		root.Fail("%.40q is no kind of deposit", m.Kind)
	}
	if m.Time, err = time.Parse(time.RFC3339, root.Token("time", maxText)); err != nil || m.Time.Location() != time.UTC || m.Time.Nanosecond() != 0 {
		root.Fail("its time is not one to the second in UTC")
	}
	if previous := root.OptionalToken("previous", maxText); previous != "" {
		takeHash(root, previous, &m.Previous)
	}
	switch {
	case root.Name != "deposit":
		root.Fail("it is no deposit")
	case m.Number == 0 || m.Installation == "":
		root.Fail("it has no number, or no installation")
	case m.Number == 1 != (m.Previous == Hash{}), m.Number == 1 && m.Kind != Full:
		root.Fail("deposit 1 and no other follows none, and has to be a full one")
	}
	if err := root.Err(); err != nil {
		return nil, err
	}
	payload, err := child(r, root, "payload")
	if err != nil {
		return nil, err
	}
	takeHash(payload, payload.Token("sha256", maxText), &m.Payload)
	m.Size = count(payload, "size")
	m.Puts, m.Deletes, m.Objects = int(count(payload, "puts")), int(count(payload, "deletes")), int(count(payload, "objects"))
	if err := end(r, payload); err != nil {
		return nil, err
	}
	state, err := child(r, root, "state")
	if err != nil {
		return nil, err
	}
	m.State = Sum{
		Organisations: int(count(state, "organisations")), Delegations: int(count(state, "delegations")), Intents: int(count(state, "intents")),
		Decisions: int(count(state, "decisions")), Children: int(count(state, "children")),
	}
	if log := state.OptionalToken("log", maxText); log != "" {
		takeHash(state, log, &m.State.Log)
	}
	if err := end(r, state); err != nil {
		return nil, err
	}
	if err := r.End(root); err != nil {
		return nil, err
	}
	return m, r.Done()
}

func child(r *wirexml.Reader, root *wirexml.Element, name string) (*wirexml.Element, error) {
	e, err := r.Child(root)
	if err == nil && (e == nil || e.Name != name) {
		err = root.Errorf("there is no <%s> where it has to be", name)
	}
	return e, err
}

func end(r *wirexml.Reader, e *wirexml.Element) error {
	if err := e.Err(); err != nil {
		return err
	}
	return r.End(e)
}

// count takes an attribute that is a number from 0 on, without sign or zeros before it.
func count(e *wirexml.Element, name string) int64 {
	text := e.Token(name, maxText)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != text {
		e.Fail("its %s is %.40q and no count", name, text)
		return 0
	}
	return n
}

func takeHash(e *wirexml.Element, text string, into *Hash) {
	if err := into.UnmarshalText([]byte(text)); err != nil || text != into.String() {
		e.Fail("%.80q is no SHA-256 in small letters", text)
	}
}
