package statehouse_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/timeline"
)

// The past as values: moments, what is different between them, what happened, what led to it, and what would be if.
func ExampleHouse_Timeline() {
	// A clock of its own, so that the output is the same every time: a minute between two events.
	now := time.Date(2026, 1, 31, 18, 0, 0, 0, time.UTC)
	clock := func() time.Time { now = now.Add(time.Minute); return now }
	if err := inHouse(clock, past); err != nil {
		fmt.Println(err)
	}
	// Output:
	// as of 3: off
	// at 18:02:30: position 3, final true
	// history: position 2, nothing → off
	// history: position 4, off → on
	// diff: binary_sensor.motion off → on
	// diff: light.hall off → on
	// why: position 4, light.hall
	//   it saw binary_sensor.motion on
	// why: position 3, binary_sensor.motion
	// what if: off, at position 5; the house is at 4
	// changes: light.hall is off, 2 events merged
}

// past asks a house about its past.
func past(ctx context.Context, house *statehouse.House) error {
	// 1 and 2: both are off. 3: somebody moves. 4: the lamp goes on because of that.
	if _, err := house.Append(ctx, switched("binary_sensor.motion", false, 0), switched("light.hall", false, 0)); err != nil {
		return err
	}
	moved, err := house.Append(ctx, switched("binary_sensor.motion", true, 0))
	if err != nil {
		return err
	}
	if _, err := house.Append(ctx, switched("light.hall", true, moved.Last)); err != nil {
		return err
	}

	// As of a position: a value of the same type as the present. It never changes.
	before, err := house.AsOf(ctx, moved.Last)
	if err != nil {
		return err
	}
	lamp, _ := before.State.Get("light.hall")
	fmt.Printf("as of %d: %s\n", before.Position(), state.Text(lamp.Attributes))

	// As of a time: the last position recorded at it or before it. Note down the position, it is the lasting handle.
	at := time.Date(2026, 1, 31, 18, 2, 30, 0, time.UTC)
	then, final, err := house.Timeline().AsOfTime(ctx, at)
	if err != nil {
		return err
	}
	fmt.Printf("at %s: position %d, final %v\n", at.Format(time.TimeOnly), then.Position(), final)

	// The history of an entity: each event about it, with the state before and after.
	for step, err := range house.Timeline().History(ctx, "light.hall", eventstore.FromStart, 0) {
		if err != nil {
			return err
		}
		fmt.Printf("history: position %d, %s → %s\n", step.Event.Position, text(step.Before), text(step.After))
	}

	// What is different between any two moments. It costs what differs, however large they are.
	start, err := house.AsOf(ctx, 2)
	if err != nil {
		return err
	}
	for c := range timeline.Diff(start, house.Now()) {
		fmt.Printf("diff: %s %s → %s\n", c.EntityID, text(c.Before.State), text(c.After.State))
	}

	// Why is the lamp on? The chain of causes, and what each link could see.
	links, err := house.Timeline().WhyEntity(ctx, house.Now(), "light.hall")
	if err != nil {
		return err
	}
	for _, link := range links {
		fmt.Printf("why: position %d, %s\n", link.Event.Position, link.Event.Entity)
		if link.Event.CausePosition != 0 {
			saw, err := link.Saw(ctx)
			if err != nil {
				return err
			}
			motion, _ := saw.State.Get("binary_sensor.motion")
			fmt.Printf("  it saw binary_sensor.motion %s\n", text(motion))
		}
	}

	// What if the lamp went off? A moment like any other, written nowhere.
	what, err := house.Now().With(ctx, at.Add(time.Hour), switched("light.hall", false, 0))
	if err != nil {
		return err
	}
	lamp, _ = what.State.Get("light.hall")
	fmt.Printf("what if: %s, at position %d; the house is at %d\n", text(lamp), what.Position(), house.Now().Position())

	// Changes from any moment on, as they come. Who is slow gets the net change.
	since := house.Now().State
	if _, err := house.Append(ctx, switched("light.hall", false, 0)); err != nil {
		return err
	}
	if _, err := house.Append(ctx, switched("light.hall", false, 0)); err != nil {
		return err
	}
	for delta, err := range house.Changes(ctx, since) {
		if err != nil {
			return err
		}
		for _, c := range delta.Changes {
			fmt.Printf("changes: %s is %s, %d events merged\n", c.EntityID, text(c.After), delta.Merged())
		}
		break // it goes on without end
	}
	return nil
}

// switched is the event that something is on or off, because of another event.
func switched(id string, on bool, cause eventstore.Position) eventstore.Event {
	a := &entityv1.Attributes{Domain: &entityv1.Attributes_Light{Light: &entityv1.Light{On: proto.Bool(on)}}}
	if strings.HasPrefix(id, "binary_sensor.") {
		a = &entityv1.Attributes{Domain: &entityv1.Attributes_BinarySensor{BinarySensor: &entityv1.BinarySensor{On: proto.Bool(on)}}}
	}
	return eventstore.Event{Entity: id, Source: "example", CausePosition: cause, Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_StateChanged{StateChanged: &eventv1.StateChanged{Attributes: a}},
	}}
}

// text is a state in a word.
func text(s state.State) string {
	if s.EntityID == "" {
		return "nothing"
	}
	return state.Text(s.Attributes)
}

// inHouse runs f with a fresh house.
func inHouse(clock func() time.Time, f func(context.Context, *statehouse.House) error) error {
	dir, err := os.MkdirTemp("", "statehouse")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()
	house, err := statehouse.OpenContext(ctx, filepath.Join(dir, "home.db"), statehouse.Options{Clock: clock})
	if err != nil {
		return err
	}
	defer func() { _ = house.Close() }()
	return f(ctx, house)
}

// The program in the document is the one that runs here.
func TestTheDocumentedProgramIsTheExample(t *testing.T) {
	source, err := os.ReadFile("example_past_test.go")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(filepath.Join("docs", "time-travel.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(source), "// past asks a house about its past.\n")
	program, _, ended := strings.Cut(rest, "\n}\n")
	if !ok || !ended || !strings.Contains(string(doc), "```go\n"+program+"\n}\n```") {
		t.Error("docs/time-travel.md does not have the function past of example_past_test.go as it is")
	}
}
