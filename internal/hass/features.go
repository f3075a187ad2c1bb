package hass

import (
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
)

// ability is something that an entity can be asked to do: an action, or an argument of one.
type ability struct{ action, argument string }

// featureBits are the bits of supported_features, by which clients choose what they show, by domain and by what has to be
// possible for one. The figures are Home Assistant's. A domain with nothing in it has the attribute, and no bits.
var featureBits = map[string]map[ability]int{
	"light": {
		{"turn_on", "effect"}: 4, {"turn_on", "flash"}: 8, {"turn_on", "transition"}: 32,
	},
	"siren": {
		{"turn_on", ""}: 1, {"turn_off", ""}: 2, {"turn_on", "tone"}: 4, {"turn_on", "volume_level"}: 8, {"turn_on", "duration"}: 16,
	},
	"cover": {
		{"open_cover", ""}: 1, {"close_cover", ""}: 2, {"set_cover_position", ""}: 4, {"stop_cover", ""}: 8,
		{"open_cover_tilt", ""}: 16, {"close_cover_tilt", ""}: 32, {"stop_cover_tilt", ""}: 64, {"set_cover_tilt_position", ""}: 128,
	},
	"valve": {
		{"open_valve", ""}: 1, {"close_valve", ""}: 2, {"set_valve_position", ""}: 4, {"stop_valve", ""}: 8,
	},
	"lock": {{"open", ""}: 1},
	"alarm_control_panel": {
		{"alarm_arm_home", ""}: 1, {"alarm_arm_away", ""}: 2, {"alarm_arm_night", ""}: 4, {"alarm_trigger", ""}: 8,
		{"alarm_arm_custom_bypass", ""}: 16, {"alarm_arm_vacation", ""}: 32,
	},
	"fan": {
		{"set_percentage", ""}: 1, {"oscillate", ""}: 2, {"set_direction", ""}: 4, {"set_preset_mode", ""}: 8,
		{"turn_off", ""}: 16, {"turn_on", ""}: 32,
	},
	"climate": {
		{"set_temperature", "temperature"}: 1, {"set_temperature", "target_temp_high"}: 2, {"set_humidity", ""}: 4,
		{"set_fan_mode", ""}: 8, {"set_preset_mode", ""}: 16, {"set_swing_mode", ""}: 32, {"turn_off", ""}: 128, {"turn_on", ""}: 256,
		{"set_swing_horizontal_mode", ""}: 512,
	},
	"water_heater": {
		{"set_temperature", "temperature"}: 1, {"set_operation_mode", ""}: 2, {"set_away_mode", ""}: 4, {"turn_on", ""}: 8,
	},
	"humidifier": {{"set_mode", ""}: 1},
	"vacuum": {
		{"pause", ""}: 4, {"stop", ""}: 8, {"return_to_base", ""}: 16, {"set_fan_speed", ""}: 32, {"send_command", ""}: 256,
		{"locate", ""}: 512, {"clean_spot", ""}: 1024, {"start", ""}: 8192,
	},
	"lawn_mower": {{"start_mowing", ""}: 1, {"pause", ""}: 2, {"dock", ""}: 4},
	"update":     {{"install", ""}: 1, {"install", "version"}: 2, {"install", "backup"}: 8},
	"media_player": {
		{"media_pause", ""}: 1, {"media_seek", ""}: 2, {"volume_set", ""}: 4, {"volume_mute", ""}: 8, {"media_previous_track", ""}: 16,
		{"media_next_track", ""}: 32, {"turn_on", ""}: 128, {"turn_off", ""}: 256, {"play_media", ""}: 512, {"volume_up", ""}: 1024,
		{"select_source", ""}: 2048, {"media_stop", ""}: 4096, {"clear_playlist", ""}: 8192, {"media_play", ""}: 16384,
		{"shuffle_set", ""}: 32768, {"select_sound_mode", ""}: 65536, {"repeat_set", ""}: 262144, {"join", ""}: 524288,
	},
}

// The bits that say something of the state, and nothing of what can be asked for.
const (
	vacuumState    = 4096 // the state is one of what it is doing
	vacuumBattery  = 64
	updateProgress = 4
)

// supportedFeaturesOf are the bits of an entity; ok is false in domains that have none.
func supportedFeaturesOf(domain string, e *entityv1.Entity) (bits int, ok bool) {
	table, ok := featureBits[domain]
	if !ok {
		return 0, false
	}
	for _, a := range command.Actions(e) {
		bits |= table[ability{a.Name, ""}]
		for _, p := range a.Arguments {
			bits |= table[ability{a.Name, p.Name}]
		}
	}
	switch domain {
	case "vacuum":
		bits |= vacuumState
		if feature(e, "battery_level") != nil {
			bits |= vacuumBattery
		}
	case "update":
		bits |= updateProgress
	}
	return bits, true
}
