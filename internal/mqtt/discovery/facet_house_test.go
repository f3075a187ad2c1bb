package discovery

import (
	"encoding/json"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/statehouse/statehouse/state"
)

// facetAnnouncements are the topics of lights, climate devices and fans.
var facetAnnouncements = regexp.MustCompile(`^homeassistant/(light|climate|fan)/[^/]+/[^/]+/config$`)

// TestHouseFacets has all lights, climate devices and fans of the recorded house take in what it reported, and compares their
// states with what the reports say, read without templates.
func TestHouseFacets(t *testing.T) {
	t.Parallel()
	parts, topics, reports := map[string]*part{}, map[string][]string{}, map[string]int{}
	for _, r := range recordedHouse(t) {
		topic, payload := r.Topic, string(r.Payload)
		if match := facetAnnouncements.FindStringSubmatch(topic); match != nil && payload != "" {
			parts[topic] = newPart(t, components[match[1]], payload)
			topics[topic] = facetTopics(parts[topic])
			continue
		}
		if payload == "" {
			continue
		}
		for name, p := range parts {
			if !slices.Contains(topics[name], topic) {
				continue
			}
			reports[p.component.Name]++
			before := facetParsed(t, facetState(p))
			got := facetParsed(t, p.say(topic, payload))
			want := facetHouseState(p.component.Name, facetParsed(t, payload), before)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s after %s %s:\n%s", name, topic, payload, diff)
			}
		}
	}
	if len(parts) != 9 || reports["light"] < 1000 || reports["climate"] < 1000 {
		t.Errorf("%d entities had the reports %v", len(parts), reports)
	}
}

func facetTopics(p *part) (topics []string) {
	for _, in := range p.component.Inputs(p.config) {
		for _, s := range in.Sources {
			topics = append(topics, s.Topic)
		}
	}
	return topics
}

func facetState(p *part) string {
	text, err := state.JSON(p.attributes)
	if err != nil {
		p.Fatal(err)
	}
	return string(text)
}

func facetParsed(t *testing.T, text string) map[string]any {
	t.Helper()
	m := map[string]any{}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

// facetHouseState is the state that follows from a report.
func facetHouseState(component string, report, state map[string]any) map[string]any {
	put := func(field, property string, convert func(v any) any) {
		v, ok := report[property]
		switch {
		case !ok:
		case v == nil:
			delete(state, field)
		default:
			state[field] = convert(v)
		}
	}
	same := func(v any) any { return v }
	isOn := func(v any) any { return v == "ON" }
	switch component {
	case "light":
		put("on", "state", isOn)
		if report["brightness"] != 0.0 { // which says nothing but that it is dark
			put("brightness", "brightness", func(v any) any { return math.RoundToEven(v.(float64) * 255 / 254) })
		}
		put("effect", "effect", same)
	case "climate":
		put("current_temperature", "local_temperature", same)
		put("target_temperature", "occupied_heating_setpoint", same)
		put("target_temperature", "current_heating_setpoint", same)
		put("hvac_mode", "system_mode", same)
		put("preset_mode", "preset", same)
		if mode, ok := report["operating_mode"]; ok {
			state["hvac_mode"] = "off" // where the template does not know better
			if known, ok := map[any]string{"schedule": "auto", "manual": "heat"}[mode]; ok {
				state["hvac_mode"] = known
			}
		}
		put("hvac_action", "running_state", func(v any) any {
			return strings.NewReplacer("heat", "heating", "cool", "cooling", "fan_only", "fan").Replace(v.(string))
		})
	case "fan":
		put("on", "fan_state", isOn)
	}
	return state
}

// TestSamplesFacets has what Zigbee2MQTT announces.
func TestSamplesFacets(t *testing.T) {
	t.Parallel()
	sample := func(name string) string {
		text, err := os.ReadFile("testdata/samples/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var m struct{ Payload json.RawMessage }
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		return string(m.Payload)
	}
	const desk, radiator, fan = "zigbee2mqtt/desk_lamp", "zigbee2mqtt/office_radiator", "zigbee2mqtt/starkvind"
	facetPlay(t, lightComponent, sample("light"), []facetStep{
		facetSaid(desk, `{"brightness":127,"color_mode":"brightness","effect":null,"linkquality":77,"state":"ON"}`,
			`{"on":true,"brightness":128,"color_mode":"brightness"}`),
		facetAsked("turn_on brightness=255 transition=2", desk+`/set {"state":"ON","transition":2.0,"brightness":254}`),
		facetAsked("turn_on effect=blink", desk+`/set {"state":"ON","effect":"blink"}`),
		facetAsked("off", desk+`/set {"state":"OFF"}`),
		facetAsked("turn_on color_temp_kelvin=4000", "color_temp_kelvin"),
	})
	facetPlay(t, climateComponent, sample("climate"), []facetStep{
		facetSaid(radiator, `{"local_temperature":20.31,"occupied_heating_setpoint":21,"operating_mode":"schedule","running_state":"heat"}`,
			`{"hvac_mode":"auto","hvac_action":"heating","current_temperature":20.31,"target_temperature":21}`),
		facetSaid(radiator, `{"local_temperature":20.4,"occupied_heating_setpoint":21,"operating_mode":"pause","running_state":null}`,
			`{"hvac_mode":"off","current_temperature":20.4,"target_temperature":21}`),
		facetAsked("set_hvac_mode hvac_mode=heat", radiator+`/set {"operating_mode": "manual"}`),
		facetAsked("set_temperature temperature=21.5", radiator+"/set/occupied_heating_setpoint 21.5"),
		facetAsked("set_temperature temperature=30.5", "out of range"),
	})
	facetPlay(t, fanComponent, sample("fan"), []facetStep{
		facetSaid(fan, `{"fan_mode":"3","fan_state":"ON"}`, `{"on":true,"percentage":33}`),
		facetSaid(fan, `{"fan_mode":"auto","fan_state":"ON"}`, `{"on":true,"preset_mode":"auto"}`),
		facetSaid(fan, `{"fan_mode":"off","fan_state":"OFF"}`, `{"on":false,"percentage":0}`),
		facetAsked("turn_on percentage=50", fan+"/set/fan_state ON", fan+"/set/fan_mode 5"),
		facetAsked("set_preset_mode preset_mode=auto", fan+"/set/fan_mode auto"),
		facetAsked("off", fan+"/set/fan_state OFF"),
	})
}
