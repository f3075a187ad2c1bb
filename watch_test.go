package statehouse_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// watcher is somebody who folds changes, and keeps nothing else.
type watcher struct {
	at  eventstore.Position
	has map[string]state.State
}

func newWatcher() *watcher { return &watcher{has: map[string]state.State{}} }

// take folds a delta, which must begin where the watcher is and lead to what it ends at.
func (w *watcher) take(d state.Delta) error {
	if d.Before.Position != w.at {
		return fmt.Errorf("a delta begins at %d, and the last one ended at %d", d.Before.Position, w.at)
	}
	if len(d.Changes) == 0 && !d.Partial {
		return fmt.Errorf("from %d to %d: nothing has changed", w.at, d.After.Position)
	}
	for _, c := range d.Changes {
		if before, ok := w.has[c.EntityID]; !d.Partial && ok != (c.Before.EntityID != "") || ok && c.Before.EntityID != "" && before.Position != c.Before.Position {
			return fmt.Errorf("from %d: %s was %v, and the change says %v", w.at, c.EntityID, before, c.Before)
		}
		if c.After.EntityID == "" {
			delete(w.has, c.EntityID)
		} else {
			w.has[c.EntityID] = c.After
		}
	}
	if d.Partial {
		for id := range w.has {
			if _, ok := d.After.Get(id); !ok {
				delete(w.has, id)
			}
		}
	}
	w.at = d.After.Position
	return w.compare(d.After)
}

func (w *watcher) compare(r state.Revision) error {
	if len(w.has) != r.Entities.Len() {
		return fmt.Errorf("at %d: %d entities instead of %d", w.at, len(w.has), r.Entities.Len())
	}
	for id, s := range r.Entities.All() {
		if err := check.SameState(w.has[id], s); err != nil {
			return fmt.Errorf("at %d: %s: %w", w.at, id, err)
		}
	}
	return nil
}

// catchUp comes back with the position that the watcher is at, and follows until it has the present, to which somebody must have
// added a change since.
func (w *watcher) catchUp(h *statehouse.House) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for d, err := range h.ChangesSince(ctx, w.at) {
		if err == nil {
			err = w.take(d)
		}
		if d.Partial {
			err = errors.Join(err, fmt.Errorf("from %d: the past is not known", d.Before.Position))
		}
		if err != nil || w.at == h.Now().Position() {
			return err
		}
	}
	return errors.New("the changes ended")
}

// Watchers that come back with nothing but their position, now and then, from however long ago, and after restarts, have
// the present at every pause.
func TestWatchersComeBack(t *testing.T) {
	dir, n := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		path := filepath.Join(dir, fmt.Sprintf("%d.db", n))
		opts := statehouse.Options{SnapshotEvery: rapid.SampledFrom([]int{7, 10_000}).Draw(t, "snapshot every")}
		h, err := statehouse.OpenContext(context.Background(), path, opts)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = h.Close() }()
		add := func(events ...eventstore.Event) {
			if _, err := h.Append(context.Background(), events...); err != nil && !errors.Is(err, eventstore.ErrInvalid) {
				t.Fatal(err)
			}
		}
		watchers := []*watcher{newWatcher(), newWatcher(), newWatcher()}
		for i := range rapid.IntRange(1, 12).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0, 1:
				add(drawPast(t)...)
			case 2:
				add(check.SensorEvent("sensor.tick", float64(i)))
				if err := rapid.SampledFrom(watchers).Draw(t, "watcher").catchUp(h); err != nil {
					t.Fatal(err)
				}
			case 3: // a position of which all is known, and nothing else
				w := newWatcher()
				w.at = eventstore.Position(rapid.IntRange(0, int(h.Now().Position())).Draw(t, "from"))
				m, err := h.AsOf(context.Background(), w.at)
				if err != nil {
					t.Fatal(err)
				}
				for id, s := range m.State.Entities.All() {
					w.has[id] = s
				}
				watchers = append(watchers, w)
			default:
				head := h.Now().Position()
				if err := h.Close(); err != nil {
					t.Fatal(err)
				}
				if h, err = statehouse.OpenContext(context.Background(), path, opts); err != nil {
					t.Fatal(err)
				}
				if h.Now().Position() != head {
					t.Fatalf("the restart has added events: %d instead of %d", h.Now().Position(), head)
				}
			}
		}
		add(check.SensorEvent("sensor.tick", -1))
		for _, w := range watchers {
			if err := w.catchUp(h); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// promoting is a projector of the program's own that looks around when it is promoted.
type promoting struct{ look func() }

func (p *promoting) Name() string                                              { return "promoting" }
func (p *promoting) Apply(context.Context, storage.Tx, eventstore.Event) error { return nil }
func (p *promoting) Snapshot(context.Context, storage.Tx) error                { return nil }
func (p *promoting) Restore(context.Context, storage.Tx) (uint64, error) {
	return uint64(eventstore.MaxPosition), nil
}
func (p *promoting) Promote() { p.look() }
func (p *promoting) Discard() {}

// What watchers are given is part of the present, and all projectors have it: while one is still to promote it, nobody is.
func TestWatchersSeeWhatIsPromoted(t *testing.T) {
	p := &promoting{look: func() {}}
	h := openHouse(t, tempDB(t), statehouse.Options{Projectors: []eventstore.Projector{p}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // so that nobody waits for a change
	looked := 0
	p.look = func() {
		looked++
		for d, err := range h.Changes(ctx, state.Revision{}) {
			if now := h.Now().Position(); err == nil && d.After.Position > now {
				t.Errorf("a watcher is at %d, and the present at %d", d.After.Position, now)
			}
		}
	}
	for i := range 3 {
		mustAppend(t, h, check.SensorEvent("sensor.a", float64(i)))
	}
	if p.look = func() {}; looked != 3 {
		t.Errorf("promoted %d times", looked)
	}
	for d, err := range h.Changes(ctx, state.Revision{}) {
		if err == nil && d.After.Position != 3 {
			t.Errorf("in the end a watcher is at %d", d.After.Position)
		}
	}
}

// Who comes back with a position up to which the log cannot be read any more gets what has happened since, as far as the
// present knows, in one delta, and goes on from there as everybody else.
func TestWatchersComeBackToALostPast(t *testing.T) {
	path := tempDB(t)
	h, err := statehouse.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	w := newWatcher()
	for i := range 10 {
		mustAppend(t, h, check.SensorEvent(fmt.Sprintf("sensor.s%d", i), 1))
	}
	if err := w.catchUp(h); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, h, check.SensorEvent("sensor.s1", 2), check.UnregisterEvent("sensor.s2"), check.SensorEvent("sensor.new", 1),
		check.SensorEvent("sensor.brief", 1), check.UnregisterEvent("sensor.brief"), check.ReportEvent("sensor.s3"))
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
	if err == nil {
		_, err = db.Exec(`DELETE FROM segments WHERE last_position < 10`)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	deltas := 0
	for d, err := range h.ChangesSince(t.Context(), w.at) {
		if err == nil {
			err = w.take(d)
		}
		if err != nil {
			t.Fatal(err)
		}
		deltas++
		if deltas == 2 {
			if d.Partial || len(d.Changes) != 1 {
				t.Errorf("the second delta: %+v", d)
			}
			break
		}
		var changed []string
		for _, c := range d.Changes {
			changed = append(changed, c.EntityID)
		}
		if !d.Partial || d.Merged() != 6 || fmt.Sprint(changed) != "[sensor.s1 sensor.new sensor.s3]" || d.Before.Entities.Len() != 7 {
			t.Errorf("partial %v, %d merged, of %d: %v", d.Partial, d.Merged(), d.Before.Entities.Len(), changed)
		}
		mustAppend(t, h, check.SensorEvent("sensor.s1", 3))
	}
	for _, err := range h.ChangesSince(t.Context(), 99) {
		if !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("a position that is still to come: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range h.ChangesSince(ctx, 3) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled watcher: %v", err)
		}
	}
}

// A watcher that folds what it is given has the present at every pause, however much was merged for it.
func TestChangesLeadToThePresent(t *testing.T) {
	h := openHouse(t, tempDB(t), statehouse.Options{})
	const last = 301
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 1; i <= last; i++ {
			if i%7 == 0 {
				mustAppend(t, h, check.UnregisterEvent(fmt.Sprintf("sensor.s%d", i%5)))
				continue
			}
			if i%4 == 0 { // which changes nothing, and is merged into the next one
				mustAppend(t, h, check.CustomEvent("sensor.unknown", "acme.touched", nil))
				continue
			}
			mustAppend(t, h, check.SensorEvent(fmt.Sprintf("sensor.s%d", i%5), float64(i)))
		}
	}()
	w, merged := newWatcher(), uint64(0)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for d, err := range h.Changes(ctx, state.Revision{}) {
		if err != nil {
			t.Fatal(err)
		}
		merged += d.Merged()
		if err := w.take(d); err != nil {
			t.Fatal(err)
		}
		if w.at == last {
			break
		}
	}
	<-done
	if w.at != last || merged != last {
		t.Errorf("ended at %d with %d events merged: %v", w.at, merged, ctx.Err())
	}
	cancel()
	for _, err := range h.Changes(ctx, h.Now().State) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("after the end: %v", err)
		}
	}
}

// Closing the house ends its watchers, and whoever comes to watch it later.
func TestCloseEndsWatchers(t *testing.T) {
	h, err := statehouse.Open(tempDB(t))
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, h, check.SensorEvent("sensor.a", 1))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	end := func(changes iter.Seq2[state.Delta, error], given func()) {
		t.Helper()
		var last error
		for _, err := range changes {
			if last = err; err == nil {
				given()
			}
		}
		if !errors.Is(last, eventstore.ErrClosed) {
			t.Errorf("it ends with %v", last)
		}
	}
	closed := make(chan error, 1)
	end(h.Changes(ctx, state.Revision{}), func() { go func() { closed <- h.Close() }() })
	if err := <-closed; err != nil {
		t.Error(err)
	}
	given := 0
	end(h.Changes(ctx, state.Revision{}), func() { given++ })
	end(h.Changes(ctx, h.Now().State), func() { given++ })
	end(h.ChangesSince(ctx, 1), func() { given++ })
	if given != 1 {
		t.Errorf("%d deltas of a house that is closed; there is one", given)
	}
	if err := h.Announce("http://127.0.0.1:1"); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("announced when closed: %v", err)
	}
}
