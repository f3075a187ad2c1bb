package powercut

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/internal/faults/disk"
	"github.com/statehouse/statehouse/internal/faults/load"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
)

// ErrLost says that something was acknowledged and is not there any more.
var ErrLost = errors.New("lost")

// trial is an image that is to be checked.
type trial struct {
	image disk.Image
	// acked are the messages that were acknowledged before the cut, as the program said it.
	acked []int
	// keyed are the appends of an embedding program that were answered.
	keyed map[int]keyed
	// broker and program say that the broker's file, and the program itself, are tried as well.
	broker, program bool
	// verify says that everything in it is verified.
	verify bool
	// twice says that it is checked at length, and opened twice.
	twice bool
}

// check makes the image's files in a directory and opens them, as after a power cut.
func (r *Recording) check(ctx context.Context, t *trial, dir, binary string) error {
	if err := t.image.Write(dir); err != nil {
		return err
	}
	db := filepath.Join(dir, DBPath)
	if t.broker || t.program {
		if err := r.checkBroker(ctx, t, db+".mqtt"); err != nil {
			return err
		}
	}
	if t.program {
		if err := checkProgram(ctx, dir, db, binary); err != nil {
			return fmt.Errorf("the program: %w", err)
		}
	}
	h, err := statehouse.OpenContext(ctx, db, statehouse.Options{})
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	after, err := r.checkHouse(ctx, t, h)
	if err := errors.Join(err, h.Close()); err != nil || !t.twice {
		return err
	}
	// And again, as what was mended: nothing has changed.
	if h, err = statehouse.OpenContext(ctx, db, statehouse.Options{}); err != nil {
		return fmt.Errorf("open it again: %w", err)
	}
	if now := h.Now().Position(); now != after {
		err = fmt.Errorf("opened again, it is at position %d and was at %d", now, after)
	}
	return errors.Join(err, h.Close())
}

// checkHouse asserts what has to be true of the house that was opened, and appends to it. It returns the last position.
func (r *Recording) checkHouse(ctx context.Context, t *trial, h *statehouse.House) (eventstore.Position, error) {
	if faults := h.Recovered().Faults; len(faults) > 0 {
		return 0, fmt.Errorf("a snapshot was damaged: %w", errors.Join(faults...))
	}
	var err error
	switch {
	case t.twice:
		err = check.House(ctx, h)
	case t.verify:
		err = check.Verify(ctx, h)
	}
	if err != nil {
		return 0, err
	}
	m := newMessages(r.Fleet)
	base, log, err := readLog(ctx, h, m.add)
	if err == nil {
		err = m.end()
	}
	if err == nil {
		err = m.missing(t.acked)
	}
	if err != nil {
		return 0, err
	}
	certain := len(log)
	if r.Failing || t.program { // it may have events of its own after what was acknowledged
		certain = 0
		for _, n := range t.acked {
			certain = max(certain, r.last[n])
		}
	}
	for i, s := range log[:certain] {
		at := base + eventstore.Position(i+1)
		switch was, known := r.log[at]; {
		case !known:
			return 0, fmt.Errorf("there is an event at position %d, where there was none", at)
		case s != was:
			return 0, fmt.Errorf("the event at position %d is not what it was", at)
		}
	}
	if !r.Shipped {
		if err := checkKeys(ctx, h, t.keyed); err != nil {
			return 0, err
		}
	}
	span, err := h.Append(ctx, check.SensorEvent("sensor.after", 1))
	if err != nil {
		return 0, fmt.Errorf("append: %w", err)
	}
	if want := base + eventstore.Position(len(log)+1); span.First != want {
		return 0, fmt.Errorf("append: it got position %d after %d", span.First, want-1)
	}
	return span.Last, nil
}

// checkBroker asserts that the broker's file can be opened, and has what was acknowledged.
func (r *Recording) checkBroker(ctx context.Context, t *trial, path string) (err error) {
	if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
		return nil // the power went before there was anything
	}
	b, err := broker.Start(ctx, broker.Options{Address: "127.0.0.1:0", DataPath: path})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	newest := map[string]int{}
	for _, n := range t.acked {
		if r.Fleet.Retained(n) {
			newest[r.Fleet.Topic(n)] = max(newest[r.Fleet.Topic(n)], n)
		}
	}
	for topic, n := range newest {
		if err := r.retained(b, topic, n); err != nil {
			return err
		}
	}
	return nil
}

// retained says whether a topic's retained message is the one with a number, or a later one.
func (r *Recording) retained(b *broker.Broker, topic string, n int) error {
	for m := range b.Retained(topic) {
		if n == load.List {
			return nil
		}
		var values map[string]int
		if err := json.Unmarshal(m.Payload, &values); err != nil {
			return fmt.Errorf("retained on %s: %w", topic, err)
		}
		if got := values[r.Fleet.Property(0)]; got < n {
			return fmt.Errorf("%w: message %d was acknowledged, and %d is what %s retains", ErrLost, n, got, topic)
		}
		return nil
	}
	return fmt.Errorf("%w: message %d was acknowledged, and %s retains nothing", ErrLost, n, topic)
}
