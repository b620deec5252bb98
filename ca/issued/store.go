package issued

import "cadastre/internal/store"

// here is why deposits do not have what was issued.
var here = store.Withheld("what was issued with keys that the successor doesn't have: the objects themselves are deposited")

// The buckets.
var (
	Authorities = store.Declare("authority", "ca", here)                             // name -> Authority
	Products    = store.Declare("product", "ca", here)                               // name 0x00 file name -> Product
	Revoked     = store.Declare("revoked", "ca", here)                               // name 0x00 serial -> Revocation
	Keys        = store.Declare("key", "ca", store.Withheld("private keys, sealed")) // hex of the key identifier -> sealed private key
)

// Within is where something of an authority is in a bucket.
func Within(authority Name, name string) []byte { return []byte(authority.String() + "\x00" + name) }

// Read reads all that is kept of an authority; nil where there is none.
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
