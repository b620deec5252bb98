package escrow

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"cadastre/internal/envelope"
	"cadastre/internal/fault"
)

// Report is the result of verifying a chain of deposits.
type Report struct {
	Installation string     `json:"installation"`
	Deposits     []Manifest `json:"deposits"` // in order
	Newest       Hash       `json:"newest"`   // of the newest deposit's file
	Decrypted    uint64     `json:"decrypted_from,omitempty"`

	chain []*opened
}

// Last is the newest deposit.
func (r *Report) Last() *Manifest { return &r.Deposits[len(r.Deposits)-1] }

// Verify checks every deposit in a folder, and that they are one chain without a gap: signatures, numbers, and that each names the hash of
// the one before it. It needs no secret. The chain may begin with any full deposit, so old ones may be removed. It fails with NotFound where
// there is no deposit, Secret where one is not signed by signer, and Corrupt.
func Verify(folder string, signer *envelope.Trust) (*Report, error) {
	files, err := list(folder)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fault.New(fault.NotFound, "there are no deposits in %s", folder)
	}
	r := &Report{}
	for i, file := range files {
		path := filepath.Join(folder, file.name())
		if i > 0 {
			switch last := files[i-1].number; {
			case file.number == last:
				return nil, damaged("deposit %d is there twice, as %s and %s: move the wrong one away", last, files[i-1].name(), file.name())
			case file.number > last+1:
				return nil, damaged("deposit %d is missing: %s is followed by %s", last+1, files[i-1].name(), file.name())
			}
		}
		o, err := open(path, signer)
		if err != nil {
			return nil, err
		}
		if err := r.follows(o, file); err != nil {
			return nil, fault.Wrap(err, "%s", path)
		}
		r.chain = append(r.chain, o)
		r.Deposits = append(r.Deposits, o.Manifest)
		r.Installation, r.Newest = o.Installation, o.hash
	}
	return r, nil
}

// follows checks that a deposit follows the one before it; the error says what is wrong.
func (r *Report) follows(o *opened, file label) error {
	if o.Number != file.number || o.Kind != file.kind || !o.Time.Equal(file.time) {
		return damaged("it is signed as deposit %d, %s, of %s: it stands in another's place", o.Number, o.Kind, stamp(o.Time))
	}
	if len(r.chain) == 0 {
		if o.Kind != Full {
			return damaged("the first deposit that is there is no full one: find those before it, or move it away")
		}
		return nil
	}
	last := r.chain[len(r.chain)-1]
	switch {
	case o.Installation != last.Installation:
		return damaged("it is of the installation %s, and those before it are of %s", o.Installation, last.Installation)
	case o.Previous != last.hash:
		return damaged("it follows another deposit %d than the one that is there: one of the two was replaced", last.Number)
	case o.Time.Before(last.Time):
		return damaged("it is of %s, before deposit %d, which is of %s", stamp(o.Time), last.Number, stamp(last.Time))
	}
	return nil
}

// Fresh checks that the newest deposit is no older than most; 0 is any age. It fails with Corrupt, and Clock.
func (r *Report) Fresh(now time.Time, most time.Duration) error {
	last := r.Last()
	age := now.Sub(last.Time)
	switch {
	case age < -envelope.ClockTolerance:
		return fault.New(fault.Clock, "deposit %d is of %s, and it is %s here; look at both clocks", last.Number, stamp(last.Time), stamp(now))
	case most > 0 && age > most:
		return damaged("the newest deposit, %d, is of %s and so %s old, more than %s: newer ones did not arrive, or older ones were put in their place", last.Number, stamp(last.Time), age.Round(time.Second), most)
	}
	return nil
}

// seen is the newest deposit of a chain when it was verified last.
type seen struct {
	Installation string `json:"installation"`
	Number       uint64 `json:"number"`
	Hash         Hash   `json:"sha256"`
}

// Remember compares a chain with what a file remembers of its last verification, and then writes the new state to the file, which need not
// exist yet. It finds a chain whose newest deposits were removed: such a chain is valid by itself. It fails with Corrupt.
func (r *Report) Remember(path string) error {
	text, err := os.ReadFile(path)
	var was seen
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return r.note(path)
	case err == nil:
		err = json.Unmarshal(text, &was)
	}
	if err != nil {
		return damaged("%s, which remembers how far the chain had come, cannot be read (%w): remove it to begin anew", path, err)
	}
	last := r.Last()
	switch {
	case was.Installation != r.Installation:
		return damaged("the chain is of the installation %s, and %s remembers one of %s", r.Installation, path, was.Installation)
	case was.Number > last.Number:
		return damaged("the chain ends with deposit %d, and had come to %d when it was verified last: an older one was put in its place", last.Number, was.Number)
	}
	for _, o := range r.chain {
		if o.Number == was.Number && o.hash != was.Hash || o.Number == was.Number+1 && o.Previous != was.Hash {
			return damaged("deposit %d is another than when the chain was verified last", was.Number)
		}
	}
	return r.note(path)
}

func (r *Report) note(path string) error {
	text, err := json.Marshal(seen{r.Installation, r.Last().Number, r.Newest})
	if err != nil {
		return err
	}
	return replace(path, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s\n", text)
		return err
	})
}
