package discovery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect/dialecttest"
)

// fetched is a message that was looked up in the embedded broker.
func (h *house) fetched(topic, payload string) []eventstore.Event {
	h.Helper()
	return h.message(mqtt.Message{Topic: topic, Payload: []byte(payload), Retained: true, Fetched: true})
}

const deskSensor = `{"name":"A","unique_id":"a","state_topic":"s","dev":{"ids":"d","name":"Desk"}}`

// What is retained is not recorded after what is newer; whoever has heard nothing yet takes it.
func TestWhatIsFetchedIsOvertaken(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/sensor/a/config", deskSensor)
	h.say("s", "2")
	h.expectKinds(h.fetched("s", "1"), "")
	h.expect("sensor.desk_a", `{"text":"2"}`)
	h.say("homeassistant/sensor/b/config", strings.NewReplacer(`"A"`, `"B"`, `"a"`, `"b"`).Replace(deskSensor))
	h.expectKinds(h.fetched("s", "1"), "state_changed sensor.desk_b")
	h.expect("sensor.desk_a", `{"text":"2"}`)
	h.expect("sensor.desk_b", `{"text":"1"}`)
	h.expectKinds(h.fetched("s", "3"), "state_changed sensor.desk_b") // it has only what was stored
	h.expect("sensor.desk_a", `{"text":"2"}`)
	// Another broker sends it in its place: it is news.
	h.expectKinds(h.stored("s", "4"), "state_changed sensor.desk_a, state_changed sensor.desk_b")
}

// meanwhile is a house at which something happens just before a decision is made.
type meanwhile struct {
	*dialecttest.Memory
	happens func()
}

func (m *meanwhile) Decide(ctx context.Context, decide func(statehouse.Pending) ([]eventstore.Event, error)) (eventstore.Span, error) {
	if happens := m.happens; happens != nil {
		m.happens = nil
		happens()
	}
	return m.Memory.Decide(ctx, decide)
}

// It does not matter when what is newer comes: also after the templates of what was fetched were run.
func TestWhatIsFetchedIsOvertakenOnItsWay(t *testing.T) {
	for _, change := range []string{"", strings.Replace(deskSensor, `"A"`, `"Other"`, 1)} {
		h := newHouse(t)
		house := &meanwhile{Memory: h.memory}
		h.Engine = NewEngine(house, NewHomeAssistant(HomeAssistantOptions{}), Options{})
		h.say("homeassistant/sensor/a/config", deskSensor)
		house.happens = func() {
			if change != "" { // and the entity is another one
				h.say("homeassistant/sensor/a/config", change)
			}
			h.say("s", "2")
		}
		h.fetched("s", "1")
		h.expect("sensor.desk_a", `{"text":"2"}`)
	}
}

// An entity that is announced while a message is under way has heard it, since it is recorded.
func TestAnEntityThatIsReplacedHasHeardWhatIsUnderWay(t *testing.T) {
	for _, change := range []string{`"name":"Other"`, `"name":"A","value_template":"{{ value }}"`} {
		h := newHouse(t)
		house := &meanwhile{Memory: h.memory}
		h.Engine = NewEngine(house, NewHomeAssistant(HomeAssistantOptions{}), Options{})
		h.say("homeassistant/sensor/a/config", deskSensor)
		h.say("s", "0")
		house.happens = func() { h.say("homeassistant/sensor/a/config", strings.Replace(deskSensor, `"name":"A"`, change, 1)) }
		h.say("s", "2")
		h.fetched("s", "1")
		h.expect("sensor.desk_a", `{"text":"2"}`)
	}
}

// An entity that is only called otherwise has heard what it heard; one that is read otherwise takes what is retained.
func TestWhoHasHeardAfterAnotherAnnouncement(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/sensor/a/config", deskSensor)
	h.say("s", "2")
	h.say("homeassistant/sensor/a/config", strings.Replace(deskSensor, `"A"`, `"Other"`, 1))
	h.fetched("s", "1")
	h.expect("sensor.desk_a", `{"text":"2"}`)
	h.say("homeassistant/sensor/a/config", strings.Replace(deskSensor, `"state_topic"`, `"value_template":"v{{ value }}","state_topic"`, 1))
	h.fetched("s", "1")
	h.expect("sensor.desk_a", `{"text":"v1"}`)
}

// A message that says nothing to an entity overtakes nothing that does.
func TestWhatSaysNothingOvertakesNothing(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/device/d/config", twoInOne)
	h.say("desk", `{"b":3}`)
	h.fetched("desk", `{"a":1,"b":2}`)
	h.expect("sensor.desk_a", `{"text":"1"}`)
	h.expect("sensor.desk_b", `{"text":"3"}`)
}

// Nor does one that cannot be understood.
func TestWhatIsNonsenseOvertakesNothing(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/sensor/k_t/config", kitchenSensor)
	h.say("kitchen/t", "warm")
	h.fetched("kitchen/t", "21.5")
	h.expect("sensor.kitchen_temperature", `{"number":21.5}`)
}

// What is retained on a topic of availability is not the last word there after one that was said, and no later one than it was.
func TestWhatIsFetchedIsNotTheLastWord(t *testing.T) {
	h := newHouse(t)
	one := `{"name":"A","unique_id":"a","state_topic":"s","dev":{"ids":"d","name":"Desk"},"avty":[{"t":"one"},{"t":"two"}]}`
	h.say("homeassistant/sensor/a/config", one)
	h.fetched("one", "offline")
	h.say("two", "online")
	h.expect("sensor.desk_a", `{"availability":"online"}`)
	h.fetched("one", "offline") // for another entity
	h.expect("sensor.desk_a", `{"availability":"online"}`)
	h.fetched("two", "offline")
	h.expect("sensor.desk_a", `{"availability":"online"}`)
	// Whoever comes later hears the last word, and so does one that is announced otherwise.
	other := strings.NewReplacer(`"A"`, `"B"`, `"a"`, `"b"`, `{"t":"one"},`, "").Replace(one)
	for _, config := range []string{other, strings.Replace(other, `"s"`, `"s2"`, 1)} {
		h.say("homeassistant/sensor/b/config", config)
		h.fetched("two", "offline")
		h.expect("sensor.desk_b", `{"availability":"online"}`)
	}
	h.say("two", "offline")
	h.expect("sensor.desk_b", `{"availability":"offline"}`)
}

// Another broker sends what it has stored anew on each connection, in an order of its own.
func TestWhatIsStoredIsNoLaterWord(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/sensor/a/config", `{"name":"A","unique_id":"a","state_topic":"s","dev":{"ids":"d","name":"Desk"},"avty":[{"t":"one"},{"t":"two"}]}`)
	h.say("one", "offline")
	h.say("two", "online")
	h.stored("two", "online")
	h.stored("one", "offline")
	h.expect("sensor.desk_a", `{"availability":"online"}`)
	h.stored("two", "offline") // it went meanwhile
	h.expect("sensor.desk_a", `{"availability":"offline"}`)
}

// A word that is too long to be kept is not known to whoever comes later, who takes what is retained.
func TestALongWordIsFetched(t *testing.T) {
	h := newHouse(t)
	one := `{"name":"A","unique_id":"a","state_topic":"s","dev":{"ids":"d","name":"Desk"},"avty":[{"t":"one","value_template":"{{ value_json.at }}","pl_avail":"home"}]}`
	h.say("homeassistant/sensor/a/config", one)
	h.say("one", `{"at":"offline"}`)
	long := `{"at":"home","log":"` + strings.Repeat("x", maxReachPayload) + `"}`
	h.say("one", long)
	h.expect("sensor.desk_a", `{"availability":"online"}`)
	h.say("homeassistant/sensor/b/config", strings.NewReplacer(`"A"`, `"B"`, `"a"`, `"b"`, `,"pl_avail":"home"`, `,"pl_avail":"home","pl_not_avail":"away"`).Replace(one))
	h.expect("sensor.desk_b", `{}`)
	h.fetched("one", long)
	h.expect("sensor.desk_b", `{"availability":"online"}`)
}

// The only entity of a topic of availability is announced otherwise: what was said there is known still.
func TestAvailabilityOutlivesAnotherAnnouncement(t *testing.T) {
	h := newHouse(t)
	one := `{"name":"A","unique_id":"a","state_topic":"s","dev":{"ids":"d","name":"Desk"},"avty_t":"one"}`
	h.say("homeassistant/sensor/a/config", one)
	h.say("one", "online")
	h.say("homeassistant/sensor/a/config", strings.Replace(one, `"s"`, `"s2"`, 1))
	h.fetched("one", "offline")
	h.expect("sensor.desk_a", `{"availability":"online"}`)
}

// What the log did not take is taken when it comes again, though it is the same.
func TestWhatIsStoredComesAgainIfItCouldNotBeRecorded(t *testing.T) {
	for _, fetched := range []bool{true, false} {
		h := newHouse(t)
		h.say("homeassistant/sensor/a/config", deskSensor)
		m := mqtt.Message{Topic: "s", Payload: []byte("1"), Retained: true, Fetched: fetched, ReceivedAt: h.now}
		h.memory.Fail = errors.New("the disk is full")
		if h.Handle(t.Context(), m) == nil {
			t.Fatal("it must not be acknowledged")
		}
		h.memory.Fail = nil
		if err := h.Handle(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		h.expect("sensor.desk_a", `{"text":"1"}`)
	}
}

// What is retained is taken in once: it is no news for an entity when it comes again for another one.
func TestWhatIsFetchedAgainIsNoNews(t *testing.T) {
	h := newHouse(t)
	motion := `{"name":"Motion","unique_id":"a","state_topic":"m","off_delay":30,"dev":{"ids":"d","name":"Hall"}}`
	h.say("homeassistant/binary_sensor/a/config", motion)
	h.fetched("m", "ON")
	h.pass(time.Minute)
	h.expect("binary_sensor.hall_motion", `{"on":false}`)
	h.say("homeassistant/binary_sensor/b/config", strings.NewReplacer("Motion", "Same", `"a"`, `"b"`).Replace(motion))
	h.expectKinds(h.fetched("m", "ON"), "state_changed binary_sensor.hall_same")
	h.expect("binary_sensor.hall_motion", `{"on":false}`)
}

// What is fetched announces nothing: it did when it came.
func TestWhatIsFetchedAnnouncesNothing(t *testing.T) {
	h := newHouse(t)
	h.say("homeassistant/sensor/a/config", strings.Replace(deskSensor, `"s"`, `"homeassistant/sensor/a/config"`, 1))
	h.expectKinds(h.fetched("homeassistant/sensor/a/config", strings.Replace(deskSensor, "Desk", "Table", 1)), "")
}

// Whatever is announced, said and fetched, in whatever order, and however old what is fetched is by then: an entity is what was said last
// since it came, and before anything was said what was fetched last.
func TestWhatIsFetchedAtAnyTime(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := newHouse(t)
		type entity struct{ want, fresh string }
		var entities [3]*entity
		var held []string // what was read of the broker and is on its way
		retained := ""
		for step := range rapid.IntRange(1, 40).Draw(rt, "steps") {
			n := rapid.IntRange(0, len(entities)-1).Draw(rt, "entity")
			topic := fmt.Sprintf("homeassistant/sensor/e%d/config", n)
			config := func(name string) string {
				return fmt.Sprintf(`{"name":"%s","unique_id":"e%d","state_topic":"s","dev":{"ids":"d%d","name":"D%d"}}`, name, n, n, n)
			}
			switch rapid.IntRange(0, 6).Draw(rt, "what") {
			case 0:
				h.say(topic, config("N"))
				if entities[n] == nil {
					entities[n] = &entity{}
				}
			case 1:
				if entities[n] != nil {
					h.say(topic, config(fmt.Sprintf("N%d", step)))
				}
			case 2:
				h.say(topic, "")
				entities[n] = nil
			case 3, 4:
				value := fmt.Sprint("v", step)
				if rapid.Bool().Draw(rt, "retain") {
					retained = value
				}
				h.say("s", value)
				for _, e := range entities {
					if e != nil {
						e.want, e.fresh = value, value
					}
				}
			case 5:
				if retained != "" {
					held = append(held, retained)
				}
			default:
				if len(held) == 0 {
					continue
				}
				h.fetched("s", held[0])
				for _, e := range entities {
					if e != nil && e.fresh == "" {
						e.want = held[0]
					}
				}
				held = held[1:]
			}
			for n, e := range entities {
				if e == nil {
					continue
				}
				entry, ok := h.memory.Registry.Revision().EntityByUniqueID(fmt.Sprintf("homeassistant/default/d%d/sensor/e%d", n, n))
				if !ok {
					rt.Fatalf("step %d: entity %d is not there", step, n)
				}
				st, _ := h.memory.Cache.Get(entry.GetId())
				if got := st.Attributes.GetSensor().GetText(); got != e.want {
					rt.Fatalf("step %d: entity %d is %q, want %q", step, n, got, e.want)
				}
			}
		}
	})
}

// A disabled entity takes nothing in, so that it takes what is retained once it is enabled, when that comes again: on another connection,
// or since it is announced again. The others on its topic have had it.
func TestEnabledLater(t *testing.T) {
	for _, fetched := range []bool{true, false} {
		h := newHouse(t)
		get := h.stored
		if fetched {
			get = h.fetched
		}
		config := strings.Replace(deskSensor, `"name":"A"`, `"name":"A","enabled_by_default":false`, 1)
		h.say("homeassistant/sensor/a/config", config)
		h.say("homeassistant/sensor/b/config", strings.NewReplacer(`"A"`, `"B"`, `"a"`, `"b"`).Replace(deskSensor))
		h.expectKinds(get("s", "1"), "state_changed sensor.desk_b")
		_, err := h.memory.Decide(t.Context(), func(p statehouse.Pending) ([]eventstore.Event, error) {
			e, _ := p.Entity("sensor.desk_a")
			e = proto.CloneOf(e)
			e.UserDisabled = proto.Bool(false)
			return []eventstore.Event{{Timestamp: h.now, Entity: e.GetId(), Source: "user", Payload: &eventv1.Payload{
				Kind: &eventv1.Payload_EntityRegistered{EntityRegistered: &eventv1.EntityRegistered{Entity: e}},
			}}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		h.say("homeassistant/sensor/a/config", config)
		h.expectKinds(get("s", "1"), "state_changed sensor.desk_a")
		h.expectKinds(get("s", "1"), "")
	}
}
