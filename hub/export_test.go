package hub

import (
	"context"
	"time"
)

// FetchDataset finds a data set that lies on no hub.
func FetchDataset(ctx context.Context, c *Client, d Dataset) (string, error) {
	return c.dataset(ctx, d)
}

// RecordPauses makes c wait for no time, and returns how long it would have.
func RecordPauses(c *Client) *[]time.Duration {
	var list []time.Duration
	c.pause = func(ctx context.Context, d time.Duration) error {
		list = append(list, d)
		return ctx.Err()
	}
	return &list
}
