package discovery

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/state"
)

// restored is what an outline was made of, as JSON.
func restored(t *testing.T, o outline) string {
	t.Helper()
	v, err := state.ValueFromJSON(o.text)
	if err != nil {
		return ""
	}
	var put func(v *entityv1.Value, root bool)
	put = func(v *entityv1.Value, root bool) {
		for _, one := range v.GetListValue().GetValues() {
			put(one, false)
		}
		for _, f := range v.GetStructValue().GetFields() {
			text, isText := dialect.TextOf(f.GetValue())
			switch n, marked := markedTopic(text); {
			case !isText:
				put(f.GetValue(), false)
			case root && f.GetName() == fieldKey:
				f.Value = dialect.StringValue(o.key)
			case haIsTopic(f.GetName()) && marked:
				f.Value = dialect.StringValue(o.topics[n])
			case haIsTopic(f.GetName()) && text != "":
				t.Errorf("%q of %s is no mark", text, o.text)
			}
		}
	}
	put(v, true)
	return string(state.AppendJSON(nil, v))
}

// FuzzOutline has any text: an outline and what was taken out of it are the definition, and it is JSON where the definition is.
func FuzzOutline(f *testing.F) {
	for _, text := range []string{
		`{"component":"sensor","config":{"state_topic":"a/b","availability":[{"topic":"a"},{"topic":"a/b"}]},"key":"k"}`,
		`{"component":"light","config":{"command_topic":[{"topic":"#0","template":"{{ value }}"}],"key":"mine","x":"\"topic"},"key":"\u006b\""}`,
		`{ "key" : "a" , "config" : { "topic" : "\ud800" , "t\u006fpic" : "x", "b_topic":"" } }`,
		`{"key":{"key":"a"},"topic":5,"config":"topic"}`, `{"key":"a","key":"b","topic":"x","topic":7}`, `{"topic":"x`, "{\"topic\":\"\xff\"}", `["topic",":"]`, ``,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want := ""
		v, bad := state.ValueFromJSON([]byte(text))
		if bad == nil {
			want = string(state.AppendJSON(nil, v))
		}
		o, err := outlineOf(text)
		if err != nil {
			if bad == nil {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if diff := cmp.Diff(want, restored(t, o)); diff != "" {
			t.Errorf("%q: outline %s with %q and %q (-want +got):\n%s", text, o.text, o.topics, o.key, diff)
		}
	})
}

// What entities of the same kind share is made once, and goes with the last of them.
func TestEntitiesOfAKindShareAShape(t *testing.T) {
	h := newHouse(t)
	config := func(i int) (topic, payload string) {
		return fmt.Sprintf("homeassistant/sensor/x%d/config", i),
			fmt.Sprintf(`{"name":"A","unique_id":"x%[1]d","state_topic":"s%[1]d","avty_t":"a%[1]d","value_template":"{{ value_json.a }}","dev":{"ids":"d%[1]d","name":"D"}}`, i)
	}
	for i := range 50 {
		h.say(config(i))
	}
	h.say("s3", `{"a":3}`)
	h.expect("sensor.d_a_4", `{"text":"3"}`)
	h.restart()
	h.say("s7", `{"a":7}`)
	h.expect("sensor.d_a_8", `{"text":"7"}`)
	if n := len(h.catalog.shapes); n != 1 {
		t.Errorf("50 entities of a kind have %d shapes", n)
	}
	for i := range 50 {
		topic, _ := config(i)
		h.say(topic, "")
	}
	if n, made := len(h.catalog.shapes), len(h.catalog.made); n != 0 || made != 0 {
		t.Errorf("%d shapes are left, %d of them made", n, made)
	}
}

// Definitions that are kept as values no more are made again.
func TestMoreShapesThanAreKept(t *testing.T) {
	h := newHouse(t)
	var parts []string
	const perDevice, devices = 900, 5
	for d := range devices {
		parts = parts[:0]
		for i := range perDevice {
			parts = append(parts, fmt.Sprintf(`"c%[1]d":{"p":"sensor","unique_id":"u%[2]d_%[1]d","value_template":"{{ value_json['%[2]d_%[1]d'] }}"}`, i, d))
		}
		h.say(fmt.Sprintf("homeassistant/device/d%d/config", d), fmt.Sprintf(
			`{"dev":{"ids":"d%[1]d","name":"D%[1]d"},"o":{"name":"x"},"state_topic":"s%[1]d","cmps":{%[2]s}}`, d, strings.Join(parts, ",")))
	}
	if n := len(h.catalog.made); n != maxMade {
		t.Errorf("%d definitions are kept as values, where %d may be and there are more", n, maxMade)
	}
	for d := range devices {
		for _, i := range []int{0, 1, 450, perDevice - 1} {
			if events := h.say(fmt.Sprintf("s%d", d), fmt.Sprintf(`{"%d_%d":1}`, d, i)); len(events) != 1 {
				t.Errorf("device %d, entity %d: %d events", d, i, len(events))
			}
		}
	}
	if n := len(h.catalog.made); n != maxMade {
		t.Errorf("%d definitions are kept as values", n)
	}
}
