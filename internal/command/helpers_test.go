package command_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/state"
)

// feature is one that is reported and can be set.
func feature(name string, change ...func(*entityv1.Feature)) *entityv1.Feature {
	f := &entityv1.Feature{Name: name, Readable: true, Writable: true}
	for _, c := range change {
		c(f)
	}
	return f
}

func limits(low, high float64) func(*entityv1.Feature) {
	return func(f *entityv1.Feature) { f.Minimum, f.Maximum = &low, &high }
}

func step(n float64) func(*entityv1.Feature) { return func(f *entityv1.Feature) { f.Step = &n } }
func unit(s string) func(*entityv1.Feature)  { return func(f *entityv1.Feature) { f.Unit = s } }
func silent(f *entityv1.Feature)             { f.Readable = false }
func fixed(f *entityv1.Feature)              { f.Writable = false }
func words(all ...string) func(*entityv1.Feature) {
	return func(f *entityv1.Feature) { f.Options = all }
}

// entity is one with features.
func entity(id string, features ...*entityv1.Feature) *entityv1.Entity {
	c := &entityv1.Capabilities{Readable: len(features) == 0, Writable: true, FeatureDetails: features}
	for _, f := range features {
		c.Readable = c.GetReadable() || f.GetReadable()
		c.Features = append(c.Features, f.GetName())
	}
	return &entityv1.Entity{Id: id, Capabilities: c}
}

func with(e *entityv1.Entity, change func(*entityv1.Entity)) *entityv1.Entity {
	change(e)
	return e
}

// things are entities as Zigbee2MQTT and others have them.
var things = map[string]*entityv1.Entity{}

func init() {
	for _, e := range []*entityv1.Entity{
		entity("light.color", feature("on"), feature("brightness", limits(0, 254)),
			feature("color_temp", limits(153, 500), unit("mired")), feature("xy"), feature("color_mode", fixed),
			feature("effect", words("blink", "okay", "stop_effect"), silent)),
		entity("light.hue", feature("on"), feature("brightness"), feature("hs"), feature("effect", words("off", "fire"))),
		entity("light.rgb", feature("on"), feature("rgb")),
		entity("light.rgbww", feature("on"), feature("rgbww"), feature("white"), feature("brightness")),
		entity("light.ten", feature("on"), feature("brightness", limits(2, 10)), feature("color_temp_kelvin", limits(2200, 4000), unit("K"))),
		entity("light.plain", feature("on")),
		entity("light.bare"),
		entity("light.mute", feature("on", silent), feature("brightness", silent)),
		entity("switch.plug", feature("on")),
		with(entity("switch.read"), func(e *entityv1.Entity) { e.Capabilities.Writable = false }),
		with(entity("switch.off"), func(e *entityv1.Entity) { e.Disabled = true }),
		{Id: "switch.nothing"},
		entity("siren.z", feature("tone", silent, words("burglar", "fire")), feature("level", silent, words("low", "high")),
			feature("duration", silent, limits(0, 600), unit("s"))),
		entity("siren.on", feature("on"), feature("volume_level")),
		entity("cover.blind", feature("state", words("OPEN", "CLOSE", "STOP")), feature("position", limits(0, 100)), feature("tilt_position")),
		entity("cover.gate", feature("state", words("OPEN", "CLOSE"))),
		entity("cover.steps", feature("state", silent), feature("position")),
		entity("valve.water", feature("state"), feature("position")),
		entity("lock.door", feature("state")),
		entity("lock.latch", feature("state"), feature("open")),
		entity("alarm_control_panel.home"),
		entity("climate.trv", feature("hvac_mode", words("off", "heat", "auto")), feature("target_temperature", limits(5, 30), step(0.5)),
			feature("preset_mode", words("none", "eco", "boost")), feature("current_temperature", fixed)),
		entity("climate.one", feature("hvac_mode", words("off", "heat")), feature("target_temperature")),
		entity("climate.two", feature("hvac_mode", words("heat_cool", "sleep")), feature("target_temperature_high"), feature("target_temperature_low"),
			feature("fan_mode", words("auto", "low")), feature("swing_mode", words("on", "off")), feature("swing_horizontal_mode", words("on", "off")),
			feature("target_humidity", limits(30, 70))),
		with(entity("climate.us", feature("target_temperature")), func(e *entityv1.Entity) { e.Unit = "°F" }),
		entity("water_heater.boiler", feature("operation_mode", words("off", "eco", "gas")), feature("target_temperature", limits(30, 65)), feature("away_mode")),
		entity("humidifier.air", feature("on"), feature("target_humidity", limits(30, 80)), feature("mode", words("normal", "eco"))),
		entity("fan.three", feature("on"), feature("percentage", words("low", "medium", "high")), feature("preset_mode", words("auto", "smart")),
			feature("oscillating"), feature("direction")),
		entity("fan.nine", feature("on"), feature("percentage", limits(1, 9))),
		entity("fan.fine", feature("on"), feature("percentage")),
		with(entity("number.limit"), func(e *entityv1.Entity) {
			e.Unit = "s"
			e.Capabilities.Minimum, e.Capabilities.Maximum, e.Capabilities.Step = proto.Float64(0), proto.Float64(10), proto.Float64(0.5)
		}),
		entity("number.any"),
		with(entity("select.mode"), func(e *entityv1.Entity) { e.Capabilities.Options = []string{"Eco", "very high", "1", "a=b"} }),
		with(entity("select.twins"), func(e *entityv1.Entity) { e.Capabilities.Options = []string{"Off", "OFF"} }),
		entity("select.free"),
		entity("text.note"),
		with(entity("text.short"), func(e *entityv1.Entity) { e.Capabilities.Maximum = proto.Float64(4) }),
		entity("date.day"), entity("time.wake"), entity("datetime.next"),
		with(entity("button.identify"), func(e *entityv1.Entity) { e.Capabilities.Options = []string{"identify"} }),
		entity("scene.evening"),
		entity("vacuum.robot", feature("activity"), feature("fan_speed", words("quiet", "max"))),
		entity("lawn_mower.garden"),
		entity("update.firmware"),
		entity("media_player.tv", feature("state"), feature("volume_level"), feature("volume_muted"), feature("source", words("HDMI 1", "TV")),
			feature("shuffle"), feature("repeat"), feature("media_content_id"), feature("media_position"), feature("group_members"), feature("sound_mode")),
		entity("sensor.temperature"), entity("binary_sensor.door"), entity("event.remote"), entity("person.anna"),
		entity("weather.home"), entity("device_tracker.phone"), entity("generic.thing"),
	} {
		things[e.GetId()] = e
	}
}

// present are states for those that depend on one.
var present = map[string]*entityv1.Attributes{
	"light on":      {Domain: &entityv1.Attributes_Light{Light: &entityv1.Light{On: proto.Bool(true), Brightness: proto.Uint32(100)}}},
	"light off":     {Domain: &entityv1.Attributes_Light{Light: &entityv1.Light{On: proto.Bool(false), Brightness: proto.Uint32(100)}}},
	"switch on":     {Domain: &entityv1.Attributes_Switch{Switch: &entityv1.Switch{On: proto.Bool(true)}}},
	"switch empty":  {Domain: &entityv1.Attributes_Switch{Switch: &entityv1.Switch{}}},
	"switch nil":    {Domain: &entityv1.Attributes_Switch{}},
	"cover closed":  {Domain: &entityv1.Attributes_Cover{Cover: &entityv1.Cover{State: entityv1.CoverState_COVER_STATE_CLOSED, TiltPosition: proto.Uint32(0)}}},
	"cover opening": {Domain: &entityv1.Attributes_Cover{Cover: &entityv1.Cover{State: entityv1.CoverState_COVER_STATE_OPENING, TiltPosition: proto.Uint32(5)}}},
	"cover at 30":   {Domain: &entityv1.Attributes_Cover{Cover: &entityv1.Cover{Position: proto.Uint32(30)}}},
	"valve closed":  {Domain: &entityv1.Attributes_Valve{Valve: &entityv1.Valve{State: entityv1.ValveState_VALVE_STATE_CLOSED}}},
	"climate off":   {Domain: &entityv1.Attributes_Climate{Climate: &entityv1.Climate{HvacMode: entityv1.HvacMode_HVAC_MODE_OFF}}},
	"climate heat":  {Domain: &entityv1.Attributes_Climate{Climate: &entityv1.Climate{HvacMode: entityv1.HvacMode_HVAC_MODE_HEAT}}},
	"boiler eco":    {Domain: &entityv1.Attributes_WaterHeater{WaterHeater: &entityv1.WaterHeater{OperationMode: proto.String("eco")}}},
	"fan at 33":     {Domain: &entityv1.Attributes_Fan{Fan: &entityv1.Fan{On: proto.Bool(true), Percentage: proto.Uint32(33)}}},
	"fan off":       {Domain: &entityv1.Attributes_Fan{Fan: &entityv1.Fan{On: proto.Bool(false)}}},
	"select Eco":    {Domain: &entityv1.Attributes_Select{Select: &entityv1.Select{Option: proto.String("Eco")}}},
	"update new": {Domain: &entityv1.Attributes_Update{Update: &entityv1.Update{
		InstalledVersion: proto.String("1"), LatestVersion: proto.String("2")}}},
	"update none": {Domain: &entityv1.Attributes_Update{Update: &entityv1.Update{
		InstalledVersion: proto.String("2"), LatestVersion: proto.String("2")}}},
	"tv playing": {Domain: &entityv1.Attributes_MediaPlayer{MediaPlayer: &entityv1.MediaPlayer{
		State: entityv1.MediaPlayerState_MEDIA_PLAYER_STATE_PLAYING, VolumeLevel: proto.Float64(0.95)}}},
}

// spell is a checked request as one line: the action, its arguments, what is expected, and what is assumed where that differs.
func spell(t testing.TB, c command.Checked) string {
	t.Helper()
	object := func(fields []*entityv1.Field) string {
		return string(state.AppendJSON(nil, &entityv1.Value{Kind: &entityv1.Value_StructValue{StructValue: &entityv1.StructValue{Fields: fields}}}))
	}
	attributes := func(a *entityv1.Attributes) string {
		if a == nil {
			return "nothing"
		}
		text, err := state.JSON(a)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	line := c.Action + " " + object(c.Arguments) + " → " + attributes(c.Expected)
	if !state.Equal(c.Expected, c.Assumed) && (c.Expected != nil || c.Assumed != nil) {
		line += " | " + attributes(c.Assumed)
	}
	if len(c.Secret) > 0 {
		line += fmt.Sprint(" secret ", c.Secret)
	}
	return strings.ReplaceAll(line, `"`, "")
}

// again asks for what was checked once more.
func again(id string, c command.Checked) command.Request {
	r := command.Request{Entity: id, Action: c.Action, Arguments: slices.Clone(c.Arguments)}
	if code, ok := c.Code(); ok {
		r.Arguments = append(r.Arguments, &entityv1.Field{Name: "code", Value: &entityv1.Value{Kind: &entityv1.Value_StringValue{StringValue: code}}})
	}
	return r
}
