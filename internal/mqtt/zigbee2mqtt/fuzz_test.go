package zigbee2mqtt

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// expectRecordable checks that the log would take the events: one that it refuses takes its whole batch along.
func (b *bench) expectRecordable() {
	b.Helper()
	for _, e := range b.house.Events {
		if e.Entity != "" && eventstore.CheckEntityID(e.Entity) != nil || len(e.Source) > eventstore.MaxName {
			b.Errorf("%v", e)
		}
		if data, err := proto.Marshal(e.Payload); err != nil || len(data) > eventstore.MaxEventBytes {
			b.Errorf("%d bytes, %v: %v", len(data), err, e)
		}
	}
	if err := b.house.Cache.CheckMutations(); err != nil {
		b.Error(err)
	}
}

func FuzzHandle(f *testing.F) {
	f.Add("zigbee2mqtt/x", []byte(`{"state":"ON","brightness":7,"temperature":null,"action":"hold","last_seen":5}`), false)
	f.Add("zigbee2mqtt/x/availability", []byte(`{"state":"offline"}`), true)
	f.Add("zigbee2mqtt/x/availability", []byte(`offline`), true)
	f.Add("zigbee2mqtt/x/action", []byte(`hold`), false)
	f.Add("zigbee2mqtt/bridge/devices", []byte("["+device("0x1", "y", exposeLight)+"]"), true)
	f.Add("zigbee2mqtt/bridge/groups", []byte(`[{"id":1,"members":[{"ieee_address":"0x1"}]}]`), false)
	f.Add("zigbee2mqtt/bridge/info", []byte(`{"version":1}`), false)
	f.Add("zigbee2mqtt/bridge/state", []byte(`offline`), false)
	f.Fuzz(func(t *testing.T, topic string, payload []byte, retained bool) {
		b := newBench(t, Options{})
		b.lists(device("0x1", "x", exposeLight, exposeTemperature, exposeAction), device("0x2", "", exposeSwitch))
		for range 2 {
			b.message(mqtt.Message{Topic: topic, Payload: payload, Retained: retained, ReceivedAt: base})
		}
		b.expectRecordable()
		if s := b.Stats(); s.Received != 4 {
			t.Errorf("%+v", s)
		}
	})
}

// FuzzLists: a list that is said again says nothing new, and neither does one that the other list follows.
func FuzzLists(f *testing.F) {
	for _, list := range []string{
		device("0x2", "y", exposeLight, exposeAction, exposeQuality), `{"ieee_address":"0x1","friendly_name":"x","definition":null}`,
		device("0x1", "bridge", exposeTemperature) + "," + device("0x2", "bridge", exposeTemperature, exposeTemperature),
		device("0x3", "a/b", `{"type":"climate","features":[{"name":"local_temperature","property":"t","access":1}]}`, `{"type":"fan","features":[`+exposeState+`]}`,
			`{"type":"cover","endpoint":"l","features":[{"name":"position","property":"p","access":7}]}`, `{"type":"lock","features":[`+exposeState+`]}`,
			`{"type":"composite","name":"warning","property":"w","access":2,"features":[{"name":"mode","values":["stop"]}]}`),
	} {
		f.Add([]byte("["+list+"]"), []byte(`[{"id":1,"friendly_name":"x","members":[{"ieee_address":"0x1"},{"ieee_address":"0x2"}]},{"id":2}]`))
	}
	f.Fuzz(func(t *testing.T, devices, groups []byte) {
		b := newBench(t, Options{})
		b.lists(device("0x1", "x", exposeLight, exposeTemperature))
		say := func() int {
			before := len(b.house.Events)
			b.say("zigbee2mqtt/bridge/devices", string(devices))
			b.say("zigbee2mqtt/bridge/groups", string(groups))
			return len(b.house.Events) - before
		}
		say()
		if n := say(); n != 0 {
			t.Errorf("%d events the second time: %s", n, kinds(b.house.Events[len(b.house.Events)-n:]))
		}
		b.expectRecordable()
	})
}

// FuzzReport: a report that is said again changes nothing, and neither does one that the broker stored.
func FuzzReport(f *testing.F) {
	exposes := []string{exposeLight, exposeTemperature, exposeHumidity, `{"type":"enum","name":"mode","property":"mode","access":7,"values":["a","b"]}`,
		`{"type":"climate","features":[{"name":"local_temperature","property":"t","access":1},{"name":"system_mode","property":"m","access":7}]}`,
		`{"type":"cover","features":[{"name":"position","property":"p","access":7},{"name":"state","property":"c","access":7}]}`,
		`{"type":"lock","features":[{"name":"state","property":"l","access":7,"value_on":"LOCK","value_off":"UNLOCK"}]}`,
		`{"type":"fan","features":[{"name":"state","property":"f","access":7,"value_on":"ON"},{"name":"mode","property":"fm","access":7,"values":["low"]}]}`}
	definition := device("0x1", "x", exposes...)
	definition = definition[:len(definition)-2] + `,"supports_ota":true}}`
	for _, seed := range []string{
		`{"state":"ON","brightness":7,"temperature":1.5,"humidity":null,"mode":"a","t":20,"m":"heat","p":50,"c":"OPEN","l":"LOCK","f":"ON","fm":"low"}`,
		`{"update":{"state":"idle","installed_version":-1},"color":{"x":0.1,"y":0.2},"color_mode":"xy","unheard":[1e400],"last_seen":"2026-11-23T01:45:00Z"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		b := newBench(t, Options{})
		b.lists(definition)
		b.say("zigbee2mqtt/x", string(payload))
		for name, say := range map[string]func(string, string) []eventstore.Event{"said": b.say, "stored": b.stored} {
			if events := say("zigbee2mqtt/x", string(payload)); len(events) > 0 {
				t.Errorf("%s again: %s", name, kinds(events))
			}
		}
		b.expectRecordable()
	})
}

// FuzzAvailability: availability that is said again says nothing new, be it a device's or the bridge's.
func FuzzAvailability(f *testing.F) {
	for _, seed := range []string{`online`, `"offline"`, ` {"state":"online"} `, `{"state":{}}`, `{`, ``, "\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		b := newBench(t, Options{})
		b.lists(device("0x1", "x", exposeTemperature))
		for _, topic := range []string{"zigbee2mqtt/x/availability", "zigbee2mqtt/bridge/state", "zigbee2mqtt/x/availability"} {
			b.say(topic, string(payload))
			if events := b.say(topic, string(payload)); len(events) > 0 {
				t.Errorf("%s again: %s", topic, kinds(events))
			}
		}
		b.expectRecordable()
	})
}
