package powercut

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/internal/faults/trace"
)

// The daemon writes no keys and no cursors yet: those are for programs that embed the store. So one is recorded as well, of
// the same sources. Its images are counted apart.

// embeddedPackage is the package of its main.
const embeddedPackage = "internal/faults/powercut/embedded"

// keyed is an append with a key, as it was answered.
type keyed struct {
	span eventstore.Span
	// cursor is what the consumer had acknowledged before: the append has stored it.
	cursor eventstore.Position
}

const embeddedScope, embeddedConsumer = "test", "reader"

// Embed is that program: it appends with keys and follows the log with a consumer, and says of each append that it was
// answered. It seals and saves often, and removes history when it runs again.
func Embed(ctx context.Context, path string) error {
	h, err := statehouse.OpenContext(ctx, path, statehouse.Options{SnapshotEvery: 100})
	if err != nil {
		return err
	}
	c, err := h.Consumer(ctx, embeddedConsumer, eventstore.Query{})
	if err != nil {
		return err
	}
	before := h.Now().Position()
	first := 1 + int(before)
	for n := first; n < first+80; n++ {
		k, err := embeddedAppend(ctx, h, n)
		if err != nil {
			return err
		}
		k.cursor = c.Acked()
		// One write, which is what the trace sees.
		if _, err := fmt.Printf("%d %d %d %d\n", n, k.span.First, k.span.Last, k.cursor); err != nil {
			return err
		}
		if n%3 == 0 {
			if err := c.Ack(k.span.Last); err != nil {
				return err
			}
		}
		if n%25 == 0 {
			if err := h.Store().Seal(ctx); err != nil {
				return err
			}
		}
		if before > 0 && n == first+60 {
			if _, err := h.Compact(ctx, before/2, eventstore.CompactOptions{Source: embeddedScope}); err != nil {
				return err
			}
		}
	}
	return h.Close()
}

// embeddedAppend is the n-th append, also when it is repeated.
func embeddedAppend(ctx context.Context, h *statehouse.House, n int) (keyed, error) {
	var events []eventstore.Event
	for i := range 1 + n%3 {
		e := check.SensorEvent("sensor.embedded_"+strconv.Itoa(i), float64(n))
		e.Timestamp = time.Unix(int64(n), 0)
		events = append(events, e)
	}
	span, err := h.AppendBatch(ctx, statehouse.Batch{
		Events: events, Key: eventstore.Key{Scope: embeddedScope, ID: strconv.Itoa(n)},
	})
	return keyed{span: span}, err
}

// recordEmbedded records that program.
func recordEmbedded(ctx context.Context, binary, root string) (*Recording, error) {
	r, err := Begin("an embedding program", root)
	if err != nil {
		return nil, err
	}
	for range 2 {
		var stderr bytes.Buffer
		p, err := trace.Start(trace.Options{
			Root: root, Args: []string{binary, filepath.Join(root, DBPath)}, Env: os.Environ(), Stderr: &stderr,
		})
		if err != nil {
			return nil, err
		}
		result, err := p.Wait()
		if err == nil && (!result.Status.Exited() || result.Status.ExitStatus() != 0) {
			err = fmt.Errorf("it ended with %v: %s", result.Status, stderr.String())
		}
		if err := errors.Join(r.Ran(result, err), r.Look(ctx)); err != nil {
			return nil, err
		}
	}
	return r.Finish(ctx)
}

// answers follows what the embedding program says.
type answers struct {
	keyed map[int]keyed
	rest  []byte
}

func (a *answers) hear(e trace.Event) error {
	if e.Kind != trace.Send || e.End || e.File != trace.Stdout {
		return nil
	}
	a.rest = append(a.rest, e.Data...)
	for {
		line, rest, whole := bytes.Cut(a.rest, []byte{'\n'})
		if !whole {
			return nil
		}
		a.rest = rest
		var n int
		var k keyed
		if _, err := fmt.Sscan(string(line), &n, &k.span.First, &k.span.Last, &k.cursor); err != nil {
			return fmt.Errorf("it said %q: %w", line, err)
		}
		a.keyed[n] = k
	}
}

// checkKeys asserts that appends that were answered are known by their keys, and that the consumer goes on where it has to.
func checkKeys(ctx context.Context, h *statehouse.House, acked map[int]keyed) (err error) {
	c, err := h.Consumer(ctx, embeddedConsumer, eventstore.Query{})
	if err != nil {
		return err
	}
	defer c.Close()
	head := h.Now().Position()
	for n, k := range acked {
		if c.Acked() < k.cursor {
			return fmt.Errorf("%w: the consumer goes on after position %d, and %d was stored with append %d", ErrLost, c.Acked(), k.cursor, n)
		}
		again, err := embeddedAppend(ctx, h, n)
		switch {
		case errors.Is(err, eventstore.ErrKeyReused):
			return fmt.Errorf("append %d: %w", n, err)
		case err != nil:
			return err
		case again.span != k.span:
			return fmt.Errorf("%w: append %d was answered with %v, and its repeat with %v", ErrLost, n, k.span, again.span)
		}
	}
	if now := h.Now().Position(); now != head {
		return fmt.Errorf("repeats made %d events", now-head)
	}
	if c.Acked() > head {
		return fmt.Errorf("the consumer goes on after position %d of %d", c.Acked(), head)
	}
	return nil
}
