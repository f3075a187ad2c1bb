package discovery

import (
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/state"
)

// sirenComponent is a siren or a chime. Its tone, volume and duration, where it reports them, are extra.
var sirenComponent = Component{
	Name: "siren", Domain: "siren", KeepsExtra: true,
	Check: needsAll("siren", "command_topic"),
	Describe: func(c Config, e *entityv1.Entity) {
		addFeature(e, &entityv1.Feature{Name: "on", Readable: answersOn(c, "state_topic"), Writable: true})
		if tones := wordsOf(c, "available_tones"); len(tones) > 0 {
			addFeature(e, &entityv1.Feature{Name: "tone", Writable: true, Options: tones})
		}
		if c.Flag("support_volume_set", true) {
			addFeature(e, &entityv1.Feature{Name: "volume_level", Writable: true})
		}
		if c.Flag("support_duration", true) {
			addFeature(e, &entityv1.Feature{Name: "duration", Writable: true, Unit: "s"})
		}
	},
	Inputs: func(c Config) []Input {
		return inputsOf(Input{Sources: c.Sources("state_topic", "state_value_template"), Set: unlessEmpty(sirenSetter(c))})
	},
	Command: sirenCommand,
}

// sirenSetter takes a word for on and off, or an object with it and with what was asked for.
func sirenSetter(c Config) setter {
	on, off := onOffStates(c)
	setOn := onOffSetter(on, off, func(a *entityv1.Attributes, on *bool) {
		a.Domain = &entityv1.Attributes_Siren{Siren: &entityv1.Siren{On: on}}
	})
	return func(a *entityv1.Attributes, s Said) error {
		o := s.object()
		switch {
		case s.Text == "{}":
			return ErrIgnored
		case o == nil:
			return setOn(a, s)
		}
		if o.Has("state") {
			if err := setOn(a, Said{Text: o.Word("state", "None"), At: s.At}); err != nil {
				return err
			}
		}
		for _, f := range o.Value.GetStructValue().GetFields() {
			switch {
			case f.GetName() == "state":
			case dialect.IsNull(f.GetValue()):
				dialect.SetExtra(a, f.GetName(), nil)
			default:
				dialect.SetExtra(a, f.GetName(), f.GetValue())
			}
		}
		return nil
	}
}

// sirenCommand sends an object where there is no template.
func sirenCommand(c Config, cmd command.Checked, _ *entityv1.Attributes) ([]mqtt.Publication, error) {
	templateKey, word := "command_template", c.Word("payload_on", "ON")
	if cmd.Action == "turn_off" {
		word = c.Word("payload_off", "OFF")
		if c.Str("command_off_template") != "" {
			templateKey = "command_off_template"
		}
	}
	vars := map[string]any{"state": word}
	fields := []*entityv1.Field{{Name: "state", Value: dialect.StringValue(word)}}
	for _, f := range cmd.Arguments {
		vars[f.GetName()] = f.GetValue()
		fields = append(fields, f)
	}
	payload := word
	if c.Str(templateKey) == "" {
		payload = string(state.AppendJSON(nil, &entityv1.Value{Kind: &entityv1.Value_StructValue{
			StructValue: &entityv1.StructValue{Fields: fields},
		}}))
	}
	return sendOn(c, "command_topic", templateKey, payload, vars)
}
