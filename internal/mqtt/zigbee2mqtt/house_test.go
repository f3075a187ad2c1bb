package zigbee2mqtt

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
)

// base is the time at which test messages arrive, unless a test says otherwise. It fits the recording's last_seen.
var base = time.Date(2026, 11, 23, 1, 45, 8, 195e6, time.UTC)

// memory is a house without a disk: the real projectors, and every decision run twice to show that it has no memory.
type memory struct {
	statehouse.Pending // what the dialect does not use
	mu                 sync.Mutex
	cache              *state.Cache
	registry           *registry.Registry
	events             []eventstore.Event
	fail               error
	once               bool // decisions are run once, and events are not kept: for benchmarks
	batches            int
	lookups            int // of single entries and states
}

func newMemory() *memory { return &memory{cache: state.New(), registry: registry.New()} }

func (h *memory) Decide(_ context.Context, decide func(statehouse.Pending) ([]eventstore.Event, error)) (eventstore.Span, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fail != nil {
		return eventstore.Span{}, h.fail
	}
	if h.once {
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
	h.batches++
	return h.apply(events)
}

func (h *memory) apply(events []eventstore.Event) (eventstore.Span, error) {
	head := h.cache.PendingPosition()
	for i, e := range events {
		e.Position = head + eventstore.Position(i) + 1
		if err := h.registry.Apply(context.Background(), nil, e); err != nil {
			h.registry.Discard()
			h.cache.Discard()
			return eventstore.Span{}, err
		}
		if err := h.cache.Apply(context.Background(), nil, e); err != nil {
			panic(err)
		}
		events[i] = e
	}
	h.registry.Promote()
	h.cache.Promote()
	if !h.once {
		h.events = append(h.events, events...)
	}
	return eventstore.Span{First: head + 1, Last: head + eventstore.Position(len(events))}, nil
}

func (h *memory) Position() eventstore.Position { return h.cache.PendingPosition() }
func (h *memory) State(id state.EntityID) (state.State, bool) {
	h.lookups++
	return h.cache.PendingGet(id)
}
func (h *memory) Entity(id state.EntityID) (*entityv1.Entity, bool) {
	h.lookups++
	return h.registry.Pending().Entity(id)
}
func (h *memory) DeviceEntities(id string) []*entityv1.Entity {
	h.lookups++
	return h.registry.Pending().DeviceEntities(id)
}
func (h *memory) Device(id string) (*entityv1.Device, bool) { return h.registry.Pending().Device(id) }
func (h *memory) Devices(source string) []*entityv1.Device {
	return h.registry.Pending().DevicesBySource(source)
}
func (h *memory) Counts() (devices, entities, former int) {
	r := h.registry.Pending()
	return r.Devices.Len(), r.Entities.Len(), r.FormerEntities.Len()
}
func (h *memory) EntityByUniqueID(id string) (*entityv1.Entity, bool) {
	return h.registry.Pending().EntityByUniqueID(id)
}
func (h *memory) FormerEntity(id string) (*entityv1.Entity, bool) {
	return h.registry.Pending().FormerEntities.Get(id)
}
func (h *memory) FormerDevice(id string) (*entityv1.Device, bool) {
	return h.registry.Pending().FormerDevices.Get(id)
}

// user appends what a user decided.
func (h *memory) user(t testing.TB, e eventstore.Event) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if e.Timestamp.IsZero() {
		e.Timestamp = base
	}
	if _, err := h.apply([]eventstore.Event{e}); err != nil {
		t.Fatal(err)
	}
}

func (h *memory) edit(t testing.TB, id string, change func(*entityv1.Entity)) {
	t.Helper()
	e, ok := h.registry.Revision().Entity(id)
	if !ok {
		t.Fatalf("no entity %s", id)
	}
	e = proto.CloneOf(e)
	change(e)
	h.user(t, eventstore.Event{Entity: id, Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_EntityRegistered{EntityRegistered: &eventv1.EntityRegistered{Entity: e}},
	}})
}

// bench is a dialect at a house in memory.
type bench struct {
	testing.TB
	house *memory
	*Dialect
	now time.Time
}

func newBench(t testing.TB, opts Options) *bench {
	t.Helper()
	h := newMemory()
	return &bench{TB: t, house: h, Dialect: New(h, opts), now: base}
}

// say hands a message in, and returns the events that follow.
func (b *bench) say(topic, payload string) []eventstore.Event {
	b.Helper()
	return b.message(mqtt.Message{Topic: topic, Payload: []byte(payload), ReceivedAt: b.now})
}

func (b *bench) stored(topic, payload string) []eventstore.Event {
	b.Helper()
	return b.message(mqtt.Message{Topic: topic, Payload: []byte(payload), ReceivedAt: b.now, Retained: true})
}

func message(topic, payload string) mqtt.Message {
	return mqtt.Message{Topic: topic, Payload: []byte(payload), ReceivedAt: base}
}

// errBroken is what a house fails with that cannot record.
var errBroken = errors.New("no space left")

func (b *bench) message(m mqtt.Message) []eventstore.Event {
	b.Helper()
	before := len(b.house.events)
	if err := b.Handle(b.Context(), m); err != nil {
		b.Fatalf("%s: %v", m.Topic, err)
	}
	return b.house.events[before:]
}

// lists hands both lists in; devices are entries of bridge/devices.
func (b *bench) lists(devices ...string) []eventstore.Event {
	b.Helper()
	before := len(b.house.events)
	b.say("zigbee2mqtt/bridge/devices", "["+strings.Join(devices, ",")+"]")
	b.say("zigbee2mqtt/bridge/groups", "[]")
	return b.house.events[before:]
}

// json is an entity's state as a person would see it: text and JSON.
func (b *bench) json(id string) string {
	b.Helper()
	s, ok := b.house.cache.Get(id)
	if !ok {
		return "none"
	}
	data, err := state.JSON(s.Attributes)
	if err != nil {
		b.Fatal(err)
	}
	return string(data)
}

func (b *bench) expect(id, want string) {
	b.Helper()
	if got := b.json(id); got != want {
		b.Errorf("%s\n got %s\nwant %s", id, got, want)
	}
}

func (b *bench) expectKinds(events []eventstore.Event, want string) {
	b.Helper()
	if got := kinds(events); got != want {
		b.Errorf("events\n got %s\nwant %s", got, want)
	}
}

func (b *bench) expectIDs(want ...string) {
	b.Helper()
	if got := b.ids(); !slices.Equal(got, want) {
		b.Errorf("entities\n got %q\nwant %q", got, want)
	}
}

// ids are the ids of all registered entities but the bridge's, sorted; disabled ones in parentheses.
func (b *bench) ids() []string {
	var ids []string
	for id, e := range b.house.registry.Revision().Entities.All() {
		switch {
		case e.GetDeviceId() == b.bridgeID:
		case enabled(e):
			ids = append(ids, id)
		default:
			ids = append(ids, "("+id+")")
		}
	}
	slices.Sort(ids)
	return ids
}

// device is an entry of bridge/devices.
func device(address, name string, exposes ...string) string {
	return fmt.Sprintf(`{"ieee_address":%q,"friendly_name":%q,"type":"Router","definition":{"model":"M","vendor":"V","description":"D","exposes":[%s]}}`,
		address, name, strings.Join(exposes, ","))
}

const (
	exposeTemperature = `{"type":"numeric","name":"temperature","property":"temperature","label":"Temperature","access":1,"unit":"°C"}`
	exposeHumidity    = `{"type":"numeric","name":"humidity","property":"humidity","label":"Humidity","access":1,"unit":"%"}`
	exposeQuality     = `{"type":"numeric","name":"linkquality","property":"linkquality","label":"Linkquality","access":1,"unit":"lqi","category":"diagnostic"}`
	exposeAction      = `{"type":"enum","name":"action","property":"action","label":"Action","access":1,"values":["single","hold"],"category":"diagnostic"}`
	exposeState       = `{"type":"binary","name":"state","property":"state","access":7,"value_on":"ON","value_off":"OFF","value_toggle":"TOGGLE"}`
	exposeLight       = `{"type":"light","features":[` + exposeState + `,{"type":"numeric","name":"brightness","property":"brightness","access":7,"value_min":0,"value_max":254}]}`
	exposeSwitch      = `{"type":"switch","features":[` + exposeState + `]}`
)

func kinds(events []eventstore.Event) string {
	var words []string
	for _, e := range events {
		words = append(words, strings.TrimSpace(string(eventstore.KindOf(e.Payload))+" "+e.Entity))
	}
	return strings.Join(words, ", ")
}

// recorded is a message of the recording.
type recorded struct {
	MS      int64  `json:"ms"`
	Topic   string `json:"topic"`
	QoS     byte   `json:"qos"`
	Retain  bool   `json:"retain"`
	Payload string `json:"payload"`
	Base64  string `json:"payload_base64"`
}

func (r recorded) message(t testing.TB) mqtt.Message {
	payload := []byte(r.Payload)
	if r.Base64 != "" {
		var err error
		if payload, err = base64.StdEncoding.DecodeString(r.Base64); err != nil {
			t.Fatal(err)
		}
	}
	return mqtt.Message{Topic: r.Topic, Payload: payload, QoS: r.QoS, Retain: r.Retain,
		ReceivedAt: base.Add(time.Duration(r.MS) * time.Millisecond)}
}

var recording = sync.OnceValues(func() ([]recorded, error) {
	f, err := os.Open("../../../testdata/zigbee2mqtt/house.jsonl.gz")
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	var all []recorded
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var r recorded
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, lines.Err()
})

// house is the part of the recording that is Zigbee2MQTT's own.
func house(t testing.TB) []recorded {
	t.Helper()
	all, err := recording()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(slices.Clone(all), func(r recorded) bool { return !strings.HasPrefix(r.Topic, "zigbee2mqtt/") })
}

func sortedEntities(r registry.Revision) []*entityv1.Entity {
	var all []*entityv1.Entity
	for _, e := range r.Entities.All() {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entityv1.Entity) int { return cmp.Compare(a.GetId(), b.GetId()) })
	return all
}
