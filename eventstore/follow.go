package eventstore

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
)

// Handler takes events that were committed, oldest first. It must not modify them, and may keep them. An error, or a
// panic, has the same events come again; so does a crash. It must not close the store.
type Handler func(ctx context.Context, events []Event) error

// Follower is a projector behind the log: it hands the events of a query to a [Handler], in a goroutine of its own and
// with a durable cursor, which is acknowledged when the handler returns nil. What it is given is committed; it slows no
// append, and nobody waits for it. A handler that keeps its results where the cursor is not must find events that come
// again unremarkable. To have it begin anew: stop it, [Store.DeleteCursor], and follow again.
type Follower struct {
	c      *Consumer
	handle Handler
	stop   context.CancelFunc
	ended  sync.WaitGroup

	failures atomic.Uint64
	fault    atomic.Pointer[error]
}

// FollowerStats are figures about a follower since it was made.
type FollowerStats struct {
	Name string
	// Acked is the position up to which its handler has taken everything, Behind the number of events after that.
	Acked  Position
	Behind uint64
	// Failures is the number of times that it failed, Error the last failure if it has not got over it.
	Failures uint64
	Error    error
}

// A follower's handler gets at most this many events at once, and no further ones after this many bytes.
const (
	followEvents = 512
	followBytes  = 4 << 20
)

// After a failure a follower waits, the longer the more often it has failed in a row.
const (
	followPause    = 100 * time.Millisecond
	followPauseMax = 30 * time.Second
)

// followers are those that are to be stopped with the store.
type followers struct {
	mu     sync.Mutex // guards the rest; that of the cursors may be locked under it
	all    []*Follower
	closed bool
}

// Follow opens the consumer of a name, see [Store.Consumer] for what that means and its errors, and hands its events to
// a handler from now on until [Follower.Stop] or [Store.Close], both of which end the handler's context and wait for it.
// The context of Follow itself is for the opening only.
func (s *Store) Follow(ctx context.Context, name string, q Query, handle Handler) (*Follower, error) {
	c, err := s.Consumer(ctx, name, q)
	if err != nil {
		return nil, err
	}
	f := &Follower{c: c, handle: handle}
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	f.stop = stop
	s.followers.mu.Lock()
	defer s.followers.mu.Unlock()
	if s.followers.closed {
		stop()
		c.Close()
		return nil, ErrClosed
	}
	s.followers.all = append(s.followers.all, f)
	f.ended.Go(func() { f.run(following) })
	return f, nil
}

// Stop ends the follower, waits until its handler has returned, and gives its name up. It may be called again.
func (f *Follower) Stop() {
	f.stop()
	f.ended.Wait()
	f.c.Close()
	fs := &f.c.s.followers
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.all = slices.DeleteFunc(fs.all, func(other *Follower) bool { return other == f })
}

// Stats are figures about the follower.
func (f *Follower) Stats() FollowerStats {
	st := FollowerStats{Name: f.c.Name(), Behind: f.c.Behind(), Acked: f.c.Acked(), Failures: f.failures.Load()}
	if err := f.fault.Load(); err != nil {
		st.Error = *err
	}
	return st
}

// stop ends all followers and lets there be no more.
func (fs *followers) stop() {
	fs.mu.Lock()
	fs.closed = true
	all := slices.Clone(fs.all)
	fs.mu.Unlock()
	for _, f := range all {
		f.stop()
	}
	for _, f := range all {
		f.Stop()
	}
}

// stats are figures about all followers.
func (fs *followers) stats() (all []FollowerStats) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.all {
		all = append(all, f.Stats())
	}
	return all
}

// run hands over events until ctx ends.
func (f *Follower) run(ctx context.Context) {
	var batch []Event
	size := 0
	deliver := func() bool {
		if len(batch) == 0 {
			f.fault.Store(nil)
			return true
		}
		ok := f.retry(ctx, func() error {
			return f.c.s.contained("the handler of "+f.c.Name(), func() error { return f.handle(ctx, batch) })
		})
		if !ok || f.c.Ack(batch[len(batch)-1].Position) != nil {
			return false
		}
		batch, size = nil, 0
		return true
	}
	f.retry(ctx, func() error {
		// What was collected before an error is not yielded again, and still there.
		_, err := f.c.run(ctx, func(e Event, _ error) bool {
			batch = append(batch, e)
			size += proto.Size(e.Payload)
			return len(batch) < followEvents && size < followBytes || deliver()
		}, deliver)
		return err
	})
}

// retry does something until it succeeds, and returns false if ctx, which ends with the store, ends before. That a store is
// closed may be what the handler says of another one.
func (f *Follower) retry(ctx context.Context, do func() error) bool {
	for pause := followPause; ; pause = min(2*pause, followPauseMax) {
		err := do()
		if err == nil {
			f.fault.Store(nil)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		err = fmt.Errorf("follower %q after position %d: %w", f.c.Name(), f.c.Acked(), err)
		f.fault.Store(&err)
		f.failures.Add(1)
		f.c.s.opts.Logger.Warn("a follower failed and will be tried again", "error", err, "in", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false
		}
	}
}
