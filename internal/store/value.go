package store

import (
	"bytes"
	"encoding/json"

	"cadastre/internal/fault"
)

// PutValue writes a value as JSON.
func PutValue(w Writer, bucket Bucket, key []byte, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return w.Put(bucket, key, text)
}

// Value reads a value that PutValue wrote; nil where there is none. One that does not decode is of kind fault.Corrupt.
func Value[T any](r Reader, bucket Bucket, key []byte) (*T, error) {
	text, err := r.Get(bucket, key)
	if text == nil || err != nil {
		return nil, err
	}
	return decode[T](text, bucket, key)
}

// EachValue reads the values of a bucket whose keys begin with prefix, in the order of the keys.
func EachValue[T any](r Reader, bucket Bucket, prefix []byte, take func(key string, value *T)) error {
	for record, err := range r.Scan(bucket, prefix) {
		if err != nil {
			return err
		}
		value, err := decode[T](record.Value, bucket, record.Key)
		if err != nil {
			return err
		}
		take(string(record.Key), value)
	}
	return nil
}

// DeleteAll removes the records of a bucket whose keys begin with prefix.
func DeleteAll(w Writer, bucket Bucket, prefix []byte) error {
	var keys [][]byte
	for record, err := range w.Scan(bucket, prefix) {
		if err != nil {
			return err
		}
		keys = append(keys, bytes.Clone(record.Key))
	}
	for _, key := range keys {
		if err := w.Delete(bucket, key); err != nil {
			return err
		}
	}
	return nil
}

func decode[T any](text []byte, bucket Bucket, key []byte) (*T, error) {
	value := new(T)
	if err := json.Unmarshal(text, value); err != nil {
		return nil, fault.New(fault.Corrupt, "the record %q in %q of the store is damaged (%w): restore it from a backup", key, bucket, err)
	}
	return value, nil
}
