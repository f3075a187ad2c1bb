package zigbee2mqtt

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTwoOfOneHouseDoNotCollide(t *testing.T) {
	b := newBench(t, Options{Broker: "a", BaseTopic: "b/c"})
	for _, other := range []Options{{Broker: "a/b", BaseTopic: "c"}, {Broker: "a", BaseTopic: "b%2Fc"}, {}, {Broker: strings.Repeat("x", 300)}, {Broker: strings.Repeat("x", 301)}} {
		d := New(b.house, other)
		if d.Source() == b.Source() || len(d.Source()) > 200 {
			t.Errorf("source %q", d.Source())
		}
		list := "[" + device("0x1", "x", exposeTemperature) + "]"
		for _, d := range []*Dialect{b.Dialect, d} {
			if err := d.Handle(t.Context(), mqtt.Message{Topic: d.opts.BaseTopic + "/bridge/devices", Payload: []byte(list), ReceivedAt: base}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := b.Filters(); !slices.Equal(got, []string{"b/c/#"}) {
		t.Error(got)
	}
	all := slices.DeleteFunc(b.ids(), func(id string) bool { return !strings.HasPrefix(id, "sensor.x_temperature") })
	if len(all) != 6 {
		t.Errorf("%q", all)
	}
}

func TestWhatTheHouseRefusesIsNotAccepted(t *testing.T) {
	b := newBench(t, Options{})
	list := "[" + device("0x1", "x", exposeTemperature) + "]"
	handle := func(topic, payload string) error {
		return b.Handle(t.Context(), message(topic, payload))
	}
	b.house.Fail = errBroken
	for topic, payload := range map[string]string{
		"zigbee2mqtt/x": `{}`, "zigbee2mqtt/bridge/devices": list, "zigbee2mqtt/bridge/groups": `[]`,
		"zigbee2mqtt/bridge/state": "online", "zigbee2mqtt/bridge/info": `{}`,
	} {
		if err := handle(topic, payload); !errors.Is(err, errBroken) {
			t.Errorf("%s: %v", topic, err)
		}
	}
	b.house.Fail = nil
	b.say("zigbee2mqtt/x", `{"temperature":1}`)
	b.house.Fail = errBroken
	if err := handle("zigbee2mqtt/bridge/devices", list); !errors.Is(err, errBroken) || b.Stats().Waiting != 1 {
		t.Errorf("%v, %+v", err, b.Stats())
	}
	b.house.Fail = nil
	b.say("zigbee2mqtt/bridge/devices", list)
	b.expect("sensor.x_temperature", `{"number":1}`)
	for _, refused := range []error{eventstore.ErrTooLarge, eventstore.ErrInvalid} {
		b.house.Fail = refused
		b.say("zigbee2mqtt/x", `{"temperature":2}`)
	}
	if s := b.Stats(); s.Ignored[dialect.ReasonTooLarge] != 1 || s.Ignored[dialect.ReasonMalformed] != 1 {
		t.Errorf("%+v", s)
	}
}

func TestPublishersAtOnce(t *testing.T) {
	b := newBench(t, Options{})
	b.house.Once = true
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := range 100 {
				topic, payload := fmt.Sprintf("zigbee2mqtt/x%d", n), fmt.Sprintf(`{"temperature":%d}`, i)
				switch {
				case i%10 == 0 && n == 0:
					topic, payload = "zigbee2mqtt/bridge/devices", "["+device("0x0", "x0", exposeTemperature)+","+device("0x1", "x1", exposeTemperature)+"]"
				case i == 50:
					topic, payload = "zigbee2mqtt/bridge/groups", "[]"
				}
				if err := b.Handle(t.Context(), mqtt.Message{Topic: topic, Payload: []byte(payload), ReceivedAt: base}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.expect("sensor.x0_temperature", `{"number":99}`)
	b.expect("sensor.x1_temperature", `{"number":99}`)
}
