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
		{"start.10m", inPast(startPast)},
		{"asof.random", inPast(asOfRandom)},
		{"asof.step", inPast(asOfStep)},
		{"heap.entity", heapEntity},
	}
}

// inPast gives a measure the log of the past, and a directory beside it.
func inPast(measure func(p *pastLog, dir string) ([]Figure, error)) func() ([]Figure, error) {
	return inDir(func(dir string) ([]Figure, error) {
		p, err := bigPast()
		if err != nil {
			return nil, err
		}
		return measure(p, dir)
	})
}

// pastLog is a log with snapshots, and the last of its events in commits of their own, as a house leaves them before they are
// sealed.
type pastLog struct {
	path string
	size logSize
	// questions is how many random moments are asked for, and stretches of so many steps each.
	questions, stretches, steps int
}

// bigPast is the log of the past that is made of a copy of the big log.
var bigPast = sync.OnceValues(func() (*pastLog, error) {
	big, err := bigLog()
	if err != nil {
		return nil, err
	}
	p := &pastLog{filepath.Join(bigLogDir, "past.db"), bigSize, 400, 8, 1000}
	if err := copyDatabase(p.path, big.path); err != nil {
		return nil, err
	}
	return p, p.finish(big.end)
})

// finish adds what a big log lacks, and checks that the log is as it should be: no snapshot farther from the next one
// than snapshotsApart and a batch, and the newest one where the tail begins.
func (p *pastLog) finish(at time.Time) error {
	f := newSkewedFleet()
	f.at = at
	if err := addSingles(p.path, f, p.size.singles); err != nil {
		return err
	}
	house, err := p.open()
	if err != nil {
		return err
	}
	r := house.Recovered()
	if int(r.Position) != p.size.events || int(r.Replayed) != p.size.tail || len(r.Faults) > 0 {
		err = fmt.Errorf("the log of the past is not as it should be: %+v", r)
	}
	snapshots, unread := snapshotsOf(house)
	err = errors.Join(err, unread, house.Close())
	for i, next := range snapshots[1:] {
		if next-snapshots[i] > snapshotsApart+loadBatch {
			err = errors.Join(err, fmt.Errorf("there is no snapshot between positions %d and %d", snapshots[i], next))
		}
	}
	return err
}

// addSingles appends events to a log, each in a commit of its own, without a projector, which would be saved at the end.
func addSingles(path string, f *fleet, count int) (err error) {
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

// snapshotsOf are the positions of a house's snapshots, and 0 before them.
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

// open opens a house over the log, as one that was killed is found.
func (p *pastLog) open() (*statehouse.House, error) {
	if err := p.forgetClose(); err != nil {
		return nil, err
	}
	return statehouse.Open(p.path)
}

// forgetClose removes the snapshot that a house took when it was closed.
func (p *pastLog) forgetClose() (err error) {
	db, err := storage.Open(context.Background(), p.path, storage.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, table := range []string{"snapshots", "snapshot_parts"} {
		if _, err := db.Writer().Exec(`DELETE FROM `+table+` WHERE position > ?`, p.size.events-p.size.tail); err != nil {
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

// startPast opens a house with a log of 10 M events, the last 10,000 of which are behind the newest snapshot, and 4,000 of these
// in commits of their own. The references open the same file with the driver alone and find out where its log ends; and open a
// house that is empty. All files are in the kernel's cache.
func startPast(p *pastLog, dir string) ([]Figure, error) {
	empty := &pastLog{path: filepath.Join(dir, "empty.db")}
	if _, err := empty.opening(); err != nil {
		return nil, err
	}
	ms, err := takeTurnsOrFail(11, p.opening, p.bareOpening, empty.opening)
	if err != nil {
		return nil, err
	}
	return []Figure{
		{"ms", ms[0], "the bare SQLite file", ms[1], atMostOf(300, "ms")},
		{"ms", ms[0], "a house without events", ms[2], nil},
	}, nil
}

// opening answers how many milliseconds it takes until a house is ready.
func (p *pastLog) opening() (ms float64, err error) {
	if err := p.forgetClose(); err != nil {
		return 0, err
	}
	begin := time.Now()
	house, err := statehouse.Open(p.path)
	if err != nil {
		return 0, err
	}
	took := time.Since(begin)
	defer func() { err = errors.Join(err, house.Close()) }()
	if at := int(house.Now().Position()); at != p.size.events {
		return 0, fmt.Errorf("the house is at position %d, want %d", at, p.size.events)
	}
	return microseconds(took) / 1000, nil
}

// bareOpening answers how many milliseconds it takes to open a database and read where its log ends.
func (p *pastLog) bareOpening() (ms float64, err error) {
	begin := time.Now()
	db, err := sql.Open("sqlite", p.path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var last int
	if err := db.QueryRow(`SELECT max(last_position) FROM segments`).Scan(&last); err != nil {
		return 0, err
	}
	took := time.Since(begin)
	if last != p.size.events {
		return 0, fmt.Errorf("the log ends at %d, want %d", last, p.size.events)
	}
	return microseconds(took) / 1000, nil
}

// asOfRandom asks for moments at random positions of the log of 10 M events. The reference folds as many events as there
// are behind the newest snapshot before the moment: it copies a plain map of 10,000 states, reads the events from a flat
// file, decodes each, and sets its state in the copy. All files are in the kernel's cache.
func asOfRandom(p *pastLog, dir string) (figures []Figure, err error) {
	house, err := p.open()
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
		err = errors.Join(flat.append(newSkewedFleet().reports(snapshotsApart+loadBatch)), flat.close())
	}
	if err != nil {
		return nil, err
	}
	now := maps.Collect(house.Now().State.Entities.All())
	rng := rand.New(rand.NewPCG(15, 16))
	ours, theirs := make([]time.Duration, p.questions), make([]time.Duration, p.questions)
	for i := range p.questions {
		at := eventstore.Position(rng.IntN(p.size.events))
		n, found := slices.BinarySearch(snapshots, at)
		if !found {
			n--
		}
		if ours[i], err = ask(house, at); err != nil {
			return nil, err
		}
		begin := time.Now()
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

// ask is how long a house takes to answer what it was as of a position.
func ask(house *statehouse.House, at eventstore.Position) (time.Duration, error) {
	begin := time.Now()
	m, err := house.AsOf(context.Background(), at)
	took := time.Since(begin)
	if err == nil && m.Position() != at {
		err = fmt.Errorf("the moment is at position %d, want %d", m.Position(), at)
	}
	return took, err
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
func asOfStep(p *pastLog, _ string) (figures []Figure, err error) {
	house, err := p.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, house.Close()) }()
	rng := rand.New(rand.NewPCG(17, 18))
	plain := maps.Collect(house.Now().State.Entities.All())
	var forth, back, copies []time.Duration
	for range p.stretches {
		at := eventstore.Position(p.steps + rng.IntN(p.size.events-2*p.steps))
		if _, err := ask(house, at); err != nil {
			return nil, err
		}
		for i := range eventstore.Position(p.steps) {
			took, err := ask(house, at+i+1)
			if err != nil {
				return nil, err
			}
			forth = append(forth, took)
			copies = append(copies, copyAndSet(plain))
		}
		if _, err := ask(house, at); err != nil {
			return nil, err
		}
		for i := range eventstore.Position(p.steps) {
			took, err := ask(house, at-i-1)
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
