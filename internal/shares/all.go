package shares

// DefaultMemory is how many bytes of messages are in memory at one time where the configuration does not say.
const DefaultMemory = 128 << 20

// All has the limits for everybody who sends messages to one installation. The zero value has no limits but those of each door.
type All struct {
	Ledger *Ledger
	Memory *Pool
	Disk   *Disk
}
