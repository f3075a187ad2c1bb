package state

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

func TestJSON(t *testing.T) {
	for _, test := range []struct {
		attributes *entityv1.Attributes
		want       string
	}{
		{nil, `{}`},
		{&entityv1.Attributes{}, `{}`},
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Light{}}, `{}`},
		{light(&entityv1.Light{}), `{}`},
		{
			&entityv1.Attributes{
				Availability: entityv1.Availability_AVAILABILITY_ONLINE,
				Extra: []*entityv1.Field{
					valueField("linkquality", valueInt(120)),
					valueField("voltage", valueDouble(3)),
				},
				Domain: &entityv1.Attributes_Light{Light: &entityv1.Light{
					On: proto.Bool(false), Brightness: proto.Uint32(0), ColorMode: entityv1.ColorMode_COLOR_MODE_XY,
					ColorTempKelvin: proto.Uint32(2702), Xy: &entityv1.ColorXy{X: 0.3127}, Rgb: &entityv1.ColorRgb{Green: 255},
					Effect: proto.String("a \"b\"\n"),
				}},
			},
			`{"availability":"online","on":false,"brightness":0,"color_mode":"xy","color_temp_kelvin":2702,` +
				`"xy":{"x":0.3127,"y":0},"rgb":{"red":0,"green":255,"blue":0},"effect":"a \"b\"\n",` +
				`"extra":{"linkquality":120,"voltage":3.0}}`,
		},
		{
			&entityv1.Attributes{
				Availability: entityv1.Availability_AVAILABILITY_OFFLINE,
				Domain: &entityv1.Attributes_Climate{Climate: &entityv1.Climate{
					HvacMode: entityv1.HvacMode_HVAC_MODE_HEAT_COOL, TargetTemperature: proto.Float64(21),
					CurrentTemperature: proto.Float64(math.NaN()),
				}},
			},
			`{"availability":"offline","hvac_mode":"heat_cool","current_temperature":"NaN","target_temperature":21}`,
		},
		{sensorNumber(math.Inf(1)), `{"number":"Infinity"}`},
		{sensorNumber(math.Copysign(0, -1)), `{"number":0}`},
		{
			sensor(&entityv1.Sensor{
				Value: &entityv1.Sensor_Decimal{Decimal: "18446744073709551615"}, LastReset: proto.Int64(-1),
			}),
			`{"decimal":18446744073709551615,"last_reset":"1969-12-31T23:59:59.999999999Z"}`,
		},
		{number(&entityv1.Number{Value: &entityv1.Number_Decimal{Decimal: "12,5"}}), `{"decimal":"12,5"}`},
		{sensor(&entityv1.Sensor{Value: &entityv1.Sensor_Timestamp{Timestamp: unixNano}}), `{"timestamp":"2026-01-31T08:05:09.123456789Z"}`},
		{
			&entityv1.Attributes{Domain: &entityv1.Attributes_Weather{
				Weather: &entityv1.Weather{Condition: entityv1.WeatherCondition_WEATHER_CONDITION_SNOWY_RAINY},
			}},
			`{"condition":"snowy-rainy"}`,
		},
		{&entityv1.Attributes{Domain: &entityv1.Attributes_Lock{Lock: &entityv1.Lock{State: 99}}}, `{"state":99}`},
		{
			&entityv1.Attributes{Domain: &entityv1.Attributes_MediaPlayer{
				MediaPlayer: &entityv1.MediaPlayer{GroupMembers: []string{"media_player.a", "media_player.b"}},
			}},
			`{"group_members":["media_player.a","media_player.b"]}`,
		},
		{generic(nil), `{}`},
		{generic(valueNull()), `{"state":null}`},
		{generic(valueBytes([]byte("a"))), `{"state":{"base64":"YQ=="}}`},
		{generic(valueList(valueDigits("1e999"))), `{"state":[1e999]}`},
	} {
		got, err := JSON(test.attributes)
		if err != nil || string(got) != test.want {
			t.Errorf("JSON(%v) = %s, %v; want %s", test.attributes, got, err, test.want)
		}
	}
}

// Attributes of any domain and any content give valid JSON with exactly the fields that are known, in the order of the
// proto file, and a text.
func TestAttributesProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawAttributes(t)
		text, err := JSON(a)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(text) {
			t.Fatalf("invalid JSON %s of %v", text, a)
		}
		if again, err := JSON(proto.CloneOf(a)); err != nil || !bytes.Equal(text, again) {
			t.Fatalf("%s, then %s, %v", text, again, err)
		}
		checkJSONNames(t, a, text)
		if s := Text(a); s == "" && !holdsEmptyText(a.ProtoReflect()) {
			t.Fatalf("no text of %v", a)
		}
		if s := Text(a); a.GetAvailability() == entityv1.Availability_AVAILABILITY_OFFLINE && s != "unavailable" {
			t.Fatalf("%q of what is offline", s)
		}
		if !Equal(a, proto.CloneOf(a)) {
			t.Fatalf("%v does not equal its copy", a)
		}
	})
}

// checkJSONNames fails unless text has exactly the fields of a that are known, in order.
func checkJSONNames(t *rapid.T, a *entityv1.Attributes, text []byte) {
	var want []string
	known := func(m protoreflect.Message) {
		for i := range m.Descriptor().Fields().Len() {
			field := m.Descriptor().Fields().Get(i)
			if m.Has(field) && field.ContainingOneof() != attributesDomain && field != attributesExtra {
				want = append(want, string(field.Name()))
			}
		}
	}
	known(a.ProtoReflect())
	if domain := a.ProtoReflect().WhichOneof(attributesDomain); domain != nil {
		known(a.ProtoReflect().Get(domain).Message())
	}
	if len(a.GetExtra()) > 0 {
		want = append(want, "extra")
	}
	var got []string
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	_, err := decoder.Token()
	for err == nil && decoder.More() {
		var name json.Token
		if name, err = decoder.Token(); err == nil {
			got = append(got, name.(string))
			var skipped json.RawMessage
			err = decoder.Decode(&skipped)
		}
	}
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("fields %q in %s, %v; want %q", got, text, err, want)
	}
}

// Every field that there is, also one that is added later, is of a kind that JSON knows, and has a name of its own in the
// object that it is written to.
func TestJSONKnowsEveryField(t *testing.T) {
	messages := entityv1.File_statehouse_entity_v1_attributes_proto.Messages()
	for i := range messages.Len() {
		fields := messages.Get(i).Fields()
		for n := range fields.Len() {
			field := fields.Get(n)
			if field.Kind() == protoreflect.FloatKind || field.Kind() == protoreflect.GroupKind || field.IsMap() {
				t.Errorf("%s: JSON has nothing for its kind", field.FullName())
			}
		}
	}
	domains := attributesDomain.Fields()
	for i := range domains.Len() {
		fields := domains.Get(i).Message().Fields()
		for _, taken := range []protoreflect.Name{"availability", "extra"} {
			if fields.ByName(taken) != nil {
				t.Errorf("%s: the name %q is taken in JSON", domains.Get(i).Message().FullName(), taken)
			}
		}
		for n := range fields.Len() {
			field := fields.Get(n)
			if !field.HasPresence() && field.Enum() == nil && !field.IsList() {
				t.Errorf("%s: not optional, so that zero cannot be told from unknown", field.FullName())
			}
		}
	}
}

// Kinds of fields that no message has yet: they are written right, or they are errors.
func TestJSONOfOtherKinds(t *testing.T) {
	for _, test := range []struct {
		message proto.Message
		want    string // empty for an error
	}{
		{wrapperspb.Bytes([]byte("a")), `{"value":{"base64":"YQ=="}`},
		{wrapperspb.UInt64(math.MaxUint64), `{"value":18446744073709551615`},
		{wrapperspb.Int32(-1), `{"value":-1`},
		{wrapperspb.Int32(0), `{"value":0`},
		{wrapperspb.Float(0.1), ""},
		{&structpb.Struct{Fields: map[string]*structpb.Value{"a": nil}}, ""},
		{&entityv1.ListValue{Values: []*entityv1.Value{valueInt(1), nil}}, `{"values":[1,null]`},
	} {
		w := jsonWriter{dst: []byte("{")}
		w.fields(test.message.ProtoReflect())
		if (w.err != nil) != (test.want == "") {
			t.Errorf("%T: error %v", test.message, w.err)
		}
		if w.err == nil && string(w.dst) != test.want {
			t.Errorf("%T: %s, want %s", test.message, w.dst, test.want)
		}
	}
}

// drawAttributes draws attributes of any domain, or of none.
func drawAttributes(t *rapid.T) *entityv1.Attributes {
	a := &entityv1.Attributes{
		Availability: entityv1.Availability(rapid.Int32Range(0, 2).Draw(t, "availability")),
		Extra:        drawFields(t, 2),
	}
	if i := rapid.IntRange(-1, attributesDomain.Fields().Len()-1).Draw(t, "domain"); i >= 0 {
		drawMessage(t, a.ProtoReflect().Mutable(attributesDomain.Fields().Get(i)).Message())
	}
	return a
}

// drawMessage sets any of m's fields to anything.
func drawMessage(t *rapid.T, m protoreflect.Message) {
	for i := range m.Descriptor().Fields().Len() {
		field := m.Descriptor().Fields().Get(i)
		if !rapid.Bool().Draw(t, string(field.Name())) {
			continue
		}
		switch {
		case field.IsList():
			list := m.Mutable(field).List()
			for range rapid.IntRange(0, 3).Draw(t, "length") {
				list.Append(drawScalar(t, field))
			}
		case field.Message() != nil:
			if field.Message().Name() == "Value" {
				m.Set(field, protoreflect.ValueOfMessage(drawValue(t, 2).ProtoReflect()))
				continue
			}
			drawMessage(t, m.Mutable(field).Message())
		default:
			m.Set(field, drawScalar(t, field))
		}
	}
}

func drawScalar(t *rapid.T, field protoreflect.FieldDescriptor) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(rapid.Bool().Draw(t, "bool"))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(rapid.Uint32().Draw(t, "uint32"))
	case protoreflect.Sint64Kind:
		return protoreflect.ValueOfInt64(rapid.Int64().Draw(t, "int64"))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(drawDouble(t))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(rapid.String().Draw(t, "string"))
	case protoreflect.EnumKind:
		values := field.Enum().Values()
		beyond := int32(values.Get(values.Len()-1).Number()) + 1 // as of a newer version
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(rapid.Int32Range(0, beyond).Draw(t, "enum")))
	}
	t.Fatalf("%s: no way to draw a %s", field.FullName(), field.Kind())
	return protoreflect.Value{}
}

// holdsEmptyText reports whether m, or a message in it, holds an empty text.
func holdsEmptyText(m protoreflect.Message) (found bool) {
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.IsList():
			// Neither extra nor a list is ever the state.
		case field.Message() != nil:
			found = found || holdsEmptyText(v.Message())
		case field.Kind() == protoreflect.StringKind:
			found = found || v.String() == ""
		case field.Kind() == protoreflect.BytesKind:
			found = found || len(v.Bytes()) == 0
		}
		return !found
	})
	return found
}

// TestMessageJSON: other messages follow the same rules, and leave out what is empty.
func TestMessageJSON(t *testing.T) {
	e := &entityv1.Entity{
		Id: "light.a", StateClass: entityv1.StateClass_STATE_CLASS_TOTAL, UserDisabled: proto.Bool(false),
		Capabilities: &entityv1.Capabilities{
			Features: []string{"on"}, Minimum: proto.Float64(0), Definition: valueStruct(valueField("access", valueInt(7))),
		},
	}
	const want = `{"id":"light.a","state_class":"total","user_disabled":false,` +
		`"capabilities":{"features":["on"],"minimum":0,"definition":{"access":7}}}`
	if got, err := MessageJSON(e); err != nil || string(got) != want {
		t.Errorf("%s %v\nwant %s", got, err, want)
	}
}

// TestMomentsAreKnown: an integer of the attributes is a moment or is listed here, so that a new one cannot be forgotten.
func TestMomentsAreKnown(t *testing.T) {
	counts := map[protoreflect.FullName]bool{"statehouse.entity.v1.MediaPlayer.media_track": true}
	known := 0
	domains := (*entityv1.Attributes)(nil).ProtoReflect().Descriptor().Fields()
	for i := range domains.Len() {
		if domains.Get(i).ContainingOneof() != attributesDomain {
			continue
		}
		fields := domains.Get(i).Message().Fields()
		for j := range fields.Len() {
			switch name := fields.Get(j).FullName(); {
			case fields.Get(j).Kind() != protoreflect.Sint64Kind:
			case moments[name]:
				known++
			case !counts[name]:
				t.Errorf("%s is an integer: is it a moment?", name)
			}
		}
	}
	if known != len(moments) {
		t.Errorf("%d of %d moments are fields", known, len(moments))
	}
}
