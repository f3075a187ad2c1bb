//go:build acceptance

package acceptance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/check"
)

// houseDevices is how many devices acceptance/zigbee2mqtt/house.js makes.
const houseDevices = 35

// rig is everything that runs.
type rig struct {
	mosquitto *mosquitto
	zigbee    *zigbee2mqtt
	observer  *observer
	home      *home
	// commands is how many commands ought to have been sent to devices.
	commands int
	moments  []moment
}

// One house, from the first start to the last look at it. Each step goes on from the one before.
func TestAcceptanceZigbee2MQTT(t *testing.T) {
	m := newMosquitto(t)
	r := &rig{mosquitto: m, zigbee: newZigbee2MQTT(t, m.address), home: newHome(t, m.url())}
	for _, step := range []struct {
		what string
		do   func(t *testing.T)
	}{
		{"everything starts", r.starts},
		{"each device is there once", r.devices},
		{"a device is renamed", r.renames},
		{"a device is removed", r.removes},
		{"commands", r.commandsAreDone},
		{"the daemon is killed", r.killed},
		{"the broker is away", r.brokerAway},
		{"all views agree", r.viewsAgree},
		{"the past is what it was", r.pastStays},
		{"the file is whole", r.wholeFile},
	} {
		t.Logf("== %s", step.what)
		step.do(t)
	}
}

func (r *rig) starts(t *testing.T) {
	r.mosquitto.start(t)
	r.observer = startObserver(t, r.mosquitto.url())
	r.home.start(t)
	r.zigbee.start(t)
}

// remember keeps what the daemon answers now, for the end.
func (r *rig) remember(t *testing.T) {
	t.Helper()
	m := r.home.now(t)
	r.moments = append(r.moments, m)
	t.Logf("   remembered position %d", m.position)
}

func (r *rig) devices(t *testing.T) {
	until(t, fmt.Sprintf("%d devices are there once", houseDevices), func() error {
		r.zigbee.process.gone(t)
		return r.onceEach(t, houseDevices)
	})
	_, entities := r.home.registered(t)
	n := 0
	for _, all := range entities {
		n += len(all)
	}
	topics := 0
	for _, all := range r.observer.announced() {
		topics += len(all)
	}
	t.Logf("   %d entities; %d topics of discovery that make none", n, topics)
	r.remember(t)
	r.zigbee.chatter(t)
	r.home.grows(t, 100)
	r.remember(t)
}

// ids are the ids of entities, sorted.
func ids(entities []*entityv1.Entity) (all []string) {
	for _, e := range entities {
		all = append(all, e.GetId())
	}
	slices.Sort(all)
	return all
}

// address is that of the device that Zigbee2MQTT calls so.
func (r *rig) address(t *testing.T, name string) string {
	t.Helper()
	listed, err := r.observer.devices()
	if err != nil {
		t.Fatal(err)
	}
	for address, d := range listed {
		if d.Name == name {
			return address
		}
	}
	t.Fatalf("there is no device %s", name)
	return ""
}

func (r *rig) renames(t *testing.T) {
	address := r.address(t, "sofa_lamp")
	_, before := r.home.registered(t)
	if name := r.home.states(t)["light.sofa_lamp"].Name; name != "sofa_lamp" {
		t.Fatalf("light.sofa_lamp is called %q", name)
	}
	r.observer.request(t, "device/rename", `{"from":"sofa_lamp","to":"couch_lamp","homeassistant_rename":true}`)
	until(t, "the daemon knows the new name", func() error {
		if err := r.onceEach(t, houseDevices); err != nil {
			return err
		}
		if name := r.home.states(t)["light.sofa_lamp"].Name; name != "couch_lamp" {
			return fmt.Errorf("light.sofa_lamp is called %q", name)
		}
		return nil
	})
	_, after := r.home.registered(t)
	if diff := cmp.Diff(ids(before[address]), ids(after[address])); diff != "" {
		t.Errorf("the ids are others (-before +after):\n%s", diff)
	}
	at := r.home.head(t)
	until(t, "what it reports under the new name arrives", func() error {
		if len(r.home.events(t, eventstore.Query{After: at, Entities: []string{"light.sofa_lamp"}, Kinds: []eventstore.Kind{eventstore.KindStateChanged}})) == 0 {
			return errors.New("light.sofa_lamp does not change")
		}
		return nil
	})
	r.remember(t)
}

func (r *rig) removes(t *testing.T) {
	address := r.address(t, "cellar_climate")
	_, before := r.home.registered(t)
	at := r.home.head(t)
	r.observer.request(t, "device/remove", `{"id":"cellar_climate","force":true}`)
	until(t, "the daemon knows that it is gone", func() error { return r.onceEach(t, houseDevices-1) })
	var gone []string
	for _, e := range r.home.events(t, eventstore.Query{After: at, Kinds: []eventstore.Kind{eventstore.KindEntityUnregistered}}) {
		gone = append(gone, e.Entity)
	}
	slices.Sort(gone)
	if diff := cmp.Diff(ids(before[address]), gone); diff != "" {
		t.Errorf("these are unregistered (-want +got):\n%s", diff)
	}
	for id := range r.home.states(t) {
		if slices.Contains(gone, id) {
			t.Errorf("%s still has a state", id)
		}
	}
	r.remember(t)
}

func (r *rig) commandsAreDone(t *testing.T) {
	lamp := func(words ...string) order {
		return order{entity: "light.desk_lamp", words: words, device: "desk_lamp"}
	}
	half, off := lamp("on", "brightness=50%"), lamp("off")
	half.says, off.says = map[string]any{"state": "ON", "brightness": 127.0}, map[string]any{"state": "OFF"}
	for _, o := range []order{
		half, off,
		{"light.sofa_lamp", []string{"on"}, "couch_lamp", map[string]any{"state": "ON"}},
		{"switch.fridge_plug", []string{"on"}, "fridge_plug", map[string]any{"state": "ON"}},
		{"number.office_radiator_display_brightness", []string{"50"}, "office_radiator", map[string]any{"display_brightness": 50.0}},
		{"select.ceiling_1_power_on_behavior", []string{"previous"}, "ceiling_1", map[string]any{"power_on_behavior": "previous"}},
		{"cover.bedroom_curtain", []string{"70%"}, "bedroom_curtain", map[string]any{"position": 70.0}},
		{"climate.bedroom_radiator", []string{"temperature=21.5"}, "bedroom_radiator", map[string]any{"occupied_heating_setpoint": 21.5}},
		{"fan.starkvind", []string{"on"}, "starkvind", map[string]any{"fan_state": "ON"}},
		// The lock takes the command and says nothing of itself; the other one does not even take it.
		{"lock.front_lock", []string{"lock"}, "front_lock", nil},
		{"number.bath_trv_boost_time", []string{"150"}, "bath_trv", nil},
	} {
		r.give(t, o)
	}
	r.remember(t)
}

func (r *rig) brokerAway(t *testing.T) {
	lamp := order{"light.desk_lamp", []string{"on", "brightness=20%"}, "desk_lamp", map[string]any{"state": "ON", "brightness": 51.0}}
	r.mosquitto.process.stop(t)
	until(t, "the daemon knows that the broker is gone", func() error {
		switch err := r.home.ready(t); {
		case err == nil:
			return errors.New("it is ready")
		case !strings.Contains(err.Error(), "not connected to the MQTT broker"):
			return err
		}
		return nil
	})
	at, mark := r.home.head(t), r.observer.mark()
	_, errs, code := r.set(t, lamp)
	if code == 0 || !strings.Contains(errs, "not connected to the MQTT broker") {
		t.Errorf("a command without a broker: exit code %d, %s", code, errs)
	}
	t.Logf("   exit code %d, %s", code, errs)
	if recorded := r.home.events(t, eventstore.Query{After: at}); len(recorded) > 0 {
		t.Errorf("recorded: %+v", recorded)
	}
	r.mosquitto.start(t)
	until(t, "the daemon is back", func() error { return r.home.ready(t) })
	until(t, "the observer is back", r.observer.connected)
	until(t, "Zigbee2MQTT is back", func() error {
		for _, m := range r.observer.since(mark) {
			if _, device, ok := strings.Cut(m.topic, "zigbee2mqtt/"); ok && !m.retained && !strings.Contains(device, "/") {
				return nil
			}
		}
		return errors.New("no device has reported")
	})
	r.home.grows(t, 50)
	until(t, "the lamp is available", func() error {
		if st := r.home.states(t)["light.desk_lamp"]; st.Text == "unavailable" {
			return errors.New("light.desk_lamp is unavailable")
		}
		return nil
	})
	if sets := r.observer.sets(mark); len(sets) > 0 {
		t.Errorf("sent when the broker was back: %q", sets)
	}
	r.give(t, lamp)
	r.remember(t)
}

func (r *rig) viewsAgree(t *testing.T) {
	r.zigbee.chatter(t)
	r.zigbee.process.stop(t)
	until(t, "everything is unavailable without Zigbee2MQTT", func() error {
		if st := r.home.states(t)["light.desk_lamp"]; st.Text != "unavailable" {
			return fmt.Errorf("light.desk_lamp is %s", st.Text)
		}
		return nil
	})
	r.remember(t)
	stored := r.zigbee.states(t)
	r.zigbee.start(t)
	until(t, "Zigbee2MQTT's file, what it published, and the daemon agree", func() error { return r.agree(t, stored) })
	until(t, "the daemon and the fold of its log agree", func() error { return r.isFold(t) })
	until(t, "each device is there once", func() error { return r.onceEach(t, houseDevices-1) })
	if sets := r.observer.sets(0); len(sets) != r.commands {
		t.Errorf("%d commands were given, and these were sent:\n%s", r.commands, strings.Join(sets, "\n"))
	}
	t.Logf("   %d commands were given, and each was sent once", r.commands)
	r.remember(t)
}

func (r *rig) pastStays(t *testing.T) {
	for _, m := range r.moments {
		if diff := cmp.Diff(m, r.home.at(t, m.position), cmp.AllowUnexported(moment{})); diff != "" {
			t.Errorf("position %d is not what it was (-then +now):\n%s", m.position, diff)
		}
	}
	t.Logf("   %d moments answer as they did when they were the present", len(r.moments))
}

func (r *rig) wholeFile(t *testing.T) {
	out, errs, code := r.home.cli(t, "verify")
	if code != 0 {
		t.Errorf("verify: exit code %d, %s%s", code, out, errs)
	}
	t.Logf("   %s", strings.TrimSpace(out))
	if err := r.home.program.Stop(); err != nil {
		t.Error(err)
	}
	house, err := statehouse.OpenContext(t.Context(), r.home.db, statehouse.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = house.Close() }()
	if err := check.House(t.Context(), house); err != nil {
		t.Error(err)
	}
	t.Logf("   check.House at position %d", house.Now().Position())
}
