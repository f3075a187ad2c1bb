package discovery

import (
	"slices"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/state"
)

// vacuumComponent is a cleaning robot, which reports an object with state, fan_speed and battery_level.
var vacuumComponent = Component{
	Name: "vacuum", Domain: "vacuum", KeepsExtra: true,
	Check: func(c Config) error {
		if !listens(c, "state_topic") {
			return needsAll("vacuum", "command_topic")(c)
		}
		return validTopics(c)
	},
	Describe: func(c Config, e *entityv1.Entity) {
		reads := answersOn(c, "state_topic")
		addFeature(e, &entityv1.Feature{Name: "activity", Readable: reads, Writable: c.Str("command_topic") != "", Options: vacuumFeatures(c)})
		if reads {
			addFeature(e, &entityv1.Feature{Name: "battery_level", Readable: true, Unit: "%"})
		}
		if speeds := wordsOf(c, "fan_speed_list"); len(speeds) > 0 {
			writes := c.Str("set_fan_speed_topic") != "" && slices.Contains(vacuumFeatures(c), "fan_speed")
			addFeature(e, &entityv1.Feature{Name: "fan_speed", Readable: reads, Writable: writes, Options: speeds})
		}
		if c.Str("send_command_topic") != "" && slices.Contains(vacuumFeatures(c), "send_command") {
			addFeature(e, &entityv1.Feature{Name: "send_command", Writable: true})
		}
	},
	Inputs: func(c Config) []Input {
		return inputsOf(Input{Sources: c.Sources("state_topic", "value_template"), Set: unlessEmpty(setVacuum)})
	},
	Command: vacuumCommand,
}

// vacuumFeatures are what a robot is capable of, in Home Assistant's words.
func vacuumFeatures(c Config) []string {
	if !c.Has("supported_features") {
		return []string{"start", "stop", "return_home", "battery", "status", "clean_spot"}
	}
	return wordsOf(c, "supported_features")
}

func setVacuum(a *entityv1.Attributes, s Said) error {
	o := s.object()
	if o == nil {
		return unfit(s, "an object with state, battery_level and fan_speed")
	}
	if a.GetVacuum() == nil {
		a.Domain = &entityv1.Attributes_Vacuum{Vacuum: &entityv1.Vacuum{}}
	}
	v := a.GetVacuum()
	for _, f := range o.Value.GetStructValue().GetFields() {
		left := f.GetValue()
		switch f.GetName() {
		case "state":
			word, _ := dialect.TextOf(f.GetValue())
			n, known := entityv1.VacuumActivity_value["VACUUM_ACTIVITY_"+strings.ToUpper(word)]
			if v.Activity = entityv1.VacuumActivity(n); known && n != 0 && word == strings.ToLower(word) {
				left = nil
			} else {
				v.Activity = entityv1.VacuumActivity_VACUUM_ACTIVITY_UNSPECIFIED
			}
		case "fan_speed":
			v.FanSpeed = nil
			if word, ok := wordOf(f.GetValue()); ok {
				v.FanSpeed, left = &word, nil
			}
		case "battery_level":
			v.BatteryLevel = nil
			if n, ok := dialect.DoubleOf(f.GetValue()); ok && n >= 0 && n <= 100 {
				v.BatteryLevel, left = &n, nil
			}
		}
		if dialect.IsNull(left) {
			left = nil
		}
		dialect.SetExtra(a, f.GetName(), left)
	}
	return nil
}

// vacuumActions are what an action needs, and the word for it.
var vacuumActions = map[string]struct{ feature, key, payload string }{
	"start":          {"start", "payload_start", "start"},
	"pause":          {"pause", "payload_pause", "pause"},
	"stop":           {"stop", "payload_stop", "stop"},
	"return_to_base": {"return_home", "payload_return_to_base", "return_to_base"},
	"clean_spot":     {"clean_spot", "payload_clean_spot", "clean_spot"},
	"locate":         {"locate", "payload_locate", "locate"},
}

func vacuumCommand(c Config, cmd command.Checked, _ *entityv1.Attributes) ([]mqtt.Publication, error) {
	switch cmd.Action {
	case "set_fan_speed":
		speed, _ := cmd.String("fan_speed")
		return sendOn(c, "set_fan_speed_topic", "", speed, nil)
	case "send_command":
		return sendOn(c, "send_command_topic", "", vacuumMessage(cmd), nil)
	}
	action, ok := vacuumActions[cmd.Action]
	if !ok || !slices.Contains(vacuumFeatures(c), action.feature) {
		return nil, cannot(cmd, "the robot has: "+strings.Join(vacuumFeatures(c), ", "))
	}
	return sendOn(c, "command_topic", "", c.Word(action.key, action.payload), nil)
}

// vacuumMessage is a command as it is sent: alone, or in an object with its parameters.
func vacuumMessage(cmd command.Checked) string {
	name, _ := cmd.String("command")
	params, _ := cmd.Argument("params")
	if params.GetStructValue() == nil {
		return name
	}
	fields := []*entityv1.Field{{Name: "command", Value: dialect.StringValue(name)}}
	for _, f := range params.GetStructValue().GetFields() {
		if f.GetName() != "command" {
			fields = append(fields, f)
		}
	}
	return string(state.AppendJSON(nil, &entityv1.Value{Kind: &entityv1.Value_StructValue{
		StructValue: &entityv1.StructValue{Fields: fields},
	}}))
}
