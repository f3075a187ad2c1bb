package zigbee2mqtt

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/state"
)

func TestAReportIsOneBatchOfWhatChanged(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "Küche/Lampe", exposeLight, exposeTemperature, exposeQuality))
	b.expectIDs("(sensor.kuche_lampe_last_seen)", "(sensor.kuche_lampe_linkquality)", "light.kuche_lampe", "sensor.kuche_lampe_temperature")
	batches := b.house.Batches
	b.expectKinds(b.say("zigbee2mqtt/Küche/Lampe", `{"state":"ON","temperature":20,"linkquality":5}`),
		"state_changed light.kuche_lampe, state_changed sensor.kuche_lampe_temperature")
	if b.house.Batches != batches+1 {
		t.Errorf("%d batches", b.house.Batches-batches)
	}
	b.expectKinds(b.say("zigbee2mqtt/Küche/Lampe", `{"temperature":20.5}`), "state_changed sensor.kuche_lampe_temperature")
	for _, nothing := range []string{
		`{}`, `{"state":"ON","temperature":20.5}`, `{"linkquality":9}`, `{"last_seen":"2026-11-23T01:45:00Z","linkquality":9}`,
		`{"elapsed":5}`, `{"device":{"model":"M"}}`, `{"linkquality":null}`,
	} {
		if events := b.say("zigbee2mqtt/Küche/Lampe", nothing); len(events) > 0 {
			t.Errorf("%s: %s", nothing, kinds(events))
		}
	}
	if got := b.Stats().Ignored[dialect.ReasonUnchanged]; got != 7+1 { // and the empty list of groups
		t.Errorf("%d unchanged", got)
	}
}

func TestSilence(t *testing.T) {
	b := newBench(t, Options{SilentAfter: time.Minute})
	b.lists(device("0x1", "x", exposeTemperature, exposeHumidity))
	b.say("zigbee2mqtt/x", `{"temperature":20,"humidity":50}`)
	b.now = base.Add(time.Minute - 1)
	b.expectKinds(b.say("zigbee2mqtt/x", `{"temperature":20}`), "")
	b.now = base.Add(time.Minute)
	b.expectKinds(b.stored("zigbee2mqtt/x", `{"temperature":20}`), "")
	b.expectKinds(b.say("zigbee2mqtt/x", `{"temperature":20,"humidity":null}`),
		"state_changed sensor.x_humidity, state_reported sensor.x_temperature")
	b.expectKinds(b.say("zigbee2mqtt/x", `{"temperature":20}`), "")
	b.now = base.Add(time.Hour)
	b.expectKinds(b.say("zigbee2mqtt/x", `{"linkquality":20,"humidity":null}`), "")
}

func TestTime(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeTemperature))
	for i, test := range []struct {
		seen string
		want time.Time
	}{
		{`null`, base},
		{`"yesterday"`, base},
		{`"2026-11-23T01:45:00.5Z"`, time.Date(2026, 11, 23, 1, 45, 0, 5e8, time.UTC)},
		{`"2026-11-23T02:45:01+01:00"`, time.Date(2026, 11, 23, 1, 45, 1, 0, time.UTC)},
		{fmt.Sprint(base.Add(-time.Second).UnixMilli()), base.Add(-time.Second)},
		{fmt.Sprint(base.Add(time.Minute).UnixMilli()), base.Add(time.Minute)},
		{fmt.Sprint(base.Add(time.Minute + time.Millisecond).UnixMilli()), base},
		{fmt.Sprint(base.Add(-time.Hour).UnixMilli()), base.Add(-time.Hour)},
		{fmt.Sprint(base.Add(-time.Hour - time.Millisecond).UnixMilli()), base},
		{`9223372036854775807`, base}, {`-5`, base}, {`[]`, base}, {`1.5`, base},
	} {
		events := b.say("zigbee2mqtt/x", fmt.Sprintf(`{"temperature":%d,"last_seen":%s}`, i, test.seen))
		if len(events) != 1 || !events[0].Timestamp.Equal(test.want) {
			t.Errorf("last_seen %s: %v, want %v", test.seen, events, test.want)
		}
	}
}

func TestActions(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeAction, strings.ReplaceAll(exposeTemperature, "temperature", "action_angle")))
	id := "event.x_action"
	b.expectKinds(b.say("zigbee2mqtt/x", `{"action":"hold","action_angle":7}`), "state_changed event.x_action, state_changed sensor.x_action_angle")
	b.expect(id, fmt.Sprintf(`{"event_type":"hold","occurred":%q,"extra":{"action_angle":7}}`, base.UTC().Format(time.RFC3339Nano)))
	// The same key again within a tick of the clock is a second action.
	b.expectKinds(b.say("zigbee2mqtt/x", `{"action":"hold"}`), "state_changed event.x_action")
	b.expect(id, fmt.Sprintf(`{"event_type":"hold","occurred":%q}`, base.Add(1).UTC().Format(time.RFC3339Nano)))
	// The plain-text copy of it is none, and neither is what resets it.
	for topic, payload := range map[string]string{"zigbee2mqtt/x/action": "hold", "zigbee2mqtt/x": `{"action":""}`} {
		b.expectKinds(b.say(topic, payload), "")
	}
	b.expectKinds(b.say("zigbee2mqtt/x", `{"action":null}`), "")
	if got := b.Stats().Ignored[dialect.ReasonAction]; got != 1 {
		t.Errorf("%d copies", got)
	}
	// One that the device dates, delivered twice, is one.
	dated := `{"action":"single","last_seen":"2026-11-23T01:45:08.5Z"}`
	b.expectKinds(b.say("zigbee2mqtt/x", dated), "state_changed event.x_action")
	b.expectKinds(b.say("zigbee2mqtt/x", dated), "")
}

// TestPartialReports: in whatever parts and order the values come, the state is that of the values.
func TestPartialReports(t *testing.T) {
	exposes := []string{exposeTemperature, exposeHumidity, exposeLight, strings.ReplaceAll(exposeSwitch, "state", "state_2"),
		`{"type":"cover","features":[{"type":"enum","name":"state","property":"cover","access":3},` + feature("numeric", "position", "") + `]}`,
		feature("enum", "motor_state", `,"values":["opening","closing","stopped"]`)}
	values := map[string][]string{
		"temperature": {"1", "2.5", `"x"`, "null", "[]"}, "humidity": {"0", "null"}, "state": {`"ON"`, `"OFF"`, `"X"`, "null"},
		"brightness": {"0", "254", "-1", "null"}, "state_2": {`"ON"`, "null"}, "cover": {`"OPEN"`, `"CLOSE"`, `"STOP"`, "null"},
		"position": {"0", "50", "100", "1000", "null"}, "motor_state": {`"opening"`, `"closing"`, `"stopped"`, "null"}, "unheard": {"1", "{}", "null"},
	}
	dump := func(b *bench) string {
		var all []string
		for _, s := range b.house.Cache.Revision().Sorted() {
			all = append(all, s.EntityID+" "+b.json(s.EntityID))
		}
		return strings.Join(all, "\n")
	}
	rapid.Check(t, func(r *rapid.T) {
		parts, whole := newBench(t, Options{}), newBench(t, Options{})
		for _, b := range []*bench{parts, whole} {
			b.lists(device("0x1", "x", exposes...))
		}
		final := make(map[string]string)
		for range rapid.IntRange(0, 20).Draw(r, "reports") {
			var fields []string
			for _, property := range rapid.SliceOfNDistinct(rapid.SampledFrom(slices.Sorted(maps.Keys(values))), 1, 4, rapid.ID).Draw(r, "properties") {
				v := rapid.SampledFrom(values[property]).Draw(r, property)
				final[property] = v
				fields = append(fields, fmt.Sprintf("%q:%s", property, v))
			}
			parts.say("zigbee2mqtt/x", "{"+strings.Join(fields, ",")+"}")
		}
		var fields []string
		for property, v := range final {
			fields = append(fields, fmt.Sprintf("%q:%s", property, v))
		}
		whole.say("zigbee2mqtt/x", "{"+strings.Join(fields, ",")+"}")
		if got, want := dump(parts), dump(whole); got != want {
			r.Fatalf("in parts\n%s\nat once\n%s", got, want)
		}
	})
}

// TestSame: what decides whether there is an event agrees with what the rest of the house calls equal.
func TestSame(t *testing.T) {
	b := newBench(t, Options{})
	seen := []*entityv1.Attributes{{}}
	for _, r := range house(t)[:6000] {
		for _, e := range b.message(r.message(t)) {
			if a := e.Payload.GetStateChanged().GetAttributes(); a != nil && len(seen) < 400 {
				seen = append(seen, a, proto.CloneOf(a))
			}
		}
	}
	for _, x := range seen {
		for _, y := range seen {
			if dialect.Same(x, y) != state.Equal(x, y) {
				t.Fatalf("same is %v for %v and %v", dialect.Same(x, y), x, y)
			}
		}
	}
}

// A device whose last_seen has no fractions can be pressed twice within a second.
func TestPressesWithinASecond(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeAction))
	for _, seen := range []string{`"2026-11-23T01:45:08Z"`, `"2026-11-23T01:45:08+00:00"`, fmt.Sprint(base.Truncate(time.Second).UnixMilli())} {
		press := `{"action":"single","last_seen":` + seen + `}`
		before, _ := b.house.Cache.Get("event.x_action")
		for range 3 {
			b.expectKinds(b.say("zigbee2mqtt/x", press), "state_changed event.x_action")
		}
		after, _ := b.house.Cache.Get("event.x_action")
		if after.Attributes.GetEvent().GetOccurred() < before.Attributes.GetEvent().GetOccurred()+3 {
			t.Errorf("last_seen %s: %v after %v", seen, after.Attributes, before.Attributes)
		}
	}
}

// What an extra said goes when an entity of its own takes over the property, or is there but disabled.
func TestStaleExtras(t *testing.T) {
	hidden := strings.Replace(exposeHumidity, `"access":1`, `"access":1,"homeassistant":{"enabledByDefault":false}`, 1)
	for name, expose := range map[string]string{"enabled": exposeHumidity, "disabled": hidden} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{})
			b.lists(device("0x1", "x", exposeLight))
			b.say("zigbee2mqtt/x", `{"state":"ON","humidity":50,"other":1}`)
			b.expect("light.x", `{"on":true,"extra":{"humidity":50,"other":1}}`)
			b.lists(device("0x1", "x", exposeLight, expose))
			b.say("zigbee2mqtt/x", `{"state":"OFF","humidity":51}`)
			b.expect("light.x", `{"on":false,"extra":{"other":1}}`)
			b.say("zigbee2mqtt/x", `{"other":null}`)
			b.expect("light.x", `{"on":false}`)
		})
	}
}

// Every change of a state is recorded whole, so that a large state would make every small report as large.
func TestLargeReports(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeLight))
	b.say("zigbee2mqtt/x", `{"state":"ON"}`)
	fields := func(prefix string, n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`"%s%d":%d`, prefix, i, i))
		}
		return "{" + strings.Join(all, ",") + "}"
	}
	for i, large := range []string{`{"effect":"` + strings.Repeat("x", dialect.MaxState) + `"}`, `{"x":[` + strings.Repeat("1,", dialect.MaxState/4) + `1]}`, fields("x", maxFields+1)} {
		b.expectKinds(b.say("zigbee2mqtt/x", large), "")
		if got := b.Stats().Ignored[dialect.ReasonTooLarge]; got != uint64(i+1) {
			t.Errorf("%d too large", got)
		}
	}
	b.expectKinds(b.say("zigbee2mqtt/x", fields("x", maxFields)), "state_changed light.x")
	for i := range 20 { // properties without end
		b.say("zigbee2mqtt/x", fields(fmt.Sprintf("y%d_", i), maxFields))
	}
	b.expectKinds(b.say("zigbee2mqtt/x", `{"state":"OFF"}`), "state_changed light.x")
	if st, _ := b.house.Cache.Get("light.x"); proto.Size(st.Attributes) > dialect.MaxState || st.Attributes.GetLight().GetOn() {
		t.Errorf("%d bytes", proto.Size(st.Attributes))
	}
}

// What a plan leaves out, since a sensor says it already, is what would come to nothing.
func TestWhatIsKnownAlreadyIsNoEvent(t *testing.T) {
	left := 0
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(outer, Options{SilentAfter: time.Minute})
		b.lists(device("0x1", "x", exposeTemperature, exposeHumidity))
		at := b.now
		for range rapid.IntRange(1, 12).Draw(t, "reports") {
			at = at.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "seconds")) * time.Second)
			if rapid.IntRange(0, 5).Draw(t, "bridge") == 0 {
				b.say("zigbee2mqtt/bridge/state", rapid.SampledFrom([]string{"online", "offline"}).Draw(t, "state"))
			}
			m := mqtt.Message{Topic: "zigbee2mqtt/x", ReceivedAt: at, Retained: rapid.IntRange(0, 5).Draw(t, "retained") == 0}
			m.Payload = []byte(rapid.SampledFrom([]string{
				`{"temperature":1}`, `{"temperature":1,"humidity":2}`, `{"temperature":1.5,"humidity":"wet"}`, `{"humidity":"wet"}`, `{"temperature":null}`,
				`{"temperature":1,"other":3}`, `{"temperature":[1]}`, `{"temperature":12345678901234567890,"humidity":2}`, `{"other":null,"humidity":2}`,
			}).Draw(t, "payload"))
			rep, err := parseReport(m)
			if err != nil {
				t.Fatal(err)
			}
			events := func(pl *plan) []eventstore.Event {
				made := b.newBatch(b.house, at)
				if err := made.merge(pl, rep); err != nil {
					t.Fatal(err)
				}
				return made.Events
			}
			pl := compile(b.house.DeviceEntities(b.deviceID("0x1")))
			got := events(pl)
			for _, bindings := range pl.bindings {
				for i := range bindings {
					bindings[i].says = nil
				}
			}
			if d := cmp.Diff(events(pl), got, protocmp.Transform()); d != "" {
				t.Fatalf("%s after all that (-with all made anew, +with what is known left out):\n%s", m.Payload, d)
			}
			if len(got) == 0 {
				left++
			}
			b.message(m)
		}
	})
	if left == 0 {
		t.Error("every report was an event")
	}
}
