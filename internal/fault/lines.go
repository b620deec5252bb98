package fault

import (
	"fmt"
	"strings"
)

// shownLines is how many wrong lines of a file an error names; the others are counted.
const shownLines = 10

// Lines gathers what is wrong in a file, line by line, so that one error can name several lines at once.
type Lines struct {
	file  string
	kind  Kind
	mixed bool
	text  []string
	count int
}

// NewLines gathers for a file of this name.
func NewLines(file string) *Lines { return &Lines{file: file} }

// Add notes that something is wrong with a line, counted from 1. A nil err is not noted.
func (l *Lines) Add(line int, err error) {
	if err == nil {
		return
	}
	kind := KindOf(err)
	l.mixed = l.mixed || l.count > 0 && kind != l.kind
	l.kind = kind
	if l.count++; l.count <= shownLines {
		l.text = append(l.text, fmt.Sprintf("%s:%d: %v", l.file, line, err))
	}
}

// Count is how many were noted.
func (l *Lines) Count() int { return l.count }

// Err is nil when nothing was noted. Else it names the first ten lines. Its kind is theirs where they agree, and
// BadInput where they do not.
func (l *Lines) Err() error {
	if l.count == 0 {
		return nil
	}
	kind := l.kind
	if l.mixed {
		kind = BadInput
	}
	text := strings.Join(l.text, "\n")
	if more := l.count - len(l.text); more > 0 {
		text += fmt.Sprintf("\nand %d more", more)
	}
	return New(kind, "%s\nnothing of %s is taken", text, l.file)
}
