package dispatch

import (
	"context"
	"fmt"
	"sync"
)

// turns have the commands to an entity recorded and published one after another, so that the last one that the device hears is the last
// one of the log. They are by unique id, which no renaming changes.
type turns struct {
	mu  sync.Mutex // guards what follows; a leaf of the lock order
	all map[string]*turn
}

// turn is an entity's.
type turn struct {
	taken chan struct{} // holds one while a command has the turn
	calls int           // that have it or wait for it
}

// maxWaiting is how many calls to one entity may wait for their turn. A slider that somebody drags makes some tens in a second, of which
// each waits until a broker elsewhere has acknowledged the one before.
const maxWaiting = 100

// take waits for an entity's turn. Its caller gives it back by calling done. It fails with ErrBusy where too many wait.
func (t *turns) take(ctx context.Context, unique string) (done func(), err error) {
	t.mu.Lock()
	one := t.all[unique]
	if one == nil {
		one = &turn{taken: make(chan struct{}, 1)}
		if t.all == nil {
			t.all = map[string]*turn{}
		}
		t.all[unique] = one
	}
	if one.calls > maxWaiting {
		t.mu.Unlock()
		return nil, fmt.Errorf("%w: %d before it have not been sent yet", ErrBusy, one.calls)
	}
	one.calls++
	t.mu.Unlock()
	select {
	case one.taken <- struct{}{}:
		return func() { <-one.taken; t.leave(unique, one) }, nil
	case <-ctx.Done():
		t.leave(unique, one)
		return nil, fmt.Errorf("wait for the commands before it to be sent: %w", context.Cause(ctx))
	}
}

// leave forgets a turn with the last call that has to do with it.
func (t *turns) leave(unique string, one *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one.calls--; one.calls == 0 {
		delete(t.all, unique)
	}
}
