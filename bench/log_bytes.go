package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/play"
	"github.com/statehouse/statehouse/internal/mqtt/zigbee2mqtt"
)

// recordedHouse is what a Zigbee2MQTT with a house full of devices said, recorded message by message.
const recordedHouse = "../testdata/zigbee2mqtt/house.jsonl.gz"

// logBytes measures what an event takes in the file, before and after sealing: the whole pages of the tables that the log
// is in. Sealed is what an event takes for good; before, each is what its commit wrote. It does so for a recorded house, each
// message of which is one decision, as in the daemon, and for a fleet of sensors whose numbers are reported by 64
// callers at once. The peer has a row for each of the same events, and its index.
//
// The recording has whole milliseconds, and with its own times as the clock an event is recorded at the very time at which
// it was received. A live house has microseconds, and some time between the two, which is shown beside it.
func logBytes(dir string) ([]Figure, error) {
	house, err := houseBytes(filepath.Join(dir, "house"))
	if err != nil {
		return nil, fmt.Errorf("house: %w", err)
	}
	fleet, err := fleetBytes(filepath.Join(dir, "fleet"))
	if err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	return []Figure{
		{"B", house.sealed, "SQLite rows, house, sealed", house.rows, atMostOf(12, "B")},
		{"B", house.unsealed, "SQLite rows, house, not sealed", house.rows, atMostOf(100, "B")},
		{"B", house.live, "SQLite rows, live house, sealed", house.rows, nil},
		{"B", fleet.sealed, "SQLite rows, fleet, sealed", fleet.rows, nil},
		{"B", fleet.unsealed, "SQLite rows, fleet, not sealed", fleet.rows, nil},
	}, nil
}

// logSizes are bytes an event.
type logSizes struct{ sealed, live, unsealed, rows float64 }

// tables are those that a log is in, and rowTables those of the peer.
var tables, rowTables = []string{"segments", "segment_filters"}, []string{"events", "events_entity"}

// bytesEach answers what an event takes of the tables of a closed database.
func bytesEach(path string, events int, tables []string) (float64, error) {
	bytes, err := tableBytes(path, tables...)
	return float64(bytes) / float64(events), err
}

// houseBytes plays the recorded house into a house, seals its log, and appends the same events to a log that is not sealed
// and to the peer. It plays it a second time for the sizes of a live one.
func houseBytes(dir string) (sizes logSizes, err error) {
	sealed, live := filepath.Join(dir, "sealed.db"), filepath.Join(dir, "live.db")
	unsealed, rows := filepath.Join(dir, "unsealed.db"), filepath.Join(dir, "rows.db")
	events, err := playHouse(sealed, false)
	if err != nil {
		return sizes, err
	}
	again, err := playHouse(live, true)
	if err != nil {
		return sizes, err
	}
	if err := errors.Join(copyUnsealed(unsealed, events), copyRows(rows, events)); err != nil {
		return sizes, err
	}
	errs := make([]error, 4)
	sizes.sealed, errs[0] = bytesEach(sealed, len(events), tables)
	sizes.live, errs[1] = bytesEach(live, len(again), tables)
	sizes.unsealed, errs[2] = bytesEach(unsealed, len(events), tables)
	sizes.rows, errs[3] = bytesEach(rows, len(events), rowTables)
	return sizes, errors.Join(errs...)
}

// playHouse plays the recording into a new house, seals its log and answers the events.
func playHouse(path string, live bool) (events []eventstore.Event, err error) {
	messages, err := readRecording(recordedHouse)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	var clock simulated
	clock.set(started)
	house, err := statehouse.OpenContext(ctx, path, statehouse.Options{Clock: clock.now})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, house.Close()) }()
	dialect := zigbee2mqtt.New(house, zigbee2mqtt.Options{})
	rng := rand.New(rand.NewPCG(13, 14))
	for _, m := range messages {
		received := started.Add(m.At)
		recorded := received
		if live {
			received = received.Add(time.Duration(rng.IntN(1000)) * time.Microsecond)
			recorded = received.Add(time.Duration(50+rng.IntN(450)) * time.Microsecond)
		}
		clock.set(recorded)
		if !mqtt.Match(dialect.Filters()[0], m.Topic) {
			continue
		}
		if err := dialect.Handle(ctx, mqtt.Message{
			Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, Retain: m.Retain, ReceivedAt: received,
		}); err != nil {
			return nil, fmt.Errorf("%s: %w", m.Topic, err)
		}
	}
	if err := house.Store().Seal(ctx); err != nil {
		return nil, err
	}
	for e, err := range house.Read(ctx, eventstore.Query{}) {
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	if len(events) == 0 {
		return nil, errors.New("no event came of the recording")
	}
	return events, nil
}

func readRecording(path string) (messages []play.Record, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, play.MaxLine)
	for n := 1; lines.Scan(); n++ {
		m, err := play.ParseRecord(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		messages = append(messages, m)
	}
	return messages, lines.Err()
}

// copyUnsealed appends the batches of a log to a new one that stays as its commits wrote it. Nobody may have given events
// correlation ids, by which batches are told apart.
func copyUnsealed(path string, events []eventstore.Event) (err error) {
	var clock simulated
	var l ourLog
	if err := l.open(path, eventstore.Options{Clock: clock.now, SealAfter: -1}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	for len(events) > 0 {
		n := 1
		for n < len(events) && sameBatch(&events[0], &events[n]) {
			n++
		}
		batch := make([]eventstore.Event, n)
		for i := range batch {
			batch[i] = asGiven(events[i])
		}
		clock.set(events[0].RecordedAt)
		if err := l.append(batch); err != nil {
			return err
		}
		events = events[n:]
	}
	return nil
}

// sameBatch says whether two events were appended together: the store gave them the same id.
func sameBatch(a, b *eventstore.Event) bool {
	return strings.HasPrefix(a.CorrelationID, "@") && a.CorrelationID == b.CorrelationID
}

// asGiven answers an event as who appended it had it.
func asGiven(e eventstore.Event) eventstore.Event {
	if strings.HasPrefix(e.CorrelationID, "@") {
		e.CorrelationID = ""
	}
	return e
}

// copyRows appends events to the peer, with its index there from the beginning.
func copyRows(path string, events []eventstore.Event) (err error) {
	rows, err := openRowLog(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.close()) }()
	for len(events) > 0 {
		n := min(loadBatch, len(events))
		batch := make([]eventstore.Event, n)
		for i := range batch {
			batch[i] = asGiven(events[i])
		}
		if err := rows.append(batch); err != nil {
			return err
		}
		events = events[n:]
	}
	return nil
}

// fleetBytes has 64 callers report a million numbers of sensors, a thousand a second, to a log that is then sealed. Some of
// them share a commit, as a fleet's messages do.
func fleetBytes(dir string) (sizes logSizes, err error) {
	const count, every = 1_000_000, time.Millisecond
	path, rows := filepath.Join(dir, "ours.db"), filepath.Join(dir, "rows.db")
	if err := appendFleet(path, newFleet(every), count); err != nil {
		return sizes, err
	}
	if sizes.unsealed, err = bytesEach(path, count, tables); err != nil {
		return sizes, err
	}
	if err := sealClosed(path); err != nil {
		return sizes, err
	}
	if sizes.sealed, err = bytesEach(path, count, tables); err != nil {
		return sizes, err
	}
	if err := appendRows(rows, newFleet(every), count); err != nil {
		return sizes, err
	}
	sizes.rows, err = bytesEach(rows, count, rowTables)
	return sizes, err
}

func appendFleet(path string, f *fleet, count int) (err error) {
	const callers = 64
	var clock simulated
	var l ourLog
	if err := l.open(path, eventstore.Options{Clock: clock.now, SealAfter: -1}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	var next sync.Mutex // guards f, made, and that the clock stands at the last report
	made := 0
	take := func() []eventstore.Event {
		next.Lock()
		defer next.Unlock()
		if made == count {
			return nil
		}
		made++
		one := f.reports(1)
		clock.set(one[0].Timestamp)
		return one
	}
	errs := make([]error, callers)
	var running sync.WaitGroup
	for c := range callers {
		running.Go(func() {
			for one := take(); one != nil && errs[c] == nil; one = take() {
				errs[c] = l.append(one)
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// appendRows appends a fleet's reports to the peer, with its index there from the beginning.
func appendRows(path string, f *fleet, count int) (err error) {
	rows, err := openRowLog(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.close()) }()
	for made := 0; made < count; made += loadBatch {
		if err := rows.append(f.reports(min(loadBatch, count-made))); err != nil {
			return err
		}
	}
	return nil
}

// sealClosed opens a log, seals all of it and closes it.
func sealClosed(path string) (err error) {
	var l ourLog
	if err := l.open(path, eventstore.Options{SealAfter: -1}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	return l.store.Seal(context.Background())
}

// tableBytes answers how many bytes some tables and indexes of a closed database take, as whole pages, by SQLite's own
// account of them (the dbstat table).
func tableBytes(path string, names ...string) (bytes int64, err error) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, name := range names {
		var size sql.NullInt64
		if err := db.QueryRow(`SELECT sum(pgsize) FROM dbstat WHERE aggregate = 1 AND name = ?`, name).Scan(&size); err != nil {
			return 0, err
		}
		if !size.Valid {
			return 0, fmt.Errorf("%s has no table or index %s", path, name)
		}
		bytes += size.Int64
	}
	return bytes, nil
}
