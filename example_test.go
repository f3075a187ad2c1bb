package statehouse_test

import (
	"context"
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
