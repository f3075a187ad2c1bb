package daemon

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/dispatch"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/client"
	"github.com/statehouse/statehouse/state"
)

// device is a thing at the daemon's broker: it publishes, and does what it is told.
type device struct {
	*client.Client
	got chan mqtt.Message
}

// Filters implements [mqtt.Handler].
func (d *device) Filters() []string {
	return []string{"esp/#", "tele/#", "cmnd/#", "shellyplus1pm-aabbccddeeff/rpc"}
}

// Handle implements [mqtt.Handler].
func (d *device) Handle(_ context.Context, m mqtt.Message) error {
	if !m.Retained {
		d.got <- m
	}
	return nil
}

func connect(t *testing.T, at *Daemon) *device {
	t.Helper()
	d := &device{got: make(chan mqtt.Message, 100)}
	c, err := client.New(client.Options{Endpoint: client.Endpoint{URL: at.MQTTURL()}, Handler: d, ClientID: "things", StatusTopic: "things/status"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = c.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	d.Client = c
	subscribed(at, "things/status")
	return d
}

// subscribed waits until the client with that status topic is: it says so after the broker has acknowledged its subscriptions.
func subscribed(at *Daemon, statusTopic string) {
	for {
		if m, ok := at.broker.Load().RetainedOn(statusTopic); ok && string(m.Payload) == statusOnline {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func (d *device) say(t *testing.T, topic, payload string, retain bool) {
	t.Helper()
	if err := d.Publish(t.Context(), mqtt.Publication{Topic: topic, Payload: []byte(payload), QoS: 1, Retain: retain}); err != nil {
		t.Fatal(err)
	}
}

// A thing of each ecosystem announces itself at the embedded broker, says how it is, is told to do something, and does it.
func TestThingsOfEveryEcosystem(t *testing.T) {
	cfg := testConfig(t)
	cfg.Devices = []Device{{Topic: "garden/pump", Entities: []map[string]any{
		{"component": "switch", "name": "Pump", "state_topic": "~", "command_topic": "cmnd/pump"},
	}}}
	cfg.MQTT.Ignore = []string{"esp/ignored"}
	d, err := Start(t.Context(), cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	things := connect(t, d)
	// The state is retained before anybody knows what it is.
	things.say(t, "esp/relay/state", "OFF", true)
	things.say(t, "esp/ignored", "ON", false)
	things.say(t, "homeassistant/switch/esp/relay/config", `{"name":"Relay","stat_t":"esp/relay/state","cmd_t":"esp/relay/command","uniq_id":"esp1","dev":{"ids":"esp","name":"Esp"}}`, true)
	things.say(t, "homeassistant/switch/zigbee/lamp/config", `{"name":"Lamp","stat_t":"zigbee2mqtt/lamp","uniq_id":"z","dev":{"ids":"z","name":"Covered"}}`, true)
	things.say(t, "tasmota/discovery/00000049A3BC/config", tasmotaPlug, true)
	things.say(t, "shellyplus1pm-aabbccddeeff/online", "true", true)
	things.say(t, "shellyplus1pm-aabbccddeeff/status/switch:0", `{"id":0,"source":"MQTT","output":false,"apower":0.0}`, false)
	for _, thing := range []struct{ entity, commandTopic, payload, stateTopic, state string }{
		{"switch.esp_relay", "esp/relay/command", "ON", "esp/relay/state", "ON"},
		{"switch.kettle_plug", "cmnd/tasmota_49A3BC/POWER1", "ON", "stat/tasmota_49A3BC/RESULT", `{"POWER":"ON"}`},
		{"switch.shellyplus1pm_aabbccddeeff", "shellyplus1pm-aabbccddeeff/rpc", `"on":true`, "shellyplus1pm-aabbccddeeff/status/switch:0", `{"id":0,"output":true,"apower":40.5}`},
		{"switch.pump", "cmnd/pump", "ON", "garden/pump", "ON"},
	} {
		waitFor(t, d, thing.entity, func(_ state.State, ok bool) bool { return ok })
		var calling sync.WaitGroup
		calling.Go(func() {
			result, err := d.dispatcher.Load().Call(t.Context(), dispatch.Call{
				Request: command.Request{Entity: thing.entity, Action: "turn_on"}, Wait: true, Timeout: time.Minute,
			})
			if err != nil || result.Outcome != eventv1.CommandOutcome_COMMAND_OUTCOME_CONFIRMED {
				t.Errorf("%s: %+v, %v", thing.entity, result, err)
			}
		})
		for m := range things.got {
			if strings.EqualFold(strings.TrimSuffix(m.Topic, "1"), strings.TrimSuffix(thing.commandTopic, "1")) {
				if !strings.Contains(string(m.Payload), thing.payload) {
					t.Errorf("%s: %s", m.Topic, m.Payload)
				}
				break
			}
		}
		things.say(t, thing.stateTopic, thing.state, false)
		calling.Wait()
	}
	for id := range d.house.Now().Registry.Entities.All() {
		if strings.Contains(id, "covered") {
			t.Errorf("%s is there, though the other dialect has it", id)
		}
	}
	claims := d.intake.Load().claims(d.house.Now().Registry, "esp/relay/state")
	if len(claims) != 1 || !slices.Equal(claims[0].Entities, []string{"switch.esp_relay"}) {
		t.Errorf("%+v", claims)
	}
	if n := d.intake.Load().dropped.Load(); n != 1 {
		t.Errorf("%d ignored", n)
	}
}

const tasmotaPlug = `{"ip":"192.168.15.10","dn":"Kettle plug","fn":["Kettle",null],"hn":"tasmota-49A3BC-0956","mac":"00000049A3BC","md":"Athom Plug V2","ty":0,"if":0,"ofln":"Offline","onln":"Online","state":["OFF","ON","TOGGLE","HOLD"],"sw":"15.0.1","t":"tasmota_49A3BC","ft":"%prefix%/%topic%/","tp":["cmnd","stat","tele"],"rl":[1,0],"swc":[-1],"swn":[null],"btn":[0],"so":{"4":0},"lk":0,"lt_st":0,"sho":[],"ver":1}`

// waitFor waits until the state of an entity is as it should be.
func waitFor(t *testing.T, d *Daemon, id string, is func(s state.State, ok bool) bool) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	for _, err := range d.house.Subscribe(ctx, eventstore.Query{After: eventstore.FromStart}) {
		if err != nil {
			break
		}
		if s, ok := d.house.Now().State.Get(id); is(s, ok) {
			return
		}
	}
	t.Fatalf("%s is not as it should be; there are %q", id, slices.Sorted(maps.Keys(maps.Collect(d.house.Now().Registry.Entities.All()))))
}

// Devices that announce themselves unretained wait for somebody who says that it is there.
func TestTheBirthOfMQTTDiscovery(t *testing.T) {
	d, err := Start(t.Context(), testConfig(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	url := d.MQTTURL()
	seen := make(chan mqtt.Message, 10)
	own := testConfig(t)
	own.MQTT = MQTT{Broker: Broker{URL: url}}
	listener, err := client.New(client.Options{
		Endpoint: client.Endpoint{URL: url}, Handler: births{seen}, ClientID: "listener", StatusTopic: "listener/status",
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = listener.Run(ctx) })
	subscribed(d, "listener/status")
	second, err := Start(t.Context(), own, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if m := <-seen; m.Topic != "homeassistant/status" || string(m.Payload) != "online" || m.Retained {
		t.Errorf("%+v", m)
	}
	stop()
	running.Wait()
	if err := errors.Join(second.Close(), d.Close()); err != nil {
		t.Error(err)
	}
}

// births notes who says that it listens to MQTT discovery.
type births struct{ seen chan mqtt.Message }

// Filters implements [mqtt.Handler].
func (births) Filters() []string { return []string{"homeassistant/status"} }

// Handle implements [mqtt.Handler].
func (b births) Handle(_ context.Context, m mqtt.Message) error {
	b.seen <- m
	return nil
}
