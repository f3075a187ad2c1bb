package discovery

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/state"
)

// haStubs are components that take every configuration but one that says so, so that a test of announcements is one of
// announcements alone.
func haStubs() map[string]Component {
	all := make(map[string]Component)
	for name := range strings.FieldsSeq(`alarm_control_panel binary_sensor button camera climate cover date datetime device_automation
		device_tracker event fan humidifier image infrared lawn_mower light lock notify number remote scene select sensor siren
		switch tag text time update vacuum valve water_heater`) {
		all[name] = Component{Name: name, Domain: name, Check: func(c Config) error {
			if c.Str("payload_on") == "wrong" {
				return errors.New("payload_on is wrong")
			}
			return nil
		}}
	}
	return all
}

func haStubbed(opts HomeAssistantOptions) *HomeAssistant {
	h := NewHomeAssistant(opts)
	h.components = haStubs()
	return h
}

// haDump is announcements as text.
func haDump(all []Announcement) string {
	var b strings.Builder
	for _, a := range all {
		fmt.Fprintf(&b, "%s", a.Key)
		if a.Complete {
			b.WriteString(" complete")
		}
		if a.Migrates {
			b.WriteString(" migrates")
		}
		b.WriteByte('\n')
		if d := a.Device; d != nil {
			fmt.Fprintf(&b, "  device %s %q manufacturer=%q model=%q id=%q sw=%q hw=%q sn=%q via=%q\n", d.GetId(), d.GetName(), d.GetManufacturer(),
				d.GetModel(), d.GetModelId(), d.GetSoftwareVersion(), d.GetHardwareVersion(), d.GetSerialNumber(), d.GetViaDevice())
		}
		for _, e := range a.Entities {
			fmt.Fprintf(&b, "  %s %s %q object=%q wish=%q", e.Component, e.Key, e.Entity.GetName(), e.Object, e.Wish)
			for _, f := range []struct{ name, value string }{
				{"class", e.Entity.GetDeviceClass()}, {"unit", e.Entity.GetUnit()},
				{"state", strings.TrimPrefix(e.Entity.GetStateClass().String(), "STATE_CLASS_")},
				{"category", strings.TrimPrefix(e.Entity.GetCategory().String(), "ENTITY_CATEGORY_")},
			} {
				if f.value != "" && f.value != "UNSPECIFIED" {
					fmt.Fprintf(&b, " %s=%s", f.name, f.value)
				}
			}
			if e.Entity.GetDisabled() {
				b.WriteString(" disabled")
			}
			fmt.Fprintf(&b, "\n    %s\n", state.AppendJSON(nil, e.Config.Value))
		}
	}
	return b.String()
}

// haConfigOf is the configuration that a sensor's payload comes to, or the error.
func haConfigOf(t *testing.T, payload string) string {
	t.Helper()
	all, err := haStubbed(HomeAssistantOptions{}).Translate("homeassistant/sensor/x/config", []byte(payload))
	if err != nil {
		return err.Error()
	}
	if len(all) != 1 || len(all[0].Entities) != 1 {
		t.Fatalf("%s came to %s", payload, haDump(all))
	}
	return string(state.AppendJSON(nil, all[0].Entities[0].Config.Value))
}

func TestDiscoveryTopics(t *testing.T) {
	h := haStubbed(HomeAssistantOptions{Prefix: "ha/main/"})
	if diff := cmp.Diff([]string{"ha/main/+/+/config", "ha/main/+/+/+/config"}, h.Filters()); diff != "" {
		t.Error(diff)
	}
	for _, c := range []struct{ topic, key string }{
		{"ha/main/sensor/x/config", "sensor/x"},
		{"ha/main/sensor/no-de_1/X9/config", "sensor/no-de_1/X9"},
		{"homeassistant/sensor/x/config", ""},
		{"ha/main/sensor/config", ""},
		{"ha/main/sensor//config", ""},
		{"ha/main/sensor/a/b/c/config", ""},
		{"ha/main/sensor/a b/config", ""},
		{"ha/main/sensor/ä/config", ""},
		{"ha/main/sensor/a.b/x/config", ""},
		{"ha/main/sensor/x/state", ""},
		{"ha/main/config", ""},
		{"", ""},
	} {
		all, err := h.Translate(c.topic, []byte(`{"state_topic":"a"}`))
		switch {
		case (err == nil) != (c.key != ""):
			t.Errorf("%s: %v", c.topic, err)
		case err == nil && (all[0].Key != c.topic || all[0].Entities[0].Key != c.key):
			t.Errorf("%s: %s", c.topic, haDump(all))
		}
	}
}

func TestTopicBase(t *testing.T) {
	for _, c := range []struct{ payload, want string }{
		{`{"~":"a/b","stat_t":"~/state","cmd_t":"set/~"}`, `{"command_topic":"set/a/b","state_topic":"a/b/state"}`},
		{`{"~":"a","stat_t":"~"}`, `{"state_topic":"a"}`},
		{`{"~":"a","stat_t":"~/~"}`, `{"state_topic":"a/a"}`},
		{`{"~":"a","stat_t":"x/~/y"}`, `{"state_topic":"x/~/y"}`}, // only at the ends
		{`{"stat_t":"~/x"}`, `{"state_topic":"~/x"}`},             // no base
		{`{"~":null,"stat_t":"~/x"}`, `{"state_topic":"~/x"}`},
		{`{"~":"a","val_tpl":"~x","pl_on":"~"}`, `{"payload_on":"~","value_template":"~x"}`}, // no topics
		{`{"~":"a","json_attr_t":"~/j","topic":"~/t"}`, `{"json_attributes_topic":"a/j","topic":"a/t"}`},
		{`{"~":"a","avty":[{"t":"~/1"},{"topic":"2/~"}]}`,
			`{"availability":[{"payload_available":"online","payload_not_available":"offline","topic":"a/1"},` +
				`{"payload_available":"online","payload_not_available":"offline","topic":"2/a"}],"availability_mode":"latest"}`},
		{`{"~":"a","avty":{"t":"~/1"}}`,
			`{"availability":[{"payload_available":"online","payload_not_available":"offline","topic":"a/1"}],"availability_mode":"latest"}`},
		{`{"~":"a","avty_t":"~/1"}`,
			`{"availability":[{"payload_available":"online","payload_not_available":"offline","topic":"a/1"}],"availability_mode":"latest"}`},
		{`{"~":5,"stat_t":"~/x"}`, `~ is 5, where the beginning of topics, at most 1024 bytes was expected`},
	} {
		if got := haConfigOf(t, c.payload); got != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.payload, got, c.want)
		}
	}
}

func TestAbbreviations(t *testing.T) {
	full := make(map[string]string)
	for _, table := range []map[string]string{coreAbbreviations, deviceAbbreviations} {
		for short, long := range table {
			if len(short) >= len(long) || coreAbbreviations[long] != "" {
				t.Errorf("%s stands for %s", short, long)
			}
		}
	}
	for short, long := range coreAbbreviations {
		if full[long] != "" {
			t.Errorf("%s is %s and %s", long, full[long], short)
		}
		full[long] = short
		if strings.HasSuffix(short, "_t") != strings.HasSuffix(long, "_topic") && short != "t" ||
			strings.HasSuffix(short, "_tpl") != strings.HasSuffix(long, "_template") {
			t.Errorf("%s stands for %s", short, long)
		}
	}
	for short, long := range availabilityAbbreviations {
		if coreAbbreviations[short] != long {
			t.Errorf("%s stands for %s", short, long)
		}
	}
	// Every abbreviation that is kept comes out in full; the abbreviation goes before the same key in full.
	for short, long := range coreAbbreviations {
		if !haKept[long] || long == keyAvailability || long == keyAvailabilityMode {
			continue
		}
		value := map[string]string{"encoding": `"latin-1"`, "state_class": `"total"`, "device_class": `"x"`, "unit_of_measurement": `"x"`}[long]
		switch {
		case value != "":
		case long == "retain" || long == keyForceUpdate || long == "optimistic":
			value = "true"
		default:
			value = "7"
		}
		if got, want := haConfigOf(t, fmt.Sprintf(`{%q:%s,%q:[]}`, short, value, long)), fmt.Sprintf(`{%q:%s}`, long, value); got != want {
			t.Errorf("%s came to %s, want %s", short, got, want)
		}
	}
}

func TestAnnouncedAvailability(t *testing.T) {
	for _, c := range []struct{ payload, want string }{
		{`{"avty_t":"a","avty_tpl":"{{ value }}","pl_avail":"yes","pl_not_avail":0,"avty_mode":"all"}`,
			`{"availability":[{"payload_available":"yes","payload_not_available":"0","topic":"a","value_template":"{{ value }}"}],` +
				`"availability_mode":"all"}`},
		{`{"avty":[{"t":"a","pl_avail":true},{"t":"b","val_tpl":"x"}],"pl_avail":"of the other form"}`,
			`{"availability":[{"payload_available":"True","payload_not_available":"offline","topic":"a"},` +
				`{"payload_available":"online","payload_not_available":"offline","topic":"b","value_template":"x"}],"availability_mode":"latest"}`},
		{`{"availability":null,"availability_topic":null,"payload_available":"x","availability_mode":"any","qos":1}`, `{"qos":1}`},
		{`{"availability":[],"qos":1}`, `{"qos":1}`},
		{`{"avty":[{"t":"a"}],"avty_mode":"some"}`, `availability_mode is "some", where all, any or latest was expected`},
		{`{"avty":[{"t":"a/+"}]}`,
			`availability: topic: mqtt: bad topic: topic "a/+": a message's topic must not contain the wildcard '+'`},
		{`{"avty":[{}]}`, `availability: topic is null, where a topic was expected`},
		{`{"avty":["a"]}`, `availability: an entry is "a", where an object with a topic was expected`},
	} {
		if got := haConfigOf(t, c.payload); got != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.payload, got, c.want)
		}
	}
	if got := haConfigOf(t, `{"~":"`+strings.Repeat("x", maxTopicBase+1)+`"}`); !strings.Contains(got, "at most 1024 bytes was expected") {
		t.Error(got)
	}
	many := `{"avty":[` + strings.Repeat(`{"t":"a"},`, maxAvailability) + `{"t":"b"}]}`
	if got := haConfigOf(t, many); !strings.Contains(got, "availability has 101 topics, at most 100 are taken") {
		t.Error(got)
	}
}

// TestConfig: what is kept, and what is wrong.
func TestConfig(t *testing.T) {
	for _, c := range []struct{ payload, want string }{
		{`{"name":"x","device":{"identifiers":"d"},"origin":{"name":"o"},"icon":"i","entity_picture":"p","unique_id":"u","object_id":"o",` +
			`"default_entity_id":"sensor.o","enabled_by_default":false,"entity_category":"config","platform":"mqtt",` +
			`"nobody_knows_this":{"a":1},"schema":"json","qos":2}`, `{"qos":2,"schema":"json"}`},
		{`{"qos":0,"retain":false,"force_update":"off","encoding":"utf-8","expire_after":0,"value_template":null,"optimistic":false}`,
			`{"optimistic":false}`},
		{`{"qos":"1","retain":"1","frc_upd":1,"e":"","exp_aft":"90","off_dly":1.5}`,
			`{"encoding":"","expire_after":90,"force_update":true,"off_delay":1.5,"qos":1,"retain":true}`},
		{`{"device_class":"Temperature","unit_of_measurement":"degC","state_class":"measurement"}`,
			`{"device_class":"temperature","state_class":"measurement","unit_of_measurement":"°C"}`},
		{`{"device_class":null,"unit_of_measurement":null,"state_class":null,"payload_on":1,"state_on":"x"}`, `{"payload_on":1,"state_on":"x"}`},
		{`{"stat_t":"a/#"}`, `state_topic: mqtt: bad topic: topic "a/#": a message's topic must not contain the wildcard '#'`},
		{`{"cmd_t":""}`, `command_topic: mqtt: bad topic: the topic is empty`},
		{`{"stat_t":["a"]}`, `state_topic is ["a"], where a topic was expected`},
		{`{"val_tpl":5}`, `value_template is 5, where a template was expected`},
		{`{"qos":3}`, `qos is 3, where a number from 0 to 2 was expected`},
		{`{"qos":1.5}`, `qos is 1.5, where a number from 0 to 2 was expected`},
		{`{"exp_aft":-1}`, `expire_after is -1, where a number from 0 to 2147483648 was expected`},
		{`{"exp_aft":"soon"}`, `expire_after is "soon", where a number from 0 to 2147483648 was expected`},
		{`{"ret":"maybe"}`, `retain is "maybe", where true or false was expected`},
		{`{"en":"maybe"}`, `enabled_by_default is "maybe", where true or false was expected`},
		{`{"e":7}`, `encoding is 7, where the name of an encoding was expected`},
		{`{"name":["x"]}`, `name is ["x"], where a string was expected`},
		{`{"uniq_id":{}}`, `unique_id is {}, where a string was expected`},
		{`{"stat_cla":"some"}`, `state_class is "some", where measurement, measurement_angle, total or total_increasing was expected`},
		{`{"ent_cat":"system"}`, `entity_category is "system", where config or diagnostic was expected`},
		{`{"dev":"x"}`, `device is "x", where an object was expected`},
		{`{"dev":{"name":"x"}}`, `device: it has no identifiers and no connections, of which one is needed to know it again`},
		{`{"dev":{"ids":"x","mf":[]}}`, `device: manufacturer is [], where a string was expected`},
		{`{"dev":{"cns":["mac","x"]}}`, `device: connections is "mac", where a list of pairs like ["mac", "02:5b:26:a8:dc:12"] was expected`},
		{`{"payload_on":"wrong"}`, `payload_on is wrong`}, // the component's own
		{`[]`, `the payload is [], where a JSON object was expected`},
	} {
		if got := haConfigOf(t, c.payload); got != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.payload, got, c.want)
		}
	}
	for _, payload := range []string{
		`{"val_tpl":"{{"}`, `{"avty":[{"t":"a","val_tpl":"{{"}]}`, `{"avty_t":"a","avty_tpl":"{{"}`, `{"options":[{"x_template":"{{"}]}`, `{"json_attr_tpl":"{% if"}`,
	} {
		if got := haConfigOf(t, payload); !strings.Contains(got, "_template: ") {
			t.Errorf("%s: %s", payload, got)
		}
	}
}

func TestAnnouncementTooLarge(t *testing.T) {
	h := haStubbed(HomeAssistantOptions{})
	long := strings.Repeat("x", 70_000)
	for name, c := range map[string]struct{ topic, payload string }{
		"payload":       {"homeassistant/sensor/x/config", `{"stat_t":"s","not_kept":"` + strings.Repeat("x", maxAnnouncement) + `"}`},
		"name":          {"homeassistant/sensor/x/config", `{"name":"` + long + `"}`},
		"unique id":     {"homeassistant/sensor/x/config", `{"unique_id":"` + long + `"}`},
		"device":        {"homeassistant/sensor/x/config", `{"device":{"ids":"` + long + `"}}`},
		"configuration": {"homeassistant/sensor/x/config", `{"payload_on":"` + long + `"}`},
		"shared":        {"homeassistant/device/x/config", `{"dev":{"ids":"x"},"cmps":{"a":{"p":"sensor"}},"payload_available":"` + long + `"}`},
		"components": {"homeassistant/device/x/config", `{"dev":{"ids":"x"},"cmps":{` +
			strings.TrimSuffix(strings.Repeat(`"a%d":{"p":"sensor","qos":1},`, maxFormComponents+1), ",") + `}}`},
	} {
		payload := c.payload
		if name == "components" {
			for i := range maxFormComponents + 1 {
				payload = strings.Replace(payload, "%d", fmt.Sprint(i), 1)
			}
		}
		if all, err := h.Translate(c.topic, []byte(payload)); !errors.Is(err, ErrAnnouncementTooLarge) || !errors.Is(err, eventstore.ErrTooLarge) || len(all) > 0 {
			t.Errorf("%s: %v", name, err)
		} else if len(err.Error()) > 500 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}

func TestUnknownComponent(t *testing.T) {
	h := haStubbed(HomeAssistantOptions{})
	_, err := h.Translate("homeassistant/toaster/x/config", []byte(`{"stat_t":"a"}`))
	if !errors.Is(err, ErrUnknownComponent) || !strings.Contains(err.Error(), `"toaster"; there are alarm_control_panel, binary_sensor`) {
		t.Error(err)
	}
}

func TestRemoval(t *testing.T) {
	h := haStubbed(HomeAssistantOptions{})
	for _, c := range []struct{ topic, payload, want string }{
		{"homeassistant/sensor/x/config", "", "homeassistant/sensor/x/config complete\n"},
		{"homeassistant/sensor/x/config", "{}", "homeassistant/sensor/x/config complete\n"},
		{"homeassistant/device/x/config", "", "homeassistant/device/x/config complete\n"},
		{"homeassistant/sensor/x/config", `{"migrate_discovery": true}`, "homeassistant/sensor/x/config migrates\n"},
		{"homeassistant/device/x/config", `{"migr_discvry": true}`, "homeassistant/device/x/config migrates\n"},
	} {
		all, err := h.Translate(c.topic, []byte(c.payload))
		if got := haDump(all); got != c.want || err != nil {
			t.Errorf("%s %s: %q, %v", c.topic, c.payload, got, err)
		}
	}
	for _, payload := range []string{`{"migrate_discovery":false}`, `{"migrate_discovery":true,"stat_t":"a"}`, `{"migrate_discovery":null}`, " ", "{", "null"} {
		if all, err := h.Translate("homeassistant/sensor/x/config", []byte(payload)); err == nil {
			t.Errorf("%s: %s", payload, haDump(all))
		}
	}
}

func TestCovered(t *testing.T) {
	h := haStubbed(HomeAssistantOptions{Covered: []string{"zigbee2mqtt/", "tele"}})
	form := func(component string) string {
		return `{"dev":{"ids":"x"},"cmps":{"a":{"p":"sensor","stat_t":"other"},"b":` + component + `}}`
	}
	for _, c := range []struct {
		topic, payload string
		covered        bool
	}{
		{"sensor/x", `{"stat_t":"zigbee2mqtt/lamp"}`, true},
		{"sensor/x", `{"cmd_t":"zigbee2mqtt/lamp/set","stat_t":"other"}`, true},
		{"sensor/x", `{"stat_t":"other","avty":[{"t":"other/a"},{"t":"zigbee2mqtt/bridge/state"}]}`, true},
		{"sensor/x", `{"stat_t":"other","avty_t":"zigbee2mqtt/bridge/state"}`, true},
		{"sensor/x", `{"~":"zigbee2mqtt","stat_t":"~/lamp"}`, true},
		{"sensor/x", `{"stat_t":"zigbee2mqtt"}`, true},
		{"sensor/x", `{"stat_t":"tele/x"}`, true},
		{"toaster/x", `{"stat_t":"zigbee2mqtt/lamp","val_tpl":"{{"}`, true}, // whatever else is wrong with it
		{"device/x", form(`{"p":"sensor","stat_t":"zigbee2mqtt/x"}`), true},
		{"device/x", form(`{"p":"sensor","stat_t":"other/x"}`), false},
		{"sensor/x", `{"stat_t":"zigbee2mqtt2/lamp"}`, false},
		{"sensor/x", `{"stat_t":"telemetry"}`, false},
		{"sensor/x", `{"stat_t":"a/zigbee2mqtt/lamp","pl_on":"zigbee2mqtt/lamp"}`, false},
	} {
		all, err := h.Translate("homeassistant/"+c.topic+"/config", []byte(c.payload))
		if errors.Is(err, ErrCovered) != c.covered || c.covered != (len(all) == 0) {
			t.Errorf("%s: %v, %d announcements", c.payload, err, len(all))
		}
	}
}

// TestKeysOfComponents: what a component reads is among what is kept.
func TestKeysOfComponents(t *testing.T) {
	read := haKeysRead(t)
	if len(read) < 50 {
		t.Errorf("only %d keys are read: %v", len(read), read)
	}
	for key, file := range read {
		if !haKeeps(key) {
			t.Errorf("%s is read in %s, and not kept", key, file)
		}
	}
}

// haKeysRead are the keys that the package's own code reads of a configuration c, and where.
func haKeysRead(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	readers := map[string]int{ // and how many of their arguments are keys
		"Str": 1, "Word": 1, "Float": 1, "Flag": 1, "Get": 1, "Has": 1, "List": 1, "Words": 1, "Num": 1, "Sources": 2, "Publish": 2,
	}
	read := make(map[string]string)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if of, ok := method.X.(*ast.Ident); !ok || of.Name != "c" {
				return true
			}
			for _, arg := range call.Args[:min(readers[method.Sel.Name], len(call.Args))] {
				if literal, ok := arg.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					if key, err := strconv.Unquote(literal.Value); err == nil && key != "" {
						read[key] = file
					}
				}
			}
			return true
		})
	}
	return read
}
