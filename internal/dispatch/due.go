package dispatch

import (
	"sync"
	"time"

	"github.com/statehouse/statehouse/eventstore"
)

// dues are the deadlines of the commands that wait, by the process's own clock: the one on the wall may be set.
type dues struct {
	mu sync.Mutex // guards at; a leaf of the lock order
	at map[eventstore.Position]time.Time
}

// note notes when a command's time will be over.
func (d *dues) note(command eventstore.Position, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at == nil {
		d.at = map[eventstore.Position]time.Time{}
	}
	d.at[command] = at
}

// of is when a command's time is over; for one that another process has given, otherwise.
func (d *dues) of(command eventstore.Position, otherwise time.Time) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at, ok := d.at[command]; ok {
		return at
	}
	return otherwise
}

// keep keeps those of the commands that wait at a position, and of those that came since.
func (d *dues) keep(waiting map[eventstore.Position]time.Time, position eventstore.Position) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for command, at := range d.at {
		if command > position {
			waiting[command] = at
		}
	}
	d.at = waiting
}
