package zigbee2mqtt

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// target is an entity that is to do something, as it is now.
func (b *bench) target(id string) dialect.Target {
	b.Helper()
	r := b.house.Registry.Revision()
	e, ok := r.Entity(id)
	if !ok {
		b.Fatalf("there is no %s", id)
	}
	d, _ := r.Device(e.GetDeviceId())
	st, _ := b.house.Cache.Get(id)
	a := st.Attributes
	if a == nil {
		a = &entityv1.Attributes{}
	}
	return dialect.Target{Entity: e, Device: d, State: a}
}

// ask is what is published for an entity to do what the words say, a line each.
func (b *bench) ask(id, words string) (string, command.Checked) {
	b.Helper()
	request, err := command.ParseWords(id, strings.Fields(words))
	if err != nil {
		b.Fatal(err)
	}
	t := b.target(id)
	c, err := command.Check(request, t.Entity, t.State)
	if err != nil {
		b.Fatalf("%s %s: %v", id, words, err)
	}
	rendered, err := b.Render(t, c)
	if err != nil {
		return err.Error(), c
	}
	var lines []string
	for _, p := range rendered.Publications {
		lines = append(lines, p.Topic+" "+string(p.Payload))
	}
	return strings.Join(lines, "\n"), c
}

const (
	exposeColorLight = `{"type":"light","features":[` + exposeState + `,
		{"type":"numeric","name":"brightness","property":"brightness","access":7,"value_min":0,"value_max":254},
		{"type":"numeric","name":"color_temp","property":"color_temp","access":7,"unit":"mired","value_min":150,"value_max":500},
		{"type":"composite","name":"color_xy","property":"color","access":7,"features":[]}]},
		{"type":"enum","name":"effect","property":"effect","access":2,"values":["blink","stop_effect"]}`
	exposeCover = `{"type":"cover","features":[{"type":"enum","name":"state","property":"state","access":7,"values":["OPEN","CLOSE","STOP"]},
		{"type":"numeric","name":"position","property":"position","access":7,"value_min":0,"value_max":100},
		{"type":"numeric","name":"tilt","property":"tilt","access":7,"value_min":0,"value_max":100}]}`
	exposeLock    = `{"type":"lock","features":[{"type":"binary","name":"state","property":"state","access":7,"value_on":"LOCK","value_off":"UNLOCK"}]}`
	exposeFan     = `{"type":"fan","features":[{"type":"binary","name":"state","property":"fan_state","access":7,"value_on":"ON","value_off":"OFF"},{"type":"enum","name":"mode","property":"fan_mode","access":7,"values":["off","low","medium","high","auto"]}]}`
	exposeClimate = `{"type":"climate","features":[{"type":"numeric","name":"occupied_heating_setpoint","property":"occupied_heating_setpoint","access":7,"unit":"°C","value_min":5,"value_max":30,"value_step":0.5},
		{"type":"numeric","name":"local_temperature","property":"local_temperature","access":5,"unit":"°C"},
		{"type":"enum","name":"system_mode","property":"system_mode","access":7,"values":["off","heat"]}]}`
	exposeDelay  = `{"type":"numeric","name":"delay","property":"delay","label":"Delay","access":7,"unit":"s","value_min":0,"value_max":60}`
	exposeMelody = `{"type":"enum","name":"melody","property":"melody","label":"Melody","access":7,"values":["one","two"]}`
	exposeReset  = `{"type":"enum","name":"reset","property":"reset","label":"Reset","access":2,"values":["now"]}`
	exposeSiren  = `{"type":"composite","name":"warning","property":"warning","access":2,"features":[{"type":"enum","name":"mode","property":"mode","access":2,"values":["stop","burglar","emergency"]},
		{"type":"enum","name":"level","property":"level","access":2,"values":["low","high"]},{"type":"numeric","name":"duration","property":"duration","access":2,"unit":"s"}]}`
)

func TestCommandsAreInTheDevicesOwnForm(t *testing.T) {
	for _, c := range []struct{ expose, id, state, words, want string }{
		{exposeLight, "light.x", "", "on brightness=128", `{"brightness":127,"state":"ON"}`},
		{exposeLight, "light.x", "", "50%", `{"brightness":127,"state":"ON"}`},
		{exposeLight, "light.x", "", "on brightness=255 transition=2", `{"brightness":254,"state":"ON","transition":2}`},
		{exposeLight, "light.x", `{"state":"ON"}`, "toggle", `{"state":"OFF"}`},
		{exposeLight, "light.x", "", "off", `{"state":"OFF"}`},
		{exposeColorLight, "light.x", "", "kelvin=2700", `{"color_temp":370,"state":"ON"}`},
		{exposeColorLight, "light.x", "", "xy=0.3,0.4", `{"color":{"x":0.3,"y":0.4},"state":"ON"}`},
		{exposeColorLight, "light.x", "", "on effect=blink", `{"effect":"blink","state":"ON"}`},
		{exposeSwitch, "switch.x", "", "on", `{"state":"ON"}`},
		{exposeCover, "cover.x", "", "open", `{"state":"OPEN"}`},
		{exposeCover, "cover.x", "", "stop", `{"state":"STOP"}`},
		{exposeCover, "cover.x", "", "30%", `{"position":30}`},
		{exposeCover, "cover.x", "", "set_cover_tilt_position tilt_position=40", `{"tilt":40}`},
		{exposeLock, "lock.x", "", "lock", `{"state":"LOCK"}`},
		{exposeLock, "lock.x", "", "unlock", `{"state":"UNLOCK"}`},
		{exposeFan, "fan.x", "", "on percentage=66", `{"fan_mode":"medium","fan_state":"ON"}`},
		{exposeFan, "fan.x", "", "on preset_mode=auto", `{"fan_mode":"auto","fan_state":"ON"}`},
		{exposeFan, "fan.x", "", "off", `{"fan_state":"OFF"}`},
		{exposeClimate, "climate.x", "", "21.5", `{"occupied_heating_setpoint":21.5}`},
		{exposeClimate, "climate.x", "", "heat temperature=20", `{"occupied_heating_setpoint":20,"system_mode":"heat"}`},
		{exposeDelay, "number.x_delay", "", "30", `{"delay":30}`},
		{exposeMelody, "select.x_melody", "", "two", `{"melody":"two"}`},
		{exposeReset, "button.x_reset", "", "press", `{"reset":"now"}`},
		{exposeSiren, "siren.x", "", "on tone=burglar level=high duration=5", `{"warning":{"duration":5,"level":"high","mode":"burglar"}}`},
		{exposeSiren, "siren.x", "", "on", `{"warning":{"mode":"emergency"}}`},
		{exposeSiren, "siren.x", "", "off", `{"warning":{"mode":"stop"}}`},
	} {
		b := newBench(t, Options{})
		b.lists(device("0x1", "x", c.expose))
		if c.state != "" {
			b.say("zigbee2mqtt/x", c.state)
		}
		got, checked := b.ask(c.id, c.words)
		if want := "zigbee2mqtt/x/set " + c.want; got != want {
			t.Errorf("%s %s\n got %s\nwant %s", c.id, c.words, got, want)
			continue
		}
		// A device that does it says so, and that is the answer.
		if checked.Expected == nil || strings.Contains(c.words, "effect") {
			continue
		}
		b.say("zigbee2mqtt/x", c.want)
		if a := b.target(c.id).State; !command.Answers(checked.Expected, a) {
			t.Errorf("%s %s: %v is not answered by %v", c.id, c.words, checked.Expected, a)
		}
	}
}

func TestCommandsToTheBridge(t *testing.T) {
	b := newBench(t, Options{})
	b.lists()
	b.say("zigbee2mqtt/bridge/info", `{"version":"2.14.1","permit_join":false,"log_level":"info","coordinator":{"ieee_address":"0x9","type":"x","meta":{}}}`)
	for _, c := range [][3]string{
		{"button.zigbee2mqtt_bridge_restart", "press", "restart "},
		{"select.zigbee2mqtt_bridge_log_level", "debug", `options {"options":{"advanced":{"log_level":"debug"}}}`},
		{"switch.zigbee2mqtt_bridge_permit_join", "on", `permit_join {"time":254}`},
		{"switch.zigbee2mqtt_bridge_permit_join", "off", `permit_join {"time":0}`},
	} {
		if got, _ := b.ask(c[0], c[1]); got != "zigbee2mqtt/bridge/request/"+c[2] {
			t.Errorf("%s %s: %s", c[0], c[1], got)
		}
	}
}

func TestAnUpdateIsAskedOfTheBridge(t *testing.T) {
	b := newBench(t, Options{})
	entry := strings.Replace(device("0x1", "x", exposeTemperature), `"definition":{`, `"definition":{"supports_ota":true,`, 1)
	b.lists(entry)
	b.say("zigbee2mqtt/x", `{"update":{"state":"available","installed_version":1,"latest_version":2}}`)
	if got, _ := b.ask("update.x", "install"); got != `zigbee2mqtt/bridge/request/device/ota_update/update {"id":"0x1"}` {
		t.Error(got)
	}
}

// Every entity of the recorded house can do what it says that it can: each action that needs no argument, with a value of each
// that does.
func TestEveryActionOfTheRecordedHouse(t *testing.T) {
	b := newBench(t, Options{})
	for _, r := range house(t) {
		b.message(r.message(t))
		if r.MS > 60_000 {
			break
		}
	}
	asked := map[string]int{}
	for _, e := range sortedEntities(b.house.Registry.Revision()) {
		if !dialect.Enabled(e) {
			continue
		}
		for _, action := range command.Actions(e) {
			request := command.Request{Entity: e.GetId(), Action: action.Name, Arguments: sampleArguments(action)}
			target := b.target(e.GetId())
			c, err := command.Check(request, e, target.State)
			if err != nil {
				if !errors.Is(err, command.ErrInvalid) && !errors.Is(err, command.ErrUnsupported) {
					t.Errorf("%s %s: %v", e.GetId(), action.Name, err)
				}
				continue
			}
			rendered, err := b.Render(target, c)
			if err != nil || len(rendered.Publications) != 1 || !bytes.HasPrefix([]byte(rendered.Publications[0].Topic), []byte("zigbee2mqtt/")) {
				t.Errorf("%s %s: %v %v", e.GetId(), action.Name, rendered, err)
				continue
			}
			asked[action.Domain]++
		}
	}
	for _, domain := range []string{domainLight, domainSwitch, domainCover, domainLock, domainFan, domainClimate, domainNumber, domainSelect, domainButton} {
		if asked[domain] == 0 {
			t.Errorf("nothing was asked of a %s: %v", domain, asked)
		}
	}
}

// sampleArguments are values for the arguments that an action cannot do without.
func sampleArguments(a command.Action) []*entityv1.Field {
	var fields []*entityv1.Field
	for _, arg := range a.Arguments {
		if !arg.Required {
			continue
		}
		v := dialect.StringValue("x")
		switch {
		case len(arg.Options) > 0:
			v = dialect.StringValue(arg.Options[0])
		case slices.Contains([]command.Kind{command.KindNumber, command.KindInteger}, arg.Kind):
			n := 0.0
			if arg.Minimum != nil {
				n = *arg.Minimum
			}
			v = numberValue(n)
		case arg.Kind == command.KindBool:
			v = dialect.BoolValue(true)
		}
		fields = append(fields, &entityv1.Field{Name: arg.Name, Value: v})
	}
	return fields
}

func TestWhatCannotBeAsked(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeTemperature, exposeLight))
	target := b.target("sensor.x_temperature")
	if _, err := b.Render(target, command.Checked{Action: "turn_on"}); !errors.Is(err, command.ErrUnsupported) {
		t.Error(err)
	}
	target = b.target("light.x")
	if r, err := b.Render(target, command.Checked{Action: "turn_on", Arguments: []*entityv1.Field{
		{Name: "xy", Value: &entityv1.Value{Kind: &entityv1.Value_ListValue{ListValue: &entityv1.ListValue{Values: []*entityv1.Value{numberValue(1), numberValue(1)}}}}},
	}}); !errors.Is(err, command.ErrUnsupported) {
		t.Error(fmt.Sprint(r), err)
	}
}
