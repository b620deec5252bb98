package rrdp

import (
	"sync"
	"weak"
)

// opened is the documents that answers are read from. All answers of one form of a file share its document: that of a large snapshot is
// itself some megabytes, and a slow reader has it for minutes. It goes when the last answer has let go of it.
type opened struct {
	mu  sync.Mutex
	all map[form]known
}

// form is one form of a file.
type form struct {
	file   string
	packed bool
}

// known is what is known of a form: its size, and its document as long as somebody reads it.
type known struct {
	size     int64
	document weak.Pointer[document]
}

// size is that of a form that was opened before.
func (o *opened) size(f form) (int64, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k, known := o.all[f]
	return k.size, known
}

// get is the document of a form; nil where nobody reads it.
func (o *opened) get(f form) *document {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all[f].document.Value()
}

// put notes a document. What is not in files is forgotten.
func (o *opened) put(f form, d *document, files map[string]*published) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for other := range o.all {
		if files[other.file] == nil {
			delete(o.all, other)
		}
	}
	if o.all == nil {
		o.all = map[form]known{}
	}
	o.all[f] = known{d.size(), weak.Make(d)}
}

// forget forgets all documents: those who read them read on.
func (o *opened) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = nil
}
