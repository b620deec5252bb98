package relying

import (
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// dripping is a body that gives one byte after each pause.
type dripping struct {
	pause time.Duration
	left  int
}

func (d *dripping) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	d.left--
	time.Sleep(d.pause)
	return copy(p, "x"), nil
}

// TestStall: a body may be slow for as long as it goes on, but not stand still.
func TestStall(t *testing.T) {
	for pause, want := range map[time.Duration]bool{29 * time.Second: false, 31 * time.Second: true} {
		synctest.Test(t, func(t *testing.T) {
			var stalled atomic.Bool
			g := guard(&dripping{pause, 10}, 100, 30*time.Second, func() { stalled.Store(true) })
			defer g.timer.Stop()
			if data, err := io.ReadAll(g); err != nil || len(data) != 10 || stalled.Load() != want {
				t.Errorf("a byte every %s: %d bytes, stalled %v, %v", pause, len(data), stalled.Load(), err)
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	for size, want := range map[int]error{100: nil, 101: errTooLarge} {
		g := guard(&dripping{0, size}, 100, time.Hour, nil)
		if _, err := io.ReadAll(g); !errors.Is(err, want) || !errors.Is(g.failed, want) {
			t.Errorf("%d bytes: %v", size, err)
		}
		g.timer.Stop()
	}
}

func TestSameOrigin(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"https://h/a", "https://h/b", true}, {"https://h/a", "https://h:443/b", true}, {"https://h:8443/a", "https://h:8443/b", true},
		{"https://h/a", "https://h:8443/b", false}, {"https://h/a", "http://h/a", false}, {"https://h/a", "https://i/a", false},
		{"https://h/a", "https://u@h/a", false}, {"https://h/a", "https://h.i/a", false}, {"https://h/a", "://", false},
	} {
		if sameOrigin(c.a, c.b) != c.want || sameOrigin(c.b, c.a) != c.want {
			t.Errorf("%s and %s: not %v", c.a, c.b, c.want)
		}
	}
}
