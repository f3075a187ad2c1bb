package cli

import (
	"encoding/json"
	"testing"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

func TestWishWords(t *testing.T) {
	for _, c := range []struct{ action, arguments, want string }{
		{"turn_on", `{"brightness":128,"transition":2.5}`, "on, brightness 50%, transition 2.5"},
		{"turn_off", ``, "off"},
		{"open_cover", `{}`, "open"},
		{"set_cover_position", `{"position":30}`, "position 30"},
		{"set_temperature", `{"hvac_mode":"heat","temperature":21.5}`, "hvac mode heat, temperature 21.5"},
		{"set_value", `{"value":3}`, "3"},
		{"select_option", `{"option":"eco"}`, "eco"},
		{"select_next", ``, "select next"},
		{"alarm_arm_home", ``, "alarm arm home"},
		{"turn_on", `{"rgb":[255,0,0]}`, "on, rgb [255,0,0]"},
		{"turn_on", `nonsense`, "on"},
	} {
		if got := wishWords(c.action, json.RawMessage(c.arguments)); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.action, c.arguments, got, c.want)
		}
	}
}

func TestCommandSentences(t *testing.T) {
	for _, c := range []struct {
		kind               eventstore.Kind
		source, data, want string
	}{
		{eventstore.KindCommandIssued, "api:panel", `{"action":"turn_on","arguments":{"brightness":255}}`, "token panel asked light.a to turn on (brightness 100%)"},
		{eventstore.KindCommandIssued, "api:local", `{"action":"turn_off"}`, "somebody on this machine asked light.a to turn off"},
		{eventstore.KindCommandIssued, "rule:night", `{"action":"turn_off"}`, "rule:night asked light.a to turn off"},
		{eventstore.KindCommandIssued, "", `{}`, "somebody asked light.a for something"},
		{eventstore.KindCommandSettled, "lamps", `{"command":1204,"outcome":"confirmed"}`, "light.a  the command @1,204 is confirmed"},
		{eventstore.KindCommandSettled, "statehouse", `{"command":7,"outcome":"failed","reason":"no wire"}`, "light.a  the command @7 failed: no wire"},
		{eventstore.KindCommandSettled, "statehouse", `{"command":7,"outcome":"superseded"}`, "light.a  the command @7 is superseded by a later one"},
		{eventstore.KindCommandSettled, "statehouse", `{"command":7,"outcome":"timed_out"}`, "light.a  the command @7 timed out"},
		{eventstore.KindCommandSettled, "", `null`, "light.a  the command is settled"},
		{eventstore.KindStateReported, "", ``, ""},
	} {
		e := api.Event{Kind: c.kind, EntityID: "light.a", Source: c.source, Data: json.RawMessage(c.data)}
		if got := commandSentence(e); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.kind, c.data, got, c.want)
		}
	}
}
