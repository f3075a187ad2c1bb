package zigbee2mqtt

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/state"
)

var _ dialect.Dialect = (*Dialect)(nil)

// Render implements [dialect.Dialect]: a command is an object of the properties that are to change, on the device's topic
// for that.
func (d *Dialect) Render(t dialect.Target, c command.Checked) (dialect.Rendered, error) {
	if t.Entity.GetDeviceId() == d.bridgeID {
		return d.renderBridge(t, c)
	}
	domain := dialect.DomainOf(t.Entity)
	if domain == domainUpdate {
		return d.request("device/ota_update/update", true, fields{{Name: "id", Value: dialect.StringValue(t.Device.GetAddress())}})
	}
	if t.Device.GetTopic() == "" {
		return dialect.Rendered{}, fmt.Errorf("%w: the device of %s has no topic", command.ErrUnsupported, t.Entity.GetId())
	}
	a := asking{entity: t.Entity, command: c}
	ask, ok := askers[domain]
	if !ok {
		return dialect.Rendered{}, fmt.Errorf("%w: a %s of Zigbee2MQTT takes no commands", command.ErrUnsupported, domain)
	}
	ask(&a)
	if a.wrong != nil {
		return dialect.Rendered{}, a.wrong
	}
	if len(a.fields) == 0 {
		return dialect.Rendered{}, fmt.Errorf("%w: %s does not know %s", command.ErrUnsupported, t.Entity.GetId(), c.Action)
	}
	return dialect.Rendered{
		Publications: []mqtt.Publication{{Topic: t.Device.GetTopic() + "/set", Payload: a.fields.json(), QoS: 1}},
		Answers:      t.Entity.GetCapabilities().GetReadable(),
	}, nil
}

// fields are an object that is being made.
type fields []*entityv1.Field

func (f *fields) set(name string, v *entityv1.Value) {
	*f = append(slices.DeleteFunc(*f, func(o *entityv1.Field) bool { return o.GetName() == name }), &entityv1.Field{Name: name, Value: v})
}

func (f fields) value() *entityv1.Value {
	sorted := slices.Clone(f)
	slices.SortFunc(sorted, func(a, b *entityv1.Field) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return &entityv1.Value{Kind: &entityv1.Value_StructValue{StructValue: &entityv1.StructValue{Fields: sorted}}}
}

func (f fields) json() []byte { return state.AppendJSON(nil, f.value()) }

func numberValue(n float64) *entityv1.Value {
	if n == math.Trunc(n) && math.Abs(n) < 1<<53 {
		return &entityv1.Value{Kind: &entityv1.Value_IntValue{IntValue: int64(n)}}
	}
	return &entityv1.Value{Kind: &entityv1.Value_DoubleValue{DoubleValue: n}}
}

// asking is a command that is being put into properties.
type asking struct {
	entity  *entityv1.Entity
	command command.Checked
	fields  fields
	wrong   error
}

// askers put a command into properties, by domain.
var askers = map[string]func(*asking){
	domainLight: (*asking).light, domainSwitch: (*asking).onOff, domainCover: (*asking).cover, domainLock: (*asking).lock,
	domainFan: (*asking).fan, domainClimate: (*asking).climate, domainSiren: (*asking).siren,
	domainNumber: (*asking).value, domainText: (*asking).value, domainSelect: (*asking).value, domainButton: (*asking).press,
}

// feature is what the entity says of a feature, nil where it has none.
func (a *asking) feature(name string) *entityv1.Feature {
	for _, f := range a.entity.GetCapabilities().GetFeatureDetails() {
		if f.GetName() == name {
			return f
		}
	}
	return nil
}

// put sets the property of a feature, and complains where there is none.
func (a *asking) put(feature string, v *entityv1.Value) {
	f := a.feature(feature)
	if f.GetProperty() == "" {
		a.wrong = fmt.Errorf("%w: %s has no %s", command.ErrUnsupported, a.entity.GetId(), feature)
		return
	}
	a.fields.set(f.GetProperty(), v)
}

// onOff says on or off in the device's own words.
func (a *asking) onOff() {
	f := a.feature(featureOn)
	v, word := f.GetValueOff(), "OFF"
	if a.command.Action != "turn_off" {
		v, word = f.GetValueOn(), "ON"
	}
	if v == nil {
		v = dialect.StringValue(word)
	}
	a.put(featureOn, v)
}

// light leaves out the state where a brightness or a color is asked for: Zigbee2MQTT turns a lamp on for these.
func (a *asking) light() {
	a.onOff()
	if n, ok := a.command.Float("brightness"); ok {
		brightest := cmp.Or(a.feature(featureBrightness).GetMaximum(), defaultBrightness)
		a.put(featureBrightness, numberValue(math.Round(n*brightest/255)))
	}
	if kelvin, ok := a.command.Float("color_temp_kelvin"); ok && kelvin > 0 {
		a.put(featureColorTemp, numberValue(math.Round(1e6/kelvin)))
	}
	color := func(feature string, names ...string) {
		values, ok := a.command.Floats(feature)
		if !ok || len(values) != len(names) {
			return
		}
		var object fields
		for i, name := range names {
			object.set(name, numberValue(values[i]))
		}
		a.put(feature, object.value())
	}
	color(featureXy, "x", "y")
	color(featureHs, "hue", "saturation")
	if effect, ok := a.command.String("effect"); ok {
		a.put(featureEffect, dialect.StringValue(effect))
	}
	if seconds, ok := a.command.Float("transition"); ok {
		a.fields.set("transition", numberValue(seconds))
	}
}

func (a *asking) cover() {
	switch a.command.Action {
	case "open_cover":
		a.put(featureState, dialect.StringValue(coverOpen))
	case "close_cover":
		a.put(featureState, dialect.StringValue(coverClose))
	case "stop_cover", "stop_cover_tilt":
		a.put(featureState, dialect.StringValue("STOP"))
	case "set_cover_position":
		a.number(featurePosition, "position")
	case "open_cover_tilt":
		a.put(featureTilt, numberValue(100))
	case "close_cover_tilt":
		a.put(featureTilt, numberValue(0))
	case "set_cover_tilt_position":
		a.number(featureTilt, "tilt_position")
	}
}

// number sets a feature to an argument.
func (a *asking) number(feature, argument string) {
	if n, ok := a.command.Float(argument); ok {
		a.put(feature, numberValue(n))
	}
}

// word sets a feature to an argument.
func (a *asking) word(feature, argument string) {
	if w, ok := a.command.String(argument); ok {
		a.put(feature, dialect.StringValue(w))
	}
}

func (a *asking) lock() {
	f := a.feature(featureState)
	switch a.command.Action {
	case "lock":
		a.put(featureState, cmp.Or(f.GetValueOn(), dialect.StringValue("LOCK")))
	case "unlock":
		a.put(featureState, cmp.Or(f.GetValueOff(), dialect.StringValue("UNLOCK")))
	}
}

func (a *asking) fan() {
	if a.command.Action == "turn_on" || a.command.Action == "turn_off" {
		a.onOff()
	}
	if percentage, ok := a.command.Float("percentage"); ok {
		a.speed(percentage)
	}
	a.word(featurePreset, "preset_mode")
}

// speed says a percentage in the fan's own steps.
func (a *asking) speed(percentage float64) {
	f := a.feature(featurePercentage)
	speeds := f.GetOptions()
	switch {
	case percentage == 0:
		a.fields = nil
		a.put(featureOn, cmp.Or(a.feature(featureOn).GetValueOff(), dialect.StringValue("OFF")))
	case len(speeds) > 0:
		step := int(math.Ceil(percentage * float64(len(speeds)) / 100))
		a.put(featurePercentage, dialect.StringValue(speeds[min(max(step, 1), len(speeds))-1]))
	case f.Minimum != nil && f.Maximum != nil:
		steps := f.GetMaximum() - f.GetMinimum() + 1
		a.put(featurePercentage, numberValue(f.GetMinimum()-1+max(math.Ceil(percentage*steps/100), 1)))
	}
}

// climateArguments are the arguments by the features that they set.
var climateArguments = map[string]string{
	featureTarget: "temperature", featureTargetHigh: "target_temp_high", featureTargetLow: "target_temp_low",
	featureHvacMode: "hvac_mode", featureFanMode: "fan_mode", featureSwingMode: "swing_mode", featurePreset: "preset_mode",
}

func (a *asking) climate() {
	for _, feature := range slices.Sorted(maps.Keys(climateArguments)) {
		a.number(feature, climateArguments[feature])
		a.word(feature, climateArguments[feature])
	}
}

func (a *asking) siren() {
	var warning fields
	if a.command.Action == "turn_off" {
		warning.set("mode", dialect.StringValue(sirenStop))
	} else {
		tones := a.feature("tone").GetOptions()
		tone, ok := a.command.String("tone")
		if !ok && len(tones) > 0 {
			tone = tones[0]
			if slices.Contains(tones, "emergency") {
				tone = "emergency"
			}
		}
		warning.set("mode", dialect.StringValue(tone))
		if level, ok := a.command.String("level"); ok {
			warning.set("level", dialect.StringValue(level))
		}
		if seconds, ok := a.command.Float("duration"); ok {
			warning.set("duration", numberValue(seconds))
		}
	}
	a.fields.set(a.entity.GetProperty(), warning.value())
}

// value sets the one property of an entity to the command's one argument.
func (a *asking) value() {
	for _, f := range a.command.Arguments {
		a.fields.set(a.entity.GetProperty(), f.GetValue())
	}
}

// press says the only value that a button's property has.
func (a *asking) press() {
	word := ""
	if options := a.entity.GetCapabilities().GetOptions(); len(options) > 0 {
		word = options[0]
	}
	a.fields.set(a.entity.GetProperty(), dialect.StringValue(word))
}

// renderBridge is a request to Zigbee2MQTT itself.
func (d *Dialect) renderBridge(t dialect.Target, c command.Checked) (dialect.Rendered, error) {
	switch key := strings.TrimPrefix(t.Entity.GetUniqueId(), d.bridgeID+"/"); key {
	case domainButton + "/restart":
		return d.request("restart", false, nil)
	case domainSelect + "/log_level":
		level, _ := c.String("option")
		advanced := fields{{Name: "advanced", Value: fields{{Name: "log_level", Value: dialect.StringValue(level)}}.value()}}
		return d.request("options", true, fields{{Name: "options", Value: advanced.value()}})
	case domainSwitch + "/permit_join":
		const longest = 254 // seconds, more is not allowed
		seconds := 0.0
		if c.Action == "turn_on" {
			seconds = longest
		}
		return d.request("permit_join", true, fields{{Name: "time", Value: numberValue(seconds)}})
	default:
		return dialect.Rendered{}, fmt.Errorf("%w: nothing can be asked of %s", command.ErrUnsupported, t.Entity.GetId())
	}
}

// request is a request to Zigbee2MQTT itself.
func (d *Dialect) request(name string, answers bool, object fields) (dialect.Rendered, error) {
	p := mqtt.Publication{Topic: d.opts.BaseTopic + "/" + bridgeAddress + "/request/" + name, QoS: 1}
	if object != nil {
		p.Payload = object.json()
	}
	return dialect.Rendered{Publications: []mqtt.Publication{p}, Answers: answers}, nil
}

// Wants implements [dialect.Dialect].
func (d *Dialect) Wants(topic string) bool { return strings.HasPrefix(topic, d.opts.BaseTopic+"/") }

// Claim implements [dialect.Dialect].
func (d *Dialect) Claim(topic string) dialect.Claim {
	name := strings.TrimPrefix(topic, d.opts.BaseTopic+"/")
	if strings.HasPrefix(name, bridgeAddress+"/") {
		return dialect.Claim{Note: "bridge"}
	}
	ix := d.index.Load()
	if ix == nil {
		return dialect.Claim{}
	}
	r := ix.route(name)
	c := dialect.Claim{Note: routeNotes[r.kind]}
	if known, ok := d.plans.Load(r.device); ok {
		for _, p := range known.(*plan).parts {
			c.Entities = append(c.Entities, p.id)
		}
	}
	return c
}

var routeNotes = map[routeKind]string{
	routeUnknown: "no device", routeReport: "report", routeAvailability: "availability", routeCommand: "command",
	routeAction: "action", routeCopy: "copy",
}
