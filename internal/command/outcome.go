package command

import (
	"math"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// outcome is what the state has to say once the command is done, and what it will be.
func (c *checking) outcome() (expected, assumed *entityv1.Attributes) {
	for _, f := range c.action.sets {
		expected, assumed = c.say(expected, assumed, f, f.field)
	}
	for i := range c.action.params {
		p := &c.action.params[i]
		v, given := c.args[p.name]
		if !given || p.field == "" || !c.foreseen(p, v) {
			continue
		}
		names := p.features
		if len(names) == 0 {
			names = []string{p.field}
		}
		expected, assumed = c.say(expected, assumed, fact{p.field, v}, names...)
	}
	if assumed != nil {
		for _, f := range c.consequences() {
			put(assumed, c.domain.name, f)
		}
	}
	return c.special(expected, assumed)
}

// say puts a fact into what is assumed, and into what is expected if the source reports the first feature of names that the
// entity has.
func (c *checking) say(expected, assumed *entityv1.Attributes, f fact, names ...string) (_, _ *entityv1.Attributes) {
	feature, ok := c.feature(names...)
	if own, has := c.feature(f.field); has { // of several that carry an argument, the one that it came to
		feature, ok = own, true
	}
	if ok && feature.GetReadable() {
		if expected == nil {
			expected = &entityv1.Attributes{}
		}
		put(expected, c.domain.name, f)
		if !says(expected) {
			expected = nil
		}
	}
	if assumed == nil {
		assumed = &entityv1.Attributes{}
	}
	put(assumed, c.domain.name, f)
	if !says(assumed) {
		assumed = nil
	}
	return expected, assumed
}

// foreseen says that it is known what the state will say to a value: not to a number between two steps.
func (c *checking) foreseen(p *param, v *entityv1.Value) bool {
	a := c.argument(p)
	n, ok := numberOf(v)
	if !p.limits || !ok || a.Step == nil {
		return true
	}
	onStep := func(from float64) bool {
		steps := (n - from) / *a.Step
		return math.Abs(steps-math.Round(steps)) < 1e-6
	}
	return onStep(0) || a.Minimum != nil && onStep(*a.Minimum)
}

// consequences are what follows for other fields, though devices may report it later, or otherwise.
func (c *checking) consequences() []fact {
	switch c.domain.name {
	case "light":
		for name, mode := range colorModes {
			if _, ok := c.args[name]; ok {
				return is("color_mode", text(mode))
			}
		}
	case "cover", "valve":
		_, positioned := c.feature(argPosition)
		switch c.action.name {
		case "open_" + c.domain.name:
			if positioned {
				return is(argPosition, number(100))
			}
		case "close_" + c.domain.name:
			if positioned {
				return is(argPosition, number(0))
			}
		case "set_" + c.domain.name + "_position":
			if n, _ := numberOf(c.args[argPosition]); n == 0 {
				return is("state", text("closed"))
			}
			return is("state", text("open"))
		}
	}
	return nil
}

// special are the outcomes that no field alone says.
func (c *checking) special(expected, assumed *entityv1.Attributes) (_, _ *entityv1.Attributes) {
	switch c.domain.name {
	case "cover", "valve":
		position, ok := c.feature(argPosition)
		if f := c.consequences(); expected == nil && ok && position.GetReadable() && len(f) > 0 && f[0].field == argPosition {
			expected = &entityv1.Attributes{} // its state is nowhere but in its position
			put(expected, c.domain.name, f[0])
		}
	case "siren":
		return expected, expected // it falls silent by itself, so that none can assume that it sounds
	case "update":
		if expected == nil {
			return nil, nil
		}
		version, given := textOf(c.args[argVersion])
		if u := c.now.GetUpdate(); !given && u != nil && u.LatestVersion != nil {
			version, given = u.GetLatestVersion(), true
		}
		if given {
			put(expected, c.domain.name, fact{"installed_version", text(version)})
		}
		return expected, nil
	}
	return expected, assumed
}
