package escrow

import "cadastre/internal/store"

// deposited is the buckets of the store that deposits have, in the order in which they stand there. What deposits do with a
// kind of records is declared with it, where its owner is.
func deposited() []store.Bucket {
	return store.Buckets(func(k store.Kind) bool { return k.Escrow.Deposited })
}

// takenOver is those of them that a successor takes over as they are.
func takenOver() []store.Bucket {
	return store.Buckets(func(k store.Kind) bool { return k.Escrow.TakenOver })
}

// isDeposited tells whether deposits have the bucket of a name.
func isDeposited(name string) bool {
	bucket, known := store.Named(name)
	return known && bucket.Kind().Escrow.Deposited
}

func names(buckets []store.Bucket) []string {
	out := make([]string, len(buckets))
	for i, b := range buckets {
		out[i] = b.String()
	}
	return out
}
