package shares

// DefaultMemory is how many bytes of messages are in memory at one time where the configuration does not say.
const DefaultMemory = 128 << 20

// All is what everyone who talks to one installation has a share of. The zero value has no limits but those of each door.
type All struct {
	Ledger *Ledger
	Memory *Pool
	Disk   *Disk
}
