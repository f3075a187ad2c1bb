package hass

import (
	"errors"
	"slices"
	"sync"
)

// errPushed is why a connection ends that has waited longest.
var errPushed = errors.New("too many wait to be authenticated")

// doorstep is where WebSockets are that have not said yet who they are. There is room for a few, and a new one pushes the
// oldest out: a client says it at once, and nobody keeps others out by saying nothing.
type doorstep struct {
	mu      sync.Mutex // guards the rest; nothing else is locked under it
	waiting []*conn    // the oldest first
}

const maxWaiting = 16

// enter lets a connection wait, until the function that it returns is called.
func (d *doorstep) enter(c *conn) (leave func()) {
	d.mu.Lock()
	var pushed *conn
	if len(d.waiting) >= maxWaiting {
		pushed = d.waiting[0]
		d.waiting = d.waiting[1:]
	}
	d.waiting = append(slices.Clip(d.waiting), c)
	d.mu.Unlock()
	if pushed != nil {
		pushed.cancel(errPushed)
		_ = pushed.ws.CloseNow() // without a word: it would take the time that there is not
	}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if i := slices.Index(d.waiting, c); i >= 0 {
			d.waiting = slices.Delete(d.waiting, i, i+1)
		}
	}
}
