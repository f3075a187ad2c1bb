package discovery

import (
	"testing"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/state"
)

// TestSetsShareJSON has a text that is no JSON and the JSON that was read of it: whoever reads the text itself sees nothing. What is
// shared stays as it is.
func TestSetsShareJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		component  Component
		text, said string
		want       string
	}{
		{lightComponent, `{"schema":"json","command_topic":"c","state_topic":"s","brightness":true}`, `{"state":"ON","brightness":5}`, `{"on":true,"brightness":5}`},
		{lightComponent, `{"schema":"json","command_topic":"c","state_topic":[{"topic":"s","template":"{{ value }}"}]}`, `{"state":"OFF"}`, `{"on":false}`},
		{updateComponent, `{"state_topic":"s"}`, `{"installed_version":"1","in_progress":true,"more":[1]}`, `{"installed_version":"1","in_progress":true,"extra":{"more":[1]}}`},
		{valveComponent, `{"state_topic":"s","reports_position":true}`, `{"state":"opening","position":7}`, `{"state":"opening","position":7}`},
		{sirenComponent, `{"command_topic":"c","state_topic":"s"}`, `{"state":"ON","tone":"x"}`, `{"on":true,"extra":{"tone":"x"}}`},
		{vacuumComponent, `{"state_topic":"s"}`, `{"state":"docked","fan_speed":"low"}`, `{"activity":"docked","fan_speed":"low"}`},
		{eventComponent, `{"state_topic":"s","event_types":["push"]}`, `{"event_type":"push","n":{"a":1}}`, `{"event_type":"push","occurred":"2026-11-24T10:00:00Z","extra":{"n":{"a":1}}}`},
		{deviceTrackerComponent, `{"json_attributes_topic":"s"}`, `{"latitude":1.5,"longitude":2}`, `{"latitude":1.5,"longitude":2,"source_type":"gps"}`},
	} {
		v, err := state.ValueFromJSON([]byte(c.said))
		if err != nil {
			t.Fatal(err)
		}
		before, reads := string(state.AppendJSON(nil, v)), 0
		said := Said{Text: "{not to be read", At: moment, read: func() (*entityv1.Value, error) {
			reads++
			return v, nil
		}}
		p := newPart(t, c.component, c.text)
		for range 2 {
			for _, in := range c.component.Inputs(p.config) {
				if err := in.Set(p.attributes, said); isComplaint(err) {
					t.Errorf("%s %s: %v", c.component.Name, c.said, err)
				}
			}
		}
		got, err := state.JSON(p.attributes)
		if err != nil || string(got) != c.want || reads == 0 {
			t.Errorf("%s: %s (%v), where %s was expected; read %d times", c.component.Name, got, err, c.want, reads)
		}
		if left := string(state.AppendJSON(nil, v)); left != before {
			t.Errorf("%s made of what is shared: %s", c.component.Name, left)
		}
	}
}

// TestOnlyObjectsAreRead has texts that are no objects: of them nothing is read in the writer's turn.
func TestOnlyObjectsAreRead(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "ON", "[{}]", "50", `"{}"`} {
		s := Said{Text: text, read: func() (*entityv1.Value, error) {
			t.Errorf("%q was read", text)
			return nil, nil
		}}
		if s.object() != nil {
			t.Errorf("%q is an object", text)
		}
	}
	for text, is := range map[string]bool{`{}`: true, "\n {\"a\":1}": true, `{"a"`: false, `{} x`: false} {
		o := (Said{Text: text}).object()
		if (o != nil) != is {
			t.Errorf("%q is an object: %v", text, !is)
		}
		if is && dialect.IsNull(o.Value) {
			t.Errorf("%q is %v", text, o.Value)
		}
	}
}
