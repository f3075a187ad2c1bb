package statehouse_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/check"
)

// machine runs a house and its model, the plain list of the events that were acknowledged, side by side.
type machine struct {
	path  string
	house *statehouse.House
	log   []eventstore.Event
}

// TestPrograms runs random programs of appends, decisions, failures, snapshots and restarts. After each step the log
// is the model (I1, I3), and at the end the house checks (I6, I7).
func TestPrograms(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		m := &machine{path: filepath.Join(dir, fmt.Sprintf("%d.db", n))}
		m.open(t)
		defer func() { _ = m.house.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"append":   m.append,
			"fail":     m.fail,
			"decide":   m.decide,
			"snapshot": m.snapshot,
			"restart":  m.restart,
			"read":     m.read,
			"":         m.checkHead,
		})
		if err := check.House(context.Background(), m.house); err != nil {
			t.Fatal(err)
		}
	})
}

func (m *machine) open(t *rapid.T) {
	var err error
	if m.house, err = statehouse.OpenContext(context.Background(), m.path, statehouse.Options{SnapshotEvery: 40}); err != nil {
		t.Fatal(err)
	}
}

func drawBatch(t *rapid.T) []eventstore.Event {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) eventstore.Event {
		id := fmt.Sprintf("sensor.s%d", rapid.IntRange(0, 5).Draw(t, "entity"))
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			return check.RegisterEvent(&entityv1.Entity{Id: id, UniqueId: id, Name: rapid.StringMatching("[a-z]{0,3}").Draw(t, "name")})
		case 1:
			return check.UnregisterEvent(id)
		case 2:
			return check.ReportEvent(id)
		default:
			return check.SensorEvent(id, float64(rapid.IntRange(0, 3).Draw(t, "value")))
		}
	}), 1, 5).Draw(t, "batch")
}

// acknowledged takes into the model what the house said it did.
func (m *machine) acknowledged(t *rapid.T, span eventstore.Span, err error, events []eventstore.Event) {
	if err != nil {
		t.Fatal(err)
	}
	if span.Len() != len(events) || int(span.First) != len(m.log)+1 {
		t.Fatalf("%d events after %d got %v", len(events), len(m.log), span)
	}
	m.log = append(m.log, events...)
}

func (m *machine) append(t *rapid.T) {
	events := drawBatch(t)
	span, err := m.house.Append(context.Background(), events...)
	m.acknowledged(t, span, err, events)
}

func (m *machine) decide(t *rapid.T) {
	events := drawBatch(t)
	span, err := m.house.Decide(context.Background(), func(p statehouse.Pending) ([]eventstore.Event, error) {
		if int(p.Position()) != len(m.log) {
			return nil, fmt.Errorf("a decision at %d sees position %d", len(m.log), p.Position())
		}
		return events, nil
	})
	m.acknowledged(t, span, err, events)
}

// fail appends a batch whose last event the registry refuses.
func (m *machine) fail(t *rapid.T) {
	events := append(drawBatch(t),
		check.RegisterEvent(&entityv1.Entity{Id: "sensor.x", UniqueId: "stolen"}),
		check.RegisterEvent(&entityv1.Entity{Id: "sensor.y", UniqueId: "stolen"}))
	if _, err := m.house.Append(context.Background(), events...); !errors.Is(err, eventstore.ErrInvalid) {
		t.Fatalf("a batch that must fail: %v", err)
	}
}

func (m *machine) snapshot(t *rapid.T) {
	if err := m.house.Snapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) restart(t *rapid.T) {
	if err := m.house.Close(); err != nil {
		t.Fatal(err)
	}
	m.open(t)
	if faults := m.house.Recovered().Faults; len(faults) != 0 {
		t.Fatal(faults)
	}
}

func (m *machine) read(t *rapid.T) {
	after := rapid.IntRange(0, len(m.log)).Draw(t, "after")
	next := after
	for e, err := range m.house.Read(context.Background(), eventstore.Query{After: eventstore.Position(after)}) {
		if err != nil {
			t.Fatal(err)
		}
		want := m.log[next]
		next++
		if int(e.Position) != next || e.Entity != want.Entity || !proto.Equal(e.Payload, want.Payload) {
			t.Fatalf("position %d is %v, want %v", next, e, want)
		}
	}
	if next != len(m.log) {
		t.Fatalf("the log ends at %d instead of %d", next, len(m.log))
	}
}

func (m *machine) checkHead(t *rapid.T) {
	if now := m.house.Now(); int(now.Position()) != len(m.log) || now.Registry.Position != now.Position() {
		t.Fatalf("the present is at %d and %d, the model at %d", now.Position(), now.Registry.Position, len(m.log))
	}
}
