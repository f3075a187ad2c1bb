package discovery

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/template"
	"github.com/statehouse/statehouse/state"
)

// FuzzEntities: whatever a configuration, messages and commands are, nothing panics, an error leaves the state as it was, and
// the state is one.
func FuzzEntities(f *testing.F) {
	all := slices.Concat(valueComponents, openingComponents, otherComponents)
	for i := range all {
		for _, seed := range [][3]string{
			{`{"state_topic":"s","command_topic":"c","options":["a"],"event_types":["a"]}`, `{"state":"ON","position":5}`, "on"},
			{`{"topic":"s","command_topic":"c","reports_position":true,"position_open":-3,"url_topic":"u","type":"t","subtype":"s"}`, "12", "50"},
			{`{"position_topic":"s","set_position_topic":"c","tilt_status_topic":"t","tilt_min":9,"json_attributes_topic":"j"}`, `{"latitude":1e99}`, "open"},
			{`{"state_topic":"s","command_topic":"c","code":"1","command_template":"{{value}}{{code}}"}`, "2026-11-24T10:00:00Z", "lock code=1"},
			{`{"activity_state_topic":"s","dock_command_topic":"c","schema":"receiver"}`, `{"timings":[1]}`, "dock"},
		} {
			f.Add(i, seed[0], seed[1], seed[2])
		}
	}
	f.Fuzz(func(t *testing.T, which int, configuration, payload, words string) {
		v, err := state.ValueFromJSON([]byte(configuration))
		if err != nil || len(configuration) > maxConfig {
			return
		}
		component := all[((which%len(all))+len(all))%len(all)]
		c := Config{dialect.Node{Value: v}}
		_ = c.Sealed()
		if component.Check(c) != nil {
			return
		}
		e := &entityv1.Entity{Id: component.Domain + ".x", Capabilities: &entityv1.Capabilities{}}
		component.Describe(c, e)
		a := &entityv1.Attributes{}
		said := template.NewPayload([]byte(payload))
		for _, in := range component.Inputs(c) {
			for _, s := range in.Sources {
				text := strings.ToValidUTF8(payload, "\uFFFD")
				if s.Template != nil {
					if text, err = s.Template.Render(said, nil); err != nil {
						continue
					}
				}
				before := proto.CloneOf(a)
				if err := in.Set(a, Said{Text: text, Payload: said, At: moment}); err != nil && (!errors.Is(err, ErrUnfit) || !proto.Equal(a, before)) {
					t.Fatalf("%s: %v: %v was %v", component.Name, err, a, before)
				}
			}
		}
		if component.Finish != nil {
			component.Finish(c, a)
		}
		checkState(t, component, a)
		checkAsked(t, component, c, e, a, words)
	})
}

// checkState says what a state must not be.
func checkState(t *testing.T, component Component, a *entityv1.Attributes) {
	t.Helper()
	text, err := state.JSON(a)
	if err != nil || !json.Valid(text) {
		t.Fatalf("%s: %s: %v", component.Name, text, err)
	}
	if _, err := proto.Marshal(a); err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(a.GetExtra(), func(x, y *entityv1.Field) int { return strings.Compare(x.GetName(), y.GetName()) }) {
		t.Fatalf("%s: the extra is not sorted: %v", component.Name, a)
	}
	for _, n := range []uint32{a.GetCover().GetPosition(), a.GetCover().GetTiltPosition(), a.GetValve().GetPosition()} {
		if n > 100 {
			t.Fatalf("%s: %v", component.Name, a)
		}
	}
}

// checkAsked asks for what the words say, and for everything that takes no arguments.
func checkAsked(t *testing.T, component Component, c Config, e *entityv1.Entity, a *entityv1.Attributes, words string) {
	t.Helper()
	asked := [][]string{strings.Fields(words)}
	for _, action := range command.Actions(e) {
		asked = append(asked, []string{action.Name})
	}
	for _, w := range asked {
		r, err := command.ParseWords(e.GetId(), w)
		if err != nil {
			continue
		}
		cmd, err := command.Check(r, e, a)
		if err != nil {
			continue
		}
		before := proto.CloneOf(a)
		published, err := component.Command(c, cmd, a)
		if err == nil && len(published) == 0 || !proto.Equal(before, a) {
			t.Fatalf("%s %v: nothing is published, or the state modified", component.Name, w)
		}
		for _, p := range published {
			if p.Topic == "" || p.QoS > 1 {
				t.Fatalf("%s %v: %v", component.Name, w, p)
			}
		}
	}
}
