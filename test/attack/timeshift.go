package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// timeshift sets the clocks of one process, and of no other. A Go program asks the kernel's vDSO for the time, which no
// preloaded library can answer for. What the vDSO does for clock_gettime is therefore replaced, in that process alone, by a
// system call and an addition.
type timeshift struct {
	memory *os.File // /proc/PID/mem
	stub   int64    // where it is
	wall   time.Duration
	steady time.Duration
}

// clockStub is what clock_gettime becomes on amd64. The last four octets of each add are the seconds.
//
//	mov eax, 228; syscall; test edi, edi; je wall; cmp edi, 1; jne end
//	add qword [rsi], 0; ret
//	wall: add qword [rsi], 0
//	end: ret
var clockStub = []byte{
	0xb8, 0xe4, 0, 0, 0, 0x0f, 0x05, 0x85, 0xff, 0x74, 0x0d, 0x83, 0xff, 0x01, 0x75, 0x0f,
	0x48, 0x81, 0x06, 0, 0, 0, 0, 0xc3,
	0x48, 0x81, 0x06, 0, 0, 0, 0,
	0xc3,
}

// Where the stub has its seconds.
const (
	steadySeconds = 19 // of CLOCK_MONOTONIC
	wallSeconds   = 27 // of CLOCK_REALTIME
)

// newTimeshift gets hold of the clock of a process that this one started.
func newTimeshift(pid int) (*timeshift, error) {
	if runtime.GOARCH != "amd64" {
		return nil, errors.New("the clock of a process can be set on amd64 alone")
	}
	start, end, err := vdsoOf(pid)
	if err != nil {
		return nil, err
	}
	memory, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	t := &timeshift{memory: memory}
	image := make([]byte, end-start)
	if _, err := memory.ReadAt(image, start); err != nil {
		return nil, errors.Join(err, memory.Close())
	}
	entry, err := clockEntry(image)
	if err == nil {
		_, err = memory.WriteAt(clockStub, start+entry)
	}
	if err != nil {
		return nil, errors.Join(err, memory.Close())
	}
	t.stub = start + entry
	return t, nil
}

// vdsoOf is where a process has its vDSO.
func vdsoOf(pid int) (start, end int64, err error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(maps)) {
		if strings.HasSuffix(strings.TrimSpace(line), "[vdso]") {
			_, err := fmt.Sscanf(line, "%x-%x", &start, &end)
			return start, end, err
		}
	}
	return 0, 0, errors.New("the process has no vDSO")
}

// clockEntry is where clock_gettime begins in a vDSO, if the stub has room there.
func clockEntry(image []byte) (int64, error) {
	file, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return 0, err
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return 0, err
	}
	entry := int64(-1)
	for _, s := range symbols {
		if s.Name == "__vdso_clock_gettime" {
			entry = int64(s.Value)
		}
	}
	if entry < 0 {
		return 0, errors.New("the vDSO has no clock_gettime")
	}
	for _, s := range symbols { // nobody here asks for the resolution of clocks
		if at := int64(s.Value); at > entry && at < entry+int64(len(clockStub)) && s.Name != "__vdso_clock_getres" && s.Name != "clock_getres" {
			return 0, fmt.Errorf("the vDSO has %s too near to clock_gettime", s.Name)
		}
	}
	return entry, nil
}

// step puts the wall clock further on, or back, as an operator or a bad time server does. The monotonic clock does not notice.
func (t *timeshift) step(by time.Duration) error {
	t.wall += by
	return t.write(t.wall, wallSeconds)
}

// pass has so much time gone by, on both clocks.
func (t *timeshift) pass(d time.Duration) error {
	t.steady += d
	return errors.Join(t.write(t.steady, steadySeconds), t.step(d))
}

func (t *timeshift) write(by time.Duration, at int64) error {
	seconds := binary.LittleEndian.AppendUint32(nil, uint32(int32(by/time.Second)))
	_, err := t.memory.WriteAt(seconds, t.stub+at)
	return err
}

func (t *timeshift) close() { _ = t.memory.Close() } // the process keeps the clock that it has
