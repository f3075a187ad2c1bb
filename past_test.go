package statehouse_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/storage"
	"github.com/statehouse/statehouse/timeline"
)

// drawPast draws a batch of events of every kind that changes states or the registry.
func drawPast(t *rapid.T) []eventstore.Event {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) eventstore.Event {
		id := fmt.Sprintf("sensor.s%d", rapid.IntRange(0, 4).Draw(t, "entity"))
		var e eventstore.Event
		switch rapid.IntRange(0, 10).Draw(t, "kind") {
		case 0:
			e = check.RegisterEvent(&entityv1.Entity{Id: id, Name: rapid.StringMatching("[a-z]{0,2}").Draw(t, "name"), Disabled: rapid.Bool().Draw(t, "disabled")})
		case 1:
			e = check.UnregisterEvent(id)
		case 2:
			e = check.RenameEvent(id, fmt.Sprintf("sensor.s%d", rapid.IntRange(0, 6).Draw(t, "to")))
		case 3:
			e = check.CustomEvent(id, "acme.touched", nil)
		case 4:
			e = check.ReportEvent(id)
		case 5:
			e = check.UnknownEvent(id)
		default:
			e = check.SensorEvent(id, float64(rapid.IntRange(0, 2).Draw(t, "value")))
		}
		e.Timestamp = time.Unix(1_700_000_000+rapid.Int64Range(0, 50).Draw(t, "second"), 0)
		return e
	}), 1, 6).Draw(t, "batch")
}

// I6, I7, I10: the house as of every position is the fold of the events up to it: with snapshots, sealing, removed history
// and damaged snapshots, in whatever order one asks, and again after a restart. What an earlier answer was never changes.
// What was removed is an error.
func TestAsOfIsTheFold(t *testing.T) {
	dir, n, deltas := t.TempDir(), 0, 0
	defer func() {
		if deltas == 0 && !testing.Short() && !t.Failed() {
			t.Error("no snapshot was a delta of states")
		}
	}()
	rapid.Check(t, func(t *rapid.T) {
		n++
		path := filepath.Join(dir, fmt.Sprintf("%d.db", n))
		opts := statehouse.Options{SnapshotEvery: rapid.SampledFrom([]int{7, 30, 10_000}).Draw(t, "snapshot every")}
		h, err := statehouse.OpenContext(context.Background(), path, opts)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = h.Close() }()
		folds := []*check.Fold{check.NewFold()}
		for range rapid.IntRange(1, 25).Draw(t, "batches") {
			batch := drawPast(t)
			if _, err := h.Append(context.Background(), batch...); err != nil && !errors.Is(err, eventstore.ErrInvalid) {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 9).Draw(t, "seal") == 0 {
				if err := h.Store().Seal(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			if rapid.IntRange(0, 4).Draw(t, "snapshot") == 0 {
				if err := h.Snapshot(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			if rapid.IntRange(0, 14).Draw(t, "compact") == 0 {
				folds = compactSome(t, h, foldsOf(t, h, folds))
			}
		}
		deltas += countDeltas(t, h)
		folds = foldsOf(t, h, folds)
		order := rapid.Permutation(positions(len(folds))).Draw(t, "order")
		compareWithFolds(t, h, folds, order)
		if rapid.Bool().Draw(t, "restart") {
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "damage") {
				base, _ := h.Base()
				damageSnapshots(t, path, base)
			}
			if h, err = statehouse.OpenContext(context.Background(), path, opts); err != nil {
				t.Fatal(err)
			}
			compareWithFolds(t, h, folds, order)
		}
		checkDiffs(t, h, folds, order)
		checkHistories(t, h, folds)
		checkOrigins(t, h, folds)
	})
}

// countDeltas answers how many snapshots of states are deltas that hold something, and fails if one cannot be used.
func countDeltas(t *rapid.T, h *statehouse.House) (deltas int) {
	all, err := h.Snapshots(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if base, _ := h.Base(); s.Fault != nil && (s.Damaged || s.Position >= base) {
			t.Fatalf("%v: %v", s.SnapshotHeader, s.Fault)
		}
		if s.Delta && s.Owner == "state" && s.Records > 0 {
			deltas++
		}
	}
	return deltas
}

func positions(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// compactSome removes some of the history, after somebody may have asked about it.
func compactSome(t *rapid.T, h *statehouse.House, folds []*check.Fold) []*check.Fold {
	head := len(folds) - 1
	compareWithFolds(t, h, folds, rapid.SliceOf(rapid.IntRange(0, head)).Draw(t, "asked before"))
	until := rapid.OneOf(rapid.Just(head), rapid.IntRange(0, head)).Draw(t, "compact until")
	had, _ := h.Base()
	c, err := h.Compact(context.Background(), eventstore.Position(until), eventstore.CompactOptions{})
	if err != nil || c.Base < had || c.Base > max(had, eventstore.Position(until)) {
		t.Fatalf("removing up to %d: %+v, %v", until, c, err)
	}
	return foldsOf(t, h, folds)
}

// foldsOf adds to the folds of the first 0, 1, 2, … events those of the rest.
func foldsOf(t *rapid.T, h *statehouse.House, folds []*check.Fold) []*check.Fold {
	for e, err := range h.Read(context.Background(), eventstore.Query{After: eventstore.Position(len(folds) - 1)}) {
		if err != nil {
			t.Fatal(err)
		}
		f := folds[len(folds)-1].Clone()
		if err := f.Add(e); err != nil {
			t.Fatal(err)
		}
		folds = append(folds, f)
	}
	return folds
}

func compareWithFolds(t *rapid.T, h *statehouse.House, folds []*check.Fold, order []int) {
	base, _ := h.Base()
	for _, at := range order {
		m, err := h.AsOf(context.Background(), eventstore.Position(at))
		if at < int(base) {
			var c *eventstore.CompactedError
			if !errors.Is(err, eventstore.ErrCompacted) || !errors.As(err, &c) || c.Base != base {
				t.Fatalf("as of %d, before the base %d: %v, %v", at, base, m.Position(), err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(folds[at].CompareStates(m.State), folds[at].CompareRegistry(m.Registry)); err != nil {
			t.Fatalf("as of %d: %v", at, err)
		}
	}
}

// damageSnapshots damages some of the snapshots; the one at the base takes the place of what was removed, and must be good.
func damageSnapshots(t *rapid.T, path string, base eventstore.Position) {
	db, err := storage.Open(context.Background(), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	owners := rapid.SampledFrom([]string{"state", "registry", "%"}).Draw(t, "damaged owner")
	every := rapid.IntRange(1, 2).Draw(t, "every")
	if _, err := db.Writer().Exec(`UPDATE snapshot_parts SET body = x'00' WHERE position % ? = 0 AND position > ? AND owner LIKE ?`, every, int64(base), owners); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// checkDiffs checks that what is different between two moments is what differs between their folds, and nothing else.
func checkDiffs(t *rapid.T, h *statehouse.House, folds []*check.Fold, order []int) {
	base, _ := h.Base()
	order = slices.DeleteFunc(slices.Clone(order), func(at int) bool { return at < int(base) })
	for i := 1; i < len(order); i += 3 {
		a, b := order[i-1], order[i]
		before, err1 := h.AsOf(context.Background(), eventstore.Position(a))
		after, err2 := h.AsOf(context.Background(), eventstore.Position(b))
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		got := map[string]timeline.Change{}
		for c := range timeline.Diff(before, after) {
			got[c.EntityID] = c
		}
		for _, id := range []string{"sensor.s0", "sensor.s1", "sensor.s2", "sensor.s3", "sensor.s4", "sensor.s5", "sensor.s6"} {
			same := check.SameState(folds[a].States[id], folds[b].States[id]) == nil &&
				proto.Equal(folds[a].Entities[id], folds[b].Entities[id])
			c, changed := got[id]
			if changed == same {
				t.Fatalf("from %d to %d: %s changed: %v", a, b, id, changed)
			}
			if changed && check.SameState(c.After.State, folds[b].States[id]) != nil {
				t.Fatalf("from %d to %d: %s is %v", a, b, id, c.After.State)
			}
		}
	}
}

// checkHistories checks each step of each entity's history against the folds.
func checkHistories(t *rapid.T, h *statehouse.House, folds []*check.Fold) {
	base, _ := h.Base()
	after := eventstore.Position(rapid.IntRange(0, len(folds)-1).Draw(t, "history after"))
	from := after
	if after == base && rapid.Bool().Draw(t, "from oldest") {
		from = eventstore.FromOldest
	}
	for _, id := range []string{"sensor.s0", "sensor.s1", "sensor.s5"} {
		for step, err := range h.Timeline().History(context.Background(), id, from, 0) {
			if after < base {
				if !errors.Is(err, eventstore.ErrCompacted) {
					t.Fatalf("history of %s after %d, before the base %d: %v, %v", id, after, base, step, err)
				}
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			at := step.Event.Position
			if step.Event.Entity != id || at <= after {
				t.Fatalf("history of %s after %d: %v", id, after, step.Event)
			}
			if err := check.SameState(step.After, folds[at].States[id]); err != nil {
				t.Fatalf("history of %s at %d: %v", id, at, err)
			}
			if err := check.SameState(step.Before, folds[at-1].States[id]); err != nil {
				t.Fatalf("history of %s before %d: %v", id, at, err)
			}
		}
	}
}

// checkOrigins checks since which event each entity has been what it is, at a few positions.
func checkOrigins(t *rapid.T, h *statehouse.House, folds []*check.Fold) {
	base, _ := h.Base()
	origins := make([]map[string]eventstore.Position, len(folds))
	for at, f := range folds {
		origins[at] = map[string]eventstore.Position{}
		if at == 0 {
			continue
		}
		for id, s := range f.States {
			from := id
			if _, had := folds[at-1].States[id]; !had {
				from = renamedFrom(folds[at-1], f, id)
			}
			before, had := folds[at-1].States[from]
			if origins[at][id] = eventstore.Position(at); had && proto.Equal(before.Attributes, s.Attributes) {
				origins[at][id] = origins[at-1][from]
			}
		}
	}
	for _, at := range rapid.SliceOfN(rapid.IntRange(int(base), len(folds)-1), 1, 5).Draw(t, "origins at") {
		m, err := h.AsOf(context.Background(), eventstore.Position(at))
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"sensor.s0", "sensor.s1", "sensor.s5"} {
			got, err := h.Timeline().Origin(context.Background(), m, id)
			want := origins[at][id]
			if want != 0 && want <= base {
				if !errors.Is(err, eventstore.ErrCompacted) {
					t.Fatalf("%s at %d began at %d, before the base %d: %d, %v", id, at, want, base, got, err)
				}
				continue
			}
			if err != nil || got != want {
				t.Fatalf("%s at %d began at %d: %d, %v", id, at, want, got, err)
			}
		}
	}
}

// renamedFrom is the id that an entity had before the last event of a fold, which gave it another one; empty if it did not.
func renamedFrom(before, after *check.Fold, id string) string {
	for from, s := range before.States {
		if _, has := after.States[from]; !has && s.Attributes == after.States[id].Attributes {
			return from
		}
	}
	return ""
}

// A what-if is the moment that an append would have led to, and leaves everything as it was.
func TestWhatIf(t *testing.T) {
	h := openHouse(t, tempDB(t), statehouse.Options{})
	for i := range 20 {
		mustAppend(t, h, check.SensorEvent(fmt.Sprintf("sensor.s%d", i%3), float64(i)))
	}
	past, err := h.AsOf(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := past.State.Get("sensor.s0"); check.SensorValue(s.Attributes) != 9 {
		t.Fatalf("as of 10: %v", s)
	}
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	what, err := past.With(t.Context(), at, check.SensorEvent("sensor.s0", 99),
		check.RegisterEvent(&entityv1.Entity{Id: "light.new", Name: "New"}))
	if err != nil {
		t.Fatal(err)
	}
	s, _ := what.State.Get("sensor.s0")
	if check.SensorValue(s.Attributes) != 99 || s.Position != 11 || !s.UpdatedAt.Equal(at) || what.Position() != 12 {
		t.Errorf("the what-if: %v at %d", s, what.Position())
	}
	if e, ok := what.Registry.Entity("light.new"); !ok || e.GetName() != "New" {
		t.Errorf("the what-if's registry: %v", e)
	}
	var changed []string
	for c := range timeline.Diff(past, what) {
		changed = append(changed, c.EntityID)
	}
	if !slices.Equal(changed, []string{"light.new", "sensor.s0"}) {
		t.Errorf("changed: %v", changed)
	}
	again, err := h.AsOf(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	for range timeline.Diff(past, again) {
		t.Error("the past has changed")
	}
	if h.Now().Position() != 20 {
		t.Errorf("the head moved to %d", h.Now().Position())
	}
	if _, err := past.With(t.Context(), at, check.SensorEvent("No such id", 1)); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("a bad event: %v", err)
	}
	if _, err := past.With(t.Context(), at, eventstore.Event{Entity: "sensor.a", CausePosition: 11, Payload: check.SensorEvent("sensor.a", 1).Payload}); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("a cause that is still to come: %v", err)
	}
}

// Questions about what is still to come are errors; times lead to the last position recorded before them.
func TestAsOfTime(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	h := openHouse(t, tempDB(t), statehouse.Options{Clock: func() time.Time { return now }})
	for i := range 5 {
		mustAppend(t, h, check.SensorEvent("sensor.a", float64(i)))
		now = now.Add(time.Minute)
	}
	first := now.Add(-5 * time.Minute)
	for _, c := range []struct {
		at    time.Time
		want  eventstore.Position
		final bool
	}{
		{first.Add(-1), 0, true}, {first, 1, true}, {first.Add(59 * time.Second), 1, true}, {first.Add(time.Minute), 2, true},
		{first.Add(4 * time.Minute), 5, false}, {first.Add(time.Hour), 5, false},
	} {
		m, final, err := h.Timeline().AsOfTime(t.Context(), c.at)
		if err != nil || m.Position() != c.want || final != c.final {
			t.Errorf("%s: position %d, final %v, %v; want %d, %v", c.at, m.Position(), final, err, c.want, c.final)
		}
	}
	if _, err := h.AsOf(t.Context(), 6); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("position 6: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.AsOf(ctx, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled question: %v", err)
	}
}

// The chain of causes leads from what an entity is like to the event that began it, and each link knows what it saw.
func TestWhy(t *testing.T) {
	h := openHouse(t, tempDB(t), statehouse.Options{})
	mustAppend(t, h, check.SensorEvent("sensor.motion", 0), check.SensorEvent("light.hall", 0))
	motion := mustAppend(t, h, check.SensorEvent("sensor.motion", 1))
	command := check.CustomEvent("light.hall", "acme.switch_on", nil)
	command.CausePosition = motion.Last
	commanded := mustAppend(t, h, command)
	confirmed := check.SensorEvent("light.hall", 1)
	confirmed.CausePosition = commanded.Last
	mustAppend(t, h, confirmed)
	mustAppend(t, h, check.ReportEvent("light.hall"), check.SensorEvent("light.hall", 1)) // says the same again
	links, err := h.Timeline().WhyEntity(t.Context(), h.Now(), "light.hall")
	if err != nil {
		t.Fatal(err)
	}
	var chain []eventstore.Position
	for _, l := range links {
		chain = append(chain, l.Event.Position)
	}
	if !slices.Equal(chain, []eventstore.Position{5, 4, 3}) {
		t.Fatalf("the chain is %v", chain)
	}
	saw, err := links[1].Saw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := saw.State.Get("sensor.motion"); saw.Position() != 3 || check.SensorValue(s.Attributes) != 1 {
		t.Errorf("the command saw %v at %d", s, saw.Position())
	}
	if links, err := h.Timeline().WhyEntity(t.Context(), h.Now(), "light.none"); err != nil || links != nil {
		t.Errorf("an entity without a state: %v, %v", links, err)
	}
	if _, err := h.Timeline().Why(t.Context(), 99); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("a position that is still to come: %v", err)
	}
}

// What an entity is like began with the first event that said so, whatever repeated it, however the source's clock
// jumps, and under whatever id.
func TestOrigin(t *testing.T) {
	h := openHouse(t, tempDB(t), statehouse.Options{})
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	add := func(e eventstore.Event) eventstore.Position {
		e.Timestamp = at // the same for all
		return mustAppend(t, h, e).Last
	}
	expect := func(id string, want eventstore.Position) {
		t.Helper()
		if got, err := h.Timeline().Origin(t.Context(), h.Now(), id); err != nil || got != want {
			t.Errorf("%s: position %d, %v; want %d", id, got, err, want)
		}
	}
	add(check.SensorEvent("sensor.a", 1))
	add(check.SensorEvent("sensor.a", 2))
	back := add(check.SensorEvent("sensor.a", 1))
	add(check.SensorEvent("sensor.a", 1))
	add(check.ReportEvent("sensor.a"))
	add(check.RegisterEvent(&entityv1.Entity{Id: "sensor.a"}))
	expect("sensor.a", back)
	add(check.RenameEvent("sensor.a", "sensor.b"))
	expect("sensor.b", back)
	expect("sensor.a", 0)
	add(check.SensorEvent("sensor.b", 1))
	add(check.CustomEvent("sensor.b", "acme.touched", nil))
	expect("sensor.b", back)
	add(check.RenameEvent("sensor.b", "sensor.a"))
	expect("sensor.a", back)
	registered := add(check.RegisterEvent(&entityv1.Entity{Id: "sensor.b"})) // another one with the id that is free
	expect("sensor.b", registered)
	add(check.RegisterEvent(&entityv1.Entity{Id: "sensor.b", Name: "B"}))
	expect("sensor.b", registered)
	add(check.RegisterEvent(&entityv1.Entity{Id: "sensor.b", Disabled: true}))
	expect("sensor.b", 0)
	enabled := add(check.RegisterEvent(&entityv1.Entity{Id: "sensor.b"}))
	expect("sensor.b", enabled)
	add(check.UnregisterEvent("sensor.a"))
	again := add(check.SensorEvent("sensor.a", 1))
	expect("sensor.a", again)
	add(check.RegisterEvent(&entityv1.Entity{Id: "sensor.a"})) // changes nothing of a state that is there
	expect("sensor.a", again)
	add(check.RenameEvent("sensor.a", "sensor.a"))
	expect("sensor.a", again)
	unknown := add(check.UnknownEvent("sensor.a"))
	expect("sensor.a", unknown)
	add(check.RenameEvent("sensor.a", "sensor.c"))
	add(check.RegisterEvent(&entityv1.Entity{Id: "sensor.c", Name: "C"}))
	expect("sensor.c", unknown)
	add(check.SensorEvent("sensor.c", 1))
	add(check.RenameEvent("sensor.c", "sensor.d"))
	add(check.RegisterEvent(&entityv1.Entity{Id: "sensor.d", Name: "D"}))
	unknown = add(check.UnknownEvent("sensor.d"))
	expect("sensor.d", unknown)
}
