package relying

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"

	"cadastre/internal/fault"
)

// A pack is one file with all objects of a repository: a journal of what was published and withdrawn, which a delta
// makes longer and a snapshot replaces. One file, read in one go, is what makes a start from the cache fast: opening
// 24,500 files costs more than validating them with warm signatures does.
//
//	pack   = magic *record
//	record = crc32c(4, of all that follows) length-of-uri(2) length-of-object(4) uri object
//
// Integers are big-endian. A record whose length of the object is withdrawn has none and withdraws.
const (
	packMagic  = "cadastre objects 1\n"
	recordHead = 4 + 2 + 4
	withdrawn  = 1<<32 - 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// packWriter appends records to a pack.
type packWriter struct {
	file *os.File
	buf  *bufio.Writer
	size int64
}

// createPack makes a new pack, over any that stands there.
func createPack(path string) (*packWriter, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fault.Wrap(err, "the cache cannot be written")
	}
	w := &packWriter{file: file, buf: bufio.NewWriterSize(file, 256<<10), size: int64(len(packMagic))}
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
	return &packWriter{file: file, buf: bufio.NewWriterSize(file, 64<<10), size: size}, nil
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

// readPack reads the first size bytes of a pack. The objects are slices of one allocation. It fails with Corrupt.
func readPack(path string, size int64) (map[string][]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.Corrupt, "the cached objects cannot be read: %w", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil || info.Size() < size || size < int64(len(packMagic)) {
		return nil, fault.New(fault.Corrupt, "the cached objects in %s are cut short", path)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(file, data); err != nil {
		return nil, fault.New(fault.Corrupt, "the cached objects cannot be read: %w", err)
	}
	rest, ok := bytes.CutPrefix(data, []byte(packMagic))
	objects := make(map[string][]byte, len(rest)/2048)
	for ok && len(rest) > 0 {
		rest, ok = readRecord(rest, objects)
	}
	if !ok {
		return nil, fault.New(fault.Corrupt, "the cached objects in %s are damaged", path)
	}
	return objects, nil
}

// readRecord applies the first record and returns what follows it.
func readRecord(data []byte, objects map[string][]byte) ([]byte, bool) {
	if len(data) < recordHead {
		return nil, false
	}
	uriEnd := recordHead + int(binary.BigEndian.Uint16(data[4:]))
	length := binary.BigEndian.Uint32(data[6:])
	end := uriEnd
	if length != withdrawn {
		end += int(length)
	}
	if end > len(data) || crc32.Checksum(data[4:end], castagnoli) != binary.BigEndian.Uint32(data) {
		return nil, false
	}
	uri := string(data[recordHead:uriEnd])
	if length == withdrawn {
		delete(objects, uri)
	} else {
		objects[uri] = data[uriEnd:end:end]
	}
	return data[end:], true
}
