package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// A bbolt file is pages of one size. The first two are headers, which are written in turn; the one with the higher
// transaction number is the state. All numbers are in the byte order of the machine, which on all that Go runs bbolt on is
// little-endian. See go.etcd.io/bbolt/internal/common: page.go, meta.go.
//
//	page     id u64, flags u16, count u16, overflow u32 (more pages that belong to it), then its elements
//	header   page, magic u32, version u32, page size u32, flags u32, root page u64, root sequence u64, free list u64,
//	         pages in use u64, transaction u64, FNV-1a of these u64
//	branch   for each child: pos u32 (of its first key, from here), key size u32, page u64
//	leaf     for each key: flags u32 (1: a bucket), pos u32 (of key and value, from here), key size u32, value size u32
//	bucket   the value of such a key: root page u64 (0: its one leaf follows here), sequence u64
const (
	pageHeader    = 16
	metaSize      = 64
	elementSize   = 16
	bucketSize    = 16
	boltMagic     = 0xED0CDAED
	boltVersion   = 2
	branchPage    = 0x01
	leafPage      = 0x02
	metaPage      = 0x04
	bucketElement = 0x01
	maxDepth      = 64 // of a tree; with two keys to a page that is more than a disk holds
)

// walker reads a bbolt file page by page, and believes nothing that it reads.
type walker struct {
	file     io.ReaderAt
	pageSize int64
	pages    uint64 // in use
	root     uint64
	seen     []bool               // by page: it is part of the tree
	buffers  [maxDepth + 1][]byte // by depth, for the page that is looked at there
}

// element is a key of a leaf and what is behind it.
type element struct {
	flags      uint32
	key, value []byte
}

// newWalker reads the headers. Both have to be whole: where one is not, the other may be the state before the last change,
// and nothing would tell.
func newWalker(f *os.File) (*walker, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	w := &walker{file: f}
	first := make([]byte, pageHeader+metaSize)
	if _, err := f.ReadAt(first, 0); err != nil {
		return nil, errors.New("it is cut short")
	}
	w.pageSize = int64(binary.LittleEndian.Uint32(first[pageHeader+8:]))
	if w.pageSize < 512 || w.pageSize > 1<<16 || w.pageSize&(w.pageSize-1) != 0 {
		return nil, errors.New("its first header is damaged")
	}
	var newest uint64
	for id := range uint64(2) {
		page := make([]byte, pageHeader+metaSize)
		if _, err := f.ReadAt(page, int64(id)*w.pageSize); err != nil {
			return nil, errors.New("it is cut short")
		}
		m := page[pageHeader:]
		sum := fnv.New64a()
		_, _ = sum.Write(m[:metaSize-8])
		if binary.LittleEndian.Uint64(page) != id || binary.LittleEndian.Uint16(page[8:]) != metaPage || binary.LittleEndian.Uint64(m[56:]) != sum.Sum64() ||
			binary.LittleEndian.Uint32(m) != boltMagic || binary.LittleEndian.Uint32(m[4:]) != boltVersion || int64(binary.LittleEndian.Uint32(m[8:])) != w.pageSize {
			return nil, fmt.Errorf("header %d of 2 is damaged, so the newest change may be missing", id+1)
		}
		if transaction := binary.LittleEndian.Uint64(m[48:]); id == 0 || transaction > newest {
			newest, w.root, w.pages = transaction, binary.LittleEndian.Uint64(m[16:]), binary.LittleEndian.Uint64(m[40:])
		}
	}
	if size := uint64(info.Size()) / uint64(w.pageSize); w.pages > size {
		return nil, fmt.Errorf("it is cut short: %d pages of %d", size, w.pages)
	}
	w.seen = make([]bool, w.pages)
	return w, nil
}

// buckets lists the buckets.
func (w *walker) buckets() ([]element, error) {
	var out []element
	err := w.tree(w.root, 0, nil, nil, func(e element) error {
		if e.flags != bucketElement || len(e.value) < bucketSize {
			return fmt.Errorf("%q is no bucket", e.key)
		}
		out = append(out, element{e.flags, bytes.Clone(e.key), bytes.Clone(e.value)})
		return nil
	})
	return out, err
}

// records goes through the records of a bucket, in order.
func (w *walker) records(bucket element, each func(key, stored []byte) error) error {
	take := func(e element) error {
		if e.flags != 0 {
			return fmt.Errorf("%q has %s, which is no record", bucket.key, keyText(e.key))
		}
		return each(e.key, e.value)
	}
	root := binary.LittleEndian.Uint64(bucket.value)
	var err error
	if root == 0 {
		err = leaf(bucket.value[bucketSize:], nil, nil, take)
	} else {
		err = w.tree(root, 0, nil, nil, take)
	}
	if err != nil {
		return fmt.Errorf("in bucket %q: %w", bucket.key, err)
	}
	return nil
}

// tree goes through the elements of the tree below a page. Their keys have to ascend, be at least low, and below high; nil is
// no bound.
func (w *walker) tree(id uint64, depth int, low, high []byte, take func(element) error) error {
	page, err := w.page(id, depth)
	switch {
	case err != nil:
		return err
	case depth == maxDepth:
		return fmt.Errorf("page %d is too deep", id)
	case binary.LittleEndian.Uint16(page[8:]) == leafPage:
		if err := leaf(page, low, high, take); err != nil {
			return fmt.Errorf("page %d: %w", id, err)
		}
		return nil
	case binary.LittleEndian.Uint16(page[8:]) != branchPage || binary.LittleEndian.Uint16(page[10:]) == 0:
		return fmt.Errorf("page %d is none of the tree", id)
	}
	n := int(binary.LittleEndian.Uint16(page[10:]))
	keys, children := make([][]byte, n), make([]uint64, n)
	for i := range n {
		at := pageHeader + i*elementSize
		if at+elementSize > len(page) {
			return fmt.Errorf("page %d is damaged", id)
		}
		pos, size := uint64(at)+uint64(binary.LittleEndian.Uint32(page[at:])), uint64(binary.LittleEndian.Uint32(page[at+4:]))
		if pos+size > uint64(len(page)) {
			return fmt.Errorf("page %d is damaged", id)
		}
		keys[i], children[i] = page[pos:pos+size], binary.LittleEndian.Uint64(page[at+8:])
	}
	for i, child := range children {
		from, to := low, high
		if i > 0 {
			from = keys[i]
		}
		if i+1 < n {
			to = keys[i+1]
		}
		if err := w.tree(child, depth+1, from, to, take); err != nil {
			return err
		}
	}
	return nil
}

// leaf goes through the elements of a leaf.
func leaf(page, low, high []byte, take func(element) error) error {
	if len(page) < pageHeader || binary.LittleEndian.Uint16(page[8:]) != leafPage {
		return errors.New("it is no leaf")
	}
	var last []byte
	for i := range int(binary.LittleEndian.Uint16(page[10:])) {
		at := pageHeader + i*elementSize
		if at+elementSize > len(page) {
			return errors.New("it is damaged")
		}
		pos, keySize, valueSize := uint64(at)+uint64(binary.LittleEndian.Uint32(page[at+4:])), uint64(binary.LittleEndian.Uint32(page[at+8:])), uint64(binary.LittleEndian.Uint32(page[at+12:]))
		if pos+keySize+valueSize > uint64(len(page)) {
			return errors.New("it is damaged")
		}
		e := element{binary.LittleEndian.Uint32(page[at:]), page[pos : pos+keySize], page[pos+keySize : pos+keySize+valueSize]}
		if i > 0 && bytes.Compare(last, e.key) >= 0 || low != nil && bytes.Compare(e.key, low) < 0 || high != nil && bytes.Compare(e.key, high) >= 0 {
			return fmt.Errorf("the key %s is out of order", keyText(e.key))
		}
		if err := take(e); err != nil {
			return err
		}
		last = e.key
	}
	return nil
}

// page reads a page with what overflows from it. Each can be read once. It is good until the next one of this depth.
func (w *walker) page(id uint64, depth int) ([]byte, error) {
	if id < 2 || id >= w.pages {
		return nil, fmt.Errorf("there is no page %d", id)
	}
	page, err := w.read(id, depth, w.pageSize)
	if err != nil {
		return nil, err
	}
	more := uint64(binary.LittleEndian.Uint32(page[12:]))
	if binary.LittleEndian.Uint64(page) != id || id+more >= w.pages {
		return nil, fmt.Errorf("page %d is damaged", id)
	}
	for i := id; i <= id+more; i++ {
		if w.seen[i] {
			return nil, fmt.Errorf("page %d is there twice", i)
		}
		w.seen[i] = true
	}
	if more > 0 {
		return w.read(id, depth, int64(more+1)*w.pageSize)
	}
	return page, nil
}

func (w *walker) read(id uint64, depth int, size int64) ([]byte, error) {
	if int64(len(w.buffers[depth])) < size {
		w.buffers[depth] = make([]byte, size)
	}
	page := w.buffers[depth][:size]
	_, err := w.file.ReadAt(page, int64(id)*w.pageSize)
	return page, err
}
