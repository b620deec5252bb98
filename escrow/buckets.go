package escrow

import (
	"slices"
	"strings"
)

// deposited is the buckets of the store that deposits have, in the order in which they stand there. What another room adds
// to the store is deposited when its bucket is named here; the test of this file fails while it is named nowhere.
var deposited = []string{
	"organisation",
	"delegation",
	"delegation-ended",
	"decision",
	"decision-intent", // what decisions changed of the intents
	"import",
	"transfer",
	"transfer-policy",
	"evidence",      // of transfers
	"registry-peer", // installations that resources move to and from
	"transfer-word", // what these said last of each transfer
	"ledger",
	"intent",
	"child",     // delegated CAs, with the trust anchors of their BPKI
	"child-key", // their public keys, and where they publish
	"notice",
	"parent",    // parents elsewhere
	"outlet",    // publication servers elsewhere
	"publisher", // those who publish here
}

// withheld is the buckets that deposits must never have, each with the reason.
var withheld = map[string]string{
	"brake":           "what was taken away of late without a code: the successor's brake begins anew",
	"key":             "private keys, sealed",
	"engine":          "the vault and the sealed key of the identity; what of the rest a successor needs is in Settings",
	"meta":            "the store's own",
	"authority":       "what was issued with keys that the successor doesn't have: the objects themselves are deposited",
	"product":         "likewise",
	"revoked":         "likewise",
	"knows-next":      "peers that know an identity that the successor does not have",
	"roll":            "how far keys are rolled that the successor doesn't have",
	"publisher-state": "counts of objects that publishers publish anew, at the successor's",
	"rrdp/":           "sessions and their secrets, a bucket for each repository: the successor begins its own",
}

// restored tells whether a successor takes over a bucket as it is. What its CAs publish at servers elsewhere is begun anew,
// since these know neither its identity nor its keys.
func restored(bucket string) bool { return bucket != "outlet" }

// classified tells whether it is known what becomes of a bucket.
func classified(bucket string) bool {
	if _, ok := withheld[bucket]; ok {
		return true
	}
	if at := strings.IndexByte(bucket, '/'); at >= 0 {
		_, ok := withheld[bucket[:at+1]]
		return ok
	}
	return isDeposited(bucket)
}

func isDeposited(bucket string) bool { return slices.Contains(deposited, bucket) }
