package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"
)

// Soon is Output for a program whose end is not far: it has two minutes.
func Soon(ctx context.Context, environment []string, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	return Output(ctx, environment, name, args...)
}

// JSON is Soon for a program that prints JSON, which it reads.
func JSON(ctx context.Context, environment []string, answer any, name string, args ...string) error {
	text, err := Soon(ctx, environment, name, args...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%s %s: its JSON cannot be read: %w", filepath.Base(name), strings.Join(args, " "), err)
	}
	return nil
}

// Answers waits until a program listens on a Unix socket.
func (c *Child) Answers(ctx context.Context, most time.Duration, socket string) error {
	return Until(ctx, most, func() error {
		if err := c.Ended(); err != nil {
			return err
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// Until asks again and again until what is asked holds. What it says in the end is why it does not.
func Until(ctx context.Context, most time.Duration, holds func() error) error {
	deadline := time.Now().Add(most)
	for {
		err := holds()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %s: %w", most, err)
		}
		timer := time.NewTimer(200 * time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(errors.New("it took too long, or was interrupted"), err)
		}
	}
}
