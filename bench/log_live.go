package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/statehouse/statehouse/eventstore"
)

// subscribers appends 500 events a second by ten callers, with 1,000 subscribers to everything, one of which is stuck at the
// first event that it gets, beside the same without subscribers. All others must have got every event soon afterwards.
func subscribers(dir string) (figures []Figure, err error) {
	l, err := openLog(filepath.Join(dir, "ours.db"), eventstore.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	events := newFleet(time.Second).reports(ringSize)
	alone := func() (float64, error) {
		waits, err := l.paced(events)
		if err != nil {
			return 0, err
		}
		return microseconds(quantile(waits, 0.99)), nil
	}
	crowded := func() (p99 float64, err error) {
		c := l.subscribe(1000)
		defer func() { err = errors.Join(err, c.stop()) }()
		if err := l.append(events[:1]); err != nil { // so that all have begun, and one is stuck
			return 0, err
		}
		if err := c.caughtUp(); err != nil {
			return 0, err
		}
		if p99, err = alone(); err != nil {
			return 0, err
		}
		return p99, c.caughtUp()
	}
	p99s, err := takeTurnsOrFail(5, crowded, alone)
	if err != nil {
		return nil, err
	}
	return []Figure{{"µs", p99s[0], "p99 without subscribers", p99s[1], atMost(1.2)}}, nil
}

// A turn of pacedCallers appends pacedEvents in all, each caller one every pacedEvery.
const (
	pacedCallers = 10
	pacedEvents  = 1000
	pacedEvery   = 20 * time.Millisecond
)

// paced appends at a steady rate and answers how long each append took. An append that is late because the one
// before it took too long has waited since it was due.
func (l *ourLog) paced(events []eventstore.Event) ([]time.Duration, error) {
	runtime.GC()
	waits, errs := make([][]time.Duration, pacedCallers), make([]error, pacedCallers)
	var running sync.WaitGroup
	begin := time.Now()
	for c := range pacedCallers {
		running.Go(func() {
			due := begin.Add(time.Duration(c) * pacedEvery / pacedCallers)
			for n := range pacedEvents / pacedCallers {
				from := due
				if until := time.Until(due); until > 0 {
					time.Sleep(until)
					from = time.Now()
				}
				i := (n*pacedCallers + c) % len(events)
				if errs[c] = l.append(events[i : i+1]); errs[c] != nil {
					return
				}
				waits[c] = append(waits[c], time.Since(from))
				due = due.Add(pacedEvery)
			}
		})
	}
	running.Wait()
	return slices.Concat(waits...), errors.Join(errs...)
}

// crowd is a number of subscribers to everything that is appended from when they were made, the first of which is stuck.
type crowd struct {
	log   *ourLog
	after eventstore.Position
	got   []atomic.Int64 // how many events each got
	leave context.CancelFunc
	gone  sync.WaitGroup
	errs  []error
}

func (l *ourLog) subscribe(count int) *crowd {
	ctx, leave := context.WithCancel(context.Background())
	c := &crowd{log: l, after: l.store.Head(), got: make([]atomic.Int64, count), leave: leave, errs: make([]error, count)}
	for i := range count {
		sub := l.store.Subscription(eventstore.Query{After: c.after})
		c.gone.Go(func() {
			want := c.after
			for e, err := range sub.Events(ctx) {
				if err != nil {
					if !errors.Is(err, context.Canceled) {
						c.errs[i] = err
					}
					return
				}
				if want++; e.Position != want {
					c.errs[i] = fmt.Errorf("a subscriber got position %d, want %d", e.Position, want)
					return
				}
				c.got[i].Add(1)
				if i == 0 {
					<-ctx.Done()
					return
				}
			}
		})
	}
	return c
}

// caughtUp waits until every subscriber but the one that is stuck has got everything. That must not take a minute.
func (c *crowd) caughtUp() error {
	want := int64(c.log.store.Head() - c.after)
	begin := time.Now()
	for i := 1; i < len(c.got); {
		switch {
		case c.got[i].Load() >= want:
			i++
		case time.Since(begin) > time.Minute:
			return fmt.Errorf("a subscriber has got %d of %d events after a minute", c.got[i].Load(), want)
		default:
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// stop ends all subscriptions and answers what they failed with.
func (c *crowd) stop() error {
	c.leave()
	c.gone.Wait()
	return errors.Join(c.errs...)
}

// wear measures what this process has the disk write for an event at a rate at which every event is a transaction of its
// own, as in a house with ten events a second: the pages of the WAL and of the database, with the checkpoints as they come, and
// what sealing and a snapshot write again. So many events are what is between two snapshots. The clock is simulated, so that it takes seconds and not hours.
func wear(dir string) (figures []Figure, err error) {
	if _, err := bytesWritten(); errors.Is(err, errors.ErrUnsupported) {
		fmt.Fprintln(os.Stderr, "log.wear is left out:", err)
		return nil, nil
	}
	const count = 50_000
	every := 100 * time.Millisecond
	var clock simulated
	clock.set(started)
	ours, err := bytesPerEvent(newFleet(every).reports(count), func() (peerLog, error) {
		return openLog(filepath.Join(dir, "ours.db"), eventstore.Options{Clock: clock.now})
	}, clock.set)
	if err != nil {
		return nil, err
	}
	rows, err := bytesPerEvent(newFleet(every).reports(count), func() (peerLog, error) {
		return openRowLog(filepath.Join(dir, "rows.db"))
	}, func(time.Time) {})
	if err != nil {
		return nil, err
	}
	return []Figure{{"B", ours, "SQLite rows", rows, atMost(0.5)}}, nil
}

// bytesPerEvent appends events one by one, closes the log, and answers the bytes that were written meanwhile.
func bytesPerEvent(events []eventstore.Event, open func() (peerLog, error), set func(time.Time)) (float64, error) {
	log, err := open()
	if err != nil {
		return 0, err
	}
	before, err := bytesWritten()
	if err != nil {
		return 0, errors.Join(err, log.close())
	}
	for i := range events {
		set(events[i].Timestamp)
		if err := log.append(events[i : i+1]); err != nil {
			return 0, errors.Join(err, log.close())
		}
	}
	if err := log.close(); err != nil {
		return 0, err
	}
	after, err := bytesWritten()
	return float64(after-before) / float64(len(events)), err
}
