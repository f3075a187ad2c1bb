package daemon

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
)

// oldHouse makes a database with a thousand hours of history, an event every ten hours, and a snapshot after every ten
// events; age is that of the last one.
func oldHouse(t *testing.T, path string, age time.Duration) {
	t.Helper()
	at := time.Now().Add(-1000*time.Hour - age)
	h, err := statehouse.OpenContext(t.Context(), path, statehouse.Options{Clock: func() time.Time { return at }, SnapshotEvery: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.Consumer(t.Context(), "mirror", eventstore.Query{})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	event := eventstore.Event{Source: "test", Payload: &eventv1.Payload{Kind: &eventv1.Payload_System{System: &eventv1.System{What: "hour"}}}}
	for n := range 100 {
		at = at.Add(10 * time.Hour)
		if _, err := h.Append(t.Context(), event); err != nil {
			t.Fatal(err)
		}
		if n%10 == 9 {
			if err := h.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestRemovesOldHistory: the daemon removes what is too old, once it may, and says whom it left behind.
func TestRemovesOldHistory(t *testing.T) {
	c := testConfig(t)
	c.KeepHistory = Interval(250 * time.Hour)
	oldHouse(t, c.DB, time.Hour)
	log := &journal{}
	d := start(t, c, Options{RetainAfter: time.Millisecond, Logger: slog.New(slog.NewTextHandler(log, nil))})
	wait(t, "it removes", func() bool { return log.count("old history was removed") == 1 })
	if base, recorded := d.House().Base(); base != 75 || time.Since(recorded) < 250*time.Hour {
		t.Errorf("the base is %d, recorded at %s", base, recorded)
	}
	wait(t, "it says who was left behind", func() bool { return log.count("consumer=mirror") == 1 })
	wrong := &retention{d: d, keep: time.Hour, now: func() time.Time { return time.Now().Add(-5000 * time.Hour) }}
	if err := wrong.turn(t.Context()); err != nil {
		t.Errorf("with a clock that is far behind: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = start(t, c, Options{RetainAfter: time.Millisecond})
	for e, err := range d.House().Read(t.Context(), eventstore.Query{After: eventstore.FromOldest, Kinds: []eventstore.Kind{eventstore.KindHistoryRemoved}}) {
		if err != nil || e.Source != source || e.Payload.GetHistoryRemoved().GetThrough() != 75 {
			t.Errorf("%v, %v", e, err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestRemovesAgainAndAgain: one removal follows the other as time goes by, and what fails is tried again.
func TestRemovesAgainAndAgain(t *testing.T) {
	c := testConfig(t)
	oldHouse(t, c.DB, time.Hour)
	log := &journal{}
	d := start(t, c, Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	now := time.Now()
	r := &retention{d: d, keep: 600 * time.Hour, after: time.Millisecond, every: time.Millisecond, now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}}
	var running sync.WaitGroup
	running.Go(func() { r.run(ctx) })
	base := func(want eventstore.Position) func() bool {
		return func() bool { at, _ := d.House().Base(); return at == want }
	}
	wait(t, "it removes", base(40))
	mu.Lock()
	now = now.Add(150 * time.Hour)
	mu.Unlock()
	wait(t, "it removes more", base(55))
	behind(t, c.DB, `UPDATE segments SET last_recorded = last_recorded + 1 WHERE last_position = 60`)
	mu.Lock()
	now = now.Add(160 * time.Hour)
	mu.Unlock()
	wait(t, "it fails twice", func() bool { return log.count(`level=ERROR msg="old history was not removed`) >= 2 })
	if !base(55)() {
		t.Error("it has removed what it cannot")
	}
	behind(t, c.DB, `UPDATE segments SET last_recorded = last_recorded - 1 WHERE last_position = 60`)
	wait(t, "it goes on", base(71))
	cancel()
	running.Wait()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestKeepsHistory: without a limit nothing is removed, however old.
func TestKeepsHistory(t *testing.T) {
	c := testConfig(t)
	oldHouse(t, c.DB, time.Hour)
	d := start(t, c, Options{RetainAfter: time.Nanosecond})
	newRetention(d).run(t.Context()) // it ends
	if base, _ := d.House().Base(); base != 0 {
		t.Errorf("the base is %d", base)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestRemovesNothingByAWrongClock: where the clock is far ahead of the last event at a start, as after a long time or with a
// wrong clock, the first removal is a day away.
func TestRemovesNothingByAWrongClock(t *testing.T) {
	for age, want := range map[time.Duration]time.Duration{time.Hour: time.Minute, 25 * time.Hour: retainEvery, -100 * time.Hour: time.Minute} {
		c := testConfig(t)
		oldHouse(t, c.DB, age)
		d := start(t, c, Options{RetainAfter: time.Minute})
		if got := newRetention(d).after; got != want {
			t.Errorf("the last event is %s old: the first removal is after %s, want %s", age, got, want)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	d := start(t, testConfig(t), Options{RetainAfter: time.Minute})
	if got := newRetention(d).after; got != time.Minute {
		t.Errorf("a new house: %s", got)
	}
}

// TestKeepHistoryIsChecked: a limit that would leave next to nothing is an error before anything is opened.
func TestKeepHistoryIsChecked(t *testing.T) {
	for keep, wrong := range map[time.Duration]bool{0: false, time.Hour: false, 90 * 24 * time.Hour: false, time.Minute: true, -time.Hour: true} {
		c := testConfig(t)
		c.KeepHistory = Interval(keep)
		c.SetDefaults()
		if err := c.Check(t.Context()); errors.Is(err, ErrConfig) != wrong || wrong && !strings.Contains(err.Error(), "keep_history: ") {
			t.Errorf("%s: %v", keep, err)
		}
	}
}

// Intervals have days as well, and nothing else that Go's durations have not.
func TestInterval(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "90d": 90 * 24 * time.Hour, "1d12h": 36 * time.Hour, "0d": 0, "168h": 168 * time.Hour, "1h30m": 90 * time.Minute, "-1s": -time.Second,
	} {
		var i Interval
		if err := i.UnmarshalText([]byte(text)); err != nil || time.Duration(i) != want {
			t.Errorf("%s: %v, %v", text, time.Duration(i), err)
		}
	}
	for _, text := range []string{"", "d", "-1d", "1.5d", "1d-1h", "1d1", "90 d", "1dd", "99999999d", "week", "90", "36600d2500000h"} {
		i := Interval(7)
		if err := i.UnmarshalText([]byte(text)); err == nil || i != 7 {
			t.Errorf("%q: %v, %v", text, time.Duration(i), err)
		}
	}
}
