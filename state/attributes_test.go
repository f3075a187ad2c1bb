package state

import (
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// unixNano is a moment with a part of each size, to tell the precisions apart.
var unixNano = time.Date(2026, 1, 31, 8, 5, 9, 123456789, time.UTC).UnixNano()

func light(l *entityv1.Light) *entityv1.Attributes {
	return &entityv1.Attributes{Domain: &entityv1.Attributes_Light{Light: l}}
}

func hs(hue, saturation float64) *entityv1.Attributes {
	return light(&entityv1.Light{Hs: &entityv1.ColorHs{Hue: hue, Saturation: saturation}})
}

func xy(x, y float64) *entityv1.Attributes {
	return light(&entityv1.Light{Xy: &entityv1.ColorXy{X: x, Y: y}})
}

func sensor(s *entityv1.Sensor) *entityv1.Attributes {
	return &entityv1.Attributes{Domain: &entityv1.Attributes_Sensor{Sensor: s}}
}

func sensorNumber(f float64) *entityv1.Attributes {
	return sensor(&entityv1.Sensor{Value: &entityv1.Sensor_Number{Number: f}})
}

func number(n *entityv1.Number) *entityv1.Attributes {
	return &entityv1.Attributes{Domain: &entityv1.Attributes_Number{Number: n}}
}

func generic(v *entityv1.Value) *entityv1.Attributes {
	return &entityv1.Attributes{Domain: &entityv1.Attributes_Generic{Generic: &entityv1.Generic{State: v}}}
}

func update(u *entityv1.Update) *entityv1.Attributes {
	return &entityv1.Attributes{Domain: &entityv1.Attributes_Update{Update: u}}
}

func button(pressed int64) *entityv1.Attributes {
	return &entityv1.Attributes{Domain: &entityv1.Attributes_Button{Button: &entityv1.Button{Pressed: &pressed}}}
}

func versions(installed, latest string) *entityv1.Attributes {
	return update(&entityv1.Update{InstalledVersion: &installed, LatestVersion: &latest})
}

// textTests has, for each domain, attributes whose value is known, and their text.
var textTests = map[string][]struct {
	attributes *entityv1.Attributes
	want       string
}{
	"light": {
		{light(&entityv1.Light{On: proto.Bool(true), Brightness: proto.Uint32(0)}), "on"},
		{light(&entityv1.Light{On: proto.Bool(false), Brightness: proto.Uint32(254)}), "off"},
	},
	"switch": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Switch{Switch: &entityv1.Switch{On: proto.Bool(true)}}}, "on"},
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Switch{Switch: &entityv1.Switch{On: proto.Bool(false)}}}, "off"},
	},
	"sensor": {
		{sensorNumber(21.5), "21.5"},
		{sensorNumber(21), "21"},
		{sensorNumber(0), "0"},
		{sensorNumber(-0.1), "-0.1"},
		{sensorNumber(math.Copysign(0, -1)), "0"},
		{sensorNumber(1e21), "1e+21"},
		{sensorNumber(123456789012), "123456789012"},
		{sensorNumber(math.NaN()), "NaN"},
		{sensorNumber(math.Inf(-1)), "-Infinity"},
		{sensor(&entityv1.Sensor{Value: &entityv1.Sensor_Decimal{Decimal: "18446744073709551615"}}), "18446744073709551615"},
		{sensor(&entityv1.Sensor{Value: &entityv1.Sensor_Text{Text: "rinsing"}}), "rinsing"},
		{sensor(&entityv1.Sensor{Value: &entityv1.Sensor_Text{}}), ""},
		{sensor(&entityv1.Sensor{Value: &entityv1.Sensor_Timestamp{Timestamp: unixNano}}), "2026-01-31T08:05:09+00:00"},
		{sensor(&entityv1.Sensor{Value: &entityv1.Sensor_Timestamp{}}), "1970-01-01T00:00:00+00:00"},
		{sensor(&entityv1.Sensor{Value: &entityv1.Sensor_Date{Date: "2026-01-31"}}), "2026-01-31"},
	},
	"binary_sensor": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_BinarySensor{
			BinarySensor: &entityv1.BinarySensor{On: proto.Bool(true)},
		}}, "on"},
	},
	"climate": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Climate{Climate: &entityv1.Climate{
			HvacMode: entityv1.HvacMode_HVAC_MODE_HEAT_COOL, HvacAction: entityv1.HvacAction_HVAC_ACTION_IDLE,
		}}}, "heat_cool"},
	},
	"cover": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Cover{Cover: &entityv1.Cover{
			State: entityv1.CoverState_COVER_STATE_OPEN, Position: proto.Uint32(40),
		}}}, "open"},
	},
	"lock": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Lock{
			Lock: &entityv1.Lock{State: entityv1.LockState_LOCK_STATE_LOCKED},
		}}, "locked"},
	},
	"fan": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Fan{
			Fan: &entityv1.Fan{On: proto.Bool(true), Percentage: proto.Uint32(33)},
		}}, "on"},
	},
	"number": {
		{number(&entityv1.Number{Value: &entityv1.Number_Number{Number: 0.25}}), "0.25"},
		{number(&entityv1.Number{Value: &entityv1.Number_Decimal{Decimal: "9007199254740993"}}), "9007199254740993"},
	},
	"select": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Select{
			Select: &entityv1.Select{Option: proto.String("restore")},
		}}, "restore"},
	},
	"text": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Text{Text: &entityv1.Text{Value: proto.String("hello")}}}, "hello"},
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Text{Text: &entityv1.Text{Value: proto.String("")}}}, ""},
	},
	"button": {
		{button(unixNano), "2026-01-31T08:05:09.123456+00:00"},
		{button(unixNano - unixNano%int64(time.Second)), "2026-01-31T08:05:09+00:00"},
		{button(unixNano - unixNano%int64(time.Second) + 999), "2026-01-31T08:05:09+00:00"},
		{button(-1), "1969-12-31T23:59:59.999999+00:00"},
	},
	"event": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Event{
			Event: &entityv1.Event{EventType: proto.String("single"), Occurred: &unixNano},
		}}, "2026-01-31T08:05:09.123+00:00"},
	},
	"update": {
		{versions("1.2", "1.3"), "on"},
		{versions("1.3", "1.3"), "off"},
		{versions("1.10", "1.9"), "off"},
		{versions("1.9", "1.10"), "on"},
		{versions("v1.0.0", "1.0"), "off"},
		{versions("016", "17"), "on"},
		{versions("20260131", "20250131"), "off"},
		{versions("99999999999999999999998", "99999999999999999999999"), "on"},
		{versions("1.3", "1.3-beta"), "on"},
		{versions("", "1"), "on"},
		{versions("1", ""), "on"},
		{versions("1..2", "1.0.2"), "on"},
		{update(&entityv1.Update{
			InstalledVersion: proto.String("1"), LatestVersion: proto.String("3"), SkippedVersion: proto.String("3"),
		}), "off"},
		{update(&entityv1.Update{
			InstalledVersion: proto.String("1"), LatestVersion: proto.String("3"), SkippedVersion: proto.String("2"),
		}), "on"},
		{update(&entityv1.Update{InstalledVersion: proto.String("1")}), "unknown"},
		{update(&entityv1.Update{LatestVersion: proto.String("1")}), "unknown"},
	},
	"siren": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Siren{Siren: &entityv1.Siren{On: proto.Bool(false)}}}, "off"},
	},
	"device_tracker": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_DeviceTracker{
			DeviceTracker: &entityv1.DeviceTracker{Location: proto.String("not_home")},
		}}, "not_home"},
	},
	"media_player": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_MediaPlayer{
			MediaPlayer: &entityv1.MediaPlayer{State: entityv1.MediaPlayerState_MEDIA_PLAYER_STATE_PLAYING},
		}}, "playing"},
	},
	"vacuum": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Vacuum{
			Vacuum: &entityv1.Vacuum{Activity: entityv1.VacuumActivity_VACUUM_ACTIVITY_RETURNING},
		}}, "returning"},
	},
	"valve": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Valve{
			Valve: &entityv1.Valve{State: entityv1.ValveState_VALVE_STATE_CLOSING},
		}}, "closing"},
	},
	"humidifier": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Humidifier{
			Humidifier: &entityv1.Humidifier{On: proto.Bool(true)},
		}}, "on"},
	},
	"water_heater": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_WaterHeater{
			WaterHeater: &entityv1.WaterHeater{OperationMode: proto.String("heat_pump")},
		}}, "heat_pump"},
	},
	"alarm_control_panel": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_AlarmControlPanel{AlarmControlPanel: &entityv1.AlarmControlPanel{
			State: entityv1.AlarmControlPanelState_ALARM_CONTROL_PANEL_STATE_ARMED_CUSTOM_BYPASS,
		}}}, "armed_custom_bypass"},
	},
	"weather": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Weather{
			Weather: &entityv1.Weather{Condition: entityv1.WeatherCondition_WEATHER_CONDITION_CLEAR_NIGHT},
		}}, "clear-night"},
	},
	"person": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Person{
			Person: &entityv1.Person{Location: proto.String("home")},
		}}, "home"},
	},
	"scene": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Scene{
			Scene: &entityv1.Scene{Activated: &unixNano},
		}}, "2026-01-31T08:05:09.123456+00:00"},
	},
	"date": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Date{
			Date: &entityv1.Date{Value: proto.String("2026-01-31")},
		}}, "2026-01-31"},
	},
	"time": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Time{
			Time: &entityv1.Time{Value: proto.String("08:05:09")},
		}}, "08:05:09"},
	},
	"datetime": {
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Datetime{
			Datetime: &entityv1.DateTime{Timestamp: &unixNano},
		}}, "2026-01-31T08:05:09+00:00"},
	},
	"generic": {
		{generic(valueString("purple")), "purple"},
		{generic(valueBool(true)), "on"},
		{generic(valueBool(false)), "off"},
		{generic(valueInt(-3)), "-3"},
		{generic(valueDouble(1)), "1"},
		{generic(valueDigits("18446744073709551615")), "18446744073709551615"},
		{generic(valueBytes([]byte{0xff})), "/w=="},
		{generic(valueList(valueInt(1), valueNull())), "[1,null]"},
		{generic(valueStruct(valueField("a", valueDouble(1)))), `{"a":1.0}`},
		{generic(valueNull()), "unknown"},
		{generic(&entityv1.Value{}), "unknown"},
	},
}

// Every domain that there is, also one that is added later, has its name, its texts, and a test of them.
func TestTextOfEveryDomain(t *testing.T) {
	fields := attributesDomain.Fields()
	if fields.Len() != len(textTests) {
		t.Errorf("%d domains, and tests of %d", fields.Len(), len(textTests))
	}
	for i := range fields.Len() {
		field := fields.Get(i)
		domain := string(field.Name())
		empty := &entityv1.Attributes{}
		empty.ProtoReflect().Mutable(field)
		if got := Domain(empty); got != domain {
			t.Errorf("domain %q, want %q", got, domain)
		}
		if got := Text(empty); got != "unknown" {
			t.Errorf("%s without a value: %q", domain, got)
		}
		known := false
		for _, test := range textTests[domain] {
			if got := Domain(test.attributes); got != domain {
				t.Errorf("%s: a test of the domain %q stands here", domain, got)
			}
			if got := Text(test.attributes); got != test.want {
				t.Errorf("%v: %q, want %q", test.attributes, got, test.want)
			}
			known = known || test.want != "unknown"
			a := proto.CloneOf(test.attributes)
			a.Availability = entityv1.Availability_AVAILABILITY_ONLINE
			if got := Text(a); got != test.want {
				t.Errorf("%v: %q, want %q", a, got, test.want)
			}
			a.Availability = entityv1.Availability_AVAILABILITY_OFFLINE
			if got := Text(a); got != "unavailable" {
				t.Errorf("%v: %q", a, got)
			}
		}
		if !known {
			t.Errorf("%s: no test with a known value", domain)
		}
	}
}

// Moments are in UTC, wherever the program runs.
func TestTextIsInUTC(t *testing.T) {
	local := time.Local
	defer func() { time.Local = local }()
	time.Local = time.FixedZone("somewhere", 5*3600+1800)
	if got := Text(button(unixNano)); got != "2026-01-31T08:05:09.123456+00:00" {
		t.Error(got)
	}
}

func TestTextWithoutDomain(t *testing.T) {
	for _, test := range []struct {
		attributes *entityv1.Attributes
		want       string
	}{
		{nil, "unknown"},
		{&entityv1.Attributes{}, "unknown"},
		{&entityv1.Attributes{Availability: entityv1.Availability_AVAILABILITY_OFFLINE}, "unavailable"},
		{&entityv1.Attributes{Availability: 99}, "unknown"},
		{&entityv1.Attributes{Domain: (*entityv1.Attributes_Light)(nil)}, "unknown"},
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Light{}}, "unknown"},
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Sensor{}}, "unknown"},
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Lock{Lock: &entityv1.Lock{State: 99}}}, "unknown"},
	} {
		if got := Text(test.attributes); got != test.want {
			t.Errorf("Text(%v) = %q, want %q", test.attributes, got, test.want)
		}
	}
	if got := Domain(nil); got != "" {
		t.Errorf("Domain(nil) = %q", got)
	}
	if got := Domain(&entityv1.Attributes{}); got != "" {
		t.Errorf("Domain of none = %q", got)
	}
}

// The words are Home Assistant's. They are part of what programs read, and none may change by renaming a value.
func TestEnumWords(t *testing.T) {
	want := map[string]string{
		"AlarmControlPanelState": "disarmed armed_home armed_away armed_night armed_vacation armed_custom_bypass pending arming " +
			"disarming triggered",
		"Availability":      "online offline",
		"ColorMode":         "onoff brightness color_temp hs xy rgb rgbw rgbww white",
		"CoverState":        "open opening closed closing",
		"FanDirection":      "forward reverse",
		"HumidifierAction":  "off idle humidifying drying",
		"HvacAction":        "off idle heating preheating cooling drying fan defrosting",
		"HvacMode":          "off heat cool heat_cool auto dry fan_only",
		"LockState":         "locked unlocked locking unlocking jammed open opening",
		"MediaPlayerState":  "off on idle playing paused standby buffering",
		"RepeatMode":        "off all one",
		"TrackerSourceType": "gps router bluetooth bluetooth_le",
		"VacuumActivity":    "cleaning docked idle paused returning error",
		"ValveState":        "open opening closed closing",
		"WeatherCondition": "clear-night cloudy exceptional fog hail lightning lightning-rainy partlycloudy pouring rainy snowy " +
			"snowy-rainy sunny windy windy-variant",
	}
	enums := entityv1.File_statehouse_entity_v1_attributes_proto.Enums()
	if enums.Len() != len(want) {
		t.Errorf("%d enums, and words of %d", enums.Len(), len(want))
	}
	for i := range enums.Len() {
		enum := enums.Get(i)
		var words []string
		for n := range enum.Values().Len() {
			if word, ok := enumWord(enum, enum.Values().Get(n).Number()); ok {
				words = append(words, word)
			}
		}
		if got := strings.Join(words, " "); got != want[string(enum.Name())] {
			t.Errorf("%s: %q, want %q", enum.Name(), got, want[string(enum.Name())])
		}
		if word, ok := enumWord(enum, 0); ok {
			t.Errorf("%s: the unknown value has the word %q", enum.Name(), word)
		}
		if word, ok := enumWord(enum, 12345); ok {
			t.Errorf("%s: a value that is not in it has the word %q", enum.Name(), word)
		}
	}
}

func TestEqual(t *testing.T) {
	on, also := light(&entityv1.Light{On: proto.Bool(true)}), light(&entityv1.Light{On: proto.Bool(true)})
	for _, test := range []struct {
		name string
		a, b *entityv1.Attributes
		want bool
	}{
		{"the same", on, on, true},
		{"a copy", on, also, true},
		{"nil and nil", nil, nil, true},
		{"nil and empty", nil, &entityv1.Attributes{}, false},
		{"unknown and zero", light(&entityv1.Light{}), light(&entityv1.Light{On: proto.Bool(false)}), false},
		{"no domain and an empty one", &entityv1.Attributes{}, light(&entityv1.Light{}), false},
		{"two domains", light(&entityv1.Light{}), sensor(&entityv1.Sensor{}), false},
		{"NaN and NaN", sensorNumber(math.NaN()), sensorNumber(-math.NaN()), true},
		{"NaN and zero", sensorNumber(math.NaN()), sensorNumber(0), false},
		{"-0 and 0", sensorNumber(math.Copysign(0, -1)), sensorNumber(0), true},
		{"-0 and 0 in hs", hs(math.Copysign(0, -1), 1), hs(0, 1), true},
		{"-0 and 0 in hs, twice", hs(0, math.Copysign(0, -1)), hs(math.Copysign(0, -1), 0), true},
		{"-0 and 0 in saturation", hs(1, math.Copysign(0, -1)), hs(1, 0), true},
		{"-0 and 0 in y", xy(1, math.Copysign(0, -1)), xy(1, 0), true},
		{"-0 and 0 in xy", xy(math.Copysign(0, -1), 1), xy(0, 1), true},
		{"-0 and 0 in xy, twice", xy(0, math.Copysign(0, -1)), xy(math.Copysign(0, -1), 0), true},
		{"-0, and more that differs", hs(math.Copysign(0, -1), 1), hs(0, 2), false},
		{"-0 and nil", hs(math.Copysign(0, -1), 1), nil, false},
		{"integer and double", generic(valueInt(1)), generic(valueDouble(1)), false},
		{
			"another extra",
			&entityv1.Attributes{Extra: []*entityv1.Field{valueField("a", valueInt(1))}},
			&entityv1.Attributes{Extra: []*entityv1.Field{valueField("a", valueInt(2))}},
			false,
		},
		{"availability", &entityv1.Attributes{}, &entityv1.Attributes{Availability: 1}, false},
	} {
		if got := Equal(test.a, test.b); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
		if got := Equal(test.b, test.a); got != test.want {
			t.Errorf("%s, the other way round: %v", test.name, got)
		}
	}
}
