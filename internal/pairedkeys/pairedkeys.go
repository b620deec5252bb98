// Package pairedkeys makes RSA keys without a search for primes, for proofs and measurements: each of two primes that other keys have, too. Of a few
// hundred primes come tens of thousands of keys, and no two of them are the same. Whoever knows two keys with the same prime can compute both: they
// protect nothing. The program has them only if it is built with the tag 'paired', and no other build has this package.
package pairedkeys

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"os"
	"syscall"
)

// Variable names the file of a run in the environment of its programs.
const Variable = "CADASTRE_PAIRED_KEYS"

const (
	countSize = 8
	primeSize = 128 // octets of a prime, half of a modulus of 2048 bits
	exponent  = 65537
)

// Next makes the next key of a run, of 2048 bits. All programs of a run share one file, which the environment names (Variable): how many keys were
// handed out, eight octets, and the primes. No program gets a key that another one had.
func Next() (*rsa.PrivateKey, error) {
	name := os.Getenv(Variable)
	if name == "" {
		return nil, fmt.Errorf("this program is built for proofs, with the tag 'paired': %s must name the file of this run", Variable)
	}
	return NextOf(name)
}

// NextOf makes the next key of the run that has this file.
func NextOf(name string) (*rsa.PrivateKey, error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // what was written to it is only of this run
	p, q, err := nextPair(f)
	if err != nil {
		return nil, fmt.Errorf("couldn't take two primes from %s: %w", name, err)
	}
	return keyOf(p, q)
}

// Prepare makes the primes that so many keys need, so that no key has to wait for one.
func Prepare(name string, keys int) error {
	f, err := open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // what was written to it is only of this run
	_, last := pairAt(uint64(keys))
	_, err = primeAt(f, last)
	return err
}

// open opens the file of a run, and has it until it is closed.
func open(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// nextPair counts on, and reads the two primes of that number.
func nextPair(f *os.File) (p, q *big.Int, err error) {
	var count [countSize]byte
	if _, err := f.ReadAt(count[:], 0); err != nil && !errors.Is(err, io.EOF) { // an empty file is a run that begins
		return nil, nil, err
	}
	at := binary.BigEndian.Uint64(count[:])
	i, j := pairAt(at)
	if q, err = primeAt(f, j); err != nil { // the later one first: it may have to be made
		return nil, nil, err
	}
	if p, err = primeAt(f, i); err != nil {
		return nil, nil, err
	}
	binary.BigEndian.PutUint64(count[:], at+1)
	_, err = f.WriteAt(count[:], 0)
	return p, q, err
}

// pairAt numbers the pairs i < j by j: (0, 1), (0, 2), (1, 2), (0, 3) and so on, so that n keys need some √2n primes.
func pairAt(n uint64) (i, j int64) {
	j = int64((1 + math.Sqrt(float64(1+8*n))) / 2)
	for j*(j-1)/2 > int64(n) { // the root was rounded up
		j--
	}
	for j*(j+1)/2 <= int64(n) { // or down
		j++
	}
	return int64(n) - j*(j-1)/2, j
}

// primeAt is a prime of the file. If that has it not yet, it is made, and all before it.
func primeAt(f *os.File, at int64) (*big.Int, error) {
	octets := make([]byte, primeSize)
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	for n := max(info.Size()-countSize, 0) / primeSize; n <= at; n++ {
		p, err := newPrime()
		if err != nil {
			return nil, err
		}
		if _, err := f.WriteAt(p.FillBytes(octets), countSize+n*primeSize); err != nil {
			return nil, err
		}
	}
	_, err = f.ReadAt(octets, countSize+at*primeSize)
	return new(big.Int).SetBytes(octets), err
}

// newPrime makes a prime that fits any other: its two highest bits are set, so that a product has all 2048 bits.
func newPrime() (*big.Int, error) {
	for {
		p, err := rand.Prime(rand.Reader, 8*primeSize)
		if err != nil {
			return nil, err
		}
		if new(big.Int).Mod(p, big.NewInt(exponent)).Cmp(big.NewInt(1)) != 0 { // else the exponent has no inverse
			return p, nil
		}
	}
}

// keyOf is the RSA key of two primes.
func keyOf(p, q *big.Int) (*rsa.PrivateKey, error) {
	one := big.NewInt(1)
	order := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: exponent},
		D:         new(big.Int).ModInverse(big.NewInt(exponent), order),
		Primes:    []*big.Int{p, q},
	}
	key.Precompute()
	return key, key.Validate()
}
