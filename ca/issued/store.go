package issued

import (
	"time"

	"cadastre/internal/store"
	"cadastre/keys"
)

// here is the reason why deposits do not have what was issued.
var here = store.Withheld("what was issued with keys that the successor doesn't have: the objects themselves are deposited")

// The buckets.
var (
	Authorities = store.Declare("authority", "ca", here) // name -> Authority
	Products    = store.Declare("product", "ca", here)   // name 0x00 file name -> Product
	Revoked     = store.Declare("revoked", "ca", here)   // name 0x00 serial -> Revocation
)

// Within is the key, in a bucket, of a record of an authority.
func Within(authority Name, name string) []byte { return []byte(authority.String() + "\x00" + name) }

// Read reads all records of an authority; nil where there is none.
func Read(r store.Reader, authority Name) (*Records, error) {
	a, err := store.Value[Authority](r, Authorities, []byte(authority.String()))
	if a == nil || err != nil {
		return nil, err
	}
	in := &Records{Authority: *a, Products: map[string]Product{}}
	err = store.EachValue(r, Products, Within(authority, ""), func(_ string, p *Product) { in.Products[p.Name] = *p })
	if err == nil {
		err = store.EachValue(r, Revoked, Within(authority, ""), func(_ string, rev *Revocation) { in.Revoked = append(in.Revoked, *rev) })
	}
	if err != nil {
		return nil, err
	}
	return in, nil
}

// Put writes an authority's record.
func Put(w store.Writer, a *Authority) error {
	return store.PutValue(w, Authorities, []byte(a.Name.String()), a)
}

// Erase removes an authority with all its records from the store. Its key is deactivated.
func Erase(w store.Writer, a *Authority) error {
	for _, bucket := range []store.Bucket{Products, Revoked} {
		if err := store.DeleteAll(w, bucket, Within(a.Name, "")); err != nil {
			return err
		}
	}
	if err := keys.Deactivate(w, a.KeyID.String()); err != nil {
		return err
	}
	return w.Delete(Authorities, []byte(a.Name.String()))
}

// Change is a change of an authority's records.
type Change struct {
	Next    *Authority
	Added   []Product
	Removed []Product
	Revoked []Revocation // new ones
	Closed  bool         // the authority has a new CRL
	Key     *keys.Ref    // the key of an authority that is new; nil for none
}

// Write puts a change into the store. It drops revocations that no CRL has to list any more because the certificates have ended.
func (c *Change) Write(w store.Writer, now time.Time) error {
	name := c.Next.Name
	if err := Put(w, c.Next); err != nil {
		return err
	}
	for _, p := range c.Removed {
		if err := w.Delete(Products, Within(name, p.Name)); err != nil {
			return err
		}
	}
	for _, p := range c.Added {
		if err := store.PutValue(w, Products, Within(name, p.Name), p); err != nil {
			return err
		}
	}
	for _, r := range c.Revoked {
		if err := store.PutValue(w, Revoked, Within(name, string(r.Serial.Bytes())), r); err != nil {
			return err
		}
	}
	if c.Closed {
		if err := forgetRevocations(w, name, now); err != nil {
			return err
		}
	}
	if c.Key == nil {
		return nil
	}
	return keys.Put(w, *c.Key)
}

func forgetRevocations(w store.Writer, authority Name, now time.Time) error {
	var past [][]byte
	err := store.EachValue(w, Revoked, Within(authority, ""), func(key string, r *Revocation) {
		if !r.Expires.After(now) {
			past = append(past, []byte(key))
		}
	})
	if err != nil {
		return err
	}
	for _, key := range past {
		if err := w.Delete(Revoked, key); err != nil {
			return err
		}
	}
	return nil
}
