package process

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Soon is Output for a program whose end is not far: it has two minutes.
func Soon(ctx context.Context, environment []string, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	return Output(ctx, environment, name, args...)
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
