package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

func keyed(id string, events ...eventstore.Event) eventstore.Batch {
	return eventstore.Batch{Key: eventstore.Key{Scope: "test", ID: id}, Events: events}
}

// A repeat adds nothing and gets the positions of the first one, at once, later and after a restart; other content under
// its key is refused.
func TestRepeatedAppends(t *testing.T) {
	path := tempDB(t)
	s, db := open(t, path, eventstore.Options{}, state.New())
	runs := 0
	decide := func(events ...eventstore.Event) func(context.Context) ([]eventstore.Event, error) {
		return func(context.Context) ([]eventstore.Event, error) {
			runs++
			return events, nil
		}
	}
	conditional := keyed("c", sensor(5))
	conditional.If = []eventstore.Condition{eventstore.LogAt(5)}
	batches := []eventstore.Batch{
		keyed("a", sensor(1), sensor(2)),
		{Key: eventstore.Key{ID: "a"}, Events: []eventstore.Event{sensor(3)}}, // of another scope
		{Key: eventstore.Key{ID: "d"}, Decide: decide(sensor(4), sensor(4))},
		conditional, // which does not hold any more at the repeat
		{Key: eventstore.Key{ID: "nothing"}, Decide: decide()},
		keyed("empty"),
	}
	want := []eventstore.Span{{First: 1, Last: 2}, {First: 3, Last: 3}, {First: 4, Last: 5}, {First: 6, Last: 6}, {}, {}}
	for round := range 4 {
		if round == 2 {
			if err := errors.Join(s.Close(), db.Close()); err != nil {
				t.Fatal(err)
			}
			s, db = open(t, path, eventstore.Options{}, state.New())
		}
		for i, b := range batches {
			if span, err := s.Append(t.Context(), b); err != nil || span != want[i] {
				t.Errorf("round %d, batch %d: %v %v, want %v", round, i, span, err, want[i])
			}
		}
	}
	if s.Head() != 6 || runs != 2 {
		t.Errorf("head %d, the decisions ran %d times", s.Head(), runs)
	}
	for name, b := range map[string]eventstore.Batch{
		"another value": keyed("a", sensor(1), sensor(3)), "fewer": keyed("a", sensor(1)), "none": keyed("a"),
		"more":       keyed("a", sensor(1), sensor(2), sensor(2)),
		"a decision": {Key: eventstore.Key{Scope: "test", ID: "a"}, Decide: decide()},
		"events":     {Key: eventstore.Key{ID: "d"}, Events: []eventstore.Event{sensor(4), sensor(4)}},
	} {
		span, err := s.Append(t.Context(), b)
		if !errors.Is(err, eventstore.ErrKeyReused) || span.Len() != 0 || s.Head() != 6 {
			t.Errorf("%s: %v %v, head %d", name, span, err, s.Head())
		}
	}
}

// An append that failed leaves no key: the next one with it is the first.
func TestFailedAppendsLeaveNoKey(t *testing.T) {
	bad := errors.New("not yet")
	refuse := true
	p := &spy{name: "picky", apply: func(context.Context, storage.Tx, eventstore.Event) error {
		if refuse {
			return bad
		}
		return nil
	}}
	s, _ := open(t, tempDB(t), eventstore.Options{}, state.New(), p)
	b := keyed("k", sensor(1))
	decision := eventstore.Batch{Key: eventstore.Key{ID: "d"}, Decide: func(context.Context) ([]eventstore.Event, error) {
		if refuse {
			return nil, bad
		}
		return []eventstore.Event{sensor(2)}, nil
	}}
	conditional := keyed("c", sensor(3))
	conditional.If = []eventstore.Condition{eventstore.LogAt(2)}
	for _, batch := range []eventstore.Batch{b, decision, conditional} {
		if _, err := s.Append(t.Context(), batch); !errors.Is(err, bad) && !errors.Is(err, eventstore.ErrConflict) {
			t.Errorf("%v", err)
		}
	}
	refuse = false
	for i, batch := range []eventstore.Batch{b, decision, conditional} {
		if span, err := s.Append(t.Context(), batch); err != nil || int(span.First) != i+1 {
			t.Errorf("batch %d: %v %v", i, span, err)
		}
	}
}

// Of several in one group with one key the first one counts, also when the group is done again.
func TestRepeatsInOneGroup(t *testing.T) {
	for name, fails := range map[string]bool{"at once": false, "one by one": true} {
		t.Run(name, func(t *testing.T) {
			bad := errors.New("I do not like you")
			p := &spy{name: "picky", apply: func(_ context.Context, _ storage.Tx, e eventstore.Event) error {
				if e.Source == "bad" {
					return bad
				}
				return nil
			}}
			s, _ := open(t, tempDB(t), eventstore.Options{}, state.New(), p)
			last := sensor(9)
			if fails {
				last.Source = "bad"
			}
			spans, errs := together(t, s, keyed("a", sensor(1), sensor(2)), keyed("b", sensor(3)), keyed("a", sensor(1), sensor(2)),
				keyed("a", sensor(4)), keyed("b", sensor(3)), eventstore.Batch{Events: []eventstore.Event{last}})
			for i, want := range []eventstore.Position{1, 3, 1, 0, 3} {
				if spans[i].First != want || (errs[i] != nil) != (want == 0) {
					t.Errorf("batch %d: %v %v", i, spans[i], errs[i])
				}
			}
			if !errors.Is(errs[3], eventstore.ErrKeyReused) || errors.Is(errs[5], bad) != fails {
				t.Errorf("%v", errs)
			}
			if want := eventstore.Position(4); fails && s.Head() != want-1 || !fails && s.Head() != want {
				t.Errorf("head %d", s.Head())
			}
		})
	}
}

// Keys are kept for their lifetime by the recorded time, and forgotten little by little after that.
func TestKeysAreForgotten(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	s, db := open(t, tempDB(t), eventstore.Options{Clock: func() time.Time { return now }}, state.New())
	count := func() (n int) {
		if err := db.Reader().QueryRowContext(t.Context(), `SELECT count(*) FROM append_keys`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	add := func(id string, want eventstore.Position) {
		t.Helper()
		if span, err := s.Append(t.Context(), keyed(id, sensor(1))); err != nil || span.First != want {
			t.Errorf("key %s: %v %v, want %d", id, span, err, want)
		}
	}
	const many = 100
	for i := range many {
		add(fmt.Sprint("old ", i), eventstore.Position(i+1))
	}
	now = now.Add(eventstore.KeyLifetime - time.Microsecond)
	add("old 99", many)
	now = now.Add(-2 * eventstore.KeyLifetime) // a clock that jumps back shortens nothing
	add("old 98", many-1)
	now = now.Add(2*eventstore.KeyLifetime + time.Microsecond)
	if count() != many {
		t.Errorf("%d keys of %d", count(), many)
	}
	add("old 99", many+1)
	add("old 99", many+1)
	before := count()
	for i := 0; before > i+2; i++ { // until none but the new ones are left
		add(fmt.Sprint("new ", i), eventstore.Position(many+2+i))
		now := count()
		if now >= before || now < before-20 {
			t.Fatalf("%d keys, before there were %d", now, before)
		}
		before = now
	}
	add("old 97", s.Head()+1)
}

// A commit that failed leaves open whether its batch is in the log; a repeat finds out, and adds it if it is not.
func TestRepeatAfterAnUnknownOutcome(t *testing.T) {
	for name, there := range map[string]bool{"it was lost": false, "it was there": true} {
		t.Run(name, func(t *testing.T) {
			misbehave := false
			bad := &spy{name: "bad", apply: func(ctx context.Context, tx storage.Tx, e eventstore.Event) error {
				if e.Position == 1 {
					_, err := tx.ExecContext(ctx, `CREATE TABLE parent (id INTEGER PRIMARY KEY) STRICT;
						CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED) STRICT`)
					return err
				}
				statement := `INSERT INTO child VALUES (7)` // so that the COMMIT fails
				if there {
					statement = `ROLLBACK` // so that what follows commits by itself
				}
				if misbehave {
					misbehave = false
					_, err := tx.ExecContext(ctx, statement)
					return err
				}
				return nil
			}}
			cache := state.New()
			s, _ := open(t, tempDB(t), eventstore.Options{}, cache, bad)
			mustAppend(t, s, sensor(1))
			misbehave = true
			b := keyed("k", sensor(2))
			if _, err := s.Append(t.Context(), b); !errors.Is(err, eventstore.ErrUnknownOutcome) || (s.Head() == 2) != there {
				t.Fatalf("%v, head %d", err, s.Head())
			}
			for range 2 {
				if span, err := s.Append(t.Context(), b); err != nil || span.First != 2 || s.Head() != 2 {
					t.Errorf("%v %v, head %d", span, err, s.Head())
				}
			}
			if cache.Revision().Position != 2 {
				t.Errorf("the cache is at %d", cache.Revision().Position)
			}
			if mustAppend(t, s, sensor(3)); s.Stats().Fault != nil { // a repeat writes nothing, and so proves nothing
				t.Error(s.Stats().Fault)
			}
		})
	}
}

func TestBadKeys(t *testing.T) {
	s, _ := open(t, tempDB(t), eventstore.Options{}, state.New())
	for name, k := range map[string]eventstore.Key{
		"no id": {Scope: "x"}, "a long id": {ID: strings.Repeat("x", 256)}, "a broken id": {ID: "\xff"},
		"a long scope": {ID: "x", Scope: strings.Repeat("x", 256)},
	} {
		if _, err := s.Append(t.Context(), eventstore.Batch{Key: k, Events: []eventstore.Event{sensor(1)}}); !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.Head() != 0 {
		t.Errorf("head %d", s.Head())
	}
}

// A table of keys that cannot be used costs the appends with a key, and no others, also in their group.
func TestUnusableKeys(t *testing.T) {
	p := &spy{name: "renaming", apply: func(ctx context.Context, tx storage.Tx, e eventstore.Event) error {
		if !strings.HasPrefix(e.Source, "ALTER") {
			return nil
		}
		_, err := tx.ExecContext(ctx, e.Source)
		return err
	}}
	cache := state.New()
	s, _ := open(t, tempDB(t), eventstore.Options{}, cache, p)
	b := keyed("k", sensor(1))
	if _, err := s.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	rename := sensor(2)
	rename.Source = `ALTER TABLE append_keys RENAME TO hidden`
	mustAppend(t, s, rename)
	spans, errs := together(t, s, eventstore.Batch{Events: []eventstore.Event{sensor(3)}}, b, eventstore.Batch{Events: []eventstore.Event{sensor(4)}})
	if !errors.Is(errs[1], eventstore.ErrUnavailable) || errs[0] != nil || errs[2] != nil || spans[0].First != 3 || spans[2].First != 4 {
		t.Errorf("%v %v", spans, errs)
	}
	if _, err := s.Append(t.Context(), b); !errors.Is(err, eventstore.ErrUnavailable) || s.Stats().Fault == nil {
		t.Errorf("one that is alone: %v", err)
	}
	rename.Source = `ALTER TABLE hidden RENAME TO append_keys`
	mustAppend(t, s, rename)
	if span, err := s.Append(t.Context(), b); err != nil || span.First != 1 || s.Head() != 5 || s.Stats().Fault != nil || cache.Revision().Position != 5 {
		t.Errorf("afterwards: %v %v, head %d, %v", span, err, s.Head(), s.Stats().Fault)
	}
}

// A repair saves the keys of what it saves. The repeat of an append of which an event is lost is not answered as if that were
// there: it adds its events again.
func TestKeysOfLostEvents(t *testing.T) {
	from, to := tempDB(t), tempDB(t)
	s, db := open(t, from, eventstore.Options{SealAfter: -1}, state.New())
	const large = 9000 // is sealed in three segments
	batches := map[string]eventstore.Batch{
		"nothing": {Key: eventstore.Key{ID: "nothing"}, Decide: func(context.Context) ([]eventstore.Event, error) { return nil, nil }},
	}
	spans := map[string]eventstore.Span{}
	add := func(id string, n int) {
		t.Helper()
		b, ok := batches[id]
		if !ok {
			b = eventstore.Batch{Key: eventstore.Key{ID: id}}
			for range n {
				b.Events = append(b.Events, sensor(len(batches)))
			}
			batches[id] = b
		}
		var err error
		if spans[id], err = s.Append(t.Context(), b); err != nil || spans[id].Len() != n {
			t.Fatal(spans[id], err)
		}
	}
	pieces := map[string]string{"beginning": "min", "middle": "", "end": "max"}
	for _, id := range []string{"beginning", "middle", "end"} {
		add("before the "+id, 2)
		add(id, large)
	}
	if err := s.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"nothing", "plain", "lost", "between", "lost as well", "behind", "missing at the end"} {
		n := 2
		if id == "nothing" {
			n = 0
		}
		add(id, n)
	}
	if err := errors.Join(s.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	lose := func(where string) string { return `UPDATE segments SET body = x'00' WHERE ` + where }
	var statements []string
	for id, which := range pieces {
		within := fmt.Sprintf(`FROM segments WHERE first_position > %d AND last_position < %d`, spans[id].First, spans[id].Last)
		if which != "" { // of those that hold the batch
			within = fmt.Sprintf(`FROM segments WHERE last_position >= %d AND first_position <= %d`, spans[id].First, spans[id].Last)
		}
		statements = append(statements, lose(fmt.Sprintf(`last_position = (SELECT %s(last_position) %s)`, which, within)))
	}
	for _, id := range []string{"lost", "lost as well"} {
		statements = append(statements, lose(fmt.Sprintf(`last_position = %d`, spans[id].Last)))
	}
	change(t, from, append(statements, fmt.Sprintf(`DELETE FROM segments WHERE last_position = %d`, spans["missing at the end"].Last))...)

	result := salvage(t, from, to)
	saved := []string{"nothing", "plain", "between", "behind", "before the middle", "before the end"}
	if result.Keys != len(saved) || result.LostKeys != len(batches)-len(saved) {
		t.Errorf("%d keys are saved and %d lost of %d, with %v", result.Keys, result.LostKeys, len(batches), result.Lost)
	}
	s, _ = open(t, to, eventstore.Options{}, state.New())
	for id, b := range batches {
		head := s.Head()
		span, err := s.Append(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(saved, id) {
			if span != spans[id] || s.Head() != head {
				t.Errorf("%s: what was %v is repeated as %v", id, spans[id], span)
			}
		} else if span.First != head+1 || span.Len() != len(b.Events) {
			t.Errorf("%s: what was %v, and is lost, is repeated as %v", id, spans[id], span)
		}
		for at := span.First; at <= span.Last && at > 0; at += eventstore.Position(max(1, span.Len()/3)) {
			if e, err := s.Event(t.Context(), at); err != nil || e.Kind != eventstore.KindStateChanged {
				t.Errorf("%s: at %d, where its events should be, is one of the kind %s, %v", id, at, e.Kind, err)
			}
		}
	}
}

// salvage saves what can be read of the log at a path into a new one at another.
func salvage(t *testing.T, from, to string) eventstore.Salvaged {
	t.Helper()
	stores := make([]*eventstore.Store, 2)
	for i, path := range []string{from, to} {
		db, err := storage.Open(t.Context(), path, storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }() // what it could say, the next opening says
		if stores[i], err = eventstore.Open(t.Context(), db, eventstore.Options{ReadOnlyIfDamaged: true}); err != nil {
			t.Fatal(err)
		}
	}
	result, err := stores[0].Salvage(t.Context(), stores[1], eventstore.InspectOptions{})
	if err := errors.Join(err, stores[0].Close(), stores[1].Close()); err != nil {
		t.Fatal(err)
	}
	return result
}
