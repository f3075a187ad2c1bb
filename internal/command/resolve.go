package command

import (
	"math"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// What depends on the present state becomes something that does not, so that a message that is sent twice does what it
// does once.

// unknown is the error of an action whose meaning depends on a state that is not known.
func (c *checking) unknown(what string) error {
	return invalid("%s of %s depends on its %s, which is not known now; say what it shall be instead", c.action.name, c.GetId(), what)
}

// present is a field of the present typed attributes, false where it is not known.
func (c *checking) present(name protoreflect.Name) (protoreflect.Value, bool) {
	m := typed(c.now)
	if m == nil || !m.IsValid() || domainName(m.Descriptor()) != c.domain.name {
		return protoreflect.Value{}, false
	}
	field := m.Descriptor().Fields().ByName(name)
	if field == nil || !m.Has(field) {
		return protoreflect.Value{}, false
	}
	return m.Get(field), true
}

func (c *checking) presentBool(name protoreflect.Name) (value, ok bool) {
	v, ok := c.present(name)
	return ok && v.Bool(), ok
}

func resolveToggle(c *checking) error {
	on, ok := c.presentBool("on")
	if !ok {
		return c.unknown("state")
	}
	if !on {
		return c.become(turnOn)
	}
	c.keep(argTransition, argFlash)
	return c.become(turnOff)
}

// resolveMovable opens what is closed or closing, and closes what is open or opening.
func resolveMovable(c *checking) error {
	open := "open_" + c.domain.name
	if v, ok := c.present("state"); ok { // the words of covers and valves have the same numbers
		switch entityv1.CoverState(v.Enum()) {
		case entityv1.CoverState_COVER_STATE_CLOSED, entityv1.CoverState_COVER_STATE_CLOSING:
			return c.become(open)
		default:
			return c.become("close_" + c.domain.name)
		}
	}
	v, ok := c.present(argPosition)
	switch {
	case !ok:
		return c.unknown("state")
	case v.Uint() == 0:
		return c.become(open)
	default:
		return c.become("close_" + c.domain.name)
	}
}

func resolveTilt(c *checking) error {
	v, ok := c.present("tilt_position")
	switch {
	case !ok:
		return c.unknown("tilt_position")
	case v.Uint() == 0:
		return c.become("open_cover_tilt")
	default:
		return c.become("close_cover_tilt")
	}
}

// resolveFan makes a fan that shall not turn one that is off.
func resolveFan(c *checking) error {
	n, ok := numberOf(c.args[argPercentage])
	if _, preset := c.args[argPreset]; ok && preset {
		return invalid("a fan has a percentage or a preset_mode, not both")
	}
	if !ok || n > 0 {
		return nil
	}
	c.keep()
	return c.become(turnOff)
}

// resolveFanStep is one of the fan's speeds up or down, or percentage_step; at the ends it stays.
func resolveFanStep(sign float64) func(*checking) error {
	return func(c *checking) error {
		v, ok := c.present(argPercentage)
		now := float64(0)
		switch on, known := c.presentBool("on"); {
		case known && !on:
		case !ok:
			return c.unknown(argPercentage)
		default:
			now = float64(v.Uint())
		}
		f, _ := c.feature(argPercentage)
		step, given := numberOf(c.args[argPercentageStep])
		all := Speeds(f)
		switch {
		case given:
			now += sign * step
		case all > 0: // from where it is on its own scale, so that rounding does not hold it
			now = math.Floor(100 * (math.Ceil(now*all/100) + sign) / all)
		default:
			now += sign
		}
		c.args = map[string]*entityv1.Value{argPercentage: number(min(max(now, 0), 100))}
		return c.become(setPercentage)
	}
}

func resolveTemperature(c *checking) error {
	_, one := c.args[argTemperature]
	high, isHigh := numberOf(c.args[argHigh])
	low, isLow := numberOf(c.args[argLow])
	switch {
	case !one && !isHigh && !isLow:
		return invalid("%s needs one of: %s", c.action.name, listed(slices.DeleteFunc(c.arguments(), func(n string) bool {
			return n == argHvacMode || n == argOperation
		})))
	case isHigh && isLow && low > high:
		return invalid("%s %s is above %s %s", argLow, formatNumber(low), argHigh, formatNumber(high))
	default:
		return nil
	}
}

// resolveModeOn switches on what has no on but modes: the one that is asked for, the present one, or the only one.
func resolveModeOn(mode protoreflect.Name, action string) func(*checking) error {
	return func(c *checking) error {
		name := string(mode)
		if _, ok := c.args[name]; !ok {
			on := c.presentMode(mode)
			if on == "" || on == "off" {
				modes := c.modes(name)
				if len(modes) != 1 {
					return invalid("turn_on of %s needs %s, since the last one is not known; there are: %s", c.GetId(), name, listed(modes))
				}
				on = modes[0]
			}
			c.args[name] = text(on)
		}
		return c.become(action)
	}
}

func resolveModeOff(mode, action string) func(*checking) error {
	return func(c *checking) error {
		if modes := c.argument(c.domain.param(mode)).Options; !slices.Contains(modes, "off") {
			return unsupported("%s cannot be switched off; its modes are: %s", c.GetId(), listed(modes))
		}
		c.args = map[string]*entityv1.Value{mode: text("off")}
		return c.become(action)
	}
}

func resolveModeToggle(mode protoreflect.Name) func(*checking) error {
	return func(c *checking) error {
		switch on := c.presentMode(mode); on {
		case "":
			return c.unknown(string(mode))
		case "off":
			return c.become(turnOn)
		default:
			c.keep()
			return c.become(turnOff)
		}
	}
}

// modes are the modes in which the entity is not off.
func (c *checking) modes(name string) []string {
	all := c.argument(c.domain.param(name)).Options
	return slices.DeleteFunc(all, func(m string) bool { return m == "off" })
}

// presentMode is the present mode as a word, "" where it is not known.
func (c *checking) presentMode(name protoreflect.Name) string {
	v, ok := c.present(name)
	if !ok {
		return ""
	}
	if s, ok := v.Interface().(string); ok {
		return s
	}
	return enumWord(typed(c.now).Descriptor().Fields().ByName(name).Enum(), v.Enum())
}

// resolveSelect chooses by the order of the options.
func resolveSelect(c *checking) error {
	all := c.argument(c.domain.param(argOption)).Options
	if len(all) == 0 {
		return unsupported("%s does not list its options", c.GetId())
	}
	cycle, given := boolOf(c.args[argCycle])
	cycle = cycle || !given
	at := 0
	switch c.action.name {
	case "select_last":
		at = len(all) - 1
	case "select_next", "select_previous":
		v, ok := c.present(argOption)
		if ok {
			at = slices.Index(all, v.String())
		}
		if !ok || at < 0 {
			return c.unknown(argOption)
		}
		if at++; c.action.name == "select_previous" {
			at -= 2
		}
		if cycle {
			at = (at + len(all)) % len(all)
		}
		at = min(max(at, 0), len(all)-1)
	}
	c.args = map[string]*entityv1.Value{argOption: text(all[at])}
	return c.become(selectOption)
}

func resolveUpdate(c *checking) error {
	u := c.now.GetUpdate()
	if _, given := c.args[argVersion]; given || u == nil || u.LatestVersion == nil || u.InstalledVersion == nil {
		return nil
	}
	if u.GetLatestVersion() == u.GetInstalledVersion() && !u.GetInProgress() {
		return invalid("%s has no newer version than %s", c.GetId(), shown(u.GetInstalledVersion()))
	}
	return nil
}

func resolveMediaToggle(c *checking) error {
	switch c.presentMode("state") {
	case "":
		return c.unknown("state")
	case "off", "standby":
		return c.become(turnOn)
	default:
		return c.become(turnOff)
	}
}

func resolvePlayPause(c *checking) error {
	switch c.presentMode("state") {
	case "":
		return c.unknown("state")
	case "playing", "buffering":
		return c.become(mediaPause)
	default:
		return c.become(mediaPlay)
	}
}

// resolveVolume is a tenth up or down, as Home Assistant has it; at the ends it stays.
func resolveVolume(step float64) func(*checking) error {
	return func(c *checking) error {
		v, ok := c.present(argVolume)
		if !ok {
			return c.unknown(argVolume)
		}
		level := math.Round(100*(v.Float()+step)) / 100
		c.args[argVolume] = number(min(max(level, 0), 1))
		return c.become(volumeSet)
	}
}
