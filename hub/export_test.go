package hub

import (
	"context"
	"time"
)

// RecordPauses makes c wait for no time, and returns how long it would have.
func RecordPauses(c *Client) *[]time.Duration {
	var list []time.Duration
	c.pause = func(ctx context.Context, d time.Duration) error {
		list = append(list, d)
		return ctx.Err()
	}
	return &list
}
