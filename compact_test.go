package statehouse_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
	"github.com/statehouse/statehouse/timeline"
)

func ExampleHouse_Compact() {
	now := time.Date(2026, 1, 31, 18, 0, 0, 0, time.UTC)
	clock := func() time.Time { now = now.Add(time.Minute); return now }
	if err := inHouse(clock, compact); err != nil {
		fmt.Println(err)
	}
	// Output:
	// removed 3 events up to position 3, recorded 18:03:00, attested at 4
	// the oldest moment: off
	// as of 2: the oldest is 3
	// history: position 5, off → on
}

func compact(ctx context.Context, house *statehouse.House) error {
	for _, on := range []bool{false, true, false} {
		if _, err := house.Append(ctx, switched("light.hall", on, 0)); err != nil {
			return err
		}
	}
	// Up to the present; up to anywhere else it goes to the last snapshot before that.
	c, err := house.Compact(ctx, house.Now().Position(), eventstore.CompactOptions{Source: "example"})
	if err != nil {
		return err
	}
	fmt.Printf("removed %d events up to position %d, recorded %s, attested at %d\n", c.Events, c.Base, c.RecordedAt.Format(time.TimeOnly), c.Attested)

	base, _ := house.Base()
	oldest, err := house.AsOf(ctx, base)
	if err != nil {
		return err
	}
	lamp, _ := oldest.State.Get("light.hall")
	fmt.Println("the oldest moment:", state.Text(lamp.Attributes))

	// What is before that is gone, and an error.
	_, err = house.AsOf(ctx, 2)
	var gone *eventstore.CompactedError
	if errors.As(err, &gone) {
		fmt.Println("as of 2: the oldest is", gone.Base)
	}

	// What comes behind it is what it would have been.
	if _, err := house.Append(ctx, switched("light.hall", true, 0)); err != nil {
		return err
	}
	for step, err := range house.Timeline().History(ctx, "light.hall", eventstore.FromOldest, 0) {
		if err != nil {
			return err
		}
		fmt.Printf("history: position %d, %s → %s\n", step.Event.Position, text(step.Before), text(step.After))
	}
	return nil
}

// What has been removed is an error in whatever asks for it, and what is left answers as before.
func TestCompactedPast(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { now = now.Add(time.Minute); return now }
	h := openHouse(t, tempDB(t), statehouse.Options{Clock: clock})
	mustAppend(t, h, check.SensorEvent("sensor.a", 1))
	mustAppend(t, h, check.SensorEvent("sensor.b", 5))
	mustAppend(t, h, check.SensorEvent("sensor.c", 7))
	held, err := h.AsOf(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := h.Compact(t.Context(), 3, eventstore.CompactOptions{}); err != nil || c.Base != 3 || c.Attested != 4 {
		t.Fatalf("%+v, %v", c, err)
	}
	base, recorded := h.Base()
	caused := check.SensorEvent("sensor.a", 1)
	caused.CausePosition = 2
	mustAppend(t, h, caused) // 5
	for at, want := range map[time.Time]eventstore.Position{recorded: 3, recorded.Add(time.Second): 3, recorded.Add(time.Minute): 4} {
		if m, final, err := h.Timeline().AsOfTime(t.Context(), at); err != nil || m.Position() != want || !final {
			t.Errorf("at %s: %d, %v, %v; want %d", at, m.Position(), final, err, want)
		}
	}
	links, why := h.Timeline().Why(t.Context(), 5)
	if len(links) != 1 || links[0].Event.Position != 5 {
		t.Errorf("the links that are left: %v", links)
	}
	if saw, err := links[0].Saw(t.Context()); err != nil || saw.Position() != 4 {
		t.Errorf("it saw %d, %v", saw.Position(), err)
	}
	_, _, byTime := h.Timeline().AsOfTime(t.Context(), recorded.Add(-1))
	_, before := h.AsOf(t.Context(), 2)
	_, empty := h.AsOf(t.Context(), 0)
	_, removed := h.Timeline().Why(t.Context(), 3)
	_, whyEntity := h.Timeline().WhyEntity(t.Context(), h.Now(), "sensor.a")
	_, origin := h.Timeline().Origin(t.Context(), held, "sensor.a")
	var history error
	for _, history = range h.Timeline().History(t.Context(), "sensor.a", eventstore.FromStart, 0) {
		break
	}
	for name, err := range map[string]error{
		"a cause": why, "a time": byTime, "a position": before, "the empty house": empty, "an event": removed,
		"what made an entity so": whyEntity, "the same of a moment that was held": origin, "a history": history,
	} {
		var c *eventstore.CompactedError
		if !errors.Is(err, eventstore.ErrCompacted) || !errors.As(err, &c) || c.Base != base || !strings.Contains(err.Error(), "the oldest moment is the one at position 3") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s, _ := held.State.Get("sensor.b"); check.SensorValue(s.Attributes) != 5 {
		t.Errorf("the moment that was held has changed: %v", s)
	}
}

// What an entity has been like since before the oldest moment was made so by something that is gone; whatever is known
// of it since leads to the event that made it so.
func TestOriginBehindWhatIsRemoved(t *testing.T) {
	h := openHouse(t, tempDB(t), statehouse.Options{})
	add := func(e eventstore.Event) eventstore.Position { return mustAppend(t, h, e).Last }
	expect := func(id string, want eventstore.Position) {
		t.Helper()
		got, err := h.Timeline().Origin(t.Context(), h.Now(), id)
		if want == 0 && !errors.Is(err, eventstore.ErrCompacted) || want > 0 && err != nil || got != want {
			t.Errorf("%s: position %d, %v; want %d", id, got, err, want)
		}
	}
	for i, id := range []string{"sensor.a", "sensor.b", "sensor.c", "sensor.old"} {
		add(check.SensorEvent(id, float64(i)))
		add(check.RegisterEvent(&entityv1.Entity{Id: id}))
	}
	add(check.RenameEvent("sensor.old", "sensor.d"))
	if _, err := h.Compact(t.Context(), h.Now().Position(), eventstore.CompactOptions{}); err != nil {
		t.Fatal(err)
	}
	expect("sensor.b", 0) // nothing was heard of it
	expect("sensor.d", 0)
	add(check.SensorEvent("sensor.a", 0))
	expect("sensor.a", 0) // that said the same again
	add(check.ReportEvent("sensor.a"))
	expect("sensor.a", 0)
	changed := add(check.SensorEvent("sensor.c", 8))
	add(check.SensorEvent("sensor.c", 8))
	expect("sensor.c", changed)
	add(check.RenameEvent("sensor.c", "sensor.cc"))
	expect("sensor.cc", changed)
	add(check.RenameEvent("sensor.b", "sensor.bb"))
	expect("sensor.bb", 0) // it was so under another id
	expect("sensor.d", 0)
	fresh := add(check.SensorEvent("sensor.b", 1)) // another one with the id that is free
	expect("sensor.b", fresh)
	other := add(check.SensorEvent("sensor.a", 9))
	expect("sensor.a", other)
	back := add(check.SensorEvent("sensor.a", 0))
	expect("sensor.a", back)
	add(check.UnregisterEvent("sensor.d"))
	again := add(check.SensorEvent("sensor.d", 3))
	expect("sensor.d", again)
	if got, err := h.Timeline().Origin(t.Context(), h.Now(), "sensor.none"); err != nil || got != 0 {
		t.Errorf("an entity without a state: %d, %v", got, err)
	}
}

// The snapshot at the base takes the place of what was removed: where it is damaged, nothing is made up instead.
func TestDamagedOldestSnapshot(t *testing.T) {
	for _, owner := range []string{"state", "registry"} {
		path := tempDB(t)
		h := openHouse(t, path, statehouse.Options{})
		mustAppend(t, h, check.SensorEvent("sensor.a", 1), check.RegisterEvent(&entityv1.Entity{Id: "sensor.a"}))
		if _, err := h.Compact(t.Context(), 2, eventstore.CompactOptions{}); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, h, check.SensorEvent("sensor.a", 2))
		later := mustAppend(t, h, check.SensorEvent("sensor.a", 3)).Last
		if err := errors.Join(h.Snapshot(t.Context()), h.Close()); err != nil {
			t.Fatal(err)
		}
		withDB(t, path, func(db *storage.DB) {
			if _, err := db.Writer().ExecContext(t.Context(), `UPDATE snapshot_parts SET body = x'00' WHERE position = 2 AND owner = ?`, owner); err != nil {
				t.Fatal(err)
			}
		})
		h, err := statehouse.OpenContext(t.Context(), path, statehouse.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []eventstore.Position{2, 3, later - 1} {
			if m, err := h.AsOf(t.Context(), at); !errors.Is(err, eventstore.ErrCorrupt) || !strings.Contains(err.Error(), "no usable snapshot at position 2") {
				t.Errorf("%s: as of %d: position %d, %v", owner, at, m.Position(), err)
			}
		}
		if m, err := h.AsOf(t.Context(), later); err != nil || m.Position() != later {
			t.Errorf("%s: as of %d: position %d, %v", owner, later, m.Position(), err)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
}

// growing records 200 times two events, the second of which is about an entity that was not there before, with a snapshot
// at every 40th position from 120 on: those before are thinned out.
func growing(t *testing.T, h *statehouse.House) {
	t.Helper()
	for n := 1; n <= 200; n++ {
		mustAppend(t, h, check.SensorEvent("sensor.a", float64(n)), check.SensorEvent(fmt.Sprintf("sensor.s%d", n), 1))
		if n%20 == 0 {
			if err := h.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A moment that was to be reached from one that has been removed meanwhile is reached from another one.
func TestAsOfWhenItsBeginningIsRemoved(t *testing.T) {
	h := openHouse(t, tempDB(t), statehouse.Options{SnapshotEvery: 1_000_000})
	growing(t, h)
	asked := 0
	tl := timeline.New(h.Store(), func() timeline.Moment {
		if asked++; asked == 4 { // in the middle of the second question
			if c, err := h.Compact(t.Context(), 120, eventstore.CompactOptions{}); err != nil || c.Base != 120 {
				t.Errorf("%+v, %v", c, err)
			}
		}
		return h.Now()
	})
	for _, at := range []eventstore.Position{10, 130} {
		m, err := tl.AsOf(t.Context(), at)
		if s, _ := m.State.Get("sensor.a"); err != nil || check.SensorValue(s.Attributes) != float64(at/2) {
			t.Errorf("as of %d: %v, %v", at, s, err)
		}
	}
	if base, _ := h.Base(); base != 120 {
		t.Errorf("the base is %d", base)
	}
	if _, err := tl.AsOf(t.Context(), 10); !errors.Is(err, eventstore.ErrCompacted) {
		t.Errorf("what it has kept: %v", err)
	}
}

// Who asks while history is removed gets the moment or is told that it is gone, and nothing in between.
func TestAsOfBesideCompact(t *testing.T) {
	h := openHouse(t, tempDB(t), statehouse.Options{SnapshotEvery: 1_000_000})
	growing(t, h)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	failed := make(chan error, 2)
	for seed := range 2 {
		go func() {
			for n := seed; ctx.Err() == nil; n += 37 {
				at := eventstore.Position(2 * (1 + n%200))
				m, err := h.AsOf(ctx, at)
				if base, _ := h.Base(); errors.Is(err, eventstore.ErrCompacted) && at < base || ctx.Err() != nil {
					continue
				}
				s, _ := m.State.Get("sensor.a")
				if err != nil || check.SensorValue(s.Attributes) != float64(at/2) || m.State.Entities.Len() != 1+int(at/2) {
					failed <- fmt.Errorf("as of %d: %v, %w", at, s, err)
					return
				}
			}
			failed <- nil
		}()
	}
	for until := eventstore.Position(120); until <= 400; until += 40 {
		if c, err := h.Compact(t.Context(), until, eventstore.CompactOptions{}); err != nil || c.Base != until {
			t.Fatalf("%+v, %v", c, err)
		}
	}
	stop()
	for range 2 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}
