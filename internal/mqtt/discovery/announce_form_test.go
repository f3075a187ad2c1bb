package discovery

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDeviceForm(t *testing.T) {
	device := `"dev":{"ids":"d"},"o":{"name":"bridge"}`
	for name, c := range map[string]struct{ topic, payload, want, bad string }{
		"shared keys": {
			"homeassistant/device/x/config",
			`{` + device + `,"stat_t":"s","cmd_t":"c","qos":1,"e":"","avty_t":"av","pl_avail":"up","retain":true,"cmps":{
				"a":{"p":"switch","uniq_id":"1"},
				"b":{"platform":"switch","unique_id":"2","state_topic":"own","qos":0,"avty":[{"t":"mine"}]}}}`,
			`homeassistant/device/x/config complete
  device d "d" manufacturer="" model="" id="" sw="" hw="" sn="" via=""
  switch 1 "Switch" object="switch" wish=""
    {"availability":[{"payload_available":"up","payload_not_available":"offline","topic":"av"}],"availability_mode":"latest",` +
				`"command_topic":"c","encoding":"","qos":1,"state_topic":"s"}
  switch 2 "Switch" object="switch" wish=""
    {"availability":[{"payload_available":"online","payload_not_available":"offline","topic":"mine"}],"availability_mode":"latest",` +
				`"command_topic":"c","encoding":"","state_topic":"own"}
`, "",
		},
		"bases": {
			"homeassistant/device/x/config",
			`{` + device + `,"~":"root","stat_t":"~/s","avty":[{"t":"~/av"}],"cmps":{
				"a":{"p":"sensor","uniq_id":"1","~":null},"b":{"p":"sensor","uniq_id":"2","~":"own","json_attr_t":"j/~"}}}`,
			`homeassistant/device/x/config complete
  device d "d" manufacturer="" model="" id="" sw="" hw="" sn="" via=""
  sensor 1 "Sensor" object="sensor" wish=""
    {"availability":[{"payload_available":"online","payload_not_available":"offline","topic":"root/av"}],"availability_mode":"latest",` +
				`"state_topic":"root/s"}
  sensor 2 "Sensor" object="sensor" wish=""
    {"availability":[{"payload_available":"online","payload_not_available":"offline","topic":"own/av"}],"availability_mode":"latest",` +
				`"json_attributes_topic":"j/own","state_topic":"own/s"}
`, "",
		},
		"a component removed, keys without unique ids": {
			"homeassistant/device/node/x/config",
			`{` + device + `,"cmps":{"a":{"p":"sensor"},"b":{"p":"sensor","stat_t":"s"}}}`,
			`homeassistant/device/node/x/config complete
  device d "d" manufacturer="" model="" id="" sw="" hw="" sn="" via=""
  sensor sensor/x/node/b "Sensor" object="sensor" wish=""
    {"state_topic":"s"}
`, "",
		},
		"all components removed": {
			"homeassistant/device/x/config", `{` + device + `,"cmps":{"a":{"p":"sensor"}}}`,
			`homeassistant/device/x/config complete
  device d "d" manufacturer="" model="" id="" sw="" hw="" sn="" via=""
`, "",
		},
		"a bad component keeps the others": {
			"homeassistant/device/x/config",
			`{` + device + `,"cmps":{"a":{"p":"sensor","stat_t":"s"},"b":{"p":"sensor","stat_t":"+"},"c":{"p":"toaster","stat_t":"s"},"d":5,"e":{"stat_t":"s"},` +
				`"f":{"p":"light","uniq_id":"u","stat_t":"s"},"g":{"p":"light","uniq_id":"u","stat_t":"s"},"h":{"p":"sensor"}}}`,
			`homeassistant/device/x/config
  device d "d" manufacturer="" model="" id="" sw="" hw="" sn="" via=""
  sensor sensor/x/a "Sensor" object="sensor" wish=""
    {"state_topic":"s"}
  light u "Light" object="light" wish=""
    {"state_topic":"s"}
`,
			`component "d": the configuration is 5, where an object was expected
component "e": platform is null, where the name of a component was expected
component "b": state_topic: mqtt: bad topic: topic "+": a message's topic must not contain the wildcard '+'
component "c": unknown component "toaster"; there are …
component "g": unique_id "u" is another component's, too`,
		},
		"only bad ones": {
			"homeassistant/device/x/config", `{` + device + `,"cmps":{"a":{"p":"sensor","stat_t":"#"}}}`, "",
			`component "a": state_topic: mqtt: bad topic: topic "#": a message's topic must not contain the wildcard '#'`,
		},
		"no device": {
			"homeassistant/device/x/config", `{"cmps":{"a":{"p":"sensor","stat_t":"s"}}}`, "", "device is missing: a device form is of one device",
		},
		"no components": {
			"homeassistant/device/x/config", `{` + device + `}`, "",
			"a device form: components is null, where an object with a configuration for each component was expected",
		},
		"nothing": {
			"homeassistant/device/x/config", `{}`, "",
			"a device form: components is null, where an object with a configuration for each component was expected",
		},
	} {
		all, err := haStubbed(HomeAssistantOptions{}).Translate(c.topic, []byte(c.payload))
		bad := ""
		if err != nil {
			bad = err.Error()
		}
		if from, to := strings.Index(bad, "there are "), strings.Index(bad, "water_heater"); from >= 0 {
			bad = bad[:from] + "there are …" + bad[to+len("water_heater"):]
		}
		if diff := cmp.Diff(c.want+c.bad, haDump(all)+bad); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestDeviceFormErrors: they can be matched through all that wraps them.
func TestDeviceFormErrors(t *testing.T) {
	all, err := haStubbed(HomeAssistantOptions{}).Translate("homeassistant/device/x/config",
		[]byte(`{"dev":{"ids":"d"},"cmps":{"a":{"p":"toaster","qos":1},"b":{"p":"sensor","name":"`+strings.Repeat("x", 2000)+`"}}}`))
	if len(all) > 0 || !errors.Is(err, ErrUnknownComponent) || !errors.Is(err, ErrAnnouncementTooLarge) {
		t.Errorf("%v, %s", err, haDump(all))
	}
}

func TestDevices(t *testing.T) {
	long := strings.Repeat("é", 100)
	for _, c := range []struct{ payload, want string }{
		{`{"ids":"a","name":"N","mf":"M","mdl":"O","mdl_id":"I","sw":1.5,"hw":2,"sn":"S","via_device":"hub/1","sa":"Attic","cu":"http://x"}`,
			`a "N" "M" "O" "I" "1.5" "2" "S" "hub%2F1"`},
		{`{"identifiers":["","a","b"]}`, `a "a" "" "" "" "" "" "" ""`},
		{`{"identifiers":12}`, `12 "12" "" "" "" "" "" "" ""`},
		{`{"ids":"a/b%2F"}`, `a%2Fb%252F "a/b%2F" "" "" "" "" "" "" ""`},
		{`{"ids":" a\u0000b\n"}`, `ab "ab" "" "" "" "" "" "" ""`},
		{`{"ids":[],"cns":[["mac","AA-BB-CC-DD-EE-0F"],["ip","1"]]}`, `mac:aa:bb:cc:dd:ee:0f "mac:aa:bb:cc:dd:ee:0f" "" "" "" "" "" "" ""`},
		{`{"cns":[["mac","aabbccddee0f"]],"name":"x"}`, `mac:aa:bb:cc:dd:ee:0f "x" "" "" "" "" "" "" ""`},
		{`{"cns":[["mac","none/such"]]}`, `mac:none%2Fsuch "mac:none/such" "" "" "" "" "" "" ""`},
		{`{"cns":[["upnp","uuid:1"]]}`, `upnp:uuid:1 "upnp:uuid:1" "" "" "" "" "" "" ""`},
	} {
		d, err := haDeviceOf(config(t, c.payload).Value)
		if err != nil {
			t.Errorf("%s: %v", c.payload, err)
			continue
		}
		got := fmt.Sprintf("%s %q %q %q %q %q %q %q %q", d.GetId(), d.GetName(), d.GetManufacturer(), d.GetModel(), d.GetModelId(), d.GetSoftwareVersion(),
			d.GetHardwareVersion(), d.GetSerialNumber(), d.GetViaDevice())
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.payload, got, c.want)
		}
	}
	one, two := haID(long+"1"), haID(long+"2")
	if one == two || len(one) > maxDeviceID || !strings.HasPrefix(one, "ééé") || haID(long+"1") != one {
		t.Errorf("%s and %s", one, two)
	}
}

func TestNames(t *testing.T) {
	const sensor = "homeassistant/sensor/node/obj/config"
	for _, c := range []struct{ payload, want string }{
		{`{"name":null,"dev":{"ids":"d","name":"Desk"}}`, `Desk: "" object="" wish=""`},
		{`{"name":"","dev":{"ids":"d","name":"Desk"}}`, `Desk: "" object="" wish=""`},
		{`{"name":"desk","dev":{"ids":"d","name":"Desk"}}`, `Desk: "" object="" wish=""`},
		{`{"name":"Power","dev":{"ids":"d","name":"Desk"}}`, `Desk: "Power" object="power" wish=""`},
		{`{"name":"Desk power now","dev":{"ids":"d","name":"Desk"}}`, `Desk: "Power now" object="power_now" wish=""`},
		{`{"name":"DESK: öl","dev":{"ids":"d","name":"Desk"}}`, `Desk: "Öl" object="ol" wish=""`},
		{`{"name":"Desk - iPad charge","dev":{"ids":"d","name":"Desk"}}`, `Desk: "- iPad charge" object="ipad_charge" wish=""`},
		{`{"name":"Desk eBus x","dev":{"ids":"d","name":"Desk"}}`, `Desk: "eBus x" object="ebus_x" wish=""`},
		{`{"name":"Desktop","dev":{"ids":"d","name":"Desk"}}`, `Desk: "Desktop" object="desktop" wish=""`},
		{`{"name":"Desk ","dev":{"ids":"d","name":"Desk"}}`, `Desk: "" object="" wish=""`},
		{`{"name":"温度","dev":{"ids":"d","name":"Desk"}}`, `Desk: "温度" object="obj" wish=""`},
		{`{"name":5,"dev":{"ids":"d"}}`, `d: "5" object="5" wish=""`},
		{`{"dev_cla":"pm25","dev":{"ids":"d"}}`, `d: "PM2.5" object="pm2_5" wish=""`},
		{`{"dev_cla":"carbon_dioxide","dev":{"ids":"d"}}`, `d: "Carbon dioxide" object="carbon_dioxide" wish=""`},
		{`{"stat_t":"s","dev":{"ids":"d"}}`, `d: "Sensor" object="sensor" wish=""`},
		{`{"name":"Kitchen","uniq_id":"u/1"}`, `Kitchen: "" object="" wish=""`},
		{`{"stat_t":"s"}`, `Sensor: "" object="" wish=""`},
		{`{"name":null}`, `Sensor: "" object="" wish=""`},
		{`{"name":"x","obj_id":"My Lamp","dev":{"ids":"d"}}`, `d: "x" object="x" wish="my_lamp"`},
		{`{"name":"x","obj_id":"old","def_ent_id":"sensor.new","dev":{"ids":"d"}}`, `d: "x" object="x" wish="new"`},
		{`{"name":"x","def_ent_id":"plain","dev":{"ids":"d"}}`, `d: "x" object="x" wish="plain"`},
		{`{"name":"x","def_ent_id":"sensor.","dev":{"ids":"d"}}`, `d: "x" object="x" wish=""`},
	} {
		all, err := haStubbed(HomeAssistantOptions{}).Translate(sensor, []byte(c.payload))
		if err != nil {
			t.Errorf("%s: %v", c.payload, err)
			continue
		}
		e := all[0].Entities[0]
		if got := fmt.Sprintf("%s: %q object=%q wish=%q", all[0].Device.GetName(), e.Entity.GetName(), e.Object, e.Wish); got != c.want {
			t.Errorf("%s: %s, want %s", c.payload, got, c.want)
		}
	}
}

func TestTriggerNames(t *testing.T) {
	for payload, want := range map[string]string{
		`{"type":"button_short_press","subtype":"button_1","dev":{"ids":"d"}}`: "Button short press button 1",
		`{"type":"action","subtype":"hold","dev":{"ids":"d"}}`:                 "Action hold",
		`{"type":"action","subtype":"hold","name":"Own","dev":{"ids":"d"}}`:    "Own",
		`{"topic":"t","dev":{"ids":"d"}}`:                                      "Device automation",
	} {
		all, err := haStubbed(HomeAssistantOptions{}).Translate("homeassistant/device_automation/x/config", []byte(payload))
		if err != nil || all[0].Entities[0].Entity.GetName() != want {
			t.Errorf("%s: %s, %v", payload, haDump(all), err)
		}
	}
}

// TestOwnDevices: entities without a device have one each, whatever their ids are.
func TestOwnDevices(t *testing.T) {
	h := haStubbed(HomeAssistantOptions{})
	seen := make(map[string]string)
	for _, c := range [][2]string{
		{"sensor/a", `{"stat_t":"s"}`}, {"sensor/b", `{"stat_t":"s","uniq_id":"a"}`}, {"switch/a", `{"cmd_t":"s"}`}, {"switch/b", `{"cmd_t":"s","uniq_id":"a"}`}, {"sensor/n/a", `{"stat_t":"s"}`},
		{"sensor/c", `{"stat_t":"s","dev":{"ids":"a"}}`}, {"sensor/d", `{"stat_t":"s","uniq_id":"` + strings.Repeat("x", 900) + `"}`},
		{"sensor/e", `{"stat_t":"s","uniq_id":"` + strings.Repeat("x", 901) + `"}`},
	} {
		all, err := h.Translate("homeassistant/"+c[0]+"/config", []byte(c[1]))
		if err != nil {
			t.Fatal(err)
		}
		if err := haBounds(all[0]); err != nil {
			t.Error(err)
		}
		id := all[0].Device.GetId()
		if seen[id] != "" {
			t.Errorf("%s is the device of %s and of %s", id, c[0], seen[id])
		}
		seen[id] = c[0]
	}
}
