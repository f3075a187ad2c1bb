package check

import (
	"context"
	"sync/atomic"
)

// Countdown is a context that is cancelled the n-th time that somebody looks at it: with every n, a question is cancelled
// wherever it is.
type Countdown struct {
	context.Context
	// Cancel ends it, and must be called.
	Cancel context.CancelFunc
	left   atomic.Int64
}

// NewCountdown returns one that is cancelled at the n-th look.
func NewCountdown(ctx context.Context, n int64) *Countdown {
	c := &Countdown{}
	c.Context, c.Cancel = context.WithCancel(ctx)
	c.left.Store(n)
	return c
}

// Ended says that it was cancelled by a look.
func (c *Countdown) Ended() bool { return c.left.Load() <= 0 }

func (c *Countdown) look() {
	if c.left.Add(-1) == 0 {
		c.Cancel()
	}
}

// Done implements [context.Context].
func (c *Countdown) Done() <-chan struct{} { c.look(); return c.Context.Done() }

// Err implements [context.Context].
func (c *Countdown) Err() error { c.look(); return c.Context.Err() }
