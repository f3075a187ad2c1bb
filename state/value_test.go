package state

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

func valueBytes(b []byte) *entityv1.Value {
	return &entityv1.Value{Kind: &entityv1.Value_BytesValue{BytesValue: b}}
}

func valueField(name string, v *entityv1.Value) *entityv1.Field {
	return &entityv1.Field{Name: name, Value: v}
}

func TestValueFromJSON(t *testing.T) {
	for _, test := range []struct {
		json string
		want *entityv1.Value
		back string // what AppendJSON makes of it, if that is not json
	}{
		{"null", valueNull(), ""},
		{"true", valueBool(true), ""},
		{"false", valueBool(false), ""},
		{" \t\r\n7 \t\r\n", valueInt(7), "7"},

		// Integers.
		{"0", valueInt(0), ""},
		{"-1", valueInt(-1), ""},
		{"9223372036854775807", valueInt(math.MaxInt64), ""},
		{"-9223372036854775808", valueInt(math.MinInt64), ""},
		{"9223372036854775808", valueDigits("9223372036854775808"), ""},
		{"18446744073709551615", valueDigits("18446744073709551615"), ""},
		{"10000000000000000000", valueDouble(1e19), "10000000000000000000.0"},

		// Doubles, and the numbers that they do not hold.
		{"1.0", valueDouble(1), ""},
		{"21.50", valueDouble(21.5), "21.5"},
		{"0.1", valueDouble(0.1), ""},
		{"0.10000000000000000001", valueDigits("0.10000000000000000001"), ""},
		{"-0.0", valueDouble(math.Copysign(0, -1)), ""},
		{"-0", valueDouble(math.Copysign(0, -1)), "-0.0"},
		{"0e0", valueDouble(0), "0.0"},
		{"0e-99999999999999999999", valueDouble(0), "0.0"},
		{"1e2", valueDouble(100), "100.0"},
		{"1E+2", valueDouble(100), "100.0"},
		{"123e-2", valueDouble(1.23), "1.23"},
		{"0.000001", valueDouble(1e-6), ""},
		{"1e-7", valueDouble(1e-7), "1e-07"},
		{"1e21", valueDouble(1e21), "1e+21"},
		{"1e308", valueDouble(1e308), "1e+308"},
		{"1e309", valueDigits("1e309"), ""},
		{"-1e309", valueDigits("-1e309"), ""},
		{"1e-400", valueDigits("1e-400"), ""},
		{"1e99999999999999999999", valueDigits("1e99999999999999999999"), ""},
		{"1e-99999999999999999999", valueDigits("1e-99999999999999999999"), ""},
		{"4.9e-324", valueDigits("4.9e-324"), ""},
		{"5e-324", valueDouble(5e-324), ""},

		// Strings.
		{`""`, valueString(""), ""},
		{`"café ☕ 🏠"`, valueString("café ☕ 🏠"), ""},
		{`"\"\\\/\b\f\n\r\t\u0000"`, valueString("\"\\/\b\f\n\r\t\x00"), `"\"\\/\u0008\u000c\n\r\t\u0000"`},
		{`"a\u00e9\u00C9\ud83c\udfe0b"`, valueString("aéÉ🏠b"), `"aéÉ🏠b"`},
		{`"\ud83c"`, valueString("\ufffd"), `"` + "\ufffd" + `"`},
		{`"\ud83c\u0041"`, valueString("\ufffdA"), `"` + "\ufffdA" + `"`},
		{`"\ud83cudfe0"`, valueString("\ufffdudfe0"), `"` + "\ufffdudfe0" + `"`},
		{`"<&>` + "\u2028" + `"`, valueString("<&>\u2028"), ""},

		// Lists and objects.
		{"[]", valueList(), ""},
		{"[ ]", valueList(), "[]"},
		{`[1,[2.5,null],"x"]`, valueList(valueInt(1), valueList(valueDouble(2.5), valueNull()), valueString("x")), ""},
		{"{}", valueStruct(), ""},
		{` { } `, valueStruct(), "{}"},
		{
			`{"b":1, "a" : {"z":[], "":0}, "B":2}`,
			valueStruct(
				valueField("B", valueInt(2)),
				valueField("a", valueStruct(valueField("", valueInt(0)), valueField("z", valueList()))),
				valueField("b", valueInt(1)),
			),
			`{"B":2,"a":{"":0,"z":[]},"b":1}`,
		},
		{
			`{"a":1,"b":2,"a":{"c":3},"\u0061":4}`,
			valueStruct(valueField("a", valueInt(4)), valueField("b", valueInt(2))),
			`{"a":4,"b":2}`,
		},
	} {
		got, err := ValueFromJSON([]byte(test.json))
		if err != nil {
			t.Errorf("ValueFromJSON(%s): %v", test.json, err)
			continue
		}
		if !sameValue(got, test.want) {
			t.Errorf("ValueFromJSON(%s) = %v, want %v", test.json, got, test.want)
		}
		back := test.back
		if back == "" {
			back = test.json
		}
		if s := string(AppendJSON(nil, got)); s != back {
			t.Errorf("AppendJSON of %s = %s, want %s", test.json, s, back)
		}
	}
}

func TestValueFromJSONErrors(t *testing.T) {
	for _, test := range []struct{ json, want string }{
		{"", "offset 0: the data ends; want a value"},
		{"  ", "offset 2: the data ends; want a value"},
		{"tru", "offset 3: the data ends; want true"},
		{"nul1", "offset 3: unexpected '1'; want null"},
		{"True", "offset 0: unexpected 'T'; want a value"},
		{"NaN", "offset 0: unexpected 'N'; want a value"},
		{"1 2", "offset 2: unexpected '2'; want the end"},
		{"{}}", "offset 2: unexpected '}'; want the end"},
		{"-", "offset 1: the data ends; want a digit"},
		{"-x", "offset 1: unexpected 'x'; want a digit"},
		{"01", "offset 1: unexpected '1'"},
		{"-01", "offset 2: unexpected '1'"},
		{"1.", "offset 1: unexpected '.'"},
		{".5", "offset 0: unexpected '.'"},
		{"+1", "offset 0: unexpected '+'"},
		{"1e", "offset 1: unexpected 'e'"},
		{"1e+", "offset 1: unexpected 'e'"},
		{"0x10", "offset 1: unexpected 'x'"},
		{"[1,]", "offset 3: unexpected ']'; want a value"},
		{"[1", `offset 2: the data ends; want a comma or ']'`},
		{"[1 2]", `offset 3: unexpected '2'; want a comma or ']'`},
		{"[,1]", "offset 1: unexpected ','; want a value"},
		{`{"a":1,}`, "offset 7: unexpected '}'; want a field's name in quotes"},
		{`{"a":1`, `offset 6: the data ends; want a comma or '}'`},
		{`{"a" 1}`, "offset 5: unexpected '1'; want a colon"},
		{`{"a"`, "offset 4: the data ends; want a colon"},
		{`{"a":}`, "offset 5: unexpected '}'; want a value"},
		{`{a:1}`, "offset 1: unexpected 'a'; want a field's name in quotes"},
		{`{"a`, "offset 3: the data ends; want a closing quote"},
		{`{`, "offset 1: the data ends; want a field's name in quotes"},
		{`"a`, "offset 2: the data ends; want a closing quote"},
		{`"\n`, "offset 3: the data ends; want a closing quote"},
		{`"\`, "offset 2: the data ends; want an escape"},
		{`"\x"`, "offset 2: unexpected 'x'; want an escape"},
		{`"\u12"`, "offset 2: unexpected 'u'; want an escape with four hexadecimal digits"},
		{`"\u12G4"`, "offset 2: unexpected 'u'; want an escape with four hexadecimal digits"},
		{"\"a\nb\"", `offset 2: unexpected '\n'; want an escape for the control character`},
		{"\"\\t\nb\"", `offset 3: unexpected '\n'; want an escape for the control character`},
		{"\"caf\xe9\"", "offset 4: invalid UTF-8, byte 0xe9"},
		{"\"\xed\xa0\x80\"", "offset 1: invalid UTF-8, byte 0xed"},
		{"\xff\xfe1\x00", "offset 0: invalid UTF-8, byte 0xff"},
		{"\ufeff{}", `offset 0: unexpected '\ufeff'; want a value`},
		{strings.Repeat("[", 65) + strings.Repeat("]", 65), "offset 64: nested deeper than 64 levels"},
		{strings.Repeat(`{"a":`, 64) + "[]" + strings.Repeat("}", 64), "offset 320: nested deeper than 64 levels"},
		{strings.Repeat(`{"a":`, 65), "offset 320: nested deeper than 64 levels"},
		{strings.Repeat("[", 30_000_000), "nested deeper than 64 levels"},
	} {
		got, err := ValueFromJSON([]byte(test.json))
		if err == nil || !strings.HasPrefix(err.Error(), "value from JSON: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("ValueFromJSON(%.40q): error %v, want %q in it", test.json, err, test.want)
		}
		if got != nil {
			t.Errorf("ValueFromJSON(%.40q): a value besides the error", test.json)
		}
	}
	for _, deepest := range []string{
		strings.Repeat("[", 64) + strings.Repeat("]", 64),
		strings.Repeat(`{"a":[`, 32) + strings.Repeat("]}", 32),
		"[" + strings.Repeat("[],{},", 100) + "0]", // many, and not deep
	} {
		if _, err := ValueFromJSON([]byte(deepest)); err != nil {
			t.Errorf("ValueFromJSON(%.40q): %v", deepest, err)
		}
	}
}

// What did not come from JSON is valid JSON all the same.
func TestAppendJSONBeyondJSON(t *testing.T) {
	for _, test := range []struct {
		value *entityv1.Value
		want  string
	}{
		{nil, "null"},
		{&entityv1.Value{}, "null"},
		{valueBytes([]byte{0xff, 0, 'a'}), `{"base64":"/wBh"}`},
		{valueBytes(nil), `{"base64":""}`},
		{valueDouble(math.NaN()), `"NaN"`},
		{valueDouble(math.Inf(1)), `"Infinity"`},
		{valueDouble(math.Inf(-1)), `"-Infinity"`},
		{valueDigits(""), `""`},
		{valueDigits("-"), `"-"`},
		{valueDigits("0x1F"), `"0x1F"`},
		{valueDigits("007"), `"007"`},
		{valueDigits("1.5e+7"), `1.5e+7`},
		{valueString("a\xffb\xc3"), `"a` + "\ufffd" + `b` + "\ufffd" + `"`},
		{valueString("\x7f\x1f\u0080"), "\"\x7f\\u001f\u0080\""},
		{&entityv1.Value{Kind: &entityv1.Value_ListValue{}}, "[]"},
		{&entityv1.Value{Kind: &entityv1.Value_StructValue{}}, "{}"},
		{valueList(nil, &entityv1.Value{}), "[null,null]"},
		{valueStruct(nil, valueField("a", nil)), `{"":null,"a":null}`},
	} {
		if got := string(AppendJSON([]byte("x="), test.value)); got != "x="+test.want {
			t.Errorf("AppendJSON(%v) = %s, want x=%s", test.value, got, test.want)
		}
	}
}

func TestSameNumber(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"1", "1.0", true},
		{"1", "-1", false},
		{"0", "-0", false},
		{"0", "0.000e5", true},
		{"0e99999999999999999999", "0", true},
		{"100", "1e2", true},
		{"100", "1E+02", true},
		{"100", "10", false},
		{"0.0012", "1.2e-3", true},
		{"0.0012", "12e-4", true},
		{"120.0e-5", "0.0012", true},
		{"0.012", "0.0012", false},
		{"1e99999999999999999999", "1", false},
		{"1e99999999999999999999", "1e99999999999999999999", false}, // not decided, and never asked
		{"123456789012345678901234567890", "1.2345678901234567890123456789e29", true},
		{"123456789012345678901234567891", "1.2345678901234567890123456789e29", false},
	} {
		if sameNumber(test.a, test.b) != test.want || sameNumber(test.b, test.a) != test.want {
			t.Errorf("sameNumber(%s, %s), want %v", test.a, test.b, test.want)
		}
	}
}

// Values that no JSON text made, of any shape, give valid JSON that reads back.
func TestAppendJSONIsValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawValue(t, 3)
		text := AppendJSON(nil, v)
		if !json.Valid(text) {
			t.Fatalf("invalid JSON %s of %v", text, v)
		}
		read, err := ValueFromJSON(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		checkValueRoundTrip(t, read)
	})
}

// Every double comes back as that double, and every int64 as that integer.
func TestValueNumbersComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := math.Float64frombits(rapid.Uint64().Draw(t, "bits"))
		n := rapid.Int64().Draw(t, "n")
		if !math.IsNaN(f) && !math.IsInf(f, 0) {
			got, err := ValueFromJSON(AppendJSON(nil, valueDouble(f)))
			if err != nil || math.Float64bits(got.GetDoubleValue()) != math.Float64bits(f) || !sameValue(got, valueDouble(f)) {
				t.Fatalf("%v came back as %v, %v", f, got, err)
			}
		}
		if got, err := ValueFromJSON(AppendJSON(nil, valueInt(n))); err != nil || !sameValue(got, valueInt(n)) {
			t.Fatalf("%d came back as %v, %v", n, got, err)
		}
	})
}

// The memory that the documentation promises at most, for the input that costs most.
func TestValueFromJSONMemory(t *testing.T) {
	if strconv.IntSize != 64 {
		t.Skip("the figure is for 64-bit machines")
	}
	deep := strings.Repeat("[", 63) + strings.Repeat("]", 63) + ","
	for _, element := range []string{"0,", "[],", "{},", `"",`, `{"":0},`, "[0],", deep} {
		data := []byte("[" + strings.Repeat(element, 1<<18/len(element)))
		data[len(data)-1] = ']'
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		v, err := ValueFromJSON(data)
		runtime.GC()
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		factor := float64(after.HeapAlloc-before.HeapAlloc) / float64(len(data))
		t.Logf("%-8.8s %.1f times its size", element, factor)
		if factor > 75 {
			t.Errorf("%.8s takes %.1f times its size", element, factor)
		}
		runtime.KeepAlive(v)
	}
}

func FuzzValueFromJSON(f *testing.F) {
	for _, seed := range []string{
		`{"brightness":254,"color":{"x":0.3127,"y":0.329},"color_mode":"xy","linkquality":null,"state":"ON"}`,
		`{"b":[1,1.0,-0,1e2,1e999,18446744073709551615],"a":"\ud83c\udfe0\ud800","a":{"c":[[],{}]}}`,
		`[0.1,0.10000000000000000001,5e-324,4.9e-324,1e-7,0e99999999999]`,
		`"\"\\\/\b\f\n\r\t\u0000"`, "\"caf\xe9\"", "[1,]", `{"a" 1}`, "01", "1.e", "-", "\ufeff1", " true ", "nul",
		strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat("[", 65) + strings.Repeat("]", 65),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := ValueFromJSON(data)
		valid := json.Valid(data) && utf8.Valid(data)
		if err != nil {
			if valid && jsonDepth(data) <= maxJSONDepth {
				t.Fatalf("valid JSON refused: %v", err)
			}
			return
		}
		if !valid || jsonDepth(data) > maxJSONDepth {
			t.Fatal("accepted what is not JSON, or too deep")
		}
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		var want any
		if err := decoder.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if difference := compareJSON(v, want); difference != "" {
			t.Fatalf("differs from encoding/json: %s", difference)
		}
		checkValueRoundTrip(t, v)
	})
}

// checkValueRoundTrip fails unless v, which came from JSON, comes back equal and gives the same JSON again.
func checkValueRoundTrip(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, v *entityv1.Value) {
	t.Helper()
	text := AppendJSON(nil, v)
	again, err := ValueFromJSON(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if !sameValue(v, again) {
		t.Fatalf("%v became %v by way of %s", v, again, text)
	}
	if second := AppendJSON(nil, again); !bytes.Equal(text, second) {
		t.Fatalf("%s, then %s", text, second)
	}
}

// sameValue is stricter than proto.Equal: it tells the two zeros apart.
func sameValue(a, b *entityv1.Value) bool {
	aBytes, aErr := proto.MarshalOptions{Deterministic: true}.Marshal(a)
	bBytes, bErr := proto.MarshalOptions{Deterministic: true}.Marshal(b)
	return aErr == nil && bErr == nil && proto.Equal(a, b) && bytes.Equal(aBytes, bBytes)
}

// compareJSON says how v differs from what encoding/json read, or "".
func compareJSON(v *entityv1.Value, want any) string {
	switch want := want.(type) {
	case nil:
		if _, ok := v.GetKind().(*entityv1.Value_NullValue); ok {
			return ""
		}
	case bool:
		if k, ok := v.GetKind().(*entityv1.Value_BoolValue); ok && k.BoolValue == want {
			return ""
		}
	case string:
		if k, ok := v.GetKind().(*entityv1.Value_StringValue); ok && k.StringValue == want {
			return ""
		}
	case json.Number:
		if number, ok := valueNumber(v); ok && (number == want.String() || sameNumber(number, want.String())) {
			return ""
		}
	case []any:
		list, ok := v.GetKind().(*entityv1.Value_ListValue)
		if !ok || len(list.ListValue.GetValues()) != len(want) {
			break
		}
		for i, element := range list.ListValue.GetValues() {
			if difference := compareJSON(element, want[i]); difference != "" {
				return difference
			}
		}
		return ""
	case map[string]any:
		object, ok := v.GetKind().(*entityv1.Value_StructValue)
		if !ok || len(object.StructValue.GetFields()) != len(want) {
			break
		}
		previous := ""
		for i, field := range object.StructValue.GetFields() {
			if i > 0 && field.GetName() <= previous {
				return "field " + field.GetName() + " is out of order"
			}
			previous = field.GetName()
			element, ok := want[field.GetName()]
			if !ok {
				return "field " + field.GetName() + " is not in it"
			}
			if difference := compareJSON(field.GetValue(), element); difference != "" {
				return difference
			}
		}
		return ""
	}
	text, _ := json.Marshal(want)
	return v.String() + " for " + string(text)
}

// valueNumber is the shortest text of a number, whatever its kind.
func valueNumber(v *entityv1.Value) (string, bool) {
	switch k := v.GetKind().(type) {
	case *entityv1.Value_IntValue:
		return strconv.FormatInt(k.IntValue, 10), true
	case *entityv1.Value_DoubleValue:
		return strconv.FormatFloat(k.DoubleValue, 'g', -1, 64), true
	case *entityv1.Value_NumberValue:
		return k.NumberValue, true
	}
	return "", false
}

// jsonDepth is how deep valid JSON is nested.
func jsonDepth(data []byte) int {
	depth, deepest := 0, 0
	decoder := json.NewDecoder(bytes.NewReader(data))
	for {
		token, err := decoder.Token()
		if err != nil { // at the end
			return deepest
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			depth++
			deepest = max(deepest, depth)
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
	}
}

// drawValue draws any Value, also such as no JSON text gives.
func drawValue(t *rapid.T, depth int) *entityv1.Value {
	kinds := 8
	if depth > 0 {
		kinds = 10
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return valueNull()
	case 1:
		return valueBool(rapid.Bool().Draw(t, "bool"))
	case 2:
		return valueInt(rapid.Int64().Draw(t, "int"))
	case 3:
		return valueDouble(drawDouble(t))
	case 4:
		return valueDigits(rapid.StringMatching(`-?[0-9]{0,25}(\.[0-9]{0,5})?(e[+-]?[0-9]{0,3})?`).Draw(t, "digits"))
	case 5:
		return valueString(rapid.String().Draw(t, "string"))
	case 6:
		return valueBytes(rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "bytes"))
	case 7:
		return &entityv1.Value{}
	case 8:
		list := &entityv1.ListValue{}
		for range rapid.IntRange(0, 3).Draw(t, "length") {
			list.Values = append(list.Values, drawValue(t, depth-1))
		}
		return &entityv1.Value{Kind: &entityv1.Value_ListValue{ListValue: list}}
	default:
		return valueStruct(drawFields(t, depth-1)...)
	}
}

// drawFields draws fields sorted by name, each name once.
func drawFields(t *rapid.T, depth int) []*entityv1.Field {
	var fields []*entityv1.Field
	for range rapid.IntRange(0, 3).Draw(t, "fields") {
		fields = append(fields, valueField(rapid.String().Draw(t, "name"), drawValue(t, depth)))
	}
	return sortedFields(fields)
}

// drawDouble draws a double; those that JSON cannot express come often.
func drawDouble(t *rapid.T) float64 {
	special := []float64{
		0, math.Copysign(0, -1), 1, 21.5, 255, 1 << 53, 1e21, 1e-7, math.MaxFloat64, math.SmallestNonzeroFloat64,
		math.NaN(), math.Inf(1), math.Inf(-1),
	}
	return rapid.OneOf(rapid.SampledFrom(special), rapid.Float64()).Draw(t, "double")
}

// What real devices send comes back as it was, and is what encoding/json reads.
func TestValueFromJSONRecordedHouse(t *testing.T) {
	file, err := os.Open("../testdata/zigbee2mqtt/house.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(unzipped)
	lines.Buffer(nil, 32<<20)
	messages, seen := 0, make(map[string]int)
	for range 5000 { // then all devices have spoken; the race detector makes more of it slow
		if !lines.Scan() {
			break
		}
		var line struct{ Topic, Payload string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if seen[line.Topic]++; seen[line.Topic] > 2 || !json.Valid([]byte(line.Payload)) {
			continue // more of a topic are alike
		}
		messages++
		v, err := ValueFromJSON([]byte(line.Payload))
		if err != nil {
			t.Fatalf("%s: %v", line.Topic, err)
		}
		decoder := json.NewDecoder(strings.NewReader(line.Payload))
		decoder.UseNumber()
		var want any
		if err := decoder.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if difference := compareJSON(v, want); difference != "" {
			t.Fatalf("%s differs from encoding/json: %s", line.Topic, difference)
		}
		checkValueRoundTrip(t, v)
	}
	if err := lines.Err(); err != nil || messages == 0 {
		t.Fatalf("%d messages, %v", messages, err)
	}
	t.Logf("%d messages of %d topics", messages, len(seen))
}
