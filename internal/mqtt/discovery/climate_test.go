package discovery

import (
	"testing"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

func TestClimate(t *testing.T) {
	t.Parallel()
	facetPlay(t, climateComponent, `{"mode_state_topic": "x/mode", "mode_command_topic": "x/mode/set", "modes": ["off", "heat", "heat_cool"],
		"action_topic": "x/action", "current_temperature_topic": "x/now",
		"temperature_state_topic": "x/target", "temperature_command_topic": "x/target/set", "min_temp": 5, "max_temp": "30", "temp_step": 0.5,
		"temperature_low_state_topic": "x/low", "temperature_low_command_topic": "x/low/set",
		"temperature_high_state_topic": "x/high", "temperature_high_command_topic": "x/high/set",
		"current_humidity_topic": "x/humidity", "min_humidity": 35, "max_humidity": 70,
		"target_humidity_state_topic": "x/wanted", "target_humidity_command_topic": "x/wanted/set",
		"fan_mode_state_topic": "x/fan", "fan_mode_command_topic": "x/fan/set",
		"swing_mode_state_topic": "x/swing", "swing_mode_command_topic": "x/swing/set", "swing_modes": ["vertical", "still"],
		"swing_horizontal_mode_state_topic": "x/swingh", "swing_horizontal_mode_command_topic": "x/swingh/set",
		"preset_mode_state_topic": "x/preset", "preset_mode_command_topic": "x/preset/set", "preset_modes": ["eco", "away"]}`, []facetStep{
		facetSaid("x/mode", "heat", `{"hvac_mode":"heat"}`),
		facetUnfits("x/mode", "boil"),
		facetSaid("x/mode", "", `{"hvac_mode":"heat"}`),
		facetSaid("x/mode", "None", `{}`),
		facetSaid("x/action", "preheating", `{"hvac_action":"preheating"}`),
		facetUnfits("x/action", "heat"),
		facetSaid("x/action", "None", `{}`),
		facetSaid("x/now", "21.37", `{"current_temperature":21.37}`),
		facetUnfits("x/now", "warm"),
		facetUnfits("x/now", "inf"),
		facetSaid("x/now", "None", `{}`),
		facetSaid("x/target", "20", `{"target_temperature":20}`),
		facetSaid("x/low", "18.5", `{"target_temperature":20,"target_temperature_low":18.5}`),
		facetSaid("x/high", "24", `{"target_temperature":20,"target_temperature_high":24,"target_temperature_low":18.5}`),
		facetSaid("x/high", "None", `{"target_temperature":20,"target_temperature_low":18.5}`),
		facetSaid("x/low", "None", `{"target_temperature":20}`),
		facetSaid("x/humidity", "44", `{"target_temperature":20,"current_humidity":44}`),
		facetUnfits("x/humidity", "144"),
		facetSaid("x/humidity", "None", `{"target_temperature":20}`),
		facetSaid("x/wanted", "50", `{"target_temperature":20,"target_humidity":50}`),
		facetSaid("x/wanted", "None", `{"target_temperature":20}`),
		facetSaid("x/target", "None", `{}`),
		facetSaid("x/fan", "medium", `{"fan_mode":"medium"}`),
		facetUnfits("x/fan", "turbo"),
		facetSaid("x/fan", "None", `{}`),
		facetSaid("x/swing", "vertical", `{"swing_mode":"vertical"}`),
		facetSaid("x/swing", "None", `{}`),
		facetSaid("x/swingh", "on", `{"swing_horizontal_mode":"on"}`),
		facetSaid("x/swingh", "None", `{}`),
		facetSaid("x/preset", "eco", `{"preset_mode":"eco"}`),
		facetUnfits("x/preset", "party"),
		facetSaid("x/preset", "None", `{"preset_mode":"none"}`),
		facetSaid("x/preset", "none", `{"preset_mode":"none"}`),

		facetAsked("set_hvac_mode hvac_mode=heat", "x/mode/set heat"),
		facetAsked("set_hvac_mode hvac_mode=dry", "is no option"),
		facetAsked("off", "x/mode/set off"),
		facetAsked("set_temperature temperature=21", "x/target/set 21.0"),
		facetAsked("set_temperature temperature=21.5 hvac_mode=heat", "x/mode/set heat", "x/target/set 21.5"),
		facetAsked("set_temperature target_temp_low=18 target_temp_high=23.5", "x/low/set 18.0", "x/high/set 23.5"),
		facetAsked("set_temperature temperature=31", "out of range"),
		facetAsked("set_humidity humidity=50", "x/wanted/set 50"),
		facetAsked("set_humidity humidity=34", "out of range"),
		facetAsked("set_fan_mode fan_mode=low", "x/fan/set low"),
		facetAsked("set_swing_mode swing_mode=still", "x/swing/set still"),
		facetAsked("set_swing_horizontal_mode swing_horizontal_mode=off", "x/swingh/set off"),
		facetAsked("set_preset_mode preset_mode=away", "x/preset/set away"),
		facetAsked("set_preset_mode preset_mode=none", "x/preset/set none"),
	})
}

func TestClimateTemplates(t *testing.T) {
	t.Parallel()
	facetPlay(t, climateComponent, `{"value_template": "{{ value_json.any }}",
		"mode_state_topic": "x", "mode_state_template": "{{ {0: 'off', 1: 'cool'}[value_json.mode] }}",
		"mode_command_topic": "x/set", "mode_command_template": "mode={{ {'off': 0, 'cool': 1}[value] }}", "modes": ["off", "cool"],
		"temperature_state_topic": "x/any", "temperature_command_topic": "x/set", "temperature_command_template": "t={{ (value * 10) | int }}",
		"preset_mode_state_topic": "x/preset", "preset_mode_value_template": "{{ value | upper }}", "preset_modes": ["ECO"],
		"preset_mode_command_topic": "x/set", "preset_mode_command_template": "p={{ value | lower }}"}`, []facetStep{
		facetSaid("x", `{"mode": 1}`, `{"hvac_mode":"cool"}`),
		facetSaid("x/any", `{"any": 21.5}`, `{"hvac_mode":"cool","target_temperature":21.5}`),
		facetSaid("x/preset", "eco", `{"hvac_mode":"cool","target_temperature":21.5,"preset_mode":"ECO"}`),
		facetAsked("off", "x/set mode=0"),
		facetAsked("set_temperature temperature=22", "x/set t=220"),
		facetAsked("set_preset_mode preset_mode=ECO", "x/set p=eco"),
	})
}

func TestClimatePower(t *testing.T) {
	t.Parallel()
	t.Run("and modes, one of them off", func(t *testing.T) {
		t.Parallel()
		facetPlay(t, climateComponent, `{"power_command_topic": "x/power", "power_command_template": "p={{ value }}",
			"mode_command_topic": "x/mode", "modes": ["off", "cool"]}`, []facetStep{
			facetAsked("set_hvac_mode hvac_mode=cool", "x/power p=ON", "x/mode cool"),
			facetAsked("off", "x/power p=OFF", "x/mode off"),
		})
	})
	t.Run("and modes, none of them off", func(t *testing.T) {
		t.Parallel()
		facetPlay(t, climateComponent, `{"power_command_topic": "x/power", "payload_on": "1", "payload_off": "0",
			"mode_command_topic": "x/mode", "modes": ["cool", "heat"]}`, []facetStep{
			facetAsked("set_hvac_mode hvac_mode=heat", "x/power 1", "x/mode heat"),
			facetAsked("off", "x/power 0"),
		})
	})
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		for _, reported := range []string{"", `"mode_state_topic": "x/mode",`} {
			facetPlay(t, climateComponent, `{`+reported+`"power_command_topic": "x/power", "modes": ["cool"]}`, []facetStep{
				facetAsked("on", "x/power ON"),
				facetAsked("off", "x/power OFF"),
			})
		}
	})
	t.Run("of a heater for water", func(t *testing.T) {
		t.Parallel()
		facetPlay(t, waterHeaterComponent, `{"power_command_topic": "x/power", "mode_command_topic": "x/mode", "modes": ["eco", "gas"]}`, []facetStep{
			facetAsked("set_operation_mode operation_mode=gas", "x/power ON", "x/mode gas"),
			facetAsked("off", "x/power OFF"),
		})
	})
}

func TestClimateUnit(t *testing.T) {
	t.Parallel()
	for _, c := range []Component{climateComponent, waterHeaterComponent} {
		for text, want := range map[string]string{
			`{"temperature_command_topic": "x", "temperature_unit": "F"}`: "°F",
			`{"temperature_command_topic": "x", "temperature_unit": "C"}`: "",
			`{"temperature_command_topic": "x"}`:                          "",
		} {
			e := &entityv1.Entity{Capabilities: &entityv1.Capabilities{}}
			c.Describe(config(t, text), e)
			if e.GetUnit() != want {
				t.Errorf("%s %s: the unit is %q", c.Name, text, e.GetUnit())
			}
		}
	}
	facetPlay(t, climateComponent, `{"temperature_command_topic": "x/set", "temperature_unit": "F"}`, []facetStep{
		facetAsked("set_temperature temperature=70", "x/set 70.0"),
		facetAsked("set_temperature temperature=30", "out of range"),
	})
}

func TestWaterHeater(t *testing.T) {
	t.Parallel()
	facetPlay(t, waterHeaterComponent, `{"mode_state_topic": "x/mode", "mode_command_topic": "x/mode/set", "current_temperature_topic": "x/now",
		"value_template": "{{ value_json.v }}",
		"temperature_state_topic": "x/target", "temperature_command_topic": "x/target/set", "min_temp": 40, "max_temp": 65}`, []facetStep{
		facetSaid("x/mode", `{"v": "eco"}`, `{"operation_mode":"eco"}`),
		facetUnfits("x/mode", `{"v": "solar"}`),
		facetSaid("x/mode", `{"v": null}`, `{}`),
		facetSaid("x/now", `{"v": 48.25}`, `{"current_temperature":48.25}`),
		facetSaid("x/target", `{"v": "55"}`, `{"current_temperature":48.25,"target_temperature":55}`),
		facetSaid("x/target", `{"v": null}`, `{"current_temperature":48.25}`),
		facetSaid("x/now", `{"v": null}`, `{}`),
		facetAsked("set_operation_mode operation_mode=heat_pump", "x/mode/set heat_pump"),
		facetAsked("off", "x/mode/set off"),
		facetAsked("set_temperature temperature=55 operation_mode=eco", "x/mode/set eco", "x/target/set 55.0"),
		facetAsked("set_temperature temperature=66", "out of range"),
	})
}

// TestClimateReadOnly has a device that only reports.
func TestClimateReadOnly(t *testing.T) {
	t.Parallel()
	facetPlay(t, climateComponent, `{"current_temperature_topic": "x/now", "temperature_state_topic": "x/target"}`, []facetStep{
		facetSaid("x/now", "20", `{"current_temperature":20}`),
		facetAsked("set_temperature temperature=20", "can only be read"),
		facetAsked("set_hvac_mode hvac_mode=heat", "has no hvac_mode"),
	})
}
