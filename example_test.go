package statehouse_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/state"
)

func Example() {
	if err := example(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// light.kitchen on since position 1
	// 1 state_changed light.kitchen
}

func example(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "statehouse")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	house, err := statehouse.Open(filepath.Join(dir, "home.db"))
	if err != nil {
		return err
	}
	defer func() { _ = house.Close() }()

	on := &entityv1.Attributes{Domain: &entityv1.Attributes_Light{Light: &entityv1.Light{On: proto.Bool(true)}}}
	span, err := house.Append(ctx, eventstore.Event{
		Entity: "light.kitchen",
		Source: "example",
		Payload: &eventv1.Payload{
			Kind: &eventv1.Payload_StateChanged{StateChanged: &eventv1.StateChanged{Attributes: on}},
		},
	})
	if err != nil {
		return err
	}

	lamp, _ := house.Now().State.Get("light.kitchen")
	fmt.Println(lamp.EntityID, state.Text(lamp.Attributes), "since position", lamp.Position)

	for e, err := range house.Read(ctx, eventstore.Query{Until: span.Last}) {
		if err != nil {
			return err
		}
		fmt.Println(e.Position, e.Kind, e.Entity)
	}
	return nil
}

// Two programs that look at a counter and write it back do not overwrite each other: who comes second is told, and looks
// again.
func ExampleHouse_AppendBatch() {
	if err := exampleConditions(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// sensor.visits is at position 2, not at 1
	// sensor.visits 3
}

func exampleConditions(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "statehouse")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	house, err := statehouse.Open(filepath.Join(dir, "home.db"))
	if err != nil {
		return err
	}
	defer func() { _ = house.Close() }()

	visits := func(n float64) eventstore.Event {
		return eventstore.Event{Entity: "sensor.visits", Payload: &eventv1.Payload{
			Kind: &eventv1.Payload_StateChanged{StateChanged: &eventv1.StateChanged{Attributes: &entityv1.Attributes{
				Domain: &entityv1.Attributes_Sensor{Sensor: &entityv1.Sensor{Value: &entityv1.Sensor_Number{Number: n}}},
			}}},
		}}
	}
	if _, err := house.Append(ctx, visits(1)); err != nil {
		return err
	}
	seen, _ := house.Now().State.Get("sensor.visits")
	if _, err := house.Append(ctx, visits(2)); err != nil { // somebody else
		return err
	}
	for {
		n := seen.Attributes.GetSensor().GetNumber()
		_, err := house.AppendBatch(ctx, statehouse.Batch{
			Events: []eventstore.Event{visits(n + 1)},
			If:     []eventstore.Condition{eventstore.EntityAt("sensor.visits", seen.Position)},
		})
		var conflict *eventstore.ConflictError
		switch {
		case errors.As(err, &conflict):
			fmt.Printf("sensor.visits is at position %d, not at %d\n", conflict.Found, conflict.Condition.Position())
			seen, _ = house.Now().State.Get("sensor.visits")
			continue
		case err != nil:
			return err
		}
		seen, _ = house.Now().State.Get("sensor.visits")
		fmt.Println(seen.EntityID, state.Text(seen.Attributes))
		return nil
	}
}
