package api

import (
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
	"github.com/statehouse/statehouse/timeline"
)

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func moment(t *testing.T, payloads ...*eventv1.Payload) timeline.Moment {
	t.Helper()
	r := registry.New()
	for i, p := range payloads {
		if err := r.Apply(t.Context(), nil, eventstore.Event{Position: eventstore.Position(i + 1), Payload: p}); err != nil {
			t.Fatal(err)
		}
	}
	r.Promote()
	return timeline.Moment{Registry: r.Revision()}
}

func entity(e *entityv1.Entity) *eventv1.Payload {
	return &eventv1.Payload{Kind: &eventv1.Payload_EntityRegistered{EntityRegistered: &eventv1.EntityRegistered{Entity: e}}}
}

func device(d *entityv1.Device) *eventv1.Payload {
	return &eventv1.Payload{Kind: &eventv1.Payload_DeviceRegistered{DeviceRegistered: &eventv1.DeviceRegistered{Device: d}}}
}

func area(id, name string) *eventv1.Payload {
	return &eventv1.Payload{Kind: &eventv1.Payload_AreaRegistered{
		AreaRegistered: &eventv1.AreaRegistered{Area: &entityv1.Area{Id: id, Name: name}},
	}}
}

func TestNewState(t *testing.T) {
	m := moment(t,
		area("hall", "The Hall"),
		device(&entityv1.Device{Id: "d/1", Name: "0x01", UserName: "Climate sensor", AreaId: "hall"}),
		entity(&entityv1.Entity{Id: "sensor.t", DeviceId: "d/1", Name: "Temperature", Unit: "°C", DeviceClass: "temperature"}),
	)
	zone := time.FixedZone("east", 3600)
	got, err := NewState(m, state.State{
		EntityID: "sensor.t", UpdatedBy: "z2m", Position: 1 << 60,
		UpdatedAt: time.Date(2026, 1, 2, 3, 4, 5, 6, zone), ChangedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, zone),
		Attributes: &entityv1.Attributes{
			Availability: entityv1.Availability_AVAILABILITY_ONLINE,
			Domain:       &entityv1.Attributes_Sensor{Sensor: &entityv1.Sensor{Value: &entityv1.Sensor_Number{Number: 21.5}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"entity_id":"sensor.t","state":"21.5","name":"Climate sensor Temperature","area":"hall","area_name":"The Hall",` +
		`"device":"d/1","device_name":"Climate sensor","unit":"°C","device_class":"temperature",` +
		`"attributes":{"availability":"online","number":21.5},"availability":"online",` +
		`"updated_at":"2026-01-02T02:04:05.000000006Z","updated_by":"z2m","changed_at":"2026-01-02T02:04:05Z",` +
		`"position":1152921504606846976}`
	if text(t, got) != want {
		t.Errorf("got  %s\nwant %s", text(t, got), want)
	}
	var back State
	if err := json.Unmarshal([]byte(want), &back); err != nil || text(t, back) != want {
		t.Errorf("it does not come back: %v %s", err, text(t, back))
	}
}

func TestNewStateUnregistered(t *testing.T) {
	got, err := NewState(moment(t), state.State{EntityID: "light.a", Attributes: &entityv1.Attributes{
		Availability: entityv1.Availability_AVAILABILITY_OFFLINE,
	}})
	if err != nil || got.Name != "light.a" || got.State != "unavailable" || got.Availability != Offline || got.Area != "" {
		t.Errorf("%+v %v", got, err)
	}
}

// TestNewEvent: every kind there is has its data.
func TestNewEvent(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
	on := true
	for _, c := range []struct {
		payload *eventv1.Payload
		data    string
	}{
		{&eventv1.Payload{Kind: &eventv1.Payload_StateChanged{StateChanged: &eventv1.StateChanged{
			Attributes: &entityv1.Attributes{Domain: &entityv1.Attributes_Switch{Switch: &entityv1.Switch{On: &on}}},
		}}}, `{"on":true}`},
		{&eventv1.Payload{Kind: &eventv1.Payload_StateReported{StateReported: &eventv1.StateReported{}}}, `{}`},
		{entity(&entityv1.Entity{Id: "light.a", UniqueId: "u"}), `{"entity":{"id":"light.a","unique_id":"u"}}`},
		{&eventv1.Payload{Kind: &eventv1.Payload_EntityUnregistered{EntityUnregistered: &eventv1.EntityUnregistered{}}}, `{}`},
		{&eventv1.Payload{Kind: &eventv1.Payload_EntityRenamed{EntityRenamed: &eventv1.EntityRenamed{NewId: "light.b"}}}, `{"new_id":"light.b"}`},
		{device(&entityv1.Device{Id: "d/1", ModelId: "m"}), `{"device":{"id":"d/1","model_id":"m"}}`},
		{&eventv1.Payload{Kind: &eventv1.Payload_DeviceUnregistered{DeviceUnregistered: &eventv1.DeviceUnregistered{DeviceId: "d/1"}}}, `{"device_id":"d/1"}`},
		{area("hall", "Hall"), `{"area":{"id":"hall","name":"Hall"}}`},
		{&eventv1.Payload{Kind: &eventv1.Payload_AreaUnregistered{AreaUnregistered: &eventv1.AreaUnregistered{AreaId: "hall"}}}, `{"area_id":"hall"}`},
		{&eventv1.Payload{Kind: &eventv1.Payload_System{System: &eventv1.System{What: "started", Detail: "a b"}}}, `{"what":"started","detail":"a b"}`},
		{&eventv1.Payload{Kind: &eventv1.Payload_HistoryRemoved{HistoryRemoved: &eventv1.HistoryRemoved{Through: 5, Recorded: 1 << 60, Chain: []byte{1}}}},
			`{"through":5,"recorded":1152921504606846976,"chain":{"base64":"AQ=="}}`},
		{&eventv1.Payload{Kind: &eventv1.Payload_Custom{Custom: &eventv1.Custom{Kind: "a.b", Value: []byte{0, 255}}}}, `{"kind":"a.b","value":{"base64":"AP8="}}`},
		{&eventv1.Payload{}, ``},
	} {
		e := eventstore.Event{
			Position: 7, RecordedAt: at, Timestamp: at, Kind: eventstore.KindOf(c.payload), Entity: "light.a", Source: "s",
			CorrelationID: "@7", CausePosition: 3, Payload: c.payload,
		}
		got, err := NewEvent(e)
		if err != nil || string(got.Data) != c.data {
			t.Errorf("%s: %s %v, want %s", e.Kind, got.Data, err, c.data)
		}
		if got.Position != 7 || !got.RecordedAt.Equal(at) || got.Kind != e.Kind || got.EntityID != "light.a" || got.Source != "s" ||
			got.CorrelationID != "@7" || got.CausePosition != 3 || (got.State == "on") != (e.Kind == eventstore.KindStateChanged) {
			t.Errorf("%+v", got)
		}
		change, err := NewChange(e)
		if err != nil || (change.Data == nil) != (e.Kind == eventstore.KindStateChanged || c.data == "") || change.State != got.State {
			t.Errorf("%s: %+v %v", e.Kind, change, err)
		}
	}
}

func TestMessages(t *testing.T) {
	const stream = "retry: 5\n\n: a comment\n\nevent: state\ndata: {}\n\nid: a-1\nevent: ready\ndata: 1\ndata:2\n\n" +
		"id: a-2\n\nevent: change\r\ndata: x:y\r\n\r\nevent: change\ndata: cut off"
	var got []Message
	for m, err := range Messages(iotest.OneByteReader(strings.NewReader(stream))) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m)
	}
	want := []Message{
		{Event: "state", Data: []byte("{}")}, {Event: "ready", ID: "a-1", Data: []byte("1\n2")}, {Event: "change", ID: "a-2", Data: []byte("x:y")},
	}
	if !slices.EqualFunc(got, want, func(a, b Message) bool { return text(t, a) == text(t, b) }) {
		t.Errorf("%s", text(t, got))
	}
	broken := errors.New("broken")
	for _, err := range Messages(io.MultiReader(strings.NewReader("data: x\n"), iotest.ErrReader(broken))) {
		if !errors.Is(err, broken) {
			t.Errorf("%v", err)
		}
	}
}

func FuzzMessages(f *testing.F) {
	f.Add("event: a\nid: b\ndata: c\n\n")
	f.Add(":\n\ndata\n\n\n")
	f.Fuzz(func(t *testing.T, stream string) {
		for m, err := range Messages(strings.NewReader(stream)) {
			if err == nil && m.Data == nil {
				t.Errorf("%q has a message without data", stream)
			}
		}
	})
}

func TestNewRecovered(t *testing.T) {
	got := NewRecovered(eventstore.Recovery{
		Position: 9, Snapshot: 4, Replayed: 5, Took: 1500 * time.Millisecond, Faults: []error{io.EOF}, ClockBehind: -time.Minute,
	})
	want := `{"position":9,"snapshot":4,"replayed":5,"seconds":1.5,"faults":["EOF"],"clock_behind_seconds":-60}`
	if text(t, got) != want {
		t.Errorf("%s", text(t, got))
	}
}

func TestParseAt(t *testing.T) {
	at := time.Date(2026, 1, 31, 17, 0, 0, 5, time.UTC)
	for text, want := range map[string]At{
		"": {}, "0": AtPosition(0), "@0": AtPosition(0), "@1204": AtPosition(1204), "1204": AtPosition(1204),
		"2026-01-31T17:00:00.000000005Z": AtTime(at), "9223372036854775807": AtPosition(eventstore.MaxPosition),
		"oldest": AtOldest(), "@oldest": AtOldest(),
	} {
		if got, err := ParseAt(text); err != nil || got != want {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"2026-01-31T18:00:00.000000005+01:00", "2026-01-31T18:00:00.000000005 01:00"} {
		if got, err := ParseAt(text); err != nil || got.String() != "2026-01-31T17:00:00.000000005Z" {
			t.Errorf("%q is %s, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"0000-01-01T00:00:00+05:00": "1900-01-01T00:00:00Z", "9999-12-31T23:59:59-05:00": "2300-01-01T00:00:00Z",
	} {
		if got, err := ParseAt(text); err != nil || got.String() != want {
			t.Errorf("%q is %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"@", "@@1", "-1", "9223372036854775808", "now", "@@oldest", "Oldest", "2026-01-31", "2026-01-31T18:00:00", "2026-01-31 18:00:00Z"} {
		if got, err := ParseAt(text); !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
	}
}

func FuzzParseAt(f *testing.F) {
	f.Add("@12")
	f.Add("oldest")
	f.Add("2026-01-31T18:00:00 01:00")
	f.Fuzz(func(t *testing.T, text string) {
		at, err := ParseAt(text)
		if err != nil {
			return
		}
		if back, err := ParseAt(at.String()); err != nil || back.String() != at.String() {
			t.Errorf("%q is %s, which comes back as %s, %v", text, at, back, err)
		}
	})
}

// In a house that is damaged the log may go on behind the present: what is there has a place and a time.
func TestResolveBehindADamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "home.db")
	h, err := statehouse.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if _, err := h.Append(t.Context(), check.SensorEvent("sensor.a", float64(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := storage.Open(t.Context(), path, storage.Options{})
	if err == nil {
		_, err = db.Writer().Exec(`UPDATE segments SET body = zeroblob(length(body)) WHERE last_position = 2`)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	h, err = statehouse.OpenContext(t.Context(), path, statehouse.Options{ReadOnlyIfDamaged: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	if as, err := AtPosition(3).Resolve(t.Context(), h); err != nil || as.Position != 3 || as.RecordedAt == nil {
		t.Errorf("behind the damage: %+v, %v", as, err)
	}
	if _, _, err := AtPosition(3).Moment(t.Context(), h); !errors.Is(err, eventstore.ErrCorrupt) {
		t.Errorf("the moment there: %v", err)
	}
	if _, err := AtPosition(5).Resolve(t.Context(), h); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("behind the end: %v", err)
	}
}
