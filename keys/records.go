package keys

import (
	"bytes"

	"cadastre/internal/fault"
	"cadastre/internal/store"
)

// The buckets. Deposits have neither: a successor issues everything anew, with keys of its own.
var (
	held        = store.Declare("key", "keys", store.Withheld("private keys, sealed, or the names of keys in a device"))       // Name of a Ref -> Held
	deactivated = store.Declare("key-deactivated", "keys", store.Withheld("keys that nothing uses any more, to be destroyed")) // Name of a Ref -> Held
)

// Put stores a Ref under its name.
func Put(w store.Writer, ref Ref) error { return w.Put(held, []byte(ref.Name), ref.Held) }

// Get reads the Ref of a name. It fails with Corrupt where there is none.
func Get(r store.Reader, name string) (Ref, error) {
	in, err := r.Get(held, []byte(name))
	if err == nil && in == nil {
		err = fault.New(fault.Corrupt, "the store has no key %s: restore it from a backup", name)
	}
	return Ref{name, bytes.Clone(in)}, err
}

// Deactivate notes, in the transaction that uses a stored key for the last time, that it is to be destroyed. A name without a stored key is no
// error: that key is somebody else's.
func Deactivate(w store.Writer, name string) error {
	in, err := w.Get(held, []byte(name))
	if in == nil || err != nil {
		return err
	}
	if err := DeactivateRef(w, Ref{name, bytes.Clone(in)}); err != nil {
		return err
	}
	return w.Delete(held, []byte(name))
}

// DeactivateRef is Deactivate for a key whose Ref is stored elsewhere.
func DeactivateRef(w store.Writer, ref Ref) error {
	return w.Put(deactivated, []byte(ref.Name), ref.Held)
}

// Forget removes the stored Refs of all keys that are not deactivated, and destroys nothing: it is for a copy of a store, whose original goes
// on to name the keys.
func Forget(w store.Writer) error { return store.DeleteAll(w, held, nil) }

// Deactivated lists the keys that are to be destroyed.
func Deactivated(r store.Reader) (list []Ref, err error) {
	for record, err := range r.Scan(deactivated, nil) {
		if err != nil {
			return nil, err
		}
		list = append(list, Ref{string(record.Key), bytes.Clone(record.Value)})
	}
	return list, nil
}

// DestroyDeactivated destroys the keys that are deactivated. What cannot be destroyed now stays noted; the first error is returned.
func DestroyDeactivated(st store.Store, keeper Keeper) (destroyed int, err error) {
	var list []Ref
	if err := st.View(func(r store.Reader) (err error) { list, err = Deactivated(r); return err }); err != nil || len(list) == 0 {
		return 0, err
	}
	var gone []Ref
	for _, ref := range list {
		if failed := keeper.Destroy(ref); failed == nil {
			gone = append(gone, ref)
		} else if err == nil {
			err = fault.Wrap(failed, "couldn't destroy the key %s, which is not used any more", ref.Name)
		}
	}
	_, failed := st.Update(store.Any, func(w store.Writer) error {
		for _, ref := range gone {
			if err := w.Delete(deactivated, []byte(ref.Name)); err != nil {
				return err
			}
		}
		return nil
	})
	if failed != nil {
		return 0, failed // they are destroyed again the next time, which is no error
	}
	return len(gone), err
}
