package relying

import (
	"bufio"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"

	"cadastre/internal/fault"
)

// A pack is one file with all objects of a repository: a journal of what was published and withdrawn, which a delta
// makes longer and a snapshot replaces. One file, read in one go, is what makes a start from the cache fast: opening
// 24,500 files costs more than validating them when their signatures are remembered. In memory is only where each object is.
// The objects of a kept manifest are a pack, too.
//
//	pack   = magic *record
//	record = crc32c(4, of all that follows) length-of-uri(2) length-of-object(4) uri object
//
// Integers are big-endian. A record with 2^32-1 (withdrawn) as the length has no object: it says that the one at the URI is withdrawn.
const (
	packMagic  = "cadastre objects 1\n"
	recordHead = 4 + 2 + 4
	withdrawn  = 1<<32 - 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// place is where an object is in a pack.
type place struct {
	offset int64
	length uint32 // withdrawn where it is there no more
}

// packWriter appends records to a pack, and notes where it put which object.
type packWriter struct {
	file *os.File
	buf  *bufio.Writer
	size int64
	at   map[string]place
}

// createPack makes a new pack, over any that stands there.
func createPack(path string) (*packWriter, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fault.Wrap(err, "the cache cannot be written")
	}
	w := &packWriter{file: file, buf: bufio.NewWriterSize(file, 256<<10), size: int64(len(packMagic)), at: map[string]place{}}
	_, err = w.buf.WriteString(packMagic)
	return w, fault.Wrap(err, "the cache cannot be written")
}

// appendPack opens a pack to go on behind its first size bytes. What a broken run left there is overwritten, or stays
// beyond the size that the state says.
func appendPack(path string, size int64) (*packWriter, error) {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = file.Seek(size, io.SeekStart)
	}
	if err != nil {
		return nil, fault.Wrap(err, "the cache cannot be written")
	}
	return &packWriter{file: file, buf: bufio.NewWriterSize(file, 64<<10), size: size, at: map[string]place{}}, nil
}

// add appends one record; object nil withdraws.
func (w *packWriter) add(uri string, object []byte) error {
	var head [recordHead]byte
	binary.BigEndian.PutUint16(head[4:], uint16(len(uri)))
	length := uint32(withdrawn)
	if object != nil {
		length = uint32(len(object))
	}
	binary.BigEndian.PutUint32(head[6:], length)
	sum := crc32.Update(0, castagnoli, head[4:])
	sum = crc32.Update(sum, castagnoli, []byte(uri))
	sum = crc32.Update(sum, castagnoli, object)
	binary.BigEndian.PutUint32(head[:], sum)
	_, _ = w.buf.Write(head[:]) // a bufio.Writer keeps its first error for the last call
	_, _ = w.buf.WriteString(uri)
	_, err := w.buf.Write(object)
	w.at[uri] = place{w.size + int64(recordHead+len(uri)), length}
	w.size += int64(recordHead + len(uri) + len(object))
	return fault.Wrap(err, "the cache cannot be written")
}

// close writes out what is buffered. Nothing is forced to the disk: what a crash loses is fetched again.
func (w *packWriter) close() error {
	err := w.buf.Flush()
	if closed := w.file.Close(); err == nil {
		err = closed
	}
	return fault.Wrap(err, "the cache cannot be written")
}

// pack is the objects of a repository in a file.
type pack struct {
	file *os.File // nil where there are none
	at   map[string]place
}

// Get is the object at a URI.
func (p *pack) Get(uri string) ([]byte, bool) {
	at, there := p.at[uri]
	if !there {
		return nil, false
	}
	object := make([]byte, at.length)
	_, err := p.file.ReadAt(object, at.offset)
	return object, err == nil
}

// Close lets go of the file.
func (p *pack) Close() error {
	if p.file == nil {
		return nil
	}
	return p.file.Close()
}

// note takes over what was appended.
func (p *pack) note(added map[string]place) {
	for uri, at := range added {
		if at.length == withdrawn {
			delete(p.at, uri)
		} else {
			p.at[uri] = at
		}
	}
}

// openPack reads the first size bytes of a pack. It fails with Corrupt.
func openPack(path string, size int64) (pack, error) {
	file, err := os.Open(path)
	if err != nil {
		return pack{}, fault.New(fault.Corrupt, "the cached objects cannot be read: %w", err)
	}
	p := pack{file, map[string]place{}}
	if err := p.read(size); err != nil {
		_ = file.Close()
		return pack{}, fault.New(fault.Corrupt, "the cached objects in %s are damaged: %w", path, err)
	}
	return p, nil
}

// read reads all records of the first size bytes.
func (p *pack) read(size int64) error {
	info, err := p.file.Stat()
	if err != nil || info.Size() < size || size < int64(len(packMagic)) {
		return io.ErrUnexpectedEOF
	}
	in := bufio.NewReaderSize(io.LimitReader(p.file, size), 256<<10)
	var magic [len(packMagic)]byte
	if _, err := io.ReadFull(in, magic[:]); err != nil || string(magic[:]) != packMagic {
		return fault.New(fault.Corrupt, "it is no pack")
	}
	for at := int64(len(packMagic)); at < size; {
		uri, where, err := readRecord(in, at)
		if err != nil {
			return err
		}
		p.note(map[string]place{uri: where})
		at = where.offset
		if where.length != withdrawn {
			at += int64(where.length)
		}
	}
	return nil
}

// findRecord reads a pack from its beginning up to the object at a URI.
func findRecord(file *os.File, uri string) ([]byte, bool) {
	in := bufio.NewReaderSize(file, 16<<10)
	var magic [len(packMagic)]byte
	if _, err := io.ReadFull(in, magic[:]); err != nil || string(magic[:]) != packMagic {
		return nil, false
	}
	for at := int64(len(packMagic)); ; {
		name, where, err := readRecord(in, at)
		if err != nil {
			return nil, false
		}
		if name == uri && where.length != withdrawn {
			object := make([]byte, where.length)
			_, err := file.ReadAt(object, where.offset)
			return object, err == nil
		}
		if at = where.offset; where.length != withdrawn {
			at += int64(where.length)
		}
	}
}

// readRecord reads the record that begins at an offset.
func readRecord(in io.Reader, offset int64) (uri string, at place, err error) {
	var head [recordHead]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return "", place{}, err
	}
	sum := crc32.New(castagnoli)
	_, _ = sum.Write(head[4:])
	name := make([]byte, binary.BigEndian.Uint16(head[4:]))
	at = place{offset + int64(recordHead+len(name)), binary.BigEndian.Uint32(head[6:])}
	if _, err := io.ReadFull(io.TeeReader(in, sum), name); err != nil {
		return "", place{}, err
	}
	if at.length != withdrawn {
		if _, err := io.CopyN(sum, in, int64(at.length)); err != nil {
			return "", place{}, err
		}
	}
	if sum.Sum32() != binary.BigEndian.Uint32(head[:]) {
		return "", place{}, fault.New(fault.Corrupt, "a checksum is not right")
	}
	return string(name), at, nil
}
