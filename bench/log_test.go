package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
)

func TestQuantile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100 - i)
	}
	for _, c := range []struct {
		values []time.Duration
		share  float64
		want   time.Duration
	}{
		{hundred, 0.99, 99},
		{hundred, 0.5, 50},
		{hundred, 1, 100},
		{hundred, 0, 1},
		{[]time.Duration{7}, 0.99, 7},
		{[]time.Duration{7}, 0, 7},
		{[]time.Duration{3, 1, 2}, 0.5, 2},
		{append(slices.Clone(hundred), 101), 0.99, 100},
	} {
		if got := quantile(c.values, c.share); got != c.want {
			t.Errorf("of %d values, %v are not above %d, want %d", len(c.values), c.share, got, c.want)
		}
	}
}

func TestGoalsOfTheLog(t *testing.T) {
	for _, c := range []struct {
		goal            *Goal
		ours, reference float64
		want            bool
	}{
		{atLeast(0.85), 85, 100, true},
		{atLeast(0.85), 84, 100, false},
		{atMostOf(20, "ms"), 20, 1, true},
		{atMostOf(20, "ms"), 21, 1000, false},
		{atLeastRate(3), 3, 1000, true},
		{atLeastRate(3), 2, 1, false},
		{both(atLeast(12), atLeastRate(800)), 1200, 100, true},
		{both(atLeast(12), atLeastRate(800)), 1200, 101, false},
		{both(atLeast(12), atLeastRate(800)), 799, 1, false},
	} {
		if got := c.goal.Met(c.ours, c.reference); got != c.want {
			t.Errorf("%s is %t for %v beside %v", c.goal.Text, got, c.ours, c.reference)
		}
	}
	if text := both(atLeast(12), atMostOf(20, "ms")).Text; text != "≥ 12×, ≤ 20.0 ms" {
		t.Errorf("the goal says %q", text)
	}
}

func TestTurnsEndWithTheFirstFailure(t *testing.T) {
	broken := errors.New("broken")
	calls := 0
	_, err := takeTurnsOrFail(5,
		func() (float64, error) { calls++; return 1, nil },
		func() (float64, error) { calls++; return 0, broken })
	if !errors.Is(err, broken) || calls != 2 {
		t.Errorf("after %d calls: %v", calls, err)
	}
}

func TestNothingIsMeasuredInMemory(t *testing.T) {
	const memory = "/dev/shm"
	if is, err := inMemory(memory); err != nil || !is {
		t.Skipf("%s is no file system in memory here", memory)
	}
	t.Setenv("TMPDIR", memory)
	if dir, err := diskDir(); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("%q, %v", dir, err)
	}
	if left, err := filepath.Glob(memory + "/statehouse-bench-*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestDriveCountsWhatIsDone(t *testing.T) {
	var mu sync.Mutex
	calls := map[int]int{}
	l, err := drive(3, 20*time.Millisecond, func(caller, n int) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		if calls[caller] != n {
			return 0, fmt.Errorf("caller %d is at %d, want %d", caller, n, calls[caller])
		}
		calls[caller]++
		return 10, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if total := calls[0] + calls[1] + calls[2]; total == 0 || len(l.waits) != total || l.rate <= 0 {
		t.Errorf("%v calls, %d waits, %v a second", calls, len(l.waits), l.rate)
	}
	broken := errors.New("broken")
	if _, err := drive(2, time.Hour, func(int, int) (int, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

func TestGroupCommitterAnswersEverybody(t *testing.T) {
	const callers, each = 32, 50
	path := filepath.Join(t.TempDir(), "raw")
	raw, err := newRawFile(path, callers*each*8)
	if err != nil {
		t.Fatal(err)
	}
	g := newGroupCommitter(raw)
	var running sync.WaitGroup
	for c := range callers {
		running.Go(func() {
			answer := make(chan error, 1)
			for n := range each {
				g.queue <- handedIn{fmt.Appendf(nil, "%03d:%03d\n", c, n), answer}
				if err := <-answer; err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		found[line] = true
	}
	if len(found) != callers*each {
		t.Errorf("%d records are in the file, want %d", len(found), callers*each)
	}
	if err := raw.close(); err != nil {
		t.Fatal(err)
	}
	answer := make(chan error, 1)
	g.queue <- handedIn{[]byte("more"), answer}
	if err := <-answer; !errors.Is(err, os.ErrClosed) {
		t.Errorf("what cannot be written is answered with %v", err)
	}
	g.close()
}

func TestRawFileIsWrittenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "raw")
	raw, err := newRawFile(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{"aaaa", "bbbb", "cccc"} {
		if err := raw.commit([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := raw.close(); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "ccccbbbb\x00\x00" {
		t.Errorf("%q, %v", data, err)
	}
}

// expectEvents compares what was read of a peer with what it was given.
func expectEvents(t *testing.T, got, given []eventstore.Event) {
	t.Helper()
	if len(got) != len(given) {
		t.Fatalf("%d events, want %d", len(got), len(given))
	}
	for i := range got {
		a, b := got[i], given[i]
		if a.Entity != b.Entity || a.Source != b.Source || a.CorrelationID != b.CorrelationID ||
			a.CausePosition != b.CausePosition || !a.Timestamp.Equal(b.Timestamp) || !proto.Equal(a.Payload, b.Payload) ||
			a.Kind != eventstore.KindStateChanged {
			t.Errorf("event %d\n got %v\nwant %v", i, a, b)
		}
	}
}

// someEvents have every field that a peer keeps.
func someEvents(count int) []eventstore.Event {
	events := newFleet(time.Second).reports(count)
	events[1].CorrelationID, events[2].CausePosition = "c-1", 1
	return events
}

func TestFlatRecordsComeBack(t *testing.T) {
	for _, e := range someEvents(3) {
		e.Position, e.RecordedAt = 1<<40, e.Timestamp.Add(time.Second)
		record, err := encodeFlat(nil, &e)
		if err != nil {
			t.Fatal(err)
		}
		r, err := decodeFlat(record)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.event()
		if err != nil {
			t.Fatal(err)
		}
		expectEvents(t, []eventstore.Event{got}, []eventstore.Event{e})
		if got.Position != e.Position || !got.RecordedAt.Equal(e.RecordedAt) {
			t.Errorf("got %v, want %v", got, e)
		}
		for n := range record {
			if _, err := decodeFlat(record[:n]); err == nil {
				t.Errorf("%d bytes of %d are taken for a record", n, len(record))
			}
		}
		if _, err := decodeFlat(append(record, 0)); err == nil {
			t.Error("a record with a byte too many is taken for one")
		}
	}
}

// fill appends some events one by one and the others together.
func fill(t *testing.T, log peerLog, events []eventstore.Event) {
	t.Helper()
	for i := range 3 {
		if err := log.append(events[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.append(events[3:]); err != nil {
		t.Fatal(err)
	}
}

// collector appends decoded records to events.
func collector(events *[]eventstore.Event) func(*flatRecord) error {
	return func(r *flatRecord) error {
		e, err := r.event()
		if int(e.Position) != len(*events)+1 {
			err = errors.Join(err, fmt.Errorf("position %d follows %d events", e.Position, len(*events)))
		}
		*events = append(*events, e)
		return err
	}
}

func TestRowsKeepWhatTheyAreGiven(t *testing.T) {
	events := someEvents(20)
	path := filepath.Join(t.TempDir(), "rows.db")
	rows, err := openRowLog(path)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, rows, events)
	var got []eventstore.Event
	if _, err := rows.scanAll(collector(&got)); err != nil {
		t.Fatal(err)
	}
	expectEvents(t, got, events)

	twice := []eventstore.Event{events[5], events[5], events[5]}
	if err := rows.append(twice); err != nil {
		t.Fatal(err)
	}
	var positions []eventstore.Position
	n, err := rows.history(events[5].Entity, 2, func(r *flatRecord) error {
		positions = append(positions, r.position)
		return nil
	})
	if err != nil || n != 2 || !slices.Equal(positions, []eventstore.Position{23, 22}) {
		t.Errorf("%d events at %v, %v", n, positions, err)
	}
	var plan string
	var id, parent, unused int
	if err := rows.db.QueryRow(`EXPLAIN QUERY PLAN SELECT position FROM events WHERE entity = 'x' ORDER BY position DESC`).
		Scan(&id, &parent, &unused, &plan); err != nil || !strings.Contains(plan, "USING COVERING INDEX events_entity") {
		t.Errorf("the index does not serve the history: %q, %v", plan, err)
	}
	if err := rows.close(); err != nil {
		t.Fatal(err)
	}
	if size, err := tableBytes(path, rowTables...); err != nil || size < 2*4096 || size%4096 != 0 {
		t.Errorf("%d bytes, %v", size, err)
	}
	if _, err := tableBytes(path, "nothing"); err == nil {
		t.Error("a table that is not there has a size")
	}
}

func TestRowsAreLoadedWithTheirIndex(t *testing.T) {
	rows, err := openRowLog(filepath.Join(t.TempDir(), "rows.db"))
	if err != nil {
		t.Fatal(err)
	}
	counts := &builtLog{counts: map[string]int{}}
	if err := rows.load(newSkewedFleet(), 2500, counts.count); err != nil {
		t.Fatal(err)
	}
	busiest := fleetNames[0]
	if n, err := rows.history(busiest, 10_000, decoded); err != nil || n != counts.counts[busiest] || n < 200 {
		t.Errorf("%d events of %d, %v", n, counts.counts[busiest], err)
	}
	if n, err := rows.scanAll(passedOver); err != nil || n != 2500 {
		t.Errorf("%d events, %v", n, err)
	}
	if err := rows.close(); err != nil {
		t.Fatal(err)
	}
}

func TestBoltKeepsWhatItIsGiven(t *testing.T) {
	events := someEvents(20)
	bolt, err := openBoltLog(filepath.Join(t.TempDir(), "bolt"))
	if err != nil {
		t.Fatal(err)
	}
	fill(t, bolt, events)
	var got []eventstore.Event
	collect := collector(&got)
	err = bolt.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(boltBucket).ForEach(func(_, value []byte) error {
			r, err := decodeFlat(value)
			return errors.Join(err, collect(&r))
		})
	})
	if err := errors.Join(err, bolt.close()); err != nil {
		t.Fatal(err)
	}
	expectEvents(t, got, events)
}

func TestNATSKeepsWhatItIsGiven(t *testing.T) {
	events := someEvents(20)
	log, err := openNATSLog(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	fill(t, log, events)
	sub, err := log.stream.SubscribeSync(natsStream+".>", nats.OrderedConsumer())
	if err != nil {
		t.Fatal(err)
	}
	var got []eventstore.Event
	for range events {
		m, err := sub.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		r, err := decodeFlat(m.Data)
		if err != nil {
			t.Fatal(err)
		}
		e, err := r.event()
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject != natsStream+"."+e.Entity {
			t.Errorf("%s under %s", e.Entity, m.Subject)
		}
		got = append(got, e)
	}
	if err := log.close(); err != nil {
		t.Fatal(err)
	}
	expectEvents(t, got, events)
}

func TestFlatFileKeepsWhatItIsGiven(t *testing.T) {
	events := someEvents(20)
	flat, err := newFlatFile(filepath.Join(t.TempDir(), "flat"))
	if err != nil {
		t.Fatal(err)
	}
	fill(t, flat, events)
	if err := flat.close(); err != nil {
		t.Fatal(err)
	}
	var got []eventstore.Event
	if n, err := flat.scan(collector(&got)); err != nil || n != len(events) {
		t.Fatalf("%d events, %v", n, err)
	}
	expectEvents(t, got, events)
	if err := os.Truncate(flat.file.Name(), 100); err != nil {
		t.Fatal(err)
	}
	if n, err := flat.scan(passedOver); err == nil {
		t.Errorf("a file that is cut short has %d events", n)
	}
}

func TestBuiltLogIsSealedAndWithoutSnapshot(t *testing.T) {
	const count = 2500
	path := filepath.Join(t.TempDir(), "ours.db")
	built := &builtLog{counts: map[string]int{}}
	if err := buildLog(path, newSkewedFleet(), count, built.count); err != nil {
		t.Fatal(err)
	}
	l, err := openLog(path, eventstore.Options{SealAfter: -1})
	if err != nil {
		t.Fatal(err)
	}
	if r, s := l.store.Recovered(), l.store.Stats(); r.Replayed != count || r.Snapshot != 0 || s.Sealed != count {
		t.Errorf("%+v, %+v", r, s)
	}
	busiest := fleetNames[0]
	if built.nearest(count) != busiest || built.counts[built.nearest(1)] != 1 {
		t.Errorf("nearest are %s and %s", built.nearest(count), built.nearest(1))
	}
	if n, err := l.lastOf(busiest, count); err != nil || n != built.counts[busiest] {
		t.Errorf("%d events of %d, %v", n, built.counts[busiest], err)
	}
	if n, err := l.lastOf(busiest, 10); err != nil || n != 10 {
		t.Errorf("%d events, %v", n, err)
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err = buildLog(filepath.Join(t.TempDir(), "ours.db"), newFleet(time.Second), 10*count, func([]eventstore.Event) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

func TestCopiesAreTheSameLog(t *testing.T) {
	dir := t.TempDir()
	var clock simulated
	l, err := openLog(filepath.Join(dir, "ours.db"), eventstore.Options{Clock: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	given := newFleet(time.Second).reports(20)
	for i, end := range []int{1, 4, 20} {
		clock.set(started.Add(time.Duration(i) * time.Hour))
		if err := l.append(given[[]int{0, 1, 4}[i]:end]); err != nil {
			t.Fatal(err)
		}
	}
	events := readAll(t, l)
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	if err := copyUnsealed(filepath.Join(dir, "copy.db"), events); err != nil {
		t.Fatal(err)
	}
	if err := copyRows(filepath.Join(dir, "rows.db"), events); err != nil {
		t.Fatal(err)
	}
	again, err := openLog(filepath.Join(dir, "copy.db"), eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	copied := readAll(t, again)
	if err := again.close(); err != nil {
		t.Fatal(err)
	}
	expectEvents(t, copied, events) // with the ids of their batches, thus in the same ones
	for i := range copied {
		if !copied[i].RecordedAt.Equal(events[i].RecordedAt) {
			t.Errorf("position %d was recorded at %s, want %s", i+1, copied[i].RecordedAt, events[i].RecordedAt)
		}
	}
}

func readAll(t *testing.T, l *ourLog) (events []eventstore.Event) {
	t.Helper()
	for e, err := range l.store.Read(context.Background(), eventstore.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

func TestCrowdGetsEverythingButWhereItIsStuck(t *testing.T) {
	l, err := openLog(filepath.Join(t.TempDir(), "ours.db"), eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	events := newFleet(time.Second).reports(20)
	if err := l.append(events[:5]); err != nil {
		t.Fatal(err)
	}
	c := l.subscribe(10)
	for i := range events {
		if err := l.append(events[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.caughtUp(); err != nil {
		t.Fatal(err)
	}
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	for i := range c.got {
		want := int64(len(events))
		if i == 0 {
			want = 1
		}
		if got := c.got[i].Load(); got != want {
			t.Errorf("subscriber %d got %d events, want %d", i, got, want)
		}
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
}

func TestFleetIsTheSameEveryTime(t *testing.T) {
	expectSame := func(a, b []eventstore.Event) {
		for i := range a {
			if a[i].Entity != b[i].Entity || !a[i].Timestamp.Equal(b[i].Timestamp) || !proto.Equal(a[i].Payload, b[i].Payload) {
				t.Errorf("report %d: %v, %v", i, a[i], b[i])
			}
		}
	}
	expectSame(newFleet(time.Second).reports(100), newFleet(time.Second).reports(100))
	expectSame(newSkewedFleet().reports(100), newSkewedFleet().reports(100))
}
