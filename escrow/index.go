package escrow

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cadastre/internal/fault"
)

// Mark is what the data directory remembers of the newest deposit in a folder. It is needed since we cannot decrypt our own deposits.
type Mark struct {
	Folder    string    `json:"folder"`
	Recipient string    `json:"recipient"`
	Number    uint64    `json:"number"`
	Hash      Hash      `json:"sha256"`
	Time      time.Time `json:"time"`
	Full      time.Time `json:"full"` // of the newest full deposit
	Buckets   []string  `json:"buckets"`
}

// An index is a file: a line with the mark, then for each bucket and each key in it, in order, the key and the first half of
// its value's SHA-256; a key of length 0 ends a bucket; a SHA-256 of all that ends the file. It is read and written in step
// with the store, and so takes no memory.

const shortHash = 16

// indexPath is a file for each folder that deposits go to.
func indexPath(data, folder string) string {
	sum := sha256.Sum256([]byte(folder))
	return filepath.Join(data, "escrow-"+hex.EncodeToString(sum[:4])+".index")
}

// ReadMark is what is remembered of a folder, nil where nothing was deposited in it. The folder's path is absolute.
func ReadMark(data, folder string) (*Mark, error) {
	in, err := openIndex(indexPath(data, folder))
	if in == nil || err != nil {
		return nil, err
	}
	defer in.close()
	return &in.mark, nil
}

// indexReader reads an index from its beginning.
type indexReader struct {
	mark Mark
	file *os.File
	in   *bufio.Reader
	sum  hash.Hash

	key   []byte // of the entry that is next; nil at the end of a bucket
	short [shortHash]byte
}

var errIndex = errors.New("the index of the last deposit is damaged")

// openIndex is nil where there is no index.
func openIndex(path string) (*indexReader, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Wrap(err, "couldn't read the index of the last deposit")
	}
	r := &indexReader{file: file, in: bufio.NewReaderSize(file, 1<<16), sum: sha256.New()}
	text, err := r.in.ReadBytes('\n')
	_, _ = r.sum.Write(text)
	if err == nil {
		err = json.Unmarshal(text, &r.mark)
	}
	if err != nil {
		r.close()
		return nil, fault.New(fault.Corrupt, "the index of the last deposit, %s, is damaged: remove it, and the next deposit is a full one", path)
	}
	return r, nil
}

func (r *indexReader) close() { _ = r.file.Close() }

// next reads the next entry of the bucket into key and short.
func (r *indexReader) next() error {
	n, err := binary.ReadUvarint(r.in)
	if err != nil || n > 1<<20 {
		return errIndex
	}
	_, _ = r.sum.Write(binary.AppendUvarint(nil, n))
	if n == 0 {
		r.key = nil
		return nil
	}
	r.key = slices.Grow(r.key[:0], int(n))[:n]
	if _, err := io.ReadFull(r.in, r.key); err != nil {
		return errIndex
	}
	if _, err := io.ReadFull(r.in, r.short[:]); err != nil {
		return errIndex
	}
	_, _ = r.sum.Write(r.key)
	_, _ = r.sum.Write(r.short[:])
	return nil
}

// end checks that all was read, as it was written.
func (r *indexReader) end() error {
	rest, err := io.ReadAll(io.LimitReader(r.in, sha256.Size+1))
	if err != nil || !bytes.Equal(rest, r.sum.Sum(nil)) {
		return errIndex
	}
	return nil
}

// indexWriter writes an index beside the one that there is, but for the mark, which is known last.
type indexWriter struct {
	path string
	file *os.File
	out  *bufio.Writer
}

func createIndex(path string) (*indexWriter, error) {
	file, err := os.OpenFile(path+".entries", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fault.Wrap(err, "couldn't write the index of the deposit")
	}
	return &indexWriter{path: path, file: file, out: bufio.NewWriterSize(file, 1<<16)}, nil
}

func (w *indexWriter) add(key []byte, short [shortHash]byte) {
	_, _ = w.out.Write(binary.AppendUvarint(nil, uint64(len(key)))) // what fails is told by Flush
	_, _ = w.out.Write(key)
	_, _ = w.out.Write(short[:])
}

func (w *indexWriter) endBucket() { _ = w.out.WriteByte(0) }

// abandon removes what was written.
func (w *indexWriter) abandon() {
	_ = w.file.Close()
	_ = os.Remove(w.path + ".entries")
}

// complete puts the index in the place of the one before, as a whole.
func (w *indexWriter) complete(m *Mark) error {
	defer w.abandon()
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := w.out.Flush(); err != nil {
		return fault.Wrap(err, "couldn't write the index of the deposit")
	}
	if _, err := w.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return replace(w.path, func(file io.Writer) error {
		sum := sha256.New()
		to := io.MultiWriter(file, sum)
		if _, err := to.Write(append(text, '\n')); err != nil {
			return err
		}
		if _, err := io.Copy(to, w.file); err != nil {
			return err
		}
		_, err := file.Write(sum.Sum(nil))
		return err
	})
}

// replace puts a whole file at a path, durably, or leaves what is there.
func replace(path string, write func(io.Writer) error) error {
	file, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		err = errors.Join(write(file), file.Sync(), file.Close())
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	return fault.Wrap(err, "couldn't write %s", path)
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
