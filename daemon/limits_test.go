package daemon

import (
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"cadastre/internal/relying"
)

// TestLimitsOfLooks: what config.toml says of looks at repositories of others is what they have; all else is as it was.
func TestLimitsOfLooks(t *testing.T) {
	var c limitsConfig
	if _, err := toml.Decode(`[looks]
memory_mib = 256
cpu = "5m"
cache_mib = 10
[looks.branch]
fetched_mib = 1
objects = 7
cas = 3
[looks.run]
unpacked_mib = 2
time = "1h"
`, &c); err != nil {
		t.Fatal(err)
	}
	want := relying.ForDaemon()
	want.Process.Memory, want.Process.CPU, want.Disk = 256<<20, 5*time.Minute, 10<<20
	want.Branch.Fetched, want.Branch.Objects, want.Branch.CAs = 1<<20, 7, 3
	want.Run.Unpacked, want.Run.Time = 2<<20, time.Hour
	if got := c.Looks.reading(); got != want || c.check() != nil {
		t.Errorf("%+v, %v", got, c.check())
	}
	if got := (&looksConfig{}).reading(); got != relying.ForDaemon() {
		t.Errorf("without a configuration: %+v", got)
	}
}
