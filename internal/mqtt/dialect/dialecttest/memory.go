// Package dialecttest is what tests of dialects share.
package dialecttest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
)

// Base is the time of what tests append, unless they say otherwise. It fits the recorded house.
var Base = time.Date(2026, 11, 23, 1, 45, 8, 195e6, time.UTC)

// Memory is a house without a disk: the real projectors, and every decision run twice to show that it has no memory.
type Memory struct {
	statehouse.Pending // what the dialect does not use
	mu                 sync.Mutex
	Cache              *state.Cache
	Registry           *registry.Registry
	Events             []eventstore.Event
	Fail               error // what the log says to what is decided, nil that it takes it
	Once               bool  // decisions are run once, and events are not kept: for benchmarks
	Batches            int
	Lookups            int // of single entries and states
}

// NewMemory makes an empty house.
func NewMemory() *Memory { return &Memory{Cache: state.New(), Registry: registry.New()} }

// Decide implements dialect.House.
func (h *Memory) Decide(_ context.Context, decide func(statehouse.Pending) ([]eventstore.Event, error)) (eventstore.Span, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	decide = loud(decide)
	if h.Fail != nil {
		if _, err := decide(h); err != nil {
			return eventstore.Span{}, err
		}
		return eventstore.Span{}, h.Fail
	}
	if h.Once {
		events, err := decide(h)
		if err != nil || len(events) == 0 {
			return eventstore.Span{}, err
		}
		return h.apply(events)
	}
	first, err1 := decide(h)
	events, err2 := decide(h)
	if (err1 == nil) != (err2 == nil) || len(first) != len(events) {
		panic(fmt.Sprintf("a decision run twice answered %d events and %d: %v, %v", len(first), len(events), err1, err2))
	}
	for i := range events {
		a, b := first[i], events[i]
		if a.Entity != b.Entity || !a.Timestamp.Equal(b.Timestamp) || !proto.Equal(a.Payload, b.Payload) {
			panic(fmt.Sprintf("a decision run twice differs: %v %v", a, b))
		}
	}
	if err2 != nil || len(events) == 0 {
		return eventstore.Span{}, err2
	}
	h.Batches++
	return h.apply(events)
}

// loud is a decision whose panic is one: a message that is dropped for it would pass a test.
func loud(decide func(statehouse.Pending) ([]eventstore.Event, error)) func(statehouse.Pending) ([]eventstore.Event, error) {
	return func(p statehouse.Pending) ([]eventstore.Event, error) {
		events, err := decide(p)
		if errors.Is(err, dialect.ErrFault) {
			panic(err)
		}
		return events, err
	}
}

func (h *Memory) apply(events []eventstore.Event) (eventstore.Span, error) {
	head := h.Cache.PendingPosition()
	for i, e := range events {
		e.Position = head + eventstore.Position(i) + 1
		if err := h.Registry.Apply(context.Background(), nil, e); err != nil {
			h.Registry.Discard()
			h.Cache.Discard()
			return eventstore.Span{}, err
		}
		if err := h.Cache.Apply(context.Background(), nil, e); err != nil {
			panic(err)
		}
		events[i] = e
	}
	h.Registry.Promote()
	h.Cache.Promote()
	if !h.Once {
		h.Events = append(h.Events, events...)
	}
	return eventstore.Span{First: head + 1, Last: head + eventstore.Position(len(events))}, nil
}

// Position implements [statehouse.Pending].
func (h *Memory) Position() eventstore.Position { return h.Cache.PendingPosition() }

// State implements [statehouse.Pending].
func (h *Memory) State(id state.EntityID) (state.State, bool) {
	h.Lookups++
	return h.Cache.PendingGet(id)
}

// Entity implements [statehouse.Pending].
func (h *Memory) Entity(id state.EntityID) (*entityv1.Entity, bool) {
	h.Lookups++
	return h.Registry.Pending().Entity(id)
}

// DeviceEntities implements [statehouse.Pending].
func (h *Memory) DeviceEntities(id string) []*entityv1.Entity {
	h.Lookups++
	return h.Registry.Pending().DeviceEntities(id)
}

// Device implements [statehouse.Pending].
func (h *Memory) Device(id string) (*entityv1.Device, bool) { return h.Registry.Pending().Device(id) }

// Devices implements [statehouse.Pending].
func (h *Memory) Devices(source string) []*entityv1.Device {
	return h.Registry.Pending().DevicesBySource(source)
}

// PendingCommands implements [statehouse.Pending].
func (h *Memory) PendingCommands(id string) []*entityv1.PendingCommand {
	return h.Registry.Pending().PendingCommands(id)
}

// Counts implements [statehouse.Pending].
func (h *Memory) Counts() (devices, entities, former int) {
	r := h.Registry.Pending()
	return r.Devices.Len(), r.Entities.Len(), r.FormerEntities.Len()
}

// EntityByUniqueID implements [statehouse.Pending].
func (h *Memory) EntityByUniqueID(id string) (*entityv1.Entity, bool) {
	return h.Registry.Pending().EntityByUniqueID(id)
}

// FormerEntity implements [statehouse.Pending].
func (h *Memory) FormerEntity(id string) (*entityv1.Entity, bool) {
	return h.Registry.Pending().FormerEntities.Get(id)
}

// FormerDevice implements [statehouse.Pending].
func (h *Memory) FormerDevice(id string) (*entityv1.Device, bool) {
	return h.Registry.Pending().FormerDevices.Get(id)
}

// User appends what a user decided.
func (h *Memory) User(t testing.TB, e eventstore.Event) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if e.Timestamp.IsZero() {
		e.Timestamp = Base
	}
	if _, err := h.apply([]eventstore.Event{e}); err != nil {
		t.Fatal(err)
	}
}

// Edit appends that a user changed an entity's entry.
func (h *Memory) Edit(t testing.TB, id string, change func(*entityv1.Entity)) {
	t.Helper()
	e, ok := h.Registry.Revision().Entity(id)
	if !ok {
		t.Fatalf("no entity %s", id)
	}
	e = proto.CloneOf(e)
	change(e)
	h.User(t, eventstore.Event{Entity: id, Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_EntityRegistered{EntityRegistered: &eventv1.EntityRegistered{Entity: e}},
	}})
}
