package native

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type said struct{ topic, payload, id, want string }

// hear hands messages in one after the other and compares the state of an entity after each.
func (h *home) hear(all []said) {
	h.Helper()
	for _, s := range all {
		h.say(s.topic, s.payload)
		if s.id == "" {
			continue
		}
		if diff := cmp.Diff(s.want, h.state(s.id)); diff != "" {
			h.Errorf("%s after %s %s (-want +got):\n%s", s.id, s.topic, s.payload, diff)
		}
	}
}

type asked struct{ id, words, want string }

func (h *home) asked(all []asked) {
	h.Helper()
	for _, a := range all {
		if diff := cmp.Diff(a.want, h.ask(a.id, strings.Fields(a.words)...)); diff != "" {
			h.Errorf("%s %s (-want +got):\n%s", a.id, a.words, diff)
		}
	}
}

func TestShelly1States(t *testing.T) {
	h := newHome(t, new(Shelly1))
	pm, roller := "shellies/shelly1pm-A1/", "shellies/shellyswitch25-B2/"
	h.hear([]said{
		{pm + "relay/0", "on", "switch.shelly1pm_a1", `{"on":true}`},
		{pm + "relay/0", "overpower", "switch.shelly1pm_a1", `{"on":false}`},
		{pm + "relay/0", "on", "switch.shelly1pm_a1", `{"on":true}`},
		{pm + "relay/0", "sideways", "switch.shelly1pm_a1", `{"on":true}`},
		{pm + "relay/0/energy", "123456", "sensor.shelly1pm_a1_energy", `{"number":2057.6}`},
		{pm + "online", "false", "switch.shelly1pm_a1", `{"availability":"offline","on":true}`},
		{pm + "online", "true", "switch.shelly1pm_a1", `{"availability":"online","on":true}`},
		{pm + "overtemperature", "1", "binary_sensor.shelly1pm_a1_overheating", `{"availability":"online","on":true}`},
		{pm + "longpush/0", "0", "event.shelly1pm_a1_input_push", `{"availability":"online","event_type":"short","occurred":"2026-11-23T01:45:17.195Z"}`},
		{roller + "roller/0/pos", "-1", "", ""},
		{roller + "roller/0", "close", "cover.shellyswitch25_b2", `{"state":"closing"}`},
		{roller + "roller/0/pos", "0", "cover.shellyswitch25_b2", `{"state":"closing","position":0}`},
		{roller + "roller/0", "stop", "cover.shellyswitch25_b2", `{"state":"closed","position":0}`},
		{roller + "roller/0/pos", "-1", "cover.shellyswitch25_b2", `{"state":"closed"}`},
		{"shellies/shellyht-D4/sensor/temperature", "999", "sensor.shellyht_d4_temperature", `{"availability":"online"}`},
		{"shellies/shellyht-D4/sensor/temperature", "20.5", "sensor.shellyht_d4_temperature", `{"availability":"online","number":20.5}`},
		{"shellies/shellydw-E5/sensor/vibration", "1", "binary_sensor.shellydw_e5_vibration", `{"availability":"online","on":true}`},
		{"shellies/shellydw-E5/sensor/vibration", "-1", "binary_sensor.shellydw_e5_vibration", `{"availability":"online","on":true}`},
	})
}

func TestShelly1Commands(t *testing.T) {
	h := newHome(t, new(Shelly1))
	for topic, payload := range map[string]string{
		"shelly1-A1/relay/0":                "on",
		"shellyswitch25-B2/roller/0":        "stop",
		"shellydimmer-C3/light/0/status":    `{"ison":true,"brightness":50}`,
		"shellyrgbw2-D4/color/0/status":     `{"ison":true,"mode":"color","red":1,"green":2,"blue":3,"white":4,"gain":50,"effect":0}`,
		"shellyrgbw2-E5/white/2/status":     `{"ison":true,"brightness":50}`,
		"shellycolorbulb-F6/light/0/status": `{"ison":true,"mode":"color","red":1,"green":2,"blue":3,"white":4,"gain":50,"brightness":10,"temp":4000,"effect":0}`,
		"shellygas-B8/valve/0":              "closed",
		"shellytrv-A7/info":                 `{"thermostats":[{"pos":1,"target_t":{"value":20},"tmp":{"value":19}}]}`,
	} {
		h.say("shellies/"+topic, payload)
	}
	h.asked([]asked{
		{"switch.shelly1_a1", "off", "shellies/shelly1-A1/relay/0/command off"},
		{"cover.shellyswitch25_b2", "open", "shellies/shellyswitch25-B2/roller/0/command open"},
		{"cover.shellyswitch25_b2", "stop", "shellies/shellyswitch25-B2/roller/0/command stop"},
		{"cover.shellyswitch25_b2", "40", "shellies/shellyswitch25-B2/roller/0/command/pos 40"},
		{"light.shellydimmer_c3", "on brightness=255", "shellies/shellydimmer-C3/light/0/set {\"brightness\":100}\nshellies/shellydimmer-C3/light/0/command on"},
		{"light.shellyrgbw2_d4", "on rgbw=255,0,10,20", "shellies/shellyrgbw2-D4/color/0/set {\"mode\":\"color\",\"red\":255,\"green\":0,\"blue\":10,\"white\":20}\nshellies/shellyrgbw2-D4/color/0/command on"},
		{"light.shellyrgbw2_d4", "on effect=Flash", "shellies/shellyrgbw2-D4/color/0/set {\"effect\":3}\nshellies/shellyrgbw2-D4/color/0/command on"},
		{"light.shellyrgbw2_e5_white_2", "off", "shellies/shellyrgbw2-E5/white/2/command off"},
		{"light.shellycolorbulb_f6", "on color_temp_kelvin=4000", "shellies/shellycolorbulb-F6/light/0/set {\"mode\":\"white\",\"temp\":4000}\nshellies/shellycolorbulb-F6/light/0/command on"},
		{"light.shellycolorbulb_f6", "on rgb=9,8,7", "shellies/shellycolorbulb-F6/light/0/set {\"mode\":\"color\",\"red\":9,\"green\":8,\"blue\":7}\nshellies/shellycolorbulb-F6/light/0/command on"},
		{"valve.shellygas_b8_valve", "open", "shellies/shellygas-B8/valve/0/command open"},
		{"climate.shellytrv_a7", "21.5", "shellies/shellytrv-A7/thermostat/0/command/target_t 21.5"},
	})
}

func TestShelly2States(t *testing.T) {
	h := newHome(t, new(Shelly2))
	plus, i4, led := "shellyplus1pm-aabbccddeeff", "shellyplusi4-aabbccddeeff", "shellyplusrgbwpm-aabbccddeeff"
	notify := func(method, params string) string {
		return `{"src":"x","method":"` + method + `","params":{` + params + `}}`
	}
	h.hear([]said{
		{plus + "/events/rpc", notify("NotifyStatus", `"ts":1,"switch:0":{"id":0,"output":true}`), "switch.shellyplus1pm_aabbccddeeff", `{"on":true}`},
		{plus + "/events/rpc", notify("NotifyStatus", `"ts":1,"switch:0":{"id":0,"apower":5.5}`), "switch.shellyplus1pm_aabbccddeeff", `{"on":true}`},
		{plus + "/events/rpc", notify("NotifyStatus", `"ts":1,"switch:0":{"id":0,"output":false}`), "sensor.shellyplus1pm_aabbccddeeff_power", `{"number":5.5}`},
		{plus + "/events/rpc", notify("NotifyStatus", `"ts":1,"switch:0":{"id":0,"errors":["overtemp"]}`), "binary_sensor.shellyplus1pm_aabbccddeeff_overheating", `{"on":true}`},
		{plus + "/events/rpc", notify("NotifyStatus", `"ts":1,"switch:0":{"id":0,"apower":5.5}`), "binary_sensor.shellyplus1pm_aabbccddeeff_overheating", `{"on":true}`},
		{plus + "/events/rpc", notify("NotifyFullStatus", `"ts":1,"switch:0":{"id":0,"output":true,"apower":5.5}`), "binary_sensor.shellyplus1pm_aabbccddeeff_overheating", `{"on":false}`},
		{plus + "/events/rpc", notify("NotifyEvent", `"events":[{"component":"sys","event":"ota_begin"}]`), "switch.shellyplus1pm_aabbccddeeff", `{"on":true}`},
		{plus + "/online", "false", "switch.shellyplus1pm_aabbccddeeff", `{"availability":"offline","on":true}`},
		{i4 + "/events/rpc", notify("NotifyEvent", `"events":[{"component":"input:3","event":"long_push"},{"component":"input:2","event":"btn_up"}]`),
			"event.shellyplusi4_aabbccddeeff_input_3", `{"event_type":"long_push","occurred":"2026-11-23T01:45:17.195Z"}`},
		{i4 + "/events/rpc", notify("NotifyEvent", `"events":[{"component":"input:3","event":"unheard_of"}]`),
			"event.shellyplusi4_aabbccddeeff_input_3", `{"event_type":"long_push","occurred":"2026-11-23T01:45:17.195Z"}`},
		{led + "/status/rgb:0", `{"id":0,"output":true,"brightness":50,"rgb":[255,0,10]}`, "light.shellyplusrgbwpm_aabbccddeeff", `{"on":true,"brightness":128,"color_mode":"rgb","rgb":{"red":255,"green":0,"blue":10}}`},
		{led + "/events/rpc", notify("NotifyStatus", `"rgb:0":{"id":0,"output":false}`), "light.shellyplusrgbwpm_aabbccddeeff", `{"on":false,"brightness":128,"color_mode":"rgb","rgb":{"red":255,"green":0,"blue":10}}`},
	})
	if n := h.Stats().Ignored; n["malformed"] > 0 {
		t.Errorf("%v", n)
	}
}

func TestShelly2Commands(t *testing.T) {
	h := newHome(t, new(Shelly2))
	id := "-aabbccddeeff"
	for topic, payload := range map[string]string{
		"shellyplus1" + id + "/status/switch:0":           `{"output":true}`,
		"shellyplus2pm" + id + "/status/cover:0":          `{"state":"open","current_pos":100,"slat_pos":0}`,
		"shellydimmerg3" + id + "/status/light:0":         `{"output":true,"brightness":1}`,
		"shellyplusrgbwpm" + id + "/status/rgbw:0":        `{"output":true,"brightness":1,"rgb":[1,2,3],"white":4}`,
		"shellyprorgbwwpm" + id + "/status/cct:0":         `{"output":true,"brightness":1,"ct":3000}`,
		"shellywalldisplay" + id + "/status/thermostat:0": `{"enable":true,"target_C":20,"current_C":19,"output":false}`,
	} {
		h.say(topic, payload)
	}
	rpc := func(model, method, params string) string {
		return "shelly" + model + id + `/rpc {"id":1,"src":"statehouse","method":"` + method + `","params":{` + params + `}}`
	}
	h.asked([]asked{
		{"switch.shellyplus1_aabbccddeeff", "on", rpc("plus1", "Switch.Set", `"id":0,"on":true`)},
		{"switch.shellyplus1_aabbccddeeff", "off", rpc("plus1", "Switch.Set", `"id":0,"on":false`)},
		{"cover.shellyplus2pm_aabbccddeeff", "close", rpc("plus2pm", "Cover.Close", `"id":0`)},
		{"cover.shellyplus2pm_aabbccddeeff", "25", rpc("plus2pm", "Cover.GoToPosition", `"id":0,"pos":25`)},
		{"cover.shellyplus2pm_aabbccddeeff", "tilt=75", rpc("plus2pm", "Cover.GoToPosition", `"id":0,"slat_pos":75`)},
		{"light.shellydimmerg3_aabbccddeeff", "on brightness=128", rpc("dimmerg3", "Light.Set", `"id":0,"brightness":50`) + "\n" + rpc("dimmerg3", "Light.Set", `"id":0,"on":true`)},
		{"light.shellyplusrgbwpm_aabbccddeeff", "on rgbw=9,8,7,6", rpc("plusrgbwpm", "RGBW.Set", `"id":0,"rgb":[9,8,7],"white":6`) + "\n" + rpc("plusrgbwpm", "RGBW.Set", `"id":0,"on":true`)},
		{"light.shellyprorgbwwpm_aabbccddeeff_cct_light_0", "on color_temp_kelvin=4000", rpc("prorgbwwpm", "CCT.Set", `"id":0,"ct":4000`) + "\n" + rpc("prorgbwwpm", "CCT.Set", `"id":0,"on":true`)},
		{"climate.shellywalldisplay_aabbccddeeff_thermostat", "off", rpc("walldisplay", "Thermostat.SetConfig", `"config":{"id":0,"enable":false}`)},
		{"climate.shellywalldisplay_aabbccddeeff_thermostat", "21.5", rpc("walldisplay", "Thermostat.SetConfig", `"config":{"id":0,"target_C":21.5}`)},
	})
}

// What is not of the ecosystem is nothing to its translator, and no error either.
func TestOthersAreNothing(t *testing.T) {
	for name, topics := range map[string][]string{
		"shelly-gen1": {"shellies/shelly1-A1/relay/10", "shellies/shelly1-A1/relay/0/command", "shellies/shelly1-A1/status/switch:0", "shellies/x y/relay/0", "shellies/relay", "shellies/shelly1-A1/light/0"},
		"shelly-gen2": {"zigbee2mqtt/status/switch:0", "shelly-aabbccddeeff/status/switch:0", "shellyplus1-aabbccddee/status/switch:0", "shellyplus1-aabbccddeeff/status/script:1",
			"shellyplus1-aabbccddeeff/status/switch:x", "shellyplus1-aabbccddeeff/status/switch", "shellies/status/switch:0", "node/online", "myshellyplus1-aabbccddeeff/online"},
	} {
		for _, topic := range topics {
			if all, err := translate(ecosystems[name](), topic, []byte(`{"output":true}`)); all != nil || err != nil {
				t.Errorf("%s: %v, %v", topic, all, err)
			}
		}
	}
}

// A status that says less than one before takes nothing away from a light.
func TestShelly1LightsOnlyGrow(t *testing.T) {
	h := newHome(t, new(Shelly1))
	topic := "shellies/shellydimmer-C3/light/0/status"
	h.hear([]said{
		{topic, `{"ison":true}`, "light.shellydimmer_c3", `{"on":true}`},
		{topic, `{"ison":true,"brightness":40}`, "light.shellydimmer_c3", `{"on":true,"brightness":102}`},
		{topic, `{"ison":true,"gain":20}`, "light.shellydimmer_c3", `{"on":true,"brightness":102}`},
		{topic, `{"ison":false,"brightness":60}`, "light.shellydimmer_c3", `{"on":false,"brightness":153}`},
	})
	h.asked([]asked{{
		"light.shellydimmer_c3", "on brightness=255",
		topic[:len(topic)-len("status")] + "set {\"brightness\":100,\"gain\":100}\nshellies/shellydimmer-C3/light/0/command on",
	}})
}

// What a sleeper measures expires; what was done with it does not, and neither is offline while it sleeps.
func TestSleepersExpire(t *testing.T) {
	for topic, want := range map[string]map[string]bool{
		"shellies/shellybutton1-A1/input_event/0":      {"expire_after": false, "availability": false},
		"shellies/shellybutton1-A1/sensor/battery":     {"expire_after": true, "availability": false},
		"shellies/shellyplug-A1/relay/0":               {"expire_after": false, "availability": true},
		"shellyplusht-aabbccddeeff/status/humidity:0":  {"expire_after": true, "availability": false},
		"shellyplus1-aabbccddeeff/status/humidity:100": {"expire_after": false, "availability": true},
	} {
		name := "shelly-gen1"
		if strings.Contains(topic, "/status/") {
			name = "shelly-gen2"
		}
		all, err := translate(ecosystems[name](), topic, []byte(`{"rh":50}`))
		if err != nil || len(all) != 1 || len(all[0].Entities) != 1 {
			t.Fatalf("%s: %v, %v", topic, all, err)
		}
		for key, has := range want {
			if all[0].Entities[0].Config.Has(key) != has {
				t.Errorf("%s: %s is there: %v", topic, key, !has)
			}
		}
	}
}
