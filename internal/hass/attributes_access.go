package hass

import entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"

// Of what opens, closes and guards: cover, valve, lock, alarm_control_panel, siren.

var coverAttributes = []attribute[*entityv1.Cover]{
	{"current_position", func(c *entityv1.Cover) any { return known(c.Position) }},
	{"current_tilt_position", func(c *entityv1.Cover) any { return known(c.TiltPosition) }},
}

var valveAttributes = []attribute[*entityv1.Valve]{
	{"current_position", func(v *entityv1.Valve) any { return known(v.Position) }},
}

var lockAttributes = []attribute[*entityv1.Lock]{
	{"changed_by", func(l *entityv1.Lock) any { return known(l.ChangedBy) }},
}

var alarmAttributes = []attribute[*entityv1.AlarmControlPanel]{
	{"changed_by", func(a *entityv1.AlarmControlPanel) any { return known(a.ChangedBy) }},
}

var sirenCapabilities = []attribute[*entityv1.Entity]{
	{"available_tones", options("tone")},
}
