package zigbee2mqtt

import (
	"bufio"
	"cmp"
	"compress/gzip"
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

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/mqtt/dialect/dialecttest"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
)

// base is the time at which test messages arrive, unless a test says otherwise. It fits the recording's last_seen.
var base = time.Date(2026, 11, 23, 1, 45, 8, 195e6, time.UTC)

// bench is a dialect at a house in memory.
type bench struct {
	testing.TB
	house *dialecttest.Memory
	*Dialect
	now time.Time
}

func newBench(t testing.TB, opts Options) *bench {
	t.Helper()
	h := dialecttest.NewMemory()
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
	before := len(b.house.Events)
	if err := b.Handle(b.Context(), m); err != nil {
		b.Fatalf("%s: %v", m.Topic, err)
	}
	return b.house.Events[before:]
}

// lists hands both lists in; devices are entries of bridge/devices.
func (b *bench) lists(devices ...string) []eventstore.Event {
	b.Helper()
	before := len(b.house.Events)
	b.say("zigbee2mqtt/bridge/devices", "["+strings.Join(devices, ",")+"]")
	b.say("zigbee2mqtt/bridge/groups", "[]")
	return b.house.Events[before:]
}

// json is an entity's state as a person would see it: text and JSON.
func (b *bench) json(id string) string {
	b.Helper()
	s, ok := b.house.Cache.Get(id)
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
	for id, e := range b.house.Registry.Revision().Entities.All() {
		switch {
		case e.GetDeviceId() == b.bridgeID:
		case dialect.Enabled(e):
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
