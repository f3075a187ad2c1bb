package statehouse_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openHouse opens the database at path and checks and closes it at the end of the test.
func openHouse(t *testing.T, path string, opts statehouse.Options) *statehouse.House {
	t.Helper()
	t.Setenv("STATEHOUSE_DETECT_MUTATIONS", "1")
	h, err := statehouse.OpenContext(t.Context(), path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := check.House(context.Background(), h); err != nil && !errors.Is(err, eventstore.ErrClosed) {
			t.Errorf("check: %v", err)
		}
		if err := h.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return h
}

func tempDB(t *testing.T) string { return filepath.Join(t.TempDir(), "home.db") }

// reopen closes a house and opens its database again. The cleanup of the first one finds it closed, which is fine.
func reopen(t *testing.T, h *statehouse.House, path string) *statehouse.House {
	t.Helper()
	if err := check.House(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	return openHouse(t, path, statehouse.Options{})
}

func mustAppend(t *testing.T, h *statehouse.House, events ...eventstore.Event) eventstore.Span {
	t.Helper()
	span, err := h.Append(t.Context(), events...)
	if err != nil {
		t.Fatal(err)
	}
	return span
}

// I1: positions have no gaps and no repeats, across restarts.
func TestPositionsAcrossRestarts(t *testing.T) {
	path := tempDB(t)
	h := openHouse(t, path, statehouse.Options{})
	next := eventstore.Position(1)
	for round := range 4 {
		for n := 1; n <= 5; n++ {
			events := make([]eventstore.Event, n)
			for i := range events {
				events[i] = check.SensorEvent(fmt.Sprintf("sensor.s%d", i), float64(round*10+n))
			}
			span := mustAppend(t, h, events...)
			if span.First != next || span.Len() != n {
				t.Fatalf("got %v, want %d positions from %d", span, n, next)
			}
			next += eventstore.Position(n)
		}
		h = reopen(t, h, path)
	}
	if got := h.Now().Position(); got != next-1 {
		t.Fatalf("head %d, want %d", got, next-1)
	}
}

// I3, I4: a reader sees a batch whole or not at all, and never one that was rolled back. Each batch sets two entities
// to one number; some batches fail after their first event was applied.
func TestReadersSeeWholeBatches(t *testing.T) {
	h := openHouse(t, tempDB(t), statehouse.Options{})
	taken := mustAppend(t, h, check.RegisterEvent(&entityv1.Entity{Id: "sensor.taken", UniqueId: "u"}))
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for last := eventstore.Position(0); ctx.Err() == nil; {
				m := h.Now()
				a, _ := m.State.Get("sensor.a")
				b, _ := m.State.Get("sensor.b")
				if x, y := check.SensorValue(a.Attributes), check.SensorValue(b.Attributes); x != y || x < 0 {
					t.Errorf("position %d: a reader sees %v and %v", m.Position(), x, y)
					return
				}
				if m.Position() < last || m.Registry.Position != m.Position() {
					t.Errorf("position %d after %d, registry at %d", m.Position(), last, m.Registry.Position)
					return
				}
				last = m.Position()
				runtime.Gosched()
			}
		})
	}
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 40 {
				n := float64(w*100 + i)
				if i%3 == 0 {
					// The registry refuses a second entity of one unique id, after sensor.a was applied.
					_, err := h.Append(ctx, check.SensorEvent("sensor.a", -1),
						check.RegisterEvent(&entityv1.Entity{Id: "sensor.thief", UniqueId: "u"}))
					if !errors.Is(err, eventstore.ErrInvalid) {
						t.Errorf("a batch that must fail: %v", err)
					}
					continue
				}
				if _, err := h.Append(ctx, check.SensorEvent("sensor.a", n), check.SensorEvent("sensor.b", n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	stop()
	readers.Wait()
	want := taken.Last + 8*26*2
	if got := h.Now().Position(); got != want {
		t.Errorf("head %d, want %d", got, want)
	}
}

// I5, and the contract's defect of one pending slot shared by concurrent appends: after Append returns, View contains
// it, with 64 writers, and the live cache is the fold of the log (checked at the end).
func TestAppendIsVisibleWhenItReturns(t *testing.T) {
	h := openHouse(t, tempDB(t), statehouse.Options{})
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			id := fmt.Sprintf("sensor.w%d", w)
			for i := range 16 {
				span, err := h.Append(t.Context(), check.SensorEvent(id, float64(i)))
				if err != nil {
					t.Error(err)
					return
				}
				s, ok := h.Now().State.Get(id)
				if !ok || s.Position != span.Last || check.SensorValue(s.Attributes) != float64(i) {
					t.Errorf("%s after append %d at %v: %v", id, i, span, s)
				}
			}
		})
	}
	wg.Wait()
	if n := h.Now().State.Entities.Len(); n != 64 {
		t.Errorf("%d entities", n)
	}
	if s := h.Store().Stats(); s.Failed != 0 || s.Events != 1024 || s.QueuedBatches != 0 || s.QueuedBytes != 0 {
		t.Errorf("%+v", s)
	}
}

// I8: a revision once read never changes.
func TestRevisionsNeverChange(t *testing.T) {
	h := openHouse(t, tempDB(t), statehouse.Options{})
	type kept struct {
		revision state.Revision
		states   map[string]state.State
	}
	var all []kept
	for i := range 200 {
		mustAppend(t, h, check.SensorEvent(fmt.Sprintf("sensor.s%d", i%37), float64(i)))
		k := kept{h.Now().State, map[string]state.State{}}
		for id, s := range k.revision.Entities.All() {
			k.states[id] = s
		}
		all = append(all, k)
	}
	for _, k := range all {
		n := 0
		for id, s := range k.revision.Entities.All() {
			n++
			if err := check.SameState(s, k.states[id]); err != nil {
				t.Fatalf("revision %d: %s: %v", k.revision.Position, id, err)
			}
		}
		if n != len(k.states) || n != k.revision.Entities.Len() {
			t.Fatalf("revision %d has %d entities, had %d", k.revision.Position, n, len(k.states))
		}
	}
}

// Who hears of an event finds it in the present.
func TestSubscribersHearOfWhatIsPromoted(t *testing.T) {
	h := openHouse(t, tempDB(t), statehouse.Options{})
	const n = 200
	var wg sync.WaitGroup
	wg.Go(func() {
		for e, err := range h.Subscribe(t.Context(), eventstore.Query{Until: n}) {
			if now := h.Now().Position(); err != nil || now < e.Position {
				t.Errorf("heard of %d at position %d: %v", e.Position, now, err)
				return
			}
		}
	})
	wg.Go(func() {
		for head := eventstore.Position(0); head < n; runtime.Gosched() {
			head = h.Store().Head()
			if now := h.Now().Position(); now < head {
				t.Errorf("the log ends at %d, the present at %d", head, now)
				return
			}
		}
	})
	for i := range n {
		mustAppend(t, h, check.SensorEvent("sensor.a", float64(i)))
	}
	wg.Wait()
}

// Whatever is changed in the log behind the store's back, a start says what and where.
// (Defects: an altered payload and a deleted row replayed with no error; a gap skewed the cursor.)
func TestDamagedLogIsReported(t *testing.T) {
	for name, damage := range map[string]struct{ statement, want string }{
		"altered payload": {`UPDATE segments SET body = CAST(substr(body, 1, length(body) - 1) || x'7f' AS BLOB) WHERE last_position = 3`, "positions 3 to 3"},
		"deleted row":     {`DELETE FROM segments WHERE last_position = 3`, "positions 3 to 3 are missing"},
		"deleted first":   {`DELETE FROM segments WHERE last_position = 1`, "positions 1 to 1 are missing"},
		"altered chain":   {`UPDATE segments SET chain = zeroblob(32) WHERE last_position = 5`, "positions 5 to 5"},
		"altered time":    {`UPDATE segments SET first_recorded = first_recorded + 1, last_recorded = last_recorded + 1 WHERE last_position = 2`, "positions 2 to 2"},
		"swapped bodies": {`UPDATE segments SET body = (SELECT body FROM segments WHERE last_position = 5)
			WHERE last_position = 4`, "positions 4 to 4"},
		"lost uuid": {`DELETE FROM meta`, "uuid"},
	} {
		t.Run(name, func(t *testing.T) {
			path := tempDB(t)
			h := openHouse(t, path, statehouse.Options{})
			for i := range 5 {
				mustAppend(t, h, check.SensorEvent("sensor.a", float64(i)))
			}
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
			withDB(t, path, func(db *storage.DB) {
				if _, err := db.Writer().ExecContext(t.Context(), damage.statement); err != nil {
					t.Fatal(err)
				}
			})
			h, err := statehouse.Open(path)
			if err == nil {
				_ = h.Close()
				t.Fatal("it started as if nothing were wrong")
			}
			if !strings.Contains(err.Error(), damage.want) {
				t.Errorf("%v\ndoes not name %q", err, damage.want)
			}
			if name != "lost uuid" && !errors.Is(err, eventstore.ErrCorrupt) {
				t.Errorf("%v is not ErrCorrupt", err)
			}
		})
	}
}

// Every store assigns recorded times that never go back, whatever the clock does, also across restarts.
func TestRecordedTimeNeverGoesBack(t *testing.T) {
	path := tempDB(t)
	var now atomic.Int64
	now.Store(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	clock := func() time.Time { return time.Unix(0, now.Load()) }
	h := openHouse(t, path, statehouse.Options{Clock: clock})
	mustAppend(t, h, check.SensorEvent("sensor.a", 1))
	now.Add(-int64(48 * time.Hour))
	mustAppend(t, h, check.SensorEvent("sensor.a", 2))
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h = openHouse(t, path, statehouse.Options{Clock: clock})
	if b := h.Recovered().ClockBehind; b != 48*time.Hour {
		t.Errorf("the clock is %v behind", b)
	}
	mustAppend(t, h, check.SensorEvent("sensor.a", 3))
	events := readAll(t, h, eventstore.Query{})
	for _, e := range events {
		if !e.RecordedAt.Equal(events[0].RecordedAt) || !e.Timestamp.Equal(e.RecordedAt) {
			t.Errorf("position %d recorded at %v with timestamp %v", e.Position, e.RecordedAt, e.Timestamp)
		}
	}
}

// The detector names who changed what is shared.
func TestMutationIsDetected(t *testing.T) {
	c := state.New()
	c.DetectMutations()
	e := check.SensorEvent("sensor.a", 1)
	e.Position = 1
	if err := c.Apply(t.Context(), nil, e); err != nil {
		t.Fatal(err)
	}
	c.Promote()
	if err := c.CheckMutations(); err != nil {
		t.Fatal(err)
	}
	s, _ := c.Get("sensor.a")
	s.Attributes.GetSensor().Value = &entityv1.Sensor_Number{Number: 2}
	err := c.CheckMutations()
	if err == nil || !strings.Contains(err.Error(), "sensor.a") || !strings.Contains(err.Error(), `"test"`) {
		t.Errorf("the mutation was not named: %v", err)
	}
}

// Append copies what it is given: the caller may go on using its message.
func TestAppendCopiesItsEvents(t *testing.T) {
	h := openHouse(t, tempDB(t), statehouse.Options{})
	e := check.SensorEvent("sensor.a", 1)
	mustAppend(t, h, e)
	e.Payload.GetStateChanged().GetAttributes().GetSensor().Value = &entityv1.Sensor_Number{Number: 9}
	if s, _ := h.Now().State.Get("sensor.a"); check.SensorValue(s.Attributes) != 1 {
		t.Errorf("the caller's later change shows: %v", s)
	}
}

// What cannot be read back is refused: protobuf encodes deeper messages than it decodes.
func TestTooDeepIsRefused(t *testing.T) {
	h := openHouse(t, tempDB(t), statehouse.Options{})
	v := &entityv1.Value{Kind: &entityv1.Value_BoolValue{BoolValue: true}}
	for range 6000 {
		list := &entityv1.ListValue{Values: []*entityv1.Value{v}}
		v = &entityv1.Value{Kind: &entityv1.Value_ListValue{ListValue: list}}
	}
	e := check.SensorEvent("sensor.deep", 1)
	e.Payload.GetStateChanged().GetAttributes().Extra = []*entityv1.Field{{Name: "x", Value: v}}
	if _, err := h.Append(t.Context(), e); !errors.Is(err, eventstore.ErrInvalid) || h.Now().Position() != 0 {
		t.Errorf("%v at position %d", err, h.Now().Position())
	}
}

// One file has one writer: not two under two names, and not two when the lock file was removed.
func TestOneWriterWhateverTheName(t *testing.T) {
	path := tempDB(t)
	h := openHouse(t, path, statehouse.Options{})
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if other, err := statehouse.Open(link); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("a second name: %v", err)
		_ = other.Close()
	}
	if err := os.Remove(path + ".lock"); err != nil {
		t.Fatal(err)
	}
	other, err := statehouse.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	mustAppend(t, h, check.SensorEvent("sensor.a", 1), check.SensorEvent("sensor.a", 2))
	if _, err := other.Append(t.Context(), check.SensorEvent("sensor.b", 1)); !errors.Is(err, eventstore.ErrUnavailable) {
		t.Errorf("a second writer: %v", err)
	}
}
