//go:build kept

package keys

import (
	"bufio"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"cadastre/internal/object"
)

// A program that is built with the tag 'kept' takes its keys from a folder, in which earlier runs left theirs. Such keys
// are no secret and have been used before: it is for proofs and measurements (test/moves, test/benchworld) that would
// wait for RSA keys longer than for all else that they do. No other build has this file.
//
// keptFolder names the folder, and keptTurn a file that belongs to one run: how far it has come. Within a run no key is
// handed out twice, by whichever program of it.
const (
	keptFolder = "CADASTRE_KEPT_KEYS"
	keptTurn   = "CADASTRE_KEPT_TURN"
)

// generate hands out the next kept key, or makes one and keeps it.
func generate(a object.Algorithm) (crypto.Signer, error) {
	folder, turn := os.Getenv(keptFolder), os.Getenv(keptTurn)
	if folder == "" || turn == "" {
		return nil, fmt.Errorf("this program is built for tests: %s and %s must name the folder of kept keys and the file of this run", keptFolder, keptTurn)
	}
	der, err := nextKept(filepath.Join(folder, a.Name()+".der"), turn)
	if err != nil || der != nil {
		return parseKept(der, err)
	}
	key, err := a.Generate()
	if err != nil {
		return nil, err
	}
	if der, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		return nil, err
	}
	return key, keep(filepath.Join(folder, a.Name()+".der"), turn, der)
}

func parseKept(der []byte, err error) (crypto.Signer, error) {
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("a kept key is damaged; remove the file: %w", err)
	}
	return key.(crypto.Signer), nil
}

// nextKept is the next key of the file for this run, nil where all were handed out.
func nextKept(kept, turn string) (der []byte, err error) {
	err = atTurn(turn, func(at int64) (int64, error) {
		f, err := os.Open(kept)
		if errors.Is(err, os.ErrNotExist) {
			return at, nil
		}
		if err != nil {
			return at, err
		}
		defer f.Close()
		if _, err := f.Seek(at, io.SeekStart); err != nil {
			return at, err
		}
		buffer, err := bufio.NewReaderSize(f, 4096).Peek(4096)
		if len(buffer) == 0 && errors.Is(err, io.EOF) {
			return at, nil
		}
		var value asn1.RawValue
		if _, err := asn1.Unmarshal(buffer, &value); err != nil {
			return at, nil // another program is at writing the last one
		}
		der = value.FullBytes
		return at + int64(len(der)), nil
	})
	return der, err
}

// keep adds a key, which this run has had then.
func keep(kept, turn string, der []byte) error {
	return atTurn(turn, func(at int64) (int64, error) {
		f, err := os.OpenFile(kept, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return at, err
		}
		defer f.Close()
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil { // a run beside this one keeps keys too
			return at, err
		}
		end, err := f.Seek(0, io.SeekEnd)
		if err != nil || at < end { // others were kept since: this key is not
			return at, err
		}
		_, err = f.Write(der)
		return end + int64(len(der)), err
	})
}

// atTurn has one program of a run at a time go on from where the last has come to.
func atTurn(turn string, next func(at int64) (int64, error)) error {
	f, err := os.OpenFile(turn, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	at, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // an empty file is a run that begins
	at, err = next(at)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.NewOffsetWriter(f, 0), "%020d", at) // as wide each time: a kill leaves the one or the other
	return err
}
