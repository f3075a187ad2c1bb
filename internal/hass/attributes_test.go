package hass

import (
	"encoding/json"
	"math"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
)

// Whatever is known of a state is in Home Assistant's form of it, as its state or as an attribute: every field of every
// domain, by reflection.
func TestEveryFieldIsThere(t *testing.T) {
	domains := (&entityv1.Attributes{}).ProtoReflect().Descriptor().Oneofs().ByName("domain").Fields()
	for i := range domains.Len() {
		domain := domains.Get(i)
		for j := range domain.Message().Fields().Len() {
			field := domain.Message().Fields().Get(j)
			for k := range 2 {
				a := &entityv1.Attributes{}
				part := a.ProtoReflect().NewField(domain).Message()
				before := haForm(t, domain, part, a)
				set(part, field, k)
				if after := haForm(t, domain, part, a); after == before {
					t.Errorf("%s makes no difference: %s", field.FullName(), after)
				}
			}
		}
	}
}

// declined are fields that make a difference only beside others: a version that is declined is one that there is.
func haForm(t *testing.T, domain protoreflect.FieldDescriptor, part protoreflect.Message, a *entityv1.Attributes) string {
	t.Helper()
	a.ProtoReflect().Set(domain, protoreflect.ValueOfMessage(part))
	id := string(domain.Name()) + ".x"
	text := string(encode(object{"state": state.Text(a), "attributes": attributesOf(registry.Revision{}, id, a)}))
	if !json.Valid([]byte(text)) {
		t.Fatalf("%s is no JSON", text)
	}
	return text
}

// set sets a field to something that is not zero, or to zero where that can be known.
func set(m protoreflect.Message, field protoreflect.FieldDescriptor, n int) {
	if field.IsList() {
		m.Mutable(field).List().Append(protoreflect.ValueOfString("light.x"))
		return
	}
	switch field.Kind() {
	case protoreflect.BoolKind:
		m.Set(field, protoreflect.ValueOfBool(n == 0))
	case protoreflect.Uint32Kind:
		m.Set(field, protoreflect.ValueOfUint32(uint32(n)))
	case protoreflect.Sint64Kind:
		m.Set(field, protoreflect.ValueOfInt64(int64(n)))
	case protoreflect.DoubleKind:
		m.Set(field, protoreflect.ValueOfFloat64(float64(n)))
	case protoreflect.StringKind:
		m.Set(field, protoreflect.ValueOfString("7"))
	case protoreflect.EnumKind:
		m.Set(field, protoreflect.ValueOfEnum(protoreflect.EnumNumber(1+n)))
	case protoreflect.MessageKind:
		sub := m.NewField(field).Message()
		if v, ok := sub.Interface().(*entityv1.Value); ok {
			proto.Merge(v, &entityv1.Value{Kind: &entityv1.Value_StringValue{StringValue: "x"}})
		}
		m.Set(field, protoreflect.ValueOfMessage(sub))
	}
}

func TestAttributes(t *testing.T) {
	house := newHouse(t)
	on, mireds := true, func(f float64) *float64 { return &f }
	appendEvents(t, house,
		deviceEvent(&entityv1.Device{Id: "d", Name: "Lamp"}),
		entityEvent(&entityv1.Entity{Id: "light.l", DeviceId: "d", Capabilities: &entityv1.Capabilities{
			Features: []string{"on", "brightness", "color_temp", "xy", "effect"},
			FeatureDetails: []*entityv1.Feature{
				{Name: "color_temp", Unit: "mired", Minimum: mireds(153), Maximum: mireds(500)}, {Name: "effect", Options: []string{"blink"}},
			},
		}}),
		stateEvent("light.l", &entityv1.Attributes{
			Extra: []*entityv1.Field{
				{Name: "brightness", Value: &entityv1.Value{Kind: &entityv1.Value_IntValue{IntValue: 1}}},
				{Name: "linkquality", Value: &entityv1.Value{Kind: &entityv1.Value_IntValue{IntValue: 80}}},
			},
			Domain: &entityv1.Attributes_Light{Light: &entityv1.Light{
				On: &on, Brightness: proto.Uint32(0), ColorMode: entityv1.ColorMode_COLOR_MODE_COLOR_TEMP, ColorTempKelvin: proto.Uint32(2700),
				Xy: &entityv1.ColorXy{X: 0.5, Y: 0.4}, Rgb: &entityv1.ColorRgb{Red: 255, Green: 1},
			}},
		}),
		entityEvent(&entityv1.Entity{Id: "climate.c", Unit: "°C", Capabilities: &entityv1.Capabilities{FeatureDetails: []*entityv1.Feature{
			{Name: "hvac_mode", Options: []string{"off", "heat"}}, {Name: "target_temperature", Minimum: mireds(5), Maximum: mireds(30), Step: mireds(0.5)},
		}}}),
		stateEvent("climate.c", &entityv1.Attributes{Domain: &entityv1.Attributes_Climate{Climate: &entityv1.Climate{
			HvacMode: entityv1.HvacMode_HVAC_MODE_HEAT, HvacAction: entityv1.HvacAction_HVAC_ACTION_IDLE,
			CurrentTemperature: proto.Float64(math.Copysign(0, -1)), TargetTemperature: proto.Float64(21.5), CurrentHumidity: proto.Float64(math.NaN()),
		}}}),
		entityEvent(&entityv1.Entity{Id: "sensor.s", Unit: "<&>", DeviceClass: "power", StateClass: entityv1.StateClass_STATE_CLASS_TOTAL_INCREASING}),
		stateEvent("sensor.s", &entityv1.Attributes{Availability: entityv1.Availability_AVAILABILITY_OFFLINE, Domain: &entityv1.Attributes_Sensor{
			Sensor: &entityv1.Sensor{LastReset: proto.Int64(1500)},
		}}),
		entityEvent(&entityv1.Entity{Id: "climate.range", Capabilities: &entityv1.Capabilities{FeatureDetails: []*entityv1.Feature{
			{Name: "target_temperature_low", Minimum: mireds(7), Maximum: mireds(29), Step: mireds(1)},
			{Name: "target_temperature_high", Minimum: mireds(8), Maximum: mireds(30), Step: mireds(1)},
			{Name: "target_humidity", Minimum: mireds(30), Maximum: mireds(70)}, {Name: "swing_horizontal_mode", Options: []string{"on", "off"}},
		}}}),
		stateEvent("climate.range", &entityv1.Attributes{Domain: &entityv1.Attributes_Climate{Climate: &entityv1.Climate{
			TargetTemperatureLow: proto.Float64(19), TargetTemperatureHigh: proto.Float64(24), SwingHorizontalMode: proto.String("on"),
		}}}),
		entityEvent(&entityv1.Entity{Id: "light.white", Capabilities: &entityv1.Capabilities{Features: []string{"on", "brightness", "hs", "white"}}}),
		stateEvent("light.white", &entityv1.Attributes{Domain: &entityv1.Attributes_Light{Light: &entityv1.Light{
			On: &on, ColorMode: entityv1.ColorMode_COLOR_MODE_WHITE,
		}}}),
		entityEvent(&entityv1.Entity{Id: "fan.speeds", Capabilities: &entityv1.Capabilities{FeatureDetails: []*entityv1.Feature{
			{Name: "percentage", Minimum: mireds(1), Maximum: mireds(4), Step: mireds(1)},
		}}}),
		stateEvent("fan.speeds", &entityv1.Attributes{Domain: &entityv1.Attributes_Fan{Fan: &entityv1.Fan{Percentage: proto.Uint32(50)}}}),
		stateEvent("cover.nil", &entityv1.Attributes{Domain: &entityv1.Attributes_Cover{Cover: &entityv1.Cover{Position: proto.Uint32(100)}}}),
	)
	url := serve(t, house, everyone(), Options{})
	for id, want := range map[string]string{
		"light.l": `{"brightness":0,"color_mode":"color_temp","color_temp_kelvin":2700,"effect_list":["blink"],"friendly_name":"Lamp",` +
			`"linkquality":80,"max_color_temp_kelvin":6535,"min_color_temp_kelvin":2000,"rgb_color":[255,1,0],` +
			`"supported_color_modes":["color_temp","xy"],"supported_features":0,"xy_color":[0.5,0.4]}`,
		"climate.c": `{"current_temperature":0,"friendly_name":"climate.c","hvac_action":"idle","hvac_modes":["off","heat"],` +
			`"max_temp":30,"min_temp":5,"supported_features":0,"target_temp_step":0.5,"temperature":21.5}`,
		"sensor.s": `{"device_class":"power","friendly_name":"sensor.s","state_class":"total_increasing","unit_of_measurement":"<&>"}`,
		"climate.range": `{"friendly_name":"climate.range","max_humidity":70,"max_temp":30,"min_humidity":30,"min_temp":7,"supported_features":0,` +
			`"swing_horizontal_mode":"on","swing_horizontal_modes":["on","off"],"target_temp_high":24,"target_temp_low":19,"target_temp_step":1}`,
		"light.white": `{"color_mode":"white","friendly_name":"light.white","supported_color_modes":["hs","white"],"supported_features":0}`,
		"fan.speeds":  `{"friendly_name":"fan.speeds","percentage":50,"percentage_step":25,"supported_features":0}`,
		"cover.nil":   `{"current_position":100,"friendly_name":"cover.nil"}`,
	} {
		s := get[map[string]json.RawMessage](t, url+"/api/states/"+id, "reader")
		if string(s["attributes"]) != want {
			t.Errorf("%s:\ngot  %s\nwant %s", id, s["attributes"], want)
		}
	}
}

func TestANilPartIsNothing(t *testing.T) {
	a := &entityv1.Attributes{Domain: &entityv1.Attributes_Light{}}
	if w := attributesOf(registry.Revision{}, "light.x", a); len(w) != 1 {
		t.Errorf("got %v", w)
	}
}
