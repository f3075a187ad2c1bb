package zigbee2mqtt

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// announced is what a homeassistant/…/config message says of an entity.
type announced struct {
	component, node, object string

	DefaultEntityID  string   `json:"default_entity_id"`
	Name             *string  `json:"name"`
	DeviceClass      string   `json:"device_class"`
	Unit             string   `json:"unit_of_measurement"`
	StateClass       string   `json:"state_class"`
	Category         string   `json:"entity_category"`
	EnabledByDefault *bool    `json:"enabled_by_default"`
	ValueTemplate    string   `json:"value_template"`
	CommandTopic     string   `json:"command_topic"`
	Options          []string `json:"options"`
	Min              any      `json:"min"`
	Max              any      `json:"max"`
	Subtype          string   `json:"subtype"`
	Effects          []string `json:"effect_list"`
	ColorModes       []string `json:"supported_color_modes"`
	Modes            []string `json:"modes"`
	PresetModes      []string `json:"preset_modes"`
	Tones            []string `json:"available_tones"`
	PositionTopic    string   `json:"position_topic"`
	Device           struct {
		Name         string `json:"name"`
		Manufacturer string `json:"manufacturer"`
		Model        string `json:"model"`
		ModelID      string `json:"model_id"`
	} `json:"device"`
}

// differences are what the recorded house has otherwise than its own announcements say, and why. Anything else that
// differs fails the test, and so does a difference that is none any more.
var differences = map[string]string{
	"sensor bridge network_map: not there": "its state is the time of the last answer to a request for a map, and the map " +
		"its attribute: a message of the request's, not a state of the house",
	`climate 0x00158d0010000002 climate: hvac_mode ["heat"] are ["off" "heat" "auto"] there`: "code in the converter of this one " +
		"model replaces its modes by those of operating_mode; the list of devices does not say so. operating_mode is a select here and there",
	`light 0x00158d0010000017 light: color modes ["xy" "hs" "color_temp"] are ["xy" "color_temp"] there`: prefers,
	`light 0x00158d0010000018 light: color modes ["xy" "hs" "color_temp"] are ["xy" "color_temp"] there`: prefers,
	`light group/1 light: color modes ["xy" "hs" "color_temp"] are ["xy" "color_temp"] there`:            prefers,
	"device_automation 0x00158d001000000d action_hold: no event of type hold":                            unlisted,
	"device_automation 0x00158d001000000d action_hold_release: no event of type hold_release":            unlisted,
	"device_automation 0x00158d001000000d action_release: no event of type release":                      unlisted,
	"device_automation 0x00158d001000000d action_single: no event of type single":                        unlisted,
}

const (
	prefers  = "a lamp that can do both is announced with the one that it lists first; here it has both, as its definition says"
	unlisted = "the recorded device sends actions that its own definition does not list; they are recorded all the same"
)

var templateProperty = regexp.MustCompile(`value_json(?:\["([^"]+)"\]|\.([A-Za-z0-9_.]+))`)

// key is the key of the entity that an announcement means: the property.
func (a announced) key() string {
	switch a.component {
	case "climate", "update":
		return a.component
	case "fan":
		return "fan_state"
	case "siren":
		return "warning"
	case "light":
		return strings.Replace(a.object, "light", "state", 1)
	case "button":
		return a.CommandTopic[strings.LastIndexByte(a.CommandTopic, '/')+1:]
	case "cover":
		return "state"
	}
	m := templateProperty.FindStringSubmatch(a.ValueTemplate)
	if m == nil {
		return a.object
	}
	key := cmp.Or(m[1], m[2])
	if a.device() == bridgeAddress {
		return a.object
	}
	return key
}

// device is the address of the device that an announcement means.
func (a announced) device() string {
	_, id, ok := strings.Cut(a.node, "_")
	switch {
	case !ok:
		return a.node
	case strings.HasPrefix(id, "0x"):
		return bridgeAddress
	default:
		return "group/" + id
	}
}

func announcements(t *testing.T) map[string]announced {
	t.Helper()
	all, err := recording()
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]announced)
	for _, r := range all {
		parts := strings.Split(r.Topic, "/")
		if parts[0] != "homeassistant" || r.Payload == "" {
			continue
		}
		a := announced{component: parts[1], node: parts[2], object: parts[3]}
		if err := json.Unmarshal([]byte(r.Payload), &a); err != nil {
			t.Fatal(err)
		}
		if first, ok := found[r.Topic]; ok {
			a.DefaultEntityID = first.DefaultEntityID // an id is given once
		}
		found[r.Topic] = a
	}
	return found
}

func TestTheRecordedHouseHasTheEntitiesThatItAnnounces(t *testing.T) {
	b := newBench(t, Options{})
	entities := make(map[string]*entityv1.Entity) // by unique id, removed ones too
	devices := make(map[string]*entityv1.Device)
	for _, r := range house(t) {
		for _, e := range b.message(r.message(t)) {
			if entity := e.Payload.GetEntityRegistered().GetEntity(); entity != nil {
				entities[entity.GetUniqueId()] = entity
			}
			if device := e.Payload.GetDeviceRegistered().GetDevice(); device != nil {
				devices[device.GetId()] = device
			}
		}
	}
	var found []string
	differs := func(a announced, format string, args ...any) {
		found = append(found, fmt.Sprintf("%s %s %s: ", a.component, a.device(), a.object)+fmt.Sprintf(format, args...))
	}
	matched := make(map[string]bool)
	all := announcements(t)
	for _, a := range all {
		deviceID := b.deviceID(a.device())
		if a.component == "device_automation" {
			e := entities[deviceID+"/event/action"]
			matched[e.GetUniqueId()] = true
			if !slices.Contains(e.GetCapabilities().GetOptions(), a.Subtype) {
				differs(a, "no event of type %s", a.Subtype)
			}
			continue
		}
		unique := deviceID + "/" + a.component + "/" + a.key()
		e, ok := entities[unique]
		if !ok {
			differs(a, "not there")
			continue
		}
		matched[unique] = true
		compare(a, e, devices[deviceID], differs)
	}
	for unique, e := range entities {
		if !matched[unique] && dialect.DomainOf(e) != domainEvent {
			found = append(found, unique+": not announced")
		}
	}
	slices.Sort(found)
	for _, f := range found {
		if differences[f] == "" {
			t.Errorf("differs: %s", f)
		}
	}
	for f := range differences {
		if !slices.Contains(found, f) {
			t.Errorf("no longer differs: %s", f)
		}
	}
	if len(all) != 378 {
		t.Errorf("%d announcements compared", len(all))
	}
	t.Logf("%d announcements, %d entities, %d differences", len(all), len(entities), len(found))
}

var stateClasses = map[string]entityv1.StateClass{
	"": 0, "measurement": measured, "total_increasing": increasing,
}

func compare(a announced, e *entityv1.Entity, device *entityv1.Device, differs func(announced, string, ...any)) {
	if a.DefaultEntityID != "" && e.GetId() != strings.ToLower(a.DefaultEntityID) {
		differs(a, "id %s is %s there", e.GetId(), a.DefaultEntityID)
	}
	name := ""
	if a.Name != nil {
		name = *a.Name
	}
	if e.GetName() != name && (a.Name != nil || a.DeviceClass == "") {
		differs(a, "name %q is %q there", e.GetName(), name)
	}
	for what, values := range map[string][2]string{
		"device class": {e.GetDeviceClass(), a.DeviceClass},
		"unit":         {e.GetUnit(), dialect.NormalizeUnit(a.Unit, "")},
		"manufacturer": {device.GetManufacturer(), a.Device.Manufacturer},
		"model":        {device.GetModel(), a.Device.Model},
		"model id":     {device.GetModelId(), a.Device.ModelID},
		"device name":  {device.GetName(), a.Device.Name},
	} {
		if values[0] != values[1] {
			differs(a, "%s %q is %q there", what, values[0], values[1])
		}
	}
	if e.GetStateClass() != stateClasses[a.StateClass] {
		differs(a, "state class %v is %q there", e.GetStateClass(), a.StateClass)
	}
	if e.GetCategory() != categories[a.Category] {
		differs(a, "category %v is %q there", e.GetCategory(), a.Category)
	}
	if isEnabled := a.EnabledByDefault == nil || *a.EnabledByDefault; isEnabled == e.GetDisabled() {
		differs(a, "disabled %v, enabled there %v", e.GetDisabled(), isEnabled)
	}
	c := e.GetCapabilities()
	if len(a.Options) > 0 && !slices.Equal(a.Options, c.GetOptions()) {
		differs(a, "options %q are %q there", c.GetOptions(), a.Options)
	}
	if n, ok := a.Min.(float64); ok && c.GetMinimum() != n {
		differs(a, "minimum %v is %v there", c.GetMinimum(), n)
	}
	if n, ok := a.Max.(float64); ok && c.GetMaximum() != n {
		differs(a, "maximum %v is %v there", c.GetMaximum(), n)
	}
	features := make(map[string]*entityv1.Feature)
	for _, f := range c.GetFeatureDetails() {
		features[f.GetName()] = f
	}
	for feature, options := range map[string][]string{
		featureEffect: a.Effects, featureHvacMode: a.Modes, featurePreset: a.PresetModes, "tone": a.Tones,
	} {
		if len(options) > 0 && !slices.Equal(options, features[feature].GetOptions()) {
			differs(a, "%s %q are %q there", feature, features[feature].GetOptions(), options)
		}
	}
	if a.component == "light" {
		var modes []string
		for _, mode := range []string{featureXy, featureHs, featureColorTemp} {
			if features[mode] != nil {
				modes = append(modes, mode)
			}
		}
		if modes == nil {
			modes = []string{featureBrightness}
		}
		if !slices.Equal(modes, a.ColorModes) {
			differs(a, "color modes %q are %q there", modes, a.ColorModes)
		}
	}
	if (a.PositionTopic != "") != (features[featurePosition] != nil) {
		differs(a, "position %v", features[featurePosition])
	}
}
