package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/state"
)

// heapEntity measures the heap that the states of 100,000 entities take for each, over what their attributes take: of a
// cache that took one event about each of them, as they come from devices, each with strings of its own. The reference is a plain
// map of the same states. Names are counted on both sides.
func heapEntity() ([]Figure, error) {
	const entities = 100_000
	attributes := bytesOf(func() any {
		all := make([]*entityv1.Attributes, entities)
		for i := range all {
			all[i] = sensorPayload(float64(i)).GetStateChanged().GetAttributes()
		}
		return all
	}) - 8*entities // the slice's own
	fill := func(take func(eventstore.Event) error) error {
		for i := range entities {
			e := eventstore.Event{
				Position: eventstore.Position(i + 1), Timestamp: started, RecordedAt: started, Kind: eventstore.KindStateChanged,
				Entity: fmt.Sprintf("sensor.fleet_%05d", i), Source: string([]byte(fleetSource)), Payload: sensorPayload(float64(i)),
			}
			if err := take(e); err != nil {
				return err
			}
		}
		return nil
	}
	var err error
	ours := bytesOf(func() any {
		cache := state.New()
		err = fill(func(e eventstore.Event) error { return cache.Apply(context.Background(), nil, e) })
		cache.Promote()
		return cache
	})
	if err != nil {
		return nil, err
	}
	plain := bytesOf(func() any {
		states := map[state.EntityID]state.State{}
		err = fill(func(e eventstore.Event) error { states[e.Entity], _ = state.State{}.After(e, false); return nil })
		return states
	})
	if err != nil {
		return nil, err
	}
	each := func(bytes int64) float64 { return float64(bytes-attributes) / entities }
	return []Figure{{"B", each(ours), "plain map of the same states", each(plain), atMostOf(300, "B")}}, nil
}

// bytesOf answers the bytes that what is made takes on the heap.
func bytesOf(make func() any) int64 {
	before := liveHeap()
	made := make()
	used := liveHeap() - before
	runtime.KeepAlive(made)
	return used
}
