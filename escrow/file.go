package escrow

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"io"
	"os"
	"time"

	"filippo.io/age"

	"cadastre/internal/envelope"
	"cadastre/internal/fault"
)

// A deposit's file is
//
//	magic, encrypted payload, signed manifest, length of the manifest (4 octets), magic of the end
//
// so that it is written in one go, whatever its size, and one that was cut short has no end.
const (
	magic     = "cadastre deposit 1\n"
	endMagic  = "\ncadastre deposit ends\n"
	trailer   = 4 + len(endMagic)
	maxSigned = maxManifest + 32<<10 // octets: the manifest in its envelope
)

// sealing is a file that is being written: what goes in is compressed and encrypted.
type sealing struct {
	file    io.Writer
	whole   hash.Hash // of the file
	payload hash.Hash
	size    int64
	age     io.WriteCloser
	gzip    *gzip.Writer
}

func seal(file io.Writer, to age.Recipient) (*sealing, error) {
	s := &sealing{file: file, whole: sha256.New(), payload: sha256.New()}
	if err := s.plain([]byte(magic)); err != nil {
		return nil, err
	}
	var err error
	if s.age, err = age.Encrypt(encrypted{s}, to); err != nil {
		return nil, err
	}
	s.gzip, err = gzip.NewWriterLevel(s.age, gzip.BestSpeed)
	return s, err
}

// Write takes what is to be encrypted.
func (s *sealing) Write(p []byte) (int, error) { return s.gzip.Write(p) }

// encrypted is where encrypted bytes go.
type encrypted struct{ s *sealing }

func (e encrypted) Write(p []byte) (int, error) {
	_, _ = e.s.payload.Write(p) // a hash takes every write
	e.s.size += int64(len(p))
	return len(p), e.s.plain(p)
}

func (s *sealing) plain(p []byte) error {
	_, _ = s.whole.Write(p)
	_, err := s.file.Write(p)
	return err
}

// finish completes the manifest, has it signed, and writes what is missing. It returns the hash of the file.
func (s *sealing) finish(m *Manifest, sign func(content []byte, at time.Time) ([]byte, error)) (Hash, error) {
	if err := errors.Join(s.gzip.Close(), s.age.Close()); err != nil {
		return Hash{}, err
	}
	m.Payload, m.Size = Hash(s.payload.Sum(nil)), s.size
	signed, err := sign(m.xml(), m.Time)
	if err != nil {
		return Hash{}, err
	}
	end := binary.BigEndian.AppendUint32(signed, uint32(len(signed)))
	err = s.plain(append(end, endMagic...))
	return Hash(s.whole.Sum(nil)), err
}

// opened is a deposit whose signature was checked.
type opened struct {
	Manifest
	path string
	hash Hash // of the file
}

// open reads the manifest of a deposit and proves it to be the signer's, by what was valid when it was signed. Whether the
// payload is the one that it names is checked too. It fails with Corrupt, TooNew, and Secret where it is another's.
func open(path string, signer *envelope.Trust) (*opened, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(err, "couldn't read a deposit")
	}
	defer file.Close() //nolint:errcheck // it was only read
	info, err := file.Stat()
	if err != nil {
		return nil, fault.Wrap(err, "couldn't read a deposit")
	}
	o, err := read(file, info.Size(), signer)
	if err != nil {
		return nil, fault.Wrap(err, "%s", path)
	}
	o.path = path
	return o, nil
}

func read(file io.ReaderAt, size int64, signer *envelope.Trust) (*opened, error) {
	message, payload, err := parts(file, size)
	if err != nil {
		return nil, err
	}
	said, err := signer.OpenKept(message)
	if kind := fault.KindOf(err); err != nil && kind != fault.Secret {
		return nil, damaged("the signed part of it cannot be read, so it was changed (%w)", err)
	}
	if err != nil {
		return nil, fault.New(fault.Secret, "it is not signed by the identity that was named (%w)", err)
	}
	m, err := parseManifest(said.Content)
	switch {
	case fault.KindOf(err) == fault.TooNew && err != nil:
		return nil, err
	case err != nil:
		return nil, damaged("it is signed, but is no deposit (%w)", err)
	case !said.SigningTime.Equal(m.Time):
		return nil, damaged("it was signed at %s and says that it is of %s", stamp(said.SigningTime), stamp(m.Time))
	case m.Size != payload.Size():
		return nil, damaged("%d octets are encrypted in it, and not the %d that were signed: it was changed", payload.Size(), m.Size)
	}
	got, err := hashOf(payload)
	if err != nil {
		return nil, err
	}
	if got != m.Payload {
		return nil, damaged("what is encrypted in it is not what was signed: it was changed")
	}
	whole, err := hashOf(io.NewSectionReader(file, 0, size))
	return &opened{Manifest: *m, hash: whole}, err
}

// parts finds the signed manifest and the payload of a file.
func parts(file io.ReaderAt, size int64) (message []byte, payload *io.SectionReader, err error) {
	cut := damaged("it is cut short, or no deposit")
	head, tail := make([]byte, len(magic)), make([]byte, trailer)
	if size < int64(len(magic)+trailer) {
		return nil, nil, cut
	}
	if _, err := file.ReadAt(head, 0); err != nil {
		return nil, nil, fault.Wrap(err, "it cannot be read")
	}
	if _, err := file.ReadAt(tail, size-int64(trailer)); err != nil {
		return nil, nil, fault.Wrap(err, "it cannot be read")
	}
	if string(head) != magic || !bytes.Equal(tail[4:], []byte(endMagic)) {
		return nil, nil, cut
	}
	length := int64(binary.BigEndian.Uint32(tail))
	at := size - int64(trailer) - length
	if length > int64(maxSigned) || at < int64(len(magic)) {
		return nil, nil, cut
	}
	message = make([]byte, length)
	if _, err := file.ReadAt(message, at); err != nil {
		return nil, nil, fault.Wrap(err, "it cannot be read")
	}
	return message, io.NewSectionReader(file, int64(len(magic)), at-int64(len(magic))), nil
}

func hashOf(in *io.SectionReader) (Hash, error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(in, 0, in.Size())); err != nil {
		return Hash{}, fault.Wrap(err, "it cannot be read")
	}
	return Hash(h.Sum(nil)), nil
}

// decrypt applies the payload of a deposit to a state.
func (o *opened) decrypt(c *contents, identity age.Identity, objects sink) (*Settings, error) {
	file, err := os.Open(o.path)
	if err != nil {
		return nil, fault.Wrap(err, "couldn't read a deposit")
	}
	defer file.Close() //nolint:errcheck // it was only read
	s, err := c.decrypt(io.NewSectionReader(file, int64(len(magic)), o.Size), &o.Manifest, identity, objects)
	return s, fault.Wrap(err, "%s", o.path)
}

func (c *contents) decrypt(payload io.Reader, m *Manifest, identity age.Identity, objects sink) (*Settings, error) {
	plain, err := age.Decrypt(payload, identity)
	if _, other := errors.AsType[*age.NoIdentityMatchError](err); other {
		return nil, fault.New(fault.Secret, "it is not encrypted to the identity that was named; find the identity file of its recipient")
	}
	if err != nil {
		return nil, damaged("it cannot be decrypted (%w)", err)
	}
	unpacked, err := gzip.NewReader(plain)
	if err != nil {
		return nil, damaged("it cannot be unpacked (%w)", err)
	}
	return c.apply(unpacked, m, objects)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
