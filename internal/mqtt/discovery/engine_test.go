package discovery

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/mqtt/dialect/dialecttest"
	"github.com/statehouse/statehouse/state"
)

// house is an engine of Home Assistant's discovery at a house in memory.
type house struct {
	testing.TB
	memory *dialecttest.Memory
	*Engine
	now time.Time
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{TB: t, memory: dialecttest.NewMemory(), now: dialecttest.Base}
	h.restart()
	return h
}

// restart is another process with the same log.
func (h *house) restart() {
	h.Engine = NewEngine(h.memory, NewHomeAssistant(HomeAssistantOptions{Covered: []string{"zigbee2mqtt/"}}), Options{
		Now: func() time.Time { return h.now },
	})
}

func (h *house) message(m mqtt.Message) []eventstore.Event {
	h.Helper()
	before := len(h.memory.Events)
	m.ReceivedAt = h.now
	if err := h.Handle(h.Context(), m); err != nil {
		h.Fatalf("%s: %v", m.Topic, err)
	}
	return h.memory.Events[before:]
}

func (h *house) say(topic, payload string) []eventstore.Event {
	h.Helper()
	return h.message(mqtt.Message{Topic: topic, Payload: []byte(payload)})
}

func (h *house) stored(topic, payload string) []eventstore.Event {
	h.Helper()
	return h.message(mqtt.Message{Topic: topic, Payload: []byte(payload), Retained: true})
}

// pass lets time pass, and what happens at deadlines happen.
func (h *house) pass(d time.Duration) []eventstore.Event {
	h.Helper()
	h.now = h.now.Add(d)
	before := len(h.memory.Events)
	if err := h.Start(h.Context()); err != nil {
		h.Fatal(err)
	}
	for {
		one, ok, _ := h.deadlines.next(h.now)
		if !ok {
			return h.memory.Events[before:]
		}
		if err := h.Engine.pass(h.Context(), one); err != nil {
			h.Fatal(err)
		}
	}
}

// shown is an entity's state as JSON, and "none" where there is none.
func (h *house) shown(id string) string {
	h.Helper()
	st, ok := h.memory.Cache.Get(id)
	if !ok {
		return "none"
	}
	text, err := state.JSON(st.Attributes)
	if err != nil {
		h.Fatal(err)
	}
	return string(text)
}

func (h *house) expect(id, want string) {
	h.Helper()
	if got := h.shown(id); got != want {
		h.Errorf("%s\n got %s\nwant %s", id, got, want)
	}
}

func (h *house) expectKinds(events []eventstore.Event, want string) {
	h.Helper()
	var words []string
	for _, e := range events {
		words = append(words, strings.TrimSpace(string(eventstore.KindOf(e.Payload))+" "+e.Entity))
	}
	if got := strings.Join(words, ", "); got != want {
		h.Errorf("events\n got %s\nwant %s", got, want)
	}
}

const kitchenSensor = `{"name":"Temperature","uniq_id":"k_t","stat_t":"kitchen/t","unit_of_meas":"C","dev_cla":"temperature","dev":{"ids":"k","name":"Kitchen"}}`

func TestADeviceAnnouncesItself(t *testing.T) {
	h := newHouse(t)
	h.expectKinds(h.say("homeassistant/sensor/k_t/config", kitchenSensor), "device_registered, entity_registered sensor.kitchen_temperature")
	h.expectKinds(h.say("kitchen/t", "21.5"), "state_changed sensor.kitchen_temperature")
	h.expect("sensor.kitchen_temperature", `{"number":21.5}`)
	h.expectKinds(h.say("kitchen/t", "21.5"), "")
	h.expectKinds(h.say("homeassistant/sensor/k_t/config", kitchenSensor), "")
	e, _ := h.memory.Registry.Revision().Entity("sensor.kitchen_temperature")
	if e.GetUnit() != "°C" || e.GetUniqueId() != "homeassistant/default/k/sensor/k_t" {
		t.Errorf("%v", e)
	}

	// What the log knows needs no announcement.
	h.restart()
	h.expectKinds(h.stored("kitchen/t", "21.5"), "")
	h.expectKinds(h.say("kitchen/t", "22"), "state_changed sensor.kitchen_temperature")
	h.expectKinds(h.say("homeassistant/sensor/k_t/config", kitchenSensor), "")

	// It goes by its new name, and keeps its id.
	renamed := strings.Replace(kitchenSensor, `"name":"Kitchen"`, `"name":"Pantry"`, 1)
	h.expectKinds(h.say("homeassistant/sensor/k_t/config", renamed), "device_registered")
	h.expectKinds(h.say("homeassistant/sensor/k_t/config", ""), "entity_unregistered sensor.kitchen_temperature, device_unregistered")
	h.expectKinds(h.say("kitchen/t", "23"), "")
	h.expectKinds(h.say("homeassistant/sensor/k_t/config", ""), "")
}

func TestOneOfTwoEntitiesLeaves(t *testing.T) {
	h := newHouse(t)
	other := strings.NewReplacer("k_t", "k_h", "kitchen/t", "kitchen/h", "Temperature", "Humidity", `,"dev_cla":"temperature"`, "").Replace(kitchenSensor)
	h.say("homeassistant/sensor/k_t/config", kitchenSensor)
	h.expectKinds(h.say("homeassistant/sensor/k_h/config", other), "entity_registered sensor.kitchen_humidity")
	h.expectKinds(h.say("homeassistant/sensor/k_t/config", ""), "entity_unregistered sensor.kitchen_temperature")
	h.restart()
	h.expectKinds(h.say("homeassistant/sensor/k_h/config", ""), "entity_unregistered sensor.kitchen_humidity, device_unregistered")
}

const twoInOne = `{"dev":{"ids":"d","name":"Desk"},"o":{"name":"x"},"state_topic":"desk","cmps":{
	"a":{"p":"sensor","unique_id":"d_a","name":"A","value_template":"{{ value_json.a }}"},
	"b":{"p":"sensor","unique_id":"d_b","name":"B","value_template":"{{ value_json.b }}"}}}`

func TestADeviceAnnouncesAllAtOnce(t *testing.T) {
	h := newHouse(t)
	h.expectKinds(h.say("homeassistant/device/d/config", twoInOne), "device_registered, entity_registered sensor.desk_a, entity_registered sensor.desk_b")
	h.expectKinds(h.say("desk", `{"a":1,"b":2}`), "state_changed sensor.desk_a, state_changed sensor.desk_b")
	h.expectKinds(h.say("desk", `{"b":3}`), "state_changed sensor.desk_b")
	h.expect("sensor.desk_a", `{"text":"1"}`)
	without := strings.Replace(twoInOne, `"p":"sensor","unique_id":"d_b","name":"B","value_template":"{{ value_json.b }}"`, `"p":"sensor"`, 1)
	h.expectKinds(h.say("homeassistant/device/d/config", without), "entity_unregistered sensor.desk_b")
	h.expectKinds(h.say("homeassistant/device/d/config", ""), "entity_unregistered sensor.desk_a, device_unregistered")
}

func TestADeviceTakesOverWhatWasAnnouncedSingly(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/sensor/d_a/config", `{"name":"A","unique_id":"d_a","state_topic":"desk/a","dev":{"ids":"d","name":"Desk"}}`)
	h.say("desk/a", "5")
	h.expectKinds(h.say("homeassistant/sensor/d_a/config", `{"migrate_discovery":true}`), "")
	h.expectKinds(h.say("homeassistant/device/d/config", twoInOne), "entity_registered sensor.desk_a, entity_registered sensor.desk_b")
	h.expectKinds(h.say("homeassistant/sensor/d_a/config", ""), "")
	h.expect("sensor.desk_a", `{"text":"5"}`)
	h.expectKinds(h.say("desk/a", "6"), "") // it listens to the other topic now
	h.expectKinds(h.say("desk", `{"a":6}`), "state_changed sensor.desk_a")
}

func TestAvailability(t *testing.T) {
	config := func(mode string) string {
		return `{"name":"A","unique_id":"d_a","state_topic":"a","dev":{"ids":"d","name":"Desk"},"avty":[{"t":"one"},{"t":"two","pl_avail":"up","pl_not_avail":"down"}],"avty_mode":"` + mode + `"}`
	}
	for mode, want := range map[string]string{
		"all":    "? ? offline online offline offline",
		"any":    "? ? online online online offline",
		"latest": "? offline online online offline offline",
	} {
		h := newHouse(t)
		h.say("homeassistant/sensor/d_a/config", config(mode))
		var got []string
		note := func() {
			st, _ := h.memory.Cache.Get("sensor.desk_a")
			got = append(got, map[int32]string{0: "?", 1: "online", 2: "offline"}[int32(st.Attributes.GetAvailability())])
		}
		note()
		for i, m := range [][2]string{{"one", "offline"}, {"two", "up"}, {"one", "online"}, {"two", "down"}, {"one", "offline"}} {
			h.say(m[0], m[1])
			if i == 2 {
				h.say("one", "gibberish")
			}
			note()
		}
		if mode == "all" {
			// One that is offline decides at once.
			if got[1] != "offline" {
				t.Errorf("%s: %s", mode, got)
			}
			got[1] = "?"
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", mode, diff)
		}
	}
}

func TestWhoComesLaterIsAsAvailableAsTheOthers(t *testing.T) {
	h := newHouse(t)
	one := `{"name":"A","unique_id":"d_a","state_topic":"a","dev":{"ids":"d","name":"Desk"},"avty_t":"desk/status"}`
	h.say("homeassistant/sensor/d_a/config", one)
	h.say("desk/status", "offline")
	two := strings.NewReplacer(`"A"`, `"B"`, "d_a", "d_b").Replace(one)
	h.expectKinds(h.say("homeassistant/sensor/d_b/config", two), "entity_registered sensor.desk_b, state_changed sensor.desk_b")
	h.expect("sensor.desk_b", `{"availability":"offline"}`)
	h.expectKinds(h.say("desk/status", "online"), "state_changed sensor.desk_a, state_changed sensor.desk_b")
}

func TestSilenceMakesUnavailable(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/sensor/x/config", `{"name":"A","unique_id":"x","state_topic":"x","expire_after":60,"dev":{"ids":"d","name":"Desk"}}`)
	h.say("x", "1")
	h.expect("sensor.desk_a", `{"availability":"online","text":"1"}`)
	h.expectKinds(h.pass(40*time.Second), "")
	h.expectKinds(h.say("x", "1"), "state_reported sensor.desk_a") // half of its time was over
	h.expectKinds(h.pass(59*time.Second), "")
	events := h.pass(time.Hour)
	h.expectKinds(events, "state_changed sensor.desk_a")
	if at := events[0].Timestamp; !at.Equal(dialecttest.Base.Add(100 * time.Second)) {
		t.Errorf("offline since %s", at)
	}
	h.expect("sensor.desk_a", `{"availability":"offline","text":"1"}`)
	h.expectKinds(h.pass(time.Hour), "")
	h.expectKinds(h.say("x", "2"), "state_changed sensor.desk_a")
	h.expect("sensor.desk_a", `{"availability":"online","text":"2"}`)

	// A deadline that passes while nobody watches is recorded with its own time.
	spoke := h.now
	h.restart()
	events = h.pass(24 * time.Hour)
	h.expectKinds(events, "state_changed sensor.desk_a")
	if at := events[0].Timestamp; !at.Equal(spoke.Add(time.Minute)) {
		t.Errorf("offline since %s", at)
	}
	h.restart()
	h.expectKinds(h.pass(24*time.Hour), "")
}

// What says whether an entity can be reached, and when it expires, is what was announced last.
func TestAvailabilityIsAnnouncedAnew(t *testing.T) {
	const (
		lwt, other = `,"avty_t":"lwt"`, `,"avty_t":"other"`
		short      = `,"expire_after":60`
		long       = `,"expire_after":3600`
	)
	for name, c := range map[string]struct {
		before, after string
		says          string // on lwt, before it is announced anew
		silent        time.Duration
		want          string // before it is heard of again
		then          string // and after
	}{
		"expire_after is gone":                {short, "", "", time.Hour, `{"text":"1"}`, `{"text":"2"}`},
		"expire_after is longer":              {short, long, "", 10 * time.Minute, `{"availability":"online","text":"1"}`, `{"availability":"online","text":"2"}`},
		"expire_after is shorter":             {long, short, "", 10 * time.Minute, `{"availability":"offline","text":"1"}`, `{"availability":"online","text":"2"}`},
		"expire_after is new":                 {"", short, "", 10 * time.Minute, `{"availability":"offline","text":"1"}`, `{"availability":"online","text":"2"}`},
		"expire_after is new, and not over":   {"", long, "", 10 * time.Minute, `{"text":"1"}`, `{"availability":"online","text":"2"}`},
		"the topic of one offline is gone":    {lwt, "", "offline", 0, `{"text":"1"}`, `{"text":"2"}`},
		"the topic of one offline is another": {lwt, other, "offline", 0, `{"availability":"online","text":"1"}`, `{"availability":"online","text":"2"}`},
		"the topic of one online is another":  {other, lwt, "offline", 0, `{"availability":"offline","text":"1"}`, `{"availability":"offline","text":"2"}`},
		"expire_after instead of a topic":     {lwt, short, "offline", 0, `{"availability":"offline","text":"1"}`, `{"availability":"online","text":"2"}`},
		"a topic instead of expire_after":     {short, other, "", time.Hour, `{"availability":"online","text":"1"}`, `{"availability":"online","text":"2"}`},
		"nothing of it is another":            {short + lwt, short + lwt + `,"force_update":true`, "online", 10 * time.Minute, `{"availability":"offline","text":"1"}`, `{"availability":"online","text":"2"}`},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			announce := func(more string) {
				h.say("homeassistant/sensor/x/config", `{"name":"A","unique_id":"x","state_topic":"x","dev":{"ids":"d","name":"Desk"}`+more+`}`)
			}
			h.say("homeassistant/sensor/y/config", `{"name":"B","unique_id":"y","state_topic":"y","avty":[{"t":"lwt"},{"t":"other"}],"dev":{"ids":"d","name":"Desk"}}`)
			h.say("other", "online")
			announce(c.before)
			h.say("other", "online")
			h.say("x", "1")
			if c.says != "" {
				h.say("lwt", c.says)
			}
			announce(c.after)
			h.pass(c.silent)
			h.expect("sensor.desk_a", c.want)
			h.say("x", "2")
			h.expect("sensor.desk_a", c.then)
		})
	}
}

// One that has expired is silent for too long until it is heard of, however often it is announced.
func TestWhatHasExpiredIsAnnouncedAnew(t *testing.T) {
	h := newHouse(t)
	announce := func(seconds int) {
		h.say("homeassistant/sensor/x/config", fmt.Sprintf(
			`{"name":"A","unique_id":"x","state_topic":"x","expire_after":%d,"avty_t":"lwt","dev":{"ids":"d","name":"Desk"}}`, seconds))
	}
	announce(60)
	h.say("lwt", "online")
	h.say("x", "1")
	h.pass(time.Hour)
	announce(120)
	h.say("lwt", "online")
	h.expect("sensor.desk_a", `{"availability":"offline","text":"1"}`)
	h.restart()
	h.stored("lwt", "online")
	h.expect("sensor.desk_a", `{"availability":"offline","text":"1"}`)
	h.say("x", "1")
	h.expect("sensor.desk_a", `{"availability":"online","text":"1"}`)
}

func TestOffDelayIsAnnouncedAnew(t *testing.T) {
	h := newHouse(t)
	announce := func(more string) {
		h.say("homeassistant/binary_sensor/x/config", `{"name":"Motion","unique_id":"x","state_topic":"x","dev":{"ids":"d","name":"Hall"}`+more+`}`)
	}
	announce(`,"off_delay":30`)
	h.say("x", "ON")
	announce("")
	h.expectKinds(h.pass(time.Hour), "")
	announce(`,"off_delay":30`)
	h.expectKinds(h.pass(29*time.Second), "")
	h.expectKinds(h.pass(time.Second), "state_changed binary_sensor.hall_motion")
}

func TestABinarySensorThatOnlySaysOn(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/binary_sensor/x/config", `{"name":"Motion","unique_id":"x","state_topic":"x","off_delay":30,"dev":{"ids":"d","name":"Hall"}}`)
	h.say("x", "ON")
	h.pass(20 * time.Second)
	h.say("x", "ON")
	h.expectKinds(h.pass(20*time.Second), "")
	h.expect("binary_sensor.hall_motion", `{"on":true}`)
	h.expectKinds(h.pass(20*time.Second), "state_changed binary_sensor.hall_motion")
	h.expect("binary_sensor.hall_motion", `{"on":false}`)
	h.say("x", "ON")
	h.say("x", "OFF")
	h.expectKinds(h.pass(time.Hour), "")
}

// Whatever scripts a device writes in, its entities have ids that the log takes.
func TestNamesThatIDsCannotSpell(t *testing.T) {
	h := newHouse(t)
	for i, c := range []struct{ name, device, want string }{
		{`null`, `{"ids":"设备","name":"设备"}`, "sensor.unnamed"},
		{`null`, `{"ids":"装置","name":"装置"}`, "sensor.unnamed_2"},
		{`"温度"`, `{"ids":"机器","name":"机器"}`, "sensor.unnamed_t2"},
		{`null`, `{"ids":"a-1","name":"设备"}`, "sensor.a_1"},
	} {
		events := h.say(fmt.Sprintf("homeassistant/sensor/t%d/config", i), `{"name":`+c.name+`,"unique_id":"u","state_topic":"x","dev":`+c.device+`}`)
		got := events[len(events)-1].Entity
		if err := eventstore.CheckEntityID(got); err != nil || got != c.want {
			t.Errorf("%s of %s: %s, not %s, %v", c.name, c.device, got, c.want, err)
		}
	}
}

// An entity of encoding "" sees bytes, beside others that see text.
func TestBytes(t *testing.T) {
	h := newHouse(t)
	for name, encoding := range map[string]string{"raw": "", "text": "utf-8"} {
		h.say("homeassistant/sensor/"+name+"/config", fmt.Sprintf(`{"name":%q,"unique_id":%q,"state_topic":"x","encoding":%q,"dev":{"ids":"d","name":"Desk"},
			"unit_of_measurement":"W","value_template":"{{ value | unpack('>H') if value is not string else value | length }}"}`, name, name, encoding))
	}
	h.say("x", "\xff\xfe")
	h.expect("sensor.desk_raw", `{"number":65534}`)
	h.expect("sensor.desk_text", `{"number":1}`)
	h.say("x", "21")
	h.expect("sensor.desk_raw", `{"number":12849}`)
	h.expect("sensor.desk_text", `{"number":2}`)
}

// What an object of attributes does not speak of any more is gone, and what a component says besides is not.
func TestJSONAttributes(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/sensor/x/config", `{"name":"A","unique_id":"x","state_topic":"x","json_attr_t":"more","dev":{"ids":"d","name":"Desk"}}`)
	h.say("homeassistant/vacuum/v/config", `{"name":"V","unique_id":"v","state_topic":"v","command_topic":"c","json_attr_t":"more","dev":{"ids":"d","name":"Desk"}}`)
	h.say("v", `{"state":"docked","bin":"full"}`)
	h.say("x", "1")
	h.say("more", `{"monday":1,"tuesday":2,"none":null}`)
	h.expect("sensor.desk_a", `{"text":"1","extra":{"monday":1,"tuesday":2}}`)
	h.say("more", `{"tuesday":2,"wednesday":3}`)
	h.expect("sensor.desk_a", `{"text":"1","extra":{"tuesday":2,"wednesday":3}}`)
	h.expect("vacuum.desk_v", `{"activity":"docked","extra":{"bin":"full","monday":1,"tuesday":2,"wednesday":3}}`)
	h.say("more", `["no object"]`)
	h.expect("sensor.desk_a", `{"text":"1","extra":{"tuesday":2,"wednesday":3}}`)
	h.say("more", `{}`)
	h.expect("sensor.desk_a", `{"text":"1"}`)
	h.say("more", `{"monday":1}`)
	h.say("homeassistant/sensor/x/config", `{"name":"A","unique_id":"x","state_topic":"x","dev":{"ids":"d","name":"Desk"}}`)
	h.expect("sensor.desk_a", `{"text":"1"}`)
}

func TestWhatABrokerHadStored(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/sensor/x/config", `{"name":"A","unique_id":"x","state_topic":"x","force_update":true,"dev":{"ids":"d","name":"Desk"}}`)
	h.expectKinds(h.stored("x", "1"), "state_changed sensor.desk_a")
	h.expectKinds(h.stored("x", "1"), "")
	h.expectKinds(h.say("x", "1"), "state_reported sensor.desk_a") // every report counts
	h.say("homeassistant/event/e/config", `{"name":"Bell","unique_id":"e","state_topic":"bell","event_types":["ring"],"dev":{"ids":"d","name":"Desk"}}`)
	h.expectKinds(h.stored("bell", `{"event_type":"ring"}`), "")
	h.expectKinds(h.say("bell", `{"event_type":"ring"}`), "state_changed event.desk_bell")
}

func TestWhatIsHostile(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/sensor/k_t/config", kitchenSensor)
	for _, payload := range []string{"", "{", "[]", "null", `{"name":5}`, `{"uniq_id":"k_t"}`, strings.Repeat("x", 2<<20)} {
		if payload != "" {
			h.expectKinds(h.say("homeassistant/sensor/k_t/config", payload), "")
		}
		h.say("kitchen/t", payload)
	}
	for i := range 2000 {
		h.say(fmt.Sprintf("homeassistant/sensor/many%d/config", i), "{")
	}
	if s := h.Stats(); s.Ignored[dialect.ReasonMalformed] < 2000 || s.Suppressed < 1900 {
		t.Errorf("%+v", s)
	}
	h.say("kitchen/t", "20")
	h.expect("sensor.kitchen_temperature", `{"number":20}`)
}

// Whatever is announced, withdrawn and said, in whatever order: another process that reads the log knows the same.
func TestARestartKnowsTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := newHouse(t)
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			n := rapid.IntRange(0, 3).Draw(rt, "entity")
			device := rapid.IntRange(0, 1).Draw(rt, "device")
			topic := fmt.Sprintf("homeassistant/sensor/s%d/config", n)
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0:
				h.say(topic, "")
			case 1:
				h.say("homeassistant/device/all/config", "")
			case 2:
				h.say("homeassistant/device/all/config", fmt.Sprintf(
					`{"dev":{"ids":"d%d","name":"D"},"o":{"name":"x"},"state_topic":"all","cmps":{"a":{"p":"sensor","unique_id":"u%d"},"b":{"p":"sensor","unique_id":"u9"}}}`, device, n))
			case 3:
				h.say("all", "3")
			default:
				h.say(topic, fmt.Sprintf(`{"name":"N","unique_id":"u%d","state_topic":"t%d","dev":{"ids":"d%d","name":"D"}}`, n, n, device))
			}
		}
		before := h.Engine
		h.restart()
		if err := h.Start(t.Context()); err != nil {
			rt.Fatal(err)
		}
		known := func(e *Engine) []string {
			var all []string
			for unique, it := range e.catalog.items {
				all = append(all, unique+" "+it.text()+" "+strings.Join(it.topics, ","))
			}
			slices.Sort(all)
			return append(all, e.catalog.topicNames()...)
		}
		if diff := cmp.Diff(known(before), known(h.Engine)); diff != "" {
			rt.Fatalf("the process that was there from the start and another one differ (-first +other):\n%s", diff)
		}
		for _, d := range h.memory.Registry.Revision().Devices.All() {
			if len(h.memory.Registry.Revision().DeviceEntities(d.GetId())) == 0 {
				rt.Errorf("device %s has no entities", d.GetId())
			}
		}
	})
}

// topicList is a subscriber that notes what it is asked for.
type topicList struct {
	mu     sync.Mutex
	topics []string
	got    chan struct{}
}

func (l *topicList) Subscribe(topics ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.topics = append(l.topics, topics...)
	l.got <- struct{}{}
}

func TestTopicsAreSubscribedTo(t *testing.T) {
	list := &topicList{got: make(chan struct{}, 10)}
	e := NewEngine(dialecttest.NewMemory(), NewHomeAssistant(HomeAssistantOptions{}), Options{Subscriber: list})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { e.Run(ctx) })
	for _, m := range [][2]string{{"homeassistant/sensor/k_t/config", kitchenSensor}, {"homeassistant/device/d/config", twoInOne}} {
		if err := e.Handle(ctx, mqtt.Message{Topic: m[0], Payload: []byte(m[1]), ReceivedAt: dialecttest.Base}); err != nil {
			t.Fatal(err)
		}
	}
	<-list.got
	stop()
	running.Wait()
	if diff := cmp.Diff([]string{"desk", "kitchen/t"}, list.topics); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAMessageRunsFewTemplatesThatTakeTooLong(t *testing.T) {
	h := newHouse(t)
	var parts []string
	for i := range 200 {
		parts = append(parts, fmt.Sprintf(`"c%d":{"p":"sensor","unique_id":"u%d","value_template":"{%% for a in range(100000) %%}{%% for b in range(1000) %%}{%% endfor %%}{%% endfor %%}%d"}`, i, i, i))
	}
	h.say("homeassistant/device/d/config", `{"dev":{"ids":"d","name":"D"},"o":{"name":"x"},"state_topic":"s","cmps":{"fine":{"p":"sensor","unique_id":"a","name":"Fine"},`+strings.Join(parts, ",")+`}}`)
	h.say("s", "1")
	h.expect("sensor.d_fine", `{"text":"1"}`)
	if s := h.Stats(); s.Ignored[dialect.ReasonMalformed] != 1 {
		t.Errorf("%+v", s)
	}
}

// Of templates that are within their bounds, too, a message runs so many as it may: of those of values, and of availability.
func TestAMessageHasABudget(t *testing.T) {
	const (
		many = 13
		slow = `{% for a in range(90000) %}{% set b = a %}{% endfor %}`
	)
	for key, c := range map[string]struct{ payload, want string }{
		`"state_topic":"s","value_template"`:                                 {"1", `{"text":"1`},
		`"state_topic":"v","availability_topic":"s","availability_template"`: {"online", `{"availability":"online`},
	} {
		h := newHouse(t)
		var parts []string
		for i := range many {
			text := slow + "{{ value }}"
			if c.payload == "1" {
				text += fmt.Sprint(i) // each is another template
			} else {
				text += fmt.Sprintf("{# %d #}", i)
			}
			parts = append(parts, fmt.Sprintf(`"c%d":{"p":"sensor","unique_id":"u%d","name":"N%d",%s:"%s"}`, i, i, i, key, text))
		}
		h.say("homeassistant/device/d/config", `{"dev":{"ids":"d","name":"D"},"o":{"name":"x"},"cmps":{`+strings.Join(parts, ",")+`}}`)
		h.say("s", c.payload)
		said := 0
		for i := range many {
			if strings.HasPrefix(h.shown(fmt.Sprintf("sensor.d_n%d", i)), c.want) {
				said++
			}
		}
		if said == 0 || said == many {
			t.Errorf("%s: %d of %d were run", key, said, many)
		}
	}
}
