package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/statehouse/statehouse/eventstore"
)

const (
	// appendRounds are the turns that decide about a goal.
	appendRounds = 11
	// appendTurn is for how long a side appends in each of them: long enough for some checkpoints.
	appendTurn = 250 * time.Millisecond
)

// load is what the callers of one turn found.
type load struct {
	rate  float64 // events a second
	waits []time.Duration
}

// drive has callers append one time after the other for a turn, each as soon as it was answered. once is given the number
// of the caller and how often that one has called it before, and answers how many events it made durable.
func drive(callers int, turn time.Duration, once func(caller, n int) (events int, err error)) (load, error) {
	runtime.GC() // what others left behind is not this one's to collect
	waits, errs := make([][]time.Duration, callers), make([]error, callers)
	var events atomic.Int64
	var running sync.WaitGroup
	begin := time.Now()
	for c := range callers {
		running.Go(func() {
			for n, last := 0, time.Now(); last.Sub(begin) < turn; n++ {
				done, err := once(c, n)
				if err != nil {
					errs[c] = err
					return
				}
				now := time.Now()
				waits[c] = append(waits[c], now.Sub(last))
				events.Add(int64(done))
				last = now
			}
		})
	}
	running.Wait()
	took := time.Since(begin)
	return load{float64(events.Load()) / took.Seconds(), slices.Concat(waits...)}, errors.Join(errs...)
}

// appendingSide is one of those that take turns at appending.
type appendingSide struct {
	callers int
	append  func(caller, n int) (int, error)
	// settle, which may be nil, is called after each turn, outside of what is measured.
	settle func() error

	p50s, p99s []float64 // of its turns, in microseconds
}

func (s *appendingSide) turn() (float64, error) {
	l, err := drive(s.callers, appendTurn, s.append)
	if err == nil && s.settle != nil {
		err = s.settle()
	}
	if err != nil {
		return 0, err
	}
	s.p50s = append(s.p50s, microseconds(quantile(l.waits, 0.5)))
	s.p99s = append(s.p99s, microseconds(quantile(l.waits, 0.99)))
	return l.rate, nil
}

// appendingTurns answers the median of each side's rates.
func appendingTurns(rounds int, sides ...*appendingSide) ([]float64, error) {
	turns := make([]side, len(sides))
	for i, s := range sides {
		turns[i] = s.turn
	}
	return takeTurnsOrFail(rounds, turns...)
}

// ringOf makes a side append the events of a ring, a batch at a time, each caller others.
func ringOf(events []eventstore.Event, batch, callers int, to func([]eventstore.Event) error) func(caller, n int) (int, error) {
	batches := len(events) / batch
	return func(caller, n int) (int, error) {
		i := (n*callers + caller) % batches * batch
		return batch, to(events[i : i+batch])
	}
}

// ringSize is the number of different events that are appended again and again.
const ringSize = 1 << 16

// side is that of a log with the options that a daemon has. What its sealer has not yet sealed at the end of a turn is sealed
// before the next side's, which would lose processor time to it otherwise; during the turn the sealer takes its share.
func (l *ourLog) side(events []eventstore.Event, batch, callers int) *appendingSide {
	return &appendingSide{
		callers: callers, append: ringOf(events, batch, callers, l.append),
		settle: func() error { return l.store.Seal(context.Background()) },
	}
}

// appendAlone appends events of one caller, each in a transaction of its own, beside the least that a sync on this disk
// takes, and beside what the peers take for one event.
func appendAlone(dir string) (figures []Figure, err error) {
	ours, err := openLog(filepath.Join(dir, "ours.db"), eventstore.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ours.close()) }()
	raw, err := newRawFile(filepath.Join(dir, "raw"), rawSize)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, raw.close()) }()
	events := newFleet(time.Second).reports(ringSize)
	page := make([]byte, 4096)
	us := ours.side(events, 1, 1)
	limit := &appendingSide{callers: 1, append: func(_, n int) (int, error) {
		page[n%len(page)]++
		return 1, raw.commit(page)
	}}
	rates, err := appendingTurns(appendRounds, us, limit)
	if err != nil {
		return nil, err
	}
	figures = []Figure{
		{"/s", rates[0], "overwriting 4 KiB, fdatasync", rates[1], atLeast(0.85)},
		{"µs", median(us.p50s), "p50 of overwriting 4 KiB", median(limit.p50s), nil},
		{"µs", median(us.p99s), "p99 of overwriting 4 KiB", median(limit.p99s), nil},
	}
	peers, err := besidePeers(dir, us, events, 1, "one event")
	return append(figures, peers...), err
}

// besidePeers lets ours take turns with each peer at appending batches of a size.
func besidePeers(dir string, us *appendingSide, events []eventstore.Event, batch int, what string) ([]Figure, error) {
	var figures []Figure
	for _, peer := range []struct {
		name string
		open func(path string) (peerLog, error)
	}{
		{"SQLite rows", func(path string) (peerLog, error) { return openRowLog(path) }},
		{"bbolt", func(path string) (peerLog, error) { return openBoltLog(path) }},
		{"NATS, sync always", func(path string) (peerLog, error) { return openNATSLog(path) }},
	} {
		goal := (*Goal)(nil)
		rounds := fewRounds
		if batch > 1 && len(figures) == 0 {
			goal, rounds = both(atLeast(12), atLeastRate(800_000)), appendRounds
		}
		log, err := peer.open(filepath.Join(dir, fmt.Sprintf("peer-%d", len(figures))))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", peer.name, err)
		}
		rates, err := appendingTurns(rounds, us, &appendingSide{callers: 1, append: ringOf(events, batch, 1, log.append)})
		if err := errors.Join(err, log.close()); err != nil {
			return nil, fmt.Errorf("%s: %w", peer.name, err)
		}
		figures = append(figures, Figure{"/s", rates[0], peer.name + ", " + what, rates[1], goal})
	}
	return figures, nil
}

// appendTogether appends events of concurrent callers, one each at a time, beside the same number of callers that
// hand encoded events to a [groupCommitter]. At 64 callers, a single caller's turn is part of each round, for the latency.
func appendTogether(callers int, goal float64) func(dir string) ([]Figure, error) {
	return func(dir string) (figures []Figure, err error) {
		ours, err := openLog(filepath.Join(dir, "ours.db"), eventstore.Options{})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, ours.close()) }()
		raw, err := newRawFile(filepath.Join(dir, "raw"), rawSize)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, raw.close()) }()
		committer := newGroupCommitter(raw)
		defer committer.close()
		events := newFleet(time.Second).reports(ringSize)
		handIn, err := handIns(committer, events, callers)
		if err != nil {
			return nil, err
		}
		us, limit := ours.side(events, 1, callers), &appendingSide{callers: callers, append: handIn}
		sides := []*appendingSide{us, limit}
		if callers == 64 {
			sides = append(sides, ours.side(events, 1, 1))
		}
		rates, err := appendingTurns(appendRounds, sides...)
		if err != nil {
			return nil, err
		}
		figures = []Figure{
			{"/s", rates[0], "raw file, same group commit", rates[1], atLeast(goal)},
			{"µs", median(us.p99s), "p99 of the raw file", median(limit.p99s), nil},
		}
		if callers == 64 {
			figures = append(figures, Figure{"µs", median(us.p99s), "p99 of one caller of ours", median(sides[2].p99s), atMost(4)})
		}
		return figures, nil
	}
}

// handIns makes callers hand encoded events to a group committer.
func handIns(committer *groupCommitter, events []eventstore.Event, callers int) (func(caller, n int) (int, error), error) {
	encoded := make([][]byte, len(events))
	for i, e := range events {
		e.Position, e.RecordedAt = eventstore.Position(i+1), e.Timestamp
		var err error
		if encoded[i], err = encodeFlat(nil, &e); err != nil {
			return nil, err
		}
	}
	answers := make([]chan error, callers)
	for i := range answers {
		answers[i] = make(chan error, 1)
	}
	return func(caller, n int) (int, error) {
		committer.queue <- handedIn{encoded[(n*callers+caller)%len(encoded)], answers[caller]}
		return 1, <-answers[caller]
	}, nil
}

// appendBatches appends batches of 1,000 events, each in a transaction of its own, of one caller, as an import does it; beside
// the peers with as many events a transaction. NATS has no transactions: it is given 1,000 messages without waiting
// for each answer. Four callers of ours are shown beside one, since encoding and hashing is the callers' work.
func appendBatches(dir string) (figures []Figure, err error) {
	const batch = 1000
	ours, err := openLog(filepath.Join(dir, "ours.db"), eventstore.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ours.close()) }()
	events := newFleet(time.Second).reports(ringSize)
	us := ours.side(events, batch, 1)
	if figures, err = besidePeers(dir, us, events, batch, "batches"); err != nil {
		return nil, err
	}
	four := ours.side(events, batch, 4)
	rates, err := appendingTurns(fewRounds, four, us)
	if err != nil {
		return nil, err
	}
	return append(figures, Figure{"/s", rates[0], "4 callers beside one of ours", rates[1], nil}), nil
}
