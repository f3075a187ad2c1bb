package zigbee2mqtt

import (
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// facts are what the name of an expose tells of the entity: Zigbee2MQTT's definitions leave it to their readers to know
// that illuminance has a class of its own, or that an auto lock is a setting.
type facts struct {
	class    map[string]string
	state    map[string]entityv1.StateClass
	category map[string]entityv1.EntityCategory
	disabled map[string]bool
}

// classify applies the facts to a new spec.
func classify(s dialect.Spec, f facts, name string) {
	s.Entity.DeviceClass = f.class[name]
	s.Entity.StateClass = f.state[name]
	s.Entity.Category = f.category[name]
	s.Entity.Disabled = f.disabled[name]
}

// invert makes a table of lists, each the names that share a value.
func invert[V any](lists []named[V]) map[string]V {
	m := make(map[string]V)
	for _, l := range lists {
		for _, name := range strings.Fields(l.names) {
			m[name] = l.value
		}
	}
	return m
}

type named[V any] struct {
	value V
	names string
}

const (
	config     = entityv1.EntityCategory_ENTITY_CATEGORY_CONFIG
	diagnostic = entityv1.EntityCategory_ENTITY_CATEGORY_DIAGNOSTIC
	measured   = entityv1.StateClass_STATE_CLASS_MEASUREMENT
	increasing = entityv1.StateClass_STATE_CLASS_TOTAL_INCREASING
)

var binaryFacts = facts{
	class: invert([]named[string]{
		{"battery", "battery_low"},
		{"carbon_monoxide", "carbon_monoxide"},
		{"door", "contact"},
		{"garage_door", "garage_door_contact"},
		{"gas", "gas"},
		{"moisture", "rain_status water_leak"},
		{"moving", "moving"},
		{"occupancy", "occupancy presence area1Occupancy area2Occupancy area3Occupancy area4Occupancy"},
		{"opening", "valve_state"},
		{"plug", "consumer_connected"},
		{"problem", "valve_alarm"},
		{"running", "setup"},
		{"safety", "sos"},
		{"smoke", "smoke"},
		{"sound", "noise_detected"},
		{"tamper", "tamper"},
		{"vibration", "vibration"},
		{"window", "window window_open"},
	}),
	category: invert([]named[entityv1.EntityCategory]{
		{config, `auto_lock away_mode button_lock calibration calibration_left calibration_right card child_lock
			color_sync eco_mode enable_display expose_pin flip_indicator_light frost_protection heating_stop indicator
			indicator_mode invert_cover led_disabled_night led_enable led_indication motor_reversal motor_reversal_left
			motor_reversal_right no_position_support power_outage_memory temperature_scale tilt_mode valve_detection
			window_detection`},
		{diagnostic, `battery_low test capabilities_configurable_curve capabilities_forward_phase_control
			capabilities_overload_detection capabilities_reactance_discriminator capabilities_reverse_phase_control
			status_capacitive_load status_forward_phase_control status_inductive_load status_overload
			status_reverse_phase_control`},
	}),
}

var numericFacts = facts{
	class: invert([]named[string]{
		{"aqi", "aqi"},
		{"atmospheric_pressure", "pressure"},
		{"battery", "battery battery2"},
		{"carbon_dioxide", "co2"},
		{"conductivity", "soil_fertility"},
		{"current", "current current_phase_b current_phase_c"},
		{"distance", "distance"},
		{"duration", "action_duration boost_heating_countdown"},
		{"energy", "energy"},
		{"frequency", "ac_frequency"},
		{"gas", "gas"},
		{"humidity", "humidity external_humidity alarm_humidity_max alarm_humidity_min comfort_humidity_max comfort_humidity_min"},
		{"illuminance", "illuminance"},
		{"moisture", "soil_moisture"},
		{"pm10", "pm10"},
		{"pm25", "pm25"},
		{"power", "power power_phase_b power_phase_c"},
		{"power_factor", "power_factor"},
		{"precipitation", "precipitation"},
		{"precipitation_intensity", "rain_rate"},
		{"sound_pressure", "noise"},
		{"temperature", `temperature local_temperature device_temperature cpu_temperature internalTemperature
			temperature_probe external_temperature external_temperature_input apparent_temperature dew_point humidex
			wind_chill alarm_temperature_max alarm_temperature_min comfort_temperature_max comfort_temperature_min`},
		{"volatile_organic_compounds", "voc"},
		{"volatile_organic_compounds_parts", "voc_parts eco2"},
		{"voltage", "voltage voltage_phase_b voltage_phase_c battery_voltage"},
		{"volume_flow_rate", "flow"},
		{"water", "water_consumed"},
		{"wind_speed", "wind_speed gust_speed"},
	}),
	state: invert([]named[entityv1.StateClass]{
		{increasing, "energy gas precipitation water_consumed"},
		{measured, `ac_frequency apparent_temperature aqi battery battery2 battery_voltage co2 cpu_temperature current
			current_phase_b current_phase_c device_temperature dew_point distance eco2 external_humidity
			external_temperature flow formaldehyd formaldehyde gas_density gust_speed hcho heat_stress humidex humidity
			illuminance illuminance_raw internalTemperature linkquality load_estimate local_temperature noise
			occupancy_level people pm10 pm25 position power power_factor power_outage_count power_phase_b power_phase_c
			pressure pressure_trend rain_rate smoke_density soil_fertility soil_moisture temperature temperature_probe
			trigger_count uv_index voc voc_index voc_parts voltage voltage_phase_b voltage_phase_c wind_chill
			wind_direction wind_speed x x_axis y y_axis z z_axis`},
	}),
	category: invert([]named[entityv1.EntityCategory]{
		{config, `alarm_humidity_max alarm_humidity_min alarm_temperature_max alarm_temperature_min auto_relock_time
			away_preset_days away_preset_temperature ballast_maximum_level ballast_minimum_level
			boost_heating_countdown_time_set boost_time calibration calibration_button_hold_time
			calibration_closing_time calibration_motor_start_delay calibration_opening_time calibration_time
			calibration_time_left calibration_time_right comfort_humidity_max comfort_humidity_min comfort_temperature
			comfort_temperature_max comfort_temperature_min deadzone_temperature detection_delay duration
			eco_temperature effect_speed fading_time humidity_calibration humidity_max humidity_min
			illuminance_calibration interval_time large_motion_detection_distance large_motion_detection_sensitivity
			max_range max_temperature max_temperature_limit maximum_range measurement_interval
			measurement_poll_interval medium_motion_detection_distance medium_motion_detection_sensitivity
			min_temperature min_temperature_limit minimum_on_level minimum_range motion_sensitivity
			occupancy_sensitivity occupancy_timeout precision presence_timeout reporting_time sensitivity
			small_detection_distance small_detection_sensitivity soil_calibration soil_sampling soil_warning
			temperature_calibration temperature_max temperature_min temperature_sampling transition
			vibration_timeout`},
		{diagnostic, `ballast_physical_maximum_level ballast_physical_minimum_level battery2 battery_voltage
			cpu_temperature device_temperature internalTemperature linkquality power_factor requested_brightness_level
			requested_brightness_percent`},
	}),
	disabled: invert([]named[bool]{{true, `calibration_button_hold_time calibration_motor_start_delay effect_speed
		linkquality power_factor power_outage_count requested_brightness_level requested_brightness_percent
		trigger_count`}}),
}

var enumFacts = facts{
	class: invert([]named[string]{
		{"identify", "identify"},
		{"restart", "restart"},
		{"update", "update"},
	}),
	category: invert([]named[entityv1.EntityCategory]{
		{config, `alarm_humidity alarm_temperature backlight_auto_dim backlight_mode color_power_on_behavior
			control_mode device_mode force keep_time keypad_lockout load_detection_mode load_dimmable load_type melody
			mode mode_phase_control motion_sensitivity motor_direction operation_mode power_on_behavior
			power_outage_memory power_supply_mode power_type sensitivity sensors_type set_limits sound_volume
			switch_type temperature_display_mode temperature_sensor_select temperature_unit thermostat_unit volume
			week`},
		{diagnostic, "identify motor_state"},
	}),
	disabled: map[string]bool{"effect": true},
}

var otherFacts = facts{
	category: invert([]named[entityv1.EntityCategory]{
		{config, "effect_color schedule_settings"},
		{diagnostic, "level_config"},
	}),
	disabled: map[string]bool{"effect_color": true},
}

// unitClasses are the classes that follow from a sensor's unit, whatever its name.
var unitClasses = func() map[string]struct {
	device string
	state  entityv1.StateClass
} {
	type class = struct {
		device string
		state  entityv1.StateClass
	}
	return invert([]named[class]{
		{class{"energy", increasing}, "Wh kWh"},
		{class{"current", measured}, "A mA"},
		{class{"power", measured}, "mW W kW"},
	})
}()
