package process

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// PeakMemory is the most memory that it has had so far, in bytes (VmHWM of proc(5)); 0 where it is gone.
func (c *Child) PeakMemory() uint64 { return c.memory("VmHWM") }

// ForgetPeak has PeakMemory begin anew (proc(5), clear_refs): to open the keys takes more memory, once, than all that follows.
func (c *Child) ForgetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", c.PID()), []byte("5"), 0)
}

// Memory is the memory that it has now, in bytes (VmRSS of proc(5)); 0 where it is gone.
func (c *Child) Memory() uint64 { return c.memory("VmRSS") }

func (c *Child) memory(field string) uint64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.PID()))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kilobytes uint64
		if _, err := fmt.Sscanf(line, field+": %d kB", &kilobytes); err == nil {
			return kilobytes << 10
		}
	}
	return 0
}

// CPU is the time that it has computed so far, to some nanoseconds (proc(5), schedstat of each of its threads). Threads that
// ended are not counted: Go's do not.
func (c *Child) CPU() time.Duration {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", c.PID()))
	if err != nil {
		return 0
	}
	var all time.Duration
	for _, thread := range threads {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", c.PID(), thread.Name()))
		var ran int64
		if err == nil {
			if _, err := fmt.Sscan(string(text), &ran); err == nil {
				all += time.Duration(ran)
			}
		}
	}
	return all
}
