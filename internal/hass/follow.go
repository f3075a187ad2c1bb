package hass

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/walk"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/timeline"
)

// stateChange is a change of a state that Home Assistant would tell of; nil where there is none.
type stateChange struct {
	id       string
	old, now *entityState
}

// happening is an event of the log and what somebody may see of it.
type happening struct {
	event   eventstore.Event
	context eventContext
	states  []stateChange
	// others are the events of Home Assistant that are not about states.
	others []hassEvent
	// end says that whoever writes for somebody else sends what he has.
	end bool
}

// hassEvent is one of Home Assistant's events.
type hassEvent struct {
	Type      string       `json:"event_type"`
	Data      any          `json:"data"`
	Origin    string       `json:"origin"`
	TimeFired stamp        `json:"time_fired"`
	Context   eventContext `json:"context"`
}

// stateChanged is the data of the event of that name.
type stateChanged struct {
	EntityID string       `json:"entity_id"`
	Old      *entityState `json:"old_state"`
	New      *entityState `json:"new_state"`
}

// events are all of Home Assistant's events.
func (h happening) events() []hassEvent {
	var all []hassEvent
	for _, c := range h.states {
		all = append(all, h.hassEvent(eventStateChanged, stateChanged{c.id, c.old, c.now}))
	}
	return append(all, h.others...)
}

func (h happening) hassEvent(name string, data any) hassEvent {
	return hassEvent{name, data, "LOCAL", stamp(h.event.RecordedAt), h.context}
}

// The events that are made of the log's own. Nobody may fire one of these.
const (
	eventStateChanged   = "state_changed"
	eventEntityRegistry = "entity_registry_updated"
	eventDeviceRegistry = "device_registry_updated"
	eventAreaRegistry   = "area_registry_updated"
	eventCallService    = "call_service"
)

var ownEvents = []string{eventStateChanged, eventEntityRegistry, eventDeviceRegistry, eventAreaRegistry, eventCallService}

// follower turns the log into what one reader is told.
type follower struct {
	view   *view
	who    *access.Identity
	wanted func(id string) bool
	walk   *walk.Walk
	// before is the moment before the span in which the walk is, told what was told of in it: from then on an entity goes
	// by the names that it has at the span's end.
	before timeline.Moment
	told   map[string]bool
}

// newFollower follows the log from a moment on. Of states it tells those of the entities that are wanted.
func newFollower(v *view, who *access.Identity, from timeline.Moment, wanted func(id string) bool) *follower {
	return &follower{
		view: v, who: who, wanted: wanted, walk: walk.New(v.house.Now, from), before: from, told: map[string]bool{},
	}
}

// run tells everything that happens after the moment that the follower began with, until the context ends or each fails.
// It fails with errLagging where events have been removed that it had not come to.
func (f *follower) run(ctx context.Context, each func(happening) error) error {
	return f.read(ctx, f.view.house.Subscribe(ctx, eventstore.Query{After: f.before.Position()}), each)
}

// read tells the events of a sequence.
func (f *follower) read(ctx context.Context, events iter.Seq2[eventstore.Event, error], each func(happening) error) error {
	for e, err := range events {
		if errors.Is(err, eventstore.ErrCompacted) {
			return errLagging
		}
		if err != nil {
			return err
		}
		h, err := f.next(ctx, e)
		if err != nil {
			return err
		}
		if err := each(h); err != nil {
			return err
		}
	}
	return nil
}

// errReached says that the end of what was asked for is reached.
var errReached = errors.New("the end is reached")

// settled is the time after which what was recorded at a moment is surely committed.
const settled = time.Second

// runUntil is run up to the last event that was recorded at a time or before it, and returns nil behind it; the zero time is no
// end. flush sends what each has gathered.
func (f *follower) runUntil(ctx context.Context, end time.Time, flush func() error, each func(happening) error) error {
	if end.IsZero() {
		return f.run(ctx, each)
	}
	at, behind, failed := f.before.Position(), false, error(nil)
	upTo := func(h happening) error {
		if behind = h.event.RecordedAt.After(end); behind {
			return errReached
		}
		at, failed = h.event.Position, each(h)
		return failed
	}
	live, cancel := context.WithDeadlineCause(ctx, end.Add(settled), errReached)
	defer cancel()
	err := f.read(ctx, f.view.house.Subscribe(live, eventstore.Query{After: at}), upTo)
	if failed != nil || !errors.Is(err, errReached) && !errors.Is(context.Cause(live), errReached) {
		return err
	}
	// A client that has not taken everything yet at the end gets the rest.
	if last := f.view.house.Now().Position(); !behind && at < last {
		err = f.read(ctx, f.view.house.Read(ctx, eventstore.Query{After: at, Until: last}), upTo)
		if err != nil && !errors.Is(err, errReached) {
			return err
		}
	}
	return flush()
}

// next is what an event is for the reader. Each event after the moment that the follower began with must be given.
func (f *follower) next(ctx context.Context, e eventstore.Event) (happening, error) {
	before := f.walk.Moment()
	c := f.walk.Next(e)
	after := f.walk.Moment()
	if after.Position() != before.Position() {
		f.before = before
		clear(f.told)
	}
	f.view.origins.saw(e)
	var seen []walk.Entity
	var positions []eventstore.Position
	for _, w := range slices.Concat(c.Touched, c.Named) {
		if f.wanted(w.ID) && f.who.May(access.Read, w.ID) {
			seen = append(seen, w)
			positions = append(positions, w.Was.Position, w.Is.Position)
		}
	}
	positions = slices.DeleteFunc(positions, func(p eventstore.Position) bool { return p == 0 })
	contexts, err := f.view.origins.contextsOf(ctx, f.who, append(positions, e.Position))
	if err != nil {
		return happening{}, err
	}
	h := happening{event: e, context: contexts.ofEvent(e), end: c.End}
	for _, w := range seen {
		change := stateChange{id: w.ID}
		if w.Had {
			names := f.before.Registry
			if f.told[w.ID] {
				names = after.Registry
			}
			change.old = newEntityState(names, w.Was, contexts)
		}
		if w.Has {
			change.now = newEntityState(after.Registry, w.Is, contexts)
		}
		f.told[w.ID] = true
		if !same(change.old, change.now) {
			h.states = append(h.states, change)
		}
	}
	f.tellOthers(&h, after)
	return h, nil
}

// tellOthers adds what is not about states.
func (f *follower) tellOthers(h *happening, after timeline.Moment) {
	e := h.event
	tell := func(name string, data map[string]any) { h.others = append(h.others, h.hassEvent(name, data)) }
	switch p := e.Payload.GetKind().(type) {
	case *eventv1.Payload_EntityRegistered:
		if f.who.May(access.Read, e.Entity) {
			_, known := f.before.Registry.Entity(e.Entity)
			tell(eventEntityRegistry, f.updated("entity_id", e.Entity, known))
		}
	case *eventv1.Payload_EntityUnregistered:
		if f.who.May(access.Read, e.Entity) {
			tell(eventEntityRegistry, map[string]any{"action": "remove", "entity_id": e.Entity})
		}
	case *eventv1.Payload_EntityRenamed:
		id := p.EntityRenamed.GetNewId()
		switch was, is := f.who.May(access.Read, e.Entity), f.who.May(access.Read, id); {
		case was && is:
			tell(eventEntityRegistry, map[string]any{
				"action": "update", "entity_id": id, "old_entity_id": e.Entity, "changes": map[string]any{"entity_id": e.Entity},
			})
		case is:
			tell(eventEntityRegistry, map[string]any{"action": "create", "entity_id": id})
		case was:
			tell(eventEntityRegistry, map[string]any{"action": "remove", "entity_id": e.Entity})
		}
	case *eventv1.Payload_CommandIssued:
		if f.who.May(access.Read, e.Entity) {
			tell(eventCallService, calledService(e.Entity, p.CommandIssued))
		}
	case *eventv1.Payload_DeviceRegistered:
		if id := p.DeviceRegistered.GetDevice().GetId(); f.seesDevice(after.Registry, id) {
			_, known := f.before.Registry.Device(id)
			tell(eventDeviceRegistry, f.updated("device_id", id, known))
		}
	case *eventv1.Payload_DeviceUnregistered:
		if id := p.DeviceUnregistered.GetDeviceId(); f.seesDevice(after.Registry, id) {
			tell(eventDeviceRegistry, map[string]any{"action": "remove", "device_id": id})
		}
	case *eventv1.Payload_AreaRegistered:
		if id := p.AreaRegistered.GetArea().GetId(); f.seesArea(after.Registry, id) {
			_, known := f.before.Registry.Area(id)
			tell(eventAreaRegistry, f.updated("area_id", id, known))
		}
	case *eventv1.Payload_AreaUnregistered:
		if id := p.AreaUnregistered.GetAreaId(); f.seesArea(after.Registry, id) {
			tell(eventAreaRegistry, map[string]any{"action": "remove", "area_id": id})
		}
	case *eventv1.Payload_Custom:
		name := strings.TrimPrefix(p.Custom.GetKind(), api.FiredPrefix)
		if f.who.May(access.Read, e.Entity) && !slices.Contains(ownEvents, name) {
			h.others = append(h.others, h.hassEvent(name, customData(p.Custom)))
		}
	}
}

// updated is the data of an entry of the registry that is new, or known.
func (f *follower) updated(key, id string, known bool) map[string]any {
	if known || f.told[key+id] {
		return map[string]any{"action": "update", key: id, "changes": map[string]any{}}
	}
	f.told[key+id] = true
	return map[string]any{"action": "create", key: id}
}

// seesDevice and seesArea say whether the reader sees an entry of the registry, before or after an event.
func (f *follower) seesDevice(after registry.Revision, id string) bool {
	return seesDevice(f.before.Registry, f.who, id) || seesDevice(after, f.who, id)
}

func (f *follower) seesArea(after registry.Revision, id string) bool {
	return f.who.Everywhere(access.Read) || newVisible(f.before.Registry, f.who).area(id) || newVisible(after, f.who).area(id)
}

// calledService is the data of the event that a command is to Home Assistant's clients, whichever door it came by.
func calledService(id string, c *eventv1.CommandIssued) map[string]any {
	data := map[string]any{"entity_id": []string{id}}
	for _, a := range c.GetArguments() {
		data[a.GetName()] = json.RawMessage(state.AppendJSON(nil, a.GetValue()))
	}
	return map[string]any{"domain": domainOf(id), "service": c.GetAction(), "service_data": data}
}

// customData is what an event says that this program knows nothing of: an object if it is one, or else its bytes.
func customData(c *eventv1.Custom) any {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(c.GetValue(), &object); err == nil && object != nil {
		return json.RawMessage(c.GetValue())
	}
	return map[string]any{"type_url": c.GetTypeUrl(), "base64": base64.StdEncoding.EncodeToString(c.GetValue())}
}

// maxBatch is about how many events are gathered before they are sent.
const maxBatch = 64

// followEvents sends what happens after a moment as Home Assistant's events of the types that are wanted, several at once,
// until the context ends.
func (v *view) followEvents(ctx context.Context, from timeline.Moment, who *access.Identity, wanted func(eventType string) bool, send func([]hassEvent) error) error {
	states := func(string) bool { return wanted(eventStateChanged) }
	var batch []hassEvent
	return newFollower(v, who, from, states).run(ctx, func(h happening) error {
		for _, e := range h.events() {
			if wanted(e.Type) {
				batch = append(batch, e)
			}
		}
		if len(batch) == 0 || !h.end && len(batch) < maxBatch {
			return nil
		}
		err := send(batch)
		batch = nil
		return err
	})
}
