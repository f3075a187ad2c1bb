package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// pastMeasures are the measures of the past: how long a start takes, and a question about any moment, in a log of 10 M
// events about 10,000 entities.
func pastMeasures() []Measure {
	return []Measure{
		{"start.10m", startBig},
		{"asof.random", inDir(asOfRandom)},
		{"asof.step", asOfStep},
		{"heap.entity", heapEntity},
	}
}

// pastLog is a copy of the big log with pastSingles events more, each in a commit of its own, as a house leaves them before they
// are sealed. That makes 10 M events, of which the last pastTail are behind the newest snapshot.
var pastLog = sync.OnceValues(func() (path string, err error) {
	big, err := bigLog()
	if err != nil {
		return "", err
	}
	path = filepath.Join(bigLogDir, "past.db")
	if err := copyDatabase(path, big.path); err != nil {
		return "", err
	}
	f := newSkewedFleet()
	f.at = big.end
	if err := appendSingles(path, f, pastSingles); err != nil {
		return "", err
	}
	return path, expectPast(path)
})

// appendSingles appends events to a log, each in a commit of its own, without projectors, which would be saved at the end.
func appendSingles(path string, f *fleet, count int) (err error) {
	var clock simulated
	var l ourLog
	if err := l.open(path, buildOptions(&clock)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	for range count {
		e := f.report()
		clock.set(e.Timestamp)
		if err := l.append([]eventstore.Event{e}); err != nil {
			return err
		}
	}
	return nil
}

const (
	pastEvents  = 10_000_000
	pastTail    = 10_000
	pastSingles = pastEvents - bigLogEvents
)

// expectPast fails unless a log has its snapshots where the store keeps them when it has run for long: none farther from
// the next than sparseEvents and what one commit adds, and the newest one pastTail before the end.
func expectPast(path string) (err error) {
	house, err := openBig(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, house.Close()) }()
	if r := house.Recovered(); r.Position != pastEvents || r.Replayed != pastTail || len(r.Faults) > 0 {
		return fmt.Errorf("the log of the past is not as it should be: %+v", r)
	}
	at, err := snapshotsOf(house)
	if err != nil {
		return err
	}
	for i, next := range at[1:] {
		if next-at[i] > bigLogSparse+loadBatch {
			return fmt.Errorf("there is no snapshot between positions %d and %d", at[i], next)
		}
	}
	return nil
}

// snapshotsOf are the positions of a house's snapshots, and 0.
func snapshotsOf(house *statehouse.House) ([]eventstore.Position, error) {
	infos, err := house.Snapshots(context.Background())
	at := []eventstore.Position{0}
	for _, info := range infos {
		if info.Owner == state.New().Name() {
			at = append(at, info.Position)
		}
	}
	slices.Sort(at)
	return at, err
}

// openBig opens a house over the log of the past as one that was killed is found: without the snapshot that it took when
// it was closed.
func openBig(path string) (*statehouse.House, error) {
	if err := forgetLastSnapshot(path); err != nil {
		return nil, err
	}
	return statehouse.Open(path)
}

// forgetLastSnapshot removes the snapshots in the tail of the log of the past.
func forgetLastSnapshot(path string) (err error) {
	db, err := storage.Open(context.Background(), path, storage.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, table := range []string{"snapshots", "snapshot_parts"} {
		if _, err := db.Writer().Exec(`DELETE FROM `+table+` WHERE position > ?`, pastEvents-pastTail); err != nil {
			return err
		}
	}
	return nil
}

// copyDatabase copies a closed database.
func copyDatabase(to, from string) (err error) {
	if wal, err := os.Stat(from + "-wal"); err == nil && wal.Size() > 0 {
		return fmt.Errorf("%s is not closed", from)
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Sync()
}

// startBig opens a house with a log of 10 M events, the last 10,000 of which are behind the newest snapshot, and 4,000 of these
// in commits of their own. The references open the same file with the driver alone and find out where its log ends; and open a
// house that is empty. All files are in the kernel's cache.
func startBig() ([]Figure, error) {
	path, err := pastLog()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(bigLogDir, "empty")
	empty := filepath.Join(dir, "empty.db")
	if _, err := openingOf(empty, 0)(); err != nil {
		return nil, err
	}
	ms, err := takeTurnsOrFail(11, openingOf(path, pastEvents), bareOpening(path), openingOf(empty, 0))
	if err != nil {
		return nil, err
	}
	return []Figure{
		{"ms", ms[0], "the bare SQLite file", ms[1], atMostOf(300, "ms")},
		{"ms", ms[0], "a house without events", ms[2], nil},
	}, nil
}

// openingOf answers how many milliseconds it takes until a house is ready.
func openingOf(path string, events eventstore.Position) side {
	return func() (ms float64, err error) {
		if err := forgetLastSnapshot(path); err != nil {
			return 0, err
		}
		begin := time.Now()
		house, err := statehouse.Open(path)
		if err != nil {
			return 0, err
		}
		took := time.Since(begin)
		defer func() { err = errors.Join(err, house.Close()) }()
		if at := house.Now().Position(); at != events {
			return 0, fmt.Errorf("the house is at position %d, want %d", at, events)
		}
		return microseconds(took) / 1000, nil
	}
}

// bareOpening answers how many milliseconds it takes to open a database and read where its log ends.
func bareOpening(path string) side {
	return func() (ms float64, err error) {
		begin := time.Now()
		db, err := sql.Open("sqlite", path)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		var last eventstore.Position
		if err := db.QueryRow(`SELECT max(last_position) FROM segments`).Scan(&last); err != nil {
			return 0, err
		}
		took := time.Since(begin)
		if last != pastEvents {
			return 0, fmt.Errorf("the log ends at %d, want %d", last, pastEvents)
		}
		return microseconds(took) / 1000, nil
	}
}

// asOfRandom asks for moments at random positions of the log of 10 M events. The reference folds as many events as there
// are behind the newest snapshot before the moment: it copies a plain map of 10,000 states, reads the events from a flat
// file, decodes each, and sets its state in the copy. All files are in the kernel's cache.
func asOfRandom(dir string) (figures []Figure, err error) {
	const questions = 400
	path, err := pastLog()
	if err != nil {
		return nil, err
	}
	house, err := openBig(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, house.Close()) }()
	snapshots, err := snapshotsOf(house)
	if err != nil {
		return nil, err
	}
	flat, err := newFlatFile(filepath.Join(dir, "flat"))
	if err == nil {
		err = errors.Join(flat.append(newSkewedFleet().reports(bigLogSparse+loadBatch)), flat.close())
	}
	if err != nil {
		return nil, err
	}
	now := maps.Collect(house.Now().State.Entities.All())
	rng := rand.New(rand.NewPCG(15, 16))
	ours, theirs := make([]time.Duration, questions), make([]time.Duration, questions)
	for i := range questions {
		at := eventstore.Position(rng.Uint64N(pastEvents))
		n, found := slices.BinarySearch(snapshots, at)
		if !found {
			n--
		}
		begin := time.Now()
		m, err := house.AsOf(context.Background(), at)
		ours[i] = time.Since(begin)
		if err == nil && m.Position() != at {
			err = fmt.Errorf("the moment is at position %d, want %d", m.Position(), at)
		}
		if err != nil {
			return nil, err
		}
		begin = time.Now()
		err = foldFlat(now, flat, int(at-snapshots[n]))
		theirs[i] = time.Since(begin)
		if err != nil {
			return nil, err
		}
	}
	ms := func(all []time.Duration, share float64) float64 { return microseconds(quantile(all, share)) / 1000 }
	return []Figure{
		{"ms", ms(ours, 0.99), "p99 of folding a flat file", ms(theirs, 0.99), atMostOf(50, "ms")},
		{"ms", ms(ours, 0.5), "p50 of folding a flat file", ms(theirs, 0.5), nil},
	}, nil
}

// errEnough ends a scan.
var errEnough = errors.New("enough")

// foldFlat folds the first events of a flat file into a copy of a map.
func foldFlat(base map[state.EntityID]state.State, flat *flatFile, events int) error {
	states := maps.Clone(base)
	_, err := flat.scan(func(r *flatRecord) error {
		if events == 0 {
			return errEnough
		}
		events--
		e, err := r.event()
		if err == nil {
			states[e.Entity], _ = states[e.Entity].After(e, true)
		}
		return err
	})
	if errors.Is(err, errEnough) || events == 0 {
		return nil
	}
	return errors.Join(err, fmt.Errorf("%d events were missing", events))
}

// asOfStep asks for one moment after the other, from several positions of the log of 10 M events on, each of which is asked for
// before; and for one before the other. The reference makes the next moment of a plain map: it copies 10,000 states and sets one.
func asOfStep() (figures []Figure, err error) {
	const stretches, steps = 8, 1000
	path, err := pastLog()
	if err != nil {
		return nil, err
	}
	house, err := openBig(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, house.Close()) }()
	rng := rand.New(rand.NewPCG(17, 18))
	var forth, back, copies []time.Duration
	plain := maps.Collect(house.Now().State.Entities.All())
	step := func(to eventstore.Position) (time.Duration, error) {
		begin := time.Now()
		m, err := house.AsOf(context.Background(), to)
		took := time.Since(begin)
		if err == nil && m.Position() != to {
			err = fmt.Errorf("the moment is at position %d, want %d", m.Position(), to)
		}
		return took, err
	}
	for range stretches {
		at := eventstore.Position(2*steps + rng.Uint64N(pastEvents-4*steps))
		if _, err := step(at); err != nil {
			return nil, err
		}
		for i := range eventstore.Position(steps) {
			took, err := step(at + i + 1)
			if err != nil {
				return nil, err
			}
			forth = append(forth, took)
			copies = append(copies, copyAndSet(plain))
		}
		if _, err := step(at); err != nil {
			return nil, err
		}
		for i := range eventstore.Position(steps) {
			took, err := step(at - i - 1)
			if err != nil {
				return nil, err
			}
			back = append(back, took)
		}
	}
	reference := microseconds(quantile(copies, 0.5))
	return []Figure{
		{"µs", microseconds(quantile(forth, 0.5)), "copying a plain map, p50", reference, atMostOf(1000, "µs")},
		{"µs", microseconds(quantile(forth, 0.99)), "p99 of ours beside p50", reference, nil},
		{"µs", microseconds(quantile(back, 0.5)), "one step back beside it", reference, nil},
		{"µs", microseconds(quantile(back, 0.99)), "p99 back beside p50", reference, nil},
	}, nil
}

// copyAndSet is how long it takes to copy a map of states and set one of them.
func copyAndSet(states map[state.EntityID]state.State) time.Duration {
	begin := time.Now()
	next := maps.Clone(states)
	next[fleetNames[0]] = state.State{EntityID: fleetNames[0]}
	return time.Since(begin)
}
