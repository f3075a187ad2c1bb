package command_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/state"
)

func light(l *entityv1.Light) *entityv1.Attributes {
	return &entityv1.Attributes{Domain: &entityv1.Attributes_Light{Light: l}}
}

func cover(c *entityv1.Cover) *entityv1.Attributes {
	return &entityv1.Attributes{Domain: &entityv1.Attributes_Cover{Cover: c}}
}

func climate(t float64) *entityv1.Attributes {
	return &entityv1.Attributes{Domain: &entityv1.Attributes_Climate{Climate: &entityv1.Climate{TargetTemperature: &t}}}
}

func number(n float64) *entityv1.Attributes {
	return &entityv1.Attributes{Domain: &entityv1.Attributes_Number{Number: &entityv1.Number{Value: &entityv1.Number_Number{Number: n}}}}
}

func lock(s entityv1.LockState) *entityv1.Attributes {
	return &entityv1.Attributes{Domain: &entityv1.Attributes_Lock{Lock: &entityv1.Lock{State: s}}}
}

func alarm(s entityv1.AlarmControlPanelState) *entityv1.Attributes {
	return &entityv1.Attributes{Domain: &entityv1.Attributes_AlarmControlPanel{AlarmControlPanel: &entityv1.AlarmControlPanel{State: s}}}
}

func vacuum(a entityv1.VacuumActivity) *entityv1.Attributes {
	return &entityv1.Attributes{Domain: &entityv1.Attributes_Vacuum{Vacuum: &entityv1.Vacuum{Activity: a}}}
}

func firmware(u *entityv1.Update) *entityv1.Attributes {
	return &entityv1.Attributes{Domain: &entityv1.Attributes_Update{Update: u}}
}

func generic(s string) *entityv1.Attributes {
	return &entityv1.Attributes{Domain: &entityv1.Attributes_Generic{Generic: &entityv1.Generic{
		State: &entityv1.Value{Kind: &entityv1.Value_StringValue{StringValue: s}}}}}
}

func TestAnswers(t *testing.T) {
	brightness := func(n uint32) *entityv1.Attributes { return light(&entityv1.Light{Brightness: &n}) }
	kelvin := func(n uint32) *entityv1.Attributes { return light(&entityv1.Light{ColorTempKelvin: &n}) }
	hs := func(h, s float64) *entityv1.Attributes {
		return light(&entityv1.Light{Hs: &entityv1.ColorHs{Hue: h, Saturation: s}})
	}
	xy := func(x, y float64) *entityv1.Attributes {
		return light(&entityv1.Light{Xy: &entityv1.ColorXy{X: x, Y: y}})
	}
	rgb := func(r, g, b uint32) *entityv1.Attributes {
		return light(&entityv1.Light{Rgb: &entityv1.ColorRgb{Red: r, Green: g, Blue: b}})
	}
	state := func(s entityv1.CoverState) *entityv1.Attributes { return cover(&entityv1.Cover{State: s}) }
	position := func(n uint32) *entityv1.Attributes { return cover(&entityv1.Cover{Position: &n}) }
	on := light(&entityv1.Light{On: proto.Bool(true)})
	for name, c := range map[string]struct {
		expected, a *entityv1.Attributes
		want        bool
	}{
		"nothing":                  {nil, on, false},
		"no state":                 {on, nil, false},
		"nothing set":              {light(&entityv1.Light{}), on, false},
		"another domain":           {on, &entityv1.Attributes{Domain: &entityv1.Attributes_Switch{Switch: &entityv1.Switch{On: proto.Bool(true)}}}, false},
		"a typed part that is nil": {on, &entityv1.Attributes{Domain: &entityv1.Attributes_Light{}}, false},
		"on":                       {on, light(&entityv1.Light{On: proto.Bool(true), Brightness: proto.Uint32(3)}), true},
		"off":                      {on, light(&entityv1.Light{On: proto.Bool(false)}), false},
		"not known":                {on, light(&entityv1.Light{Brightness: proto.Uint32(3)}), false},
		"one of two": {light(&entityv1.Light{On: proto.Bool(true), Brightness: proto.Uint32(9)}),
			light(&entityv1.Light{On: proto.Bool(true), Brightness: proto.Uint32(20)}), false},
		"brightness near":      {brightness(100), brightness(98), true},
		"brightness far":       {brightness(100), brightness(97), false},
		"kelvin in mired":      {kelvin(2700), kelvin(2703), true},
		"kelvin two percent":   {kelvin(4000), kelvin(4079), true},
		"kelvin three percent": {kelvin(4000), kelvin(4120), false},
		"kelvin of none":       {kelvin(4000), kelvin(0), false},
		"hue around":           {hs(359, 80), hs(1, 82), true},
		"hue far":              {hs(10, 80), hs(14, 80), false},
		"saturation far":       {hs(10, 80), hs(10, 84), false},
		"hue of white":         {hs(10, 2), hs(200, 0), true},
		"hue, not known":       {hs(10, 80), xy(0.3, 0.3), false},
		"xy near":              {xy(0.3, 0.3), xy(0.319, 0.281), true},
		"xy far":               {xy(0.3, 0.3), xy(0.3, 0.33), false},
		"rgb near":             {rgb(255, 0, 3), rgb(252, 3, 0), true},
		"rgb far":              {rgb(255, 0, 3), rgb(251, 0, 3), false},
		"open":                 {state(entityv1.CoverState_COVER_STATE_OPEN), state(entityv1.CoverState_COVER_STATE_OPEN), true},
		"opening":              {state(entityv1.CoverState_COVER_STATE_OPEN), state(entityv1.CoverState_COVER_STATE_OPENING), true},
		"closing for open":     {state(entityv1.CoverState_COVER_STATE_OPEN), state(entityv1.CoverState_COVER_STATE_CLOSING), false},
		"closing":              {state(entityv1.CoverState_COVER_STATE_CLOSED), state(entityv1.CoverState_COVER_STATE_CLOSING), true},
		"unknown":              {state(entityv1.CoverState_COVER_STATE_OPEN), state(0), false},
		"position near":        {position(30), position(32), true},
		"position far":         {position(30), position(33), false},
		"temperature near":     {climate(21.25), climate(21.5), true},
		"temperature far":      {climate(21), climate(21.5), false},
		"number":               {number(0.1), number(float64(float32(0.1))), true},
		"another number":       {number(0.1), number(0.101), false},
		"zero":                 {number(0), number(0), true},
		"locked":               {lock(entityv1.LockState_LOCK_STATE_LOCKED), lock(entityv1.LockState_LOCK_STATE_LOCKED), true},
		"locking":              {lock(entityv1.LockState_LOCK_STATE_LOCKED), lock(entityv1.LockState_LOCK_STATE_LOCKING), false},
		"jammed":               {lock(entityv1.LockState_LOCK_STATE_LOCKED), lock(entityv1.LockState_LOCK_STATE_JAMMED), false},
		"unlocking":            {lock(entityv1.LockState_LOCK_STATE_UNLOCKED), lock(entityv1.LockState_LOCK_STATE_UNLOCKING), false},
		"unlocked and open":    {lock(entityv1.LockState_LOCK_STATE_UNLOCKED), lock(entityv1.LockState_LOCK_STATE_OPEN), true},
		"arming":               {alarm(entityv1.AlarmControlPanelState_ALARM_CONTROL_PANEL_STATE_ARMED_AWAY), alarm(entityv1.AlarmControlPanelState_ALARM_CONTROL_PANEL_STATE_ARMING), false},
		"pending":              {alarm(entityv1.AlarmControlPanelState_ALARM_CONTROL_PANEL_STATE_TRIGGERED), alarm(entityv1.AlarmControlPanelState_ALARM_CONTROL_PANEL_STATE_PENDING), true},
		"docked for returning": {vacuum(entityv1.VacuumActivity_VACUUM_ACTIVITY_RETURNING), vacuum(entityv1.VacuumActivity_VACUUM_ACTIVITY_DOCKED), true},
		"returning for docked": {generic("docked"), generic("returning"), true},
		"mowing":               {generic("docked"), generic("mowing"), false},
		"installing":           {firmware(&entityv1.Update{InProgress: proto.Bool(true), InstalledVersion: proto.String("2")}), firmware(&entityv1.Update{InProgress: proto.Bool(true)}), true},
		"installed":            {firmware(&entityv1.Update{InProgress: proto.Bool(true), InstalledVersion: proto.String("2")}), firmware(&entityv1.Update{InstalledVersion: proto.String("2")}), true},
		"not installed":        {firmware(&entityv1.Update{InProgress: proto.Bool(true), InstalledVersion: proto.String("2")}), firmware(&entityv1.Update{InstalledVersion: proto.String("1"), InProgress: proto.Bool(false)}), false},
		"version is not known": {firmware(&entityv1.Update{InProgress: proto.Bool(true)}), firmware(&entityv1.Update{InProgress: proto.Bool(false)}), false},
	} {
		if got := command.Answers(c.expected, c.a); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A color that is put in leaves no other that contradicts it; the rest of the state stays.
func TestMergeForgetsOtherColors(t *testing.T) {
	old := light(&entityv1.Light{On: proto.Bool(false), Brightness: proto.Uint32(7), Hs: &entityv1.ColorHs{Hue: 3}, Xy: &entityv1.ColorXy{X: 1}})
	old.Availability = entityv1.Availability_AVAILABILITY_OFFLINE
	old.Extra = []*entityv1.Field{{Name: "linkquality"}}
	got := command.Merge(light(&entityv1.Light{On: proto.Bool(true), ColorTempKelvin: proto.Uint32(2700)}), old)
	want := light(&entityv1.Light{On: proto.Bool(true), Brightness: proto.Uint32(7), ColorTempKelvin: proto.Uint32(2700)})
	want.Availability, want.Extra = old.GetAvailability(), old.GetExtra()
	if !state.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := command.Merge(light(&entityv1.Light{On: proto.Bool(true)}), old); got.GetLight().GetHs() == nil {
		t.Error("a color was forgotten though none was put in")
	}
	if got := command.Merge(nil, nil); !state.Equal(got, &entityv1.Attributes{}) {
		t.Errorf("nothing merged into nothing is %v", got)
	}
}

func TestSupersedes(t *testing.T) {
	for _, c := range []struct {
		entity, earlier, later string
		want                   bool
	}{
		{"light.color", "on", "off", true},
		{"light.color", "off", "on", true},
		{"light.color", "on", "on", true},
		{"light.color", "on", "on brightness=3", true},
		{"light.color", "on brightness=3", "on", false},
		{"light.color", "on brightness=3", "off", true},
		{"light.color", "on brightness=3", "on brightness=4", true},
		{"light.color", "on brightness=3", "on color=red", false},
		{"light.color", "on kelvin=2700", "on color=red", true},
		{"light.rgbww", "on color=red", "on white=3", true},
		{"light.rgbww", "on brightness=3", "on white=3", true},
		{"light.mute", "on", "off", false},
		{"switch.plug", "on", "on", true},
		{"cover.blind", "open", "position=30", true},
		{"cover.blind", "position=30", "close", true},
		{"cover.blind", "open", "stop", true},
		{"cover.blind", "stop", "open", true},
		{"cover.blind", "open", "tilt=30", false},
		{"cover.blind", "tilt=30", "stop_cover_tilt", true},
		{"cover.blind", "stop", "stop", false},
		{"fan.three", "set_percentage percentage=33", "auto", true},
		{"fan.three", "oscillating=on", "50%", false},
		{"climate.trv", "heat", "21", false},
		{"climate.trv", "heat temperature=20", "21", true},
		{"lock.door", "lock", "unlock code=1", true},
		{"button.identify", "press", "press", false},
		{"media_player.tv", "play", "30%", false},
		{"media_player.tv", "play", "pause", true},
	} {
		earlier, later := mustCheck(t, c.entity, c.earlier), mustCheck(t, c.entity, c.later)
		waiting := &entityv1.PendingCommand{Action: earlier.Action, Arguments: earlier.Arguments, Expected: earlier.Expected}
		if got := command.Supersedes(later, waiting); got != c.want {
			t.Errorf("%s: %q after %q: %v", c.entity, c.later, c.earlier, got)
		}
	}
	unheard := &entityv1.PendingCommand{Action: "dance", Expected: light(&entityv1.Light{On: proto.Bool(true)})}
	if command.Supersedes(mustCheck(t, "light.color", "on"), unheard) {
		t.Error("an action of another version is moot")
	}
}
