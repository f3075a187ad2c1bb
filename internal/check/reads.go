package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/statehouse/statehouse/eventstore"
)

// Reads returns nil when what a store yields is what matches of its events, which are given: to reads of one entity and
// of one kind, and to subscriptions from several positions.
func Reads(ctx context.Context, s *eventstore.Store, events []eventstore.Event) error {
	byEntity, byKind := map[string][]eventstore.Position{}, map[eventstore.Kind][]eventstore.Position{}
	for _, e := range events {
		if e.Entity != "" {
			byEntity[e.Entity] = append(byEntity[e.Entity], e.Position)
		}
		byKind[e.Kind] = append(byKind[e.Kind], e.Position)
	}
	first, _ := s.Base()
	until := first + eventstore.Position(len(events))
	left := effort
	for i, id := range slices.Sorted(maps.Keys(byEntity)) {
		// One whose events are few opens many segments for them. The first is read however many it has.
		if left -= 100 + len(byEntity[id]); left < 0 && i > 0 {
			break
		}
		if err := compareRead(ctx, s, eventstore.Query{Entities: []string{id}, After: first, Until: until}, byEntity[id]); err != nil {
			return err
		}
	}
	left = effort
	for i, kind := range slices.Sorted(maps.Keys(byKind)) {
		if left -= len(events); left < 0 && i > 0 {
			break
		}
		if err := compareRead(ctx, s, eventstore.Query{Kinds: []eventstore.Kind{kind}, After: first, Until: until}, byKind[kind]); err != nil {
			return err
		}
	}
	if until == 0 {
		return nil // a subscription until 0 would wait for what comes
	}
	for _, after := range []eventstore.Position{first, first + (until-first)/3, max(first, until-min(until, 1)), until} {
		if err := compareSubscription(ctx, s, after, until); err != nil {
			return err
		}
	}
	return nil
}

// compareRead wants exactly these positions, forward and backward.
func compareRead(ctx context.Context, s *eventstore.Store, q eventstore.Query, want []eventstore.Position) error {
	for _, q.Backward = range []bool{false, true} {
		var got []eventstore.Position
		for e, err := range s.Read(ctx, q) {
			if err != nil {
				return fmt.Errorf("read %+v: %w", q, err)
			}
			got = append(got, e.Position)
		}
		if q.Backward {
			slices.Reverse(got)
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("read %+v yields %d events, and %d match; they differ first at number %d", q, len(got), len(want), differ(got, want)+1)
		}
	}
	return nil
}

// differ is the first index at which two lists differ.
func differ(a, b []eventstore.Position) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// compareSubscription wants every position behind after, once and in order.
func compareSubscription(ctx context.Context, s *eventstore.Store, after, until eventstore.Position) error {
	at := after
	for e, err := range s.Subscribe(ctx, eventstore.Query{After: after, Until: until}) {
		if err != nil {
			return fmt.Errorf("a subscription after %d: %w", after, err)
		}
		if at++; e.Position != at {
			return fmt.Errorf("a subscription after %d yields position %d where %d is due", after, e.Position, at)
		}
	}
	if at != until && after < until {
		return errors.Join(fmt.Errorf("a subscription after %d ends at %d, before %d", after, at, until), ctx.Err())
	}
	return nil
}
