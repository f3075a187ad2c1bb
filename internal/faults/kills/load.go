package kills

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/faults"
)

// publishers is the number of devices, each with a publisher of its own.
const publishers = 4

// device is what the killer knows of a device, which reports 1, 2, 3 and so on.
type device struct {
	// Up to acked everything was acknowledged; nothing beyond sent was sent; the log has everything up to logged.
	acked, sent, logged int
	// humid is the last that the log has of the other sensor, which every message reports as well.
	humid int
	// total is the number of messages that were ever acknowledged.
	total int
}

// owner is what the killer knows of the edits, which are numbered from 1 and made one after another.
type owner struct {
	sent, logged int
	// acked has the positions that were answered.
	acked map[int]eventstore.Position
	// total is the number of edits that were ever acknowledged.
	total int
}

// load is the work between a start and a kill.
type load struct {
	h       *house
	enough  chan struct{} // closed when as much is acknowledged as was wanted
	shoot   func()        // is called then, by whoever reads the last acknowledgement: nothing is as close behind it
	stop    context.CancelFunc
	workers sync.WaitGroup

	left atomic.Int64 // acknowledgements until enough

	mu   sync.Mutex // guards what follows
	errs []error
}

// work begins to publish and to edit, until the program is gone.
func (h *house) work(ctx context.Context, p *faults.Program, acks int, shoot func()) *load {
	ctx, stop := context.WithCancel(ctx)
	l := &load{h: h, enough: make(chan struct{}), shoot: shoot, stop: stop}
	l.left.Store(int64(acks))
	for i := range h.devices {
		window := 1 + h.rand.IntN(64)
		l.workers.Go(func() { l.publish(ctx, p, i, window) })
	}
	l.workers.Go(func() { l.edit(ctx, p) })
	return l
}

// wait waits until as much is acknowledged as was wanted, or nobody goes on, which is an error of them all.
func (l *load) wait() {
	done := make(chan struct{})
	go func() {
		l.workers.Wait()
		close(done)
	}()
	select {
	case <-l.enough:
	case <-done:
	}
}

// end returns, after the kill, when everybody has stopped.
func (l *load) end() error {
	l.workers.Wait()
	l.stop()
	return errors.Join(l.errs...)
}

func (l *load) acked() {
	if l.left.Add(-1) == 0 {
		if l.shoot != nil {
			l.shoot()
		}
		close(l.enough)
	}
}

// broken notes that somebody cannot go on. Before as much was acknowledged as was wanted nobody has killed or stopped the
// program: then it must not be.
func (l *load) broken(err error) {
	if l.left.Load() > 0 {
		l.fail(fmt.Errorf("before the kill: %w", err))
	}
}

// fail notes what must not be. What the kill does to connections is none of it.
func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err)
}

// publish reports, window messages at once, until the connection breaks.
func (l *load) publish(ctx context.Context, p *faults.Program, i, window int) {
	d := &l.h.devices[i]
	c, err := faults.Dial(p.MQTT, fmt.Sprintf("dev%d", i), "", "")
	if err != nil {
		l.broken(err)
		return
	}
	defer func() { _ = c.Close() }()
	for ctx.Err() == nil {
		for range window {
			d.sent++
			c.Add(faults.Topic(i), faults.ReportOf(d.sent), false)
		}
		if err := c.Flush(func() { d.acked, d.total = d.acked+1, d.total+1; l.acked() }); err != nil {
			l.broken(fmt.Errorf("device %d: %w", i, err))
			return
		}
	}
}

// edit edits until the program is gone.
func (l *load) edit(ctx context.Context, p *faults.Program) {
	o := &l.h.owner
	for ctx.Err() == nil {
		o.sent++
		e := editOf(o.sent)
		var span api.Span
		err := p.Edit(ctx, e.method, e.path, e.body, &span)
		var refused *faults.StatusError
		if errors.As(err, &refused) && refused.Status != 503 { // it is stopping
			l.fail(err)
			return
		}
		if err != nil {
			l.broken(err)
			return
		}
		if span.First == 0 || span.First != span.Last {
			l.fail(fmt.Errorf("edit %d, %s %s, was answered with %+v", o.sent, e.method, e.path, span))
			return
		}
		o.acked[o.sent], o.total = span.First, o.total+1
		l.acked()
	}
}

// edit is a request that is answered with one event.
type edit struct {
	method, path, body string
	kind               eventstore.Kind
}

// editPaths is the number of edits after which each thing that is edited was edited again.
const editPaths = 3 * publishers

// editOf is the n-th edit: it gives something the name n.
func editOf(n int) edit {
	body := fmt.Sprintf(`{"name":"%d"}`, n)
	switch n % 3 {
	case 0:
		return edit{"PUT", fmt.Sprintf("/v1/areas/area%d", n%publishers), body, eventstore.KindAreaRegistered}
	case 1:
		return edit{"PATCH", "/v1/entities/" + faults.Temperature(n%publishers), body, eventstore.KindEntityRegistered}
	default:
		return edit{"PATCH", "/v1/devices/" + deviceID(n%publishers), body, eventstore.KindDeviceRegistered}
	}
}

func deviceID(i int) string { return "zigbee2mqtt/default/zigbee2mqtt/" + faults.Address(i) }
