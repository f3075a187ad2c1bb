package eventstore

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Where more than wakeAtOnce subscriptions wait, so many are woken, and then the waker rests wakeRest times as long as
// that took, but not longer than wakeRestMax.
const (
	wakeAtOnce  = 32
	wakeRest    = 3
	wakeRestMax = 100 * time.Millisecond
)

// waker wakes the subscriptions that wait for a commit. The writer only pokes it: the work is that of a goroutine of the
// store's, which lets those go first whom the writer has answered, and takes its time where many wait. A thousand
// subscriptions that all run at once, after each of 500 commits a second, made appends a hundred times slower
// (log.subscribers of bench). One that is woken later finds more events, and all of them together cost less: those
// thousand hear of an event within some 50 ms, and take 6 % of a processor.
type waker struct {
	poked chan struct{}
	ended chan struct{} // closed at the end

	mu      sync.Mutex // guards waiting; nothing else is locked under it
	waiting map[chan<- struct{}]struct{}
	count   atomic.Int64 // of those that wait, for the writer
}

func (k *waker) init() {
	k.poked, k.ended = make(chan struct{}, 1), make(chan struct{})
	k.waiting = make(map[chan<- struct{}]struct{})
}

// wait has something sent on a channel, which must have room for one, after the next commit or at the end; it may come
// early, too. It says whether the end has come. A commit that comes before wait has returned may be one that was just
// handled: its caller looks at the head after that.
func (k *waker) wait(ready chan<- struct{}) (ended bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting[ready] = struct{}{}
	k.count.Store(int64(len(k.waiting)))
	select {
	case <-k.ended:
		return true
	default:
		return false
	}
}

// leave takes back a wait.
func (k *waker) leave(ready chan<- struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.waiting, ready)
	k.count.Store(int64(len(k.waiting)))
}

// poke has those woken that wait. It is called after the head has moved.
func (k *waker) poke() {
	if k.count.Load() == 0 {
		return // whoever comes now sees the head
	}
	select {
	case k.poked <- struct{}{}:
	default: // it has not looked since it was poked the last time
	}
}

// run wakes until the end.
func (k *waker) run() {
	for {
		select {
		case <-k.poked:
			k.wakeAll()
		case <-k.ended:
			return
		}
	}
}

// wakeAll wakes those that wait when it is called.
func (k *waker) wakeAll() {
	runtime.Gosched() // those that the writer answered
	began, woken := time.Now(), 0
	for ready := range k.take() {
		wake(ready)
		if woken++; woken%wakeAtOnce != 0 {
			continue
		}
		runtime.Gosched() // those that were woken, so that the time is theirs too
		select {
		case <-time.After(min(wakeRest*time.Since(began), wakeRestMax)):
		case <-k.ended:
		}
		began = time.Now()
	}
}

// take takes over those that wait.
func (k *waker) take() map[chan<- struct{}]struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	waiting := k.waiting
	k.waiting = make(map[chan<- struct{}]struct{})
	k.count.Store(0)
	return waiting
}

func wake(ready chan<- struct{}) {
	select {
	case ready <- struct{}{}:
	default: // it was woken and has not run yet
	}
}

// close wakes everybody for the end.
func (k *waker) close() {
	close(k.ended)
	for ready := range k.take() {
		wake(ready)
	}
}
