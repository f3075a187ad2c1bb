// Package dispatchtest has devices for tests of whatever gives commands: a renderer and a publisher that a real dispatcher
// works with, without MQTT.
//
// A device that obeys answers before the publication returns, much as a dialect does: its state names the command as its
// cause, and what says that the command is confirmed names the state.
package dispatchtest

import (
	"context"
	"errors"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/dispatch"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// Source is that of the entities that are devices here.
const Source = "lamps"

// ErrBroken is what the publication to a broken device fails with.
var ErrBroken = errors.New("the wire is cut")

// Manner is how a device takes commands.
type Manner int

// The manners.
const (
	Obeying Manner = iota // it does what it is told, and says so
	Silent                // it gets the command and says nothing
	Broken                // the command cannot be published
	Gone                  // no broker is there
)

// Devices are all devices of a house. They obey until they are told otherwise.
type Devices struct {
	house *statehouse.House

	mu     sync.Mutex // guards manner and calls
	manner Manner
	calls  []command.Checked
}

// New are the devices of a house, and a dispatcher of commands to them.
func New(h *statehouse.House) (*Devices, *dispatch.Dispatcher) {
	d := &Devices{house: h}
	return d, dispatch.New(h, dispatch.Options{Publisher: d, Renderer: func(source string) dispatch.Renderer {
		if source != Source {
			return nil
		}
		return d
	}})
}

// Take has the devices take the commands that follow in another manner.
func (d *Devices) Take(m Manner) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.manner = m
}

// Calls are the commands that were rendered.
func (d *Devices) Calls() []command.Checked {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

// Connected says whether a broker is there.
func (d *Devices) Connected() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.manner != Gone
}

// Render implements [dispatch.Renderer].
func (d *Devices) Render(t dialect.Target, c command.Checked) (dialect.Rendered, error) {
	payload, err := proto.Marshal(command.Merge(c.Assumed, t.State))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, c)
	return dialect.Rendered{Publications: []mqtt.Publication{{Topic: t.Entity.GetId(), Payload: payload}}, Answers: true}, err
}

// Publish implements [mqtt.Publisher].
func (d *Devices) Publish(ctx context.Context, p mqtt.Publication) error {
	d.mu.Lock()
	manner := d.manner
	d.mu.Unlock()
	switch manner {
	case Silent:
		return nil
	case Broken:
		return ErrBroken
	case Gone:
		return mqtt.ErrNotConnected
	}
	a := &entityv1.Attributes{}
	if err := proto.Unmarshal(p.Payload, a); err != nil {
		return err
	}
	return d.Report(ctx, p.Topic, a)
}

// Report has a device say what its state is, which confirms the commands that it answers.
func (d *Devices) Report(ctx context.Context, id string, a *entityv1.Attributes) error {
	var answered []*entityv1.PendingCommand
	span, err := d.house.Decide(ctx, func(p statehouse.Pending) ([]eventstore.Event, error) {
		answered = nil
		e := eventstore.Event{Entity: id, Source: Source, Payload: &eventv1.Payload{Kind: &eventv1.Payload_StateChanged{
			StateChanged: &eventv1.StateChanged{Attributes: a},
		}}}
		for _, c := range p.PendingCommands(id) {
			if c.GetExpected() != nil && command.Answers(c.GetExpected(), a) {
				answered = append(answered, c)
				e.CausePosition, e.CorrelationID = eventstore.Position(c.GetPosition()), dialect.Correlation(c)
			}
		}
		return []eventstore.Event{e}, nil
	})
	for _, c := range answered {
		if err == nil {
			_, err = d.house.Append(ctx, eventstore.Event{
				Entity: id, Source: Source, CausePosition: span.First, CorrelationID: dialect.Correlation(c),
				Payload: &eventv1.Payload{Kind: &eventv1.Payload_CommandSettled{CommandSettled: &eventv1.CommandSettled{
					Command: c.GetPosition(), Outcome: eventv1.CommandOutcome_COMMAND_OUTCOME_CONFIRMED,
				}}},
			})
		}
	}
	return err
}

// Light is a light that is a device here, with brightness.
func Light(id string) eventstore.Event {
	return Entity(&entityv1.Entity{Id: id, UniqueId: id, Capabilities: &entityv1.Capabilities{
		Readable: true, Writable: true, Features: []string{"on", "brightness"},
	}})
}

// Entity is an entity that is a device here.
func Entity(e *entityv1.Entity) eventstore.Event {
	e.Source = Source
	return eventstore.Event{Entity: e.GetId(), Source: Source, Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_EntityRegistered{EntityRegistered: &eventv1.EntityRegistered{Entity: e}},
	}}
}
