package escrow

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"

	"cadastre/internal/fault"
)

// What is encrypted is lines of JSON, compressed: the settings first, then records of the store, then what is published.
// With the tools at hand it reads as 'tail -c +N FILE | age -d -i IDENTITY | zcat | jq'.

// Settings is what of the configuration a successor has to know.
type Settings struct {
	Format       int    `json:"format"`
	Installation string `json:"installation"`
	Identity     []byte `json:"identity"` // the certificate, DER
	TAL          string `json:"tal"`
	Anchor       []byte `json:"anchor"` // the trust anchor's certificate, DER

	RsyncBase     string  `json:"rsync_base"`
	RRDPBase      string  `json:"rrdp_base"`
	AnchorURL     string  `json:"anchor_url"`
	ServiceBase   string  `json:"service_base"`
	Algorithm     string  `json:"algorithm"`
	ManifestLife  string  `json:"manifest_life"`
	ManifestSlack string  `json:"manifest_slack"`
	Soak          string  `json:"soak"`
	Notice        string  `json:"notice"`
	Brake         float64 `json:"brake"` // a share, not percent
	BrakeWindow   string  `json:"brake_window"`
}

const payloadFormat = 1

// line is one line: settings, a record that is put or deleted, or an object.
type line struct {
	Settings *Settings `json:"settings,omitempty"`

	Put    string          `json:"put,omitempty"`    // a bucket
	Delete string          `json:"delete,omitempty"` // a bucket
	Key    string          `json:"key,omitempty"`    // where it is text, else Key64
	Key64  []byte          `json:"key64,omitempty"`
	Value  json.RawMessage `json:"value,omitempty"` // where it is JSON as Go writes it, else Value64
	Raw    []byte          `json:"value64,omitempty"`

	Object string `json:"object,omitempty"` // a URI
	Hash   *Hash  `json:"sha256,omitempty"`
	Bytes  []byte `json:"bytes,omitempty"`
}

// maxLine is the octets that a line may have; the longest are decisions about whole registries.
const maxLine = 256 << 20

// writer writes the lines of a payload.
type writer struct {
	to      *json.Encoder
	puts    int
	deletes int
	objects int
}

func newWriter(to io.Writer, s *Settings) (*writer, error) {
	w := &writer{to: json.NewEncoder(to)}
	return w, w.to.Encode(line{Settings: s})
}

func (l *line) setKey(key []byte) {
	if utf8.Valid(key) {
		l.Key = string(key)
	} else {
		l.Key64 = key
	}
}

func (w *writer) put(bucket string, key, value []byte) error {
	w.puts++
	l := line{Put: bucket}
	l.setKey(key)
	if again, err := json.Marshal(json.RawMessage(value)); err == nil && len(value) > 0 && bytes.Equal(again, value) {
		l.Value = value
	} else {
		l.Raw = value
	}
	return w.to.Encode(&l)
}

func (w *writer) remove(bucket string, key []byte) error {
	w.deletes++
	l := line{Delete: bucket}
	l.setKey(key)
	return w.to.Encode(&l)
}

func (w *writer) object(uri string, hash [sha256.Size]byte, object []byte) error {
	w.objects++
	h := Hash(hash)
	return w.to.Encode(&line{Object: uri, Hash: &h, Bytes: object})
}

// sink is told what an object is; an error of it ends the reading.
type sink func(uri string, object []byte) error

// apply makes the state what it is after a payload. It checks that the payload is one of a deposit of this kind, and fails
// with Corrupt. Objects go to objects, which may be nil, and are checked in any case.
func (c *contents) apply(payload io.Reader, m *Manifest, objects sink) (*Settings, error) {
	in := bufio.NewReaderSize(payload, 1<<16)
	first, err := readLine(in)
	if err != nil {
		return nil, err
	}
	if first == nil || first.Settings == nil {
		return nil, damaged("it does not begin with its settings")
	}
	if first.Settings.Format != payloadFormat {
		return nil, fault.New(fault.TooNew, "its content has format %d and this program knows %d: use the newer program", first.Settings.Format, payloadFormat)
	}
	if m.Kind == Full {
		c.buckets, c.sorted = map[string]map[string][]byte{}, map[string][]string{}
	}
	c.objects = 0
	puts, deletes := 0, 0
	for {
		l, err := readLine(in)
		if err != nil {
			return nil, err
		}
		if l == nil {
			break
		}
		switch {
		case l.Settings != nil:
			return nil, damaged("it has its settings twice")
		case l.Object != "":
			if err := c.take(l, objects); err != nil {
				return nil, err
			}
		case l.Put != "":
			c.put(l.Put, l.key(), l.value())
			puts++
		default:
			if m.Kind == Full || !c.remove(l.Delete, l.key()) {
				return nil, damaged("it deletes a record of %q that is not there", l.Delete)
			}
			deletes++
		}
	}
	if puts != m.Puts || deletes != m.Deletes || c.objects != m.Objects {
		return nil, damaged("it has %d records, %d deleted ones and %d objects, and not %d, %d and %d as its manifest says", puts, deletes, c.objects, m.Puts, m.Deletes, m.Objects)
	}
	if got := c.sum(); got != m.State {
		return nil, damaged("it leads to %+v, and not to %+v as its manifest says", got, m.State)
	}
	return first.Settings, nil
}

func (c *contents) take(l *line, objects sink) error {
	if Hash(sha256.Sum256(l.Bytes)) != *l.Hash {
		return damaged("the object %.200q is not the one of its hash", l.Object)
	}
	c.objects++
	if objects == nil {
		return nil
	}
	return objects(l.Object, l.Bytes)
}

func (l *line) key() string {
	if l.Key64 != nil {
		return string(l.Key64)
	}
	return l.Key
}

func (l *line) value() []byte {
	if l.Value != nil {
		return l.Value
	}
	return l.Raw
}

// check tells whether a line says one thing.
func (l *line) check() bool {
	record := l.Put != "" || l.Delete != ""
	hasKey := (l.Key != "") != (l.Key64 != nil)
	switch {
	case l.Settings != nil:
		return !record && !hasKey && l.Object == ""
	case l.Object != "":
		return !record && !hasKey && l.Hash != nil
	case l.Put != "":
		return l.Delete == "" && hasKey && isDeposited(l.Put) && (l.Value == nil || l.Raw == nil) && len(l.key()) > 0
	default:
		return hasKey && isDeposited(l.Delete) && l.Value == nil && l.Raw == nil && len(l.key()) > 0
	}
}

// readLine reads one line, nil at the end. It fails with Corrupt, and with what the reader below fails with.
func readLine(in *bufio.Reader) (*line, error) {
	var text []byte
	for {
		part, err := in.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case errors.Is(err, io.EOF) && len(text) == 0:
			return nil, nil
		case errors.Is(err, bufio.ErrBufferFull) && len(text) <= maxLine:
			continue
		case errors.Is(err, io.EOF), errors.Is(err, bufio.ErrBufferFull):
			return nil, damaged("a line of it has no end")
		case err != nil:
			return nil, damaged("it cannot be read to its end (%w)", err)
		}
		l := &line{}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(l); err != nil {
			return nil, damaged("a line of it is no JSON of ours (%w)", err)
		}
		if decoder.InputOffset() != int64(len(text)-1) || !l.check() {
			return nil, damaged("a line of it says nothing that a deposit can say: %.80q", text)
		}
		return l, nil
	}
}

// damaged is the error of what is not as it was written.
func damaged(format string, args ...any) error { return fault.New(fault.Corrupt, format, args...) }
