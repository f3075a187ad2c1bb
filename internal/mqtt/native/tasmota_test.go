package native

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tasmotaDevice is a configuration with more fields. Of two of one name the last counts.
func tasmotaDevice(more string) string {
	return `{"rl":[2],"so":{},"dn":"Lamp","fn":[],"hn":"lamp-1","mac":"A1","md":"Generic","state":["OFF","ON","TOGGLE","HOLD"],"sw":"15","t":"lamp","ft":"%prefix%/%topic%/","tp":["cmnd","stat","tele"],"ofln":"Offline","onln":"Online","ver":1,` + more + `}`
}

func newTasmotaHome(t testing.TB, more string) *home {
	h := newHome(t, new(Tasmota))
	h.say("tasmota/discovery/A1/config", tasmotaDevice(more))
	return h
}

func TestTasmotaLights(t *testing.T) {
	for _, test := range []struct {
		name, device, says string
		states, asks       map[string]string // by entity; asks by entity and words
	}{
		{
			"dimmer", `"rl":[2],"so":{},"lk":0,"lt_st":1`, `{"POWER":"ON","Dimmer":40}`,
			map[string]string{"light.lamp": `{"on":true,"brightness":102}`},
			map[string]string{"light.lamp on brightness=128": "cmnd/lamp/Dimmer 50\ncmnd/lamp/POWER1 ON", "light.lamp off": "cmnd/lamp/POWER1 OFF"},
		},
		{
			"color temperature, reduced", `"rl":[2],"so":{"82":1},"lk":0,"lt_st":2`, `{"POWER1":"OFF","Dimmer":40,"CT":250}`,
			map[string]string{"light.lamp": `{"on":false,"brightness":102,"color_mode":"color_temp","color_temp_kelvin":4000}`},
			map[string]string{"light.lamp on color_temp_kelvin=4000": "cmnd/lamp/CT 250\ncmnd/lamp/POWER1 ON"},
		},
		{
			"colors", `"rl":[2],"so":{"17":1},"lk":0,"lt_st":3`, `{"POWER":"ON","Dimmer":100,"HSBColor":"210,50,100","Scheme":0}`,
			map[string]string{"light.lamp": `{"on":true,"brightness":255,"color_mode":"hs","hs":{"hue":210,"saturation":50},"effect":"Solid"}`},
			map[string]string{
				"light.lamp on hs=120.4,99.6":   "cmnd/lamp/HSBColor 120,100\ncmnd/lamp/POWER1 ON",
				"light.lamp on effect=Cycle up": "cmnd/lamp/Scheme 2\ncmnd/lamp/POWER1 ON",
			},
		},
		{
			"colors and white", `"rl":[2],"so":{},"lk":1,"lt_st":4`, `{"POWER":"ON","Dimmer":100,"HSBColor":"210,50,100","White":70}`,
			map[string]string{"light.lamp": `{"on":true,"brightness":255,"color_mode":"white","hs":{"hue":210,"saturation":50}}`},
			map[string]string{"light.lamp on white=255": "cmnd/lamp/White 100\ncmnd/lamp/POWER1 ON"},
		},
		{
			"not linked", `"rl":[1,2,2],"fn":["Socket","Color","Warm"],"so":{},"lk":0,"lt_st":5`,
			`{"POWER1":"ON","POWER2":"OFF","POWER3":"ON","Dimmer1":10,"Dimmer2":20,"HSBColor":"1,2,3","CT":500}`,
			map[string]string{
				"switch.lamp_socket": `{"on":true}`,
				"light.lamp_color":   `{"on":false,"brightness":26,"color_mode":"hs","hs":{"hue":1,"saturation":2}}`,
				"light.lamp_warm":    `{"on":true,"brightness":51,"color_mode":"color_temp","color_temp_kelvin":2000}`,
			},
			map[string]string{"light.lamp_warm on brightness=255": "cmnd/lamp/Dimmer2 100\ncmnd/lamp/POWER3 ON"},
		},
		{
			"channels", `"rl":[2,2],"so":{"68":1},"lk":1,"lt_st":2`, `{"POWER1":"ON","Channel1":10,"POWER2":"OFF","Channel2":20}`,
			map[string]string{"light.lamp_light_1": `{"on":true,"brightness":26}`, "light.lamp_light_2": `{"on":false,"brightness":51}`},
			map[string]string{"light.lamp_light_2 on brightness=255": "cmnd/lamp/Channel2 100\ncmnd/lamp/POWER2 ON"},
		},
		{
			"a dimmer of Tuya's", `"rl":[2],"so":{},"lk":1,"lt_st":1,"ty":1`, `{"POWER":"ON","Dimmer":40}`,
			map[string]string{"light.lamp": `{"on":true,"brightness":102}`},
			map[string]string{"light.lamp on brightness=255": "cmnd/lamp/Dimmer3 100\ncmnd/lamp/POWER1 ON"},
		},
		{
			"a relay that is a light", `"rl":[1],"so":{"30":1}`, `{"POWER":"ON"}`,
			map[string]string{"light.lamp": `{"on":true}`}, map[string]string{"light.lamp off": "cmnd/lamp/POWER1 OFF"},
		},
		{
			"words of its own", `"rl":[1],"so":{},"state":["AUS","AN"]`, `{"POWER":"AN"}`,
			map[string]string{"switch.lamp": `{"on":true}`}, map[string]string{"switch.lamp on": "cmnd/lamp/POWER1 AN"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newTasmotaHome(t, test.device)
			h.say("tele/lamp/STATE", test.says)
			for id, want := range test.states {
				if diff := cmp.Diff(want, h.state(id)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", id, diff)
				}
			}
			for asked, want := range test.asks {
				id, rest, _ := strings.Cut(asked, " ")
				action, rest, _ := strings.Cut(rest, " ")
				words := []string{action}
				if rest != "" {
					words = append(words, rest)
				}
				if diff := cmp.Diff(want, h.ask(id, words...)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", asked, diff)
				}
			}
			if n := h.Stats().Ignored; n["malformed"] > 0 {
				t.Errorf("%v", n)
			}
		})
	}
}

func TestTasmotaCommands(t *testing.T) {
	h := newTasmotaHome(t, `"rl":[3,3,3,3],"sho":[0,1],"sht":[[0,0,0],[-90,90,15]],"so":{}`)
	h.say("tele/lamp/SENSOR", `{"Shutter1":{"Position":100,"Direction":0},"Shutter2":{"Position":100,"Direction":0,"Tilt":0}}`)
	fan := newTasmotaHome(t, `"rl":[2],"if":1,"so":{}`)
	for _, test := range []struct {
		home *home
		id   string
		ask  string
		want string
	}{
		{h, "cover.lamp_shutter_1", "open", "cmnd/lamp/Backlog ShutterOpen1"},
		{h, "cover.lamp_shutter_1", "stop", "cmnd/lamp/Backlog ShutterStop1"},
		{h, "cover.lamp_shutter_1", "30", "cmnd/lamp/ShutterPosition1 30"},
		{h, "cover.lamp_shutter_2", "close", "cmnd/lamp/Backlog ShutterClose2"},
		{h, "cover.lamp_shutter_2", "30", "cmnd/lamp/ShutterPosition2 70"},
		{h, "cover.lamp_shutter_2", "tilt=50", "cmnd/lamp/ShutterTilt2 0"},
		{h, "cover.lamp_shutter_2", "open_cover_tilt", "cmnd/lamp/ShutterTilt2 90"},
		{fan, "fan.lamp_fan", "off", "cmnd/lamp/FanSpeed 0"},
		{fan, "fan.lamp_fan", "percentage=100", "cmnd/lamp/FanSpeed 2\ncmnd/lamp/FanSpeed 3"},
		{fan, "light.lamp_light_1", "on", "cmnd/lamp/POWER1 ON"},
	} {
		if got := test.home.ask(test.id, test.ask); got != test.want {
			t.Errorf("%s %s: %q, want %q", test.id, test.ask, got, test.want)
		}
	}
	for id, want := range map[string]string{
		"cover.lamp_shutter_1": `{"state":"open","position":100}`,
		"cover.lamp_shutter_2": `{"state":"closed","position":0,"tilt_position":50}`,
	} {
		if got := h.state(id); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}

// With option 4 a command is answered on its own topic: as JSON, and where it is of a relay also as a bare word.
func TestTasmotaAnswersOnItsOwnTopic(t *testing.T) {
	h := newTasmotaHome(t, `"rl":[2],"so":{"4":1},"lk":1,"lt_st":1`)
	for _, test := range []struct{ topic, payload, want string }{
		{"stat/lamp/POWER", "ON", `{"on":true}`},
		{"stat/lamp/POWER", `{"POWER":"OFF"}`, `{"on":false}`},
		{"stat/lamp/DIMMER", `{"POWER":"ON","Dimmer":20}`, `{"on":true,"brightness":51}`},
		{"stat/lamp/RESULT", `{"POWER":"OFF"}`, `{"on":true,"brightness":51}`}, // nothing is said there
		{"stat/lamp/STATUS11", `{"StatusSTS":{"POWER":"OFF","Dimmer":40}}`, `{"on":false,"brightness":102}`},
	} {
		h.say(test.topic, test.payload)
		if got := h.state("light.lamp"); got != test.want {
			t.Errorf("after %s %s: %s, want %s", test.topic, test.payload, got, test.want)
		}
	}
}

func TestTasmotaTopics(t *testing.T) {
	for _, test := range []struct{ pattern, more, command, tele string }{
		{"%prefix%/%topic%/", "", "cmnd/lamp/", "tele/lamp/"},
		{"%topic%/%prefix%", "", "lamp/cmnd/", "lamp/tele/"},
		{"home/%hostname%/%id%/%prefix%/", "", "home/lamp-1/A1/cmnd/", "home/lamp-1/A1/tele/"},
		{"home/%topic%", "", "home/lamp/cmnd/", "home/lamp/"},
		{"%prefix%//%topic%#/", "", "cmnd/lamp/", "tele/lamp/"},
		{"%prefix%/%topic%/", `,"tp":["do","",null]`, "do/lamp/", "tele/lamp/"},
		{"+/%prefix%/", "", "", ""},
		{"%prefix%/'}}/", "", "", ""},
		{strings.Repeat("x", 300), "", "", ""},
	} {
		v, err := readVersioned([]byte(tasmotaDevice(`"rl":[],"ft":"` + test.pattern + `"` + test.more)))
		if err != nil {
			t.Fatal(err)
		}
		c, err := parseTasmota("A1", v)
		switch {
		case test.command == "":
			if !errors.Is(err, errTasmota) {
				t.Errorf("%s: %v", test.pattern, err)
			}
		case err != nil || c.command != test.command || c.tele != test.tele:
			t.Errorf("%s: %+v, %v", test.pattern, c, err)
		}
	}
}

func TestTasmotaRefuses(t *testing.T) {
	good := tasmotaDevice(`"rl":[1],"so":{}`)
	for _, test := range []struct{ topic, payload, want string }{
		{"tasmota/discovery/A1/config", "{", "no announcement"},
		{"tasmota/discovery/A1/config", strings.Replace(good, `"ver":1`, `"ver":2`, 1), "ver is not 1"},
		{"tasmota/discovery/A2/config", good, `it is of "A1"`},
		{"tasmota/discovery/A1/config", strings.Replace(good, `["OFF","ON","TOGGLE","HOLD"]`, `["ON","ON"]`, 1), "no two words"},
		{"tasmota/discovery/A 1/config", good, "no MAC address"},
		{"tasmota/discovery/A1/sensors", `{"sn":[],"ver":1}`, "sn is no object"},
		{"tasmota/discovery/A1/sensors", `{"sn":{"x":"` + strings.Repeat("y", 17<<10) + `"},"ver":1}`, "at most"},
	} {
		all, err := new(Tasmota).Translate(test.topic, []byte(test.payload))
		if err == nil || !strings.Contains(err.Error(), test.want) || !errors.Is(err, errTasmota) || all != nil {
			t.Errorf("%s %.60s: %v, %v, want %q", test.topic, test.payload, all, err, test.want)
		}
	}
	for _, topic := range []string{"tasmota/discovery/A1", "tasmota/discovery/A1/other", "other/A1/config"} {
		if all, err := new(Tasmota).Translate(topic, []byte("x")); all != nil || err != nil {
			t.Errorf("%s: %v, %v", topic, all, err)
		}
	}
}

// What the device names goes into templates and topics; nothing of it may be more than a name there.
func TestTasmotaNamesAreNoTemplates(t *testing.T) {
	tr := new(Tasmota)
	names := []string{"a']}}{{now()", `b"`, `c\\`, "d{", strings.Repeat("e", 65), "", "\u0001", "ok name-1.5 µ"}
	sensors := make([]string, len(names))
	for i, name := range names {
		sensors[i] = fmt.Sprintf("%q:{\"Temperature\":1,%q:2}", name, name)
	}
	for topic, payload := range map[string]string{
		"tasmota/discovery/A1/config":  tasmotaDevice(`"rl":[1],"so":{},"swc":[1],"swn":["x'}}{{ now() }}"],"state":["'}}","\"{%"]`),
		"tasmota/discovery/A1/sensors": `{"sn":{"x_y":{"z":1},"x":{"y_z":2},` + strings.Join(sensors, ",") + `,"TempUnit":"'}}"},"ver":1}`,
	} {
		all, err := tr.Translate(topic, []byte(strings.ReplaceAll(payload, `\x`, `\u00`)))
		if err != nil {
			t.Fatalf("%s: %v", payload, err)
		}
		for _, a := range all {
			checkAnnouncement(t, a)
			for _, e := range a.Entities {
				if strings.HasPrefix(e.Key, "sensor_") && !strings.HasPrefix(e.Key, "sensor_ok name-1.5 µ_") && e.Key != "sensor_x_y_z" {
					t.Errorf("%s", e.Key)
				}
			}
		}
	}
}

func TestTasmotaLeaves(t *testing.T) {
	h := newTasmotaHome(t, `"rl":[1],"so":{}`)
	h.say("tasmota/discovery/A1/sensors", `{"sn":{"AHT":{"Temperature":1},"TempUnit":"C"},"ver":1}`)
	if got := h.state("sensor.lamp_aht_temperature"); got != "{}" {
		t.Errorf("the sensor is %s", got)
	}
	h.say("tasmota/discovery/A1/sensors", `{"sn":{"SHT":{"Temperature":1},"TempUnit":"C"},"ver":1}`)
	if got := h.state("sensor.lamp_aht_temperature"); got != "there is no such entity" {
		t.Errorf("a sensor that was taken away is %s", got)
	}
	h.say("tasmota/discovery/A1/config", "")
	if got := h.dump(); got != "\n" {
		t.Errorf("left:\n%s", got)
	}
	// It comes back with the sensors that it had, which were not taken away.
	h.say("tasmota/discovery/A1/config", tasmotaDevice(`"rl":[1],"so":{}`))
	if got := h.state("sensor.lamp_sht_temperature"); got != "{}" {
		t.Errorf("the sensor of a device that came back is %s", got)
	}
	h.say("tasmota/discovery/A1/sensors", "")
	if got := h.state("sensor.lamp_sht_temperature") + h.state("switch.lamp"); got != "there is no such entity{}" {
		t.Errorf("without sensors: %s", got)
	}
	// A second time it is all the same, and the sensors alone are nothing.
	h.say("tasmota/discovery/A1/config", "")
	h.say("tasmota/discovery/A1/config", "")
	h.say("tasmota/discovery/A1/sensors", `{"sn":{"SHT":{"Temperature":1},"TempUnit":"C"},"ver":1}`)
	if got := h.dump(); got != "\n" {
		t.Errorf("left:\n%s", got)
	}
}
