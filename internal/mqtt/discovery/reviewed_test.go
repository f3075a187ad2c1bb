package discovery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/mqtt/dialect/dialecttest"
)

// A lamp that was on, is asked to be on, and goes offline has not answered.
func TestThatADeviceIsGoneAnswersNoCommand(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/switch/x/config", `{"name":"Lamp","unique_id":"x","state_topic":"x","command_topic":"x/set","avty_t":"x/lwt","dev":{"ids":"d","name":"Desk"}}`)
	h.say("x/lwt", "online")
	h.say("x", "ON")
	on := &entityv1.Attributes{Domain: &entityv1.Attributes_Switch{Switch: &entityv1.Switch{On: proto.Bool(true)}}}
	h.memory.User(t, eventstore.Event{Entity: "switch.desk_lamp", Payload: &eventv1.Payload{Kind: &eventv1.Payload_CommandIssued{CommandIssued: &eventv1.CommandIssued{
		Action: "turn_on", Expected: on, Deadline: h.now.Add(time.Minute).UnixNano(),
	}}}})
	ev := h.say("x/lwt", "offline")
	for _, e := range ev {
		if s := e.Payload.GetCommandSettled(); s != nil {
			t.Errorf("an offline message settled the command as %v", s.GetOutcome())
		}
	}
}

// A deadline that was due, and a report that is decided before it.
func TestWhatIsHeardBeforeADeadlineIsRecordedStands(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/sensor/x/config", `{"name":"A","unique_id":"x","state_topic":"x","expire_after":60,"dev":{"ids":"d","name":"Desk"}}`)
	h.say("x", "1")
	h.now = h.now.Add(60 * time.Second)
	one, ok, _ := h.deadlines.next(h.now) // what Run does first
	if !ok {
		t.Fatal("not due")
	}
	h.say("x", "2") // its Decide comes before that of the deadline
	if err := h.Engine.pass(h.Context(), one); err != nil {
		t.Fatal(err)
	}
	h.expect("sensor.desk_a", `{"availability":"online","text":"2"}`)
}

func TestWhatIsHeardBeforeItTurnsOffStands(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/binary_sensor/x/config", `{"name":"A","unique_id":"x","state_topic":"x","off_delay":60,"dev":{"ids":"d","name":"Desk"}}`)
	h.say("x", "ON")
	h.now = h.now.Add(60 * time.Second)
	one, _, _ := h.deadlines.next(h.now)
	h.say("x", "ON")
	if err := h.Engine.pass(h.Context(), one); err != nil {
		t.Fatal(err)
	}
	h.expect("binary_sensor.desk_a", `{"on":true}`)
}

// A will that says online says nothing of the value.
func TestSilenceEndsWithAValue(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/sensor/x/config", `{"name":"A","unique_id":"x","state_topic":"x","expire_after":60,"avty_t":"lwt","dev":{"ids":"d","name":"Desk"}}`)
	h.say("lwt", "online")
	h.say("x", "1")
	h.pass(2 * time.Minute)
	h.expect("sensor.desk_a", `{"availability":"offline","text":"1"}`)
	h.say("lwt", "online") // nothing of the value
	h.expect("sensor.desk_a", `{"availability":"offline","text":"1"}`)
	h.pass(24 * time.Hour)
	h.expect("sensor.desk_a", `{"availability":"offline","text":"1"}`)
}

func TestDeadlinesOutliveARestartWhileOffline(t *testing.T) {
	for _, restart := range []bool{false, true} {
		h := newHouse(t)
		h.say("homeassistant/binary_sensor/m/config", `{"name":"M","unique_id":"m","state_topic":"m","off_delay":60,"avty_t":"lwt","dev":{"ids":"d","name":"Desk"}}`)
		h.say("homeassistant/sensor/x/config", `{"name":"A","unique_id":"x","state_topic":"x","expire_after":60,"avty_t":"lwt","dev":{"ids":"d","name":"Desk"}}`)
		h.say("lwt", "online")
		h.say("m", "ON")
		h.say("x", "1")
		h.now = h.now.Add(5 * time.Second)
		h.say("lwt", "offline")
		if restart {
			h.restart()
		}
		h.now = h.now.Add(5 * time.Second)
		h.say("lwt", "online")
		h.pass(time.Hour)
		h.expect("binary_sensor.desk_m", `{"availability":"online","on":false}`)
		h.expect("sensor.desk_a", `{"availability":"offline","text":"1"}`)
	}
}

func TestADeviceIsAnnouncedAgainIfItCouldNotBeRecorded(t *testing.T) {
	h := newHouse(t)
	m, err := NewMapping([]MappedDevice{{Topic: "s/+", Entities: []map[string]any{{"component": "sensor", "name": "A", "state_topic": "~/a"}}}})
	if err != nil {
		t.Fatal(err)
	}
	h.Engine = NewEngine(h.memory, m, Options{Now: func() time.Time { return h.now }})
	if err := h.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	msg := mqtt.Message{Topic: "s/k/a", Payload: []byte("5"), ReceivedAt: h.now, QoS: 1}
	h.memory.Fail = errors.New("the disk is full")
	if h.Handle(context.Background(), msg) == nil {
		t.Fatal("it must not be acknowledged")
	}
	h.memory.Fail = nil
	for range 3 { // it comes again, and others
		if err := h.Handle(context.Background(), msg); err != nil {
			t.Fatal(err)
		}
	}
	if len(h.memory.Events) == 0 {
		t.Errorf("acknowledged three times, and nothing recorded")
	}
}

func TestOnlyWhatIsKnownMigrates(t *testing.T) {
	h := newHouse(t)
	for i := range 200 {
		h.say(fmt.Sprintf("homeassistant/sensor/x%d/config", i), `{"migrate_discovery":true}`)
	}
	if n := len(h.migrating); n > 0 {
		t.Errorf("%d keys remembered, for which nothing was ever announced", n)
	}
}

func TestAMigrationThatIsGivenUp(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/sensor/k_t/config", kitchenSensor)
	h.say("homeassistant/sensor/k_t/config", `{"migrate_discovery":true}`)
	h.say("homeassistant/sensor/k_t/config", kitchenSensor) // it is not migrated after all
	h.expectKinds(h.say("homeassistant/sensor/k_t/config", ""), "entity_unregistered sensor.kitchen_temperature, device_unregistered")
}

func TestDeadlinesDoNotPileUp(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/binary_sensor/m/config", `{"name":"M","unique_id":"m","state_topic":"m","off_delay":86400,"dev":{"ids":"d","name":"Desk"}}`)
	h.memory.Once = true
	for range 1000 {
		h.now = h.now.Add(time.Millisecond)
		h.say("m", "ON")
		h.say("m", "OFF")
	}
	if n := len(h.deadlines.heap); n > 1 {
		t.Errorf("%d deadlines of one entity in the heap", n)
	}
}

func TestOneTooLargeStateDoesNotHarmTheOthers(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/device/d/config", `{"dev":{"ids":"d","name":"Desk"},"o":{"name":"x"},"state_topic":"s","cmps":{
	"a":{"p":"switch","unique_id":"a","name":"A","command_topic":"c","value_template":"{{ value_json.state }}"},
	"b":{"p":"sensor","unique_id":"b","name":"B","value_template":"{{ value_json.n }}","json_attributes_topic":"s"}}}`)
	h.say("s", `{"state":"ON","n":1,"log":"`+strings.Repeat("x", 70000)+`"}`)
	h.expect("switch.desk_a", `{"on":true}`)
}

func TestTheLatestWordOfSeveralTopics(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/sensor/x/config", `{"name":"A","unique_id":"x","state_topic":"x","expire_after":60,"avty":[{"t":"one"},{"t":"two"}],"dev":{"ids":"d","name":"Desk"}}`)
	h.say("one", "online")
	h.say("two", "offline")
	h.say("x", "1")
	h.expect("sensor.desk_a", `{"availability":"offline","text":"1"}`)
}

func TestTheFirstOfTwoWithOneUniqueIDStays(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/sensor/one/config", `{"name":"A","unique_id":"x","state_topic":"one","dev":{"ids":"d","name":"Desk"}}`)
	h.say("homeassistant/sensor/two/config", `{"name":"A","unique_id":"x","state_topic":"two","dev":{"ids":"d","name":"Desk"}}`)
	h.say("one", "1")
	h.expect("sensor.desk_a", `{"text":"1"}`)
	h.say("homeassistant/sensor/two/config", ``)
	if _, ok := h.memory.Registry.Revision().Entity("sensor.desk_a"); !ok {
		t.Error("the entity left with the announcement that was refused")
	}
}

// Components of one domain may get one unique id, though their own are different. The first one is taken in, and is not mistaken for the other.
func TestTwoComponentsWithOneUniqueID(t *testing.T) {
	const (
		form    = `{"dev":{"ids":"d","name":"D"},"o":{"name":"x"},"cmps":{%s}}`
		trigger = `"a":{"p":"device_automation","unique_id":"f","automation_type":"trigger","type":"press","subtype":"one","topic":"s1"}`
		event   = `"b":{"p":"event","name":"E","unique_id":"device_automation:f","state_topic":"s2","event_types":["a"]}`
	)
	h := newHouse(t)
	h.expectKinds(h.say("homeassistant/device/d/config", fmt.Sprintf(form, trigger+","+event)), "device_registered, entity_registered event.d_press_one")
	if n := h.Stats().Ignored["malformed"]; n != 1 {
		t.Errorf("%d complaints", n)
	}
	h.expectKinds(h.say("s1", "x"), "state_changed event.d_press_one")
	h.expectKinds(h.say("s2", `{"event_type":"a"}`), "")
	h.say("homeassistant/device/d/config", fmt.Sprintf(form, event))
	h.expectKinds(h.say("s1", "x"), "")
	h.expectKinds(h.say("s2", `{"event_type":"a"}`), "state_changed event.d_press_one")
}

func TestAnAnnouncementThatIsRepeatedNeedsNoRoom(t *testing.T) {
	h := newHouse(t)
	h.Engine = NewEngine(h.memory, NewHomeAssistant(HomeAssistantOptions{}), Options{MaxTopics: 4, Now: func() time.Time { return h.now }})
	var parts []string
	for i := range 3 {
		parts = append(parts, fmt.Sprintf(`"c%d":{"p":"sensor","unique_id":"u%d","name":"n%d","state_topic":"s%d"}`, i, i, i, i))
	}
	form := `{"dev":{"ids":"d","name":"Desk"},"o":{"name":"x"},"cmps":{` + strings.Join(parts, ",") + `}}`
	h.say("homeassistant/device/d/config", form)
	// the very same announcement once more, as after each restart of the device
	h.expectKinds(h.say("homeassistant/device/d/config", form), "")
}

func TestWhatWasStoredIsNoSignOfLife(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/sensor/x/config", `{"name":"A","unique_id":"x","state_topic":"x","expire_after":60,"dev":{"ids":"d","name":"Desk"}}`)
	h.say("x", "1")
	h.pass(72 * time.Hour) // it is dead
	h.expect("sensor.desk_a", `{"availability":"offline","text":"1"}`)
	h.restart()
	h.stored("x", "1")
	h.expect("sensor.desk_a", `{"availability":"offline","text":"1"}`)
	h.pass(2 * time.Minute)
}

func TestADeviceThatIsOnlyNamedKeepsItsFacts(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/sensor/k_t/config", `{"name":"Temperature","uniq_id":"k_t","stat_t":"kitchen/t","dev":{"ids":"k","name":"Kitchen","mf":"Acme","mdl":"T1"}}`)
	h.say("homeassistant/sensor/k_h/config", `{"name":"Humidity","uniq_id":"k_h","stat_t":"kitchen/h","dev":{"ids":"k"}}`)
	d, _ := h.memory.Registry.Revision().Device("homeassistant/default/k")
	if d.GetName() != "Kitchen" || d.GetManufacturer() != "Acme" {
		t.Errorf("%v", d)
	}
	if _, ok := h.memory.Registry.Revision().Entity("sensor.kitchen_humidity"); !ok {
		t.Error("no sensor.kitchen_humidity")
	}
}

// An announcement that the log refuses for what it is has announced nothing: the next one that it takes is registered.
func TestRefusedAnnouncement(t *testing.T) {
	const config, payload = "homeassistant/sensor/k/config", `{"name":"T","unique_id":"k","state_topic":"s","device":{"ids":"k"}}`
	h := newHouse(t)
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.memory.Fail = fmt.Errorf("%w: for the test", eventstore.ErrTooLarge)
	h.say(config, payload)
	if got := h.Stats().Ignored[dialect.ReasonTooLarge]; got != 1 {
		t.Errorf("%d announcements are counted as too large, not 1", got)
	}
	h.memory.Fail = nil
	h.say("s", "1")
	if got := len(h.memory.Events); got != 0 {
		t.Errorf("%d events of an entity that was never registered", got)
	}
	h.say(config, payload)
	h.say("s", "2")
	if got := h.memory.Cache.View().Len(); got != 1 {
		t.Errorf("announced again, %d entities have a state, not 1", got)
	}
}

// Announcements, withdrawals, reports and questions from many goroutines: afterwards the catalog is what the registry is.
func TestEverythingAtOnce(t *testing.T) {
	memory := dialecttest.NewMemory()
	memory.Once = true
	s := &askingSubscriber{}
	e := NewEngine(memory, NewHomeAssistant(HomeAssistantOptions{}), Options{Subscriber: s})
	s.e = e
	ctx, cancel := context.WithCancel(t.Context())
	var running, talking sync.WaitGroup
	running.Go(func() { e.Run(ctx) })
	for g := range 6 {
		talking.Go(func() {
			for i := range 400 {
				say := func(topic, payload string) {
					if err := e.Handle(ctx, mqtt.Message{Topic: topic, Payload: []byte(payload), ReceivedAt: mqtt.Now()}); err != nil {
						t.Error(err)
					}
				}
				k := i % 7
				switch (i + g) % 6 {
				case 0:
					say(fmt.Sprintf("homeassistant/sensor/k%d/config", k), fmt.Sprintf(`{"name":"T%d","unique_id":"k%d","state_topic":"s","expire_after":0.001,"avty_t":"lwt%d","value_template":"{{ value_json.x%d }}","dev":{"ids":"d%d","name":"D"}}`, i%3, k, i%2, i%4, i%2))
				case 1:
					say(fmt.Sprintf("homeassistant/sensor/k%d/config", k), "")
				case 2:
					say("s", fmt.Sprintf(`{"x0":%d,"x1":%d,"x2":1,"x3":2}`, i, g))
				case 3:
					say(fmt.Sprintf("lwt%d", i%2), []string{"online", "offline"}[i/7%2])
				case 4:
					e.Claim("s")
					e.Wants("s")
				case 5:
					say(fmt.Sprintf("homeassistant/sensor/k%d/config", k), `{"migrate_discovery":true}`)
				}
			}
		})
	}
	talking.Wait()
	cancel()
	running.Wait()
	// the catalog and the registry agree
	r := memory.Registry.Revision()
	for _, d := range r.DevicesBySource(e.Source()) {
		if len(r.DeviceEntities(d.GetId())) == 0 {
			t.Errorf("device %s without entities", d.GetId())
		}
		for _, en := range r.DeviceEntities(d.GetId()) {
			it := e.catalog.get(en.GetUniqueId())
			if it == nil || it.text() != definitionOf(en) {
				t.Errorf("%s: catalog differs", en.GetUniqueId())
			}
		}
	}
	for u := range e.catalog.items {
		if _, ok := r.EntityByUniqueID(u); !ok {
			t.Errorf("%s is in the catalog only", u)
		}
	}
}

// askingSubscriber asks the engine while that subscribes.
type askingSubscriber struct{ e *Engine }

func (n askingSubscriber) Subscribe(...string) { n.e.catalog.topicNames() }

// An entity whose topic of availability has said nothing is there as soon as it is heard of, also where it was silent before.
func TestSilenceEndsWithoutAWordOfAvailability(t *testing.T) {
	for _, restart := range []bool{false, true} {
		h := newHouse(t)
		h.say("homeassistant/sensor/x/config", `{"name":"A","unique_id":"x","state_topic":"x","expire_after":60,"avty_t":"lwt","dev":{"ids":"d","name":"Desk"}}`)
		h.say("x", "1")
		h.expect("sensor.desk_a", `{"availability":"online","text":"1"}`)
		h.pass(time.Hour)
		h.expect("sensor.desk_a", `{"availability":"offline","text":"1"}`)
		if restart {
			h.restart()
		}
		h.say("x", "2")
		h.expect("sensor.desk_a", `{"availability":"online","text":"2"}`)
	}
}
